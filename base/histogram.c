/*
 * histogram.c - what a native histogram's layout is, and how one is brought to a coarser one.
 *
 * (1) Results are new; arguments never change, so histograms may be shared between rows and threads.
 */
#include "base/histogram.h"

#include "base/base.h"

#include <assert.h>
#include <float.h>
#include <math.h>

struct histogram *hist_dup(struct arena *a, const struct histogram *h)
{
    struct histogram *c = arena_new(a, struct histogram);

    *c = *h;
    c->pos = hist_copy_buckets(a, h->pos, h->npos);
    c->neg = hist_copy_buckets(a, h->neg, h->nneg);
    if (h->nbounds) {
        double *b = arena_alloc(a, h->nbounds * sizeof *b);

        memcpy(b, h->bounds, h->nbounds * sizeof *b);
        c->bounds = b;
    }
    return c;
}

struct hist_bucket *hist_copy_buckets(struct arena *a, const struct hist_bucket *b, uint32_t n)
{
    struct hist_bucket *c = arena_alloc(a, (n + (size_t)1) * sizeof *c);

    if (n)
        memcpy(c, b, n * sizeof *c);
    return c;
}

double hist_bound(int32_t schema, int32_t i)
{
    int32_t per_octave = schema > 0 ? 1 << schema : 1;
    int64_t octave = schema > 0 ? i >> schema : (int64_t)i * (INT64_C(1) << -schema);
    int32_t rest = i & (per_octave - 1);

    /* The bucket before that of the infinities ends at the largest number. */
    if (octave == 1024 && rest == 0)
        return DBL_MAX;
    return ldexp(rest ? exp2((double)rest / per_octave) : 1, (int)MAX(-2000, MIN(2000, octave)));
}

/* --- layouts ---------------------------------------------------------------------------------- */

/* Buckets whose indexes fall together become one. to maps an index. */
static uint32_t remap(struct hist_bucket *b, uint32_t n, int32_t (*to)(int32_t i, const void *arg), const void *arg)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        int32_t at = to(b[i].i, arg);

        if (k && b[k - 1].i == at)
            b[k - 1].n += b[i].n;
        else
            b[k++] = (struct hist_bucket){at, b[i].n};
    }
    return k;
}

static int32_t coarser(int32_t i, const void *arg)
{
    int shift = *(const int *)arg;

    /* Upper bounds are base^i: i and its 2^shift - 1 predecessors make one. */
    return (int32_t)(((int64_t)i - 1) >> shift) + 1;
}

struct histogram *hist_reduce(struct arena *a, const struct histogram *h, int32_t schema)
{
    struct histogram *c = hist_dup(a, h);
    int shift = h->schema - schema;

    assert(!hist_custom(h));
    if (shift <= 0)
        return c;
    c->schema = schema;
    c->npos = remap((struct hist_bucket *)c->pos, c->npos, coarser, &shift);
    c->nneg = remap((struct hist_bucket *)c->neg, c->nneg, coarser, &shift);
    return c;
}

struct bounds_map {
    const double *from, *to;
    uint32_t nfrom, nto;
};

/* The bucket of `to` that holds bucket i of `from`: `to` is a subset of `from`. */
static int32_t common_bucket(int32_t i, const void *arg)
{
    const struct bounds_map *m = arg;
    uint32_t k = 0;

    if (i < 0 || (uint32_t)i >= m->nfrom)
        return (int32_t)m->nto;
    while (k < m->nto && m->to[k] < m->from[i])
        k++;
    return (int32_t)k;
}

bool hist_same_bounds(const struct histogram *l, const struct histogram *r)
{
    if (l->nbounds != r->nbounds)
        return false;
    for (uint32_t i = 0; i < l->nbounds; i++)
        if (l->bounds[i] != r->bounds[i])
            return false;
    return true;
}

struct histogram *hist_to_bounds(struct arena *a, const struct histogram *h, const double *bounds, uint32_t n)
{
    struct histogram *c = hist_dup(a, h);
    struct bounds_map m = {h->bounds, bounds, h->nbounds, n};

    c->npos = remap((struct hist_bucket *)c->pos, c->npos, common_bucket, &m);
    c->bounds = bounds;
    c->nbounds = n;
    return c;
}

double *hist_common_bounds(struct arena *a, const struct histogram *l, const struct histogram *r, uint32_t *n)
{
    double *b = arena_alloc(a, (l->nbounds + (size_t)1) * sizeof *b);
    uint32_t i = 0, j = 0;

    *n = 0;
    while (i < l->nbounds && j < r->nbounds) {
        if (l->bounds[i] == r->bounds[j]) {
            b[(*n)++] = l->bounds[i++];
            j++;
        } else if (l->bounds[i] < r->bounds[j]) {
            i++;
        } else {
            j++;
        }
    }
    return b;
}

/* --- comparison ------------------------------------------------------------------------------- */

static const struct hist_bucket *next_full(const struct hist_bucket *b, const struct hist_bucket *end)
{
    while (b < end && b->n == 0)
        b++;
    return b;
}

static bool same_number(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || a == b;
}

static bool same_buckets(const struct hist_bucket *l, uint32_t nl, const struct hist_bucket *r, uint32_t nr)
{
    const struct hist_bucket *le = l + nl, *re = r + nr;

    for (;; l++, r++) {
        l = next_full(l, le);
        r = next_full(r, re);
        if (l == le || r == re)
            return l == le && r == re;
        if (l->i != r->i || !same_number(l->n, r->n))
            return false;
    }
}

bool hist_equal(const struct histogram *l, const struct histogram *r)
{
    return l->schema == r->schema && same_number(l->count, r->count) && same_number(l->sum, r->sum) &&
           (!hist_custom(l) || hist_same_bounds(l, r)) && l->zero_threshold == r->zero_threshold &&
           same_number(l->zero_count, r->zero_count) && same_buckets(l->pos, l->npos, r->pos, r->npos) &&
           same_buckets(l->neg, l->nneg, r->neg, r->nneg);
}

static uint32_t without_empty(struct hist_bucket *b, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++)
        if (b[i].n != 0)
            b[k++] = b[i];
    return k;
}

struct histogram *hist_compact(struct arena *a, const struct histogram *h)
{
    struct histogram *c = hist_dup(a, h);

    c->npos = without_empty((struct hist_bucket *)c->pos, c->npos);
    c->nneg = without_empty((struct hist_bucket *)c->neg, c->nneg);
    return c;
}
