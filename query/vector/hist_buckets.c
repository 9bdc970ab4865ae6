/*
 * hist_buckets.c - range functions over stretches of histograms, laid over what the buckets of a series' floats gave.
 *
 * (1) Windows that are whole buckets give what their samples would: nothing within a stretch is a reset or another layout, so
 *     its first and last tell its part of an increase, and its sum is added as one histogram.
 * (2) A window with floats and histograms is what mixed.c makes of it: most functions give nothing and NOTE_MIXED.
 * (3) Steps rise, so the stretches of a window are found by moving on from those of the one before.
 */
#include "query/vector/buckets.h"
#include "query/vector/histogram.h"

#include <math.h>
#include <stdlib.h>

/* One evaluation, and the window at hand. */
struct laying {
    const struct bucket_function *fn;
    struct range_call *c;
    const struct bucket_columns *b;
    const struct stretch_columns *h;
    bool nearest;

    uint32_t i, lo, hi; /* step, and its stretches */
    uint32_t flo, fhi;  /* its buckets of floats */
    double longer;      /* than the window reach its stretches: >= 1 */
    int64_t start, end; /* of the window, or of what its stretches span */

    /* First and last of each stretch, in a row; edge[k] is the first of stretch k. */
    struct range_call edges;
    uint32_t *edge;
};

/* --- windows ---------------------------------------------------------------------------------------------- */

/* With nearest those that the window touches. */
static void move_on(const struct laying *l, const int64_t *t_last, const int64_t *t_first, uint32_t n, uint32_t *lo,
                    uint32_t *hi)
{
    int64_t end = step_end(l->c->steps, l->i), start = end - l->c->steps->range;

    while (*hi < n && (l->nearest ? t_first[*hi] : t_last[*hi]) <= end)
        ++*hi;
    while (*lo < *hi && t_last[*lo] <= start)
        ++*lo;
}

static void place(struct laying *l, uint32_t i)
{
    int64_t range = l->c->steps->range;

    l->i = i;
    move_on(l, l->h->t_last, l->h->t_first, l->h->n, &l->lo, &l->hi);
    move_on(l, l->c->s.t, l->b->t_first, l->c->s.n, &l->flo, &l->fhi);
    l->end = step_end(l->c->steps, i);
    l->start = l->end - range;
    l->longer = 1;
    if (!l->nearest || l->lo == l->hi)
        return;
    l->start = MIN(l->start, l->h->t_first[l->lo]);
    l->end = MAX(l->end, l->h->t_last[l->hi - 1]);
    l->longer = (double)(l->end - l->start) / (double)range;
}

static double samples_in(const struct laying *l)
{
    double n = 0;

    for (uint32_t k = l->lo; k < l->hi; k++)
        n += l->h->count[k];
    return n;
}

/* --- what a window gives ----------------------------------------------------------------------------------- */

static int give_float(struct laying *l, double v)
{
    l->c->v[l->i] = v;
    return ROW_FLOAT;
}

static int give_hist(struct laying *l, const struct histogram *h)
{
    l->c->v[l->i] = 0;
    l->c->h[l->i] = h;
    return ROW_HIST;
}

static int nothing(struct laying *l, unsigned bit)
{
    l->c->notes |= bit;
    return ROW_NONE;
}

static bool is_finite(const struct histogram *h)
{
    bool finite = isfinite(h->count) && isfinite(h->sum) && isfinite(h->zero_count);

    for (uint32_t i = 0; i < h->npos && finite; i++)
        finite = isfinite(h->pos[i].n);
    for (uint32_t i = 0; i < h->nneg && finite; i++)
        finite = isfinite(h->neg[i].n);
    return finite;
}

/* The hint of stretch k's first one, as it is to be told. */
static uint8_t hint_of(const struct stretch_columns *h, uint32_t k)
{
    if (!h->resets_told || k == 0 || h->hint[k] != HIST_UNKNOWN)
        return h->hint[k];
    return hist_detect_reset(h->first[k], h->last[k - 1]) ? HIST_RESET : HIST_NOT_RESET;
}

/* The first or (of one) the last of stretch k, as it is to be told. */
static int give_told(struct laying *l, const struct histogram *h, uint32_t k)
{
    uint8_t hint = hint_of(l->h, k);
    struct histogram *told;

    if (hint == h->hint)
        return give_hist(l, h);
    told = arena_new(&l->c->pile->a, struct histogram);
    *told = *h;
    told->hint = hint;
    return give_hist(l, told);
}

/* The sum of the window's stretches, each divided by n. NULL: layouts that do not mix. */
static struct histogram *sum_of(struct laying *l, double n, unsigned *notes)
{
    struct arena *a = &l->c->pile->a;
    struct hist_sum *s = hist_sum_new(a, false);

    for (uint32_t k = l->lo; k < l->hi; k++) {
        struct histogram one = *l->h->sum[k];

        one.hint = hint_of(l->h, k);
        if (one.hint == HIST_RESET && l->h->count[k] > 1) { /* and those behind it are not */
            one.hint = HIST_UNKNOWN;
            *notes |= HIST_RESET_CONFLICT;
        }
        if (hist_sum_add(s, a, n == 1 ? &one : hist_div(a, &one, n), notes) < 0)
            return NULL;
    }
    return hist_sum_value(s, a);
}

static int sum_hists(struct laying *l, bool mean)
{
    double n = samples_in(l);
    unsigned notes = 0;
    struct histogram *h = sum_of(l, 1, &notes);
    struct arena *a = &l->c->pile->a;

    if (!h)
        return nothing(l, NOTE_MIXED_SCHEMAS);
    if (mean) {
        uint8_t hint = h->hint;

        h = is_finite(h) ? hist_div(a, h, n) : sum_of(l, n, &notes); /* overflowing sums have means */
        h->hint = hint;
    } else if (l->longer > 1) {
        h = hist_div(a, h, l->longer);
    }
    l->c->notes |= (notes & HIST_BOUNDS_RECONCILED ? NOTE_BOUNDS_AGG : 0) |
                   (notes & HIST_RESET_CONFLICT ? NOTE_RESET_CONFLICT_AGG : 0);
    return give_hist(l, h);
}

static int difference(struct laying *l)
{
    unsigned flags = range_function_find(str_of(l->fn->name))->flags;
    struct hist_edges x = {l->edge[l->lo], l->edge[l->hi], samples_in(l), l->start, l->end};
    int got;

    for (uint32_t k = l->lo; k < l->hi && flags & RANGE_COUNTER; k++)
        if (l->h->hint[k] == HIST_GAUGE && l->h->count[k] > 2)
            l->c->notes |= NOTE_GAUGE_EDGES;
    l->edges.notes = 0;
    got = hist_difference(&l->edges, l->i, &x, flags);
    l->c->notes |= l->edges.notes;
    if (got == ROW_HIST && l->longer > 1 && !(flags & RANGE_PER_SECOND))
        l->c->h[l->i] = hist_div(&l->c->pile->a, l->c->h[l->i], l->longer);
    return got;
}

/* The window has histograms. has: what its floats gave. */
static int lay(struct laying *l, int has)
{
    const struct stretch_columns *h = l->h;
    bool floats = l->fhi > l->flo;

    switch (l->fn->value) {
    case BUCKET_COUNT:
        if (!l->fn->grows) /* only tells that, or when, there is something */
            return strcmp(l->fn->name, "ts_of_last_over_time") != 0 ? give_float(l, 1)
                   : floats && l->c->s.t[l->fhi - 1] > h->t_last[l->hi - 1]
                       ? has
                       : give_float(l, (double)h->t_last[l->hi - 1] / 1000);
        return give_float(l, (has == ROW_FLOAT ? l->c->v[l->i] : 0) + samples_in(l) / l->longer);
    case BUCKET_LAST:
        if (floats && l->c->s.t[l->fhi - 1] > h->t_last[l->hi - 1])
            return has;
        return h->count[l->hi - 1] > 1 ? give_hist(l, h->last[l->hi - 1]) : give_told(l, h->last[l->hi - 1], l->hi - 1);
    case BUCKET_FIRST:
        if (floats && l->b->t_first[l->flo] < h->t_first[l->lo])
            return has;
        return strcmp(l->fn->name, "first_over_time") == 0 ? give_told(l, h->first[l->lo], l->lo)
                                                           : give_float(l, (double)h->t_first[l->lo] / 1000);
    case BUCKET_MIN:
    case BUCKET_MAX:
        l->c->notes |= floats ? NOTE_IGNORED_HISTOGRAMS : 0;
        return has;
    case BUCKET_SUM:
    case BUCKET_AVG:
        return floats ? nothing(l, NOTE_MIXED) : sum_hists(l, l->fn->value == BUCKET_AVG);
    case BUCKET_INCREASE:
    case BUCKET_DELTA:
        return floats ? nothing(l, NOTE_MIXED) : difference(l);
    }
    return has;
}

/* --- edges ------------------------------------------------------------------------------------------------ */

static void make_edges(struct laying *l)
{
    const struct stretch_columns *h = l->h;
    struct arena *a = &l->c->pile->a;
    int64_t *t = arena_alloc(a, h->n * 2 * sizeof *t);
    const struct histogram **of = arena_alloc(a, h->n * 2 * sizeof *of);
    uint32_t n = 0;

    l->edge = arena_alloc(a, (h->n + (size_t)1) * sizeof *l->edge);
    for (uint32_t k = 0; k < h->n; k++) {
        l->edge[k] = n;
        t[n] = h->t_first[k];
        of[n++] = h->first[k];
        if (h->count[k] > 1) {
            t[n] = h->t_last[k];
            of[n++] = h->last[k];
        }
    }
    l->edge[h->n] = n;
    l->edges = *l->c;
    l->edges.s = (struct samples){.t = t, .h = of, .n = n};
}

uint32_t buckets_eval_hists(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b,
                            const struct stretch_columns *h, bool nearest)
{
    struct laying l = {.fn = fn, .c = c, .b = b, .h = h, .nearest = nearest};
    uint32_t filled = 0;

    if (fn->value == BUCKET_INCREASE || fn->value == BUCKET_DELTA)
        make_edges(&l);
    for (uint32_t i = 0; i < c->steps->n; i++) {
        place(&l, i);
        if (l.fhi == l.flo)
            c->has[i] = ROW_NONE;
        if (l.hi > l.lo && !range_stop(c, l.hi - l.lo))
            c->has[i] = (uint8_t)lay(&l, c->has[i]);
        filled += c->has[i] != ROW_NONE;
    }
    return filled;
}
