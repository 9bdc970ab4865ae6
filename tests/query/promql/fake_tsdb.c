/*
 * fake_tsdb.c - series in a list; selects look at every one of them. Slow and obvious: the model that the engine is
 * tested on.
 */
#include "tests/query/promql/fake_tsdb.h"

#include "query/vector/histogram.h"
#include "tsdb/hist.h"
#include "tsdb/rollup_hist.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>

uint32_t fake_parts = 0;
bool fake_share_times = true;
bool fake_rollups = false;

struct sample {
    int64_t t, st;
    double v;
    const struct histogram *h;
};

struct fake_series {
    struct labels labels;
    struct sample *v;
    uint32_t n, cap;
};

struct tsdb {
    struct fake_series *series;
    uint32_t n, cap;
    struct arena arena;
};

struct script_db {
    struct tsdb db;
};

int script_db_open(struct script_db **out, struct err *e)
{
    (void)e;
    *out = x_zalloc(sizeof **out);
    return 0;
}

static void drop(struct tsdb *db)
{
    for (uint32_t i = 0; i < db->n; i++)
        free(db->series[i].v);
    free(db->series);
    arena_release(&db->arena);
    *db = (struct tsdb){0};
}

void script_db_close(struct script_db *db)
{
    if (!db)
        return;
    drop(&db->db);
    free(db);
}

int script_db_clear(struct script_db *db, struct err *e)
{
    (void)e;
    drop(&db->db);
    return 0;
}

struct tsdb *script_db_tsdb(struct script_db *db)
{
    return &db->db;
}

static struct fake_series *series_of(struct tsdb *db, const struct labels *ls)
{
    for (uint32_t i = 0; i < db->n; i++)
        if (labels_eq(&db->series[i].labels, ls))
            return &db->series[i];
    if (db->n == db->cap) {
        db->cap = db->cap ? db->cap * 2 : 16;
        db->series = x_realloc(db->series, db->cap * sizeof *db->series);
    }
    db->series[db->n] = (struct fake_series){.labels = labels_dup(&db->arena, ls)};
    return &db->series[db->n++];
}

static void put(struct fake_series *s, struct sample x)
{
    uint32_t at = s->n;

    while (at > 0 && s->v[at - 1].t > x.t)
        at--;
    if (at > 0 && s->v[at - 1].t == x.t)
        return; /* the first one stays */
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->v = x_realloc(s->v, s->cap * sizeof *s->v);
    }
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
    s->v[at] = x;
    s->n++;
}

/* What a store can tell of counter resets when it reads histograms back: continued, or nothing. */
static void set_hints(struct tsdb *db, struct fake_series *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct histogram *h = s->v[i].h, *prev = i ? s->v[i - 1].h : NULL;
        struct histogram *c;

        if (!h || h->hint == HIST_GAUGE)
            continue;
        c = hist_dup(&db->arena, h);
        if (h->hint != HIST_RESET)
            c->hint = HIST_UNKNOWN;
        c->hint = prev && prev->hint != HIST_GAUGE && prev->schema == h->schema &&
                          prev->zero_threshold == h->zero_threshold && prev->nbounds == h->nbounds &&
                          !hist_detect_reset(c, prev)
                      ? HIST_NOT_RESET
                      : HIST_UNKNOWN;
        s->v[i].h = c;
    }
}

int script_db_add(struct script_db *db, const struct script_series *in, uint32_t n, struct err *e)
{
    (void)e;
    for (uint32_t i = 0; i < n; i++) {
        struct fake_series *s = series_of(&db->db, &in[i].labels);

        for (uint32_t k = 0; k < in[i].n; k++) {
            const struct histogram *h = in[i].h ? in[i].h[k] : NULL;

            put(s, (struct sample){in[i].t[k], in[i].st ? in[i].st[k] : 0, in[i].v[k],
                                   h ? hist_dup(&db->db.arena, h) : NULL});
        }
        set_hints(&db->db, s);
    }
    return 0;
}

/* --- the selecting side of tsdb.h ------------------------------------------------------------- */

struct tsdb_select {
    struct tsdb *db;
    struct tsdb_select_opts o;
    uint32_t *found, n, parts;
};

struct tsdb_cursor {
    struct tsdb_select *s;
    uint32_t at, end, now;
    struct tsdb_samples out;
    struct buckets buckets;
    struct tsdb_buckets columns;
    struct stretches hists;
    struct tsdb_stretches hist_columns;
    struct arena arena;
    int64_t *t, *st;
    double *v;
    const struct histogram **h;
    uint32_t cap;
    /* The times of series before, by id: shared ones keep their array. */
    int64_t **times;
    uint32_t *ntimes, ids;
};

int tsdb_select_open(struct tsdb *db, const struct tsdb_select_opts *o, struct tsdb_select **out, struct err *e)
{
    struct tsdb_select *s = x_zalloc(sizeof *s);
    int code = o->limits.check ? o->limits.check(o->limits.arg, 0, 0, e) : 0;

    s->db = db;
    s->o = *o;
    s->found = x_alloc((db->n + (size_t)1) * sizeof *s->found);
    for (uint32_t i = 0; i < db->n; i++)
        if (matchers_match(o->matchers, o->nmatchers, &db->series[i].labels))
            s->found[s->n++] = i;
    s->parts = fake_parts ? fake_parts : o->parts_hint ? o->parts_hint : 1;
    if (code < 0) {
        tsdb_select_close(s);
        return code;
    }
    *out = s;
    return 0;
}

static bool reads_buckets(const struct tsdb_select *s)
{
    return fake_rollups && s->o.rollup >= TSDB_ROLLUP_NEWEST && s->o.rollup_ms;
}

void tsdb_select_rollup(const struct tsdb_select *s, struct tsdb_rollup_used *out)
{
    *out = (struct tsdb_rollup_used){reads_buckets(s), true, s->o.rollup_ms, INT64_MIN, TSDB_READS_SAMPLES};
}

void tsdb_select_close(struct tsdb_select *s)
{
    if (!s)
        return;
    free(s->found);
    free(s);
}

uint32_t tsdb_select_series(const struct tsdb_select *s)
{
    return s->n;
}

uint32_t tsdb_select_parts(const struct tsdb_select *s)
{
    return s->parts;
}

void tsdb_select_blocks(const struct tsdb_select *s, uint64_t *read, uint64_t *skipped)
{
    (void)s;
    *read = *skipped = 0;
}

uint32_t tsdb_select_warnings(const struct tsdb_select *s, const struct str **out)
{
    (void)s;
    *out = NULL;
    return 0;
}

int tsdb_cursor_open(struct tsdb_select *s, uint32_t part, struct tsdb_cursor **out, struct err *e)
{
    struct tsdb_cursor *c = x_zalloc(sizeof *c);

    (void)e;
    c->s = s;
    c->at = (uint32_t)((uint64_t)s->n * part / s->parts);
    c->end = (uint32_t)((uint64_t)s->n * (part + 1) / s->parts);
    *out = c;
    return 0;
}

void tsdb_cursor_close(struct tsdb_cursor *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->ids; i++)
        free(c->times[i]);
    buckets_release(&c->buckets);
    stretches_release(&c->hists);
    arena_release(&c->arena);
    free(c->times);
    free(c->ntimes);
    free(c->t);
    free(c->st);
    free(c->v);
    free(c->h);
    free(c);
}

static void share_times(struct tsdb_cursor *c)
{
    struct tsdb_samples *o = &c->out;

    for (uint32_t i = 0; i < c->ids; i++)
        if (c->ntimes[i] == o->n && memcmp(c->times[i], o->t, o->n * sizeof *o->t) == 0) {
            o->t = c->times[i];
            o->times_id = i + 1;
            return;
        }
    c->times = x_realloc(c->times, (c->ids + (size_t)1) * sizeof *c->times);
    c->ntimes = x_realloc(c->ntimes, (c->ids + (size_t)1) * sizeof *c->ntimes);
    c->times[c->ids] = x_alloc(o->n * sizeof *o->t);
    memcpy(c->times[c->ids], o->t, o->n * sizeof *o->t);
    c->ntimes[c->ids] = o->n;
    o->t = c->times[c->ids++];
    o->times_id = c->ids;
}

static void room(struct tsdb_cursor *c, uint32_t n)
{
    if (c->cap >= n)
        return;
    c->cap = n;
    c->t = x_realloc(c->t, n * sizeof *c->t);
    c->st = x_realloc(c->st, n * sizeof *c->st);
    c->v = x_realloc(c->v, n * sizeof *c->v);
    c->h = x_realloc(c->h, n * sizeof *c->h);
}

/*
 * Histograms as a store knows them: they go on from the one before, or nothing is said. False: samples that say more than
 * that, which a store would have settled, are for the reader.
 */
static bool settle(struct tsdb_cursor *c)
{
    const struct histogram **h = arena_alloc(&c->arena, c->out.n * sizeof *h);

    for (uint32_t k = 0; k < c->out.n; k++) {
        h[k] = c->h[k] ? hist_dup(&c->arena, c->h[k]) : NULL;
        if (h[k] && (h[k]->hint == HIST_RESET || h[k]->hint == HIST_NOT_RESET))
            return false;
        hist_hint_set(h[k], k ? h[k - 1] : NULL);
    }
    c->out.h = h;
    return true;
}

/* Is there an increase that the first and last of a stretch of gauges do not tell? */
static bool gauges_hide(const struct tsdb_cursor *c)
{
    return c->hists.gauges && c->s->o.rollup == TSDB_ROLLUP_INCREASE;
}

static void make_hist_buckets(struct tsdb_cursor *c)
{
    struct stretch_run h = stretches_run(&c->hists);

    if (!h.n)
        return;
    c->hist_columns = (struct tsdb_stretches){h.n, h.t_last, h.t_first, h.count, h.hint, h.last, h.first, h.sum};
    c->columns.hists = &c->hist_columns;
}

/* What stands in c->out as samples, as a store with aggregates would return it. */
static void make_buckets(struct tsdb_cursor *c)
{
    static const enum rollup_column value[] = {
        [TSDB_ROLLUP_LAST] = ROLLUP_LAST, [TSDB_ROLLUP_FIRST] = ROLLUP_FIRST, [TSDB_ROLLUP_COUNT] = ROLLUP_COUNT,
        [TSDB_ROLLUP_SUM] = ROLLUP_SUM,   [TSDB_ROLLUP_AVG] = ROLLUP_SUM,     [TSDB_ROLLUP_MIN] = ROLLUP_MIN,
        [TSDB_ROLLUP_MAX] = ROLLUP_MAX,   [TSDB_ROLLUP_INCREASE] = ROLLUP_LAST, [TSDB_ROLLUP_DELTA] = ROLLUP_LAST};
    const struct tsdb_select_opts *o = &c->s->o;
    struct buckets *b = &c->buckets;
    struct tsdb_samples *out = &c->out;

    if (o->rollup == TSDB_ROLLUP_NEWEST) {
        uint32_t n = 0;

        arena_reset(&c->arena);
        if (out->h && !settle(c)) {
            out->h = c->h;
            return;
        }
        for (uint32_t k = 0; k < out->n; k++) {
            bool same = n && bucket_end(c->t[n - 1], o->rollup_ms) == bucket_end(c->t[k], o->rollup_ms);

            if (out->h && out->h[k] && out->h[k]->hint == HIST_UNKNOWN)
                same = false; /* another stretch */
            n -= same;
            c->t[n] = c->t[k];
            c->st[n] = c->st[k];
            c->h[n] = out->h ? out->h[k] : NULL;
            c->v[n++] = c->v[k];
        }
        out->n = n;
        out->h = out->h ? c->h : NULL;
        return;
    }
    buckets_reset(b, o->rollup_ms, ROLLUP_ALL);
    stretches_reset(&c->hists, o->rollup_ms, ROLLUP_HISTS);
    arena_reset(&c->arena);
    if (out->h ? !settle(c) || !stretches_add(&c->hists, b, out->t, out->v, out->h, out->n) || gauges_hide(c)
               : !buckets_add(b, out->t, out->v, out->n)) {
        out->h = out->h ? c->h : NULL;
        return;
    }
    c->columns = (struct tsdb_buckets){b->t_first, b->v[ROLLUP_FIRST], b->v[ROLLUP_COUNT],
                                       b->any_resets ? b->v[ROLLUP_RESETS] : NULL, NULL};
    make_hist_buckets(c);
    *out = (struct tsdb_samples){.index = out->index,
                                 .n = b->n,
                                 .t = o->rollup == TSDB_ROLLUP_FIRST ? b->t_first : b->t_last,
                                 .v = b->v[value[o->rollup]],
                                 .b = &c->columns};
}

int tsdb_cursor_next(struct tsdb_cursor *c, struct tsdb_samples *out, struct err *e)
{
    (void)e;
    for (; c->at < c->end; c->at++) {
        const struct fake_series *s = &c->s->db->series[c->s->found[c->at]];
        bool st = false, h = false;
        uint32_t n = 0;

        room(c, s->n + 1);
        for (uint32_t k = 0; k < s->n; k++) {
            const struct sample *x = &s->v[k];

            if (x->t < c->s->o.mint || x->t > c->s->o.maxt)
                continue;
            if (c->s->o.want == TSDB_NEWEST)
                n = 0;
            c->t[n] = x->t;
            c->st[n] = x->st;
            c->v[n] = x->v;
            c->h[n++] = x->h;
        }
        for (uint32_t k = 0; k < n; k++) {
            st |= c->st[k] != 0;
            h |= c->h[k] != NULL;
        }
        if (!n)
            continue;
        c->out = (struct tsdb_samples){
            .index = c->at, .n = n, .t = c->t, .v = c->v, .st = st ? c->st : NULL, .h = h ? c->h : NULL};
        if (reads_buckets(c->s))
            make_buckets(c);
        if (fake_share_times && !c->out.b)
            share_times(c);
        c->now = c->s->found[c->at++];
        *out = c->out;
        return 0;
    }
    return 1;
}

int tsdb_cursor_labels(struct tsdb_cursor *c, struct arena *a, struct labels *out, struct err *e)
{
    const struct labels *ls = &c->s->db->series[c->now].labels;

    (void)e;
    out->v = arena_alloc(a, (ls->n + (size_t)1) * sizeof *out->v);
    out->n = ls->n;
    memcpy(out->v, ls->v, ls->n * sizeof *out->v);
    return 0;
}

int tsdb_cursor_label(struct tsdb_cursor *c, struct str name, struct str *out, struct err *e)
{
    (void)e;
    *out = labels_get(&c->s->db->series[c->now].labels, name);
    return 0;
}
