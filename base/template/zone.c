/*
 * zone.c - time zones from the system's zoneinfo files (RFC 8536), read once each and kept.
 *
 * (1) A name holds only letters, digits, _ + - and single slashes, so it names nothing outside of the directory; what a file
 *     says is checked against its size.
 * (2) The list only grows; who holds a zone holds it forever.
 */
#include "base/template/gotime.h"

#include "base/base.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 64 << 10, NAME_MAX_ = 64, ZONES_MAX = 1024 };

struct kind {
    int32_t offset;
    bool dst;
    const char *abbreviation;
};

/* A rule of the footer: "CET-1CEST,M3.5.0,M10.5.0/3". */
struct rule {
    char form; /* M, J, or 0 for a plain day */
    int month, week, day;
    int32_t at;
};

struct zone {
    struct zone *next;
    char name[NAME_MAX_ + 1];
    uint32_t ntimes, nkinds;
    int64_t *times;
    uint8_t *kind_of; /* by time */
    struct kind *kinds;
    char *names;
    bool has_footer, has_dst;
    struct kind standard, summer;
    struct rule begin, end;
};

const struct zone zone_fixed = {.name = "fixed"};

static pthread_mutex_t zones_mu = PTHREAD_MUTEX_INITIALIZER;
static struct zone *zones; /* under zones_mu */
static unsigned nzones;

/* --- the footer ------------------------------------------------------------------------------------------ */

static bool read_abbreviation(const char **at, char *out)
{
    bool quoted = **at == '<';
    size_t n = 0;

    *at += quoted;
    while (**at && n < 10 && (quoted ? **at != '>' : (**at | 0x20) >= 'a' && (**at | 0x20) <= 'z'))
        out[n++] = *(*at)++;
    out[n] = 0;
    if (quoted && *(*at)++ != '>')
        return false;
    return n > 0;
}

static bool read_int(const char **at, int *out)
{
    const char *from = *at;

    for (*out = 0; **at >= '0' && **at <= '9' && *at - from < 4; ++*at)
        *out = *out * 10 + (**at - '0');
    return *at > from;
}

/* [+-]hh[:mm[:ss]] */
static bool read_clock(const char **at, int32_t *out)
{
    int part[3] = {0}, sign = 1;

    if (**at == '-' || **at == '+')
        sign = *(*at)++ == '-' ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        if (!read_int(at, &part[i]))
            return false;
        if (**at != ':' || i == 2)
            break;
        ++*at;
    }
    *out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool read_rule(const char **at, struct rule *r)
{
    if (*(*at)++ != ',')
        return false;
    r->at = 2 * 3600;
    r->form = **at;
    if (r->form == 'M') {
        ++*at;
        if (!read_int(at, &r->month) || *(*at)++ != '.' || !read_int(at, &r->week) || *(*at)++ != '.' || !read_int(at, &r->day))
            return false;
        if (r->month < 1 || r->month > 12 || r->week < 1 || r->week > 5 || r->day > 6)
            return false;
    } else {
        if (r->form == 'J')
            ++*at;
        else
            r->form = 0;
        if (!read_int(at, &r->day) || r->day > 366)
            return false;
    }
    if (**at != '/')
        return true;
    ++*at;
    return read_clock(at, &r->at);
}

static void read_footer(struct zone *z, const char *text)
{
    static const struct rule march = {'M', 3, 2, 0, 7200}, november = {'M', 11, 1, 0, 7200};
    char standard[12], summer[12];
    int32_t offset;

    if (!read_abbreviation(&text, standard) || !read_clock(&text, &offset))
        return;
    z->standard = (struct kind){-offset, false, x_strdup(str_of(standard))};
    if (*text) {
        if (!read_abbreviation(&text, summer))
            return;
        offset -= 3600;
        if (*text && *text != ',' && !read_clock(&text, &offset))
            return;
        z->summer = (struct kind){-offset, true, x_strdup(str_of(summer))};
        z->begin = march;
        z->end = november;
        if (*text && (!read_rule(&text, &z->begin) || !read_rule(&text, &z->end)))
            return;
        z->has_dst = true;
    }
    z->has_footer = true;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Seconds into the year, in local time, at which a rule strikes. */
static int64_t rule_second(const struct rule *r, int64_t year)
{
    int64_t days;

    if (r->form == 'M') {
        int64_t first = gotime_date(year, r->month, 1) / 86400;
        int weekday = (int)((first % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
        int64_t length = gotime_date(year, r->month + 1, 1) / 86400 - first;
        int64_t day = (r->day - weekday + 7) % 7 + (int64_t)(r->week - 1) * 7;

        if (day >= length)
            day -= 7;
        days = first + day - gotime_date(year, 1, 1) / 86400;
    } else {
        days = r->form == 'J' ? r->day - 1 + (is_leap(year) && r->day >= 60) : r->day;
    }
    return days * 86400 + r->at;
}

static const struct kind *footer_kind(const struct zone *z, int64_t sec)
{
    struct gotime t = {.sec = sec + z->standard.offset};
    struct gotime_civil c;
    int64_t from, to, start;

    if (!z->has_dst)
        return &z->standard;
    gotime_civil(&t, &c);
    start = gotime_date(c.year, 1, 1);
    from = start + rule_second(&z->begin, c.year) - z->standard.offset;
    to = start + rule_second(&z->end, c.year) - z->summer.offset;
    if (from < to)
        return sec >= from && sec < to ? &z->summer : &z->standard;
    return sec >= to && sec < from ? &z->standard : &z->summer;
}

/* --- files ----------------------------------------------------------------------------------------------- */

static int64_t be(const unsigned char *p, int n)
{
    uint64_t v = n == 4 && (p[0] & 0x80) ? UINT64_MAX : 0;

    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

struct header {
    uint64_t isut, isstd, leap, times, kinds, chars;
};

static bool read_header(const unsigned char *p, size_t n, struct header *h)
{
    if (n < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    h->isut = (uint64_t)be(p + 20, 4);
    h->isstd = (uint64_t)be(p + 24, 4);
    h->leap = (uint64_t)be(p + 28, 4);
    h->times = (uint64_t)be(p + 32, 4);
    h->kinds = (uint64_t)be(p + 36, 4);
    h->chars = (uint64_t)be(p + 40, 4);
    return h->isut <= 65536 && h->isstd <= 65536 && h->leap <= 65536 && h->times <= 65536 && h->kinds <= 256 && h->chars <= 65536;
}

static size_t body_bytes(const struct header *h, size_t time_bytes)
{
    return h->times * (time_bytes + 1) + h->kinds * 6 + h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut;
}

static bool read_body(struct zone *z, const unsigned char *p, const struct header *h)
{
    const unsigned char *kinds = p + h->times * 9, *chars = kinds + h->kinds * 6;

    z->times = x_alloc(h->times * sizeof *z->times + 1);
    z->kind_of = x_alloc(h->times + 1);
    z->names = x_strdup(str_n(chars, h->chars));
    z->ntimes = (uint32_t)h->times;
    z->nkinds = (uint32_t)h->kinds;
    z->kinds = x_zalloc((h->kinds + 1) * sizeof *z->kinds);
    for (uint32_t i = 0; i < z->nkinds; i++) {
        if (kinds[i * 6 + 5] >= h->chars)
            return false;
        z->kinds[i] = (struct kind){(int32_t)be(kinds + i * 6, 4), kinds[i * 6 + 4] != 0, z->names + kinds[i * 6 + 5]};
    }
    for (uint32_t i = 0; i < z->ntimes; i++) {
        z->times[i] = be(p + i * 8, 8);
        z->kind_of[i] = p[h->times * 8 + i];
        if (z->kind_of[i] >= z->nkinds || (i && z->times[i] <= z->times[i - 1]))
            return false;
    }
    return z->nkinds > 0;
}

/* Version 2 and later: behind the old body stands the same with 64 bits, and the footer. */
static bool read_file(struct zone *z, const unsigned char *p, size_t n)
{
    struct header h;
    size_t skip, body;

    if (!read_header(p, n, &h) || p[4] < '2')
        return false;
    skip = 44 + body_bytes(&h, 4);
    if (skip > n || !read_header(p + skip, n - skip, &h))
        return false;
    body = skip + 44;
    skip = body + body_bytes(&h, 8);
    if (skip > n || !read_body(z, p + body, &h))
        return false;
    if (skip + 2 <= n && p[skip] == '\n' && p[n - 1] == '\n') {
        char *footer = x_strdup(str_n(p + skip + 1, n - skip - 2));

        read_footer(z, footer);
        free(footer);
    }
    return true;
}

/* Of one that could not be read. */
static void zone_free(struct zone *z)
{
    free(z->names);
    free(z->times);
    free(z->kind_of);
    free(z->kinds);
    free(z);
}

static bool name_fine(struct str name)
{
    if (name.n == 0 || name.n > NAME_MAX_ || name.p[0] == '/' || name.p[name.n - 1] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '+' || c == '-' || c == '/'))
            return false;
        if (c == '/' && name.p[i + 1] == '/')
            return false;
    }
    return true;
}

static struct zone *load(struct str name)
{
    static const char *const folders[] = {"/usr/share/zoneinfo/", "/usr/share/lib/zoneinfo/", "/etc/zoneinfo/"};
    unsigned char *bytes = x_alloc(FILE_BYTES_MAX);
    struct zone *z = NULL;

    for (size_t i = 0; i < 3 && !z; i++) {
        char path[128];
        size_t len = strlen(folders[i]);
        ssize_t n;
        int fd;

        memcpy(path, folders[i], len);
        memcpy(path + len, name.p, name.n);
        path[len + name.n] = 0;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        n = read(fd, bytes, FILE_BYTES_MAX);
        close(fd);
        z = x_zalloc(sizeof *z);
        memcpy(z->name, name.p, name.n);
        if (n <= 0 || !read_file(z, bytes, (size_t)n)) {
            zone_free(z);
            z = NULL;
        }
    }
    free(bytes);
    return z;
}

int zone_find(struct str name, const struct zone **out, struct err *e)
{
    struct zone *z;

    *out = NULL;
    if (name.n == 0 || str_eqz(name, "UTC") || str_eqz(name, "Local"))
        return 0;
    if (name_fine(name)) {
        pthread_mutex_lock(&zones_mu);
        for (z = zones; z && !str_eqz(name, z->name); z = z->next)
            ;
        if (!z && nzones < ZONES_MAX && (z = load(name))) {
            z->next = zones;
            zones = z;
            nzones++;
        }
        pthread_mutex_unlock(&zones_mu);
        *out = z;
        if (z)
            return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "unknown time zone %.*s", (int)MIN(name.n, (size_t)100), name.p);
}

int32_t zone_at(const struct gotime *t, const char **abbreviation)
{
    const struct zone *z = t->zone;
    const struct kind *k;
    uint32_t lo = 0, hi = z ? z->ntimes : 0;

    if (!z || z == &zone_fixed) {
        *abbreviation = z ? "" : "UTC";
        return z ? t->fixed : 0;
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (z->times[mid] <= t->sec)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == z->ntimes && z->has_footer) {
        k = footer_kind(z, t->sec);
    } else if (lo) {
        k = &z->kinds[z->kind_of[lo - 1]];
    } else {
        k = &z->kinds[0];
        for (uint32_t i = 0; i < z->nkinds && k->dst; i++)
            k = &z->kinds[i];
    }
    *abbreviation = k->abbreviation;
    return k->offset;
}
