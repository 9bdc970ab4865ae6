/* gotime_parse.c - times read by a layout, with Go's leniencies and words. */
#include "base/base.h"
#include "base/template/gotime.h"
#include "base/template/layout.h"

#include <stdio.h>

struct reading {
    struct str text; /* still to be read */
    int64_t year, month, day, yearday;
    int hour, minute, second;
    int32_t ns;
    bool pm, pm_set;
    bool has_offset, utc;
    int32_t offset;
    struct str zone_name;
    const char *out_of_range;
};

static bool digits(struct str *s, size_t least, size_t most, int64_t *out)
{
    size_t n = 0;

    for (*out = 0; n < most && n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        *out = *out * 10 + (s->p[n] - '0');
    if (n < least)
        return false;
    *s = str_from(*s, n);
    return true;
}

/* A name of a list, or its first three letters; *i counts from 0. */
static bool name_in(struct str *s, const char *const *names, int n, bool whole, int64_t *i)
{
    for (*i = 0; *i < n; ++*i) {
        size_t len = whole ? strlen(names[*i]) : 3;

        if (s->n >= len && str_eq_nocase(str_head(*s, len), str_n(names[*i], len))) {
            *s = str_from(*s, len);
            return true;
        }
    }
    return false;
}

static bool ranged(struct reading *r, int64_t v, int64_t lo, int64_t hi, const char *what)
{
    if ((v < lo || v > hi) && !r->out_of_range)
        r->out_of_range = what;
    return true;
}

static void fraction_digits(struct reading *r, size_t n)
{
    int64_t v = 0;

    for (size_t i = 0; i < 9; i++)
        v = v * 10 + (i < n ? r->text.p[i + 1] - '0' : 0);
    r->ns = (int32_t)v;
    r->text = str_from(r->text, n + 1);
}

static size_t count_fraction(struct str s)
{
    size_t n = 0;

    if (s.n < 2 || (s.p[0] != '.' && s.p[0] != ','))
        return 0;
    while (n + 1 < s.n && s.p[n + 1] >= '0' && s.p[n + 1] <= '9')
        n++;
    return n;
}

static bool read_offset(struct reading *r, struct str form)
{
    struct str s = r->text;
    int64_t h, m = 0, sec = 0;
    bool colon = str_chr(form, ':') >= 0, minus;

    if (form.p[0] == 'Z' && s.n && s.p[0] == 'Z') {
        r->text = str_from(s, 1);
        r->utc = true;
        return true;
    }
    if (s.n < form.n || (s.p[0] != '+' && s.p[0] != '-'))
        return false;
    minus = s.p[0] == '-';
    s = str_from(s, 1);
    if (!digits(&s, 2, 2, &h))
        return false;
    if (form.n > 3) {
        if (colon && (s.n == 0 || s.p[0] != ':'))
            return false;
        s = str_from(s, colon);
        if (!digits(&s, 2, 2, &m))
            return false;
    }
    if (form.n > 6) {
        if (colon && (s.n == 0 || s.p[0] != ':'))
            return false;
        s = str_from(s, colon);
        if (!digits(&s, 2, 2, &sec))
            return false;
    }
    r->text = s;
    r->has_offset = true;
    r->offset = (int32_t)(h * 3600 + m * 60 + sec) * (minus ? -1 : 1);
    ranged(r, h, 0, 24, "time zone offset hour");
    ranged(r, m, 0, 60, "time zone offset minute");
    return ranged(r, sec, 0, 60, "time zone offset second");
}

static bool read_zone_name(struct reading *r)
{
    size_t n = 0;

    if (str_starts(r->text, STR("UTC"))) {
        r->utc = true;
        r->text = str_from(r->text, 3);
        return true;
    }
    while (n < r->text.n && n < 6 && r->text.p[n] >= 'A' && r->text.p[n] <= 'Z')
        n++;
    if (n < 3 || n > 5)
        return false;
    r->zone_name = str_head(r->text, n);
    r->text = str_from(r->text, n);
    return true;
}

static bool read_second(struct reading *r, enum layout_part part, struct str rest)
{
    int64_t v;
    struct str before, text, ahead = rest;
    size_t n;

    if (!digits(&r->text, part == LAYOUT_ZERO_SECOND ? 2 : 1, 2, &v))
        return false;
    r->second = (int)v;
    ranged(r, v, 0, 59, "second");
    n = count_fraction(r->text);
    if (n) { /* a fraction that the layout does not name is read as well */
        enum layout_part next = layout_next(&ahead, &before, &text);

        if (before.n || (next != LAYOUT_FRACTION0 && next != LAYOUT_FRACTION9))
            fraction_digits(r, n);
    }
    return true;
}

static bool read_clock(struct reading *r, enum layout_part part, struct str rest)
{
    bool two = part == LAYOUT_ZERO_HOUR12 || part == LAYOUT_ZERO_MINUTE;
    int64_t v;

    if (part == LAYOUT_SECOND || part == LAYOUT_ZERO_SECOND)
        return read_second(r, part, rest);
    if (!digits(&r->text, two || part == LAYOUT_HOUR ? 2 : 1, 2, &v))
        return false;
    if (part == LAYOUT_HOUR || part == LAYOUT_HOUR12 || part == LAYOUT_ZERO_HOUR12) {
        r->hour = (int)v;
        return ranged(r, v, 0, part == LAYOUT_HOUR ? 23 : 12, "hour");
    }
    r->minute = (int)v;
    return ranged(r, v, 0, 59, "minute");
}

static bool read_date(struct reading *r, enum layout_part part)
{
    bool zero = part == LAYOUT_ZERO_MONTH || part == LAYOUT_ZERO_DAY;
    int64_t v;

    if ((part == LAYOUT_UNDER_DAY || part == LAYOUT_UNDER_YEARDAY) && r->text.n && r->text.p[0] == ' ')
        r->text = str_from(r->text, part == LAYOUT_UNDER_YEARDAY && r->text.n > 1 && r->text.p[1] == ' ' ? 2 : 1);
    switch (part) {
    case LAYOUT_LONG_MONTH:
    case LAYOUT_MONTH:
        if (!name_in(&r->text, layout_months, 12, part == LAYOUT_LONG_MONTH, &v))
            return false;
        r->month = v + 1;
        return true;
    case LAYOUT_LONG_WEEKDAY:
    case LAYOUT_WEEKDAY:
        return name_in(&r->text, layout_weekdays, 7, part == LAYOUT_LONG_WEEKDAY, &v);
    case LAYOUT_NUM_MONTH:
    case LAYOUT_ZERO_MONTH:
        if (!digits(&r->text, zero ? 2 : 1, 2, &r->month))
            return false;
        return ranged(r, r->month, 1, 12, "month");
    case LAYOUT_LONG_YEAR:
        return digits(&r->text, 4, 4, &r->year);
    case LAYOUT_YEAR:
        if (!digits(&r->text, 2, 2, &v))
            return false;
        r->year = v + (v >= 69 ? 1900 : 2000);
        return true;
    case LAYOUT_ZERO_YEARDAY:
    case LAYOUT_UNDER_YEARDAY:
        return digits(&r->text, part == LAYOUT_ZERO_YEARDAY ? 3 : 1, 3, &r->yearday);
    default:
        return digits(&r->text, zero ? 2 : 1, 2, &r->day);
    }
}

static bool read_part(struct reading *r, enum layout_part part, struct str form, struct str rest)
{
    size_t n;

    switch (part) {
    case LAYOUT_HOUR:
    case LAYOUT_HOUR12:
    case LAYOUT_ZERO_HOUR12:
    case LAYOUT_MINUTE:
    case LAYOUT_ZERO_MINUTE:
    case LAYOUT_SECOND:
    case LAYOUT_ZERO_SECOND:
        return read_clock(r, part, rest);
    case LAYOUT_UPPER_PM:
    case LAYOUT_PM:
        r->pm_set = true;
        r->pm = str_starts(r->text, part == LAYOUT_PM ? STR("pm") : STR("PM"));
        if (!r->pm && !str_starts(r->text, part == LAYOUT_PM ? STR("am") : STR("AM")))
            return false;
        r->text = str_from(r->text, 2);
        return true;
    case LAYOUT_ZONE:
        return read_offset(r, form);
    case LAYOUT_ZONE_NAME:
        return read_zone_name(r);
    case LAYOUT_FRACTION0:
        n = count_fraction(r->text);
        if (n < form.n - 1)
            return false;
        fraction_digits(r, form.n - 1);
        return true;
    case LAYOUT_FRACTION9:
        n = count_fraction(r->text);
        if (n)
            fraction_digits(r, n);
        return true;
    default:
        return read_date(r, part);
    }
}

static int days_in(int64_t year, int64_t month)
{
    return (int)((gotime_date(year, month + 1, 1) - gotime_date(year, month, 1)) / 86400);
}

/* The day and the hour make sense together. */
static bool settle(struct reading *r)
{
    if (r->pm_set && r->pm && r->hour < 12)
        r->hour += 12;
    else if (r->pm_set && !r->pm && r->hour == 12)
        r->hour = 0;
    if (r->yearday >= 0) {
        ranged(r, r->yearday, 1, (gotime_date(r->year + 1, 1, 1) - gotime_date(r->year, 1, 1)) / 86400, "day-of-year");
        if (r->day < 0 && r->month < 0) {
            r->month = 1;
            r->day = r->yearday;
            return !r->out_of_range;
        }
    }
    r->month = r->month < 0 ? 1 : r->month;
    r->day = r->day < 0 ? 1 : r->day;
    if (!r->out_of_range)
        ranged(r, r->day, 1, days_in(r->year, r->month), "day");
    return !r->out_of_range;
}

static void place(const struct reading *r, const struct zone *zone, struct gotime *out)
{
    int64_t local = gotime_date(r->year, r->month, r->day) + r->hour * 3600 + r->minute * 60 + r->second;
    const char *abbreviation;
    int32_t first, second;

    *out = (struct gotime){.sec = local, .ns = r->ns, .zone = zone};
    if (r->utc) {
        out->zone = NULL;
        return;
    }
    if (r->has_offset) {
        out->sec = local - r->offset;
        if (zone_at(out, &abbreviation) != r->offset) {
            out->zone = &zone_fixed;
            out->fixed = r->offset;
        }
        return;
    }
    first = zone_at(out, &abbreviation);
    out->sec = local - first;
    second = zone_at(out, &abbreviation);
    out->sec = local - second;
    if (r->zone_name.n && !str_eqz(r->zone_name, abbreviation)) {
        out->sec = local;
        out->zone = &zone_fixed;
    }
}

static int cannot(struct str layout, struct str text, struct str rest, struct str part, struct err *e)
{
    struct buf b = {0};

    buf_putz(&b, "parsing time ");
    buf_put_quoted(&b, str_head(text, 100));
    buf_putz(&b, " as ");
    buf_put_quoted(&b, str_head(layout, 100));
    buf_putz(&b, ": cannot parse ");
    buf_put_quoted(&b, str_head(rest, 100));
    buf_putz(&b, " as ");
    buf_put_quoted(&b, str_head(part, 100));
    err_set(e, ERR_INVALID, "%.*s", STR_ARG(buf_str(&b)));
    buf_release(&b);
    return ERR_INVALID;
}

static int complain(struct str text, const char *words, struct str shown, struct err *e)
{
    struct buf b = {0};

    buf_putz(&b, "parsing time ");
    buf_put_quoted(&b, str_head(text, 100));
    buf_putz(&b, words);
    if (shown.n)
        buf_put_quoted(&b, str_head(shown, 100));
    err_set(e, ERR_INVALID, "%.*s", STR_ARG(buf_str(&b)));
    buf_release(&b);
    return ERR_INVALID;
}

static int out_of_range(struct str text, const char *what, struct err *e)
{
    char words[64];

    snprintf(words, sizeof words, ": %s out of range", what);
    return complain(text, words, STR_NULL, e);
}

/* Text of the layout, in which any run of blanks stands for any other. */
static bool skip_text(struct str *text, struct str before)
{
    for (size_t i = 0; i < before.n; i++) {
        if (before.p[i] == ' ') {
            if (text->n && text->p[0] != ' ')
                return false;
            while (i + 1 < before.n && before.p[i + 1] == ' ')
                i++;
            while (text->n && text->p[0] == ' ')
                *text = str_from(*text, 1);
            continue;
        }
        if (text->n == 0 || text->p[0] != before.p[i])
            return false;
        *text = str_from(*text, 1);
    }
    return true;
}

int gotime_parse(struct str layout, struct str text, const struct zone *zone, struct gotime *out, struct err *e)
{
    struct reading r = {.text = text, .month = -1, .day = -1, .yearday = -1};
    struct str rest = layout, before, form, hold;
    enum layout_part part;

    *out = gotime_zero;
    do {
        part = layout_next(&rest, &before, &form);
        if (!skip_text(&r.text, before))
            return cannot(layout, text, r.text, before, e);
        if (part == LAYOUT_NONE)
            break;
        hold = r.text;
        if (!read_part(&r, part, form, rest))
            return cannot(layout, text, hold, form, e);
        if (r.out_of_range)
            return out_of_range(text, r.out_of_range, e);
    } while (true);
    if (r.text.n)
        return complain(text, ": extra text: ", r.text, e);
    if (!settle(&r))
        return out_of_range(text, r.out_of_range, e);
    place(&r, zone, out);
    return 0;
}
