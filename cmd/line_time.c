/* line_time.c - see line_time.h. */
#include "cmd/line_time.h"

#include <time.h>

#define NS INT64_C(1000000000)

enum { LOOK_BYTES = 160, SKEW_S = 86400, AHEAD_S = 600 };

void line_time_init(struct line_time *t, const char *field, int64_t now_ns)
{
    *t = (struct line_time){.now_ns = now_ns, .field = field};
}

/* --- pieces ------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Exactly n digits. */
static bool take_num(struct str *s, unsigned n, int *v)
{
    *v = 0;
    if (s->n < n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!is_digit(s->p[i]))
            return false;
        *v = *v * 10 + (s->p[i] - '0');
    }
    *s = str_from(*s, n);
    return true;
}

static bool take_char(struct str *s, const char *any)
{
    if (s->n == 0 || s->p[0] == '\0' || !strchr(any, s->p[0]))
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_month(struct str *s, int *mon)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12 && s->n >= 3; i++)
        if (memcmp(s->p, names + (size_t)i * 3, 3) == 0) {
            *mon = i + 1;
            *s = str_from(*s, 3);
            return true;
        }
    return false;
}

/* hh:mm:ss and a fraction of any length behind '.' or ','. */
static bool take_clock(struct str *s, int64_t *ns)
{
    struct str r = *s;
    int h, m, sec, frac = 0;
    int64_t unit = NS / 10;

    if (!take_num(&r, 2, &h) || !take_char(&r, ":") || !take_num(&r, 2, &m) || !take_char(&r, ":") || !take_num(&r, 2, &sec) || h > 23 ||
        m > 59 || sec > 60)
        return false;
    if (r.n >= 2 && (r.p[0] == '.' || r.p[0] == ',') && is_digit(r.p[1])) {
        for (r = str_from(r, 1); r.n && is_digit(r.p[0]); r = str_from(r, 1), unit /= 10)
            frac += (int)((r.p[0] - '0') * unit);
    }
    *ns = ((int64_t)h * 3600 + m * 60 + sec) * NS + frac;
    *s = r;
    return true;
}

/* Z, +hh:mm, +hhmm, +hh; blanks before it belong to it only where it is there. */
static bool take_zone(struct str *s, int64_t *offset_s)
{
    struct str r = *s;
    int h, m = 0;
    bool minus;

    if (r.n && r.p[0] == ' ')
        r = str_from(r, 1);
    if (take_char(&r, "Zz")) {
        *offset_s = 0;
    } else if (str_starts(r, STR("UTC")) || str_starts(r, STR("GMT"))) {
        r = str_from(r, 3);
        *offset_s = 0;
    } else {
        minus = r.n && r.p[0] == '-';
        if (!take_char(&r, "+-") || !take_num(&r, 2, &h))
            return false;
        take_char(&r, ":");
        if (r.n && is_digit(r.p[0]) && !take_num(&r, 2, &m))
            return false;
        *offset_s = (minus ? -1 : 1) * (int64_t)(h * 3600 + m * 60);
    }
    *s = r;
    return true;
}

/* Days since the epoch of a civil date (Howard Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_of(int64_t y, int m, int d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t local_offset(struct line_time *t, int64_t civil_s)
{
    if (!t->known || t->hour != civil_s / 3600) {
        struct tm tm, back;
        time_t guess = (time_t)civil_s, real;

        gmtime_r(&guess, &tm);
        tm.tm_isdst = -1;
        real = mktime(&tm);
        localtime_r(&real, &back);
        t->offset_s = back.tm_gmtoff;
        t->hour = civil_s / 3600;
        t->known = true;
    }
    return t->offset_s;
}

static bool whole(struct line_time *t, int y, int mon, int d, int64_t clock_ns, struct str *rest, int64_t *ns)
{
    int64_t civil_s, offset;

    if (mon < 1 || mon > 12 || d < 1 || d > 31 || y < 1970 || y > 2261)
        return false;
    civil_s = days_of(y, mon, d) * 86400 + clock_ns / NS;
    if (!take_zone(rest, &offset))
        offset = local_offset(t, civil_s);
    *ns = (civil_s - offset) * NS + clock_ns % NS;
    return true;
}

/* --- kinds -------------------------------------------------------------------------------------------- */

/* 2026-11-22T13:00:00.5Z, 2026/11/22 13:00:00 */
static bool iso(struct line_time *t, struct str *s, int64_t *ns)
{
    struct str r = *s;
    int y, m, d;
    int64_t clock;

    if (!take_num(&r, 4, &y) || !take_char(&r, "-/") || !take_num(&r, 2, &m) || !take_char(&r, "-/") || !take_num(&r, 2, &d) ||
        !take_char(&r, "Tt ") || !take_clock(&r, &clock) || !whole(t, y, m, d, clock, &r, ns))
        return false;
    *s = r;
    return true;
}

/* 22/Nov/2026:13:00:00 +0000 */
static bool nginx(struct line_time *t, struct str *s, int64_t *ns)
{
    struct str r = *s;
    int y, m, d;
    int64_t clock;

    if (!take_num(&r, 2, &d) || !take_char(&r, "/") || !take_month(&r, &m) || !take_char(&r, "/") || !take_num(&r, 4, &y) ||
        !take_char(&r, ":") || !take_clock(&r, &clock) || !whole(t, y, m, d, clock, &r, ns))
        return false;
    *s = r;
    return true;
}

/* Nov 22 13:00:00, Nov  2 13:00:00; and with a year behind it, as ctime has it: Nov 22 13:00:00 2026 */
static bool syslog(struct line_time *t, struct str *s, int64_t *ns)
{
    struct str r = *s, after;
    int y, m, d;
    int64_t clock;
    time_t now = (time_t)(t->now_ns / NS);
    struct tm tm;

    if (!take_month(&r, &m) || !take_char(&r, " "))
        return false;
    if (take_char(&r, " ") ? !take_num(&r, 1, &d) : !take_num(&r, 2, &d) && !take_num(&r, 1, &d))
        return false;
    if (!take_char(&r, " ") || !take_clock(&r, &clock))
        return false;
    after = r;
    if (take_char(&after, " ") && take_num(&after, 4, &y) && (after.n == 0 || !is_word(after.p[0])) && y >= 1970 && y < 2200) {
        if (!whole(t, y, m, d, clock, &after, ns))
            return false;
        *s = after;
        return true;
    }
    gmtime_r(&now, &tm);
    after = r;
    if (!whole(t, tm.tm_year + 1900, m, d, clock, &after, ns))
        return false;
    if (*ns > t->now_ns + SKEW_S * NS) {
        after = r;
        if (!whole(t, tm.tm_year + 1899, m, d, clock, &after, ns))
            return false;
    }
    *s = after;
    return true;
}

/* Seconds (with or without a fraction), milli-, micro- or nanoseconds, by their size; from the year 2001 on. */
static bool unix_time(struct str *s, int64_t *ns)
{
    struct str r = *s;
    uint64_t v = 0;
    size_t digits = 0;
    int64_t unit = NS / 10, frac = 0;

    for (; digits < r.n && is_digit(r.p[digits]) && digits < 20; digits++)
        v = v * 10 + (uint64_t)(r.p[digits] - '0');
    if (digits != 10 && digits != 13 && digits != 16 && digits != 19)
        return false;
    r = str_from(r, digits);
    if (digits == 10 && r.n >= 2 && r.p[0] == '.' && is_digit(r.p[1]))
        for (r = str_from(r, 1); r.n && is_digit(r.p[0]); r = str_from(r, 1), unit /= 10)
            frac += (r.p[0] - '0') * unit;
    if (r.n && is_word(r.p[0]))
        return false;
    for (; digits < 19; digits += 3)
        v *= 1000;
    if (v > INT64_MAX)
        return false;
    *ns = (int64_t)v + frac;
    *s = r;
    return true;
}

/* A file may be written while it is read: the clock is looked at again before a time is called ahead of it. */
static bool is_ahead(struct line_time *t, int64_t ns)
{
    if (ns > t->now_ns + AHEAD_S * NS)
        t->now_ns = MAX(t->now_ns, clock_wall_ns());
    return ns > t->now_ns + AHEAD_S * NS;
}

bool line_time_at(struct line_time *t, struct str s, int64_t *ns, size_t *n)
{
    struct str r = s;
    int64_t at;

    if (!s.n || !(is_digit(s.p[0]) ? iso(t, &r, &at) || nginx(t, &r, &at) || unix_time(&r, &at) : syslog(t, &r, &at)) || is_ahead(t, at))
        return false;
    *ns = at;
    *n = s.n - r.n;
    return true;
}

/* --- lines -------------------------------------------------------------------------------------------- */

/* Behind "name": or name= ; the value with or without quotes. */
static bool under(struct line_time *t, struct str line, const char *name, bool json, int64_t *ns)
{
    size_t len = strlen(name), n;

    for (size_t i = 0; i + len < line.n; i++) {
        const char *hit = memmem(line.p + i, line.n - i, name, len);
        struct str r;

        if (!hit)
            return false;
        i = (size_t)(hit - line.p);
        r = str_from(line, i + len);
        if (json ? i == 0 || hit[-1] != '"' || !take_char(&r, "\"") : i > 0 && is_word(hit[-1]))
            continue;
        while (json && take_char(&r, " \t"))
            ;
        if (!take_char(&r, json ? ":" : "="))
            continue;
        while (json && take_char(&r, " \t"))
            ;
        take_char(&r, "\"");
        if (line_time_at(t, r, ns, &n))
            return true;
    }
    return false;
}

bool line_time(struct line_time *t, struct str line, int64_t *ns)
{
    static const char *const json_names[] = {"time", "ts", "timestamp", "@timestamp", "t", "date", "datetime", "eventTime", "asctime", "_time"};
    static const char *const logfmt_names[] = {"ts", "time", "timestamp", "t"};
    bool json = line.n && line.p[0] == '{';
    size_t n;

    if (t->field && (under(t, line, t->field, json, ns) || under(t, line, t->field, !json, ns)))
        return true;
    for (size_t i = 0; json && i < ARRAY_LEN(json_names); i++)
        if (under(t, line, json_names[i], true, ns))
            return true;
    if (json)
        return false;
    for (size_t i = 0; i < MIN(line.n, (size_t)LOOK_BYTES); i++)
        if ((i == 0 || !is_word(line.p[i - 1])) && is_word(line.p[i]) && line_time_at(t, str_from(line, i), ns, &n)) {
            /* A bare number is a time at the start only: elsewhere it is more often something else. */
            if (i == 0 || n > 13 || !is_digit(line.p[i]) || memchr(line.p + i, ':', n))
                return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(logfmt_names); i++)
        if (under(t, line, logfmt_names[i], false, ns))
            return true;
    return false;
}
