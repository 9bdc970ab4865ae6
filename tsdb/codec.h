/*
 * codec.h - columns of integers, times and values <-> bytes. Private to tsdb/. Knows nothing of series, blocks or
 * files.
 *
 * A column is written as three streams, so that many columns laid side by side give zstd like with like:
 *
 *   codes   one byte each: kind, order of differences, width of each run of packed bits
 *   nums    varints: first values, references, exceptions
 *   bits    packed residuals; mostly noise, mostly left alone by zstd
 *
 * Lengths are not stored: whoever reads knows how many values the column has (n), and the codes tell the rest.
 * Every value comes back bit for bit, NaN payloads, -0.0 and infinities included.
 */
#ifndef TSDB_CODEC_H
#define TSDB_CODEC_H

#include "base/buf.h"
#include "base/err.h"

enum {
    CODEC_RUN = 256,       /* values that share a reference and a width */
    CODEC_SLACK = 32,      /* readable bytes a reader must keep behind the bits stream */
    CODEC_N_MAX = 1 << 24, /* values in one column */
};

/* Where columns are appended. */
struct column_out {
    struct buf codes, nums, bits;
};
void column_out_reset(struct column_out *o);
void column_out_release(struct column_out *o);

/* Where columns are read from: three cursors that move on with each column. */
struct column_in {
    const uint8_t *code, *code_end;
    const uint8_t *num, *num_end;
    const uint8_t *bit, *bit_end; /* CODEC_SLACK bytes behind bit_end can be read */
};

/* n may be 0. Arithmetic is modulo 2^64: any column of any 64 bit integers can be coded. */
void ints_encode(struct column_out *o, const int64_t *x, uint32_t n);
/* The first `upto` of the n values into out[0..upto). Moves `in` behind the whole column if upto == n, else leaves it
 * undefined. */
int ints_decode(struct column_in *in, uint32_t n, uint32_t upto, int64_t *out);
/* Moves behind a column without decoding it; checks that its bytes are there. ERR_CORRUPT without a sentence. */
int ints_skip(struct column_in *in, uint32_t n);

/* A value column, of floats; codec_hist.h has the other one. A reader that does not know a kind answers ERR_UNSUPPORTED. */
enum values_kind {
    VALUES_CONST,  /* one number, scaled as below */
    VALUES_RAW,    /* one number, its 8 bytes */
    VALUES_SCALED, /* integers times a power of two or divided by a power of ten */
    VALUES_NEAR,   /* the same, and how many ulps the float lies beside it: sums of decimals */
    VALUES_BITS,   /* float bits in numeric order, as integers */
    VALUES_KINDS,
};
void values_encode(struct column_out *o, const double *v, uint32_t n);
int values_decode(struct column_in *in, uint32_t n, uint32_t upto, double *out);
int values_skip(struct column_in *in, uint32_t n);
const char *values_kind_name(unsigned kind);

/* --- kernels (codec_pack.c), used by the above and by the index -------------------------------- */

/* Bytes of n values of w bits. Widths are 0..57 and 64. */
static inline size_t pack_bytes(uint32_t n, unsigned w)
{
    return ((size_t)n * w + 7) / 8;
}
static inline unsigned pack_width(uint64_t max) /* the width that holds every value <= max */
{
    unsigned w = max ? 64 - (unsigned)__builtin_clzll(max) : 0;

    return w > 57 ? 64 : w;
}
/* dst has pack_bytes(n, w) + 8 bytes of room. */
void pack_bits(uint8_t *dst, const uint64_t *v, uint32_t n, unsigned w);
/* Reads up to CODEC_SLACK bytes behind the packed ones; out has room for n rounded up to 8. */
void unpack_bits(const uint8_t *src, uint64_t *out, uint32_t n, unsigned w);
/* out[i] = x[i] * 2^shift (shift > 0), x[i] / 10^digits (digits > 0), or x[i]. |x[i]| < 2^51. */
void scale_ints(const int64_t *x, double *out, uint32_t n, unsigned digits, int shift);

#endif
