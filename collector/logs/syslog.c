/*
 * syslog.c - one syslog message: RFC 5424, RFC 3164 and what is called so.
 *
 * (1) Nothing is refused here: a message that is neither is text, with what its beginning did tell.
 */
#include "collector/logs/logs.h"
#include "collector/logs/when.h"

#include <time.h>

enum { PRI_MAX = 191, TAG_MAX = 128 };

const char *syslog_facility_name(unsigned facility)
{
    static const char *const names[] = {"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
                                        "ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4",
                                        "local5", "local6", "local7"};

    return facility < ARRAY_LEN(names) ? names[facility] : "";
}

const char *syslog_severity_name(unsigned severity)
{
    static const char *const names[] = {"emerg", "alert", "critical", "error", "warning", "notice", "info", "debug"};

    return severity < ARRAY_LEN(names) ? names[severity] : "";
}

static bool take_pri(struct str *s, struct syslog_message *m)
{
    unsigned v = 0;
    size_t i = 1;

    if (s->n < 3 || s->p[0] != '<')
        return false;
    for (; i < s->n && i < 4 && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        v = v * 10 + (unsigned)(s->p[i] - '0');
    if (i == 1 || i >= s->n || s->p[i] != '>' || v > PRI_MAX)
        return false;
    m->has_pri = true;
    m->facility = v / 8;
    m->severity = v % 8;
    *s = str_from(*s, i + 1);
    return true;
}

/* Up to the next blank, which goes too. */
static bool take_word(struct str *s, struct str *word)
{
    ptrdiff_t at = str_chr(*s, ' ');

    if (at == 0 || s->n == 0)
        return false;
    *word = str_head(*s, at < 0 ? s->n : (size_t)at);
    *s = str_from(*s, at < 0 ? s->n : (size_t)at + 1);
    return true;
}

static struct str unless_nil(struct str s)
{
    return str_eqz(s, "-") ? STR("") : s;
}

/* --- RFC 5424 ------------------------------------------------------------------------------------------ */

/* A value behind its quote, up to the closing one. */
static bool take_value(struct arena *a, struct str *s, struct str *out)
{
    bool escaped = false;
    size_t i = 0, n = 0;
    char *to;

    for (; i < s->n && s->p[i] != '"'; i++)
        if (s->p[i] == '\\' && i + 1 < s->n) {
            escaped = true;
            i++;
        }
    if (i >= s->n)
        return false;
    *out = str_head(*s, i);
    *s = str_from(*s, i + 1);
    if (!escaped)
        return true;
    to = arena_alloc(a, out->n);
    for (i = 0; i < out->n; i++) {
        if (out->p[i] == '\\' && i + 1 < out->n && strchr("\"\\]", out->p[i + 1]) && out->p[i + 1])
            i++;
        to[n++] = out->p[i];
    }
    *out = str_n(to, n);
    return true;
}

/* [id k="v" k="v"] */
static bool take_element(struct arena *a, struct str *s, struct syslog_message *m)
{
    struct str id, name, value;
    size_t i = 1;

    while (i < s->n && s->p[i] != ' ' && s->p[i] != ']')
        i++;
    id = str_n(s->p + 1, i - 1);
    *s = str_from(*s, i);
    while (s->n && s->p[0] == ' ') {
        ptrdiff_t at = str_chr(*s, '=');

        if (at < 2 || (size_t)at + 1 >= s->n || s->p[at + 1] != '"')
            return false;
        name = str_n(s->p + 1, (size_t)at - 1);
        *s = str_from(*s, (size_t)at + 2);
        if (!take_value(a, s, &value))
            return false;
        if (m->nparams < SYSLOG_PARAMS_MAX)
            m->params[m->nparams++] = (struct syslog_param){id, name, value};
    }
    if (id.n == 0 || s->n == 0 || s->p[0] != ']')
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_structured(struct arena *a, struct str *s, struct syslog_message *m)
{
    if (s->n && s->p[0] == '-') {
        *s = str_from(*s, 1);
    } else {
        if (s->n == 0 || s->p[0] != '[')
            return false;
        while (s->n && s->p[0] == '[')
            if (!take_element(a, s, m))
                return false;
    }
    if (s->n && s->p[0] != ' ')
        return false;
    *s = str_from(*s, 1);
    return true;
}

/* Behind "<PRI>1 ". */
static bool take_5424(struct arena *a, struct str s, struct syslog_message *m)
{
    struct str time, host, app, procid, msgid;

    if (!take_word(&s, &time) || !take_word(&s, &host) || !take_word(&s, &app) || !take_word(&s, &procid) || !take_word(&s, &msgid))
        return false;
    if (!str_eqz(time, "-")) {
        if (!when_rfc3339(time, &m->t_ns))
            return false;
        m->has_time = true;
    }
    if (!take_structured(a, &s, m))
        return false;
    m->rfc5424 = true;
    m->host = unless_nil(host);
    m->app = unless_nil(app);
    m->procid = unless_nil(procid);
    m->msgid = unless_nil(msgid);
    m->text = str_starts(s, STR("\xef\xbb\xbf")) ? str_from(s, 3) : s;
    return true;
}

/* --- RFC 3164 -------------------------------------------------------------------------------------------- */

static int two_digits(const char *p)
{
    int tens = p[0] == ' ' ? 0 : p[0] - '0', ones = p[1] - '0';

    return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones;
}

static int month_of(const char *p)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (memcmp(months + i * 3, p, 3) == 0)
            return i;
    return -1;
}

/* Seconds of a local time of the year of now, or of the year before where that would be too far ahead. */
static int64_t local_seconds(int mon, int day, int hour, int min, int64_t now_s, int64_t ahead_s)
{
    time_t now = (time_t)now_s;
    struct tm tm;
    int64_t t;

    localtime_r(&now, &tm);
    for (int back = 0;; back++) {
        struct tm at = {.tm_year = tm.tm_year - back, .tm_mon = mon, .tm_mday = day, .tm_hour = hour, .tm_min = min, .tm_isdst = -1};

        t = (int64_t)mktime(&at);
        if (back == 1 || t <= now_s + ahead_s)
            return t;
    }
}

/* "Nov 22 13:00:07 ". Calendars are slow: a minute is asked for once. */
static bool take_old_time(struct str *s, int64_t now_ns, int64_t ahead_ns, int64_t *t_ns)
{
    static _Thread_local struct {
        char text[12];
        int64_t hour, s;
    } last;
    const char *p = s->p;
    int mon, day, hour, min, sec;

    if (s->n < 15 || p[3] != ' ' || p[6] != ' ' || p[9] != ':' || p[12] != ':' || (mon = month_of(p)) < 0)
        return false;
    day = two_digits(p + 4);
    hour = two_digits(p + 7);
    min = two_digits(p + 10);
    sec = two_digits(p + 13);
    if (day < 1 || day > 31 || hour < 0 || hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 60)
        return false;
    if (memcmp(last.text, p, sizeof last.text) != 0 || last.hour != now_ns / 3600000000000 + 1) {
        last.s = local_seconds(mon, day, hour, min, now_ns / 1000000000, ahead_ns / 1000000000);
        memcpy(last.text, p, sizeof last.text);
        last.hour = now_ns / 3600000000000 + 1;
    }
    *t_ns = (last.s + sec) * 1000000000;
    *s = str_from(*s, 15);
    if (s->n && s->p[0] == ' ')
        *s = str_from(*s, 1);
    return true;
}

/* "tag[pid]: " or "tag: ". */
static bool take_tag(struct str *s, struct syslog_message *m)
{
    struct str tag, rest, pid = STR("");
    size_t i = 0;
    ptrdiff_t end;

    while (i < s->n && i <= TAG_MAX && s->p[i] != ':' && s->p[i] != '[' && (unsigned char)s->p[i] > ' ')
        i++;
    if (i == 0 || i > TAG_MAX || i == s->n)
        return false;
    tag = str_head(*s, i);
    rest = str_from(*s, i);
    if (rest.p[0] == '[') {
        end = str_chr(rest, ']');
        if (end < 0 || end > TAG_MAX)
            return false;
        pid = str_n(rest.p + 1, (size_t)end - 1);
        rest = str_from(rest, (size_t)end + 1);
        if (rest.n && rest.p[0] == ':')
            rest = str_from(rest, 1);
    } else if (rest.p[0] == ':') {
        rest = str_from(rest, 1);
        if (rest.n && rest.p[0] != ' ')
            return false; /* a time, a URL */
    } else {
        return false;
    }
    m->app = tag;
    m->procid = pid;
    *s = rest.n && rest.p[0] == ' ' ? str_from(rest, 1) : rest;
    return true;
}

static void take_3164(struct str s, int64_t now_ns, int64_t ahead_ns, struct syslog_message *m)
{
    struct str word, after = s, host;

    m->has_time = take_old_time(&s, now_ns, ahead_ns, &m->t_ns);
    if (!m->has_time && take_word(&after, &word) && when_rfc3339(word, &m->t_ns)) {
        m->has_time = true;
        s = after;
    }
    if (!take_tag(&s, m) && m->has_time) {
        after = s;
        if (take_word(&after, &host)) {
            m->host = host;
            s = after;
            (void)take_tag(&s, m); /* without one it is all text */
        }
    }
    m->text = s;
}

void syslog_parse(struct arena *a, struct str raw, int64_t now_ns, int64_t future_ns_max, struct syslog_message *out)
{
    struct str s;

    while (raw.n && (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r' || raw.p[raw.n - 1] == '\0'))
        raw.n--;
    s = raw;
    out->has_pri = out->has_time = out->rfc5424 = false;
    out->facility = 1;
    out->severity = 5;
    out->t_ns = 0;
    out->nparams = 0;
    out->host = out->app = out->procid = out->msgid = STR("");
    out->text = raw;
    if (!take_pri(&s, out))
        return;
    if (str_starts(s, STR("1 ")) && take_5424(a, str_from(s, 2), out))
        return;
    out->has_time = false;
    out->nparams = 0;
    take_3164(s, now_ns, future_ns_max, out);
}
