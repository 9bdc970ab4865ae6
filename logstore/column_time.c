/*
 * column_time.c - times as they stand in text. All values of a column have one form:
 *
 *   DAY_DASH   2026-11-22T20:33:41.123Z     DAY_SLASH  2026/11/22 20:33:41
 *   DAY_NAME   22/Nov/2026:20:33:41 +0000   CLOCK      20:33:41,123
 *
 * Fraction and what follows may be missing. Stored as integers of the last decimal place, since 1970 or midnight; as their
 * distance to the row's own time where that is shorter.
 *
 *   byte form | to_row << 3, varint decimals, run: the first value, ints
 *
 * (1) Only texts that are written again to the byte are taken: real dates, no leap seconds, years 1970..2199.
 */
#include "logstore/column_kinds.h"
#include "logstore/filter.h"

#include <assert.h>

enum form { DAY_DASH, DAY_SLASH, DAY_NAME, CLOCK, FORMS };
enum { TEXT_MAX = 64, YEAR_MIN = 1970, YEAR_MAX = 2199, DAY_S = 86400, DAYS_MAX = 84006 };

static const uint8_t clock_at[FORMS] = {11, 11, 12, 0};
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const uint32_t powers[10] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Two digits; -1: they are none. */
static inline int two(const char *p)
{
    return is_digit(p[0]) && is_digit(p[1]) ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

static int32_t days_of(int y, int m, int d)
{
    y -= m <= 2;
    int era = y / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_of(int32_t days, int *y, int *m, int *d)
{
    int z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;

    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp + (mp < 10 ? 3 : -9);
    *y = yoe + era * 400 + (*m <= 2);
}

/* The day before the clock; -1: there is none. */
static int32_t read_day(const char *p, enum form form)
{
    int y, m, d, y2, m2, d2;

    if (form == DAY_NAME) {
        d = two(p);
        for (m = 1; m <= 12 && memcmp(p + 3, month_names + (m - 1) * 3, 3) != 0; m++)
            ;
        y = two(p + 7) < 0 || two(p + 9) < 0 ? -1 : two(p + 7) * 100 + two(p + 9);
        if (p[2] != '/' || p[6] != '/' || p[11] != ':')
            return -1;
    } else {
        char sep = form == DAY_DASH ? '-' : '/';

        y = two(p) < 0 || two(p + 2) < 0 ? -1 : two(p) * 100 + two(p + 2);
        m = two(p + 5);
        d = two(p + 8);
        if (p[4] != sep || p[7] != sep || (p[10] != 'T' && p[10] != ' '))
            return -1;
    }
    if (y < YEAR_MIN || y > YEAR_MAX || m < 1 || m > 12 || d < 1)
        return -1;
    int32_t days = days_of(y, m, d);
    civil_of(days, &y2, &m2, &d2);
    return d2 == d && m2 == m ? days : -1;
}

static int32_t read_clock(const char *p)
{
    int h = two(p), m = two(p + 3), s = two(p + 6);

    if (p[2] != ':' || p[5] != ':' || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59)
        return -1;
    return h * 3600 + m * 60 + s;
}

/* What may follow: tokens with it must stay ones that filters do not index (filter.h). */
static bool tail_ok(struct str s)
{
    if (s.n && s.p[0] == 'Z')
        s = str_from(s, 1);
    else if (s.n >= 3 && s.p[0] == '-' && two(s.p + 1) >= 0)
        s = str_from(s, s.n >= 5 && two(s.p + 3) >= 0 ? 5 : 3);
    return s.n == 0 || !token_byte((unsigned char)s.p[0]);
}

struct time_reader {
    enum form form;
    struct str first; /* all others are like it */
    unsigned decimals;
    size_t tail_at;
    int32_t day;
    char day_text[12];
    bool have_day;
};

static bool find_form(struct str s, struct time_reader *r)
{
    if (s.n < 8 || s.n > TEXT_MAX || !is_digit(s.p[0]))
        return false;
    if (s.p[2] == ':')
        r->form = CLOCK;
    else if (s.n < 19)
        return false;
    else
        r->form = s.p[2] == '/' ? DAY_NAME : s.p[4] == '/' ? DAY_SLASH : DAY_DASH;
    size_t at = clock_at[r->form] + 8u, k = 0;
    if (s.n < at)
        return false;
    if (s.n > at + 1 && (s.p[at] == '.' || s.p[at] == ',') && is_digit(s.p[at + 1])) {
        while (at + 1 + k < s.n && is_digit(s.p[at + 1 + k]))
            k++;
        if (k > 9 || (k > 7 && s.p[at] == ','))
            return false;
        at += 1 + k;
    }
    r->decimals = (unsigned)k;
    r->tail_at = at;
    r->first = s;
    return tail_ok(str_from(s, at));
}

static bool read_time(struct time_reader *r, struct str s, int64_t *out)
{
    size_t at = clock_at[r->form];
    int32_t clock;

    if (s.n != r->first.n ||
        (s.n > r->tail_at + 1 ? memcmp(s.p + r->tail_at, r->first.p + r->tail_at, s.n - r->tail_at) != 0
                              : s.n > r->tail_at && s.p[r->tail_at] != r->first.p[r->tail_at]) ||
        (r->form == DAY_NAME && s.p[11] != ':') || (clock = read_clock(s.p + at)) < 0)
        return false;
    if (at && (!r->have_day || memcmp(s.p, r->day_text, 8) != 0 || memcmp(s.p + 7, r->day_text + 7, 4) != 0)) {
        if ((r->day = read_day(s.p, r->form)) < 0 || (r->form != DAY_NAME && s.p[10] != r->first.p[10]))
            return false;
        memcpy(r->day_text, s.p, 11);
        r->have_day = true;
    }
    int64_t v = (int64_t)r->day * DAY_S + clock;
    if (r->decimals) {
        if (s.p[at + 8] != r->first.p[at + 8])
            return false;
        for (unsigned k = 0; k < r->decimals; k++) {
            if (!is_digit(s.p[at + 9 + k]))
                return false;
            v = v * 10 + (s.p[at + 9 + k] - '0');
        }
    }
    *out = v;
    return true;
}

/* The row's time in the column's unit. */
static inline int64_t row_time(int64_t t_ns, enum form form, unsigned decimals)
{
    int64_t v = t_ns / powers[9 - decimals];

    return form == CLOCK ? v % ((int64_t)DAY_S * powers[decimals]) : v;
}

bool times_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref)
{
    struct time_reader r = {0};
    int64_t *x, *near = NULL;

    if (!find_form(v[0], &r))
        return false;
    x = slab_array(o->slab, int64_t, n);
    for (uint32_t i = 0; i < n; i++)
        if (!read_time(&r, v[i], &x[i]))
            return false;
    if (ref) {
        near = slab_array(o->slab, int64_t, n);
        for (uint32_t i = 0; i < n; i++)
            near[i] = (int64_t)((uint64_t)x[i] - (uint64_t)row_time(ref[i], r.form, r.decimals));
        if (ints_cost(near, n) >= ints_cost(x, n))
            near = NULL;
    }
    out_byte(o, TEXT_TIMES);
    out_byte(o, (uint8_t)(r.form | (near != NULL) << 3));
    out_num(o, r.decimals);
    out_bytes(o, POOL_TEXT, v[0].p, v[0].n);
    ints_write(o, near ? near : x, n);
    filter_text(o->filter, v[0]); /* the tail; nothing else of it is indexed */
    return true;
}

int times_parse(struct column_in *in, struct text *t)
{
    uint8_t head;

    if (in_byte(in, &head) < 0 || (head & 7) >= FORMS || head >> 4 || in_num32(in, 9, &t->width) < 0 ||
        in_run(in, POOL_TEXT, &t->literal) < 0 || t->literal.n > TEXT_MAX)
        return ERR_CORRUPT;
    t->form = head & 7;
    t->to_row = t->needs_ref = head >> 3;
    size_t need = clock_at[t->form] + 8u + (t->width ? t->width + 1 : 0);
    return t->literal.n < need ? ERR_CORRUPT : ints_parse(in, t->n, &t->ints);
}

static inline void put_two(char *p, unsigned v)
{
    p[0] = (char)('0' + v / 10);
    p[1] = (char)('0' + v % 10);
}

static void put_day(char *p, enum form form, int32_t days)
{
    int y, m, d;

    civil_of(days, &y, &m, &d);
    if (form == DAY_NAME) {
        put_two(p, (unsigned)d);
        memcpy(p + 3, month_names + (m - 1) * 3, 3);
        p += 7;
    } else {
        put_two(p + 5, (unsigned)m);
        put_two(p + 8, (unsigned)d);
    }
    put_two(p, (unsigned)y / 100);
    put_two(p + 2, (unsigned)y % 100);
}

/* Writes the values wanted, t->literal.n bytes each. form is changed: it holds the day written last. */
static int put_times(const struct text *t, const uint64_t *want, char *form)
{
    size_t at = clock_at[t->form], len = t->literal.n;
    uint64_t unit = powers[t->width], max = (t->form == CLOCK ? 1 : (uint64_t)DAYS_MAX) * DAY_S * unit;
    int32_t day = -1;

    for (uint32_t w = 0; w * 64 < t->n; w++)
        for (uint64_t left = wanted_bits(want, t->n, w); left; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            uint64_t x = (uint64_t)t->v[i] + (t->ref ? (uint64_t)row_time(t->ref[i], t->form, t->width) : 0);
            char *out = (char *)t->base + i * len;

            if (x >= max)
                return ERR_CORRUPT;
            uint64_t s = x / unit;
            uint32_t frac = (uint32_t)(x - s * unit), clock = (uint32_t)(s % DAY_S);
            if (at && (int32_t)(s / DAY_S) != day) {
                day = (int32_t)(s / DAY_S);
                put_day(form, t->form, day);
            }
            memcpy(out, form, len);
            put_two(out + at, clock / 3600);
            put_two(out + at + 3, clock / 60 % 60);
            put_two(out + at + 6, clock % 60);
            for (unsigned k = t->width; k > 0; k--, frac /= 10)
                out[at + 8 + k] = (char)('0' + frac % 10);
        }
    return 0;
}

static int open_times(struct column_in *in, struct text *t, const int64_t *ref)
{
    int64_t *v = in_alloc(in, (t->n + (size_t)1) * sizeof *v);
    char *out = in_alloc(in, t->n * (size_t)t->literal.n);
    uint64_t *cells = cells_even(in, t->n, t->literal.n);

    if ((t->to_row && !ref) || !v || !out || !cells || ints_read(in, &t->ints, v) < 0)
        return ERR_CORRUPT;
    t->v = v;
    t->ref = t->to_row ? ref : NULL;
    t->base = out;
    t->base_n = t->n * (size_t)t->literal.n;
    t->cells = cells;
    return 0;
}

int log_times_read(struct column_in *in, struct text *t, const int64_t *ref, const uint64_t *want)
{
    char form[TEXT_MAX];

    if ((!t->v && open_times(in, t, ref) < 0) || run_bytes(in, &t->literal, &t->bytes) < 0)
        return ERR_CORRUPT;
    memcpy(form, t->bytes, t->literal.n);
    return put_times(t, want, form);
}
