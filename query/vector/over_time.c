/*
 * over_time.c - *_over_time, changes and resets over floats.
 *
 * Functions that look at every sample of a window cost (steps x window); where the windows overlap much, counts use
 * prefix sums, extremes a deque, and sums a prefix sum in twice the precision, whose result is only taken where its
 * error cannot show.
 */
#include "query/vector/kahan.h"
#include "query/vector/quantile.h"
#include "query/vector/range.h"

#include <float.h>
#include <math.h>

/* Windows overlap so much that one pass over all samples is the smaller work. */
static bool overlapping(const struct range_call *c)
{
    return c->w->samples > 6 * ((uint64_t)c->s.n + c->steps->n);
}

/* Calls one(values, n) for each window that holds something. */
static inline uint32_t each(struct range_call *c,
                            double (*one)(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi))
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];

        if (range_stop(c, hi - lo))
            hi = lo;
        c->has[i] = hi > lo ? ROW_FLOAT : ROW_NONE;
        if (hi == lo)
            continue;
        c->v[i] = one(c, i, lo, hi);
        n++;
    }
    return n;
}

static double count_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)c, (void)i;
    return hi - lo;
}

uint32_t count_run(struct range_call *c)
{
    return each(c, count_of);
}

static double last_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i, (void)lo;
    return c->s.v[hi - 1];
}

uint32_t last_run(struct range_call *c)
{
    return each(c, last_of);
}

static double first_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i, (void)hi;
    return c->s.v[lo];
}

uint32_t first_run(struct range_call *c)
{
    return each(c, first_of);
}

static double present_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)c, (void)i, (void)lo, (void)hi;
    return 1;
}

uint32_t present_run(struct range_call *c)
{
    return each(c, present_of);
}

static double ts_of_first(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i, (void)hi;
    return (double)c->s.t[lo] / 1000;
}

uint32_t ts_of_first_run(struct range_call *c)
{
    return each(c, ts_of_first);
}

static double ts_of_last(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i, (void)lo;
    return (double)c->s.t[hi - 1] / 1000;
}

uint32_t ts_of_last_run(struct range_call *c)
{
    return each(c, ts_of_last);
}

/* --- sums ------------------------------------------------------------------------------------------------------- */

static double sum_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    struct kahan k = {0};

    (void)i;
    for (uint32_t j = lo; j < hi; j++)
        kahan_add(&k, c->s.v[j]);
    return kahan_sum(k);
}

static double avg_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    struct mean m = {0};

    (void)i;
    for (uint32_t j = lo; j < hi; j++)
        mean_add(&m, c->s.v[j]);
    return mean_value(&m);
}

/* a + b exactly, as a pair. */
static inline struct kahan two_sum(double a, double b)
{
    double s = a + b, z = s - a;

    return (struct kahan){s, (a - (s - z)) + (b - z)};
}

/* Prefix sums in pairs of doubles into p (2 per sample, one more than samples). False when a value is not finite or
 * huge. */
static bool prefix_sums(const double *v, uint32_t n, double *p, double *biggest)
{
    struct kahan acc = {0};
    double big = 0;

    p[0] = p[1] = 0;
    for (uint32_t k = 0; k < n; k++) {
        struct kahan t = two_sum(acc.s, v[k]);

        t.c += acc.c;
        acc = two_sum(t.s, t.c);
        p[2 * k + 2] = acc.s;
        p[2 * k + 3] = acc.c;
        big = fmax(big, fmax(fabs(acc.s), fabs(v[k])));
    }
    *biggest = big;
    return isfinite(acc.s) && big < DBL_MAX / 4;
}

static bool has_nan(const double *v, uint32_t n)
{
    bool nan = false;

    for (uint32_t k = 0; k < n; k++)
        nan |= isnan(v[k]);
    return nan;
}

/* Sums (or means) by differences of prefix sums; where cancellation could show, the window is added up. */
static uint32_t sum_by_prefix(struct range_call *c, bool mean)
{
    uint32_t n = c->s.n, filled = 0;
    double *p = range_scratch_v(c->scratch, 2 * ((size_t)n + 1)), big;
    /* The pairs carry some 104 bits; each addition may lose the last one. */
    double slack = 0x1p-100 * n;

    if (has_nan(c->s.v, n) || !prefix_sums(c->s.v, n, p, &big))
        return each(c, mean ? avg_of : sum_of);
    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        struct kahan d;
        double sum;

        c->has[i] = hi > lo ? ROW_FLOAT : ROW_NONE;
        if (hi == lo)
            continue;
        d = two_sum(p[2 * hi], -p[2 * lo]);
        sum = d.s + (d.c + (p[2 * hi + 1] - p[2 * lo + 1]));
        if (big * slack > fabs(sum) * 0x1p-54)
            c->v[i] = mean ? avg_of(c, i, lo, hi) : sum_of(c, i, lo, hi);
        else
            c->v[i] = mean ? sum / (hi - lo) : sum;
        filled++;
    }
    return filled;
}

uint32_t sum_run(struct range_call *c)
{
    return overlapping(c) ? sum_by_prefix(c, false) : each(c, sum_of);
}

uint32_t avg_run(struct range_call *c)
{
    return overlapping(c) ? sum_by_prefix(c, true) : each(c, avg_of);
}

static double variance(struct range_call *c, uint32_t lo, uint32_t hi)
{
    struct kahan mean = {0}, aux = {0};
    double count = 0;

    for (uint32_t j = lo; j < hi; j++) {
        double x = c->s.v[j], delta = x - (mean.s + mean.c);

        count++;
        kahan_add(&mean, delta / count);
        kahan_add(&aux, delta * (x - (mean.s + mean.c)));
    }
    return (aux.s + aux.c) / count;
}

static double stdvar_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return variance(c, lo, hi);
}

static double stddev_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return sqrt(variance(c, lo, hi));
}

uint32_t stdvar_run(struct range_call *c)
{
    return each(c, stdvar_of);
}

uint32_t stddev_run(struct range_call *c)
{
    return each(c, stddev_of);
}

/* --- extremes ----------------------------------------------------------------------------------------------------- */

/* x replaces the extreme m. NaN gives way to anything but is kept if nothing else comes. */
static inline bool beats(double x, double m, bool max)
{
    return (max ? x > m : x < m) || isnan(m);
}

static double extreme_of(const double *v, uint32_t lo, uint32_t hi, bool max)
{
    double m = v[lo];

    for (uint32_t j = lo + 1; j < hi; j++)
        if (beats(v[j], m, max))
            m = v[j];
    return m;
}

static double min_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return extreme_of(c->s.v, lo, hi, false);
}

static double max_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return extreme_of(c->s.v, lo, hi, true);
}

/* The candidates of the window, best first, in dq[head..tail). NaNs are left out of it. */
static uint32_t extreme_by_deque(struct range_call *c, bool max)
{
    const double *v = c->s.v;
    uint32_t *dq = range_scratch_idx(c->scratch, (size_t)c->s.n + 1), head = 0, tail = 0, in = 0, filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];

        for (; in < hi; in++) {
            if (isnan(v[in]))
                continue;
            while (tail > head && (max ? v[dq[tail - 1]] <= v[in] : v[dq[tail - 1]] >= v[in]))
                tail--;
            dq[tail++] = in;
        }
        while (head < tail && dq[head] < lo)
            head++;
        c->has[i] = hi > lo ? ROW_FLOAT : ROW_NONE;
        if (hi == lo)
            continue;
        c->v[i] = head < tail ? v[dq[head]] : v[lo];
        filled++;
    }
    return filled;
}

uint32_t min_run(struct range_call *c)
{
    return overlapping(c) ? extreme_by_deque(c, false) : each(c, min_of);
}

uint32_t max_run(struct range_call *c)
{
    return overlapping(c) ? extreme_by_deque(c, true) : each(c, max_of);
}

static double ts_of_extreme(const struct range_call *c, uint32_t lo, uint32_t hi, bool max)
{
    const double *v = c->s.v;
    uint32_t at = lo;

    for (uint32_t j = lo + 1; j < hi; j++)
        if (beats(v[j], v[at], max) || v[j] == v[at])
            at = j;
    return (double)c->s.t[at] / 1000;
}

static double ts_of_min(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return ts_of_extreme(c, lo, hi, false);
}

static double ts_of_max(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)i;
    return ts_of_extreme(c, lo, hi, true);
}

uint32_t ts_of_min_run(struct range_call *c)
{
    return each(c, ts_of_min);
}

uint32_t ts_of_max_run(struct range_call *c)
{
    return each(c, ts_of_max);
}

/* --- order -------------------------------------------------------------------------------------------------------- */

static double quantile_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    double q = c->param[0][i], *v = range_scratch_v(c->scratch, hi - lo);

    if (!(q >= 0 && q <= 1))
        c->notes |= NOTE_BAD_QUANTILE;
    memcpy(v, c->s.v + lo, (hi - lo) * sizeof *v);
    return quantile_values(q, v, hi - lo);
}

uint32_t quantile_run(struct range_call *c)
{
    return each(c, quantile_of);
}

static double mad_of(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    uint32_t n = hi - lo;
    double *v = range_scratch_v(c->scratch, n), median;

    (void)i;
    memcpy(v, c->s.v + lo, n * sizeof *v);
    median = quantile_values(0.5, v, n);
    for (uint32_t j = 0; j < n; j++) {
        if (isnan(v[j]))
            return v[j];
        v[j] = fabs(v[j] - median);
    }
    return quantile_values(0.5, v, n);
}

uint32_t mad_run(struct range_call *c)
{
    return each(c, mad_of);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static inline bool changed(double prev, double cur)
{
    return cur != prev && !(isnan(cur) && isnan(prev));
}

static uint32_t events_run(struct range_call *c, bool resets)
{
    const double *v = c->s.v;
    uint32_t *before = range_scratch_idx(c->scratch, (size_t)c->s.n + 1), sum = 0, filled = 0;

    for (uint32_t k = 0; k < c->s.n; k++) {
        if (k)
            sum += resets ? v[k] < v[k - 1] : changed(v[k - 1], v[k]);
        before[k] = sum;
    }
    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];

        c->has[i] = hi > lo ? ROW_FLOAT : ROW_NONE;
        if (hi == lo)
            continue;
        c->v[i] = before[hi - 1] - before[lo];
        filled++;
    }
    return filled;
}

uint32_t changes_run(struct range_call *c)
{
    return events_run(c, false);
}

uint32_t resets_run(struct range_call *c)
{
    return events_run(c, true);
}
