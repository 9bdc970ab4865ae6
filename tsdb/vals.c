/* vals.c - see vals.h. The tables give, by the first byte of an op, its length, payload shift and payload mask. */
#include "tsdb/vals.h"

#include <assert.h>

const double vals_pow10[VALS_SCALE_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

/* Low bits 00 01 10 11: the last needs the bits above. */
#define BY2(a, b, c, d)                      a, b, c, d
#define BY4(a, b, c, d3, d7)                 BY2(a, b, c, d3), BY2(a, b, c, d7)
#define BY8(a, b, c, d3, d7, d15)            BY4(a, b, c, d3, d7), BY4(a, b, c, d3, d15)
#define BY16(a, b, c, d3, d7, d15, d31)      BY8(a, b, c, d3, d7, d15), BY8(a, b, c, d3, d7, d31)
#define BY32(a, b, c, d3, d7, d15, d31, d63) BY16(a, b, c, d3, d7, d15, d31), BY16(a, b, c, d3, d7, d15, d63)
#define BY64(a, b, c, d3, d7, d15, d31, d63, d127)                                                                     \
    BY32(a, b, c, d3, d7, d15, d31, d63), BY32(a, b, c, d3, d7, d15, d31, d127)
#define TABLE(a, b, c, d3, d7, d15, d31, d63)                                                                          \
    BY64(a, b, c, d3, d7, d15, d31, d63, 0), BY64(a, b, c, d3, d7, d15, d31, d63, 0)

_Static_assert(sizeof((uint8_t[]){TABLE(0, 1, 2, 3, 4, 5, 7, 8)}) == 256, "one entry a byte");

const uint8_t vals_len[256] = {TABLE(1, 1, 2, 3, 4, 5, 7, 8)};
const uint8_t vals_shift[256] = {TABLE(2, 2, 2, 3, 4, 5, 6, 7)};
#define M(bits) ((UINT64_C(1) << (bits)) - 1)
const uint64_t vals_mask[256] = {TABLE(M(6), M(6), M(14), M(21), M(28), M(35), M(50), M(57))};

enum { OP_XOR = 0x7f, OP_SCALE = 0xff };

static uint8_t *put_xor(uint8_t *p, double last, double v)
{
    uint64_t x = f64_bits(last) ^ f64_bits(v);
    unsigned lead = x ? (unsigned)__builtin_clzll(x) / 8 : 7, trail = x ? (unsigned)__builtin_ctzll(x) / 8 : 0;
    unsigned n = 8 - lead - trail;

    *p++ = OP_XOR;
    *p++ = (uint8_t)(lead << 4 | n);
    put_u64le(p, x >> (8 * trail));
    return p + n;
}

/* No integer at the scale in force: at another one, or none at all. */
uint8_t *vals_put_odd(uint8_t *p, double last, uint8_t *state, double v)
{
    int64_t i;

    if ((*state & VALS_FAIL) != VALS_FAIL && isfinite(v)) {
        for (unsigned s = (*state & VALS_SCALE) + 1u; s <= VALS_SCALE_MAX; s++)
            if (vals_int(v, s, &i)) {
                *p++ = OP_SCALE;
                *p++ = (uint8_t)s;
                *state = (uint8_t)s;
                return vals_put_int(p, i);
            }
        *state = (uint8_t)(*state + VALS_FAIL_ONE);
    }
    *state |= VALS_ODD;
    return put_xor(p, last, v);
}

/* The value of an XOR op behind its first byte, or NULL. */
static const uint8_t *get_xor(const uint8_t *p, const uint8_t *end, double *last)
{
    unsigned lead, n;
    uint64_t x = 0;

    if (p >= end)
        return NULL;
    lead = *p >> 4;
    n = *p++ & 15;
    if (lead + n > 8 || n == 0 || (size_t)(end - p) < n)
        return NULL;
    memcpy(&x, p, n);
    *last = f64_from_bits(f64_bits(*last) ^ (x << (8 * (8 - lead - n))));
    return p + n;
}

/* Near the end of the bytes, a change of scale, an XOR, or nothing that exists. */
const uint8_t *vals_get_odd(const uint8_t *p, const uint8_t *end, double *last, uint8_t *state)
{
    uint64_t w = 0, z;
    uint8_t op;

    if (end - p >= 2 && *p == OP_SCALE) {
        if (p[1] > VALS_SCALE_MAX)
            return NULL;
        *state = p[1] | VALS_ODD;
        p += 2;
    }
    if (p >= end)
        return NULL;
    op = *p;
    if (op == OP_XOR) {
        *state |= VALS_ODD;
        return get_xor(p + 1, end, last);
    }
    if ((op & 3) == 0 || op == OP_SCALE || end - p < vals_len[op])
        return NULL;
    memcpy(&w, p, vals_len[op]);
    z = w >> vals_shift[op] & vals_mask[op];
    *last = (double)(int64_t)((uint64_t)vals_last_int(*last, *state) + (uint64_t)unzigzag(z)) /
            vals_pow10[*state & VALS_SCALE];
    *state = (uint8_t)(*state & VALS_SCALE);
    return p + vals_len[op];
}

/* The state of a decoding under way. */
struct decode {
    double last, pow;
    int64_t i;
    uint32_t k, n;
    double *out;
};

/* Decodes ops that begin before `end`; 8 bytes must be readable at each. Returns where it stopped. */
static const uint8_t *decode_run(struct decode *d, const uint8_t *p, const uint8_t *end)
{
    double last = d->last, pow = d->pow, *out = d->out;
    int64_t i = d->i;
    uint32_t k = d->k, n = d->n;

    while (p < end && k < n) {
        uint64_t w = get_u64le(p);
        uint8_t op = (uint8_t)w;

        if ((op & 3) == 0) {
            uint32_t rep = MIN((uint32_t)(op >> 2) + 1, n - k);
            for (uint32_t j = 0; j < rep; j++)
                out[k + j] = last;
            k += rep;
            p++;
        } else if ((op & 0x7f) != 0x7f) {
            i += unzigzag(w >> vals_shift[op] & vals_mask[op]);
            out[k++] = last = (double)i / pow;
            p += vals_len[op];
        } else if (op == OP_SCALE) {
            pow = vals_pow10[p[1]];
            i = 0;
            p += 2;
        } else {
            p = get_xor(p + 1, p + 10, &last);
            assert(p);
            out[k++] = last;
            i = 0;
        }
    }
    d->last = last;
    d->pow = pow;
    d->i = i;
    d->k = k;
    return p;
}

void vals_decode(const uint8_t *p, uint32_t used, uint8_t scale, uint32_t n, double *out)
{
    enum { TAIL = 16 }; /* the longest op is 10 bytes; an op is read only if all of it is surely ours */
    struct decode d = {.pow = vals_pow10[scale], .n = n, .out = out};
    uint8_t tail[2 * TAIL] = {0};

    if (used > TAIL) {
        const uint8_t *stop = decode_run(&d, p, p + used - TAIL);
        used -= (uint32_t)(stop - p);
        p = stop;
    }
    if (d.k == n)
        return;
    memcpy(tail, p, used);
    decode_run(&d, tail, tail + used);
    while (d.k < n)
        out[d.k++] = d.last;
}
