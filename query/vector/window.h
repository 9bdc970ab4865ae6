/*
 * window.h - where the steps of a row look in an array of sample times.
 *
 * Step i looks at (end_i - range, end_i], end_i = first + i * every; every is 0 when `@` pins all steps to one time.
 * What depends on the times alone is computed once per array of times and kept as long as the array's id comes again:
 * series of one scrape share it.
 */
#ifndef VECTOR_WINDOW_H
#define VECTOR_WINDOW_H

#include "base/base.h"

struct query;
struct histogram;

/* The samples of one series. h is NULL when all are floats; else sample i is a histogram where h[i] is set. st may be
 * NULL. */
struct samples {
    const int64_t *t;
    const double *v;
    const int64_t *st;
    const struct histogram *const *h;
    uint32_t n;
};

struct steps {
    uint32_t n;
    int64_t first, every;           /* ends of the windows */
    int64_t range;                  /* width; for a plain selector the lookback */
    int64_t eval_first, eval_every; /* the times the steps are evaluated for: differ by offset and @ */
};

static inline int64_t step_end(const struct steps *st, uint32_t i)
{
    return st->first + (int64_t)i * st->every;
}
static inline int64_t step_time(const struct steps *st, uint32_t i)
{
    return st->eval_first + (int64_t)i * st->eval_every;
}

/* Samples lo[i]..hi[i]-1 lie in window i. */
struct windows {
    uint32_t *lo, *hi;
    uint32_t nsteps;
    uint32_t filled;  /* windows with a sample */
    uint64_t samples; /* sum of hi - lo: the work of a function that looks at all */
    /*
     * Of extrapolating functions, made by rate_prepare: the factor that a difference is multiplied with if the
     * counter's zero is out of reach, and the reach: zero is within it when first < raw * reach. factor is 0 where
     * there are fewer than two samples.
     */
    double *factor, *reach;
    bool all_factors; /* none is 0 */
    bool regular;     /* lo[i] = lo[0] + i and hi[i] = hi[0] + i for all i */
};

/* Fills lo and hi (each of st->n places) and what follows from them. */
void windows_fill(struct windows *w, const struct steps *st, const int64_t *t, uint32_t n);

/* One per reading thread. Zero-initialised is empty. */
struct window_cache {
    struct window_slot *slots;
    uint32_t nslots, used;
    struct arena arena;
    struct windows scratch; /* for series whose times are not shared */
    uint32_t scratch_steps;
};
void window_cache_release(struct window_cache *c);
/* The windows of these times. times_id 0: made anew into scratch. *made tells whether what depends on times must be
 * made too. */
struct windows *window_cache_get(struct window_cache *c, uint64_t times_id, const struct steps *st, const int64_t *t,
                                 uint32_t n, bool extrapolate, bool *made);

#endif
