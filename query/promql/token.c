/*
 * token.c - what tokens are called and what they are worth: names for error texts, numbers, durations, strings.
 */
#include "query/promql/lex.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- names ------------------------------------------------------------------------------------------ */

void pq_describe(struct buf *out, const struct token *t)
{
    const char *kind = t->type == T_STRING     ? "string "
                       : t->type == T_NUMBER   ? "number "
                       : t->type == T_DURATION ? "duration "
                                               : "";
    struct str v = t->val;

    if (t->type == T_EOF) {
        buf_putz(out, "end of input");
    } else if (t->type == T_IDENT || t->type == T_METRIC_IDENT) {
        buf_putz(out, t->type == T_IDENT ? "identifier " : "metric identifier ");
        buf_put_quoted(out, v);
    } else if (tok_is_keyword(t->type)) {
        buf_printf(out, "<%.*s>", STR_ARG(v));
    } else if (tok_is_operator(t->type)) {
        buf_printf(out, "<op:%.*s>", STR_ARG(v));
    } else if (tok_is_aggregator(t->type)) {
        buf_printf(out, "<aggr:%.*s>", STR_ARG(v));
    } else {
        size_t n = 0;

        buf_putz(out, kind);
        for (unsigned runes = 0; runes < 10 && n < v.n; runes++) {
            uint32_t r;

            n += utf8_decode(str_from(v, n), &r);
        }
        buf_put_quoted(out, v.n > 10 ? str_head(v, n) : v);
        if (v.n > 10)
            buf_putz(out, "...");
    }
}

/* --- numbers ---------------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return (c | 0x20) - 'a' + 10;
    return 99;
}

/* Underscores stand between digits, or between a base prefix and a digit. */
static bool underscores_fine(struct str s)
{
    char before = '^';
    size_t i = 0;
    bool hex = false;

    if (s.n >= 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
        i = 2;
        before = '0';
        hex = true;
    }
    for (; i < s.n; i++) {
        char c = s.p[i];

        if (digit_of(c) < (hex ? 16 : 10)) {
            before = '0';
        } else if (c == '_') {
            if (before != '0')
                return false;
            before = '_';
        } else {
            if (before == '_')
                return false;
            before = '!';
        }
    }
    return before != '_';
}

/* An integer as Go's ParseInt(s, 0, 64) takes it: 0x hex, 0 or 0o octal, 0b binary, decimal. */
static bool parse_integer(struct str s, double *v)
{
    int base = 10;
    uint64_t x = 0;
    size_t i = 0;

    if (s.n == 0 || !underscores_fine(s))
        return false;
    if (s.p[0] == '0' && s.n > 1) {
        char c = s.p[1] | 0x20;

        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        i = c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
        if (i == s.n)
            return false;
    }
    for (; i < s.n; i++) {
        int d = digit_of(s.p[i]);

        if (s.p[i] == '_')
            continue;
        if (d >= base || x > (INT64_MAX - (uint64_t)d) / (uint64_t)base)
            return false;
        x = x * (uint64_t)base + (uint64_t)d;
    }
    *v = (double)x;
    return true;
}

static struct str number_fault(struct arena *a, struct str text, const char *why)
{
    struct buf b = {0};
    struct str out;

    buf_putz(&b, "error parsing number: strconv.ParseFloat: parsing ");
    buf_put_quoted(&b, text);
    buf_printf(&b, ": %s", why);
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}

bool pq_number(struct arena *a, struct str text, double *v, struct str *why)
{
    struct buf plain = {0};
    bool range = false, ok;

    if (parse_integer(text, v))
        return true;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '_')
            buf_putc(&plain, text.p[i]);
    ok = underscores_fine(text) && num_parse(buf_str(&plain), v, &range);
    buf_release(&plain);
    if (!ok)
        *v = 0;
    if (ok && !range)
        return true;
    *why = number_fault(a, text, ok ? "value out of range" : "invalid syntax");
    return false;
}

/* --- durations -------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"y", 365ull * 24 * 3600 * 1000000000},
    {"w", 7ull * 24 * 3600 * 1000000000},
    {"d", 24ull * 3600 * 1000000000},
    {"h", 3600ull * 1000000000},
    {"m", 60ull * 1000000000},
    {"s", 1000000000},
    {"ms", 1000000},
};

static struct str duration_fault(struct arena *a, struct str text, struct str unit)
{
    struct buf b = {0};
    struct str out;

    if (unit.n) {
        buf_putz(&b, "unknown unit ");
        buf_put_quoted(&b, unit);
        buf_putz(&b, " in duration ");
    } else {
        buf_putz(&b, "not a valid duration string: ");
    }
    buf_put_quoted(&b, text);
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}

static bool digit_run(struct str s, size_t *i, uint64_t *v)
{
    size_t from = *i;

    while (*i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9')
        (*i)++;
    return *i > from && str_to_u64(str_n(s.p + from, *i - from), v);
}

bool pq_duration(struct arena *a, struct str text, double *seconds, struct str *why)
{
    uint64_t ns = 0;
    size_t least = 0; /* units go from long to short, each once */

    *seconds = 0;
    for (size_t i = 0; i < text.n;) {
        uint64_t v;
        size_t from, u;
        struct str unit;

        if (!digit_run(text, &i, &v))
            return *why = duration_fault(a, text, STR_NULL), false;
        for (from = i; i < text.n && !(text.p[i] >= '0' && text.p[i] <= '9');)
            i++;
        unit = str_n(text.p + from, i - from);
        for (u = 0; u < ARRAY_LEN(units) && !str_eqz(unit, units[u].name);)
            u++;
        if (u == ARRAY_LEN(units))
            return *why = duration_fault(a, text, unit), false;
        if (u < least)
            return *why = duration_fault(a, text, STR_NULL), false;
        least = u + 1;
        if (v > (1ull << 63) / units[u].ns || ns + v * units[u].ns > INT64_MAX)
            return *why = STR("duration out of range"), false;
        ns += v * units[u].ns;
    }
    /* As Go's Duration.Seconds: whole seconds and the rest apart, so that 4s180ms is the double nearest to 4.18. */
    *seconds = (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
    return true;
}

/* --- strings ---------------------------------------------------------------------------------------- */

static const char *unescape(const char *p, char *out, size_t *n)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    int digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    const char *at = strchr(from, *p);
    uint32_t x = 0;

    if (at && *p) {
        out[(*n)++] = to[at - from];
        return p + 1;
    }
    if (*p >= '0' && *p <= '7') {
        for (int i = 0; i < 3; i++)
            x = x * 8 + (uint32_t)digit_of(*p++);
        out[(*n)++] = (char)x;
        return p;
    }
    if (!digits) { /* a quote or a backslash */
        out[(*n)++] = *p;
        return p + 1;
    }
    p++;
    for (int i = 0; i < digits; i++)
        x = x * 16 + (uint32_t)digit_of(*p++);
    if (digits == 2)
        out[(*n)++] = (char)x;
    else
        *n += utf8_encode(x, out + *n);
    return p;
}

struct str pq_unquote(struct arena *a, struct str text)
{
    struct str in = str_n(text.p + 1, text.n - 2);
    const char *p = in.p, *end = in.p + in.n;
    size_t n = 0;
    char *out;

    assert(text.n >= 2 && text.p[0] == text.p[text.n - 1]); /* the lexer saw both quotes and checked every escape */
    if (text.p[0] == '`' || str_chr(in, '\\') < 0)
        return arena_dup(a, in);
    out = arena_alloc(a, in.n + 4); /* no escape is shorter than what it stands for */
    while (p < end) {
        if (*p == '\\')
            p = unescape(p + 1, out, &n);
        else
            out[n++] = *p++;
    }
    return str_n(out, n);
}
