/*
 * quantile.c - quantiles exactly as upstream's quantile.go.
 */
#include "query/vector/quantile.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Numbers whose difference is in the noise of summation are taken for equal. */
#define SMALL_DELTA 1e-12

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

void sort_values(double *v, uint32_t n)
{
    if (n > 24) {
        qsort(v, n, sizeof *v, by_value);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        double x = v[i];
        uint32_t j = i;

        for (; j > 0 && (isnan(x) ? !isnan(v[j - 1]) : v[j - 1] > x); j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

double quantile_values(double q, double *v, uint32_t n)
{
    double rank, below, above, weight;

    if (n == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    sort_values(v, n);
    rank = q * (n - 1.0);
    below = fmax(0, floor(rank));
    above = fmin(n - 1.0, below + 1);
    weight = rank - floor(rank);
    return v[(uint32_t)below] * (1 - weight) + v[(uint32_t)above] * weight;
}

bool almost_equal(double a, double b, double eps)
{
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);

    if (a == b || (isnan(a) && isnan(b)))
        return true;
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < eps * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < eps;
}

static int by_le(const void *a, const void *b)
{
    double x = ((const struct bucket *)a)->le, y = ((const struct bucket *)b)->le;

    return (x > y) - (x < y);
}

static void sort_buckets(struct bucket *b, uint32_t n)
{
    bool sorted = true;

    for (uint32_t i = 1; i < n && sorted; i++)
        sorted = b[i - 1].le <= b[i].le;
    if (!sorted)
        qsort(b, n, sizeof *b, by_le);
}

/* Buckets of equal bounds become one. */
static uint32_t coalesce(struct bucket *b, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 1; i < n; i++)
        if (b[i].le == b[k].le)
            b[k].count += b[i].count;
        else
            b[++k] = b[i];
    return n ? k + 1 : 0;
}

static void make_monotonic(struct bucket *b, uint32_t n, struct bucket_fix *fix)
{
    double prev = b[0].count;

    for (uint32_t i = 1; i < n; i++) {
        double cur = b[i].count;

        if (cur == prev)
            continue;
        if (almost_equal(prev, cur, SMALL_DELTA)) {
            b[i].count = prev;
        } else if (cur < prev) {
            if (!fix->forced)
                *fix = (struct bucket_fix){true, b[i].le, b[i].le, prev - cur};
            fix->max_le = b[i].le;
            fix->max_diff = fmax(fix->max_diff, prev - cur);
            b[i].count = prev;
        } else {
            prev = cur;
        }
    }
}

double bucket_quantile(double q, struct bucket *b, uint32_t n, struct bucket_fix *fix)
{
    double rank, start = 0, count;
    uint32_t k = 0;

    *fix = (struct bucket_fix){0};
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    sort_buckets(b, n);
    if (n == 0 || b[n - 1].le != INFINITY)
        return NAN;
    n = coalesce(b, n);
    make_monotonic(b, n, fix);
    if (n < 2 || b[n - 1].count == 0)
        return NAN;
    rank = q * b[n - 1].count;
    while (k < n - 1 && !(b[k].count >= rank))
        k++;
    if (k == n - 1)
        return b[n - 2].le;
    if (k == 0 && b[0].le <= 0)
        return b[0].le;
    count = b[k].count;
    if (k > 0) {
        start = b[k - 1].le;
        count -= b[k - 1].count;
        rank -= b[k - 1].count;
    }
    return start + (b[k].le - start) * (rank / count);
}

/* Observations up to x, linear inside a bucket. */
static double bucket_rank(double x, const struct bucket *b, uint32_t n)
{
    double rank = 0;

    for (uint32_t i = 0; i < n; i++) {
        double from = i ? b[i - 1].le : b[0].le > 0 ? 0 : -INFINITY;

        if (from >= x)
            return rank;
        if (b[i].le > x) {
            /* Open buckets tell nothing about where in them observations lie. */
            if (isinf(from))
                return b[i].count;
            return rank + (b[i].count - rank) * (x - from) / (b[i].le - from);
        }
        rank = b[i].count;
    }
    return b[n - 1].count;
}

double bucket_fraction(double lower, double upper, struct bucket *b, uint32_t n)
{
    double total, lo, hi;

    sort_buckets(b, n);
    if (n == 0 || b[n - 1].le != INFINITY)
        return NAN;
    n = coalesce(b, n);
    total = b[n - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    lo = fmin(bucket_rank(lower, b, n), total);
    hi = fmin(bucket_rank(upper, b, n), total);
    return (hi - lo) / total;
}
