/*
 * codec_ints.c - a column of integers as differences in runs of packed bits.
 *
 *   column   order (code)  first (num, zigzag)  first difference (num, if order 2)  run*
 *   run      mode << 6 | width (code)  reference (num, zigzag)  and by mode
 *     PACKED    every value minus the reference, packed
 *     PATCHED   the same for most; exceptions: count - 1 (num), their width (code), their reference (num),
 *               bits: one byte of position each, exceptions packed, then all packed (0 where an exception goes)
 *     BITMAP    bits: one bit a value, set where it is not zero; then the values that are not zero, minus the
 * reference, packed
 *
 * What a run holds are the values themselves (order 0), their differences (1) or the differences of those (2). A run
 * has CODEC_RUN values, the last one what is left. Counters want order 1; what is measured anew each time order 0; a
 * steady clock order 2. Half of all gauges stand still between two scrapes: BITMAP. A counter that moves once a minute,
 * or was reset, is PATCHED.
 *
 * (1) All arithmetic is modulo 2^64, so nothing overflows and every column can be coded.
 * (2) The decoder believes nothing: each run's bytes are counted against what is there before they are touched.
 */
#include "base/base.h"
#include "tsdb/codec.h"

#include <assert.h>

enum { PACKED, PATCHED, BITMAP };
enum { WIDTH_64 = 63 }; /* how a width of 64 is written in six bits */

void column_out_reset(struct column_out *o)
{
    buf_reset(&o->codes);
    buf_reset(&o->nums);
    buf_reset(&o->bits);
}

void column_out_release(struct column_out *o)
{
    buf_release(&o->codes);
    buf_release(&o->nums);
    buf_release(&o->bits);
}

/* --- choosing ----------------------------------------------------------------------------------- */

/* What coding some differences would take, and how. */
struct plan {
    int64_t min, max;       /* of all */
    int64_t nz_min, nz_max; /* of those that are not zero */
    uint32_t zeros;
    int64_t center;
    unsigned inlier_bits; /* PATCHED: those within 2^inlier_bits of center are not exceptions */
    unsigned mode;
    uint64_t bits; /* estimate */
};

static unsigned bit_length(uint64_t x)
{
    return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

static uint64_t span(int64_t min, int64_t max)
{
    return (uint64_t)max - (uint64_t)min;
}

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* A value in the middle of most of them: the median of five. */
static int64_t middle(const int64_t *d, uint32_t n)
{
    int64_t s[5];

    for (uint32_t i = 0; i < 5; i++) {
        int64_t x = d[(uint64_t)(n - 1) * i / 4];
        uint32_t k = i;

        for (; k > 0 && s[k - 1] > x; k--)
            s[k] = s[k - 1];
        s[k] = x;
    }
    return s[2];
}

/* Would leaving out the far ones pay? Counts lengths of the distances from the middle and tries each as the limit. */
static void plan_patched(const int64_t *d, uint32_t n, struct plan *p)
{
    uint32_t count[65] = {0}, outside = 0;
    unsigned longest = 0;

    for (uint32_t i = 0; i < n; i++)
        count[bit_length(distance(d[i], p->center))]++;
    for (unsigned b = 0; b <= 64; b++)
        if (count[b])
            longest = b;
    for (unsigned b = longest; b-- > 0;) {
        outside += count[b + 1];
        uint64_t bits = (uint64_t)n * (b ? b + 1 : 0) + (uint64_t)outside * (8 + longest + 1) + 32;
        if (bits < p->bits) {
            p->bits = bits;
            p->mode = PATCHED;
            p->inlier_bits = b;
        }
    }
}

static void make_plan(const int64_t *d, uint32_t n, struct plan *p)
{
    uint64_t far = 0;

    *p = (struct plan){.min = INT64_MAX, .max = INT64_MIN, .nz_min = INT64_MAX, .nz_max = INT64_MIN, .mode = PACKED};
    if (n == 0)
        return;
    p->center = middle(d, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t x = d[i], lo = x ? x : INT64_MAX, hi = x ? x : INT64_MIN;

        p->min = x < p->min ? x : p->min;
        p->max = x > p->max ? x : p->max;
        p->nz_min = lo < p->nz_min ? lo : p->nz_min;
        p->nz_max = hi > p->nz_max ? hi : p->nz_max;
        p->zeros += x == 0;
        far |= distance(x, p->center) >> 1;
    }
    unsigned w = pack_width(span(p->min, p->max));
    p->bits = (uint64_t)n * w;
    if (p->zeros * 8 > n && p->zeros < n) {
        uint64_t bits = n + (uint64_t)(n - p->zeros) * pack_width(span(p->nz_min, p->nz_max));
        if (bits < p->bits) {
            p->bits = bits;
            p->mode = BITMAP;
        }
    }
    if (w > 1 && far)
        plan_patched(d, n, p);
}

/* --- writing ------------------------------------------------------------------------------------ */

static void put_zigzag(struct buf *b, uint64_t v)
{
    buf_put_varint(b, zigzag((int64_t)v));
}

static void put_code(struct column_out *o, unsigned mode, unsigned width)
{
    assert(width <= 57 || width == 64);
    buf_putc(&o->codes, (char)(mode << 6 | (width == 64 ? WIDTH_64 : width)));
}

static void put_packed(struct column_out *o, const uint64_t *v, uint32_t n, unsigned width)
{
    pack_bits((uint8_t *)buf_reserve(&o->bits, pack_bytes(n, width) + 8), v, n, width);
    o->bits.n += pack_bytes(n, width);
}

static void put_plain_run(struct column_out *o, const int64_t *d, uint32_t n, const struct plan *p)
{
    uint64_t v[CODEC_RUN];
    unsigned w = pack_width(span(p->min, p->max));

    for (uint32_t i = 0; i < n; i++)
        v[i] = (uint64_t)d[i] - (uint64_t)p->min;
    put_code(o, PACKED, w);
    put_zigzag(&o->nums, (uint64_t)p->min);
    put_packed(o, v, n, w);
}

static void put_bitmap_run(struct column_out *o, const int64_t *d, uint32_t n, const struct plan *p)
{
    uint64_t v[CODEC_RUN];
    uint8_t set[CODEC_RUN / 8] = {0};
    unsigned w = pack_width(span(p->nz_min, p->nz_max));
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        set[i / 8] |= (uint8_t)((d[i] != 0) << (i & 7));
        v[k] = (uint64_t)d[i] - (uint64_t)p->nz_min;
        k += d[i] != 0;
    }
    put_code(o, BITMAP, w);
    put_zigzag(&o->nums, (uint64_t)p->nz_min);
    buf_put(&o->bits, set, (n + 7) / 8);
    put_packed(o, v, k, w);
}

static void put_patched_run(struct column_out *o, const int64_t *d, uint32_t n, const struct plan *p)
{
    uint64_t v[CODEC_RUN], ex[CODEC_RUN];
    uint8_t at[CODEC_RUN];
    int64_t in_min = INT64_MAX, in_max = INT64_MIN, ex_min = INT64_MAX, ex_max = INT64_MIN;
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool in = bit_length(distance(d[i], p->center)) <= p->inlier_bits;

        if (in) {
            in_min = MIN(in_min, d[i]);
            in_max = MAX(in_max, d[i]);
        } else {
            ex_min = MIN(ex_min, d[i]);
            ex_max = MAX(ex_max, d[i]);
            at[k++] = (uint8_t)i;
        }
    }
    assert(k > 0 && k < n);
    unsigned w = pack_width(span(in_min, in_max)), ex_w = pack_width(span(ex_min, ex_max));
    for (uint32_t i = 0, e = 0; i < n; i++) {
        bool exception = e < k && at[e] == i;

        v[i] = exception ? 0 : (uint64_t)d[i] - (uint64_t)in_min;
        if (exception)
            ex[e++] = (uint64_t)d[i] - (uint64_t)ex_min;
    }
    put_code(o, PATCHED, w);
    put_zigzag(&o->nums, (uint64_t)in_min);
    buf_put_varint(&o->nums, k - 1);
    put_code(o, PATCHED, ex_w);
    put_zigzag(&o->nums, (uint64_t)ex_min);
    buf_put(&o->bits, at, k);
    put_packed(o, ex, k, ex_w);
    put_packed(o, v, n, w);
}

static void put_run(struct column_out *o, const int64_t *d, uint32_t n, const struct plan *p)
{
    if (p->mode == BITMAP)
        put_bitmap_run(o, d, n, p);
    else if (p->mode == PATCHED)
        put_patched_run(o, d, n, p);
    else
        put_plain_run(o, d, n, p);
}

/* Differences in place, from the back: x[i] - x[i-1] for i >= from. */
static void difference(int64_t *d, uint32_t n, uint32_t from)
{
    for (uint32_t i = n; i-- > from;)
        d[i] = (int64_t)((uint64_t)d[i] - (uint64_t)d[i - 1]);
}

/* The order for a column is chosen on its first runs. */
enum { PROBE = 2 * CODEC_RUN };

static unsigned choose_order(const int64_t *x, uint32_t n, struct plan *best)
{
    int64_t d[PROBE];
    uint32_t probe = MIN(n, (uint32_t)PROBE);
    unsigned order = 0;
    struct plan p;

    memcpy(d, x, probe * sizeof *d);
    make_plan(d, probe, best);
    for (unsigned o = 1; o <= 2 && probe > o && best->bits > 0; o++) {
        difference(d, probe, o);
        make_plan(d + o, probe - o, &p);
        if (p.bits + 8 < best->bits) {
            *best = p;
            order = o;
        }
    }
    return order;
}

void ints_encode(struct column_out *o, const int64_t *x, uint32_t n)
{
    struct plan p;
    int64_t run[CODEC_RUN + 2]; /* two values before the run, for the differences */

    assert(n <= CODEC_N_MAX);
    if (n == 0)
        return;
    unsigned order = choose_order(x, n, &p);
    bool planned = n - order <= CODEC_RUN;
    buf_putc(&o->codes, (char)order);
    if (order > 0)
        put_zigzag(&o->nums, (uint64_t)x[0]);
    if (order > 1)
        put_zigzag(&o->nums, (uint64_t)x[1] - (uint64_t)x[0]);
    for (uint32_t i = order; i < n; i += CODEC_RUN) {
        uint32_t m = MIN(n - i, (uint32_t)CODEC_RUN);

        memcpy(run, x + i - order, (m + order) * sizeof *run);
        for (unsigned k = 1; k <= order; k++)
            difference(run, m + order, k);
        if (!planned)
            make_plan(run + order, m, &p);
        put_run(o, run + order, m, &p);
    }
}

/* --- reading ------------------------------------------------------------------------------------ */

struct run {
    unsigned mode, width, ex_width;
    uint64_t ref, ex_ref;
    uint32_t ex_n;
    const uint8_t *bits;
};

static int get_zigzag(struct column_in *in, uint64_t *v)
{
    in->num = get_varint(in->num, in->num_end, v);
    if (!in->num)
        return ERR_CORRUPT;
    *v = (uint64_t)unzigzag(*v);
    return 0;
}

static int get_width(unsigned code, unsigned *width)
{
    unsigned w = code & 63;

    *width = w == WIDTH_64 ? 64 : w;
    return w <= 57 || w == WIDTH_64 ? 0 : ERR_CORRUPT;
}

static uint32_t count_bits(const uint8_t *set, uint32_t n)
{
    uint32_t k = 0, i = 0;

    for (; i + 64 <= n; i += 64)
        k += (uint32_t)__builtin_popcountll(get_u64le(set + i / 8));
    for (; i < n; i += 8) {
        unsigned left = n - i < 8 ? n - i : 8;
        k += (uint32_t)__builtin_popcount(set[i / 8] & ((1u << left) - 1));
    }
    return k;
}

/* The head of a run of n values, moving `in` behind its bits. Inv. 2 is kept here. */
static int get_run(struct column_in *in, uint32_t n, struct run *r)
{
    size_t left = (size_t)(in->bit_end - in->bit), bytes;
    uint64_t count;

    if (in->code >= in->code_end)
        return ERR_CORRUPT;
    unsigned code = *in->code++;
    r->mode = code >> 6;
    if (get_width(code, &r->width) < 0 || get_zigzag(in, &r->ref) < 0)
        return ERR_CORRUPT;
    r->bits = in->bit;
    r->ex_n = 0;
    if (r->mode == PACKED) {
        bytes = pack_bytes(n, r->width);
    } else if (r->mode == BITMAP) {
        bytes = (n + 7) / 8;
        if (bytes > left)
            return ERR_CORRUPT;
        bytes += pack_bytes(count_bits(in->bit, n), r->width);
    } else if (r->mode == PATCHED) {
        in->num = get_varint(in->num, in->num_end, &count);
        if (!in->num || count >= n || in->code >= in->code_end || *in->code >> 6 != PATCHED ||
            get_width(*in->code++, &r->ex_width) < 0 || get_zigzag(in, &r->ex_ref) < 0)
            return ERR_CORRUPT;
        r->ex_n = (uint32_t)count + 1;
        bytes = r->ex_n + pack_bytes(r->ex_n, r->ex_width) + pack_bytes(n, r->width);
    } else {
        return ERR_CORRUPT;
    }
    if (bytes > left)
        return ERR_CORRUPT;
    in->bit += bytes;
    return 0;
}

/* The values of a run, references added. out has room for CODEC_RUN + 8. */
static int unpack_run(const struct run *r, uint32_t n, uint64_t *out)
{
    if (r->mode == PACKED) {
        unpack_bits(r->bits, out, n, r->width);
        for (uint32_t i = 0; i < n; i++)
            out[i] += r->ref;
        return 0;
    }
    uint64_t v[CODEC_RUN + 8];
    if (r->mode == BITMAP) {
        const uint8_t *set = r->bits;
        uint32_t k = 0, set_n = count_bits(set, n);

        unpack_bits(set + (n + 7) / 8, v, set_n, r->width);
        v[set_n] = 0; /* looked at, and masked away, behind the last one */
        for (uint32_t i = 0; i < n; i++) {
            uint64_t bit = set[i / 8] >> (i & 7) & 1;

            out[i] = (v[k] + r->ref) & -bit;
            k += (uint32_t)bit;
        }
        return 0;
    }
    const uint8_t *at = r->bits, *ex = at + r->ex_n;
    unpack_bits(ex + pack_bytes(r->ex_n, r->ex_width), out, n, r->width);
    for (uint32_t i = 0; i < n; i++)
        out[i] += r->ref;
    unpack_bits(ex, v, r->ex_n, r->ex_width);
    for (uint32_t k = 0; k < r->ex_n; k++) {
        if (at[k] >= n)
            return ERR_CORRUPT;
        out[at[k]] = v[k] + r->ex_ref;
    }
    return 0;
}

/* Order and first values of a column. */
static int get_start(struct column_in *in, uint32_t n, unsigned *order, uint64_t *first, uint64_t *slope)
{
    *first = *slope = 0;
    if (in->code >= in->code_end)
        return ERR_CORRUPT;
    *order = *in->code++;
    if (*order > 2 || *order >= n || (*order > 0 && get_zigzag(in, first) < 0) ||
        (*order > 1 && get_zigzag(in, slope) < 0))
        return ERR_CORRUPT;
    return 0;
}

int ints_skip(struct column_in *in, uint32_t n)
{
    uint64_t first, slope;
    unsigned order;
    struct run r;

    if (n == 0)
        return 0;
    if (get_start(in, n, &order, &first, &slope) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = order; i < n; i += CODEC_RUN)
        if (get_run(in, MIN(n - i, (uint32_t)CODEC_RUN), &r) < 0)
            return ERR_CORRUPT;
    return 0;
}

/* Sums a run up into values, `order` times. */
static void integrate(const uint64_t *d, uint32_t n, unsigned order, uint64_t *last, uint64_t *slope, int64_t *out)
{
    uint64_t x = *last, s = *slope;

    if (order == 0) {
        memcpy(out, d, n * sizeof *out);
    } else if (order == 1) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = (int64_t)(x += d[i]);
    } else {
        for (uint32_t i = 0; i < n; i++)
            out[i] = (int64_t)(x += s += d[i]);
    }
    *last = x;
    *slope = s;
}

int ints_decode(struct column_in *in, uint32_t n, uint32_t upto, int64_t *out)
{
    uint64_t last, slope, d[CODEC_RUN + 8];
    unsigned order;
    struct run r;

    assert(upto <= n);
    if (upto == 0)
        return n == 0 ? 0 : ints_skip(in, n);
    if (get_start(in, n, &order, &last, &slope) < 0)
        return ERR_CORRUPT;
    if (order > 0)
        out[0] = (int64_t)last;
    if (order > 1 && upto > 1)
        out[1] = (int64_t)(last + slope);
    last += slope;
    for (uint32_t i = order; i < upto; i += CODEC_RUN) {
        uint32_t m = MIN(n - i, (uint32_t)CODEC_RUN);

        if (get_run(in, m, &r) < 0 || unpack_run(&r, m, d) < 0)
            return ERR_CORRUPT;
        integrate(d, MIN(m, upto - i), order, &last, &slope, out + i);
    }
    return 0;
}
