/*
 * column_ints.c - integers as planes of bytes: the lowest byte of every value, then the next, each packed on its own, so that
 * noise in the low bytes does not spoil the regular high ones.
 *
 *   byte     order of differences (0..2) | zigzag << 2 | scaled << 3 | planes << 4
 *   varint   base, zigzag: what is subtracted before the planes
 *   varint   first value, if order > 0; first difference, if order == 2; both zigzag
 *   varint   scale, if scaled: all values are first + k * scale (order 0: base + k * scale)
 *   runs     the planes
 *
 * No planes: all are zero. Arithmetic is modulo 2^64 so that any integers can be coded.
 */
#include "logstore/column.h"

#include <assert.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static unsigned bits_of(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

/* The largest of a few decimal steps that all values lie on, seen from the first. */
static uint64_t find_scale(const int64_t *x, uint32_t n)
{
    uint64_t scale = 1;

    while (n > 1 && scale < 1000000000) {
        uint64_t next = scale * 1000;

        for (uint32_t i = 1; i < n; i++) {
            uint64_t d = (uint64_t)x[i] - (uint64_t)x[0];

            if ((int64_t)d % (int64_t)next != 0)
                return scale;
        }
        scale = next;
    }
    return scale;
}

/* What orders 0, 1, 2 would cost in bits, about; and between which values all lie. */
struct survey {
    uint64_t cost[3];
    int64_t min, max;
};
enum { SURVEY_ALL = 2048, SURVEY_RUN = 64, SURVEY_STEP = 512 };

/* Adds what orders 0, 1, 2 cost for x[from..end-1]. */
static void add_costs(const int64_t *x, uint32_t from, uint32_t end, struct survey *s)
{
    int64_t last = x[from], step = 0;

    s->cost[0] += bits_of((uint64_t)x[from] - (uint64_t)s->min);
    for (uint32_t i = from + 1; i < end; i++) {
        int64_t d = (int64_t)((uint64_t)x[i] - (uint64_t)last), dd = (int64_t)((uint64_t)d - (uint64_t)step);

        s->cost[0] += bits_of((uint64_t)x[i] - (uint64_t)s->min);
        s->cost[1] += bits_of(zigzag(d));
        if (i > from + 1)
            s->cost[2] += bits_of(zigzag(dd));
        last = x[i];
        step = d;
    }
}

/* Of many values some in a row are looked at, some left out, and so on. */
static void look_at(const int64_t *x, uint32_t n, struct survey *s)
{
    uint32_t seen = 0;

    *s = (struct survey){.min = x[0], .max = x[0]};
    for (uint32_t i = 1; i < n; i++) {
        s->min = MIN(s->min, x[i]);
        s->max = MAX(s->max, x[i]);
    }
    if (n < SURVEY_ALL) {
        add_costs(x, 0, n, s);
        return;
    }
    for (uint32_t i = 0; i + SURVEY_RUN <= n; i += SURVEY_STEP, seen += SURVEY_RUN)
        add_costs(x, i, i + SURVEY_RUN, s);
    for (int k = 0; k < 3; k++)
        s->cost[k] = s->cost[k] * n / seen;
}

/* The least difference of that order. */
static int64_t least(const int64_t *x, uint32_t n, uint8_t order, int64_t min)
{
    uint64_t last = (uint64_t)x[0], step = n > 1 ? (uint64_t)x[1] - last : 0;

    if (order == 0)
        return min;
    min = INT64_MAX;
    for (uint32_t i = 1; i < n; i++) {
        uint64_t d = (uint64_t)x[i] - last;

        if (i >= order)
            min = MIN(min, (int64_t)(order == 1 ? d : d - step));
        step = d;
        last = (uint64_t)x[i];
    }
    return min;
}

static uint8_t choose_order(const struct survey *s, uint32_t n)
{
    uint8_t best = 0;

    if (n < 4 || s->min == s->max)
        return 0;
    if (s->cost[1] + s->cost[1] / 8 + 16 < s->cost[best])
        best = 1;
    if (s->cost[2] + s->cost[2] / 8 + n / 4 + 16 < s->cost[best])
        best = 2;
    return best;
}

/* out[0..n-1]: what remains after the differences and the base; returns their union. */
static uint64_t residuals(const int64_t *x, uint32_t n, uint8_t order, bool zz, uint64_t base, uint64_t scale,
                          uint64_t *out)
{
    uint64_t all = 0, last = (uint64_t)x[0], step = n > 1 ? (uint64_t)x[1] - last : 0;

    if (order == 0 && scale == 1) {
        for (uint32_t i = 0; i < n; i++)
            all |= out[i] = (uint64_t)x[i] - base;
        return all;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = (uint64_t)x[i], r;

        if (order == 0) {
            r = v - base;
        } else if (i < order) {
            r = 0;
            last = v;
            all |= r;
            out[i] = r;
            continue;
        } else {
            uint64_t d = v - last;

            r = order == 1 ? d : d - step;
            step = d;
            last = v;
            r = zz ? r : r - base;
        }
        if (scale > 1)
            r = (uint64_t)((int64_t)r / (int64_t)scale);
        r = zz ? zigzag((int64_t)r) : r;
        all |= r;
        out[i] = r;
    }
    return all;
}

/* Byte k of every value. */
static void take_plane(const uint64_t *r, uint32_t n, unsigned k, uint8_t *to)
{
    uint32_t i = 0;

#ifdef __SSE2__
    const __m128i byte = _mm_set1_epi32(255), shift = _mm_cvtsi32_si128((int)(8 * k));

    for (; i + 16 <= n; i += 16) {
        __m128i four[4];

        for (unsigned j = 0; j < 4; j++) {
            __m128i a = _mm_srl_epi64(_mm_loadu_si128((const __m128i *)(const void *)(r + i + 4 * j)), shift);
            __m128i b = _mm_srl_epi64(_mm_loadu_si128((const __m128i *)(const void *)(r + i + 4 * j + 2)), shift);

            four[j] = _mm_and_si128(_mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b), _MM_SHUFFLE(2, 0, 2, 0))), byte);
        }
        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm_packus_epi16(_mm_packs_epi32(four[0], four[1]), _mm_packs_epi32(four[2], four[3])));
    }
#endif
    for (; i < n; i++)
        to[i] = (uint8_t)(r[i] >> (8 * k));
}

static void write_planes(struct column_out *o, const uint64_t *r, uint32_t n, unsigned nplanes)
{
    uint8_t *plane = slab_array(o->slab, uint8_t, n);

    for (unsigned k = 0; k < nplanes; k++) {
        take_plane(r, n, k, plane);
        out_bytes(o, POOL_NUMS, plane, n);
    }
}

uint64_t ints_cost(const int64_t *x, uint32_t n)
{
    struct survey s;

    if (n == 0)
        return 0;
    look_at(x, n, &s);
    return s.min == s.max ? 1 : s.cost[choose_order(&s, n)];
}

void ints_write(struct column_out *o, const int64_t *x, uint32_t n)
{
    struct survey s;

    if (n == 0) {
        out_byte(o, 0);
        out_num(o, 0);
        return;
    }
    look_at(x, n, &s);
    uint8_t order = choose_order(&s, n);
    /* Wrapping differences cannot be divided. */
    bool wide = s.max > INT64_MAX / 4 || s.min < INT64_MIN / 4;
    uint64_t scale = wide || s.min == s.max || s.cost[order] < (uint64_t)n * 10 ? 1 : find_scale(x, n);
    int64_t min = least(x, n, order, s.min);
    bool zz = order > 0 && min < 0;
    uint64_t base = zz ? 0 : (uint64_t)min;
    uint64_t *r = slab_array(o->slab, uint64_t, n);
    unsigned nplanes = (bits_of(residuals(x, n, order, zz, base, scale, r)) + 7) / 8;

    out_byte(o, (uint8_t)(order | zz << 2 | (scale > 1) << 3 | nplanes << 4));
    out_num(o, zigzag((int64_t)base));
    if (order > 0)
        out_num(o, zigzag(x[0]));
    if (order > 1)
        out_num(o, zigzag((int64_t)((uint64_t)x[1] - (uint64_t)x[0])));
    if (scale > 1)
        out_num(o, scale);
    write_planes(o, r, n, nplanes);
}

int ints_parse(struct column_in *in, uint32_t n, struct ints *out)
{
    uint8_t head;
    uint64_t v;

    if (in_byte(in, &head) < 0 || (head & 3) == 3 || head >> 4 > COLUMN_PLANES_MAX || in_num(in, UINT64_MAX, &v) < 0)
        return ERR_CORRUPT;
    *out = (struct ints){.order = head & 3, .zigzag = head >> 2 & 1, .nplanes = head >> 4, .n = n, .scale = 1};
    out->base = (uint64_t)unzigzag(v);
    if (out->order > 0) {
        if (in_num(in, UINT64_MAX, &v) < 0)
            return ERR_CORRUPT;
        out->first = (uint64_t)unzigzag(v);
    }
    if (out->order > 1) {
        if (in_num(in, UINT64_MAX, &v) < 0)
            return ERR_CORRUPT;
        out->step = (uint64_t)unzigzag(v);
    }
    if (head & 8 && in_num(in, UINT64_MAX, &out->scale) < 0)
        return ERR_CORRUPT;
    for (unsigned k = 0; k < out->nplanes; k++)
        if (in_run(in, POOL_NUMS, &out->planes[k]) < 0 || out->planes[k].n != n)
            return ERR_CORRUPT;
    return 0;
}

/* The planes put together. */
static int join(struct column_in *in, const struct ints *x, uint64_t *out)
{
    const uint8_t *p[COLUMN_PLANES_MAX];

    for (unsigned k = 0; k < x->nplanes; k++)
        if (run_bytes(in, &x->planes[k], (const char **)&p[k]) < 0)
            return ERR_CORRUPT;
    if (x->nplanes == 0)
        memset(out, 0, x->n * sizeof *out);
    else if (x->nplanes == 1)
        for (uint32_t i = 0; i < x->n; i++)
            out[i] = p[0][i];
    else
        for (uint32_t i = 0; i < x->n; i++)
            out[i] = (uint64_t)p[1][i] << 8 | p[0][i];
    for (unsigned k = 2; k < x->nplanes; k++)
        for (uint32_t i = 0; i < x->n; i++)
            out[i] |= (uint64_t)p[k][i] << (8 * k);
    return 0;
}

int ints_read(struct column_in *in, const struct ints *x, int64_t *out)
{
    uint64_t *v = (uint64_t *)out, add = x->zigzag ? 0 : x->base;

    if (x->n == 0)
        return 0;
    if (join(in, x, v) < 0)
        return ERR_CORRUPT;
    if (x->zigzag)
        for (uint32_t i = 0; i < x->n; i++)
            v[i] = (uint64_t)unzigzag(v[i]);
    if (x->scale != 1 || add)
        for (uint32_t i = 0; i < x->n; i++)
            v[i] = v[i] * x->scale + add;
    if (x->order == 0)
        return 0;
    uint64_t at = x->first, step = x->step;
    v[0] = at;
    if (x->order == 1)
        for (uint32_t i = 1; i < x->n; i++)
            v[i] = at += v[i];
    else
        for (uint32_t i = 1; i < x->n; i++) {
            if (i > 1)
                step += v[i];
            v[i] = at += step;
        }
    return 0;
}
