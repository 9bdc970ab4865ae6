/*
 * cursor_rollup.c - one series after the other as buckets: out of aggregates where a day has them, else summed up from its
 * samples on the way.
 *
 * (1) Days follow each other in time, so a series is put together from their ends: the one bucket that two days share (the
 *     sample at midnight belongs to the day before) becomes one.
 * (2) A day of a series is read from its samples, if they are there, where aggregates do not know it all: late samples that
 *     still lie in the head, deletions, values they cannot tell.
 * (3) Histograms come as stretches beside the buckets of floats, or among the newest samples. What lies between the first and
 *     the last of a stretch of gauges tells nothing of an increase: then, if they are there, samples are returned.
 */
#include "tsdb/day_file.h"
#include "tsdb/head_read.h"
#include "tsdb/rollup_read.h"
#include "tsdb/select.h"

#include <stdlib.h>

enum { TIMES = 4096 };

#define BIT(c) (1u << (c))

/* What must be read for what is asked. */
static const unsigned columns_of[TSDB_ROLLUPS] = {
    [TSDB_ROLLUP_THIN] = BIT(ROLLUP_LAST) | BIT(ROLLUP_STALE) | BIT(ROLLUP_H_LAST),
    [TSDB_ROLLUP_NEWEST] = BIT(ROLLUP_LAST) | BIT(ROLLUP_STALE) | BIT(ROLLUP_H_LAST),
    [TSDB_ROLLUP_LAST] = BIT(ROLLUP_LAST) | BIT(ROLLUP_H_LAST),
    [TSDB_ROLLUP_FIRST] = BIT(ROLLUP_FIRST) | BIT(ROLLUP_H_FIRST),
    [TSDB_ROLLUP_COUNT] = BIT(ROLLUP_COUNT),
    [TSDB_ROLLUP_SUM] = BIT(ROLLUP_SUM) | BIT(ROLLUP_H_SUM),
    [TSDB_ROLLUP_AVG] = BIT(ROLLUP_SUM) | BIT(ROLLUP_COUNT) | BIT(ROLLUP_H_SUM),
    [TSDB_ROLLUP_MIN] = BIT(ROLLUP_MIN),
    [TSDB_ROLLUP_MAX] = BIT(ROLLUP_MAX),
    [TSDB_ROLLUP_INCREASE] = BIT(ROLLUP_LAST) | BIT(ROLLUP_FIRST) | BIT(ROLLUP_COUNT) | BIT(ROLLUP_RESETS) |
                             BIT(ROLLUP_H_LAST) | BIT(ROLLUP_H_FIRST),
    [TSDB_ROLLUP_DELTA] =
        BIT(ROLLUP_LAST) | BIT(ROLLUP_FIRST) | BIT(ROLLUP_COUNT) | BIT(ROLLUP_H_LAST) | BIT(ROLLUP_H_FIRST),
};
/* Beside them, for windows that are laid over what buckets span, and for deletions: see buckets_delete. */
enum { EDGES = BIT(ROLLUP_LAST) | BIT(ROLLUP_FIRST) | BIT(ROLLUP_H_LAST) | BIT(ROLLUP_H_FIRST) };

/* The column that becomes tsdb_samples.v. */
static const enum rollup_column value_of[TSDB_ROLLUPS] = {
    [TSDB_ROLLUP_LAST] = ROLLUP_LAST, [TSDB_ROLLUP_FIRST] = ROLLUP_FIRST,   [TSDB_ROLLUP_COUNT] = ROLLUP_COUNT,
    [TSDB_ROLLUP_SUM] = ROLLUP_SUM,   [TSDB_ROLLUP_AVG] = ROLLUP_SUM,       [TSDB_ROLLUP_MIN] = ROLLUP_MIN,
    [TSDB_ROLLUP_MAX] = ROLLUP_MAX,   [TSDB_ROLLUP_INCREASE] = ROLLUP_LAST, [TSDB_ROLLUP_DELTA] = ROLLUP_LAST,
};

struct rollup_cursor {
    struct tsdb_select *s;
    unsigned columns;               /* to be read */
    int64_t every;                  /* of the buckets returned; 0: they stand beside samples (THIN) */
    struct rollup_reader **readers; /* of each day, made when needed */
    struct unpacker *unpacker;
    bool *broken;  /* of each day */
    uint32_t last; /* days before it may be read from aggregates */

    int64_t *ranges; /* what is deleted of the series at hand */
    struct buckets all, day;
    struct stretches hists, day_hists;
    struct tsdb_buckets out;
    struct tsdb_stretches out_hists;
    /* Samples and markers in one. */
    int64_t *t;
    double *v;
    const struct histogram **h;
    uint32_t n, cap;
    bool any_hist;        /* in h, which says nothing otherwise */
    struct arena samples; /* of those */
    struct {
        struct hash128 key;
        uint64_t id;
    } times[TIMES];
};

struct rollup_cursor *rollup_cursor_new(struct tsdb_select *s)
{
    struct rollup_cursor *r = x_zalloc(sizeof *r);

    r->s = s;
    r->every = s->rollup == TSDB_ROLLUP_THIN ? 0 : s->rollup_used.exact ? s->rollup_ms : ROLLUP_5M;
    r->columns = columns_of[s->rollup];
    if (s->rollup != TSDB_ROLLUP_THIN && !s->rollup_used.exact)
        r->columns |= EDGES;
    if (s->tombstones && s->rollup != TSDB_ROLLUP_THIN && s->rollup != TSDB_ROLLUP_NEWEST)
        r->columns |= EDGES;
    if (s->rollup_edges)
        r->columns |= BIT(ROLLUP_H_LAST) | BIT(ROLLUP_H_FIRST);
    r->readers = x_zalloc((s->ndays + (size_t)1) * sizeof(struct rollup_reader *));
    r->unpacker = unpacker_new();
    r->broken = x_zalloc(s->ndays + 1);
    for (uint32_t d = 0; d < s->ndays; d++)
        if (s->rollups[d].view)
            r->last = d + 1;
    return r;
}

void rollup_cursor_blocks(const struct rollup_cursor *r, uint64_t *read, uint64_t *all)
{
    for (uint32_t d = 0; d < r->s->ndays; d++)
        if (r->readers[d])
            rollup_reader_blocks(r->readers[d], read, all);
}

void rollup_cursor_free(struct rollup_cursor *r)
{
    if (!r)
        return;
    for (uint32_t d = 0; d < r->s->ndays; d++)
        rollup_reader_free(r->readers[d]);
    free(r->readers);
    unpacker_free(r->unpacker);
    free(r->broken);
    free(r->ranges);
    buckets_release(&r->all);
    buckets_release(&r->day);
    stretches_release(&r->hists);
    stretches_release(&r->day_hists);
    arena_release(&r->samples);
    free(r->t);
    free(r->v);
    free(r->h);
    free(r);
}

/* --- a day of aggregates ---------------------------------------------------------------------------------- */

static struct rollup_reader *reader_of(struct rollup_cursor *r, uint32_t d)
{
    const struct rollup_in *in = &r->s->rollups[d];
    int64_t mint = r->s->mint, maxt = r->s->maxt;

    if (r->readers[d])
        return r->readers[d];
    if (r->every && !r->s->rollup_used.exact) { /* buckets that the window only touches, too */
        mint = bucket_end(mint, in->about.every) - in->about.every + 1;
        maxt = bucket_end(maxt, in->about.every);
    }
    r->readers[d] = rollup_reader_new(in->view, &in->about, mint, maxt, r->unpacker);
    return r->readers[d];
}

static void keep_samples(struct rollup_cursor *r, const int64_t *t, const double *v, uint32_t n)
{
    if (n == 0)
        return;
    if (r->n + n > r->cap) {
        r->cap = MAX(r->n + n, r->cap ? r->cap * 2 : 1024u);
        r->t = x_realloc(r->t, r->cap * sizeof *r->t);
        r->v = x_realloc(r->v, r->cap * sizeof *r->v);
        r->h = x_realloc(r->h, r->cap * sizeof *r->h);
    }
    memcpy(r->t + r->n, t, n * sizeof *t);
    memcpy(r->v + r->n, v, n * sizeof *v);
    if (r->any_hist)
        memset(r->h + r->n, 0, n * sizeof *r->h);
    r->n += n;
}

static void keep_hist(struct rollup_cursor *r, int64_t t, const struct histogram *h)
{
    double zero = 0;

    keep_samples(r, &t, &zero, 1);
    if (!r->any_hist)
        memset(r->h, 0, r->n * sizeof *r->h);
    r->any_hist = true;
    r->h[r->n - 1] = h;
}

/* The last floats of each bucket and the markers up to the time `until`, in order of time, behind what is kept. */
static void keep_floats(struct rollup_cursor *r, const struct bucket_run *b, uint32_t *at, uint32_t *stale,
                        int64_t until)
{
    static const uint64_t stale_bits = STALE_NAN_BITS;
    uint32_t to = *at;
    double marker;

    memcpy(&marker, &stale_bits, sizeof marker);
    for (; *stale < b->nstale && b->t_stale[*stale] < until; ++*stale) {
        while (to < b->n && b->t_last[to] < b->t_stale[*stale])
            to++;
        keep_samples(r, b->t_last + *at, b->v[ROLLUP_LAST] + *at, to - *at);
        keep_samples(r, &b->t_stale[*stale], &marker, 1);
        *at = to;
    }
    if (until == INT64_MAX)
        to = b->n;
    while (to < b->n && b->t_last[to] < until)
        to++;
    if (to > *at)
        keep_samples(r, b->t_last + *at, b->v[ROLLUP_LAST] + *at, to - *at);
    *at = to;
}

/* The last of each bucket or stretch and the markers. */
static void keep_newest(struct rollup_cursor *r, const struct bucket_run *b, const struct stretch_run *h)
{
    uint32_t at = 0, stale = 0;

    for (uint32_t k = 0; k < h->n; k++) {
        keep_floats(r, b, &at, &stale, h->t_last[k]);
        keep_hist(r, h->t_last[k], h->last[k]);
    }
    keep_floats(r, b, &at, &stale, INT64_MAX);
}

/* Without what is deleted. */
static void delete_from(struct rollup_cursor *r, uint32_t nranges, struct bucket_run *run, struct stretch_run *h)
{
    buckets_reset(&r->day, run->every, r->columns & ROLLUP_ALL);
    buckets_append(&r->day, run);
    buckets_delete(&r->day, r->ranges, nranges);
    *run = buckets_run(&r->day);
    stretches_reset(&r->day_hists, run->every, r->columns);
    stretches_append(&r->day_hists, h);
    stretches_delete(&r->day_hists, r->ranges, nranges);
    *h = stretches_run(&r->day_hists);
}

/* Day d of a series out of aggregates. >0: they do not know it. */
static int add_day(struct rollup_cursor *r, uint32_t d, uint32_t sid, uint32_t nranges, struct err *e)
{
    struct rollup_reader *from = reader_of(r, d);
    struct bucket_run run;
    struct stretch_run hists = {0};
    struct err why = {0};
    int rc = rollup_reader_get(from, sid, r->columns & ~(unsigned)ROLLUP_HISTS, &run, &why), of_hists = 1;

    if (rc >= 0)
        of_hists = rollup_reader_hists(from, sid, r->columns, &hists, &why);
    if (rc < 0 || of_hists < 0) {
        if (why.code == ERR_CORRUPT && select_has_samples(r->s, d)) {
            partition_damaged(r->s->rollups[d].p, &why);
            r->broken[d] = true;
            return 1;
        }
        if (e)
            *e = why;
        return why.code;
    }
    if (rc > 0 && of_hists > 0)
        return 1;
    if (nranges)
        delete_from(r, nranges, &run, &hists);
    if (!r->every) {
        keep_newest(r, &run, &hists);
    } else {
        buckets_append(&r->all, &run);
        stretches_append(&r->hists, &hists);
    }
    return 0;
}

/* --- a stretch of samples --------------------------------------------------------------------------------- */

static void keep_all(struct rollup_cursor *r, const struct tsdb_samples *s)
{
    for (uint32_t i = 0; s->h && i < s->n; i++)
        if (s->h[i])
            keep_hist(r, s->t[i], hist_dup(&r->samples, s->h[i]));
        else
            keep_samples(r, s->t + i, s->v + i, 1);
    if (!s->h)
        keep_samples(r, s->t, s->v, s->n);
}

/* >0: not to be told by aggregates. */
static int add_samples(struct rollup_cursor *r, struct tsdb_cursor *c, uint32_t i, int64_t mint, int64_t maxt,
                       struct err *e)
{
    struct tsdb_samples s = {0};
    int rc = cursor_samples(c, i, mint, maxt, &s, e);

    if (rc < 0 || s.n == 0)
        return rc;
    if (!r->every)
        keep_all(r, &s);
    else if (s.h)
        return !stretches_add(&r->hists, &r->all, s.t, s.v, s.h, s.n);
    else
        return !buckets_add(&r->all, s.t, s.v, s.n);
    return 0;
}

/* Is day d of the series to be read from aggregates (2)? */
static bool from_aggregates(const struct rollup_cursor *r, uint32_t d, uint32_t i, uint32_t nranges, bool late)
{
    const struct tsdb_select *s = r->s;
    int64_t from = day_start_ms(s->day_numbers[d]), to = from + 86400000 - 1;

    if (!s->rollups[d].view || r->broken[d])
        return false;
    if (!select_has_samples(s, d))
        return true;
    for (uint32_t k = 0; k < nranges; k++)
        if (r->ranges[2 * k] <= to && r->ranges[2 * k + 1] >= from)
            return false;
    return !late || !head_overlaps(s->heads[i], s->dropped, from, to);
}

/* The whole window, day by day. >0: to be returned as samples. */
static int put_together(struct rollup_cursor *r, struct tsdb_cursor *c, uint32_t i, uint32_t nranges, struct err *e)
{
    const struct tsdb_select *s = r->s;
    int64_t at = s->mint;
    bool late = r->last && s->heads[i] &&
                head_overlaps(s->heads[i], s->dropped, s->mint, day_start_ms(s->day_numbers[r->last - 1] + 1) - 1);
    int rc = 0;

    for (uint32_t d = 0; d < r->last; d++) {
        int64_t from = MAX(s->mint, day_start_ms(s->day_numbers[d])),
                to = MIN(s->maxt, day_start_ms(s->day_numbers[d] + 1) - 1);
        uint32_t sid = s->sids[(size_t)i * s->ndays + d];

        if (!from_aggregates(r, d, i, nranges, late))
            continue;
        if (at < from && (rc = add_samples(r, c, i, at, from - 1, e)) != 0)
            return rc;
        at = from;
        rc = sid == DAY_NO_SID ? 0 : add_day(r, d, sid, nranges, e);
        if (rc < 0)
            return rc;
        if (rc > 0 && select_has_samples(s, d))
            continue; /* with the samples that follow */
        at = to + 1;
    }
    return at <= s->maxt ? add_samples(r, c, i, at, s->maxt, e) : 0;
}

/* --- out ---------------------------------------------------------------------------------------------------- */

static uint64_t times_id(struct rollup_cursor *r, struct tsdb_cursor *c, const struct tsdb_samples *s)
{
    struct hash128 key = hash128(s->t, s->n * sizeof *s->t), more;

    if (s->b && s->b->t_first) {
        more = hash128(s->b->t_first, s->n * sizeof *s->b->t_first);
        key.lo = key.lo * 31 + more.lo;
        key.hi = key.hi * 31 + more.hi;
    }
    if (s->b && s->b->count) {
        more = hash128(s->b->count, s->n * sizeof *s->b->count);
        key.lo = key.lo * 37 + more.lo;
        key.hi = key.hi * 37 + more.hi;
    }
    if (!r->times[key.lo % TIMES].id || !hash128_eq(r->times[key.lo % TIMES].key, key)) {
        r->times[key.lo % TIMES].key = key;
        r->times[key.lo % TIMES].id = cursor_new_id(c);
    }
    return r->times[key.lo % TIMES].id;
}

static void hand_out_hists(struct rollup_cursor *r)
{
    struct stretch_run h = stretches_run(&r->hists);

    r->out_hists = (struct tsdb_stretches){.n = h.n,
                                           .t_last = h.t_last,
                                           .t_first = r->columns & BIT(ROLLUP_H_FIRST) ? h.t_first : NULL,
                                           .count = h.count,
                                           .hint = h.hint,
                                           .last = h.last,
                                           .first = h.first,
                                           .sum = h.sum};
    r->out.hists = &r->out_hists;
}

static void hand_out(struct rollup_cursor *r, struct tsdb_cursor *c, uint32_t i, struct tsdb_samples *out)
{
    enum tsdb_rollup what = r->s->rollup;
    const struct buckets *b = &r->all;

    bool several = what == TSDB_ROLLUP_NEWEST && (b->nstale || r->hists.n);

    if (several) {
        struct bucket_run run = buckets_run(b);
        struct stretch_run hists = stretches_run(&r->hists);

        keep_newest(r, &run, &hists);
    }
    *out = (struct tsdb_samples){.index = i, .n = b->n, .t = b->t_last, .v = b->v[ROLLUP_LAST]};
    if (what == TSDB_ROLLUP_THIN || several) {
        out->n = r->n;
        out->t = r->t;
        out->v = r->v;
        out->h = r->any_hist ? r->h : NULL;
    } else if (what != TSDB_ROLLUP_NEWEST) {
        out->v = b->v[value_of[what]];
        if (what == TSDB_ROLLUP_FIRST && (b->columns & BIT(ROLLUP_FIRST)))
            out->t = b->t_first;
        r->out = (struct tsdb_buckets){
            .t_first = b->columns & BIT(ROLLUP_FIRST) ? b->t_first : NULL,
            .first = b->columns & BIT(ROLLUP_FIRST) ? b->v[ROLLUP_FIRST] : NULL,
            .count = b->columns & BIT(ROLLUP_COUNT) ? b->v[ROLLUP_COUNT] : NULL,
            .resets = b->any_resets && b->columns & BIT(ROLLUP_RESETS) ? b->v[ROLLUP_RESETS] : NULL,
        };
        if (r->hists.n)
            hand_out_hists(r);
        out->b = &r->out;
    }
    if (out->n)
        out->times_id = times_id(r, c, out);
}

int rollup_cursor_read(struct rollup_cursor *r, struct tsdb_cursor *c, uint32_t i, struct tsdb_samples *out,
                       struct err *e)
{
    int64_t *ranges = NULL;
    uint32_t nranges = 0;
    int rc = 0;

    if (r->every)
        buckets_reset(&r->all, r->every, r->columns | BIT(ROLLUP_LAST));
    else
        buckets_reset(&r->all, ROLLUP_5M, BIT(ROLLUP_LAST));
    stretches_reset(&r->hists, r->every ? r->every : ROLLUP_5M, r->columns);
    arena_reset(&r->samples);
    r->any_hist = false;
    r->n = 0;
    if (r->s->tombstones)
        rc = cursor_deleted(c, i, &ranges, &nranges, e);
    if (rc == 0 && nranges) { /* the cursor's arena is emptied with its next samples */
        r->ranges = x_realloc(r->ranges, nranges * 2 * sizeof *r->ranges);
        memcpy(r->ranges, ranges, nranges * 2 * sizeof *r->ranges);
    }
    if (rc == 0)
        rc = put_together(r, c, i, nranges, e);
    if (rc == 0 && r->hists.gauges && r->s->rollup == TSDB_ROLLUP_INCREASE &&
        r->s->rollup_used.missing_until == INT64_MIN)
        rc = 1; /* (3) */
    if (rc > 0)
        return cursor_samples(c, i, r->s->mint, r->s->maxt, out, e);
    if (rc == 0)
        hand_out(r, c, i, out);
    return rc;
}
