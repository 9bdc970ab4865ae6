/* random_lines.h - lines of every sort for the tests of the block codec, from a seed. */
#ifndef TESTS_LOGSTORE_RANDOM_LINES_H
#define TESTS_LOGSTORE_RANDOM_LINES_H

#include "base/base.h"

static uint64_t rng_state;

static inline uint64_t rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1du >> 8;
}

static inline uint64_t below(uint64_t n)
{
    return rnd() % n;
}

static const char *const some_words[] = {
    "error",   "warn", "info",  "timeout", "connection",  "Refused",  "user",  "alice",     "GET",
    "/api/v1", "a",    "cache", "miss",    "NullPointer", "x-y.z",    "ok",    "Größe",     "日本",
    "-",       "..",   "true",  "null",    "foo_bar",     "worker-7", "e2e.8", "v1.2.3-rc4"};

static void put_word(struct buf *b)
{
    buf_putz(b, some_words[below(ARRAY_LEN(some_words))]);
}

static void put_number_text(struct buf *b)
{
    switch (below(9)) {
    case 0:
        buf_printf(b, "%d", (int)below(1000) - 200);
        break;
    case 1:
        buf_printf(b, "%llu", (unsigned long long)rnd() * (below(2) ? 1 : 4096));
        break;
    case 2:
        buf_printf(b, "%d.%02d", (int)below(100), (int)below(100));
        break;
    case 3:
        buf_printf(b, "%05d", (int)below(99999));
        break;
    case 4:
        buf_printf(b, "%de%d", (int)below(9), (int)below(30) - 10);
        break;
    case 5:
        buf_printf(b, "-0");
        break;
    case 6:
        buf_printf(b, "0.%d", (int)below(1000));
        break;
    case 7:
        buf_printf(b, "1.50");
        break;
    default:
        buf_printf(b, "%d", (int)below(4));
    }
}

static void put_id(struct buf *b)
{
    switch (below(4)) {
    case 0:
        buf_printf(b, "%016llx%016llx", (unsigned long long)rnd(), (unsigned long long)rnd());
        break;
    case 1:
        buf_printf(b, "%08x-%04x-%04x-%04x-%012llx", (unsigned)rnd(), (unsigned)below(65536), (unsigned)below(65536),
                   (unsigned)below(65536), (unsigned long long)(rnd() & 0xffffffffffff));
        break;
    case 2:
        buf_printf(b, "10.%d.%d.%d", (int)below(3), (int)below(256), (int)below(256));
        break;
    default:
        buf_printf(b, "user_%d", (int)below(100000));
    }
}

static void put_time_text(struct buf *b, int64_t t_ns)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t s = (time_t)(t_ns / 1000000000);
    int frac = (int)(t_ns % 1000000000);
    struct tm tm;

    gmtime_r(&s, &tm);
    switch (below(6)) {
    case 0:
        buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                   tm.tm_min, tm.tm_sec, frac / 1000000);
        break;
    case 1:
        buf_printf(b, "%02d/%s/%04d:%02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
                   tm.tm_min, tm.tm_sec);
        break;
    case 2:
        buf_printf(b, "%02d:%02d:%02d,%03d", tm.tm_hour, tm.tm_min, tm.tm_sec, frac / 1000000);
        break;
    case 3:
        buf_printf(b, "%04d/%02d/%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                   tm.tm_min, tm.tm_sec);
        break;
    case 4:
        buf_printf(b, "%s %2d %02d:%02d:%02d", months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        break;
    default:
        buf_printf(b, "2026-02-%02dT25:61:%02d", (int)below(32), (int)below(70));
    }
}

static void put_json_string(struct buf *b)
{
    static const char *const odd[] = {"\\n",  "\\\"",         "\\u0041bc", "\\ud83d\\ude00", "\\/",
                                      "\xff", "\xef\xbf\xbd", "é",         "\\t\\\\",        "\\u00zz",
                                      "\\x",  "\\ufffd",      "\x7f",      "\\ud800"};

    buf_putc(b, '"');
    switch (below(8)) {
    case 0:
        put_id(b);
        break;
    case 1:
        put_word(b);
        buf_putz(b, odd[below(ARRAY_LEN(odd))]);
        put_word(b);
        break;
    case 2:
        break;
    case 3:
        for (uint64_t n = below(8); n > 0; n--) {
            put_word(b);
            buf_putz(b, n % 2 ? " " : "\\n\\tat ");
            put_number_text(b);
        }
        break;
    default:
        put_word(b);
    }
    buf_putc(b, '"');
}

static void put_space(struct buf *b)
{
    static const char *const spaces[] = {" ", "\t", "  ", "\r", "\n"};

    if (below(30) == 0)
        buf_putz(b, spaces[below(ARRAY_LEN(spaces))]);
}

static void put_json_value(struct buf *b, int depth, int64_t t_ns);

static void put_json_object(struct buf *b, int depth, int64_t t_ns)
{
    static const char *const keys[] = {"level", "msg", "ts",  "trace_id", "http.status", "user", "a",    "b-c",
                                       " ",     "",    "1st", "k\\u0041", "ü",           "dur",  "level"};
    uint64_t n = below(7);

    buf_putc(b, '{');
    for (uint64_t i = 0; i < n; i++) {
        if (i)
            buf_putc(b, ',');
        put_space(b);
        buf_printf(b, "\"%s\"", below(40) ? keys[(i * 2 + below(2)) % 8] : keys[below(ARRAY_LEN(keys))]);
        put_space(b);
        buf_putc(b, ':');
        put_space(b);
        put_json_value(b, depth + 1, t_ns);
        put_space(b);
    }
    buf_putc(b, '}');
}

static void put_json_value(struct buf *b, int depth, int64_t t_ns)
{
    switch (below(depth > 3 ? 8 : 11)) {
    case 0:
    case 1:
        put_number_text(b);
        break;
    case 2:
        buf_putz(b, below(2) ? "true" : "false");
        break;
    case 3:
        buf_putz(b, "null");
        break;
    case 4:
        buf_putc(b, '"');
        put_time_text(b, t_ns);
        buf_putc(b, '"');
        break;
    case 8:
        put_json_object(b, depth, t_ns);
        break;
    case 9:
        buf_putc(b, '[');
        for (uint64_t n = below(4); n > 0; n--) {
            put_json_value(b, depth + 1, t_ns);
            if (n > 1)
                buf_putc(b, ',');
        }
        buf_putc(b, ']');
        break;
    default:
        put_json_string(b);
    }
}

static void put_logfmt(struct buf *b, int64_t t_ns)
{
    static const char *const keys[] = {"level", "msg", "ts", "trace_id", "dur", "user", "a.b", "9x", "ü", "k"};
    uint64_t n = 1 + below(6);

    for (uint64_t i = 0; i < n; i++) {
        if (i)
            buf_putz(b, below(30) ? " " : "  ");
        buf_printf(b, "%s", below(20) ? keys[i] : keys[below(ARRAY_LEN(keys))]);
        if (below(40) == 0)
            continue;
        buf_putc(b, '=');
        switch (below(7)) {
        case 0:
            put_json_string(b);
            break;
        case 1:
            put_id(b);
            break;
        case 2:
            buf_putz(b, "\"");
            put_time_text(b, t_ns);
            buf_putz(b, "\"");
            break;
        case 3:
            put_number_text(b);
            break;
        case 4:
            if (below(4) == 0)
                buf_putz(b, below(2) ? "\"\"" : "x=y\"");
            break;
        default:
            put_word(b);
        }
    }
}

static void put_plain(struct buf *b, int64_t t_ns)
{
    static const char *const forms[] = {"t [w] user w logged in from i after n ms",
                                        "i - - [t] \"q\" n n \"q\" \"q\"",
                                        "t w w: w w w",
                                        "w\n\tat w.w(w:n)\n\tat w.w(w:n)\n\tat w(w)\n\tat w\n\tat w(w:n)",
                                        "w",
                                        "n",
                                        "i",
                                        "t",
                                        "\"w",
                                        "w (i) n. w, n- w=n \\\"q\" w",
                                        "wwnwn i-i.n"};

    for (const char *p = forms[below(ARRAY_LEN(forms))]; *p; p++)
        switch (*p) {
        case 't':
            put_time_text(b, t_ns);
            break;
        case 'i':
            put_id(b);
            break;
        case 'n':
            put_number_text(b);
            break;
        case 'w':
            put_word(b);
            break;
        case 'q':
            for (uint64_t n = below(6); n > 0; n--) {
                put_word(b);
                buf_putc(b, n % 2 ? ' ' : '/');
            }
            break;
        default:
            buf_putc(b, *p);
        }
}

static void put_garbage(struct buf *b)
{
    uint64_t n = below(8) ? below(60) : below(3000);
    bool bytes = below(2);

    for (uint64_t i = 0; i < n; i++)
        buf_putc(b, bytes ? (char)rnd() : "{}\"\\=: ,[]01aZ\n-.\0_"[below(20)]);
}

/* What a program writes: always the same keys. */
static void put_regular(struct buf *b, bool json, int64_t t_ns)
{
    buf_putz(b, json ? "{\"level\": " : "level=");
    json ? put_json_string(b) : put_word(b);
    buf_putz(b, json ? ", \"msg\": " : " msg=");
    put_json_string(b);
    buf_putz(b, json ? ", \"ts\": \"" : " ts=\"");
    put_time_text(b, t_ns);
    buf_putz(b, json ? "\", \"http\": {\"status\": " : "\" http.status=");
    buf_printf(b, "%d", (int)below(5) * 100);
    buf_putz(b, json ? "}, \"none\": null, \"ok\": " : " ok=");
    buf_putz(b, below(2) ? "true" : "false");
    buf_putz(b, json ? ", \"tags\": [1, \"a\"], \"trace_id\": \"" : " trace_id=");
    put_id(b);
    buf_putz(b, json ? "\", \"dur\": " : " dur=");
    buf_printf(b, "%d.%d", (int)below(300), (int)below(90));
    buf_putz(b, json ? "}" : "");
}

/* One line of sort 0..4 (json, logfmt, plain, garbage, any of these); appended. */
static inline void put_random_line(struct buf *b, uint64_t sort, int64_t t_ns)
{
    switch (sort < 4 ? sort : below(4)) {
    case 0:
        below(2) ? put_regular(b, true, t_ns) : put_json_object(b, 0, t_ns);
        break;
    case 1:
        below(2) ? put_regular(b, false, t_ns) : put_logfmt(b, t_ns);
        break;
    case 2:
        put_plain(b, t_ns);
        break;
    default:
        put_garbage(b);
    }
}

#endif
