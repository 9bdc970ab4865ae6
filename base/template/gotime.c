/* gotime.c - the calendar, and times written by a layout. See gotime.h. */
#include "base/template/gotime.h"

#include "base/base.h"
#include "base/template/layout.h"

const struct gotime gotime_zero = {.sec = -62135596800};

/* --- the calendar (proleptic Gregorian, by eras of 400 years) -------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t gotime_date(int64_t year, int64_t month, int64_t day)
{
    int64_t era, yoe, doy, doe;

    year += floor_div(month - 1, 12);
    month = (month - 1) - floor_div(month - 1, 12) * 12 + 1;
    year -= month <= 2;
    era = floor_div(year, 400);
    yoe = year - era * 400;
    doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return (era * 146097 + doe - 719468 + day - 1) * 86400;
}

void gotime_civil(const struct gotime *t, struct gotime_civil *c)
{
    int64_t sec, days, era, doe, yoe, doy, mp;
    int32_t rest;

    c->offset = zone_at(t, &c->abbreviation);
    sec = t->sec + c->offset;
    days = floor_div(sec, 86400);
    rest = (int32_t)(sec - days * 86400);
    c->hour = rest / 3600;
    c->minute = rest / 60 % 60;
    c->second = rest % 60;
    c->weekday = (int)((days % 7 + 11) % 7);
    days += 719468;
    era = floor_div(days, 146097);
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c->year = yoe + era * 400 + (c->month <= 2);
    c->yearday = (int)((days - 719468) - gotime_date(c->year, 1, 1) / 86400) + 1;
}

/* --- writing --------------------------------------------------------------------------------------------- */

static void put_number(struct buf *out, int64_t v, int width)
{
    buf_printf(out, "%s%0*lld", v < 0 ? "-" : "", width, (long long)(v < 0 ? -v : v));
}

/* "Z07:00", "-0700", ... */
static void put_zone(struct buf *out, struct str form, int32_t offset)
{
    int32_t o = offset < 0 ? -offset : offset;
    bool colon = str_chr(form, ':') >= 0;

    if (form.p[0] == 'Z' && offset == 0) {
        buf_putc(out, 'Z');
        return;
    }
    buf_printf(out, "%c%02d", offset < 0 ? '-' : '+', o / 3600);
    if (form.n > 3)
        buf_printf(out, "%s%02d", colon ? ":" : "", o / 60 % 60);
    if (form.n > 6)
        buf_printf(out, "%s%02d", colon ? ":" : "", o % 60);
}

static void put_fraction(struct buf *out, struct str form, int32_t ns, bool trim)
{
    char digits[10];
    size_t n = MIN(form.n - 1, (size_t)9);

    for (int i = 8; i >= 0; i--, ns /= 10)
        digits[i] = (char)('0' + ns % 10);
    while (trim && n && digits[n - 1] == '0')
        n--;
    if (n || !trim) {
        buf_putc(out, form.p[0]);
        buf_put(out, digits, n);
    }
}

static void put_zone_name(struct buf *out, const struct gotime_civil *c)
{
    if (c->abbreviation[0]) {
        buf_putz(out, c->abbreviation);
        return;
    }
    put_zone(out, c->offset % 3600 ? STR("-0700") : STR("-07"), c->offset);
}

static void put_part(struct buf *out, enum layout_part part, struct str text, const struct gotime *t, const struct gotime_civil *c)
{
    int hour12 = c->hour % 12 ? c->hour % 12 : 12;

    switch (part) {
    case LAYOUT_LONG_MONTH:
        buf_putz(out, layout_months[c->month - 1]);
        return;
    case LAYOUT_MONTH:
        buf_put(out, layout_months[c->month - 1], 3);
        return;
    case LAYOUT_NUM_MONTH:
    case LAYOUT_ZERO_MONTH:
        put_number(out, c->month, part == LAYOUT_ZERO_MONTH ? 2 : 1);
        return;
    case LAYOUT_LONG_WEEKDAY:
        buf_putz(out, layout_weekdays[c->weekday]);
        return;
    case LAYOUT_WEEKDAY:
        buf_put(out, layout_weekdays[c->weekday], 3);
        return;
    case LAYOUT_UNDER_DAY:
        buf_printf(out, "%2d", c->day);
        return;
    case LAYOUT_DAY:
    case LAYOUT_ZERO_DAY:
        put_number(out, c->day, part == LAYOUT_ZERO_DAY ? 2 : 1);
        return;
    case LAYOUT_UNDER_YEARDAY:
        buf_printf(out, "%3d", c->yearday);
        return;
    case LAYOUT_ZERO_YEARDAY:
        put_number(out, c->yearday, 3);
        return;
    case LAYOUT_HOUR:
        put_number(out, c->hour, 2);
        return;
    case LAYOUT_HOUR12:
    case LAYOUT_ZERO_HOUR12:
        put_number(out, hour12, part == LAYOUT_ZERO_HOUR12 ? 2 : 1);
        return;
    case LAYOUT_MINUTE:
    case LAYOUT_ZERO_MINUTE:
        put_number(out, c->minute, part == LAYOUT_ZERO_MINUTE ? 2 : 1);
        return;
    case LAYOUT_SECOND:
    case LAYOUT_ZERO_SECOND:
        put_number(out, c->second, part == LAYOUT_ZERO_SECOND ? 2 : 1);
        return;
    case LAYOUT_LONG_YEAR:
        put_number(out, c->year, 4);
        return;
    case LAYOUT_YEAR:
        put_number(out, c->year < 0 ? 0 : c->year % 100, 2);
        return;
    case LAYOUT_UPPER_PM:
        buf_putz(out, c->hour >= 12 ? "PM" : "AM");
        return;
    case LAYOUT_PM:
        buf_putz(out, c->hour >= 12 ? "pm" : "am");
        return;
    case LAYOUT_ZONE_NAME:
        put_zone_name(out, c);
        return;
    case LAYOUT_ZONE:
        put_zone(out, text, c->offset);
        return;
    case LAYOUT_FRACTION0:
    case LAYOUT_FRACTION9:
        put_fraction(out, text, t->ns, part == LAYOUT_FRACTION9);
        return;
    case LAYOUT_NONE:
        return;
    }
}

void gotime_format(const struct gotime *t, struct str layout, struct buf *out)
{
    struct gotime_civil c;
    struct str before, text;
    enum layout_part part;

    gotime_civil(t, &c);
    do {
        part = layout_next(&layout, &before, &text);
        buf_puts(out, before);
        put_part(out, part, text, t, &c);
    } while (part != LAYOUT_NONE);
}

/* --- durations ------------------------------------------------------------------------------------------- */

/* v in units of 10^places, without trailing zeros. */
static void put_decimal(struct buf *out, uint64_t v, unsigned places)
{
    char digits[20];
    uint64_t unit = 1;
    unsigned n = places;

    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    buf_printf(out, "%llu", (unsigned long long)(v / unit));
    v %= unit;
    for (unsigned i = places; i-- > 0; v /= 10)
        digits[i] = (char)('0' + v % 10);
    while (n && digits[n - 1] == '0')
        n--;
    if (n) {
        buf_putc(out, '.');
        buf_put(out, digits, n);
    }
}

void goduration_print(int64_t ns, struct buf *out)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, s;

    if (ns < 0)
        buf_putc(out, '-');
    if (u < 1000000000) {
        if (u == 0)
            buf_putz(out, "0s");
        else if (u < 1000)
            buf_printf(out, "%lluns", (unsigned long long)u);
        else
            put_decimal(out, u, u < 1000000 ? 3 : 6), buf_putz(out, u < 1000000 ? "µs" : "ms");
        return;
    }
    s = u / 1000000000;
    if (s >= 3600)
        buf_printf(out, "%lluh", (unsigned long long)(s / 3600));
    if (s >= 60)
        buf_printf(out, "%llum", (unsigned long long)(s / 60 % 60));
    put_decimal(out, u % 60000000000, 9);
    buf_putc(out, 's');
}
