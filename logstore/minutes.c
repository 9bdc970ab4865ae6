/*
 * minutes.c - records by stream, level and minute, from the counts that each slice has; only rows of the head are gone through.
 *
 * (1) Counts are exact: a record is in one slice, or in the head and in none (select.c). (2) Streams that a delete touches are
 * counted by reading, and so is everything where a slice's counts cannot be read.
 */
#include "logstore/select.h"

#include <stdlib.h>

#define MINUTE_NS INT64_C(60000000000)

struct point {
    int64_t minute;
    uint64_t rows, bytes;
};

/* One level of one stream. */
struct group {
    uint32_t stream;
    struct str level;
    struct point *v;
    uint32_t n, cap;
    struct group *next; /* of the stream */
};

struct counting {
    struct log_select *s;
    const struct select_day *day;
    int64_t from, to; /* minutes [from, to) */
    struct arena *a;
    struct group **groups; /* by stream */
    uint32_t ngroups_cap, ngroups;
    struct group *last;
    uint32_t points; /* since the budget was asked */
    const struct log_limits *limits;
    struct err *e;
    bool read_all; /* counts of a slice are lost: rows are read instead */
};

static struct group *group_of(struct counting *c, uint32_t stream, struct str level)
{
    struct group *g = c->last;

    if (g && g->stream == stream && str_eq(g->level, level))
        return g;
    if (stream >= c->ngroups_cap) {
        uint32_t cap = MAX(c->s->nstreams, c->ngroups_cap * 2);
        c->groups = x_realloc(c->groups, cap * sizeof(struct group *));
        memset(c->groups + c->ngroups_cap, 0, (cap - c->ngroups_cap) * sizeof(struct group *));
        c->ngroups_cap = cap;
    }
    for (g = c->groups[stream]; g; g = g->next)
        if (str_eq(g->level, level))
            return c->last = g;
    g = arena_new(c->a, struct group);
    g->stream = stream;
    g->level = arena_dup(c->a, level);
    g->next = c->groups[stream];
    c->groups[stream] = g;
    c->ngroups++;
    return c->last = g;
}

static void add(struct counting *c, uint32_t stream, struct str level, int64_t minute, uint64_t rows, uint64_t bytes)
{
    struct group *g = group_of(c, stream, level);

    if (g->n && g->v[g->n - 1].minute == minute) {
        g->v[g->n - 1].rows += rows;
        g->v[g->n - 1].bytes += bytes;
        return;
    }
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 16;
        g->v = x_realloc(g->v, g->cap * sizeof *g->v);
    }
    g->v[g->n++] = (struct point){minute, rows, bytes};
    c->points++;
}

static int ask_budget(struct counting *c)
{
    uint32_t n = c->points;

    c->points = 0;
    return c->limits && c->limits->check ? c->limits->check(c->limits->arg, 0, n * sizeof(struct point), c->e) : 0;
}

static bool is_read(const struct counting *c, uint32_t stream)
{
    return c->read_all || c->s->streams[stream].deletes;
}

/* --- from counts ---------------------------------------------------------------------------------------------- */

static int add_count(void *arg, const struct log_day_count *x)
{
    struct counting *c = arg;
    uint32_t number = c->day->number[x->sid];

    if (x->minute < c->from || x->minute >= c->to || number == SELECT_NONE || number == SELECT_MATCHES || is_read(c, number - 1))
        return 0;
    add(c, number - 1, x->level, x->minute, x->rows, x->bytes);
    return c->points < 65536 ? 0 : ask_budget(c);
}

static int count_day(struct counting *c, const struct select_day *d)
{
    struct log_select *s = c->s;
    struct err e = {0};
    int rc = 0;

    c->day = d;
    for (uint32_t i = 0; i < log_day_nslices(d->view) && rc == 0; i++) {
        const struct log_slice *x = log_day_slice(d->view, i);
        if (x->maxt_ns < s->o.mint_ns || x->mint_ns > s->o.maxt_ns)
            continue;
        c->last = NULL;
        rc = log_day_minutes(d->view, i, add_count, c, &e);
        if (rc == 0)
            rc = ask_budget(c);
        else if (rc == ERR_CORRUPT)
            partition_damaged(log_day_view_partition(d->view), &e);
    }
    return rc;
}

static struct str level_of(const struct label *meta, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eqz(meta[i].name, "detected_level"))
            return meta[i].value;
    return STR("");
}

static void count_head(struct counting *c, const struct select_head *h)
{
    const struct log_select *s = c->s;

    for (const struct log_piece *p = h->part.newest; p; p = p->prev) {
        if (p->maxt < s->o.mint_ns || p->mint > s->o.maxt_ns)
            continue;
        for (uint32_t i = 0; i < p->nrows; i++) {
            const struct log_head_row *r = &p->rows[i];
            uint32_t number;
            if (r->t_ns < s->o.mint_ns || r->t_ns > s->o.maxt_ns || !select_sees(s, h, r) || (number = h->number[r->stream->slot]) == SELECT_NONE ||
                is_read(c, number - 1))
                continue;
            add(c, number - 1, level_of(r->meta, r->nmeta), log_minute_of(r->t_ns), 1, r->line_bytes);
        }
    }
}

/* --- from rows ------------------------------------------------------------------------------------------------- */

static int count_rows(struct counting *c)
{
    struct log_cursor *cursor;
    struct log_rows rows;
    int rc = log_cursor_open(c->s, &cursor, c->e);

    while (rc == 0 && (rc = log_cursor_next(cursor, &rows, c->e)) == 0)
        for (uint32_t i = 0; i < rows.n; i++)
            if (is_read(c, rows.v[i].stream))
                add(c, rows.v[i].stream, level_of(rows.v[i].meta, rows.v[i].nmeta), log_minute_of(rows.v[i].t_ns), 1, rows.v[i].line.n);
    log_cursor_free(cursor);
    return rc < 0 ? rc : 0;
}

/* --- the answer -------------------------------------------------------------------------------------------------- */

static int by_minute(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    return (x->minute > y->minute) - (x->minute < y->minute);
}

static int by_level(const void *a, const void *b)
{
    const struct group *const *x = a, *const *y = b;

    return str_cmp((*x)->level, (*y)->level);
}

/* Points by minute, each minute once. */
static void settle(struct group *g)
{
    uint32_t n = 0;
    bool sorted = true;

    for (uint32_t i = 1; i < g->n && sorted; i++)
        sorted = g->v[i - 1].minute < g->v[i].minute;
    if (!sorted)
        qsort(g->v, g->n, sizeof *g->v, by_minute);
    for (uint32_t i = 0; i < g->n; i++)
        if (n && g->v[n - 1].minute == g->v[i].minute) {
            g->v[n - 1].rows += g->v[i].rows;
            g->v[n - 1].bytes += g->v[i].bytes;
        } else {
            g->v[n++] = g->v[i];
        }
    g->n = n;
}

static void put_stream(struct group *first, struct group **sorted, struct log_minutes *out)
{
    uint32_t n = 0;

    for (struct group *g = first; g; g = g->next)
        sorted[n++] = g;
    if (n > 1)
        qsort(sorted, n, sizeof(struct group *), by_level);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < sorted[i]->n; k++) {
            const struct point *p = &sorted[i]->v[k];
            out->v[out->n++] = (struct log_minute){sorted[i]->stream, sorted[i]->level, (p->minute + 1) * MINUTE_NS, p->rows, p->bytes};
        }
}

static void put_all(struct counting *c, struct log_minutes *out)
{
    struct group **sorted = x_alloc((c->ngroups + 1) * sizeof(struct group *));
    size_t n = 0;

    for (uint32_t i = 0; i < c->ngroups_cap; i++)
        for (struct group *g = c->groups[i]; g; g = g->next) {
            settle(g);
            n += g->n;
        }
    out->v = arena_array(c->a, struct log_minute, n);
    for (uint32_t i = 0; i < c->ngroups_cap; i++)
        put_stream(c->groups[i], sorted, out);
    free(sorted);
    out->nstreams = c->s->nstreams;
    out->streams = arena_array(c->a, struct labels, c->s->nstreams);
    for (uint32_t i = 0; i < c->s->nstreams; i++)
        out->streams[i] = labels_dup(c->a, &c->s->streams[i].labels);
}

static void drop_groups(struct counting *c)
{
    for (uint32_t i = 0; i < c->ngroups_cap; i++)
        for (struct group *g = c->groups[i]; g; g = g->next)
            free(g->v);
    free(c->groups);
    c->groups = NULL;
    c->ngroups_cap = c->ngroups = 0;
    c->last = NULL;
}

static int count_all(struct counting *c)
{
    bool read = c->read_all;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && !c->read_all && i < c->s->ndays; i++)
        rc = count_day(c, &c->s->days[i]);
    for (uint32_t k = 0; rc == 0 && !c->read_all && k < c->s->view.n; k++)
        count_head(c, &c->s->heads[k]);
    for (uint32_t i = 0; i < c->s->nstreams; i++)
        read |= c->s->streams[i].deletes;
    return rc == 0 && read ? count_rows(c) : rc;
}

/* Minutes that lie within (mint, maxt] as a whole. */
static void whole_minutes(int64_t mint_ns, int64_t maxt_ns, int64_t *from, int64_t *to)
{
    *from = mint_ns / MINUTE_NS + (mint_ns % MINUTE_NS > 0);
    *to = maxt_ns / MINUTE_NS - (maxt_ns % MINUTE_NS < 0);
}

int logstore_minutes(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns, struct arena *a,
                     const struct log_limits *limits, struct log_minutes *out, struct err *e)
{
    struct counting c = {.a = a, .limits = limits, .e = e};
    struct log_select_opts o = {.matchers = m, .nmatchers = nm, .lines = true, .meta = true};
    int rc;

    *out = (struct log_minutes){.from_ns = mint_ns, .to_ns = mint_ns};
    whole_minutes(mint_ns, maxt_ns, &c.from, &c.to);
    if (c.from >= c.to)
        return 0;
    out->from_ns = c.from * MINUTE_NS;
    out->to_ns = c.to * MINUTE_NS;
    o.mint_ns = out->from_ns + 1;
    o.maxt_ns = out->to_ns;
    if (limits)
        o.limits = *limits;
    if ((rc = select_open(ls, &o, true, &c.s, e)) < 0)
        return rc;
    rc = count_all(&c);
    if (rc == ERR_CORRUPT) {
        drop_groups(&c);
        c.read_all = true;
        rc = count_all(&c);
    }
    if (rc == 0)
        put_all(&c, out);
    drop_groups(&c);
    log_select_free(c.s);
    return rc;
}
