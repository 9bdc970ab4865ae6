/*
 * extended.c - anchored and smoothed ranges over floats.
 *
 * anchored: the value at the start of the window is that of the last sample at or before it (within the lookback), else
 * the first inside; no extrapolation. smoothed: the values at both ends lie on the line between the neighbouring
 * samples, the later one up to a lookback ahead; where a counter was reset between the two, the line starts from zero.
 */
#include "query/vector/extended.h"

#include <math.h>

static double on_line(const struct samples *s, uint32_t k, int64_t t, bool counter)
{
    double a = s->v[k], b = s->v[k + 1];

    if (counter && b < a)
        a = 0;
    return a + (b - a) * (double)(t - s->t[k]) / (double)(s->t[k + 1] - s->t[k]);
}

bool span_of(const struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, struct span *x)
{
    const int64_t *t = c->s.t;

    x->end = step_end(c->steps, i);
    x->start = x->end - c->steps->range;
    if (lo == hi)
        return false;
    x->first = lo;
    while (x->first + 1 < hi && t[x->first + 1] <= x->start)
        x->first++;
    x->last = hi - 1;
    if (c->smoothed) {
        x->last = x->first;
        while (x->last + 1 < hi && t[x->last] < x->end)
            x->last++;
    }
    return t[x->last] > x->start;
}

static double left_value(const struct range_call *c, const struct span *x, bool counter)
{
    if (c->smoothed && c->s.t[x->first] < x->start)
        return on_line(&c->s, x->first, x->start, counter);
    return c->s.v[x->first];
}

static double right_value(const struct range_call *c, const struct span *x, uint32_t lo, bool counter)
{
    if (c->smoothed && x->last > lo && c->s.t[x->last] > x->end)
        return on_line(&c->s, x->last - 1, x->end, counter);
    return c->s.v[x->last];
}

static double difference(const struct range_call *c, const struct span *x, uint32_t lo, bool counter)
{
    double left = left_value(c, x, counter), right = right_value(c, x, lo, counter), d = right - left, prev = left;
    const struct samples *s = &c->s;

    if (!counter)
        return d;
    for (uint32_t k = x->first; k <= x->last; k++) {
        if (s->t[k] <= x->start || s->t[k] >= x->end)
            continue;
        if (s->v[k] < prev)
            d += prev;
        prev = s->v[k];
    }
    return right < prev ? d + prev : d;
}

static double events(const struct range_call *c, const struct span *x, bool resets)
{
    const double *v = c->s.v;
    double n = 0;

    for (uint32_t k = x->first + 1; k <= x->last; k++)
        n += resets ? v[k] < v[k - 1] : v[k] != v[k - 1] && !(isnan(v[k]) && isnan(v[k - 1]));
    return n;
}

double extended_floats(const struct range_function *fn, const struct range_call *c, const struct span *x, uint32_t lo)
{
    bool counter = fn->flags & RANGE_COUNTER;
    double v = fn->flags & RANGE_EXTRAPOLATES ? difference(c, x, lo, counter) : events(c, x, fn->run == resets_run);

    return fn->flags & RANGE_PER_SECOND ? v / ((double)c->steps->range / 1000) : v;
}

uint32_t extended_run(const struct range_function *fn, struct range_call *c)
{
    uint32_t lo = 0, hi = 0, filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        int64_t end = step_end(c->steps, i), from = end - c->steps->range - c->lookback;
        struct span x;

        while (hi < c->s.n && c->s.t[hi] <= end + (c->smoothed ? c->lookback : 0))
            hi++;
        while (lo < hi && c->s.t[lo] <= from)
            lo++;
        c->has[i] = ROW_NONE;
        if (!span_of(c, i, lo, hi, &x))
            continue;
        if (c->s.h) {
            c->has[i] = (uint8_t)extended_one(fn, c, i, lo, &x);
            filled += c->has[i] != ROW_NONE;
            continue;
        }
        c->v[i] = extended_floats(fn, c, &x, lo);
        c->has[i] = ROW_FLOAT;
        filled++;
    }
    return filled;
}
