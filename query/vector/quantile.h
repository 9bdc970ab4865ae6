/* quantile.h - quantiles of values, and of classic histograms given as buckets. */
#ifndef VECTOR_QUANTILE_H
#define VECTOR_QUANTILE_H

#include <stdbool.h>
#include <stdint.h>

/* q-quantile of n values, linear between neighbours, NaN smallest. Sorts v. q NaN or n = 0: NaN; q < 0: -Inf; q > 1:
 * +Inf. */
double quantile_values(double q, double *v, uint32_t n);
/* Ascending, NaN first. */
void sort_values(double *v, uint32_t n);

struct bucket {
    double le, count; /* cumulative */
};

/* What had to be done to make counts rise. */
struct bucket_fix {
    bool forced;
    double min_le, max_le, max_diff;
};

/* The q-quantile of a classic histogram. Sorts and mends b. fix is set. */
double bucket_quantile(double q, struct bucket *b, uint32_t n, struct bucket_fix *fix);
/* The share of observations in (lower, upper]. Sorts b. */
double bucket_fraction(double lower, double upper, struct bucket *b, uint32_t n);
/* |a-b| within a relative eps, as upstream compares. */
bool almost_equal(double a, double b, double eps);

#endif
