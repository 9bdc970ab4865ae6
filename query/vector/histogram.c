/*
 * histogram.c - arithmetic of native histograms: layouts are reconciled to what both sides can say, then buckets are
 * added.
 *
 * (1) Results are new; arguments never change, so histograms may be shared between rows and threads.
 */
#include "query/vector/hist_layout.h"

/* --- scaling ---------------------------------------------------------------------------------- */

static struct hist_bucket *scaled(struct arena *a, const struct hist_bucket *b, uint32_t n, double f, bool divide)
{
    struct hist_bucket *c = hist_copy_buckets(a, b, n);

    for (uint32_t i = 0; i < n; i++)
        c[i].n = divide ? c[i].n / f : c[i].n * f;
    return c;
}

static struct histogram *scale(struct arena *a, const struct histogram *h, double f, bool divide)
{
    struct histogram *c = arena_new(a, struct histogram);

    *c = *h;
    c->pos = scaled(a, h->pos, h->npos, f, divide);
    c->neg = scaled(a, h->neg, h->nneg, f, divide);
    c->zero_count = divide ? h->zero_count / f : h->zero_count * f;
    c->count = divide ? h->count / f : h->count * f;
    c->sum = divide ? h->sum / f : h->sum * f;
    if (f < 0)
        c->hint = HIST_GAUGE;
    return c;
}

struct histogram *hist_mul(struct arena *a, const struct histogram *h, double f)
{
    return scale(a, h, f, false);
}

struct histogram *hist_div(struct arena *a, const struct histogram *h, double f)
{
    struct histogram *c = scale(a, h, f, true);

    /* Nothing is left to share out. */
    if (f == 0)
        c->npos = c->nneg = 0;
    return c;
}

/* --- the zero bucket -------------------------------------------------------------------------- */

/* What the zero bucket holds when its threshold is raised to *threshold, which is moved up to a bucket's bound if it
 * falls inside one. */
double hist_zero_count(const struct histogram *h, double *threshold)
{
    double n;
    bool again;

    if (*threshold == h->zero_threshold)
        return h->zero_count;
    do {
        again = false;
        n = h->zero_count;
        for (uint32_t k = 0; k < h->npos && hist_bound(h->schema, h->pos[k].i - 1) < *threshold; k++) {
            double upper = hist_bound(h->schema, h->pos[k].i);

            n += h->pos[k].n;
            if (upper > *threshold && h->pos[k].n != 0)
                *threshold = upper;
        }
        for (uint32_t k = 0; k < h->nneg && hist_bound(h->schema, h->neg[k].i - 1) < *threshold && !again; k++) {
            double upper = hist_bound(h->schema, h->neg[k].i);

            n += h->neg[k].n;
            if (upper > *threshold && h->neg[k].n != 0) {
                *threshold = upper;
                again = true; /* positive buckets may be reached now */
            }
        }
    } while (again);
    return n;
}

static uint32_t above(struct hist_bucket *b, uint32_t n, int32_t schema, double threshold)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++)
        if (hist_bound(schema, b[i].i - 1) >= threshold)
            b[k++] = b[i];
    return k;
}

static struct histogram *with_threshold(struct arena *a, const struct histogram *h, double threshold)
{
    struct histogram *c = hist_dup(a, h);

    c->zero_count = hist_zero_count(h, &threshold);
    c->zero_threshold = threshold;
    c->npos = above((struct hist_bucket *)c->pos, c->npos, c->schema, threshold);
    c->nneg = above((struct hist_bucket *)c->neg, c->nneg, c->schema, threshold);
    return c;
}

int hist_reconcile(struct arena *a, const struct histogram **l, const struct histogram **r, unsigned *notes)
{
    if (hist_custom(*l) != hist_custom(*r))
        return ERR_UNSUPPORTED;
    if (hist_custom(*l)) {
        if (!hist_same_bounds(*l, *r)) {
            uint32_t n;
            double *b = hist_common_bounds(a, *l, *r, &n);

            *l = hist_to_bounds(a, *l, b, n);
            *r = hist_to_bounds(a, *r, b, n);
            *notes |= HIST_BOUNDS_RECONCILED;
        }
        return 0;
    }
    while ((*l)->zero_threshold != (*r)->zero_threshold) {
        if ((*l)->zero_threshold > (*r)->zero_threshold)
            *r = with_threshold(a, *r, (*l)->zero_threshold);
        else
            *l = with_threshold(a, *l, (*r)->zero_threshold);
    }
    if ((*l)->schema > (*r)->schema)
        *l = hist_reduce(a, *l, (*r)->schema);
    else if ((*r)->schema > (*l)->schema)
        *r = hist_reduce(a, *r, (*l)->schema);
    return 0;
}

/* --- sums ------------------------------------------------------------------------------------- */

uint8_t hist_hint_of(uint8_t l, uint8_t r, unsigned *notes)
{
    if (l == r)
        return l;
    if (l == HIST_GAUGE || r == HIST_GAUGE)
        return HIST_GAUGE;
    if (l != HIST_UNKNOWN && r != HIST_UNKNOWN)
        *notes |= HIST_RESET_CONFLICT;
    return HIST_UNKNOWN;
}

static uint32_t merge(struct hist_bucket *out, const struct hist_bucket *l, uint32_t nl, const struct hist_bucket *r,
                      uint32_t nr, double sign)
{
    uint32_t i = 0, j = 0, n = 0;

    while (i < nl || j < nr) {
        if (j == nr || (i < nl && l[i].i < r[j].i))
            out[n++] = l[i++];
        else if (i == nl || r[j].i < l[i].i)
            out[n++] = (struct hist_bucket){r[j].i, sign * r[j].n}, j++;
        else
            out[n++] = (struct hist_bucket){l[i].i, l[i].n + sign * r[j].n}, i++, j++;
    }
    return n;
}

static int combine(struct arena *a, const struct histogram *l, const struct histogram *r, double sign,
                   struct histogram **out, unsigned *notes)
{
    struct histogram *c;
    struct hist_bucket *b;
    uint8_t hint = hist_hint_of(l->hint, r->hint, notes);
    int code = hist_reconcile(a, &l, &r, notes);

    if (code < 0)
        return code;
    c = arena_new(a, struct histogram);
    *c = *l;
    c->hint = sign < 0 ? HIST_GAUGE : hint;
    c->count = l->count + sign * r->count;
    c->sum = l->sum + sign * r->sum;
    c->zero_count = l->zero_count + sign * r->zero_count;
    c->pos = b = arena_alloc(a, (l->npos + (size_t)r->npos + 1) * sizeof *b);
    c->npos = merge(b, l->pos, l->npos, r->pos, r->npos, sign);
    c->neg = b = arena_alloc(a, (l->nneg + (size_t)r->nneg + 1) * sizeof *b);
    c->nneg = merge(b, l->neg, l->nneg, r->neg, r->nneg, sign);
    *out = c;
    return 0;
}

int hist_add(struct arena *a, const struct histogram *l, const struct histogram *r, struct histogram **out,
             unsigned *notes)
{
    return combine(a, l, r, 1, out, notes);
}

int hist_sub(struct arena *a, const struct histogram *l, const struct histogram *r, struct histogram **out,
             unsigned *notes)
{
    return combine(a, l, r, -1, out, notes);
}

/* --- resets ------------------------------------------------------------------------------------ */

/* Some bucket holds less than before. Both in one layout. */
static bool shrunk(const struct hist_bucket *cur, uint32_t nc, const struct hist_bucket *prev, uint32_t np)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < np; i++) {
        while (k < nc && cur[k].i < prev[i].i)
            k++;
        if ((k < nc && cur[k].i == prev[i].i ? cur[k].n : 0) < prev[i].n)
            return true;
    }
    return false;
}

bool hist_detect_reset(const struct histogram *cur, const struct histogram *prev)
{
    struct arena a = {0};
    unsigned notes = 0;
    bool reset;

    if (cur->hint == HIST_RESET || cur->hint == HIST_NOT_RESET)
        return cur->hint == HIST_RESET;
    if (cur->count < prev->count || hist_custom(cur) != hist_custom(prev))
        return true;
    if (!hist_custom(cur)) {
        double threshold = cur->zero_threshold, zero;

        if (cur->schema > prev->schema || cur->zero_threshold < prev->zero_threshold)
            return true;
        zero = hist_zero_count(prev, &threshold);
        if (threshold != cur->zero_threshold || cur->zero_count < zero)
            return true;
    }
    if (hist_reconcile(&a, &cur, &prev, &notes) < 0)
        reset = true;
    else
        reset =
            shrunk(cur->pos, cur->npos, prev->pos, prev->npos) || shrunk(cur->neg, cur->nneg, prev->neg, prev->nneg);
    arena_release(&a);
    return reset;
}
