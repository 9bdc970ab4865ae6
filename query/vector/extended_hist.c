/*
 * extended_hist.c - anchored and smoothed ranges over series with histograms.
 *
 * (1) A value interpolated across a reset starts from nothing, so the reset it crossed is not counted again: the
 *     sample after it is compared by its counts, not by its hint.
 */
#include "query/vector/extended.h"
#include "query/vector/histogram.h"

static uint32_t count_histograms(const struct range_call *c, const struct span *x)
{
    uint32_t n = 0;

    for (uint32_t k = x->first; k <= x->last; k++)
        n += c->s.h[k] != NULL;
    return n;
}

static const struct histogram *without_hint(struct arena *a, const struct histogram *h)
{
    struct histogram *c = arena_new(a, struct histogram);

    *c = *h;
    if (c->hint != HIST_GAUGE)
        c->hint = HIST_UNKNOWN;
    return c;
}

const struct histogram *hist_on_line(struct arena *a, const struct histogram *p, const struct histogram *q,
                                     double share, bool counter, unsigned *notes)
{
    struct histogram *d;

    if (counter && hist_detect_reset(q, p)) {
        d = hist_mul(a, q, share);
    } else {
        if (hist_sub(a, q, p, &d, notes) < 0 || hist_add(a, p, hist_mul(a, d, share), &d, notes) < 0)
            return NULL;
    }
    d->hint = q->hint == HIST_GAUGE ? HIST_GAUGE : HIST_UNKNOWN;
    return d;
}

static double share_at(const struct range_call *c, uint32_t k, int64_t t)
{
    return (double)(t - c->s.t[k]) / (double)(c->s.t[k + 1] - c->s.t[k]);
}

/* right - left, and what resets in between took away. NULL: layouts that do not mix. */
static const struct histogram *difference(struct range_call *c, const struct span *x, uint32_t lo, bool counter,
                                          unsigned *notes)
{
    struct arena *a = &c->pile->a;
    const struct histogram *const *h = c->s.h;
    const struct histogram *left = h[x->first], *right = h[x->last], *prev;
    struct histogram *d;
    bool cut_left = c->smoothed && c->s.t[x->first] < x->start,
         cut_right = c->smoothed && x->last > lo && c->s.t[x->last] > x->end;
    bool first = cut_left;

    if (cut_left)
        left = hist_on_line(a, h[x->first], h[x->first + 1], share_at(c, x->first, x->start), counter, notes);
    if (cut_right)
        right = hist_on_line(a, h[x->last - 1], h[x->last], share_at(c, x->last - 1, x->end), counter, notes);
    if (!left || !right || hist_sub(a, right, left, &d, notes) < 0)
        return NULL;
    prev = left;
    for (uint32_t k = x->first; k <= x->last && counter; k++) {
        const struct histogram *cur = h[k];

        if (c->s.t[k] <= x->start || c->s.t[k] >= x->end)
            continue;
        if (hist_detect_reset(first ? without_hint(a, cur) : cur, prev) && hist_add(a, d, prev, &d, notes) < 0)
            return NULL;
        prev = cur;
        first = false;
    }
    if (counter && prev != right && hist_detect_reset(first ? without_hint(a, right) : right, prev) &&
        hist_add(a, d, prev, &d, notes) < 0)
        return NULL;
    return d;
}

static void hint_notes(struct range_call *c, const struct span *x, bool counter)
{
    bool l = c->s.h[x->first]->hint == HIST_GAUGE, r = c->s.h[x->last]->hint == HIST_GAUGE;

    if (counter && (l || r))
        c->notes |= NOTE_NOT_COUNTER;
    if (!counter && (!l || !r))
        c->notes |= NOTE_NOT_GAUGE;
}

static int histogram_difference(const struct range_function *fn, struct range_call *c, uint32_t i, uint32_t lo,
                                const struct span *x)
{
    struct arena *a = &c->pile->a;
    const struct histogram *d;
    struct histogram *out;
    unsigned notes = 0;

    hint_notes(c, x, fn->flags & RANGE_COUNTER);
    d = difference(c, x, lo, fn->flags & RANGE_COUNTER, &notes);
    if (!d) {
        c->notes |= NOTE_MIXED_SCHEMAS;
        return ROW_NONE;
    }
    if (notes & HIST_BOUNDS_RECONCILED)
        c->notes |= NOTE_BOUNDS_SUB;
    out = hist_compact(a, fn->flags & RANGE_PER_SECOND ? hist_div(a, d, (double)c->steps->range / 1000) : d);
    out->hint = HIST_GAUGE;
    c->v[i] = 0;
    c->h[i] = out;
    return ROW_HIST;
}

int extended_one(const struct range_function *fn, struct range_call *c, uint32_t i, uint32_t lo, const struct span *x)
{
    uint32_t histograms = count_histograms(c, x);
    double n = 0;

    if (histograms == 0) {
        c->v[i] = extended_floats(fn, c, x, lo);
        return ROW_FLOAT;
    }
    if (!(fn->flags & RANGE_EXTRAPOLATES)) {
        for (uint32_t k = x->first + 1; k <= x->last; k++)
            n += fn->run == resets_run ? range_reset_at(c, k) : range_changed_at(c, k);
        c->v[i] = n;
        return ROW_FLOAT;
    }
    if (histograms <= x->last - x->first) {
        c->notes |= NOTE_MIXED;
        return ROW_NONE;
    }
    return histogram_difference(fn, c, i, lo, x);
}
