/*
 * histogram.h - native histograms as values: immutable, sparse, sorted.
 *
 * Exponential schemas n = -4..8: bucket i covers (base^(i-1), base^i], base = 2^(2^-n); negative ones mirror. Schema
 * -53: bucket i is (bounds[i-1], bounds[i]], the first from -Inf, the last to +Inf. Counts may be any float, negative
 * ones come from subtraction.
 *
 * (1) Indexes rise strictly within pos and within neg. Empty buckets may stand there; equality and output do not
 *     see them.
 * (2) With custom bounds neg is empty and the zero bucket unused.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/mem.h"
#include "base/num.h"

enum { HIST_CUSTOM = -53, HIST_SCHEMA_MIN = -4, HIST_SCHEMA_MAX = 8 };
enum hist_hint { HIST_UNKNOWN, HIST_RESET, HIST_NOT_RESET, HIST_GAUGE };

struct hist_bucket {
    int32_t i;
    double n;
};

struct histogram {
    int32_t schema;
    uint8_t hint; /* enum hist_hint */
    uint32_t npos, nneg, nbounds;
    double zero_threshold, zero_count;
    double count, sum;
    const struct hist_bucket *pos, *neg;
    const double *bounds; /* of HIST_CUSTOM, finite, rising */
};

static inline bool hist_custom(const struct histogram *h)
{
    return h->schema == HIST_CUSTOM;
}
/* The staleness marker of a histogram series. */
static inline bool hist_stale(const struct histogram *h)
{
    return is_stale(h->sum);
}

/* All results are new, from a. */
struct histogram *hist_dup(struct arena *a, const struct histogram *h);
struct hist_bucket *hist_copy_buckets(struct arena *a, const struct hist_bucket *b, uint32_t n);
/* The same schema, bounds, counts and buckets. */
bool hist_equal(const struct histogram *l, const struct histogram *r);
/* Empty buckets dropped. */
struct histogram *hist_compact(struct arena *a, const struct histogram *h);

/* Upper bound of bucket i of an exponential schema, for positive ones. */
double hist_bound(int32_t schema, int32_t i);
/* The layout with a lower resolution, of an exponential one. A schema that is not lower: a copy. */
struct histogram *hist_reduce(struct arena *a, const struct histogram *h, int32_t schema);

bool hist_same_bounds(const struct histogram *l, const struct histogram *r);
/* The *n bounds that both have. */
double *hist_common_bounds(struct arena *a, const struct histogram *l, const struct histogram *r, uint32_t *n);
/* bounds: a subset of h's; shared, not copied. */
struct histogram *hist_to_bounds(struct arena *a, const struct histogram *h, const double *bounds, uint32_t n);

#endif
