/*
 * expr_json.c - paths into a line, as json and logfmt take them.
 */
#include "query/logql/expr_json.h"

struct scan {
    struct arena *a;
    struct str rest;
    const char *more; /* what a FIELD may hold beside letters, digits and _ */
    enum kind { END, FIELD, STRING, INDEX, DOT, LSB, RSB, BAD } kind;
    struct str text; /* FIELD, STRING (unquoted) */
    uint64_t index;
    struct err *e;
};

static const char *const names[] = {
    [END] = "$end", [FIELD] = "FIELD", [STRING] = "STRING", [INDEX] = "INDEX", [DOT] = "DOT", [LSB] = "LSB", [RSB] = "RSB",
};

static bool is_word(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static void scan_string(struct scan *s)
{
    char *out = arena_alloc(s->a, s->rest.n + 1);
    size_t n = 0, i = 1;

    for (; i < s->rest.n && s->rest.p[i] != '"'; i++) {
        if (s->rest.p[i] == '\\' && i + 1 < s->rest.n)
            i++;
        out[n++] = s->rest.p[i];
    }
    s->text = str_n(out, n);
    s->kind = STRING;
    if (i >= s->rest.n) {
        s->kind = BAD;
        err_set(s->e, ERR_INVALID, "syntax error: string without an end");
    }
    s->rest = str_from(s->rest, i + 1);
}

static void scan_index(struct scan *s)
{
    size_t n = 0;

    while (n < s->rest.n && s->rest.p[n] >= '0' && s->rest.p[n] <= '9')
        n++;
    s->kind = INDEX;
    if (!str_to_u64(str_head(s->rest, n), &s->index)) {
        s->kind = BAD;
        err_set(s->e, ERR_INVALID, "syntax error: index out of range");
    }
    s->rest = str_from(s->rest, n);
}

static void next(struct scan *s)
{
    uint32_t rune;
    size_t n = 0;
    char c;

    while (s->rest.n && (s->rest.p[0] == ' ' || s->rest.p[0] == '\t' || s->rest.p[0] == '\n'))
        s->rest = str_from(s->rest, 1);
    s->kind = END;
    if (!s->rest.n)
        return;
    c = s->rest.p[0];
    if (c == '"') {
        scan_string(s);
    } else if (c >= '0' && c <= '9') {
        scan_index(s);
    } else if (is_word(c, true)) {
        while (n < s->rest.n && (is_word(s->rest.p[n], false) || (s->rest.p[n] && strchr(s->more, s->rest.p[n]))))
            n++;
        s->kind = FIELD;
        s->text = arena_dup(s->a, str_head(s->rest, n));
        s->rest = str_from(s->rest, n);
    } else if (c == '.' || c == '[' || c == ']') {
        s->kind = c == '.' ? DOT : c == '[' ? LSB : RSB;
        s->rest = str_from(s->rest, 1);
    } else {
        n = utf8_decode(s->rest, &rune);
        s->kind = BAD;
        err_set(s->e, ERR_INVALID, "unexpected char %.*s", STR_ARG(str_head(s->rest, n)));
    }
}

static int unexpected(struct scan *s, const char *expecting)
{
    if (s->kind == BAD)
        return ERR_INVALID;
    return err_set(s->e, ERR_INVALID, "syntax error: unexpected %s%s%s", names[s->kind], expecting ? ", expecting " : "",
                   expecting ? expecting : "");
}

/* ["key"] or [0], behind the bracket. */
static int access_part(struct scan *s, struct logql_path_part *out)
{
    if (s->kind == STRING)
        *out = (struct logql_path_part){.key = s->text};
    else if (s->kind == INDEX)
        *out = (struct logql_path_part){.is_index = true, .index = s->index};
    else
        return unexpected(s, "STRING or INDEX");
    next(s);
    if (s->kind != RSB)
        return unexpected(s, "RSB");
    return 0;
}

int lq_json_path(struct arena *a, struct str expr, struct logql_path_part **parts, uint32_t *n, struct err *e)
{
    struct err ignored;
    struct scan s = {.a = a, .rest = expr, .more = "", .e = e ? e : &ignored};

    *n = 0;
    *parts = arena_array(a, struct logql_path_part, expr.n / 2 + 1);
    next(&s);
    while (s.kind != END) {
        struct logql_path_part *part = &(*parts)[*n];

        if (s.kind == DOT && *n) {
            next(&s);
            if (s.kind != FIELD)
                return unexpected(&s, "FIELD");
        } else if (*n ? s.kind != LSB : s.kind != LSB && s.kind != FIELD) {
            return unexpected(&s, *n ? NULL : "LSB or FIELD");
        }
        if (s.kind == FIELD) {
            *part = (struct logql_path_part){.key = s.text};
        } else {
            next(&s);
            if (access_part(&s, part) < 0)
                return ERR_INVALID;
        }
        ++*n;
        next(&s);
    }
    return 0;
}

int lq_logfmt_path(struct arena *a, struct str expr, struct logql_path_part **parts, uint32_t *n, struct err *e)
{
    struct err ignored;
    struct scan s = {.a = a, .rest = expr, .more = ".-", .e = e ? e : &ignored};

    *n = 0;
    *parts = arena_array(a, struct logql_path_part, 1);
    next(&s);
    if (s.kind == END)
        return 0;
    if (s.kind != FIELD && s.kind != STRING)
        return unexpected(&s, "KEY");
    (*parts)[0].key = s.text;
    *n = 1;
    next(&s);
    if (s.kind == FIELD)
        return err_set(e, ERR_INVALID, "syntax error: unexpected KEY");
    return s.kind == END ? 0 : unexpected(&s, NULL);
}
