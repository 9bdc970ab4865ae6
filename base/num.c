/*
 * num.c - numbers to text. Shortest digits by Giulietti's Schubfach method: of the decimals that read back as v, those
 * with the fewest digits, and of these the closest to v.
 *
 * (1) Whole numbers below 2^53, and decimals of at most 15 digits and few places, are found without it. Both are
 * shortest and closest by themselves: below 2^53 neighbours are a whole number apart or less, and no two decimals of 15
 * digits read as the same double.
 */
#include "base/num.h"

#include "base/num_pow10.h"

#include <assert.h>
#include <math.h>

/* v = 0.d1d2d3... * 10^point. No trailing zeros but for zero itself, which is one '0' with point 1. */
struct decimal {
    char d[20];
    int n, point;
};

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    "99";

size_t num_fmt_u64(uint64_t v, char *out)
{
    char t[20];
    size_t at = sizeof t;

    while (v >= 100) {
        at -= 2;
        memcpy(t + at, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(t + at, pairs + v * 2, 2);
    } else {
        t[--at] = (char)('0' + v);
    }
    memcpy(out, t + at, sizeof t - at);
    return sizeof t - at;
}

size_t num_fmt_i64(int64_t v, char *out)
{
    if (v >= 0)
        return num_fmt_u64((uint64_t)v, out);
    *out = '-';
    return 1 + num_fmt_u64(0 - (uint64_t)v, out + 1);
}

/* m * 10^k */
static void set_decimal(struct decimal *d, uint64_t m, int k)
{
    char t[NUM_MAX];

    d->n = (int)num_fmt_u64(m, t);
    assert(d->n <= (int)sizeof d->d);
    memcpy(d->d, t, (size_t)d->n);
    d->point = d->n + k;
    while (d->n > 1 && d->d[d->n - 1] == '0')
        d->n--;
}

/* The high part of g * c with a sticky last bit. */
static uint64_t mul_sticky(const struct pow10 *g, uint64_t c)
{
    unsigned __int128 low = (unsigned __int128)g->lo * c, high = (unsigned __int128)g->hi * c + (uint64_t)(low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* v finite and > 0. */
static void shortest(double v, struct decimal *d)
{
    uint64_t bits = f64_bits(v), fraction = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    bool uneven = fraction == 0 && exponent > 1; /* the gap below is half of the gap above */
    uint64_t c = exponent ? fraction | UINT64_C(1) << 52 : fraction;
    int q = (exponent ? exponent : 1) - 1075; /* v = c * 2^q */
    int k = (q * 1262611 - (uneven ? 524031 : 0)) >> 22;
    int h = q + pow10_log2(-k) + 1;
    const struct pow10 *g = &pow10_table[-k - POW10_MIN];
    /* Four times v and the ends of the interval that reads back as v, in units of 10^k. An odd c does not own the ends.
     */
    uint64_t low = mul_sticky(g, (4 * c - 2 + uneven) << h) + (c & 1);
    uint64_t mid = mul_sticky(g, 4 * c << h);
    uint64_t high = mul_sticky(g, (4 * c + 2) << h) - (c & 1);
    uint64_t s = mid / 4, tens = s / 10;
    bool down, up;

    assert(h >= 1 && h <= 4);
    down = low <= 40 * tens;
    up = 40 * tens + 40 <= high;
    if (s >= 10 && down != up) {
        set_decimal(d, tens + up, k + 1);
        return;
    }
    down = low <= 4 * s;
    up = 4 * s + 4 <= high;
    if (down == up) /* both or none fit: the nearer, even on a tie */
        up = mid > 4 * s + 2 || (mid == 4 * s + 2 && (s & 1));
    set_decimal(d, s + up, k);
}

/* Invariant 1: v = *thousandths / 1000 of either sign; false when it is not so simple. */
static bool simple(double v, int64_t *thousandths)
{
    double t = v * 1000;
    int64_t n;

    if (!(fabs(v) < 1e12))
        return false;
    n = (int64_t)(t < 0 ? t - 0.5 : t + 0.5);
    *thousandths = n;
    return n != 0 && (double)n / 1000 == v;
}

static void to_decimal(double v, struct decimal *d)
{
    if (v == 0)
        set_decimal(d, 0, 0);
    else if (v < 9007199254740992.0 && (double)(uint64_t)v == v)
        set_decimal(d, (uint64_t)v, 0);
    else
        shortest(v, d);
}

/* --- layouts -------------------------------------------------------------------------------------- */

static size_t put_point(const struct decimal *d, char *out)
{
    char *p = out;

    if (d->point <= 0) {
        memcpy(p, "0.", 2);
        memset(p + 2, '0', (size_t)-d->point);
        p += 2 - d->point;
        memcpy(p, d->d, (size_t)d->n);
        p += d->n;
    } else if (d->point >= d->n) {
        memcpy(p, d->d, (size_t)d->n);
        memset(p + d->n, '0', (size_t)(d->point - d->n));
        p += d->point;
    } else {
        memcpy(p, d->d, (size_t)d->point);
        p += d->point;
        *p++ = '.';
        memcpy(p, d->d + d->point, (size_t)(d->n - d->point));
        p += d->n - d->point;
    }
    return (size_t)(p - out);
}

static size_t put_exponent(const struct decimal *d, bool zero, char *out)
{
    int e = zero ? 0 : d->point - 1;
    unsigned abs = (unsigned)(e < 0 ? -e : e);
    char *p = out;

    *p++ = d->d[0];
    if (d->n > 1) {
        *p++ = '.';
        memcpy(p, d->d + 1, (size_t)d->n - 1);
        p += d->n - 1;
    }
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    if (abs < 10)
        *p++ = '0';
    return (size_t)(p - out) + num_fmt_u64(abs, p);
}

/* NaN and infinities: their length, else 0. */
static size_t put_special(double v, char *out)
{
    if (isnan(v)) {
        memcpy(out, "NaN", 3);
        return 3;
    }
    if (isinf(v)) {
        memcpy(out, v > 0 ? "+Inf" : "-Inf", 4);
        return 4;
    }
    return 0;
}

/* Whole numbers below 2^53 and thousandths, the most frequent values, without exponent: their length, else 0. */
static size_t put_quick(double v, char *out)
{
    int64_t n;

    if (fabs(v) < 9007199254740992.0 && (double)(int64_t)v == v && !(v == 0 && signbit(v)))
        return num_fmt_i64((int64_t)v, out);
    return simple(v, &n) ? num_fmt_ms(n, out) : 0;
}

enum layout { AS_POINT, AS_EXPONENT, AS_SHORTER };

static size_t put(double v, enum layout how, char *out)
{
    size_t n = put_special(v, out), minus = signbit(v) != 0;
    struct decimal d;

    if (n)
        return n;
    out[0] = '-';
    to_decimal(fabs(v), &d);
    if (how == AS_SHORTER)
        how = v != 0 && (d.point < -3 || d.point > 6) ? AS_EXPONENT : AS_POINT;
    return minus + (how == AS_EXPONENT ? put_exponent(&d, v == 0, out + minus) : put_point(&d, out + minus));
}

size_t num_fmt_f(double v, char *out)
{
    size_t n = put_quick(v, out);

    return n ? n : put(v, AS_POINT, out);
}

size_t num_fmt_e(double v, char *out)
{
    return put(v, AS_EXPONENT, out);
}

size_t num_fmt_g(double v, char *out)
{
    size_t n = fabs(v) < 1e6 ? put_quick(v, out) : 0; /* from 0.001 to 999999.999 there is no exponent */

    return n ? n : put(v, AS_SHORTER, out);
}

size_t num_fmt_sample(double v, char *out)
{
    size_t n = put_quick(v, out);
    double a = fabs(v);

    if (n)
        return n;
    return put(v, a != 0 && (a < 1e-6 || a >= 1e21) ? AS_EXPONENT : AS_POINT, out);
}

size_t num_fmt_label(double v, char *out)
{
    size_t n = num_fmt_g(v == 0 ? 0.0 : v, out);

    if (isfinite(v) && !memchr(out, '.', n) && !memchr(out, 'e', n)) {
        memcpy(out + n, ".0", 2);
        n += 2;
    }
    return n;
}

size_t num_fmt_ms(int64_t ms, char *out)
{
    uint64_t abs = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    unsigned rest = (unsigned)(abs % 1000);
    size_t n = 0;

    if (ms < 0)
        out[n++] = '-';
    n += num_fmt_u64(abs / 1000, out + n);
    if (rest == 0)
        return n;
    out[n++] = '.';
    out[n++] = (char)('0' + rest / 100);
    if (rest % 100)
        out[n++] = (char)('0' + rest / 10 % 10);
    if (rest % 10)
        out[n++] = (char)('0' + rest % 10);
    return n;
}
