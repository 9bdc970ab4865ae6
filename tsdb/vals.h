/*
 * vals.h - one double after another as few whole bytes. Used by the head's chunks and by journal entries.
 *
 * Most telemetry is decimal: a value is an integer at some scale 10^-s, and successive integers are near each other. An
 * op is told by the low bits of its first byte; the rest of its bytes, little-endian, is the payload above those bits:
 *
 *     ......00  1 byte   repeat the value (payload + 1) times (chunks only)
 *     ......01  1 byte   zigzag delta of  6 bits         ...01111  5 bytes, 35 bits
 *     ......10  2 bytes  14 bits                         ..011111  7 bytes, 50 bits
 *     .....011  3 bytes  21 bits                         .0111111  8 bytes, 57 bits
 *     ....0111  4 bytes  28 bits
 *     01111111  XOR with the last value: a byte (leading zero bytes << 4 | length), then the bytes between the zero
 * ends 11111111  a byte with the new scale; the integer before is 0 from here
 *
 * State on both sides is the last value and one byte: the scale, and whether the last value was no integer at that
 * scale (VALS_ODD: then the delta is from 0). Both begin as +0.0 and 0.
 */
#ifndef TSDB_VALS_H
#define TSDB_VALS_H

#include "base/base.h"

#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    VALS_SCALE_MAX = 9,
    VALS_MAX = 12, /* bytes of one value at most: rescale and delta */
    VALS_SCALE = 0x0f,
    VALS_FAIL_ONE = 0x10, /* writer only: how often no scale did, so that noise is not searched again and again */
    VALS_FAIL = 0x30,
    VALS_ODD = 0x80,
};

extern const double vals_pow10[VALS_SCALE_MAX + 1];
extern const uint8_t vals_len[256], vals_shift[256];
extern const uint64_t vals_mask[256];

static inline int64_t vals_round(double x)
{
#ifdef __SSE2__
    return _mm_cvtsd_si64(_mm_set_sd(x));
#else
    return llrint(x);
#endif
}

/* v as an integer at a scale, when that is exact to the bit. */
static inline bool vals_int(double v, unsigned scale, int64_t *out)
{
    double x = v * vals_pow10[scale];

    if (!(fabs(x) < 9007199254740992.0))
        return false;
    *out = vals_round(x);
    return f64_bits((double)*out / vals_pow10[scale]) == f64_bits(v);
}

/* The integer both sides hold for the last value. */
static inline int64_t vals_last_int(double last, uint8_t state)
{
    return state & VALS_ODD ? 0 : vals_round(last * vals_pow10[state & VALS_SCALE]);
}

static inline uint8_t *vals_put_int(uint8_t *p, int64_t delta)
{
    uint64_t z = zigzag(delta);

    if (z < 1u << 6) {
        *p = (uint8_t)(z << 2 | 1);
        return p + 1;
    }
    if (z < 1u << 14) {
        put_u16le(p, (uint16_t)(z << 2 | 2));
        return p + 2;
    }
    if (z < 1u << 28) {
        bool three = z < 1u << 21;
        put_u32le(p, (uint32_t)(three ? z << 3 | 3 : z << 4 | 7));
        return p + (three ? 3 : 4);
    }
    if (z < UINT64_C(1) << 35) {
        put_u64le(p, z << 5 | 15);
        return p + 5;
    }
    if (z < UINT64_C(1) << 50) {
        put_u64le(p, z << 6 | 31);
        return p + 7;
    }
    put_u64le(p, z << 7 | 63);
    return p + 8;
}

uint8_t *vals_put_odd(uint8_t *p, double last, uint8_t *state, double v);

/* Writes v after last: at most VALS_MAX bytes, and may scribble over as many. Returns the place behind. */
static inline uint8_t *vals_put(uint8_t *p, double last, uint8_t *state, double v)
{
    int64_t i;

    if (!vals_int(v, *state & VALS_SCALE, &i))
        return vals_put_odd(p, last, state, v);
    p = vals_put_int(p, i - vals_last_int(last, *state));
    *state = (uint8_t)(*state & VALS_SCALE);
    return p;
}

const uint8_t *vals_get_odd(const uint8_t *p, const uint8_t *end, double *last, uint8_t *state);

/* Reads one value that vals_put wrote; *last becomes it. NULL when the bytes are cut or no such op exists. */
static inline const uint8_t *vals_get(const uint8_t *p, const uint8_t *end, double *last, uint8_t *state)
{
    uint64_t w;
    uint8_t op;

    if (end - p < 8 || (*p & 3) == 0 || (*p & 0x7f) == 0x7f)
        return vals_get_odd(p, end, last, state);
    w = get_u64le(p);
    op = (uint8_t)w;
    *last = (double)(int64_t)((uint64_t)vals_last_int(*last, *state) +
                              (uint64_t)unzigzag(w >> vals_shift[op] & vals_mask[op])) /
            vals_pow10[*state & VALS_SCALE];
    *state = (uint8_t)(*state & VALS_SCALE);
    return p + vals_len[op];
}

/*
 * Decodes n values of a chunk: `used` bytes of ops and repeats, from the initial state with scale `scale`; what is
 * missing at the end repeats the last. The bytes are our own: a bad op is our bug.
 */
void vals_decode(const uint8_t *p, uint32_t used, uint8_t scale, uint32_t n, double *out);

#endif
