/*
 * units.c - durations as Go reads and prints them, sizes as the humanize package does.
 */
#include "query/logql/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- durations -------------------------------------------------------------------------------- */

static int64_t unit_ns(struct str u)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},       {"us", 1000},          {"\xc2\xb5s", 1000},     {"\xce\xbcs", 1000},
        {"ms", 1000000}, {"s", 1000000000}, {"m", INT64_C(60000000000)}, {"h", INT64_C(3600000000000)},
    };

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eqz(u, units[i].name))
            return units[i].ns;
    return 0;
}

static int bad_duration(struct err *e, struct str s)
{
    struct buf b = {0};
    int code;

    buf_put_quoted(&b, s);
    code = err_set(e, ERR_INVALID, "time: invalid duration %.*s", STR_ARG(str_head(buf_str(&b), 200)));
    buf_release(&b);
    return code;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One number and its unit. The integer part exactly, of the fraction what Go keeps of it. */
static int duration_part(struct str whole, struct str *s, unsigned __int128 *ns, struct err *e)
{
    uint64_t v = 0, f = 0;
    double scale = 1;
    bool any = false;
    size_t n = 0;
    int64_t unit;

    for (; s->n && is_digit(s->p[0]); *s = str_from(*s, 1), any = true) {
        if (v > UINT64_MAX / 2 / 10)
            return bad_duration(e, whole);
        v = v * 10 + (uint64_t)(s->p[0] - '0');
    }
    if (s->n && s->p[0] == '.')
        for (*s = str_from(*s, 1); s->n && is_digit(s->p[0]); *s = str_from(*s, 1), any = true)
            if (f < (INT64_MAX - 10) / 10) {
                f = f * 10 + (uint64_t)(s->p[0] - '0');
                scale *= 10;
            }
    if (!any)
        return bad_duration(e, whole);
    while (n < s->n && s->p[n] != '.' && !is_digit(s->p[n]))
        n++;
    if (n == 0)
        return err_set(e, ERR_INVALID, "time: missing unit in duration \"%.*s\"", STR_ARG(str_head(whole, 200)));
    unit = unit_ns(str_head(*s, n));
    if (!unit)
        return err_set(e, ERR_INVALID, "time: unknown unit \"%.*s\" in duration \"%.*s\"", STR_ARG(str_head(*s, n < 200 ? n : 200)),
                       STR_ARG(str_head(whole, 200)));
    *s = str_from(*s, n);
    *ns += (unsigned __int128)v * (uint64_t)unit + (uint64_t)((double)f * ((double)unit / scale));
    return *ns > (unsigned __int128)INT64_MAX + 1 ? bad_duration(e, whole) : 0;
}

int lq_duration_parse(struct str s, int64_t *out, struct err *e)
{
    struct str whole = s;
    unsigned __int128 ns = 0;
    bool minus = false;

    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        minus = s.p[0] == '-';
        s = str_from(s, 1);
    }
    if (str_eqz(s, "0")) {
        *out = 0;
        return 0;
    }
    if (s.n == 0)
        return bad_duration(e, whole);
    while (s.n) {
        int code = duration_part(whole, &s, &ns, e);

        if (code < 0)
            return code;
    }
    if (ns > (unsigned __int128)INT64_MAX + minus)
        return bad_duration(e, whole);
    *out = minus ? (int64_t)-(uint64_t)ns : (int64_t)ns;
    return 0;
}

/* v / 10^digits without zeros at the end. */
static size_t put_fraction(char *out, uint64_t v, unsigned digits)
{
    char text[24];
    int n;

    if (v == 0)
        return 0;
    n = snprintf(text, sizeof text, ".%0*llu", (int)digits, (unsigned long long)v);
    while (text[n - 1] == '0')
        n--;
    memcpy(out, text, (size_t)n);
    return (size_t)n;
}

size_t lq_duration_fmt(int64_t ns, char *out)
{
    static const struct {
        uint64_t ns;
        unsigned digits;
        const char *unit;
    } small[] = {{1, 0, "ns"}, {1000, 3, "\xc2\xb5s"}, {1000000, 6, "ms"}};
    uint64_t u = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, s;
    size_t n = 0;

    if (u == 0) {
        memcpy(out, "0s", 2);
        return 2;
    }
    if (ns < 0)
        out[n++] = '-';
    for (size_t i = 0; i < ARRAY_LEN(small); i++)
        if (u < small[i].ns * 1000) {
            n += (size_t)sprintf(out + n, "%llu", (unsigned long long)(u / small[i].ns));
            n += put_fraction(out + n, u % small[i].ns, small[i].digits);
            return n + (size_t)sprintf(out + n, "%s", small[i].unit);
        }
    s = u / 1000000000;
    if (s >= 3600)
        n += (size_t)sprintf(out + n, "%lluh", (unsigned long long)(s / 3600));
    if (s >= 60)
        n += (size_t)sprintf(out + n, "%llum", (unsigned long long)(s / 60 % 60));
    n += (size_t)sprintf(out + n, "%llu", (unsigned long long)(s % 60));
    n += put_fraction(out + n, u % 1000000000, 9);
    out[n++] = 's';
    return n;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static double size_unit(struct str u)
{
    static const char prefixes[] = "kmgtpe";
    const char *at;
    char low[4];
    double base = 1000, v = 1;

    if (u.n > 3)
        return 0;
    for (size_t i = 0; i < u.n; i++)
        low[i] = u.p[i] >= 'A' && u.p[i] <= 'Z' ? (char)(u.p[i] + 32) : u.p[i];
    if (u.n == 0 || (u.n == 1 && low[0] == 'b'))
        return 1;
    at = low[0] ? strchr(prefixes, low[0]) : NULL;
    if (!at)
        return 0;
    u = str_from((struct str){low, u.n}, 1);
    if (u.n && u.p[0] == 'i') {
        base = 1024;
        u = str_from(u, 1);
    }
    if (u.n && !(u.n == 1 && u.p[0] == 'b'))
        return 0;
    for (const char *p = prefixes; p <= at; p++)
        v *= base;
    return v;
}

int lq_bytes_parse(struct str s, uint64_t *bytes, struct err *e)
{
    char num[64];
    size_t n = 0, at = 0;
    struct str unit;
    double v, f;
    bool range;

    for (; at < s.n && (is_digit(s.p[at]) || s.p[at] == '.' || s.p[at] == ','); at++)
        if (s.p[at] != ',' && n < sizeof num)
            num[n++] = s.p[at];
    if (n == sizeof num || !num_parse(str_n(num, n), &v, &range))
        return err_set(e, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax", STR_ARG(str_n(num, n)));
    unit = str_trim(str_from(s, at));
    f = size_unit(unit);
    if (f == 0) {
        struct str low = str_head(unit, 100);
        char text[100];

        for (size_t i = 0; i < low.n; i++)
            text[i] = low.p[i] >= 'A' && low.p[i] <= 'Z' ? (char)(low.p[i] + 32) : low.p[i];
        return err_set(e, ERR_INVALID, "unhandled size name: %.*s", (int)low.n, text);
    }
    v *= f;
    if (!(v < 0x1p64))
        return err_set(e, ERR_INVALID, "too large: %.*s", STR_ARG(str_head(s, 200)));
    *bytes = (uint64_t)v;
    return 0;
}

size_t lq_bytes_fmt(uint64_t bytes, char *out)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"}; /* the lexer knows no more */
    double v = (double)bytes;
    unsigned unit = 0;
    uint64_t back;
    int n;

    for (; v >= 1000 && unit < 5; unit++)
        v /= 1000;
    v = floor(v * 10 + 0.5) / 10;
    n = unit && v < 10 ? sprintf(out, "%.1f%s", v, units[unit]) : sprintf(out, "%.0f%s", v, units[unit]);
    if (lq_bytes_parse(str_n(out, (size_t)n), &back, NULL) < 0 || back != bytes)
        n = sprintf(out, "%lluB", (unsigned long long)bytes);
    return (size_t)n;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* 0x1p3: digits, perhaps a point, and always an exponent. */
static bool hex_parse(struct str s, double *v)
{
    char z[128], *end;
    size_t at = s.n && (s.p[0] == '-' || s.p[0] == '+');

    if (s.n < at + 3 || s.n >= sizeof z || s.p[at] != '0' || (s.p[at + 1] | 32) != 'x')
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    if (!strpbrk(z, "pP") || memchr(z, 0, s.n))
        return false;
    *v = strtod(z, &end);
    return end == z + s.n;
}

bool lq_float_parse(struct str s, double *v)
{
    bool range = false;

    if (num_parse(s, v, &range))
        return !range;
    return hex_parse(s, v) && isfinite(*v);
}
