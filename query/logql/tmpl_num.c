/* tmpl_num.c - functions of templates on numbers and units. Anything is taken for a number as sprig's cast does: text is read. */
#include "query/logql/tmpl_funcs.h"
#include "query/logql/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t clamp(double f)
{
    return isnan(f) ? INT64_MIN : f >= 9223372036854775807.0 ? INT64_MIN : f <= -9223372036854775808.0 ? INT64_MIN : (int64_t)f;
}

/* "12", "-0x1f", "0b1", "017", "3.000". What is none is 0. */
static int64_t text_to_int(struct str s)
{
    char z[80], *end;
    const char *digits;
    ptrdiff_t dot = str_chr(s, '.');
    unsigned long long v;
    bool minus;
    int base = 10;

    if (dot >= 0) { /* only zeros may stand behind it */
        for (size_t i = (size_t)dot + 1; i < s.n; i++)
            if (s.p[i] != '0')
                return 0;
        s = str_head(s, (size_t)dot);
    }
    if (s.n == 0 || s.n >= sizeof z)
        return 0;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    minus = z[0] == '-';
    digits = z + (z[0] == '-' || z[0] == '+');
    if (digits[0] == '0' && digits[1]) {
        base = (digits[1] | 0x20) == 'x' ? 16 : (digits[1] | 0x20) == 'b' ? 2 : 8;
        digits += (digits[1] | 0x20) == 'x' || (digits[1] | 0x20) == 'b' || (digits[1] | 0x20) == 'o' ? 2 : 1;
    }
    if (*digits == '-' || *digits == '+' || *digits == ' ' || !*digits)
        return 0;
    v = strtoull(digits, &end, base);
    if (*end || v > (unsigned long long)INT64_MAX + minus)
        return 0;
    return minus ? (int64_t)(0 - v) : (int64_t)v;
}

static int64_t to_int(struct tmpl_run *r, struct tmpl_value v)
{
    v = tmpl_plain(r, v);
    switch (v.type) {
    case TMPL_T_INT:
    case TMPL_T_DURATION:
        return v.i;
    case TMPL_T_FLOAT:
        return clamp(v.f);
    case TMPL_T_BOOL:
        return v.b;
    case TMPL_T_STRING:
        return text_to_int(v.s);
    default:
        return 0;
    }
}

static double to_float(struct tmpl_run *r, struct tmpl_value v)
{
    double f;

    v = tmpl_plain(r, v);
    switch (v.type) {
    case TMPL_T_INT:
    case TMPL_T_DURATION:
        return (double)v.i;
    case TMPL_T_FLOAT:
        return v.f;
    case TMPL_T_BOOL:
        return v.b;
    case TMPL_T_STRING:
        return lq_float_parse(v.s, &f) ? f : 0;
    default:
        return 0;
    }
}

TMPL_FN(lq_fn_int)
{
    (void)n;
    *out = tmpl_int(to_int(r, args[0]));
    return 0;
}

TMPL_FN(lq_fn_float64)
{
    (void)n;
    *out = tmpl_float(to_float(r, args[0]));
    return 0;
}

/* --- whole numbers: they wrap ------------------------------------------------------------------------------ */

TMPL_FN(lq_fn_add)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += (uint64_t)to_int(r, args[i]);
    *out = tmpl_int((int64_t)sum);
    return 0;
}

TMPL_FN(lq_fn_sub)
{
    (void)n;
    *out = tmpl_int((int64_t)((uint64_t)to_int(r, args[0]) - (uint64_t)to_int(r, args[1])));
    return 0;
}

TMPL_FN(lq_fn_mul)
{
    uint64_t v = (uint64_t)to_int(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        v *= (uint64_t)to_int(r, args[i]);
    *out = tmpl_int((int64_t)v);
    return 0;
}

TMPL_FN(lq_fn_div)
{
    int64_t a = to_int(r, args[0]), b = to_int(r, args[1]);

    (void)n;
    if (b == 0)
        return err_set(r->e, ERR_EXEC, "runtime error: integer divide by zero");
    *out = tmpl_int(b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b);
    return 0;
}

TMPL_FN(lq_fn_mod)
{
    int64_t a = to_int(r, args[0]), b = to_int(r, args[1]);

    (void)n;
    if (b == 0)
        return err_set(r->e, ERR_EXEC, "runtime error: integer divide by zero");
    *out = tmpl_int(b == -1 ? 0 : a % b);
    return 0;
}

TMPL_FN(lq_fn_max)
{
    int64_t best = to_int(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        best = MAX(best, to_int(r, args[i]));
    *out = tmpl_int(best);
    return 0;
}

TMPL_FN(lq_fn_min)
{
    int64_t best = to_int(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        best = MIN(best, to_int(r, args[i]));
    *out = tmpl_int(best);
    return 0;
}

/* --- floats ------------------------------------------------------------------------------------------------ */

/*
 * sprig computes these four in decimals: 0.1 + 0.2 is 0.3. The shortest decimal of a double, read with more bits than a double
 * has, comes close enough that the result rounds to the same.
 */
static long double decimal(struct tmpl_run *r, struct tmpl_value v)
{
    char text[NUM_MAX + 1];

    text[num_fmt_g(to_float(r, v), text)] = 0;
    return strtold(text, NULL);
}

TMPL_FN(lq_fn_addf)
{
    long double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += decimal(r, args[i]);
    *out = tmpl_float((double)sum);
    return 0;
}

TMPL_FN(lq_fn_subf)
{
    long double v = decimal(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        v -= decimal(r, args[i]);
    *out = tmpl_float((double)v);
    return 0;
}

TMPL_FN(lq_fn_mulf)
{
    long double v = decimal(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        v *= decimal(r, args[i]);
    *out = tmpl_float((double)v);
    return 0;
}

TMPL_FN(lq_fn_divf)
{
    long double v = decimal(r, args[0]);
    char text[512];

    for (uint32_t i = 1; i < n; i++) {
        long double by = decimal(r, args[i]);

        if (by == 0)
            return err_set(r->e, ERR_EXEC, "decimal division by 0");
        v /= by;
        if (fabsl(v) < 1e18L) { /* quotients have 16 places */
            snprintf(text, sizeof text, "%.16Lf", v);
            v = strtold(text, NULL);
        }
    }
    *out = tmpl_float((double)v);
    return 0;
}

TMPL_FN(lq_fn_maxf)
{
    double best = to_float(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        best = fmax(best, to_float(r, args[i]));
    *out = tmpl_float(best);
    return 0;
}

TMPL_FN(lq_fn_minf)
{
    double best = to_float(r, args[0]);

    for (uint32_t i = 1; i < n; i++)
        best = fmin(best, to_float(r, args[i]));
    *out = tmpl_float(best);
    return 0;
}

TMPL_FN(lq_fn_ceil)
{
    (void)n;
    *out = tmpl_float(ceil(to_float(r, args[0])));
    return 0;
}

TMPL_FN(lq_fn_floor)
{
    (void)n;
    *out = tmpl_float(floor(to_float(r, args[0])));
    return 0;
}

/* round value places [from what fraction on upward] */
TMPL_FN(lq_fn_round)
{
    double on = n > 2 ? args[2].f : 0.5, power = pow(10, (double)args[1].i), digit = power * to_float(r, args[0]), whole;

    *out = tmpl_float((modf(digit, &whole) >= on ? ceil(digit) : floor(digit)) / power);
    return 0;
}

/* --- units ------------------------------------------------------------------------------------------------- */

TMPL_FN(lq_fn_bytes)
{
    uint64_t bytes;

    (void)n;
    if (lq_bytes_parse(args[0].s, &bytes, r->e) < 0)
        return ERR_EXEC;
    *out = tmpl_float((double)bytes);
    return 0;
}

TMPL_FN(lq_fn_duration)
{
    int64_t ns;

    (void)n;
    if (lq_duration_parse(args[0].s, &ns, r->e) < 0)
        return ERR_EXEC;
    *out = tmpl_float((double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9);
    return 0;
}
