/*
 * chunk.c - bits, floats in the XOR encoding, and what histograms need to know of their layout.
 */
#include "query/api/chunk.h"

#include <assert.h>
#include <math.h>

/* --- bits ------------------------------------------------------------------------------------------- */

void bits_put(struct bits *b, uint64_t v, unsigned n)
{
    while (n > 0) {
        unsigned take;

        if (b->free == 0) {
            buf_putc(b->out, 0);
            b->free = 8;
        }
        take = MIN(n, b->free);
        n -= take;
        b->free -= take;
        b->out->p[b->out->n - 1] |= (char)((v >> n & ((1u << take) - 1)) << b->free);
    }
}

/* Of a 64 bit word, or 64 of nothing. */
static unsigned leading_zeros(uint64_t x)
{
    return x ? (unsigned)__builtin_clzll(x) : 64;
}

void bits_put_xor(struct bits *b, struct xor_state *s, double v)
{
    uint64_t delta = f64_bits(v) ^ f64_bits(s->v);
    uint8_t leading, trailing;
    unsigned width;

    s->v = v;
    bits_put(b, delta != 0, 1);
    if (delta == 0)
        return;
    leading = (uint8_t)MIN(leading_zeros(delta), 31u); /* five bits hold it */
    trailing = (uint8_t)__builtin_ctzll(delta);
    if (s->leading != 0xff && leading >= s->leading && trailing >= s->trailing) {
        bits_put(b, 0, 1);
        bits_put(b, delta >> s->trailing, 64u - s->leading - s->trailing);
        return;
    }
    s->leading = leading;
    s->trailing = trailing;
    width = 64u - leading - trailing;
    bits_put(b, 1, 1);
    bits_put(b, leading, 5);
    bits_put(b, width & 63, 6); /* 64 as 0: there is always one */
    bits_put(b, delta >> trailing, width);
}

static void put_byte_varint(struct bits *b, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    size_t n = (size_t)(put_varint(bytes, v) - bytes);

    for (size_t i = 0; i < n; i++)
        bits_put(b, bytes[i], 8);
}

/* --- floats ----------------------------------------------------------------------------------------- */

static bool fits(int64_t x, unsigned nbits)
{
    return x >= -((INT64_C(1) << (nbits - 1)) - 1) && x <= INT64_C(1) << (nbits - 1);
}

static void put_dod(struct bits *b, int64_t dod)
{
    if (dod == 0) {
        bits_put(b, 0, 1);
    } else if (fits(dod, 14)) {
        bits_put(b, 2, 2);
        bits_put(b, (uint64_t)dod, 14);
    } else if (fits(dod, 17)) {
        bits_put(b, 6, 3);
        bits_put(b, (uint64_t)dod, 17);
    } else if (fits(dod, 20)) {
        bits_put(b, 14, 4);
        bits_put(b, (uint64_t)dod, 20);
    } else {
        bits_put(b, 15, 4);
        bits_put(b, (uint64_t)dod, 64);
    }
}

void chunk_put_floats(struct buf *out, const int64_t *t, const double *v, uint32_t n)
{
    struct bits b = {.out = out};
    struct xor_state s = {.leading = 0xff};
    uint64_t delta = 0;

    assert(n >= 1 && n <= CHUNK_SAMPLES);
    bits_put(&b, n, 16);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t next = i ? (uint64_t)t[i] - (uint64_t)t[i - 1] : 0;

        if (i == 0) {
            put_byte_varint(&b, zigzag(t[0]));
            bits_put(&b, f64_bits(v[0]), 64);
            s.v = v[0];
            continue;
        }
        if (i == 1)
            put_byte_varint(&b, next);
        else
            put_dod(&b, (int64_t)(next - delta));
        delta = next;
        bits_put_xor(&b, &s, v[i]);
    }
}

/* --- layouts ------------------------------------------------------------------------------------------ */

uint32_t chunk_spans(const struct hist_bucket *b, uint32_t n, struct chunk_span *out)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        int32_t gap = i ? b[i].i - b[i - 1].i - 1 : b[0].i;

        assert(i == 0 || gap >= 0);
        if (i == 0 || gap > 0)
            out[at++] = (struct chunk_span){gap, 0};
        out[at - 1].length++;
    }
    return at;
}

static bool whole(double v)
{
    return v >= 0 && v <= 0x1p53 && v == floor(v);
}

bool chunk_whole(const struct histogram *h)
{
    bool all = whole(h->count) && whole(h->zero_count);

    for (uint32_t i = 0; i < h->npos && all; i++)
        all = whole(h->pos[i].n);
    for (uint32_t i = 0; i < h->nneg && all; i++)
        all = whole(h->neg[i].n);
    return all;
}
