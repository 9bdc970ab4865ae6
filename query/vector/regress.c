/*
 * regress.c - deriv, predict_linear and double_exponential_smoothing over floats.
 */
#include "query/vector/kahan.h"
#include "query/vector/range.h"

struct line {
    double slope, intercept;
};

/* Least squares over samples lo..hi-1, the intercept at time `at` (ms). */
static struct line fit(const struct samples *s, uint32_t lo, uint32_t hi, int64_t at)
{
    struct kahan sx = {0}, sy = {0}, sxy = {0}, sxx = {0};
    double n = hi - lo, x, y, xy, xx, cov, var, slope;
    bool constant = true;

    for (uint32_t i = lo; i < hi; i++) {
        double dx = (double)(s->t[i] - at) / 1000, v = s->v[i];

        constant &= i == lo || v == s->v[lo];
        kahan_add(&sx, dx);
        kahan_add(&sy, v);
        kahan_add(&sxy, dx * v);
        kahan_add(&sxx, dx * dx);
    }
    if (constant)
        return isinf(s->v[lo]) ? (struct line){NAN, NAN} : (struct line){0, s->v[lo]};
    x = sx.s + sx.c;
    y = sy.s + sy.c;
    xy = sxy.s + sxy.c;
    xx = sxx.s + sxx.c;
    cov = xy - x * y / n;
    var = xx - x * x / n;
    slope = cov / var;
    return (struct line){slope, y / n - slope * x / n};
}

uint32_t deriv_run(struct range_call *c)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];

        if (range_stop(c, hi - lo))
            hi = lo;
        c->has[i] = hi - lo < 2 ? ROW_NONE : ROW_FLOAT;
        if (hi - lo < 2)
            continue;
        /* Seconds since the first sample keep the sums small. */
        c->v[i] = fit(&c->s, lo, hi, c->s.t[lo]).slope;
        filled++;
    }
    return filled;
}

uint32_t predict_run(struct range_call *c)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        struct line l;

        if (range_stop(c, hi - lo))
            hi = lo;
        c->has[i] = hi - lo < 2 ? ROW_NONE : ROW_FLOAT;
        if (hi - lo < 2)
            continue;
        l = fit(&c->s, lo, hi, step_time(c->steps, i));
        c->v[i] = l.slope * c->param[0][i] + l.intercept;
        filled++;
    }
    return filled;
}

static double smooth(const double *v, uint32_t n, double sf, double tf)
{
    double s0 = 0, s1 = v[0], b = v[1] - v[0];

    for (uint32_t i = 1; i < n; i++) {
        double x = sf * v[i];

        if (i > 1)
            b = tf * (s1 - s0) + (1 - tf) * b;
        s0 = s1;
        s1 = x + (1 - sf) * (s1 + b);
    }
    return s1;
}

uint32_t smoothing_run(struct range_call *c)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        double sf = c->param[0][i], tf = c->param[1][i];

        c->has[i] = ROW_NONE;
        if (hi == lo || range_stop(c, hi - lo))
            continue;
        if (sf <= 0 || sf >= 1) {
            c->notes |= NOTE_BAD_FACTOR;
            c->bad = sf;
            return 0;
        }
        if (tf <= 0 || tf >= 1) {
            c->notes |= NOTE_BAD_TREND;
            c->bad = tf;
            return 0;
        }
        if (hi - lo < 2)
            continue;
        c->has[i] = ROW_FLOAT;
        c->v[i] = smooth(c->s.v + lo, hi - lo, sf, tf);
        filled++;
    }
    return filled;
}
