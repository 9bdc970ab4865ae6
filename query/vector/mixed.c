/*
 * mixed.c - range functions over windows that hold histograms, one window at a time.
 *
 * (1) Functions that calculate with values want one kind in a window; a mixture gives nothing and NOTE_MIXED.
 * (2) Functions of floats alone leave histograms out, and say so if floats were there too.
 */
#include "query/vector/histogram.h"
#include "query/vector/range.h"

#include <math.h>
#include <stdlib.h>

static const struct histogram *hist_at(const struct range_call *c, uint32_t k)
{
    return c->s.h[k];
}

static uint32_t count_histograms(const struct range_call *c, uint32_t lo, uint32_t hi)
{
    uint32_t n = 0;

    for (uint32_t k = lo; k < hi; k++)
        n += hist_at(c, k) != NULL;
    return n;
}

static int put_float(struct range_call *c, uint32_t i, double v)
{
    c->v[i] = v;
    return ROW_FLOAT;
}

static int put_hist(struct range_call *c, uint32_t i, const struct histogram *h)
{
    c->v[i] = 0;
    c->h[i] = h;
    return ROW_HIST;
}

static int note(struct range_call *c, unsigned bit)
{
    c->notes |= bit;
    return ROW_NONE;
}

/* --- floats alone ----------------------------------------------------------------------------- */

/* The floats of the window as a series of its own, evaluated for one step. */
static int as_floats(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, range_run *run, unsigned rate_flags)
{
    struct steps st = {
        .n = 1, .first = step_end(c->steps, i), .range = c->steps->range, .eval_first = step_time(c->steps, i)};
    uint32_t zero = 0, n = 0, got;
    double factor, reach, v = 0;
    uint8_t has = ROW_NONE;
    struct range_scratch scratch = {0};
    struct windows w = {.lo = &zero, .nsteps = 1, .filled = 1, .factor = &factor, .reach = &reach};
    double *values = x_alloc((hi - lo + (size_t)1) * sizeof *values);
    int64_t *times = x_alloc((hi - lo + (size_t)1) * 2 * sizeof *times), *starts = times + (hi - lo + 1);
    struct range_call one = *c;

    for (uint32_t k = lo; k < hi; k++) {
        if (hist_at(c, k))
            continue;
        values[n] = c->s.v[k];
        times[n] = c->s.t[k];
        starts[n++] = c->s.st ? c->s.st[k] : 0;
    }
    w.hi = &n;
    w.samples = n;
    one.steps = &st;
    one.s = (struct samples){times, values, c->s.st ? starts : NULL, NULL, n};
    one.w = &w;
    one.v = &v;
    one.has = &has;
    one.h = NULL;
    one.scratch = &scratch;
    for (unsigned k = 0; k < 2; k++)
        one.param[k] = c->param[k] ? c->param[k] + i : NULL;
    if (rate_flags & RANGE_EXTRAPOLATES)
        rate_prepare(&w, &st, times, rate_flags & RANGE_PER_SECOND, rate_flags & RANGE_COUNTER);
    got = n ? run(&one) : 0;
    c->notes |= one.notes;
    c->bad = one.bad;
    range_scratch_release(&scratch);
    free(values);
    free(times);
    return got ? put_float(c, i, v) : ROW_NONE;
}

int floats_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, range_run *run)
{
    uint32_t histograms = count_histograms(c, lo, hi);

    if (histograms == hi - lo)
        return ROW_NONE;
    if (histograms)
        c->notes |= NOTE_IGNORED_HISTOGRAMS;
    return as_floats(c, i, lo, hi, run, 0);
}

/* --- either kind ------------------------------------------------------------------------------ */

int count_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return put_float(c, i, hi - lo);
}

int present_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)lo, (void)hi;
    return put_float(c, i, 1);
}

static int value_of(struct range_call *c, uint32_t i, uint32_t k)
{
    return hist_at(c, k) ? put_hist(c, i, hist_at(c, k)) : put_float(c, i, c->s.v[k]);
}

int last_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)lo;
    return value_of(c, i, hi - 1);
}

int first_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)hi;
    return value_of(c, i, lo);
}

int ts_of_last_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)lo;
    return put_float(c, i, (double)c->s.t[hi - 1] / 1000);
}

int ts_of_first_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    (void)hi;
    return put_float(c, i, (double)c->s.t[lo] / 1000);
}

bool range_changed_at(const struct range_call *c, uint32_t k)
{
    const struct histogram *cur = hist_at(c, k), *prev = hist_at(c, k - 1);
    double v = c->s.v[k], w = c->s.v[k - 1];

    if (cur && prev)
        return !hist_equal(cur, prev);
    return cur || prev || (v != w && !(isnan(v) && isnan(w)));
}

bool range_reset_at(const struct range_call *c, uint32_t k)
{
    const struct histogram *cur = hist_at(c, k), *prev = hist_at(c, k - 1);

    if (cur && prev)
        return hist_detect_reset(cur, prev);
    return cur || prev || c->s.v[k] < c->s.v[k - 1];
}

int changes_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    uint32_t n = 0;

    for (uint32_t k = lo + 1; k < hi; k++)
        n += range_changed_at(c, k);
    return put_float(c, i, n);
}

int resets_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    uint32_t n = 0;

    for (uint32_t k = lo + 1; k < hi; k++)
        n += range_reset_at(c, k);
    return put_float(c, i, n);
}

/* --- sums ------------------------------------------------------------------------------------- */

static int sum_or_mean(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, bool mean)
{
    uint32_t histograms = count_histograms(c, lo, hi);
    struct hist_sum *s;
    unsigned notes = 0;

    if (histograms == 0)
        return as_floats(c, i, lo, hi, mean ? avg_run : sum_run, 0);
    if (histograms < hi - lo)
        return note(c, NOTE_MIXED);
    s = hist_sum_new(&c->pile->a, mean);
    for (uint32_t k = lo; k < hi; k++)
        if (hist_sum_add(s, &c->pile->a, hist_at(c, k), &notes) < 0)
            return note(c, NOTE_MIXED_SCHEMAS);
    c->notes |= (notes & HIST_BOUNDS_RECONCILED ? NOTE_BOUNDS_AGG : 0) |
                (notes & HIST_RESET_CONFLICT ? NOTE_RESET_CONFLICT_AGG : 0);
    return put_hist(c, i, hist_sum_value(s, &c->pile->a));
}

int sum_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return sum_or_mean(c, i, lo, hi, false);
}

int avg_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return sum_or_mean(c, i, lo, hi, true);
}

/* --- rates ------------------------------------------------------------------------------------ */

static bool st_reset_at(struct range_call *c, uint32_t k)
{
    int64_t st = c->s.st[k], prev_st = c->s.st[k - 1], prev_t = c->s.t[k - 1];

    if (st == 0)
        return false;
    if (st < prev_t && st != prev_st)
        c->notes |= NOTE_START_OVERLAP;
    return st < c->s.t[k] && (st > prev_t || (st == prev_t && prev_st != 0 && prev_st < prev_t));
}

static bool reset_between(struct range_call *c, uint32_t k, const struct histogram *prev)
{
    return (c->use_st && c->s.st && st_reset_at(c, k)) || hist_detect_reset(hist_at(c, k), prev);
}

/* Nothing, in the layout of h. */
static struct histogram *nothing_like(struct arena *a, const struct histogram *h)
{
    struct histogram *z = arena_new(a, struct histogram);

    z->schema = h->schema;
    z->bounds = h->bounds;
    z->nbounds = h->nbounds;
    return z;
}

/* Are all of one family (exponential or custom)? Counters only look inside. */
static bool one_family(struct range_call *c, uint32_t lo, uint32_t hi, bool custom, bool counter)
{
    if (hist_custom(hist_at(c, hi - 1)) != custom)
        return false;
    for (uint32_t k = lo + 1; k + 1 < hi && counter; k++) {
        if (hist_at(c, k)->hint == HIST_GAUGE)
            c->notes |= NOTE_NOT_COUNTER;
        if (hist_custom(hist_at(c, k)) != custom)
            return false;
    }
    return true;
}

/* last - first with what resets took away. NULL: dropped. */
static struct histogram *difference(struct range_call *c, uint32_t lo, uint32_t hi, bool counter)
{
    struct arena *a = &c->pile->a;
    const struct histogram *prev = hist_at(c, lo), *last = hist_at(c, hi - 1);
    bool gauges = prev->hint == HIST_GAUGE || last->hint == HIST_GAUGE, custom = hist_custom(prev);
    struct histogram *d;
    unsigned notes = 0;

    if (counter && gauges)
        c->notes |= NOTE_NOT_COUNTER;
    if (counter && hi - lo > 1 && reset_between(c, lo + 1, prev)) {
        prev = nothing_like(a, hist_at(c, lo + 1));
        custom = hist_custom(prev);
    }
    if (!one_family(c, lo, hi, custom, counter) || hist_sub(a, last, prev, &d, &notes) < 0) {
        c->notes |= NOTE_MIXED_SCHEMAS;
        return NULL;
    }
    if (counter) {
        for (uint32_t k = lo + 1; k < hi; k++) {
            const struct histogram *before = k == lo + 1 ? prev : hist_at(c, k - 1);

            if ((k > lo + 1 || prev == hist_at(c, lo)) && reset_between(c, k, before) &&
                hist_add(a, d, before, &d, &notes) < 0) {
                c->notes |= NOTE_MIXED_SCHEMAS;
                return NULL;
            }
        }
    } else if (hist_at(c, lo)->hint != HIST_GAUGE || last->hint != HIST_GAUGE) {
        c->notes |= NOTE_NOT_GAUGE;
    }
    if (notes & HIST_BOUNDS_RECONCILED)
        c->notes |= NOTE_BOUNDS_SUB;
    return d;
}

struct reach {
    double interval, to_start, to_end;
};

/* n samples, of which lo and hi - 1 are the first and the last. */
static struct reach reach_of(const struct range_call *c, const struct hist_edges *x)
{
    int64_t first = c->s.t[x->lo], last = c->s.t[x->hi - 1];
    struct reach r = {(double)(last - first) / 1000, (double)(first - x->start) / 1000, (double)(x->end - last) / 1000};
    double between = x->n > 1 ? r.interval / (x->n - 1) : 0;

    if (r.to_start >= between * 1.1)
        r.to_start = between / 2;
    if (r.to_end >= between * 1.1)
        r.to_end = between / 2;
    return r;
}

int hist_difference(struct range_call *c, uint32_t i, const struct hist_edges *x, unsigned flags)
{
    struct arena *a = &c->pile->a;
    bool counter = flags & RANGE_COUNTER, begun;
    struct histogram *d, *from_zero;
    struct reach r;
    double factor;
    unsigned ignored = 0;

    begun = counter && c->use_st && c->s.st && c->s.st[x->lo] != 0 && c->s.st[x->lo] < c->s.t[x->lo] &&
            c->s.st[x->lo] > x->start;
    if (x->n < 2 && !begun)
        return ROW_NONE;
    d = difference(c, x->lo, x->hi, counter);
    if (!d)
        return ROW_NONE;
    r = reach_of(c, x);
    if (begun) {
        if (hist_add(a, d, hist_at(c, x->lo), &from_zero, &ignored) == 0)
            d = from_zero;
        r.interval = (double)(c->s.t[x->hi - 1] - c->s.st[x->lo]) / 1000;
        r.to_start = 0;
    } else if (counter && d->count > 0 && hist_at(c, x->lo)->count >= 0) {
        r.to_start = fmin(r.to_start, r.interval * (hist_at(c, x->lo)->count / d->count));
    }
    factor = (r.interval + r.to_start + r.to_end) / r.interval;
    if (flags & RANGE_PER_SECOND)
        factor /= (double)(x->end - x->start) / 1000;
    d = hist_compact(a, hist_mul(a, d, factor));
    d->hint = HIST_GAUGE;
    return put_hist(c, i, d);
}

static int extrapolated(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, unsigned flags, range_run *floats)
{
    uint32_t histograms = count_histograms(c, lo, hi);
    int64_t end = step_end(c->steps, i);
    struct hist_edges x = {lo, hi, hi - lo, end - c->steps->range, end};

    if (histograms == 0)
        return as_floats(c, i, lo, hi, floats, flags);
    if (histograms < hi - lo)
        return note(c, NOTE_MIXED);
    return hist_difference(c, i, &x, flags);
}

int rate_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return extrapolated(c, i, lo, hi, RANGE_EXTRAPOLATES | RANGE_COUNTER | RANGE_PER_SECOND, rate_run);
}

int increase_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return extrapolated(c, i, lo, hi, RANGE_EXTRAPOLATES | RANGE_COUNTER, increase_run);
}

int delta_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return extrapolated(c, i, lo, hi, RANGE_EXTRAPOLATES, delta_run);
}

static int instant(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, bool rate)
{
    const struct histogram *last, *prev;
    struct arena *a = &c->pile->a;
    struct histogram *d;
    unsigned notes = 0;
    bool gauges;

    if (hi - lo < 2)
        return ROW_NONE;
    last = hist_at(c, hi - 1);
    prev = hist_at(c, hi - 2);
    if (!last && !prev)
        return as_floats(c, i, hi - 2, hi, rate ? irate_run : idelta_run, 0);
    if (!last || !prev)
        return note(c, NOTE_MIXED);
    gauges = last->hint == HIST_GAUGE && prev->hint == HIST_GAUGE;
    if (rate && (last->hint == HIST_GAUGE || prev->hint == HIST_GAUGE))
        c->notes |= NOTE_NOT_COUNTER;
    if (!rate && !gauges)
        c->notes |= NOTE_NOT_GAUGE;
    if (rate && reset_between(c, hi - 1, prev))
        d = hist_dup(a, last);
    else if (hist_sub(a, last, prev, &d, &notes) < 0)
        return note(c, NOTE_MIXED_SCHEMAS);
    if (notes & HIST_BOUNDS_RECONCILED)
        c->notes |= NOTE_BOUNDS_SUB;
    if (rate)
        d = hist_div(a, d, (double)(c->s.t[hi - 1] - c->s.t[hi - 2]) / 1000);
    d = hist_compact(a, d);
    d->hint = HIST_GAUGE;
    return put_hist(c, i, d);
}

int irate_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return instant(c, i, lo, hi, true);
}

int idelta_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi)
{
    return instant(c, i, lo, hi, false);
}
