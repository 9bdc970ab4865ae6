/*
 * codec_values.c - a column of floats as integers. Telemetry is decimal: counts, bytes, seconds with a few digits. The
 * smallest number of digits that turns every value into an integer, and back into the very same float, is found; what
 * is left is work for codec_ints.
 *
 *   column   kind | HAS_SPECIALS (code)  scale (code, not RAW or BITS)  column of integers  [column of ulps] [specials]
 *   scale    0..31: integer / 10^scale; from SHIFT up: integer * 2^(scale - SHIFT)
 *   CONST    the integer (num, zigzag)          RAW   8 bytes (num)
 *   specials count (num), then for each: distance from the one before (num), 8 bytes (num)
 *
 * What cannot be such an integer (NaN, infinities, -0.0, a stray fraction) is a special as long as there are few;
 * its place among the integers repeats its neighbour. A sum of decimals (a histogram's _sum) has drifted some ulps away
 * from the nearest decimal: NEAR stores both. All else is BITS: float bits mapped so that their order is that of the
 * floats.
 *
 * (1) The encoder checks each value by the decoder's own arithmetic before it calls it an integer.
 * (2) Integers stay below 2^51 in size, where float arithmetic on them is exact and scale_ints is defined.
 */
#include "base/base.h"
#include "tsdb/codec.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    HAS_SPECIALS = 0x80,
    DIGITS_MAX = 15,
    SHIFT = 32, /* scale codes from here up are shifts */
    SHIFT_MAX = 50,
    NEAR_ULPS_MAX = 512,
};
#define INT_LIMIT 2251799813685248.0 /* 2^51 */

static const double pow10_of[DIGITS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const char *const kind_names[VALUES_KINDS] = {"const", "raw", "scaled", "near", "bits"};

const char *values_kind_name(unsigned kind)
{
    kind &= (unsigned)~HAS_SPECIALS;
    return kind < VALUES_KINDS ? kind_names[kind] : "unknown";
}

/* Bits <-> integers of the same order: negative floats count down from -1 (-0.0). Its own inverse. */
static inline int64_t ordered_bits(int64_t b)
{
    return b ^ (b >> 63 & INT64_MAX);
}

static inline int64_t ordered(double v)
{
    return ordered_bits((int64_t)f64_bits(v));
}

static inline double from_ordered(int64_t x)
{
    return f64_from_bits((uint64_t)ordered_bits(x));
}

/* --- finding the integers ----------------------------------------------------------------------- */

/* v as an integer over 10^digits, if that gives v back exactly. */
static inline bool as_int(double v, double p10, int64_t *x)
{
    double s = v * p10;

    if (!(fabs(s) < INT_LIMIT))
        return false;
    *x = (int64_t)(s + (s < 0 ? -0.5 : 0.5));
    return f64_bits((double)*x / p10) == f64_bits(v);
}

static inline bool as_plain_int(double v, int64_t *x)
{
    if (!(fabs(v) < INT_LIMIT))
        return false;
    *x = (int64_t)v;
    return f64_bits((double)*x) == f64_bits(v);
}

static uint32_t specials_max(uint32_t n)
{
    return n / 16 + 1;
}

/* The fewest digits that make integers of all but a few values: 0..DIGITS_MAX, or -1. */
static int find_digits(const double *v, uint32_t n)
{
    uint32_t given_up = 0;
    int digits = 0;
    int64_t x;

    for (uint32_t i = 0; i < n; i++) {
        int d = digits;

        if (d == 0 ? as_plain_int(v[i], &x) : as_int(v[i], pow10_of[d], &x))
            continue;
        if (isfinite(v[i]) && f64_bits(v[i]) != f64_bits(-0.0))
            for (d++; d <= DIGITS_MAX && !as_int(v[i], pow10_of[d], &x); d++)
                ;
        else
            d = DIGITS_MAX + 1;
        if (d <= DIGITS_MAX)
            digits = d;
        else if (++given_up > specials_max(n))
            return -1;
    }
    return digits;
}

/* Integers of all values; places of specials into at (room for specials_max(n)). False: too many. */
static bool make_ints(const double *v, uint32_t n, int digits, int64_t *x, uint32_t *at, uint32_t *nat)
{
    double p10 = pow10_of[digits];
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (digits ? as_int(v[i], p10, &x[i]) : as_plain_int(v[i], &x[i]))
            continue;
        if (k == specials_max(n))
            return false;
        at[k++] = i;
        x[i] = i ? x[i - 1] : 0;
    }
    if (k && at[0] == 0) { /* the first ones take the first good one, not 0 */
        uint32_t good = 0;

        while (good < k && at[good] == good)
            good++;
        for (uint32_t i = 0; i < good && good < n; i++)
            x[i] = x[good];
    }
    *nat = k;
    return true;
}

/* Takes out the power of two that all share (pages, KiB); returns it. */
static unsigned take_shift(int64_t *x, uint32_t n)
{
    uint64_t any = 0;

    for (uint32_t i = 0; i < n; i++)
        any |= (uint64_t)x[i];
    if (any == 0 || any & 1)
        return 0;
    unsigned shift = (unsigned)__builtin_ctzll(any);
    for (uint32_t i = 0; i < n; i++)
        x[i] >>= shift;
    return shift;
}

/*
 * Digits under which all values lie within NEAR_ULPS_MAX ulps of a decimal, while decimals lie far wider apart (else it
 * says nothing); -1 if there are none.
 */
static int find_near(const double *v, uint32_t n, int64_t *x, int64_t *ulps)
{
    for (int d = 0; d <= 12; d++) {
        double p10 = pow10_of[d];
        uint32_t i;

        for (i = 0; i < n; i++) {
            double s = v[i] * p10;
            double ulp = fabs(v[i]) * 0x1p-52;

            if (!(fabs(s) < INT_LIMIT) || ulp * p10 * NEAR_ULPS_MAX * 8 > 1)
                return -1; /* more digits only make it worse */
            x[i] = (int64_t)(s + (s < 0 ? -0.5 : 0.5));
            ulps[i] = (int64_t)((uint64_t)ordered(v[i]) - (uint64_t)ordered((double)x[i] / p10));
            if (ulps[i] > NEAR_ULPS_MAX || ulps[i] < -NEAR_ULPS_MAX)
                break;
        }
        if (i == n)
            return d;
    }
    return -1;
}

/* --- writing ------------------------------------------------------------------------------------ */

static void put_specials(struct column_out *o, const double *v, const uint32_t *at, uint32_t n)
{
    uint32_t before = 0;

    buf_put_varint(&o->nums, n);
    for (uint32_t i = 0; i < n; i++) {
        buf_put_varint(&o->nums, at[i] - before);
        buf_put_u64(&o->nums, f64_bits(v[at[i]]));
        before = at[i];
    }
}

static void put_const(struct column_out *o, double v)
{
    int64_t x = 0;
    int digits = 0;

    while (digits <= DIGITS_MAX && !(digits ? as_int(v, pow10_of[digits], &x) : as_plain_int(v, &x)))
        digits++;
    if (digits <= DIGITS_MAX) {
        unsigned shift = digits ? 0 : take_shift(&x, 1);

        buf_putc(&o->codes, VALUES_CONST);
        buf_putc(&o->codes, (char)(shift ? SHIFT + (int)shift : digits));
        buf_put_varint(&o->nums, zigzag(x));
    } else {
        buf_putc(&o->codes, VALUES_RAW);
        buf_put_u64(&o->nums, f64_bits(v));
    }
}

static bool put_scaled(struct column_out *o, const double *v, uint32_t n, int64_t *x, uint32_t *at)
{
    int digits = find_digits(v, n);
    uint32_t nat;

    if (digits < 0 || !make_ints(v, n, digits, x, at, &nat))
        return false;
    unsigned shift = digits ? 0 : take_shift(x, n);
    buf_putc(&o->codes, (char)(VALUES_SCALED | (nat ? HAS_SPECIALS : 0)));
    buf_putc(&o->codes, (char)(shift ? SHIFT + (int)shift : digits));
    ints_encode(o, x, n);
    if (nat)
        put_specials(o, v, at, nat);
    return true;
}

static bool put_near(struct column_out *o, const double *v, uint32_t n, int64_t *x, int64_t *ulps)
{
    int digits = find_near(v, n, x, ulps);

    if (digits < 0)
        return false;
    buf_putc(&o->codes, VALUES_NEAR);
    buf_putc(&o->codes, (char)digits);
    ints_encode(o, x, n);
    ints_encode(o, ulps, n);
    return true;
}

static bool all_same(const double *v, uint32_t n)
{
    return n < 2 || memcmp(v, v + 1, (n - 1) * sizeof *v) == 0;
}

enum { ON_STACK = 1024 };

void values_encode(struct column_out *o, const double *v, uint32_t n)
{
    int64_t x_stack[ON_STACK], u_stack[ON_STACK];
    int64_t *x = x_stack, *u = u_stack;

    assert(n <= CODEC_N_MAX);
    if (n == 0)
        return;
    if (all_same(v, n)) {
        put_const(o, v[0]);
        return;
    }
    if (n > ON_STACK) {
        x = x_alloc(n * sizeof *x);
        u = x_alloc(n * sizeof *u);
    }
    if (!put_scaled(o, v, n, x, (uint32_t *)(void *)u) && !put_near(o, v, n, x, u)) {
        for (uint32_t i = 0; i < n; i++)
            x[i] = ordered(v[i]);
        buf_putc(&o->codes, VALUES_BITS);
        ints_encode(o, x, n);
    }
    if (n > ON_STACK) {
        free(x);
        free(u);
    }
}

/* --- reading ------------------------------------------------------------------------------------ */

struct shape {
    unsigned kind;
    bool specials;
    unsigned digits;
    int shift;
};

static int get_shape(struct column_in *in, struct shape *s)
{
    if (in->code >= in->code_end)
        return ERR_CORRUPT;
    unsigned code = *in->code++;
    *s = (struct shape){.kind = code & 0x7f, .specials = code & HAS_SPECIALS};
    if (s->kind >= VALUES_KINDS)
        return ERR_UNSUPPORTED;
    if (s->specials && s->kind != VALUES_SCALED)
        return ERR_CORRUPT;
    if (s->kind == VALUES_RAW || s->kind == VALUES_BITS)
        return 0;
    if (in->code >= in->code_end)
        return ERR_CORRUPT;
    unsigned scale = *in->code++;
    if (scale > SHIFT + SHIFT_MAX || (scale > DIGITS_MAX && scale <= SHIFT))
        return ERR_CORRUPT;
    s->digits = scale <= DIGITS_MAX ? scale : 0;
    s->shift = scale > SHIFT ? (int)scale - SHIFT : 0;
    return 0;
}

/* Puts specials into out (NULL: only walks over them); those at upto and behind are left out. */
static int get_specials(struct column_in *in, uint32_t n, uint32_t upto, double *out)
{
    uint64_t count, at = 0, gap;

    in->num = get_varint(in->num, in->num_end, &count);
    if (!in->num || count > n)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        in->num = get_varint(in->num, in->num_end, &gap);
        if (!in->num || in->num_end - in->num < 8 || gap >= n || (at += gap) >= n)
            return ERR_CORRUPT;
        if (out && at < upto)
            out[at] = f64_from_bits(get_u64le(in->num));
        in->num += 8;
    }
    return 0;
}

static int get_const(struct column_in *in, const struct shape *s, double *v)
{
    uint64_t z;

    if (s->kind == VALUES_RAW) {
        if (in->num_end - in->num < 8)
            return ERR_CORRUPT;
        *v = f64_from_bits(get_u64le(in->num));
        in->num += 8;
        return 0;
    }
    in->num = get_varint(in->num, in->num_end, &z);
    if (!in->num)
        return ERR_CORRUPT;
    int64_t x = unzigzag(z);
    *v = (double)x / pow10_of[s->digits] * (double)(UINT64_C(1) << s->shift);
    return 0;
}

int values_skip(struct column_in *in, uint32_t n)
{
    struct shape s;
    double v;

    if (n == 0)
        return 0;
    int rc = get_shape(in, &s);
    if (rc < 0)
        return rc;
    if (s.kind == VALUES_CONST || s.kind == VALUES_RAW)
        return get_const(in, &s, &v);
    if (ints_skip(in, n) < 0 || (s.kind == VALUES_NEAR && ints_skip(in, n) < 0))
        return ERR_CORRUPT;
    return s.specials ? get_specials(in, n, 0, NULL) : 0;
}

static int decode_const(struct column_in *in, const struct shape *s, uint32_t n, double *out)
{
    double v;

    if (get_const(in, s, &v) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        out[i] = v;
    return 0;
}

/* Beside the integers of the column there is one of ulps: the decimal moved by so many. */
static int decode_near(struct column_in *in, const struct shape *s, uint32_t n, uint32_t upto, int64_t *x, double *out)
{
    struct column_in ulps = *in;

    if (ints_skip(&ulps, n) < 0 || ints_decode(in, n, upto, x) < 0)
        return ERR_CORRUPT;
    scale_ints(x, out, upto, s->digits, s->shift);
    if (ints_decode(&ulps, n, upto, x) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < upto; i++)
        out[i] = from_ordered((int64_t)((uint64_t)ordered(out[i]) + (uint64_t)x[i]));
    *in = ulps;
    return 0;
}

static int decode_ints(struct column_in *in, const struct shape *s, uint32_t n, uint32_t upto, int64_t *x, double *out)
{
    struct column_in at_specials;

    if (s->kind == VALUES_NEAR)
        return decode_near(in, s, n, upto, x, out);
    if (s->specials) {
        at_specials = *in;
        if (ints_skip(&at_specials, n) < 0)
            return ERR_CORRUPT;
    }
    if (ints_decode(in, n, upto, x) < 0)
        return ERR_CORRUPT;
    if (s->kind == VALUES_BITS) {
        for (uint32_t i = 0; i < upto; i++)
            out[i] = from_ordered(x[i]);
        return 0;
    }
    scale_ints(x, out, upto, s->digits, s->shift);
    if (!s->specials)
        return 0;
    *in = at_specials;
    return get_specials(in, n, upto, out);
}

int values_decode(struct column_in *in, uint32_t n, uint32_t upto, double *out)
{
    int64_t stack[ON_STACK];
    struct shape s;

    assert(upto <= n);
    if (n == 0)
        return 0;
    int rc = get_shape(in, &s);
    if (rc < 0)
        return rc;
    if (s.kind == VALUES_CONST || s.kind == VALUES_RAW)
        return decode_const(in, &s, upto, out);
    int64_t *x = upto > ON_STACK ? x_alloc(upto * sizeof *x) : stack;
    rc = decode_ints(in, &s, n, upto, x, out);
    if (x != stack)
        free(x);
    return rc;
}
