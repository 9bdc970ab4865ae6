/* tmpl_code.c - functions of templates that search by regular expression, and the two encodings. */
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

/* --- regular expressions --------------------------------------------------------------------------------- */

/* Compiled, from those of the run's thread. NULL: it is none, which is said. */
static const struct regex *find_regex(struct tmpl_run *r, struct str pattern)
{
    struct tmpl_env *env = r->user;
    struct regex *re;
    struct err e;

    for (uint32_t i = 0; i < env->nregexes; i++)
        if (str_eq(env->regexes[i].pattern, pattern))
            return env->regexes[i].re;
    if (regex_new(pattern, 0, &re, &e) < 0) {
        err_set(r->e, ERR_EXEC, "%s", e.text);
        return NULL;
    }
    if (env->nregexes == TMPL_REGEX_MAX)
        tmpl_env_release(env);
    env->regexes[env->nregexes++] = (struct tmpl_regex){str_n(x_strdup(pattern), pattern.n), re};
    return re;
}

/* The next match that Go's "all" functions would see at or after *at; an empty one right behind a match is none. */
static bool next_match(const struct regex *re, struct str s, size_t *at, size_t *behind, struct str *g, unsigned ng)
{
    uint32_t rune;

    while (*at <= s.n && regex_groups(re, s, *at, g, ng)) {
        size_t from = (size_t)(g[0].p - s.p);
        size_t to = from + g[0].n;
        bool empty_behind = g[0].n == 0 && from == *behind;

        *at = g[0].n ? to : to < s.n ? to + utf8_decode(str_from(s, to), &rune) : to + 1;
        if (!empty_behind) {
            *behind = to;
            return true;
        }
    }
    return false;
}

TMPL_FN(lq_fn_count)
{
    const struct regex *re = find_regex(r, args[0].s);
    struct str s = args[1].s, g[1];
    size_t at = 0, behind = SIZE_MAX;
    int64_t count = 0;

    (void)n;
    if (!re)
        return ERR_EXEC;
    s.p = s.p ? s.p : "";
    while (next_match(re, s, &at, &behind, g, 1))
        count++;
    *out = tmpl_int(count);
    return 0;
}

static int replace_all(struct tmpl_run *r, const struct tmpl_value *args, bool literal, struct tmpl_value *out)
{
    const struct regex *re = find_regex(r, args[0].s);
    struct str s = args[1].s, g[64];
    unsigned ng = re ? MIN(regex_ngroups(re), 64u) : 0;
    size_t at = 0, behind = SIZE_MAX, copied = 0;
    struct buf b = {0};

    if (!re)
        return ERR_EXEC;
    s.p = s.p ? s.p : "";
    while (next_match(re, s, &at, &behind, g, ng)) {
        size_t from = (size_t)(g[0].p - s.p);

        buf_put(&b, s.p + copied, from - copied);
        copied = from + g[0].n;
        if (literal)
            buf_puts(&b, args[2].s);
        else
            regex_expand(re, args[2].s, g, ng, &b);
        if (b.n > r->memory_max) {
            buf_release(&b);
            return err_set(r->e, ERR_EXEC, "text too long");
        }
    }
    buf_puts(&b, str_from(s, copied));
    return lq_give(r, &b, out);
}

TMPL_FN(lq_fn_regex_replace)
{
    (void)n;
    return replace_all(r, args, false, out);
}

TMPL_FN(lq_fn_regex_replace_literal)
{
    (void)n;
    return replace_all(r, args, true, out);
}

/* --- URLs ------------------------------------------------------------------------------------------------ */

TMPL_FN(lq_fn_urlencode)
{
    struct str s = args[0].s;
    char *p = tmpl_alloc(r, s.n * 3);
    size_t len = 0;

    (void)n;
    if (!p)
        return ERR_EXEC;
    for (size_t i = 0; i < s.n; i++) {
        static const char hex[] = "0123456789ABCDEF";
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("-_.~", c))) {
            p[len++] = (char)c;
        } else if (c == ' ') {
            p[len++] = '+';
        } else {
            p[len++] = '%';
            p[len++] = hex[c >> 4];
            p[len++] = hex[c & 15];
        }
    }
    *out = tmpl_str(str_n(p, len));
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

TMPL_FN(lq_fn_urldecode)
{
    struct str s = args[0].s;
    char *p = tmpl_alloc(r, s.n);
    size_t len = 0;

    (void)n;
    if (!p)
        return ERR_EXEC;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            p[len++] = s.p[i] == '+' ? ' ' : s.p[i];
            continue;
        }
        if (i + 2 >= s.n || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0) {
            struct buf b = {0};

            buf_put_quoted(&b, str_head(str_from(s, i), 3));
            err_set(r->e, ERR_EXEC, "invalid URL escape %.*s", STR_ARG(buf_str(&b)));
            buf_release(&b);
            return ERR_EXEC;
        }
        p[len++] = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
        i += 2;
    }
    *out = tmpl_str(str_n(p, len));
    return 0;
}

/* --- base64 ---------------------------------------------------------------------------------------------- */

static const char sixes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

TMPL_FN(lq_fn_b64enc)
{
    struct str s = args[0].s;
    char *p = tmpl_alloc(r, s.n / 3 * 4 + 4);
    size_t len = 0;

    (void)n;
    if (!p)
        return ERR_EXEC;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t have = MIN(s.n - i, (size_t)3);
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;

        v |= have > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= have > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
        p[len++] = sixes[v >> 18];
        p[len++] = sixes[v >> 12 & 63];
        p[len++] = have > 1 ? sixes[v >> 6 & 63] : '=';
        p[len++] = have > 2 ? sixes[v & 63] : '=';
    }
    *out = tmpl_str(str_n(p, len));
    return 0;
}

/* What is no base64 gives the sentence about it as text, as sprig does. Padding may be missing. */
TMPL_FN(lq_fn_b64dec)
{
    struct str s = args[0].s;
    char *p = tmpl_alloc(r, s.n + 64);
    size_t len = 0, end = s.n, taken = 0;
    uint32_t v = 0;

    (void)n;
    if (!p)
        return ERR_EXEC;
    while (end && s.n - end < 2 && s.p[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++) {
        const char *at = s.p[i] ? strchr(sixes, s.p[i]) : NULL;

        if (s.p[i] == '\n' || s.p[i] == '\r')
            continue;
        if (!at) {
            *out = tmpl_str(arena_printf(r->a, "illegal base64 data at input byte %zu", i));
            return 0;
        }
        v = v << 6 | (uint32_t)(at - sixes);
        if (++taken % 4 == 0) {
            p[len++] = (char)(v >> 16);
            p[len++] = (char)(v >> 8);
            p[len++] = (char)v;
            v = 0;
        }
    }
    if (taken % 4 == 1 || (s.n != end && (taken + (s.n - end)) % 4)) {
        *out = tmpl_str(arena_printf(r->a, "illegal base64 data at input byte %zu", end));
        return 0;
    }
    if (taken % 4 == 2) {
        p[len++] = (char)(v >> 4);
    } else if (taken % 4 == 3) {
        p[len++] = (char)(v >> 10);
        p[len++] = (char)(v >> 2);
    }
    *out = tmpl_str(str_n(p, len));
    return 0;
}
