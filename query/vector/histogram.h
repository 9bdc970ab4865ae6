/* histogram.h - arithmetic of native histograms, and what queries ask of them. What one is: base/histogram.h. */
#ifndef VECTOR_HISTOGRAM_H
#define VECTOR_HISTOGRAM_H

#include "base/base.h"
#include "base/histogram.h"

/* What happened on the way, or-ed into *notes by those that take one. */
enum hist_note {
    HIST_BOUNDS_RECONCILED = 1,
    HIST_RESET_CONFLICT = 2,
    /* NaN observations: they are in the count, in no bucket. */
    HIST_NAN_RESULT = 4,
    HIST_NAN_SKEW = 8,
    HIST_NAN_FRACTION = 16,
};

/* All results are new, from a. Sums are exact Kahan pairs where a sum is built over many: see hist_sum. */
/* The whole, count, sum and zero bucket too, times f. A negative f makes a gauge. */
struct histogram *hist_mul(struct arena *a, const struct histogram *h, double f);
struct histogram *hist_div(struct arena *a, const struct histogram *h, double f);
/* l + r, l - r. ERR_UNSUPPORTED when one is exponential, the other custom. */
int hist_add(struct arena *a, const struct histogram *l, const struct histogram *r, struct histogram **out,
             unsigned *notes);
int hist_sub(struct arena *a, const struct histogram *l, const struct histogram *r, struct histogram **out,
             unsigned *notes);
/* Keeps observations below (upper) or above x, cutting buckets by interpolation. */
struct histogram *hist_trim(struct arena *a, const struct histogram *h, double x, bool upper);

/* A reset between prev and cur, by hint or else by counts. */
bool hist_detect_reset(const struct histogram *cur, const struct histogram *prev);

/* Between p and q at a share of the way; for a counter that was reset there, from nothing. NULL: schemas that do not
 * mix. */
const struct histogram *hist_on_line(struct arena *a, const struct histogram *p, const struct histogram *q,
                                     double share, bool counter, unsigned *notes);

double hist_quantile(double q, const struct histogram *h, unsigned *notes);
double hist_fraction(double lower, double upper, const struct histogram *h, unsigned *notes);
double hist_variance(const struct histogram *h);

/* A growing sum (or mean) of histograms with compensated counts. */
struct hist_sum;
struct hist_sum *hist_sum_new(struct arena *a, bool mean);
/* ERR_UNSUPPORTED: schemas that do not mix. */
int hist_sum_add(struct hist_sum *s, struct arena *a, const struct histogram *h, unsigned *notes);
/* Merges what another thread summed. */
int hist_sum_merge(struct hist_sum *dst, struct arena *a, const struct hist_sum *src, unsigned *notes);
struct histogram *hist_sum_value(const struct hist_sum *s, struct arena *a);

/* {count:20, sum:10, [-2,-1):2, ...}: as count_values shows one. */
void hist_text(struct buf *out, const struct histogram *h);
/* Bounds of bucket i and what they include, for printing: rule 0 (lo,hi], 1 [lo,hi), 2 open, 3 closed. */
struct hist_range {
    double lo, hi, n;
    uint8_t rule;
};
/* All buckets that are not empty, ascending: negative, zero, positive. Into a; *n of them. */
struct hist_range *hist_ranges(struct arena *a, const struct histogram *h, uint32_t *n);

#endif
