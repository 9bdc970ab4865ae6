/*
 * rollup.h - aggregates of samples over 5 minutes and over an hour: what queries over long times read instead.
 *
 * A bucket of a series at resolution R is what lies in (kR - R, kR]: open on the left as PromQL's windows are, so windows
 * whose ends are multiples of R are whole buckets. Buckets are columns, in order of time; a bucket without a sample is not
 * there. It is named by its newest sample: t_last tells which one it is.
 *
 * Staleness markers are not samples of a bucket. One that is the newest of its bucket is listed beside (t_stale): only
 * there can it end a value that somebody looks for at the end of a bucket.
 */
#ifndef TSDB_ROLLUP_H
#define TSDB_ROLLUP_H

#include "base/base.h"

enum { ROLLUP_5M = 5 * 60 * 1000, ROLLUP_1H = 60 * 60 * 1000 };

/* The columns, in the order in which they stand in a file. */
enum rollup_column {
    ROLLUP_LAST,  /* beside t_last */
    ROLLUP_FIRST, /* beside t_first */
    ROLLUP_COUNT,
    ROLLUP_SUM,
    ROLLUP_MIN, /* NaN only where there is nothing else */
    ROLLUP_MAX,
    /* What the falls within the bucket hide: the value before each, added up. last - first + resets is the increase. */
    ROLLUP_RESETS,
    ROLLUP_STALE, /* markers, beside t_stale; not in struct buckets.v, nor is what follows: native histograms (rollup_hist.h) */
    ROLLUP_H_LAST,  /* beside the times of their last ones, as the others but the next */
    ROLLUP_H_FIRST, /* beside the times of their first ones */
    ROLLUP_H_COUNT, /* times 4, and the hint of the first */
    ROLLUP_H_SUM,
    ROLLUP_COLUMNS
};
/* Those of histograms. */
enum { ROLLUP_HISTS = 1 << ROLLUP_H_LAST | 1 << ROLLUP_H_FIRST | 1 << ROLLUP_H_COUNT | 1 << ROLLUP_H_SUM };

struct buckets {
    int64_t every;
    unsigned columns; /* bits: which of v hold something; LAST is always among them */
    uint32_t n, cap;
    int64_t *t_last, *t_first;
    double *v[ROLLUP_STALE];
    uint32_t nstale, stale_cap;
    int64_t *t_stale;
    /* Since the last reset. */
    bool any_resets;
};
enum { ROLLUP_ALL = (1 << ROLLUP_STALE) - 1 };
void buckets_reset(struct buckets *b, int64_t every, unsigned columns); /* empty, keeps the memory */
void buckets_release(struct buckets *b);

/* The end of the bucket that t lies in. */
static inline int64_t bucket_end(int64_t t, int64_t every)
{
    int64_t over = t % every;

    return over > 0 ? t - over + every : t - over;
}

/*
 * Samples behind all that b holds, in order of time. False: they cannot be told by aggregates (a sum that overflows, of
 * which a mean could not be made), and b is of no use any more.
 */
bool buckets_add(struct buckets *b, const int64_t *t, const double *v, uint32_t n);
/* A marker that is the newest of its bucket, behind the others. */
void buckets_add_stale(struct buckets *b, int64_t t);

/*
 * Buckets of the same or a finer resolution, behind all that b holds. Where the first of them belongs to the last bucket
 * of b (a day ends on the boundary), the two become one. Only the columns of b need to be there; a NULL one is all zero.
 * ROLLUP_RESETS needs FIRST too.
 */
struct bucket_run {
    int64_t every;
    uint32_t n, nstale;
    const int64_t *t_last, *t_first, *t_stale; /* t_first may be NULL where FIRST is not wanted */
    const double *v[ROLLUP_STALE];
};
void buckets_append(struct buckets *b, const struct bucket_run *from);
struct bucket_run buckets_run(const struct buckets *b);

/* Takes out what lies in one of the ranges (pairs from, to; closed), if only in part: what is deleted is not told.
 * Without FIRST a bucket is where its last sample is. */
void buckets_delete(struct buckets *b, const int64_t *ranges, uint32_t n);

#endif
