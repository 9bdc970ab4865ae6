/* params.c - parameters as Prometheus reads them, and its words when they are wrong. */
#include "query/api/inside.h"

#include "base/regex_long.h"

#include <math.h>
#include <stdio.h>

enum { CHECKED_REGEXES_MAX = 16 };

struct str api_param(const struct http_request *r, const char *name)
{
    struct str s = params_get(&r->params, name);

    return s.p ? s : STR("");
}

bool api_has_param(const struct http_request *r, const char *name)
{
    return params_get(&r->params, name).p != NULL;
}

static int cannot_parse(struct str s, const char *what, struct err *e)
{
    struct buf b = {0};
    int code;

    buf_put_quoted(&b, str_head(s, 200));
    code = err_set(e, ERR_INVALID, "cannot parse %s to a valid %s", buf_z(&b), what);
    buf_release(&b);
    return code;
}

int api_parse_time(struct str s, int64_t *ms, struct err *e)
{
    double seconds;
    bool range;

    if (num_parse(s, &seconds, &range)) {
        double v = round(seconds * 1000);

        if (isnan(v) || range)
            return cannot_parse(s, "timestamp", e);
        *ms = v > (double)API_TIME_MAX ? API_TIME_MAX : v < (double)API_TIME_MIN ? API_TIME_MIN : (int64_t)v;
        return 0;
    }
    /* What upstream prints for its own ends of time is more than RFC 3339 holds. */
    if (str_eqz(s, "-292273086-05-16T16:47:06Z")) {
        *ms = API_TIME_MIN;
        return 0;
    }
    if (str_eqz(s, "292277025-08-18T07:12:54.999999999Z")) {
        *ms = API_TIME_MAX;
        return 0;
    }
    if (time_parse(s, ms, NULL) < 0)
        return cannot_parse(s, "timestamp", e);
    return 0;
}

int api_parse_duration(struct str s, int64_t *ms, struct err *e)
{
    double seconds;
    bool range;

    if (num_parse(s, &seconds, &range)) {
        if (isnan(seconds))
            return cannot_parse(s, "duration", e);
        if (range || fabs(seconds) > 9223372036.0)
            return err_set(e, ERR_INVALID, "cannot parse \"%.*s\" to a valid duration. It overflows int64",
                           STR_ARG(str_head(s, 100)));
        *ms = (int64_t)(seconds * 1000 + (seconds < 0 ? -1e-6 : 1e-6));
        return 0;
    }
    if (duration_parse(s, ms, NULL) < 0)
        return cannot_parse(s, "duration", e);
    return 0;
}

int api_invalid_param(struct err *e, const char *name)
{
    return err_ctx(e, "invalid parameter \"%s\"", name);
}

int api_time_param_plain(const struct http_request *r, const char *name, int64_t *ms, struct err *e)
{
    struct str s = api_param(r, name);

    return s.n == 0 || api_parse_time(s, ms, e) == 0 ? 0 : err_ctx(e, "invalid time value for '%s'", name);
}

int api_time_param(const struct http_request *r, const char *name, int64_t *ms, struct err *e)
{
    return api_time_param_plain(r, name, ms, e) < 0 ? api_invalid_param(e, name) : 0;
}

int api_parse_bool(struct str s, bool *v)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"}, *const no[] = {"0",     "f",     "F",
                                                                                             "FALSE", "false", "False"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        *v = str_eqz(s, yes[i]);
        if (*v || str_eqz(s, no[i]))
            return 0;
    }
    return -1;
}

int api_limit_param(const struct http_request *r, uint32_t *limit, struct err *e)
{
    struct str s = api_param(r, "limit");
    int64_t v;

    *limit = 0;
    if (s.n == 0)
        return 0;
    if (!str_to_i64(s, &v)) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(s, 200));
        err_set(e, ERR_INVALID, "strconv.Atoi: parsing %s: invalid syntax", buf_z(&b));
        buf_release(&b);
        return api_invalid_param(e, "limit");
    }
    if (v < 0) {
        err_set(e, ERR_INVALID, "limit must be non-negative");
        return api_invalid_param(e, "limit");
    }
    *limit = (uint32_t)MIN(v, (int64_t)UINT32_MAX);
    return 0;
}

/* --- match[] ---------------------------------------------------------------------------------------- */

void api_match_sets_release(struct match_set *sets, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < sets[i].n; k++)
            matcher_release(&sets[i].m[k]);
}

int api_match_sets(const struct http_request *r, struct arena *a, struct match_set **out, uint32_t *n, struct err *e)
{
    const struct params *ps = &r->params;
    uint32_t cap = 0, at = 0;

    for (uint32_t i = 0; i < ps->n; i++)
        cap += str_eqz(ps->v[i].name, "match[]");
    *out = arena_array(a, struct match_set, cap + 1);
    for (uint32_t i = 0; i < ps->n; i++) {
        int code;

        if (!str_eqz(ps->v[i].name, "match[]"))
            continue;
        code = promql_parse_matchers(a, ps->v[i].value, &(*out)[at].m, &(*out)[at].n, e);
        if (code < 0) {
            api_match_sets_release(*out, at);
            return code;
        }
        at++;
    }
    *n = at;
    return 0;
}

int api_regex_here(struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    if (regex_is_long(pattern))
        return err_set(e, ERR_LIMIT, "a regular expression that takes long to compile");
    return regex_compile(pattern, flags, out, e);
}

static int compile_here(void *arg, struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    unsigned *left = arg;

    if (*left == 0)
        return err_set(e, ERR_LIMIT, "more than %d regular expressions", CHECKED_REGEXES_MAX);
    --*left;
    return api_regex_here(pattern, flags, out, e);
}

int api_check_match_sets(const struct http_request *r, struct err *e)
{
    unsigned left = CHECKED_REGEXES_MAX;
    struct match_set *sets;
    uint32_t n;
    int code;

    regex_compile_by(compile_here, &left);
    code = api_match_sets(r, r->arena, &sets, &n, e);
    regex_compile_by(NULL, NULL);
    if (code == 0)
        api_match_sets_release(sets, n);
    return code;
}

int api_check_matchers(struct arena *a, struct str text, struct err *e)
{
    unsigned left = CHECKED_REGEXES_MAX;
    struct match_set s;
    int code;

    regex_compile_by(compile_here, &left);
    code = promql_parse_matchers(a, text, &s.m, &s.n, e);
    regex_compile_by(NULL, NULL);
    if (code == 0)
        api_match_sets_release(&s, 1);
    return code;
}

/* --- escaped names ----------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* _HEX_ at s.p (the first '_' is behind us): the length taken, or 0 when it is not one. */
static size_t unescape_rune(struct str s, char out[4], size_t *n)
{
    uint32_t rune = 0;

    for (size_t i = 0; i < s.n && i < 7; i++) {
        if (s.p[i] == '_') {
            if (i == 0 || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
                return 0;
            *n = utf8_encode(rune, out);
            return i + 1;
        }
        if (hex_digit(s.p[i]) < 0)
            return 0;
        rune = rune * 16 + (uint32_t)hex_digit(s.p[i]);
    }
    return 0;
}

struct str api_unescape_name(struct arena *a, struct str name)
{
    struct str in = str_from(name, 3);
    char *out;
    size_t n = 0;

    if (!str_starts(name, STR("U__")))
        return name;
    out = arena_alloc(a, in.n + 4);
    for (size_t i = 0; i < in.n;) {
        char c = in.p[i++];
        char rune[4];
        size_t len = 0, taken;

        if (c != '_') {
            out[n++] = c;
        } else if (i < in.n && in.p[i] == '_') {
            out[n++] = '_';
            i++;
        } else if ((taken = unescape_rune(str_from(in, i), rune, &len)) > 0) {
            memcpy(out + n, rune, len);
            n += len;
            i += taken;
        } else {
            return name;
        }
    }
    return str_n(out, n);
}
