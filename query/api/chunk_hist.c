/*
 * chunk_hist.c - histograms as chunks.
 *
 * A chunk has one layout: the buckets that any of its samples has; who lacks one has zero there. Prometheus takes every
 * sample behind the first of a counter's chunk for one without a reset.
 *
 * (1) So no sample that may come after a reset stands behind another one in a chunk.
 * (2) A staleness marker has an empty layout and shares its chunk with none but markers.
 */
#include "query/api/chunk.h"

#include "query/vector/histogram.h"

#include <assert.h>
#include <math.h>

enum { FLAG_NOT_RESET = 0x40, FLAG_RESET = 0x80, FLAG_GAUGE = 0xc0 };

/* --- runs ------------------------------------------------------------------------------------------- */

static bool goes_on(const struct histogram *prev, const struct histogram *h)
{
    if (hist_stale(prev) || hist_stale(h))
        return hist_stale(prev) && hist_stale(h);
    if (h->schema != prev->schema || h->zero_threshold != prev->zero_threshold ||
        (h->hint == HIST_GAUGE) != (prev->hint == HIST_GAUGE) || !hist_same_bounds(h, prev))
        return false;
    return h->hint == HIST_GAUGE || !hist_detect_reset(h, prev);
}

uint32_t chunk_hists_run(const struct histogram *const *h, uint32_t n)
{
    uint32_t i = 1;

    while (i < n && i < CHUNK_SAMPLES && goes_on(h[i - 1], h[i]))
        i++;
    return i;
}

/* --- variable bits ------------------------------------------------------------------------------------ */

/* Sizes of numbers, and how many ones (then a zero) announce each; the last has no zero behind. */
static const uint8_t sizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

static void put_sized(struct bits *b, uint64_t v, unsigned which)
{
    if (which == 8)
        bits_put(b, 0xff, 8);
    else
        bits_put(b, (1u << (which + 1)) - 2, which + 1);
    bits_put(b, v, sizes[which]);
}

static void put_int(struct bits *b, int64_t v)
{
    unsigned which = v == 0 ? 0 : 1;

    while (which > 0 && which < 8 &&
           !(v >= -((INT64_C(1) << (sizes[which] - 1)) - 1) && v <= INT64_C(1) << (sizes[which] - 1)))
        which++;
    put_sized(b, (uint64_t)v, which);
}

static void put_uint(struct bits *b, uint64_t v)
{
    unsigned which = v == 0 ? 0 : 1;

    while (which > 0 && which < 8 && v >> sizes[which])
        which++;
    put_sized(b, v, which);
}

/* --- layout ------------------------------------------------------------------------------------------- */

/* One sample's counts in the layout of its chunk. */
struct cells {
    struct hist_bucket *b; /* the layout: numbers of buckets */
    uint32_t n;
};

/* Both sides' buckets, in order. */
static struct cells join(struct arena *a, struct cells l, const struct hist_bucket *r, uint32_t nr)
{
    struct cells out = {arena_array(a, struct hist_bucket, l.n + nr + 1), 0};
    uint32_t i = 0, k = 0;

    while (i < l.n || k < nr) {
        bool left = k == nr || (i < l.n && l.b[i].i <= r[k].i);
        int32_t at = left ? l.b[i].i : r[k].i;

        out.b[out.n++].i = at;
        i += i < l.n && l.b[i].i == at;
        k += k < nr && r[k].i == at;
    }
    return out;
}

static bool has_all(struct cells l, const struct hist_bucket *b, uint32_t n)
{
    uint32_t i = 0;

    for (uint32_t k = 0; k < n; k++) {
        while (i < l.n && l.b[i].i < b[k].i)
            i++;
        if (i == l.n || l.b[i].i != b[k].i)
            return false;
    }
    return true;
}

static void put_spans(struct bits *b, struct arena *a, struct cells l)
{
    struct chunk_span *s = arena_array(a, struct chunk_span, l.n + 1);
    uint32_t n = chunk_spans(l.b, l.n, s);

    put_uint(b, n);
    for (uint32_t i = 0; i < n; i++) {
        put_uint(b, s[i].length);
        put_int(b, s[i].offset);
    }
}

static void put_zero_threshold(struct bits *b, double v)
{
    int exponent;

    if (v == 0) {
        bits_put(b, 0, 8);
    } else if (frexp(v, &exponent) != 0.5 || exponent < -242 || exponent > 11) {
        bits_put(b, 255, 8);
        bits_put(b, f64_bits(v), 64);
    } else {
        bits_put(b, (uint64_t)(exponent + 243), 8);
    }
}

/* Thousandths where that is exact, else the float. */
static void put_bound(struct bits *b, double v)
{
    double thousandths = v * 1000;

    if (!(thousandths >= 0 && thousandths <= 33554430) || round(thousandths) / 1000 != v) {
        bits_put(b, 0, 1);
        bits_put(b, f64_bits(v), 64);
    } else {
        put_uint(b, (uint64_t)round(thousandths) + 1);
    }
}

static void put_layout(struct bits *b, struct arena *a, const struct histogram *h, struct cells pos, struct cells neg)
{
    put_zero_threshold(b, h->zero_threshold);
    put_int(b, h->schema);
    put_spans(b, a, pos);
    put_spans(b, a, neg);
    if (hist_custom(h)) {
        put_uint(b, h->nbounds);
        for (uint32_t i = 0; i < h->nbounds; i++)
            put_bound(b, h->bounds[i]);
    }
}

/* The counts of h, in the places of the layout. */
static void fill(struct cells l, const struct hist_bucket *b, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < l.n; i++) {
        bool is = k < n && b[k].i == l.b[i].i;

        l.b[i].n = is ? b[k].n : 0;
        k += is;
    }
    assert(k == n);
}

/* --- whole numbers -------------------------------------------------------------------------------------- */

struct ints {
    int64_t *last, *delta; /* by place: as last written, and its change then */
    uint32_t n;
};

/* The differences between neighbouring buckets, each against what it was. */
static void put_int_cells(struct bits *b, struct ints *s, struct cells l, bool first)
{
    int64_t before = 0;

    for (uint32_t i = 0; i < l.n; i++) {
        int64_t count = (int64_t)l.b[i].n, v = count - before, delta = v - s->last[i];

        before = count;
        if (first) {
            put_int(b, v);
        } else {
            put_int(b, delta - s->delta[i]);
            s->delta[i] = delta;
        }
        s->last[i] = v;
    }
}

static struct ints ints_new(struct arena *a, uint32_t n)
{
    return (struct ints){arena_array(a, int64_t, n + 1), arena_array(a, int64_t, n + 1), n};
}

static void put_ints(struct bits *b, struct arena *a, const int64_t *t, const struct histogram *const *h, uint32_t n,
                     struct cells pos, struct cells neg)
{
    struct ints head = ints_new(a, 3), p = ints_new(a, pos.n), m = ints_new(a, neg.n);
    struct xor_state sum = {.leading = 0xff};

    for (uint32_t i = 0; i < n; i++) {
        bool stale = hist_stale(h[i]);
        int64_t v[3] = {t[i], stale ? 0 : (int64_t)h[i]->count, stale ? 0 : (int64_t)h[i]->zero_count};

        for (int k = 0; k < 3; k++) {
            int64_t delta = i ? v[k] - head.last[k] : 0;

            if (i)
                put_int(b, delta - head.delta[k]);
            else if (k == 0)
                put_int(b, v[0]);
            else
                put_uint(b, (uint64_t)v[k]);
            head.delta[k] = delta;
            head.last[k] = v[k];
        }
        if (i == 0)
            bits_put(b, f64_bits(h[0]->sum), 64);
        else
            bits_put_xor(b, &sum, h[i]->sum);
        sum.v = h[i]->sum;
        if (stale)
            continue;
        fill(pos, h[i]->pos, h[i]->npos);
        fill(neg, h[i]->neg, h[i]->nneg);
        put_int_cells(b, &p, pos, i == 0);
        put_int_cells(b, &m, neg, i == 0);
    }
}

/* --- floats --------------------------------------------------------------------------------------------- */

static void put_float(struct bits *b, struct xor_state *s, double v, bool first)
{
    if (first) {
        bits_put(b, f64_bits(v), 64);
        *s = (struct xor_state){v, 0xff, 0};
    } else {
        bits_put_xor(b, s, v);
    }
}

static void put_floats(struct bits *b, struct arena *a, const int64_t *t, const struct histogram *const *h, uint32_t n,
                       struct cells pos, struct cells neg)
{
    struct xor_state *s = arena_array(a, struct xor_state, 3 + pos.n + neg.n);
    int64_t delta = 0;

    for (uint32_t i = 0; i < n; i++) {
        int64_t next = i ? t[i] - t[i - 1] : 0;

        put_int(b, i ? next - delta : t[0]);
        delta = next;
        put_float(b, &s[0], h[i]->count, i == 0);
        put_float(b, &s[1], h[i]->zero_count, i == 0);
        put_float(b, &s[2], h[i]->sum, i == 0);
        fill(pos, h[i]->pos, h[i]->npos);
        fill(neg, h[i]->neg, h[i]->nneg);
        for (uint32_t k = 0; k < pos.n; k++)
            put_float(b, &s[3 + k], pos.b[k].n, i == 0);
        for (uint32_t k = 0; k < neg.n; k++)
            put_float(b, &s[3 + pos.n + k], neg.b[k].n, i == 0);
    }
}

/* --- the chunk ---------------------------------------------------------------------------------------------- */

static unsigned flags_of(const struct histogram *h)
{
    return h->hint == HIST_GAUGE       ? FLAG_GAUGE
           : h->hint == HIST_RESET     ? FLAG_RESET
           : h->hint == HIST_NOT_RESET ? FLAG_NOT_RESET
                                       : 0;
}

enum chunk_encoding chunk_put_hists(struct buf *out, const int64_t *t, const struct histogram *const *h, uint32_t n)
{
    static const struct histogram nothing = {0};
    struct arena a = {0};
    struct bits b = {.out = out};
    struct cells pos = {0}, neg = {0};
    bool ints = true, stale = hist_stale(h[0]);

    assert(n >= 1 && n <= CHUNK_SAMPLES);
    for (uint32_t i = 0; i < n && !stale; i++) {
        ints &= chunk_whole(h[i]);
        if (!has_all(pos, h[i]->pos, h[i]->npos))
            pos = join(&a, pos, h[i]->pos, h[i]->npos);
        if (!has_all(neg, h[i]->neg, h[i]->nneg))
            neg = join(&a, neg, h[i]->neg, h[i]->nneg);
    }
    bits_put(&b, n, 16);
    bits_put(&b, stale ? 0 : flags_of(h[0]), 8);
    put_layout(&b, &a, stale ? &nothing : h[0], pos, neg);
    if (ints)
        put_ints(&b, &a, t, h, n, pos, neg);
    else
        put_floats(&b, &a, t, h, n, pos, neg);
    arena_release(&a);
    return ints ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
}
