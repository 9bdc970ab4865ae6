/*
 * range_windows.c - cuts windows into buckets.
 *
 * Edges are two rows of times a step apart: where windows begin (A) and where they end (B). Between two neighbouring edges
 * a time has a of A and b of B before it: windows b..a-1 see it, and a + b names the place.
 */
#include "query/logql/range_windows.h"

/* How many of base, base + step, ... (n of them) are smaller than t. */
static uint32_t smaller(int64_t base, int64_t step, uint32_t n, int64_t t)
{
    int64_t k;

    if (t <= base)
        return 0;
    if (n == 1)
        return 1;
    k = (t - base - 1) / step + 1;
    return k < n ? (uint32_t)k : n;
}

int lq_windows_init(struct lq_windows *w, struct query *q, int64_t first, int64_t step, int64_t range, uint32_t n, struct err *e)
{
    size_t places = 2 * (size_t)n + 1, bytes = (places + 2 * (size_t)n) * sizeof *w->bucket;
    uint32_t a = 0, b = 0;

    if (query_charge(q, (int64_t)bytes, "range", e) < 0)
        return e->code;
    *w = (struct lq_windows){.first = first, .step = step, .range = range, .n = n};
    w->bucket = arena_alloc(&q->arena, places * sizeof *w->bucket);
    w->lo = arena_alloc(&q->arena, n * sizeof *w->lo);
    w->hi = arena_alloc(&q->arena, n * sizeof *w->hi);
    memset(w->bucket, 0xff, places * sizeof *w->bucket);
    while (b < n) {
        int64_t next_a = a < n ? first - range + (int64_t)a * step : INT64_MAX, next_b = first + (int64_t)b * step;

        /* Behind the next edge, all that stand at the same time together. */
        if (next_a <= next_b)
            w->lo[a++] = w->nbuckets;
        if (next_b <= next_a)
            w->hi[b++] = w->nbuckets;
        if (a > b)
            w->bucket[a + b] = w->nbuckets++;
    }
    return 0;
}

/* The edges around the place that a and b name. */
static void place_edges(const struct lq_windows *w, struct lq_place *p, uint32_t a, uint32_t b)
{
    int64_t starts = w->first - w->range;

    p->after = INT64_MIN;
    p->upto = INT64_MAX;
    if (a)
        p->after = starts + (int64_t)(a - 1) * w->step;
    if (b && w->first + (int64_t)(b - 1) * w->step > p->after)
        p->after = w->first + (int64_t)(b - 1) * w->step;
    if (a < w->n)
        p->upto = starts + (int64_t)a * w->step;
    if (b < w->n && w->first + (int64_t)b * w->step < p->upto)
        p->upto = w->first + (int64_t)b * w->step;
}

uint32_t lq_windows_find(const struct lq_windows *w, struct lq_place *p, int64_t t)
{
    uint32_t a, b;

    if (t > p->after && t <= p->upto)
        return p->bucket;
    a = smaller(w->first - w->range, w->step, w->n, t);
    b = smaller(w->first, w->step, w->n, t);
    place_edges(w, p, a, b);
    p->bucket = a > b ? w->bucket[a + b] : LQ_NO_BUCKET;
    return p->bucket;
}

bool lq_windows_aligned(const struct lq_windows *w, int64_t unit)
{
    if (w->n == 1)
        return true;
    /* Of two windows and more every edge but the very first and the very last is inside. */
    return w->step % unit == 0 && w->first % unit == 0 && w->range % unit == 0;
}
