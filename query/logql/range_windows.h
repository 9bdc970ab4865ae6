/*
 * range_windows.h - the windows of a range aggregation, cut into buckets none of whose inside is the edge of a window.
 *
 * Window i is (first + i * step - range, first + i * step]. A record is added to one bucket, whatever the number of windows
 * that see it; a window is a run of buckets. There are at most 2 n - 1 of them.
 */
#ifndef LOGQL_RANGE_WINDOWS_H
#define LOGQL_RANGE_WINDOWS_H

#include "query/exec/exec.h"

#define LQ_NO_BUCKET UINT32_MAX

struct lq_windows {
    int64_t first, step, range; /* ends of the windows; ns */
    uint32_t n;
    uint32_t nbuckets;
    uint32_t *bucket; /* by how many edges are smaller: the bucket there, or LQ_NO_BUCKET between windows */
    uint32_t *lo, *hi; /* window i sees buckets lo[i]..hi[i]-1 */
};

/* n >= 1, range > 0. From q's arena, charged. */
int lq_windows_init(struct lq_windows *w, struct query *q, int64_t first, int64_t step, int64_t range, uint32_t n, struct err *e);

/* A reader's place: times come mostly in order. Zeroed to begin. */
struct lq_place {
    int64_t after, upto; /* the bucket at hand holds (after, upto] */
    uint32_t bucket;
};
/* The bucket of a time; LQ_NO_BUCKET: in no window. */
uint32_t lq_windows_find(const struct lq_windows *w, struct lq_place *p, int64_t t);

/* Every edge strictly between the first and the last is a multiple of unit. */
bool lq_windows_aligned(const struct lq_windows *w, int64_t unit);

/* Records in (mint, maxt] matter. */
static inline int64_t lq_windows_after(const struct lq_windows *w)
{
    return w->first - w->range;
}
static inline int64_t lq_windows_last(const struct lq_windows *w)
{
    return w->first + (int64_t)(w->n - 1) * w->step;
}

#endif
