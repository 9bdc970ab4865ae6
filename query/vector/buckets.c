/*
 * buckets.c - see buckets.h.
 *
 * (1) Buckets do not overlap and are in order of time, so the windows of steps are runs of them, found as those of samples
 *     are.
 * (2) An increase is the last value less the first, and what falls hide: those within buckets, and those between two, seen
 *     from the last of one and the first of the next. They are added in order of time.
 */
#include "query/vector/buckets.h"

#include "query/vector/extrapolate.h"
#include "query/vector/kahan.h"
#include "query/vector/rate_steps.h"

#include <math.h>

/* --- one column as samples ------------------------------------------------------------------------------------ */

#define AS_SAMPLES(name)                                                                                               \
    static uint32_t name##_buckets(struct range_call *c, const struct bucket_columns *b, unsigned flags)               \
    {                                                                                                                  \
        (void)b, (void)flags;                                                                                          \
        return name##_run(c);                                                                                          \
    }
AS_SAMPLES(sum)
AS_SAMPLES(min)
AS_SAMPLES(max)
AS_SAMPLES(last)
AS_SAMPLES(first)
AS_SAMPLES(present)
AS_SAMPLES(ts_of_first)
AS_SAMPLES(ts_of_last)
#undef AS_SAMPLES

/* --- means ------------------------------------------------------------------------------------------------------ */

/* Sums of a column up to each bucket, n + 1 of them: exact for counts. */
static double *sums_up_to(struct range_scratch *s, const double *v, uint32_t n)
{
    double *p = range_scratch_v(s, (size_t)n + 1);

    p[0] = 0;
    for (uint32_t k = 0; k < n; k++)
        p[k + 1] = p[k] + v[k];
    return p;
}

/* A mean whose sum would overflow: of means. */
static double mean_of_means(const double *sum, uint32_t lo, uint32_t hi, double n)
{
    struct kahan k = {0};

    for (uint32_t i = lo; i < hi; i++)
        kahan_add(&k, sum[i] / n);
    return kahan_sum(k);
}

static uint32_t avg_buckets(struct range_call *c, const struct bucket_columns *b, unsigned flags)
{
    uint32_t filled = sum_run(c);
    double *counts = sums_up_to(c->scratch, b->count, c->s.n);

    (void)flags;
    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        double n;

        if (c->has[i] != ROW_FLOAT)
            continue;
        n = counts[hi] - counts[lo];
        c->v[i] = isfinite(c->v[i]) ? c->v[i] / n : mean_of_means(c->s.v, lo, hi, n);
    }
    return filled;
}

/* --- increases ------------------------------------------------------------------------------------------------- */

static double samples_in(const struct bucket_columns *b, uint32_t lo, uint32_t hi)
{
    double n = 0;

    for (uint32_t k = lo; k < hi; k++)
        n += b->count[k];
    return n;
}

/* As rate_prepare, of buckets. */
static void prepare(struct range_call *c, const struct bucket_columns *b, unsigned flags)
{
    struct windows *w = c->w;
    double seconds = flags & RANGE_PER_SECOND ? (double)c->steps->range / 1000 : 0;
    const double *counts = sums_up_to(c->scratch, b->count, c->s.n);

    w->all_factors = c->steps->n > 0;
    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = w->lo[i], hi = w->hi[i];
        int64_t end = step_end(c->steps, i);
        double n = counts[hi] - counts[lo];
        struct stretch x;

        w->factor[i] = w->reach[i] = 0;
        if (n < 2) {
            w->all_factors = false;
            continue;
        }
        x = stretch_of(b->t_first[lo], c->s.t[hi - 1], (uint32_t)n, end - c->steps->range, end);
        w->factor[i] = factor_of(x, seconds);
        w->reach[i] = x.to_start / x.interval * (1 + 1e-9);
    }
}

/* Where the counter fell, in order: bucket k, if within it or since the one before. Into the scratch. */
static uint32_t find_falls(const struct range_call *c, const struct bucket_columns *b)
{
    const double *last = c->s.v;
    uint32_t n = 0, *idx = range_scratch_idx(c->scratch, (size_t)c->s.n + 1);

    for (uint32_t k = 0; k < c->s.n; k++)
        if ((k > 0 && b->first[k] < last[k - 1]) || (b->resets && b->resets[k] != 0))
            idx[n++] = k;
    return n;
}

static double add_falls(const struct range_call *c, const struct bucket_columns *b, uint32_t lo, uint32_t hi,
                        uint32_t nfalls, uint32_t *at, double raw)
{
    const double *last = c->s.v;
    const uint32_t *falls = c->scratch->idx;

    while (*at < nfalls && falls[*at] < lo)
        ++*at;
    for (uint32_t i = *at; i < nfalls && falls[i] < hi; i++) {
        uint32_t k = falls[i];

        if (k > lo && b->first[k] < last[k - 1])
            raw += last[k - 1];
        if (b->resets)
            raw += b->resets[k];
    }
    return raw;
}

static double exact(const struct range_call *c, const struct bucket_columns *b, uint32_t i, double raw, double seconds)
{
    uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
    int64_t end = step_end(c->steps, i);
    struct stretch x =
        stretch_of(b->t_first[lo], c->s.t[hi - 1], (uint32_t)samples_in(b, lo, hi), end - c->steps->range, end);

    x.to_start = to_zero(x, b->first[lo], raw);
    return raw * factor_of(x, seconds);
}

/* Never falls: the way that nearly all counters take. */
static uint32_t rising(struct range_call *c, const struct bucket_columns *b, double seconds)
{
    uint32_t *near = range_scratch_idx(c->scratch, c->steps->n);
    uint32_t filled = 0, nnear = rate_steps(c->w, b->first, c->s.v, c->v, c->has, near);

    for (uint32_t k = 0; k < nnear; k++) {
        uint32_t i = near[k];

        c->v[i] = exact(c, b, i, c->s.v[c->w->hi[i] - 1] - b->first[c->w->lo[i]], seconds);
    }
    for (uint32_t i = 0; i < c->steps->n; i++)
        filled += c->has[i];
    return filled;
}

static uint32_t increase_buckets(struct range_call *c, const struct bucket_columns *b, unsigned flags)
{
    const struct windows *w = c->w;
    bool counter = flags & RANGE_COUNTER;
    double seconds = flags & RANGE_PER_SECOND ? (double)c->steps->range / 1000 : 0;
    uint32_t nfalls = counter ? find_falls(c, b) : 0, filled = 0, at = 0;

    if (counter && !nfalls)
        return rising(c, b, seconds);
    for (uint32_t i = 0; i < c->steps->n; i++) {
        double first, raw;

        c->has[i] = ROW_NONE;
        if (w->factor[i] == 0)
            continue;
        first = b->first[w->lo[i]];
        raw = c->s.v[w->hi[i] - 1] - first;
        if (nfalls)
            raw = add_falls(c, b, w->lo[i], w->hi[i], nfalls, &at, raw);
        c->v[i] = counter && raw > 0 && first >= 0 && first < raw * w->reach[i] ? exact(c, b, i, raw, seconds)
                                                                                : raw * w->factor[i];
        c->has[i] = ROW_FLOAT;
        filled++;
    }
    return filled;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static const struct bucket_function table[] = {
    {"rate", BUCKET_INCREASE, increase_buckets, false},
    {"increase", BUCKET_INCREASE, increase_buckets, true},
    {"delta", BUCKET_DELTA, increase_buckets, true},
    {"sum_over_time", BUCKET_SUM, sum_buckets, true},
    {"avg_over_time", BUCKET_AVG, avg_buckets, false},
    {"count_over_time", BUCKET_COUNT, sum_buckets, true},
    {"min_over_time", BUCKET_MIN, min_buckets, false},
    {"max_over_time", BUCKET_MAX, max_buckets, false},
    {"last_over_time", BUCKET_LAST, last_buckets, false},
    {"first_over_time", BUCKET_FIRST, first_buckets, false},
    {"present_over_time", BUCKET_COUNT, present_buckets, false},
    {"absent_over_time", BUCKET_COUNT, present_buckets, false},
    {"ts_of_first_over_time", BUCKET_FIRST, ts_of_first_buckets, false},
    {"ts_of_last_over_time", BUCKET_COUNT, ts_of_last_buckets, false},
};

const struct bucket_function *bucket_function_find(const struct range_function *fn)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].name, fn->name) == 0)
            return &table[i];
    return NULL;
}

enum bucket_value bucket_function_value(const struct bucket_function *fn)
{
    return fn->value;
}

static unsigned flags_of(const struct bucket_function *fn)
{
    return range_function_find(str_of(fn->name))->flags;
}

static bool extrapolates(const struct bucket_function *fn)
{
    return fn->value == BUCKET_INCREASE || fn->value == BUCKET_DELTA;
}

uint32_t buckets_eval(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b, bool made)
{
    unsigned flags = flags_of(fn);

    if (made && extrapolates(fn))
        prepare(c, b, flags);
    return c->w->filled ? fn->run(c, b, flags) : 0;
}

/* --- windows that are not whole buckets ------------------------------------------------------------------------- */

/* Buckets that (end - range, end] touches, and how much longer they reach together: >= 1. */
static double touch(struct range_call *c, const struct bucket_columns *b, uint32_t i, uint32_t *lo, uint32_t *hi)
{
    int64_t end = step_end(c->steps, i), start = end - c->steps->range, first, last;

    while (*hi < c->s.n && b->t_first[*hi] <= end)
        ++*hi;
    while (*lo < *hi && c->s.t[*lo] <= start)
        ++*lo;
    c->w->lo[i] = *lo;
    c->w->hi[i] = *hi;
    if (*lo == *hi)
        return 1;
    first = MIN(start, b->t_first[*lo]);
    last = MAX(end, c->s.t[*hi - 1]);
    return (double)(last - first) / (double)c->steps->range;
}

/* Factors of one window that was stretched to what its buckets span. */
static void prepare_stretched(struct range_call *c, const struct bucket_columns *b, uint32_t i, double longer,
                              unsigned flags)
{
    uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
    int64_t end = step_end(c->steps, i), start = end - c->steps->range;
    double n = samples_in(b, lo, hi);
    struct stretch x;

    c->w->factor[i] = c->w->reach[i] = 0;
    if (n < 2)
        return;
    x = stretch_of(b->t_first[lo], c->s.t[hi - 1], (uint32_t)n, MIN(start, b->t_first[lo]), MAX(end, c->s.t[hi - 1]));
    c->w->factor[i] = factor_of(x, flags & RANGE_PER_SECOND ? (double)c->steps->range / 1000 * longer : 0);
}

uint32_t buckets_eval_nearest(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b)
{
    unsigned flags = flags_of(fn);
    uint32_t lo = 0, hi = 0, filled = 0;
    uint64_t samples = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        double longer = touch(c, b, i, &lo, &hi);

        filled += hi > lo;
        samples += hi - lo;
        if (extrapolates(fn))
            prepare_stretched(c, b, i, longer, flags);
    }
    c->w->nsteps = c->steps->n;
    c->w->filled = filled;
    c->w->samples = samples;
    c->w->regular = c->w->all_factors = false;
    if (filled == 0)
        return 0;
    filled = fn->run(c, b, flags);
    lo = hi = 0;
    for (uint32_t i = 0; fn->grows && i < c->steps->n; i++) {
        double longer = touch(c, b, i, &lo, &hi);

        if (c->has[i] == ROW_FLOAT && longer > 1)
            c->v[i] /= longer;
    }
    return filled;
}
