/*
 * rollup_hist.h - aggregates of native histograms: what rollup.h is for floats.
 *
 * A bucket of time of a histogram series is one stretch or more. A stretch is a run of histograms in one bucket of time of which
 * each goes on from the one right before it (or all are gauges) and all have their buckets in the same places. So nothing
 * within a stretch is a reset, none of its sums needs another layout, and whoever puts stretches together by their first and
 * last histograms sees the resets, the changes of resolution and of custom bounds that the samples would show.
 *
 * A series with floats too has both: buckets of its floats, stretches of its histograms. Staleness markers of either kind are
 * the buckets' (t_stale).
 */
#ifndef TSDB_ROLLUP_HIST_H
#define TSDB_ROLLUP_HIST_H

#include "base/histogram.h"
#include "tsdb/rollup.h"

enum { STRETCH_COUNT_MAX = 1 << 24 };

/*
 * hint is that of the first: HIST_GAUGE, HIST_NOT_RESET where it goes on from the sample right before, else HIST_UNKNOWN. The histograms of a column that was not asked for are NULL, as arrays.
 */
struct stretch_run {
    uint32_t n;
    const int64_t *t_last, *t_first; /* t_first may be NULL where FIRST is not wanted */
    const double *count;
    const uint8_t *hint;
    const struct histogram *const *last, *const *first, *const *sum;
};

/* Zero-initialised is empty. */
struct stretches {
    int64_t every;
    unsigned columns; /* bits: which are kept, beside counts */
    uint32_t n, cap;
    int64_t *t_last, *t_first;
    double *count;
    uint8_t *hint;
    const struct histogram **last, **first, **sum;
    bool gauges;        /* some stretch of gauges has more than its first and last */
    struct arena arena; /* of the histograms that samples were made into */
    struct stretch_total *total;
    /* The floats of a series that has both. */
    int64_t *t;
    double *v;
    uint32_t nfloats, floats_cap;
};
void stretches_reset(struct stretches *s, int64_t every, unsigned columns); /* empty, keeps the memory */
void stretches_release(struct stretches *s);
struct stretch_run stretches_run(const struct stretches *s);

/* Writes into the histograms of a run, which are the caller's, what count and hint say of resets. */
void stretch_run_tell(const struct stretch_run *run);

/*
 * Samples behind all that both hold: floats and markers go to b. False, as buckets_add, when floats cannot be told. The
 * histograms are copied.
 */
bool stretches_add(struct stretches *s, struct buckets *b, const int64_t *t, const double *v,
                   const struct histogram *const *h, uint32_t n);
/* Stretches behind all that s holds. Their histograms are borrowed, and their hints written where the first goes on from s. */
void stretches_append(struct stretches *s, const struct stretch_run *from);
/* Takes out what lies in one of the ranges, if only in part; as buckets_delete. */
void stretches_delete(struct stretches *s, const int64_t *ranges, uint32_t n);

#endif
