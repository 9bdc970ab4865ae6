/* num_time.c - durations, sizes and points in time as text. Calendar arithmetic is our own: no locale, no time zone
 * files. */
#include "base/num.h"

#include <math.h>

#define MS_DAY INT64_C(86400000)

static const struct {
    char name[3];
    int64_t ms;
    bool exact; /* printed only when nothing remains: 90d reads better than 12w6d */
} units[] = {
    {"y", 365 * MS_DAY, true}, {"w", 7 * MS_DAY, true}, {"d", MS_DAY, false}, {"h", 3600000, false},
    {"m", 60000, false},       {"s", 1000, false},      {"ms", 1, false},
};
enum { NUNITS = sizeof units / sizeof units[0] };

/* Durations are nanoseconds in 63 bits where they come from. */
static const uint64_t duration_ms_max = INT64_MAX / 1000000;

static int not_a_duration(struct str s, struct err *e)
{
    struct str shown = str_head(s, 200);

    return err_set(e, ERR_INVALID, "not a valid duration string: \"%.*s\"", STR_ARG(shown));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One "15m" at the front of *s; *unit is the row of the last one, and rises. */
static int take_part(struct str *s, struct str all, int *unit, uint64_t *total, struct err *e)
{
    struct str number, name, shown = str_head(all, 200);
    size_t i = 0, k;
    uint64_t v;
    int u = 0;

    while (i < s->n && is_digit(s->p[i]))
        i++;
    for (k = i; k < s->n && !is_digit(s->p[k]);)
        k++;
    number = str_head(*s, i);
    name = str_n(s->p + i, k - i);
    if (i == 0 || k == i || !str_to_u64(number, &v))
        return not_a_duration(all, e);
    while (u < NUNITS && !str_eqz(name, units[u].name))
        u++;
    if (u == NUNITS)
        return err_set(e, ERR_INVALID, "unknown unit \"%.*s\" in duration \"%.*s\"", STR_ARG(str_head(name, 50)),
                       STR_ARG(shown));
    if (u <= *unit)
        return not_a_duration(all, e);
    *unit = u;
    if (v > duration_ms_max / (uint64_t)units[u].ms || (*total += v * (uint64_t)units[u].ms) > duration_ms_max)
        return err_set(e, ERR_INVALID, "duration out of range");
    *s = str_from(*s, k);
    return 0;
}

int duration_parse(struct str s, int64_t *ms, struct err *e)
{
    struct str rest = s;
    uint64_t total = 0;
    int unit = -1, rc;

    if (s.n == 0)
        return err_set(e, ERR_INVALID, "empty duration string");
    if (str_eqz(s, "0"))
        rest.n = 0;
    while (rest.n) {
        rc = take_part(&rest, s, &unit, &total, e);
        if (rc < 0)
            return rc;
    }
    *ms = (int64_t)total;
    return 0;
}

size_t duration_fmt(int64_t ms, char *out)
{
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    size_t n = 0;

    if (ms == 0) {
        memcpy(out, "0s", 2);
        return 2;
    }
    if (ms < 0)
        out[n++] = '-';
    for (int u = 0; u < NUNITS; u++) {
        uint64_t unit = (uint64_t)units[u].ms, v = rest / unit;
        size_t len = strlen(units[u].name);

        if (v == 0 || (units[u].exact && rest % unit))
            continue;
        n += num_fmt_u64(v, out + n);
        memcpy(out + n, units[u].name, len);
        n += len;
        rest -= v * unit;
    }
    return n;
}

/* --- sizes ---------------------------------------------------------------------------------------- */

/* The power of 1024 of a unit: B KB KiB K ... EB EiB E; -1 for another word. */
static int size_power(struct str unit)
{
    static const char letters[] = "KMGTPE";
    const char *q;

    if (unit.n == 0 || str_eq_nocase(unit, STR("B")))
        return 0;
    q = memchr(letters, unit.p[0] & ~0x20, sizeof letters - 1);
    unit = str_from(unit, 1);
    if (!q || !(unit.n == 0 || str_eq_nocase(unit, STR("B")) || str_eq_nocase(unit, STR("iB"))))
        return -1;
    return (int)(q - letters) + 1;
}

int size_parse(struct str s, uint64_t *bytes, struct err *e)
{
    struct str rest = str_trim(s), number, unit, shown = str_head(s, 200);
    uint64_t total = 0;

    if (rest.n == 0)
        return err_set(e, ERR_INVALID, "empty size");
    while (rest.n) {
        size_t i = 0, k;
        double v;
        int power;

        while (i < rest.n && (is_digit(rest.p[i]) || rest.p[i] == '.'))
            i++;
        for (k = i; k < rest.n && !is_digit(rest.p[k]);)
            k++;
        number = str_head(rest, i);
        unit = str_trim(str_n(rest.p + i, k - i));
        power = size_power(unit);
        if (i == 0 || power < 0 || !num_parse(number, &v, NULL))
            return err_set(e, ERR_INVALID, "not a size: \"%.*s\" (want 512MB, 10KiB or bytes)", STR_ARG(shown));
        v = ldexp(v, 10 * power) + (double)total;
        if (!(v < 18446744073709551616.0))
            return err_set(e, ERR_INVALID, "size \"%.*s\" is out of range", STR_ARG(shown));
        total = power == 0 && total == 0 && str_to_u64(number, &total) ? total : (uint64_t)v;
        rest = str_from(rest, k);
    }
    *bytes = total;
    return 0;
}

/* --- points in time ------------------------------------------------------------------------------- */

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar: years begin in March, eras have 400 years. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    int64_t era;
    unsigned yoe, doy, doe;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = (unsigned)(y - era * 400);
    doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void date_of(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

/* n digits at *s, in [min, max], then `after` unless that is NUL. */
static bool take_digits(struct str *s, unsigned n, unsigned min, unsigned max, char after, unsigned *out)
{
    unsigned v = 0;

    if (s->n < n + (after != '\0'))
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!is_digit(s->p[i]))
            return false;
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    if (v < min || v > max || (after && s->p[n] != after))
        return false;
    *s = str_from(*s, n + (after != '\0'));
    *out = v;
    return true;
}

/* ".123456789": milliseconds, the rest cut off. */
static bool take_fraction(struct str *s, unsigned *ms)
{
    unsigned scale = 100;
    size_t i = 1;

    *ms = 0;
    if (s->n == 0 || (s->p[0] != '.' && s->p[0] != ','))
        return true;
    for (; i < s->n && is_digit(s->p[i]); i++) {
        *ms += (unsigned)(s->p[i] - '0') * scale;
        scale /= 10;
    }
    *s = str_from(*s, i);
    return i > 1;
}

static bool take_zone(struct str *s, int64_t *offset_s)
{
    unsigned h, m;
    bool minus;

    *offset_s = 0;
    if (str_eqz(*s, "Z") || str_eqz(*s, "z")) {
        *s = str_from(*s, 1);
        return true;
    }
    if (s->n != 6 || (s->p[0] != '+' && s->p[0] != '-'))
        return false;
    minus = s->p[0] == '-';
    *s = str_from(*s, 1);
    if (!take_digits(s, 2, 0, 24, ':', &h) || !take_digits(s, 2, 0, 60, '\0', &m))
        return false;
    *offset_s = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
    return true;
}

static unsigned month_days(unsigned y, unsigned m)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : days[m - 1];
}

static bool parse_rfc3339(struct str s, int64_t *ms)
{
    unsigned y, mo, d, h, mi, sec, frac;
    int64_t zone;

    if (!take_digits(&s, 4, 0, 9999, '-', &y) || !take_digits(&s, 2, 1, 12, '-', &mo) ||
        !take_digits(&s, 2, 1, month_days(y, mo), '\0', &d))
        return false;
    if (s.n == 0 || (s.p[0] != 'T' && s.p[0] != 't'))
        return false;
    s = str_from(s, 1);
    if (!take_digits(&s, 2, 0, 23, ':', &h) || !take_digits(&s, 2, 0, 59, ':', &mi) ||
        !take_digits(&s, 2, 0, 59, '\0', &sec) || !take_fraction(&s, &frac) || !take_zone(&s, &zone) || s.n)
        return false;
    *ms = ((days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec) - zone) * 1000 + frac;
    return true;
}

/* The ends of time as Prometheus prints and takes them back. */
static const struct {
    struct str text;
    int64_t s;
} ends[] = {
    {{"-292273086-05-16T16:47:06Z", 26}, INT64_MIN / 1000 + 62135596801},
    {{"+292277025-08-18T07:12:54.999999999Z", 36}, INT64_MAX / 1000 - 62135596801},
};

int time_parse(struct str s, int64_t *ms, struct err *e)
{
    struct str shown = str_head(s, 200);
    double v;

    if (num_parse(s, &v, NULL)) {
        double whole = floor(v);

        if (!(fabs(v) < 9.2e15))
            return err_set(e, ERR_INVALID, "time \"%.*s\" is out of range", STR_ARG(shown));
        *ms = (int64_t)whole * 1000 + (int64_t)round((v - whole) * 1000);
        return 0;
    }
    if (parse_rfc3339(s, ms))
        return 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (str_eq(s, ends[i].text)) {
            *ms = ends[i].s * 1000 + (i ? 999 : 0);
            return 0;
        }
    return err_set(e, ERR_INVALID, "cannot parse \"%.*s\" to a valid timestamp", STR_ARG(shown));
}

static size_t put_padded(uint64_t v, unsigned width, char *out)
{
    char t[NUM_MAX];
    size_t n = num_fmt_u64(v, t), pad = n < width ? width - n : 0;

    memset(out, '0', pad);
    memcpy(out + pad, t, n);
    return pad + n;
}

size_t time_fmt_rfc3339(int64_t ms, char *out)
{
    int64_t days = ms / MS_DAY - (ms % MS_DAY < 0), y;
    uint64_t rest = (uint64_t)(ms - days * MS_DAY);
    unsigned m, d;
    size_t n = 0;

    date_of(days, &y, &m, &d);
    if (y < 0)
        out[n++] = '-';
    n += put_padded((uint64_t)(y < 0 ? -y : y), 4, out + n);
    out[n++] = '-';
    n += put_padded(m, 2, out + n);
    out[n++] = '-';
    n += put_padded(d, 2, out + n);
    out[n++] = 'T';
    n += put_padded(rest / 3600000, 2, out + n);
    out[n++] = ':';
    n += put_padded(rest / 60000 % 60, 2, out + n);
    out[n++] = ':';
    n += put_padded(rest / 1000 % 60, 2, out + n);
    out[n++] = '.';
    n += put_padded(rest % 1000, 3, out + n);
    out[n++] = 'Z';
    return n;
}
