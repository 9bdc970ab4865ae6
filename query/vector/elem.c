/*
 * elem.c - the table of elementwise functions: mathematics, clamps, dates.
 */
#include "query/vector/elem.h"

#include <math.h>

static inline double sign_of(double x)
{
    return x < 0 ? -1 : x > 0 ? 1 : x;
}

#define UNARY(NAME, EXPR)                                                                                              \
    static void NAME(double *v, uint8_t *has, uint32_t n, const double *const *param)                                  \
    {                                                                                                                  \
        (void)param;                                                                                                   \
        for (uint32_t i = 0; i < n; i++)                                                                               \
            if (has[i]) {                                                                                              \
                double x = v[i];                                                                                       \
                v[i] = (EXPR);                                                                                         \
            }                                                                                                          \
    }

UNARY(run_abs, fabs(x))
UNARY(run_ceil, ceil(x))
UNARY(run_floor, floor(x))
UNARY(run_exp, exp(x))
UNARY(run_sqrt, sqrt(x))
UNARY(run_ln, log(x))
UNARY(run_log2, log2(x))
UNARY(run_log10, log10(x))
UNARY(run_sgn, sign_of(x))
UNARY(run_sin, sin(x))
UNARY(run_cos, cos(x))
UNARY(run_tan, tan(x))
UNARY(run_asin, asin(x))
UNARY(run_acos, acos(x))
UNARY(run_atan, atan(x))
UNARY(run_sinh, sinh(x))
UNARY(run_cosh, cosh(x))
UNARY(run_tanh, tanh(x))
UNARY(run_asinh, asinh(x))
UNARY(run_acosh, acosh(x))
UNARY(run_atanh, atanh(x))
UNARY(run_deg, x * 180 / M_PI)
UNARY(run_rad, (x * M_PI) / 180)

/* --- dates ------------------------------------------------------------------------------------------------------ */

struct date {
    int64_t year;
    unsigned month, day; /* from 1 */
    int64_t days;        /* since the epoch */
    int64_t second;      /* of the day */
};

/* The second that a float means, as a conversion to int64 in Go on amd64 gives it. */
static int64_t whole_seconds(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

/*
 * Civil date of a second, proleptic Gregorian, UTC (after Howard Hinnant's days algorithms). Go counts seconds from a
 * year so far back that INT64_MIN, which is what NaN becomes, wraps around: its date is the one 2^64 seconds later.
 */
static struct date date_of(double x)
{
    int64_t t = whole_seconds(x), days = t / 86400, rem = t % 86400, era, z;
    unsigned doe, yoe, doy, mp;
    struct date d;

    if (t == INT64_MIN) {
        uint64_t later = UINT64_C(1) << 63; /* INT64_MIN + 2^64 */

        days = (int64_t)(later / 86400);
        rem = (int64_t)(later % 86400);
    }
    if (rem < 0) {
        rem += 86400;
        days--;
    }
    z = days + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = (unsigned)(z - era * 146097);
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    d.day = doy - (153 * mp + 2) / 5 + 1;
    d.month = mp < 10 ? mp + 3 : mp - 9;
    d.year = (int64_t)yoe + era * 400 + (d.month <= 2);
    d.days = days;
    d.second = rem;
    return d;
}

static bool leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static const uint16_t before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static unsigned month_days(const struct date *d)
{
    return before_month[d->month] - before_month[d->month - 1] + (unsigned)(d->month == 2 && leap(d->year));
}

#define DATE(NAME, EXPR)                                                                                               \
    static void NAME(double *v, uint8_t *has, uint32_t n, const double *const *param)                                  \
    {                                                                                                                  \
        (void)param;                                                                                                   \
        for (uint32_t i = 0; i < n; i++)                                                                               \
            if (has[i]) {                                                                                              \
                struct date d = date_of(v[i]);                                                                         \
                v[i] = (double)(EXPR);                                                                                 \
            }                                                                                                          \
    }

DATE(run_year, d.year)
DATE(run_month, d.month)
DATE(run_day_of_month, d.day)
DATE(run_day_of_week, ((d.days % 7) + 11) % 7)
DATE(run_day_of_year, before_month[d.month - 1] + d.day + (d.month > 2 && leap(d.year)))
DATE(run_days_in_month, month_days(&d))
DATE(run_hour, d.second / 3600)
DATE(run_minute, d.second / 60 % 60)

/* --- with scalar arguments ---------------------------------------------------------------------------------------- */

/* The larger and the smaller as Go's: NaN if either is, and +0 above -0. */
static double go_max(double a, double b)
{
    if (isnan(a) || isnan(b))
        return a == INFINITY || b == INFINITY ? INFINITY : NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double go_min(double a, double b)
{
    if (isnan(a) || isnan(b))
        return a == -INFINITY || b == -INFINITY ? -INFINITY : NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static void run_clamp(double *v, uint8_t *has, uint32_t n, const double *const *param)
{
    for (uint32_t i = 0; i < n; i++) {
        if (param[1][i] < param[0][i])
            has[i] = ROW_NONE;
        if (has[i])
            v[i] = go_max(param[0][i], go_min(param[1][i], v[i]));
    }
}

static void run_clamp_min(double *v, uint8_t *has, uint32_t n, const double *const *param)
{
    for (uint32_t i = 0; i < n; i++)
        if (has[i])
            v[i] = go_max(param[0][i], v[i]);
}

static void run_clamp_max(double *v, uint8_t *has, uint32_t n, const double *const *param)
{
    for (uint32_t i = 0; i < n; i++)
        if (has[i])
            v[i] = go_min(param[0][i], v[i]);
}

/* To the nearest multiple, ties up; dividing by the inverse keeps decimal fractions clean. */
static void run_round(double *v, uint8_t *has, uint32_t n, const double *const *param)
{
    for (uint32_t i = 0; i < n; i++)
        if (has[i]) {
            double inverse = 1.0 / (param[0] ? param[0][i] : 1);

            v[i] = floor(v[i] * inverse + 0.5) / inverse;
        }
}

static const struct elem_function table[] = {
    {"abs", 0, run_abs},
    {"acos", 0, run_acos},
    {"acosh", 0, run_acosh},
    {"asin", 0, run_asin},
    {"asinh", 0, run_asinh},
    {"atan", 0, run_atan},
    {"atanh", 0, run_atanh},
    {"ceil", 0, run_ceil},
    {"clamp", 2, run_clamp},
    {"clamp_max", 1, run_clamp_max},
    {"clamp_min", 1, run_clamp_min},
    {"cos", 0, run_cos},
    {"cosh", 0, run_cosh},
    {"day_of_month", 0, run_day_of_month},
    {"day_of_week", 0, run_day_of_week},
    {"day_of_year", 0, run_day_of_year},
    {"days_in_month", 0, run_days_in_month},
    {"deg", 0, run_deg},
    {"exp", 0, run_exp},
    {"floor", 0, run_floor},
    {"hour", 0, run_hour},
    {"ln", 0, run_ln},
    {"log10", 0, run_log10},
    {"log2", 0, run_log2},
    {"minute", 0, run_minute},
    {"month", 0, run_month},
    {"rad", 0, run_rad},
    {"round", 1, run_round},
    {"sgn", 0, run_sgn},
    {"sin", 0, run_sin},
    {"sinh", 0, run_sinh},
    {"sqrt", 0, run_sqrt},
    {"tan", 0, run_tan},
    {"tanh", 0, run_tanh},
    {"year", 0, run_year},
};

const struct elem_function *elem_function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eqz(name, table[i].name))
            return &table[i];
    return NULL;
}

void elem_eval(const struct elem_function *fn, struct row *r, uint32_t nsteps, const double *const *param)
{
    if (r->h) {
        for (uint32_t i = 0; i < nsteps; i++)
            if (r->has[i] == ROW_HIST)
                r->has[i] = ROW_NONE;
        r->h = NULL;
    }
    fn->run(r->v, r->has, nsteps, param);
}
