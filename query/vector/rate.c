/*
 * rate.c - rate, increase, delta, irate, idelta over floats: extrapolation exactly as upstream's extrapolatedRate.
 *
 * A difference is multiplied with (interval + toStart + toEnd) / interval. All of it depends on the sample times alone,
 * but for counters that would reach zero inside the window, whose toStart is shorter. So the factor is kept beside the
 * times (rate_prepare), with the reach within which a zero must be looked for, and a step costs two loads and a
 * multiplication.
 *
 * (1) Resets are added in the order they stand in the window, so the sum rounds as upstream's does.
 * (2) With start timestamps in use nothing is kept: every window is worked out by itself.
 */
#include "query/vector/extrapolate.h"
#include "query/vector/range.h"
#include "query/vector/rate_steps.h"

void rate_prepare(struct windows *w, const struct steps *st, const int64_t *t, bool per_second, bool counter)
{
    double seconds = per_second ? (double)st->range / 1000 : 0;

    w->all_factors = st->n > 0;
    for (uint32_t i = 0; i < st->n; i++) {
        uint32_t lo = w->lo[i], hi = w->hi[i];
        int64_t end = step_end(st, i);
        struct stretch x;

        w->factor[i] = w->reach[i] = 0;
        if (hi - lo < 2) {
            w->all_factors = false;
            continue;
        }
        x = stretch_of(t[lo], t[hi - 1], hi - lo, end - st->range, end);
        w->factor[i] = factor_of(x, seconds);
        /* A little more than the exact ratio: who is within is worked out exactly. */
        if (counter)
            w->reach[i] = x.to_start / x.interval * (1 + 1e-9);
    }
}

static double exact(const struct range_call *c, uint32_t i, double raw, double seconds)
{
    uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
    int64_t end = step_end(c->steps, i);
    struct stretch x = stretch_of(c->s.t[lo], c->s.t[hi - 1], hi - lo, end - c->steps->range, end);

    x.to_start = to_zero(x, c->s.v[lo], raw);
    return raw * factor_of(x, seconds);
}

/* Where v falls: indexes of samples smaller than the one before, into the scratch. */
static uint32_t find_resets(const double *v, uint32_t n, struct range_scratch *s)
{
    uint32_t nresets = 0, *idx;

    if (!any_reset(v, n))
        return 0;
    idx = range_scratch_idx(s, n);
    for (uint32_t k = 1; k < n; k++)
        if (v[k] < v[k - 1])
            idx[nresets++] = k;
    return nresets;
}

static double with_resets(const double *v, uint32_t lo, uint32_t hi, const uint32_t *resets, uint32_t nresets,
                          uint32_t *at)
{
    double raw = v[hi - 1] - v[lo];

    while (*at < nresets && resets[*at] <= lo)
        ++*at;
    for (uint32_t k = *at; k < nresets && resets[k] < hi; k++)
        raw += v[resets[k] - 1];
    return raw;
}

/* --- start timestamps ----------------------------------------------------------------------------------------- */

static bool st_reset(const struct samples *s, uint32_t k, unsigned *notes)
{
    int64_t st = s->st[k], prev_st = s->st[k - 1], prev_t = s->t[k - 1];

    if (st == 0)
        return false;
    if (st < prev_t && st != prev_st)
        *notes |= NOTE_START_OVERLAP;
    if (st >= s->t[k])
        return false;
    return st > prev_t || (st == prev_t && prev_st != 0 && prev_st < prev_t);
}

static bool st_one(struct range_call *c, uint32_t i, double seconds, double *out)
{
    const struct samples *s = &c->s;
    uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
    int64_t end = step_end(c->steps, i), start = end - c->steps->range;
    struct stretch x;
    bool begun;
    double raw;

    if (hi == lo)
        return false;
    begun = s->st[lo] > start && s->st[lo] < s->t[lo] && s->st[lo] != 0;
    if (hi - lo < 2 && !begun)
        return false;
    raw = s->v[hi - 1] - s->v[lo];
    for (uint32_t k = lo + 1; k < hi; k++)
        if (s->v[k] < s->v[k - 1] || st_reset(s, k, &c->notes))
            raw += s->v[k - 1];
    x = stretch_of(s->t[lo], s->t[hi - 1], hi - lo, start, end);
    if (begun) {
        raw += s->v[lo];
        x.interval = (double)(s->t[hi - 1] - s->st[lo]) / 1000;
        x.to_start = 0;
    } else {
        x.to_start = to_zero(x, s->v[lo], raw);
    }
    *out = raw * factor_of(x, seconds);
    return true;
}

static uint32_t st_run(struct range_call *c, double seconds)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->steps->n; i++)
        n += c->has[i] = st_one(c, i, seconds, &c->v[i]) ? ROW_FLOAT : ROW_NONE;
    return n;
}

/* --- counters and gauges ---------------------------------------------------------------------------------------- */

/* No resets in the series: the way that nearly all counters take. */
static uint32_t plain_run(struct range_call *c, double seconds)
{
    uint32_t *near = range_scratch_idx(c->scratch, c->steps->n);
    uint32_t n = 0, nnear = rate_steps(c->w, c->s.v, c->s.v, c->v, c->has, near);

    for (uint32_t k = 0; k < nnear; k++) {
        uint32_t i = near[k];

        c->v[i] = exact(c, i, c->s.v[c->w->hi[i] - 1] - c->s.v[c->w->lo[i]], seconds);
    }
    for (uint32_t i = 0; i < c->steps->n; i++)
        n += c->has[i];
    return n;
}

static uint32_t reset_run(struct range_call *c, double seconds, uint32_t nresets)
{
    const struct windows *w = c->w;
    const double *v = c->s.v;
    uint32_t n = 0, at = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        double first, raw;

        c->has[i] = ROW_NONE;
        if (w->factor[i] == 0)
            continue;
        first = v[w->lo[i]];
        raw = with_resets(v, w->lo[i], w->hi[i], c->scratch->idx, nresets, &at);
        c->v[i] = raw > 0 && first >= 0 && first < raw * w->reach[i] ? exact(c, i, raw, seconds) : raw * w->factor[i];
        c->has[i] = ROW_FLOAT;
        n++;
    }
    return n;
}

static uint32_t counter_run(struct range_call *c, double seconds)
{
    uint32_t nresets;

    if (c->use_st && c->s.st)
        return st_run(c, seconds);
    nresets = find_resets(c->s.v, c->s.n, c->scratch);
    return nresets ? reset_run(c, seconds, nresets) : plain_run(c, seconds);
}

uint32_t rate_run(struct range_call *c)
{
    return counter_run(c, (double)c->steps->range / 1000);
}

uint32_t increase_run(struct range_call *c)
{
    return counter_run(c, 0);
}

uint32_t delta_run(struct range_call *c)
{
    const struct windows *w = c->w;
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        bool is = w->factor[i] != 0;

        c->has[i] = is ? ROW_FLOAT : ROW_NONE;
        n += is;
        if (is)
            c->v[i] = (c->s.v[w->hi[i] - 1] - c->s.v[w->lo[i]]) * w->factor[i];
    }
    return n;
}

static uint32_t instant_run(struct range_call *c, bool rate)
{
    const struct samples *s = &c->s;
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        double last, prev;

        c->has[i] = ROW_NONE;
        if (hi - lo < 2 || s->t[hi - 1] == s->t[hi - 2])
            continue;
        last = s->v[hi - 1];
        prev = s->v[hi - 2];
        if (rate && (last < prev || (c->use_st && s->st && st_reset(s, hi - 1, &c->notes))))
            c->v[i] = last;
        else
            c->v[i] = last - prev;
        if (rate)
            c->v[i] /= (double)(s->t[hi - 1] - s->t[hi - 2]) / 1000;
        c->has[i] = ROW_FLOAT;
        n++;
    }
    return n;
}

uint32_t irate_run(struct range_call *c)
{
    return instant_run(c, true);
}

uint32_t idelta_run(struct range_call *c)
{
    return instant_run(c, false);
}
