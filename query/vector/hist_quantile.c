/*
 * hist_quantile.c - quantiles, fractions, variance of native histograms, and cutting them at a value.
 *
 * Inside an exponential bucket observations are taken to be spread evenly over the logarithm, inside zero and custom
 * buckets evenly. The zero bucket reaches to one side only when the other side has no buckets.
 */
#include "query/vector/hist_layout.h"
#include "query/vector/kahan.h"

#include <math.h>

static bool is_zero_bucket(const struct histogram *h, const struct hist_range *b)
{
    return !hist_custom(h) && b->lo <= 0 && b->hi >= 0;
}

/* The zero bucket as far as observations can lie in it. */
static void narrow_zero(const struct histogram *h, struct hist_range *b)
{
    if (!is_zero_bucket(h, b))
        return;
    if (h->nneg == 0 && h->npos > 0)
        b->lo = 0;
    else if (h->npos == 0 && h->nneg > 0)
        b->hi = 0;
}

/* How much of b lies below x, lo < x < hi. */
static double share_below(const struct histogram *h, const struct hist_range *b, double x)
{
    double lo, hi, at;

    if (hist_custom(h) || is_zero_bucket(h, b))
        return (x - b->lo) / (b->hi - b->lo);
    lo = log2(fabs(b->lo));
    hi = log2(fabs(b->hi));
    at = log2(fabs(x));
    return x > 0 ? (at - lo) / (hi - lo) : 1 - (at - hi) / (lo - hi);
}

static double inside(const struct histogram *h, const struct hist_range *b, double share)
{
    double lo, hi;

    if (hist_custom(h) || is_zero_bucket(h, b))
        return b->lo + (b->hi - b->lo) * share;
    lo = log2(fabs(b->lo));
    hi = log2(fabs(b->hi));
    if (b->lo > 0)
        return exp2(lo + (hi - lo) * share);
    return -exp2(hi + (lo - hi) * (1 - share));
}

/* --- quantile --------------------------------------------------------------------------------- */

static double quantile_in(double q, const struct histogram *h, const struct hist_range *r, uint32_t n, unsigned *notes)
{
    bool nan = isnan(h->sum), forward = nan || q < 0.5;
    double rank = (forward ? q : 1 - q) * h->count, count = 0;
    struct hist_range b = {0};

    for (uint32_t i = 0; i < n; i++) {
        b = r[forward ? i : n - 1 - i];
        count += b.n;
        if (count >= rank)
            break;
    }
    if (nan && count < rank) {
        *notes |= HIST_NAN_RESULT;
        return NAN;
    }
    if (nan)
        *notes |= HIST_NAN_SKEW;
    if (n == 0)
        return NAN;
    narrow_zero(h, &b);
    if (hist_custom(h) && isinf(b.lo)) {
        if (b.hi <= 0)
            return b.hi;
        b.lo = 0;
        if (isinf(b.hi))
            return b.lo;
    } else if (hist_custom(h) && isinf(b.hi)) {
        return b.lo;
    }
    if (count > h->count)
        count = h->count;
    if (count < rank)
        return forward ? b.hi : b.lo;
    rank = forward ? rank - (count - b.n) : count - rank;
    return inside(h, &b, rank / b.n);
}

double hist_quantile(double q, const struct histogram *h, unsigned *notes)
{
    struct arena a = {0};
    struct hist_range *r;
    double v;
    uint32_t n;

    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    r = hist_ranges(&a, h, &n);
    v = quantile_in(q, h, r, n, notes);
    arena_release(&a);
    return v;
}

/* --- fraction --------------------------------------------------------------------------------- */

static double rank_of(double x, const struct histogram *h, const struct hist_range *r, uint32_t n)
{
    double rank = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct hist_range b = r[i];

        narrow_zero(h, &b);
        if (hist_custom(h) && isinf(b.lo) && b.hi > 0)
            b.lo = 0;
        if (b.lo >= x)
            return rank;
        if (b.hi > x) {
            if (isinf(b.lo))
                return rank + b.n;
            return isinf(b.hi) ? rank : rank + b.n * share_below(h, &b, x);
        }
        rank += b.n;
    }
    return isnan(h->sum) ? rank : fmax(rank, h->count);
}

double hist_fraction(double lower, double upper, const struct histogram *h, unsigned *notes)
{
    struct arena a = {0};
    struct hist_range *r;
    double lo, hi;
    uint32_t n;

    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (isnan(h->sum))
        *notes |= HIST_NAN_FRACTION;
    if (lower >= upper)
        return 0;
    r = hist_ranges(&a, h, &n);
    lo = fmin(rank_of(lower, h, r, n), h->count);
    hi = fmin(rank_of(upper, h, r, n), h->count);
    arena_release(&a);
    return (hi - lo) / h->count;
}

/* --- variance --------------------------------------------------------------------------------- */

double hist_variance(const struct histogram *h)
{
    struct arena a = {0};
    double mean = h->sum / h->count;
    struct kahan k = {0};
    uint32_t n;
    struct hist_range *r = hist_ranges(&a, h, &n);

    for (uint32_t i = 0; i < n; i++) {
        double v;

        if (hist_custom(h))
            v = (r[i].lo + r[i].hi) / 2;
        else if (r[i].lo <= 0 && r[i].hi >= 0)
            v = 0;
        else
            v = copysign(sqrt(r[i].lo * r[i].hi), r[i].hi);
        kahan_add(&k, r[i].n * (v - mean) * (v - mean));
    }
    arena_release(&a);
    return (k.s + k.c) / h->count;
}

/* --- trim ------------------------------------------------------------------------------------- */

/* What is kept of a bucket, and where its observations are taken to lie. */
struct kept {
    double n, at;
};

static double middle(const struct histogram *h, const struct hist_range *b)
{
    if (hist_custom(h) || is_zero_bucket(h, b))
        return (b->lo + b->hi) / 2;
    return copysign(sqrt(b->lo * b->hi), b->hi);
}

/* A bucket that reaches to infinity: nothing is known of how far observations in it go. */
static struct kept keep_open(const struct hist_range *b, double x, bool upper)
{
    bool positive = b->hi > 0 && !isinf(b->hi);

    if (isinf(b->lo) && upper) {
        if (x >= b->hi)
            return (struct kept){b->n, positive ? b->hi / 2 : isinf(b->hi) ? 0 : b->hi};
        if (x > 0 && positive)
            return (struct kept){b->n * x / b->hi, x / 2};
        return b->hi <= 0 && !isinf(x) ? (struct kept){b->n, x} : (struct kept){0, 0};
    }
    if (isinf(b->lo)) {
        if (x <= b->lo)
            return (struct kept){b->n, positive ? b->hi / 2 : isinf(b->hi) ? 0 : b->hi};
        return x >= 0 && b->hi > x && positive ? (struct kept){b->n * (1 - x / b->hi), (x + b->hi) / 2}
                                               : (struct kept){0, 0};
    }
    if (upper)
        return isinf(x) && x > 0 ? (struct kept){b->n, b->lo} : (struct kept){0, 0};
    return isinf(x) && x > 0 ? (struct kept){0, 0} : (struct kept){b->n, fmax(x, b->lo)};
}

static struct kept keep_of(const struct histogram *h, struct hist_range b, double x, bool upper)
{
    double share;

    if (isinf(b.lo) || isinf(b.hi))
        return keep_open(&b, x, upper);
    narrow_zero(h, &b);
    if (x <= b.lo || x >= b.hi)
        return (struct kept){(x >= b.hi) == upper ? b.n : 0, middle(h, &b)};
    share = share_below(h, &b, x);
    if (!upper)
        share = 1 - share;
    /* Cut at x, but still the kind of bucket it was. */
    bool zero = is_zero_bucket(h, &b) || hist_custom(h);
    double lo = upper ? b.lo : x, hi = upper ? x : b.hi;

    return (struct kept){b.n * share, zero ? (lo + hi) / 2 : copysign(sqrt(lo * hi), hi)};
}

struct trimmed {
    double count, sum;
    bool cut;
};

static double trim_one(struct trimmed *t, const struct histogram *h, const struct hist_range *b, double x, bool upper)
{
    struct kept k = keep_of(h, *b, x, upper);

    t->cut |= k.n != b->n;
    t->count += k.n;
    if (k.n != 0)
        t->sum += k.n * k.at;
    return k.n;
}

struct histogram *hist_trim(struct arena *a, const struct histogram *h, double x, bool upper)
{
    struct histogram *c = hist_compact(a, h);
    struct hist_bucket *pos = (struct hist_bucket *)c->pos, *neg = (struct hist_bucket *)c->neg;
    struct trimmed t = {0};

    for (uint32_t i = 0; i < c->npos; i++) {
        uint32_t at = (uint32_t)pos[i].i;
        struct hist_range b = {.n = pos[i].n};

        b.lo = !hist_custom(h) ? hist_bound(h->schema, pos[i].i - 1) : at ? h->bounds[at - 1] : -INFINITY;
        b.hi = !hist_custom(h) ? hist_bound(h->schema, pos[i].i) : at < h->nbounds ? h->bounds[at] : INFINITY;
        pos[i].n = trim_one(&t, h, &b, x, upper);
    }
    for (uint32_t i = 0; i < c->nneg; i++) {
        struct hist_range b = {-hist_bound(h->schema, neg[i].i), -hist_bound(h->schema, neg[i].i - 1), neg[i].n, 1};

        neg[i].n = trim_one(&t, h, &b, x, upper);
    }
    if (c->zero_count != 0) {
        struct hist_range b = {-h->zero_threshold, h->zero_threshold, h->zero_count, 3};

        c->zero_count = trim_one(&t, h, &b, x, upper);
    }
    if (t.cut) {
        c->count = t.count;
        c->sum = t.sum;
    }
    return hist_compact(a, c);
}
