/*
 * hist_sum.c - sums and means of many histograms, every count compensated.
 *
 * The running sum keeps two histograms of one layout: the sums, and their compensations. When the counts would
 * overflow, the sum is turned into a running mean, as for floats.
 *
 * (1) s and c have the same layout and the same bucket indexes, and their buckets are the sum's own: they are
 *     added to in place.
 * (2) The arena of each call must live as long as the sum; it may be another one each time.
 */
#include "query/vector/hist_layout.h"
#include "query/vector/kahan.h"

#include <stdlib.h>

struct hist_sum {
    struct histogram *s, *c;
    double n;
    bool mean;        /* what is asked for in the end */
    bool incremental; /* s + c is the mean, not the sum */
    bool seen[4];     /* hints that came */
    uint8_t hint;
};

struct hist_sum *hist_sum_new(struct arena *a, bool mean)
{
    struct hist_sum *s = arena_new(a, struct hist_sum);

    s->mean = mean;
    return s;
}

/* The compensations of a first histogram: its layout, all zero. */
static struct histogram *zeros(struct arena *a, const struct histogram *h)
{
    struct histogram *c = hist_mul(a, h, 0);

    c->zero_count = c->count = c->sum = 0;
    for (uint32_t i = 0; i < c->npos; i++)
        ((struct hist_bucket *)c->pos)[i].n = 0;
    for (uint32_t i = 0; i < c->nneg; i++)
        ((struct hist_bucket *)c->neg)[i].n = 0;
    return c;
}

static void add_number(double *s, double *c, double x)
{
    struct kahan k = {*s, *c};

    kahan_add(&k, x);
    *s = k.s;
    *c = k.c;
}

/* The sum has all of x's buckets already, as nearly always: added where they are. False, and nothing done, if not. */
static bool add_in_place(struct hist_bucket *s, struct hist_bucket *c, uint32_t n, const struct hist_bucket *x,
                         uint32_t nx)
{
    uint32_t i = 0;

    for (uint32_t j = 0; j < nx; j++, i++) {
        while (i < n && s[i].i < x[j].i)
            i++;
        if (i == n || s[i].i != x[j].i)
            return false;
    }
    for (uint32_t j = i = 0; j < nx; j++, i++) {
        while (s[i].i < x[j].i)
            i++;
        add_number(&s[i].n, &c[i].n, x[j].n);
    }
    return true;
}

/* (s, c) += x, bucket by bucket; the result has the union of the indexes. */
static void add_buckets(struct arena *a, const struct hist_bucket **s, const struct hist_bucket **c, uint32_t *n,
                        const struct hist_bucket *x, uint32_t nx)
{
    struct hist_bucket *os, *oc;
    uint32_t i = 0, j = 0, k = 0;

    if (add_in_place((struct hist_bucket *)*s, (struct hist_bucket *)*c, *n, x, nx))
        return;
    os = arena_alloc(a, (*n + (size_t)nx + 1) * sizeof *os);
    oc = arena_alloc(a, (*n + (size_t)nx + 1) * sizeof *oc);
    for (; i < *n || j < nx; k++) {
        if (j == nx || (i < *n && (*s)[i].i < x[j].i)) {
            os[k] = (*s)[i];
            oc[k] = (*c)[i++];
        } else if (i == *n || x[j].i < (*s)[i].i) {
            os[k] = x[j++];
            oc[k] = (struct hist_bucket){os[k].i, 0};
        } else {
            os[k] = (*s)[i];
            oc[k] = (*c)[i++];
            add_number(&os[k].n, &oc[k].n, x[j++].n);
        }
    }
    *s = os;
    *c = oc;
    *n = k;
}

/* s += x * f, both in one layout. */
static void add_same(struct arena *a, struct hist_sum *t, const struct histogram *x)
{
    struct histogram *s = t->s, *c = t->c;

    add_number(&s->count, &c->count, x->count);
    add_number(&s->sum, &c->sum, x->sum);
    add_number(&s->zero_count, &c->zero_count, x->zero_count);
    add_buckets(a, &s->pos, &c->pos, &s->npos, x->pos, x->npos);
    c->npos = s->npos;
    add_buckets(a, &s->neg, &c->neg, &s->nneg, x->neg, x->nneg);
    c->nneg = s->nneg;
}

static void add_compensation(struct hist_bucket *b, const struct hist_bucket *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isinf(b[i].n))
            b[i].n += c[i].n;
}

static struct histogram *rounded(struct arena *a, const struct hist_sum *t)
{
    struct histogram *h = hist_dup(a, t->s);

    add_compensation((struct hist_bucket *)h->pos, t->c->pos, h->npos);
    add_compensation((struct hist_bucket *)h->neg, t->c->neg, h->nneg);
    h->zero_count += isinf(h->zero_count) ? 0 : t->c->zero_count;
    h->count += isinf(h->count) ? 0 : t->c->count;
    h->sum += isinf(h->sum) ? 0 : t->c->sum;
    return h;
}

/* Brings the sum and x to one layout. A sum that changes its own is rounded: that happens once or twice in its life. */
static int same_layout(struct arena *a, struct hist_sum *t, const struct histogram **x, unsigned *notes)
{
    const struct histogram *s = t->s, *again = *x;
    int code = hist_reconcile(a, &s, x, notes);

    if (code < 0 || s == t->s)
        return code;
    s = rounded(a, t);
    *x = again;
    code = hist_reconcile(a, &s, x, notes);
    t->s = hist_dup(a, s);
    t->c = zeros(a, t->s);
    return code;
}

static bool buckets_overflow(const struct hist_bucket *s, uint32_t n, const struct hist_bucket *x, uint32_t nx)
{
    for (uint32_t i = 0, j = 0; i < n && j < nx;) {
        if (s[i].i == x[j].i && isinf(s[i].n + x[j].n))
            return true;
        if (s[i].i <= x[j].i)
            i++;
        else
            j++;
    }
    return false;
}

/* Some number of the sum would overflow: go on with the mean, if a mean is wanted. */
static bool overflows(const struct hist_sum *t, const struct histogram *x)
{
    return t->mean &&
           (isinf(t->s->count + x->count) || isinf(t->s->sum + x->sum) || isinf(t->s->zero_count + x->zero_count) ||
            buckets_overflow(t->s->pos, t->s->npos, x->pos, x->npos) ||
            buckets_overflow(t->s->neg, t->s->nneg, x->neg, x->nneg));
}

static void to_mean(struct arena *a, struct hist_sum *t, double n)
{
    t->s = hist_div(a, t->s, n);
    t->c = hist_div(a, t->c, n);
    t->incremental = true;
}

static void note_hint(struct hist_sum *t, uint8_t hint, unsigned *notes)
{
    t->seen[hint & 3] = true;
    t->hint = t->seen[HIST_GAUGE]                                                         ? HIST_GAUGE
              : t->seen[HIST_UNKNOWN] || (t->seen[HIST_RESET] && t->seen[HIST_NOT_RESET]) ? HIST_UNKNOWN
              : t->seen[HIST_RESET]                                                       ? HIST_RESET
                                                                                          : HIST_NOT_RESET;
    if (t->seen[HIST_RESET] && t->seen[HIST_NOT_RESET])
        *notes |= HIST_RESET_CONFLICT;
}

int hist_sum_add(struct hist_sum *t, struct arena *a, const struct histogram *h, unsigned *notes)
{
    int code;

    if (!t->s) {
        t->s = hist_dup(a, h);
        t->c = zeros(a, h);
        t->n = 1;
        note_hint(t, h->hint, notes);
        return 0;
    }
    code = same_layout(a, t, &h, notes);
    if (code < 0)
        return code;
    note_hint(t, h->hint, notes);
    t->n++;
    if (!t->incremental && overflows(t, h))
        to_mean(a, t, t->n - 1);
    if (t->incremental) {
        double q = (t->n - 1) / t->n;

        t->s = hist_mul(a, t->s, q);
        t->c = hist_mul(a, t->c, q);
        h = hist_div(a, h, t->n);
    }
    add_same(a, t, h);
    return 0;
}

int hist_sum_merge(struct hist_sum *dst, struct arena *a, const struct hist_sum *src, unsigned *notes)
{
    const struct histogram *s = src->s;
    double n = src->n;
    int code;

    if (!src->s)
        return 0;
    code = same_layout(a, dst, &s, notes);
    if (code < 0)
        return code;
    for (uint8_t k = 0; k < 4; k++)
        if (src->seen[k])
            note_hint(dst, k, notes);
    if (dst->incremental || src->incremental || overflows(dst, s)) {
        if (!dst->incremental)
            to_mean(a, dst, dst->n);
        dst->s = hist_mul(a, dst->s, dst->n / (dst->n + n));
        dst->c = hist_mul(a, dst->c, dst->n / (dst->n + n));
        s = hist_mul(a, s, (src->incremental ? n : 1) / (dst->n + n));
    }
    add_same(a, dst, s);
    dst->n += n;
    return 0;
}

struct histogram *hist_sum_value(const struct hist_sum *t, struct arena *a)
{
    struct histogram *h = rounded(a, t);

    if (t->mean && !t->incremental)
        h = hist_div(a, h, t->n);
    h->hint = t->hint;
    return hist_compact(a, h);
}
