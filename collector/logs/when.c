/* when.c - see when.h. */
#include "collector/logs/when.h"

enum { NS = 1000000000 };

int64_t when_of(int64_t s, int64_t ns)
{
    int64_t t;

    if (__builtin_mul_overflow(s, (int64_t)NS, &t) || __builtin_add_overflow(t, ns, &t))
        return s < 0 ? INT64_MIN : INT64_MAX;
    return t;
}

/* Howard Hinnant's days_from_civil: years begin in March. */
int64_t when_days(int64_t y, unsigned m, unsigned d)
{
    int64_t era;
    unsigned yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = (unsigned)(y - era * 400);
    doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
    return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static bool take(struct str *s, unsigned digits, unsigned min, unsigned max, unsigned *out)
{
    unsigned v = 0;

    if (s->n < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    *s = str_from(*s, digits);
    *out = v;
    return v >= min && v <= max;
}

static bool take_char(struct str *s, const char *any)
{
    if (s->n == 0 || !s->p[0] || !strchr(any, s->p[0]))
        return false;
    *s = str_from(*s, 1);
    return true;
}

static void take_fraction(struct str *s, int64_t *ns)
{
    int64_t scale = NS / 10;

    *ns = 0;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = str_from(*s, 1)) {
        *ns += (s->p[0] - '0') * scale;
        scale /= 10;
    }
}

static bool take_zone(struct str *s, int64_t *offset_s)
{
    unsigned h, m;
    bool minus;

    *offset_s = 0;
    if (s->n == 0 || take_char(s, "Zz"))
        return true;
    minus = s->p[0] == '-';
    if (!take_char(s, "+-") || !take(s, 2, 0, 23, &h))
        return false;
    (void)take_char(s, ":");
    if (!take(s, 2, 0, 59, &m))
        return false;
    *offset_s = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
    return true;
}

bool when_rfc3339(struct str s, int64_t *t_ns)
{
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y, mo, d, h, mi, sec;
    int64_t ns = 0, zone;

    if (!take(&s, 4, 0, 9999, &y) || !take_char(&s, "-") || !take(&s, 2, 1, 12, &mo) || !take_char(&s, "-") ||
        !take(&s, 2, 1, days[mo - 1], &d) || !take_char(&s, "Tt ") || !take(&s, 2, 0, 23, &h) || !take_char(&s, ":") ||
        !take(&s, 2, 0, 59, &mi) || !take_char(&s, ":") || !take(&s, 2, 0, 60, &sec))
        return false;
    if (mo == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400)))
        return false;
    if (take_char(&s, ".,")) {
        if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9')
            return false;
        take_fraction(&s, &ns);
    }
    if (!take_zone(&s, &zone) || s.n)
        return false;
    *t_ns = when_of(when_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - zone, ns);
    return true;
}

/* v units of ns; what does not fit is the end of time on that side. */
static int64_t scaled(int64_t v, int64_t ns)
{
    int64_t t;

    return __builtin_mul_overflow(v, ns, &t) ? (v < 0 ? INT64_MIN : INT64_MAX) : t;
}

bool when_unix(struct str s, int64_t *t_ns)
{
    struct str whole, frac = s;
    bool dot = str_cut(&frac, '.', &whole), minus = whole.n && whole.p[0] == '-', plain = str_to_i64(whole, t_ns);
    int64_t v = plain ? *t_ns : 0, ns = 0;
    double d;

    if (plain && dot) {
        take_fraction(&frac, &ns);
        plain = frac.n == 0;
    }
    if (!plain) { /* 1.7e9 */
        if (!num_parse(s, &d, NULL) || !(d > -9.2e18 && d < 9.2e18))
            return false;
        v = (int64_t)d;
        ns = 0;
    }
    if (v > -100000000000 && v < 100000000000)
        *t_ns = when_of(v, minus ? -ns : ns);
    else if (v > -100000000000000 && v < 100000000000000)
        *t_ns = scaled(v, 1000000);
    else if (v > -100000000000000000 && v < 100000000000000000)
        *t_ns = scaled(v, 1000);
    else
        *t_ns = v;
    return true;
}
