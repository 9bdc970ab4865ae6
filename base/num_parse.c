/*
 * num_parse.c - text to numbers. Exact in one floating-point operation where that is possible, else Eisel and Lemire's
 * method, else strtod in the C locale.
 *
 * (1) Each way gives the correctly rounded double or declines; strtod never declines.
 */
#include "base/num.h"

#include "base/num_pow10.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* digits * 10^exp10; cut: more digits followed than fit, so the number lies in [digits, digits + 1) * 10^exp10. */
struct scanned {
    bool minus, cut;
    uint64_t digits;
    int exp10;
};

/* An exponent, at *i behind the 'e'. Clamped far beyond what a double holds. */
static bool scan_exponent(struct str s, size_t *i, int *exp10)
{
    bool minus = false;
    int v = 0;

    if (*i < s.n && (s.p[*i] == '+' || s.p[*i] == '-'))
        minus = s.p[(*i)++] == '-';
    if (*i == s.n)
        return false;
    for (; *i < s.n; (*i)++) {
        unsigned d = (unsigned char)s.p[*i] - (unsigned)'0';

        if (d > 9)
            return false;
        if (v < 100000)
            v = v * 10 + (int)d;
    }
    *exp10 += minus ? -v : v;
    return true;
}

/* false unless all of s is a decimal number. */
static bool scan(struct str s, struct scanned *out)
{
    size_t i = 0;
    bool point = false, any = false;
    unsigned kept = 0;
    int64_t exp10 = 0;

    *out = (struct scanned){0};
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        out->minus = s.p[i++] == '-';
    for (; i < s.n; i++) {
        unsigned d = (unsigned char)s.p[i] - (unsigned)'0';

        if (d <= 9) {
            any = true;
            if (kept < 19) {
                out->digits = out->digits * 10 + d;
                kept += out->digits != 0; /* leading zeros are free */
                exp10 -= point;
            } else {
                out->cut |= d != 0;
                exp10 += !point;
            }
        } else if (s.p[i] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!any)
        return false;
    out->exp10 = exp10 > 1000000 ? 1000000 : exp10 < -1000000 ? -1000000 : (int)exp10;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (!scan_exponent(s, &i, &out->exp10))
            return false;
    }
    return i == s.n;
}

/* Both factors are exact doubles, so one rounding happens: Clinger's fast path. */
static bool one_operation(uint64_t digits, int exp10, double *v)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (digits >> 53)
        return false;
    if (exp10 >= 0 && exp10 <= 22)
        *v = (double)digits * tens[exp10];
    else if (exp10 < 0 && exp10 >= -22)
        *v = (double)digits / tens[-exp10];
    else
        return false;
    return true;
}

/* Truncated product of the digits and a 128-bit power of ten; declines when the cut-off part could matter. digits > 0.
 */
static bool by_product(uint64_t digits, int exp10, double *v)
{
    unsigned zeros = (unsigned)__builtin_clzll(digits), top;
    uint64_t d = digits << zeros, hi, lo, m, exponent, down;
    unsigned __int128 x;
    struct pow10 g;

    if (exp10 < POW10_MIN || exp10 > 308)
        return false;
    g = pow10_table[exp10 - POW10_MIN];
    down = exp10 < 0 || exp10 > POW10_EXACT_MAX; /* the table rounds up, this method wants down */
    g.hi -= down && g.lo == 0;
    g.lo -= down;
    x = (unsigned __int128)d * g.hi;
    hi = (uint64_t)(x >> 64);
    lo = (uint64_t)x;
    if ((hi & 0x1ff) == 0x1ff && lo + d < d) {
        unsigned __int128 y = (unsigned __int128)d * g.lo;
        uint64_t sum = lo + (uint64_t)(y >> 64), carry = sum < lo;

        if (((hi + carry) & 0x1ff) == 0x1ff && sum + 1 == 0 && (uint64_t)y + d < d)
            return false;
        hi += carry;
        lo = sum;
    }
    top = (unsigned)(hi >> 63);
    m = hi >> (top + 9);
    exponent = (uint64_t)(pow10_log2(exp10) + 64 + 1023) - zeros - (1 ^ top);
    if (lo == 0 && (hi & 0x1ff) == 0 && (m & 3) == 1) /* might be half-way */
        return false;
    m += m & 1;
    m >>= 1;
    if (m >> 53) {
        m >>= 1;
        exponent++;
    }
    if (exponent - 1 >= 0x7ff - 1) /* denormal, or too big */
        return false;
    *v = f64_from_bits(exponent << 52 | (m & ((UINT64_C(1) << 52) - 1)));
    return true;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static double by_strtod(struct str s)
{
    char small[128], *z = s.n < sizeof small ? small : x_alloc(s.n + 1);
    double v;

    pthread_once(&c_locale_once, make_c_locale);
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    v = strtod_l(z, NULL, c_locale);
    if (z != small)
        free(z);
    return v;
}

/* inf, infinity with a sign or without, nan without; any case. */
static bool special(struct str s, double *v)
{
    bool minus = s.n && s.p[0] == '-';

    if (str_eq_nocase(s, STR("nan"))) {
        *v = f64_from_bits(NORMAL_NAN_BITS);
        return true;
    }
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    if (!str_eq_nocase(s, STR("inf")) && !str_eq_nocase(s, STR("infinity")))
        return false;
    *v = minus ? -INFINITY : INFINITY;
    return true;
}

bool num_parse(struct str s, double *v, bool *range)
{
    struct scanned t;
    double a, b;

    if (range)
        *range = false;
    if (!scan(s, &t))
        return special(s, v);
    if (t.digits == 0) {
        *v = t.minus ? -0.0 : 0.0;
        return true;
    }
    if (!t.cut && (one_operation(t.digits, t.exp10, &a) || by_product(t.digits, t.exp10, &a))) {
        *v = t.minus ? -a : a;
        return true;
    }
    if (t.cut && by_product(t.digits, t.exp10, &a) && by_product(t.digits + 1, t.exp10, &b) && a == b) {
        *v = t.minus ? -a : a;
        return true;
    }
    *v = by_strtod(s);
    if (range)
        *range = isinf(*v);
    return true;
}
