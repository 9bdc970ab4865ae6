/* log.c - see log.h. A line is built on the stack and written with one write(2), so lines never mix. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, MSG_MAX_BYTES = 1536 };

static _Atomic int level_min = LOG_INFO;
static _Atomic int line_format = LOG_LOGFMT;
static _Atomic uint64_t counts[4];
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level min, enum log_format format)
{
    level_min = min;
    line_format = format;
}

bool log_level_parse(struct str s, enum log_level *out)
{
    for (int i = 0; i < 4; i++)
        if (str_eq_nocase(s, str_of(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

uint64_t log_count(enum log_level level)
{
    return counts[level];
}

/* Quotes msg as a JSON string, which logfmt readers take too. Returns the length, cut to fit. */
static size_t put_quoted(char *out, size_t cap, const char *msg)
{
    size_t n = 0;

    out[n++] = '"';
    for (const unsigned char *p = (const unsigned char *)msg; *p && n + 8 < cap; p++) {
        if (*p == '"' || *p == '\\') {
            out[n++] = '\\';
            out[n++] = (char)*p;
        } else if (*p < 0x20) {
            n += (size_t)snprintf(out + n, cap - n, *p == '\n' ? "\\n" : "\\u%04x", *p);
        } else {
            out[n++] = (char)*p;
        }
    }
    out[n++] = '"';
    return n;
}

void log_line(enum log_level level, const char *subject, const char *fmt, ...)
{
    char msg[MSG_MAX_BYTES], line[LINE_MAX_BYTES], stamp[32];
    int64_t ns = clock_wall_ns();
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    va_list ap;
    size_t n;

    counts[level]++;
    if ((int)level < level_min)
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
    n = (size_t)snprintf(line, sizeof line,
                         line_format == LOG_JSON ? "{\"ts\":\"%s.%03dZ\",\"level\":\"%s\",\"subject\":\"%s\",\"msg\":"
                                                 : "ts=%s.%03dZ level=%s subject=%s msg=",
                         stamp, (int)(ns / 1000000 % 1000), level_names[level], subject);
    n += put_quoted(line + n, sizeof line - n - 2, msg);
    if (line_format == LOG_JSON)
        line[n++] = '}';
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        counts[LOG_ERROR]++; /* nowhere left to say it */
}
