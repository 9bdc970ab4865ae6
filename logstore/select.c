/*
 * select.c - opening a select: which streams, and where their rows are. See select.h.
 *
 * (1) A row is in one place of a select: a day's view, or the head where no view contains its gen, and late rows of the head are
 * looked up in the view first (late.c). (2) Nothing is decoded here but directories. (3) What is damaged costs a warning and its own
 * rows.
 */
#include "logstore/select.h"

#include <assert.h>
#include <stdlib.h>

enum { WARNINGS_MAX = 16, HEAD_UNIT_ROWS = 4096 };

/* --- streams ------------------------------------------------------------------------------------------------ */

static void put_slot(struct log_select *s, uint32_t number)
{
    uint32_t at = (uint32_t)s->streams[number].id.lo & s->mask;

    while (s->table[at])
        at = (at + 1) & s->mask;
    s->table[at] = number + 1;
}

static void grow(struct log_select *s)
{
    s->mask = s->mask ? s->mask * 2 + 1 : 63;
    free(s->table);
    s->table = x_zalloc((s->mask + 1) * sizeof *s->table);
    for (uint32_t i = 0; i < s->nstreams; i++)
        put_slot(s, i);
}

static bool is_value(const struct log_hint *h, struct str v)
{
    for (uint32_t i = 0; i < h->nvalues; i++)
        if (str_eq(h->values[i], v))
            return true;
    return false;
}

static uint64_t hints_passed(const struct log_select *s, const struct labels *ls)
{
    uint64_t mask = 0;

    for (uint32_t i = 0; i < MIN(s->o.nhints, (uint32_t)SELECT_HINTS_MAX); i++) {
        const struct log_hint *h = &s->o.hints[i];

        if (!log_hint_of_line(h->kind) && is_value(h, labels_get(ls, h->name)))
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

/* The number of the stream in the select, + 1. */
static uint32_t meet(struct log_select *s, struct hash128 id, const struct labels *ls)
{
    if (s->table)
        for (uint32_t at = (uint32_t)id.lo & s->mask; s->table[at]; at = (at + 1) & s->mask)
            if (hash128_eq(s->streams[s->table[at] - 1].id, id))
                return s->table[at];
    if (s->nstreams == s->streams_cap) {
        s->streams_cap = s->streams_cap ? s->streams_cap * 2 : 32;
        s->streams = x_realloc(s->streams, s->streams_cap * sizeof *s->streams);
    }
    s->streams[s->nstreams] = (struct select_stream){.labels = *ls, .id = id, .passes = hints_passed(s, ls)};
    s->streams[s->nstreams].deletes = s->deletes && log_delete_touches(s->deletes, ls, s->o.mint_ns, s->o.maxt_ns);
    s->nstreams++;
    if (!s->table || s->nstreams * 2 > s->mask)
        grow(s);
    else
        put_slot(s, s->nstreams - 1);
    return s->nstreams;
}

/* --- days ---------------------------------------------------------------------------------------------------- */

void log_select_warn(struct log_select *s, struct partition *p, const struct err *e)
{
    if (p && e->code == ERR_CORRUPT)
        partition_damaged(p, e);
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i < s->nwarnings; i++)
        if (str_eqz(s->warnings[i], e->text)) {
            pthread_mutex_unlock(&s->mu);
            return;
        }
    if (s->nwarnings < WARNINGS_MAX) {
        if (!s->warnings)
            s->warnings = arena_array(&s->arena, struct str, WARNINGS_MAX);
        s->warnings[s->nwarnings++] = arena_dup(&s->arena, str_of(e->text));
    }
    pthread_mutex_unlock(&s->mu);
}

static int match_day(struct log_select *s, struct select_day *d, struct err *e)
{
    uint32_t n = log_day_nstreams(d->view);
    const struct labels *ls;

    d->number = x_zalloc((n + 1) * sizeof *d->number);
    for (uint32_t i = 0; i < n; i++) {
        int rc = log_day_stream(d->view, i, &ls, NULL, e);
        if (rc < 0)
            return rc;
        if (matchers_match(s->o.matchers, s->o.nmatchers, ls))
            d->number[i] = SELECT_MATCHES;
    }
    return 0;
}

static void close_day(struct select_day *d)
{
    free(d->number);
    log_day_view_close(d->view);
}

/* Opening goes through all streams of all days: who asks may stop it between two of them. */
static int may_go_on(struct log_select *s, struct err *e)
{
    return s->o.limits.check ? s->o.limits.check(s->o.limits.arg, 0, 0, e) : 0;
}

static int open_days(struct log_select *s, struct err *stop)
{
    struct partition_list l;
    int rc = 0;

    store_partitions(s->ls->store, LOGSTORE_SIGNAL, ms_of_ns(s->o.mint_ns), ms_of_ns(s->o.maxt_ns), &l);
    s->days = x_zalloc((l.n + 1) * sizeof *s->days);
    for (uint32_t i = 0; i < l.n && (rc = may_go_on(s, stop)) == 0; i++) {
        struct select_day *d = &s->days[s->ndays];
        int32_t day = partition_day(l.v[i]);
        struct err e = {0};
        *d = (struct select_day){.mint_ns = ns_of_ms(day_start_ms(day)), .maxt_ns = ns_of_ms(day_start_ms(day + 1)) - 1};
        if (log_day_view_open(l.v[i], &d->view, &e) == 0 && match_day(s, d, &e) == 0) {
            s->ndays++;
            continue;
        }
        log_select_warn(s, l.v[i], &e);
        close_day(d);
    }
    partition_list_release(&l);
    return rc;
}

/* --- the head ------------------------------------------------------------------------------------------------- */

bool select_sees(const struct log_select *s, const struct select_head *h, const struct log_head_row *r)
{
    (void)s;
    if (atomic_load_explicit(&r->state, memory_order_relaxed) == ROW_DEAD)
        return false;
    for (uint32_t i = 0; i < h->ngone; i++)
        if (r->t_ns >= h->gone[i][0] && r->t_ns <= h->gone[i][1])
            return false;
    return true;
}

/* Late rows of the piece that lie in the day. */
static uint32_t late_in(const struct log_select *s, const struct select_day *d, const struct select_head *h, struct log_piece *p, struct log_late **v,
                        uint32_t n, uint32_t *cap, const uint32_t *sid_of)
{
    for (uint32_t i = 0; i < p->nrows; i++) {
        struct log_head_row *r = &p->rows[i];
        if (r->t_ns < d->mint_ns || r->t_ns > d->maxt_ns || atomic_load_explicit(&r->state, memory_order_relaxed) != ROW_LATE || !select_sees(s, h, r))
            continue;
        if (n == *cap) {
            *cap = *cap ? *cap * 2 : 256;
            *v = x_realloc(*v, *cap * sizeof **v);
        }
        (*v)[n++] = (struct log_late){r, sid_of[r->stream->slot]};
    }
    return n;
}

/* The day's sid of each stream of the head, by slot. The caller frees it. */
static uint32_t *sids_of(struct log_select *s, const struct select_day *d, struct err *e)
{
    uint32_t *sid_of = x_alloc((s->view.nslots + 1) * sizeof *sid_of), mask = 63;
    const struct log_stream **table;

    memset(sid_of, 0xff, (s->view.nslots + 1) * sizeof *sid_of);
    for (uint32_t k = 0; k < s->view.n; k++)
        while (mask < s->view.v[k].nstreams * 4)
            mask = mask * 2 + 1;
    table = x_zalloc((mask + 1) * sizeof(struct log_stream *));
    for (uint32_t k = 0; k < s->view.n; k++)
        for (uint32_t i = 0; i < s->view.v[k].nstreams; i++) {
            const struct log_stream *st = s->view.v[k].streams[i];
            uint32_t at = (uint32_t)st->id.lo & mask;
            while (table[at] && table[at] != st)
                at = (at + 1) & mask;
            table[at] = st;
        }
    for (uint32_t sid = 0; sid < log_day_nstreams(d->view); sid++) {
        const struct labels *ls;
        struct hash128 id;
        if (log_day_stream(d->view, sid, &ls, &id, e) < 0)
            break; /* match_day has read them all */
        for (uint32_t at = (uint32_t)id.lo & mask; table[at]; at = (at + 1) & mask)
            if (hash128_eq(table[at]->id, id))
                sid_of[table[at]->slot] = sid;
    }
    free(table);
    return sid_of;
}

/* Where to begin looking for late rows: mostly there are none, and many pieces. */
static struct log_piece *first_late(const struct log_head_part *part)
{
    return atomic_load_explicit(&part->gen->any_late, memory_order_relaxed) ? part->newest : NULL;
}

static bool any_late(const struct log_select *s, const struct select_day *d)
{
    for (uint32_t k = 0; k < s->view.n; k++)
        for (const struct log_piece *p = first_late(&s->view.v[k]); p; p = p->prev)
            if (atomic_load_explicit(&p->any_late, memory_order_relaxed) && p->mint <= d->maxt_ns && p->maxt >= d->mint_ns)
                return true;
    return false;
}

/* Rows of the head that the day may have: it is looked up, for all who come later too. */
static void settle_day(struct log_select *s, const struct select_day *d)
{
    struct log_late *v = NULL;
    uint32_t n = 0, cap = 0, *sid_of;
    struct err e = {0};

    if (!any_late(s, d))
        return;
    sid_of = sids_of(s, d, &e);
    for (uint32_t k = 0; k < s->view.n; k++)
        for (struct log_piece *p = s->view.v[k].newest; p; p = p->prev)
            if (atomic_load_explicit(&p->any_late, memory_order_relaxed) && p->mint <= d->maxt_ns && p->maxt >= d->mint_ns)
                n = late_in(s, d, &s->heads[k], p, &v, n, &cap, sid_of);
    if (log_late_settle(d->view, v, n, &e) < 0)
        log_select_warn(s, log_day_view_partition(d->view), &e);
    free(sid_of);
    free(v);
}

static bool is_settled(const struct log_piece *p)
{
    for (uint32_t i = 0; i < p->nrows; i++)
        if (atomic_load_explicit(&p->rows[i].state, memory_order_relaxed) == ROW_LATE)
            return false;
    return true;
}

static void settle_late(struct log_select *s)
{
    for (uint32_t i = 0; i < s->ndays; i++)
        settle_day(s, &s->days[i]);
    for (uint32_t k = 0; k < s->view.n; k++)
        for (struct log_piece *p = first_late(&s->view.v[k]); p; p = p->prev)
            if (atomic_load_explicit(&p->any_late, memory_order_relaxed) && p->mint <= s->o.maxt_ns && p->maxt >= s->o.mint_ns && is_settled(p))
                atomic_store_explicit(&p->any_late, false, memory_order_relaxed);
}

/* Which of the head's rows do days have by now? */
static void note_gone(struct log_select *s)
{
    for (uint32_t k = 0; k < s->view.n; k++) {
        struct select_head *h = &s->heads[k];
        uint64_t seq = atomic_load(&s->view.v[k].gen->seq);
        h->part = s->view.v[k];
        h->gone = x_alloc((s->ndays + 1) * sizeof *h->gone);
        for (uint32_t i = 0; i < s->ndays && seq; i++)
            if (log_day_view_contained(s->days[i].view) >= seq) {
                h->gone[h->ngone][0] = s->days[i].mint_ns;
                h->gone[h->ngone++][1] = s->days[i].maxt_ns;
            }
    }
}

static void match_head(struct log_select *s)
{
    for (uint32_t k = 0; k < s->view.n; k++) {
        struct select_head *h = &s->heads[k];
        h->number = x_zalloc((s->view.nslots + 1) * sizeof *h->number);
        if (h->part.mint > s->o.maxt_ns || h->part.maxt < s->o.mint_ns)
            continue;
        for (uint32_t i = 0; i < h->part.nstreams; i++) {
            const struct log_stream *st = h->part.streams[i];
            if (matchers_match(s->o.matchers, s->o.nmatchers, &st->labels))
                h->number[st->slot] = meet(s, st->id, &st->labels);
        }
    }
}

/* --- units -------------------------------------------------------------------------------------------------------- */

static struct select_unit *add_unit(struct log_select *s, uint32_t *cap)
{
    if (s->nunits == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        s->units = x_realloc(s->units, *cap * sizeof *s->units);
    }
    s->units[s->nunits] = (struct select_unit){.mint_ns = INT64_MAX, .maxt_ns = INT64_MIN, .order = s->nunits, .day = -1};
    return &s->units[s->nunits++];
}

/* Numbers the streams of the slice that have rows in the window. Returns whether there are any. */
static int number_streams(struct log_select *s, struct select_day *d, const struct log_slice_dir *dir, bool *any, struct err *e)
{
    *any = false;
    for (uint32_t i = 0; i < dir->nstreams; i++) {
        const struct log_slice_stream *x = &dir->streams[i];
        const struct labels *ls;
        struct hash128 id;
        int rc;
        if (x->sid >= log_day_nstreams(d->view))
            return err_set(e, ERR_CORRUPT, "partition %s: a slice names stream %u", partition_path(log_day_view_partition(d->view)), x->sid);
        if (d->number[x->sid] == SELECT_NONE || x->maxt_ns < s->o.mint_ns || x->mint_ns > s->o.maxt_ns)
            continue;
        *any = true;
        if (d->number[x->sid] != SELECT_MATCHES)
            continue;
        if ((rc = log_day_stream(d->view, x->sid, &ls, &id, e)) < 0)
            return rc;
        d->number[x->sid] = meet(s, id, ls);
    }
    return 0;
}

/* The block's rows that may matter: what times its matching streams have in it. */
static bool block_span(const struct log_select *s, const struct select_day *d, const struct log_slice_dir *dir, uint32_t b, int64_t *mint, int64_t *maxt)
{
    uint32_t from, to;

    *mint = INT64_MAX;
    *maxt = INT64_MIN;
    if (dir->blocks[b].maxt_ns < s->o.mint_ns || dir->blocks[b].mint_ns > s->o.maxt_ns)
        return false;
    log_slice_streams(dir, b, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        const struct log_slice_stream *x = &dir->streams[i];
        if (d->number[x->sid] == SELECT_NONE)
            continue;
        *mint = MIN(*mint, MAX(x->mint_ns, dir->blocks[b].mint_ns));
        *maxt = MAX(*maxt, MIN(x->maxt_ns, dir->blocks[b].maxt_ns));
    }
    *mint = MAX(*mint, s->o.mint_ns);
    *maxt = MIN(*maxt, s->o.maxt_ns);
    return *mint <= *maxt;
}

static int slice_units(struct log_select *s, uint32_t day, uint32_t slice, bool units, uint32_t *cap, struct err *e)
{
    struct select_day *d = &s->days[day];
    const struct log_slice_dir *dir;
    int64_t mint, maxt;
    bool any;
    int rc;

    if ((rc = log_day_slice_dir(d->view, slice, &dir, e)) < 0 || (rc = number_streams(s, d, dir, &any, e)) < 0)
        return rc;
    for (uint32_t b = 0; b < dir->nblocks && any && units; b++)
        if (block_span(s, d, dir, b, &mint, &maxt)) {
            struct select_unit *u = add_unit(s, cap);
            u->mint_ns = mint;
            u->maxt_ns = maxt;
            u->day = (int32_t)day;
            u->slice = slice;
            u->block = b;
        }
    return 0;
}

static void day_units(struct log_select *s, uint32_t day, bool units, uint32_t *cap)
{
    struct log_day_view *v = s->days[day].view;
    struct err e = {0};

    for (uint32_t i = 0; i < log_day_nslices(v); i++) {
        const struct log_slice *x = log_day_slice(v, i);
        if (x->maxt_ns >= s->o.mint_ns && x->mint_ns <= s->o.maxt_ns && slice_units(s, day, i, units, cap, &e) < 0)
            log_select_warn(s, log_day_view_partition(v), &e);
    }
}

/* Some thousand rows each: pieces that were committed one behind the other. */
static void head_units(struct log_select *s, uint32_t k, uint32_t *cap)
{
    struct select_unit *u = NULL;
    uint32_t rows = 0, first = s->nunits, n;

    for (struct log_piece *p = s->heads[k].part.newest; p; p = p->prev) {
        if (!u || rows >= HEAD_UNIT_ROWS) {
            u = add_unit(s, cap);
            u->head = (uint8_t)k;
            u->newest = p;
            rows = 0;
        }
        u->npieces++;
        rows += p->nrows;
        u->mint_ns = MIN(u->mint_ns, p->mint);
        u->maxt_ns = MAX(u->maxt_ns, p->maxt);
    }
    n = s->nunits - first;
    for (uint32_t i = 0; i < n; i++) /* they were found newest first */
        s->units[first + i].order = first + n - 1 - i;
}

static int newest_first(const void *a, const void *b)
{
    const struct select_unit *x = a, *y = b;

    if (x->maxt_ns != y->maxt_ns)
        return x->maxt_ns > y->maxt_ns ? -1 : 1;
    return x->order > y->order ? -1 : 1;
}

static int oldest_first(const void *a, const void *b)
{
    const struct select_unit *x = a, *y = b;

    if (x->mint_ns != y->mint_ns)
        return x->mint_ns < y->mint_ns ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int make_units(struct log_select *s, bool units, struct err *e)
{
    uint32_t cap = 0;
    int rc = 0;

    for (uint32_t i = 0; i < s->ndays && (rc = may_go_on(s, e)) == 0; i++)
        day_units(s, i, units, &cap);
    if (rc < 0)
        return rc;
    match_head(s);
    if (!units)
        return 0;
    for (uint32_t k = 0; k < s->view.n; k++)
        if (s->heads[k].part.mint <= s->o.maxt_ns && s->heads[k].part.maxt >= s->o.mint_ns)
            head_units(s, k, &cap);
    if (s->nunits)
        qsort(s->units, s->nunits, sizeof *s->units, s->o.backward ? newest_first : oldest_first);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

int select_open(struct logstore *ls, const struct log_select_opts *o, bool units, struct log_select **out, struct err *e)
{
    struct log_select *s = x_zalloc(sizeof *s);
    int rc;

    s->ls = ls;
    s->o = *o;
    if (s->o.whole) {
        s->o.nhints = 0;
        s->o.parser = LOG_PARSER_NONE;
    }
    s->o.nhints = MIN(s->o.nhints, (uint32_t)SELECT_HINTS_MAX);
    s->bound_ns = o->backward ? INT64_MIN : INT64_MAX;
    pthread_mutex_init(&s->mu, NULL);
    s->deletes = log_deletes_in(ls->deletes, o->mint_ns, o->maxt_ns);
    log_head_view_open(&ls->head, &s->view);
    rc = open_days(s, e);
    note_gone(s);
    if (rc == 0) {
        settle_late(s);
        rc = make_units(s, units, e);
    }
    if (rc < 0) {
        log_select_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int logstore_select(struct logstore *ls, const struct log_select_opts *o, struct log_select **out, struct err *e)
{
    return select_open(ls, o, true, out, e);
}

void log_select_free(struct log_select *s)
{
    if (!s)
        return;
    assert(!s->cursors);
    for (uint32_t i = 0; i < s->ndays; i++)
        close_day(&s->days[i]);
    for (uint32_t i = 0; i < s->view.n; i++) {
        free(s->heads[i].number);
        free(s->heads[i].gone);
    }
    log_head_view_close(&s->ls->head, &s->view);
    log_delete_set_unref(s->deletes);
    free(s->days);
    free(s->streams);
    free(s->table);
    free(s->units);
    arena_release(&s->arena);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

uint32_t log_select_nstreams(const struct log_select *s)
{
    return s->nstreams;
}

const struct labels *log_select_labels(const struct log_select *s, uint32_t stream)
{
    assert(stream < s->nstreams);
    return &s->streams[stream].labels;
}

void log_select_bound(struct log_select *s, int64_t t_ns)
{
    int64_t was = atomic_load(&s->bound_ns);

    while ((s->o.backward ? t_ns > was : t_ns < was) && !atomic_compare_exchange_weak(&s->bound_ns, &was, t_ns))
        ;
}

uint32_t log_select_warnings(struct log_select *s, struct arena *a, struct str **out)
{
    uint32_t n;

    pthread_mutex_lock(&s->mu);
    n = s->nwarnings;
    *out = arena_array(a, struct str, n);
    for (uint32_t i = 0; i < n; i++)
        (*out)[i] = arena_dup(a, s->warnings[i]);
    pthread_mutex_unlock(&s->mu);
    return n;
}

void log_select_stats(struct log_select *s, struct log_select_stats *out)
{
    *out = (struct log_select_stats){
        .streams = s->nstreams,
        .blocks_read = s->blocks_read,
        .blocks_skipped = s->blocks_skipped,
        .rows = s->rows,
        .bytes_read = s->bytes_read,
        .bytes_raw = s->bytes_raw,
    };
}
