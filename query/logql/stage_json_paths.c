/* stage_json_paths.c - json a="x.y[0]": single values of a JSON line. What the paths do not lead through is skipped unread. */
#include "query/logql/json_scan.h"
#include "query/logql/stage.h"

static const char json_error[] = "JSONParserErr";

/* Behind the value at p. NULL: it has no end. */
static const char *skip_value(const char *p, const char *end)
{
    bool escaped;

    if (p >= end)
        return NULL;
    if (*p == '"') {
        p = json_string_end(p + 1, end, &escaped);
        return p ? p + 1 : NULL;
    }
    if (*p == '{' || *p == '[')
        return json_block_end(p, end);
    while (p < end && *p != ',' && *p != '}' && *p != ']' && *p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
        p++;
    return p;
}

/* Behind the comma after a value; NULL: the list ends here. */
static const char *next_value(const char *p, const char *end)
{
    p = json_skip_space(p, end);
    return p < end && *p == ',' ? json_skip_space(p + 1, end) : NULL;
}

static bool key_is(struct runner *r, struct str raw, bool escaped, struct str key)
{
    char *copy;
    size_t n;

    if (!escaped)
        return str_eq(raw, key);
    copy = arena_alloc(&r->a, raw.n);
    n = json_unescape(raw, JSON_HALF_FAULT, copy);
    return n != SIZE_MAX && str_eq(str_n(copy, n), key);
}

/* The value of a property of the object at p. */
static const char *find_key(struct runner *r, const char *p, const char *end, struct str key)
{
    bool escaped;

    p = json_skip_space(p + 1, end);
    while (p && p < end && *p == '"') {
        const char *from = p + 1, *to = json_string_end(from, end, &escaped);

        p = to ? json_skip_space(to + 1, end) : NULL;
        if (!p || p >= end || *p != ':')
            return NULL;
        p = json_skip_space(p + 1, end);
        if (key_is(r, str_n(from, (size_t)(to - from)), escaped, key))
            return p < end ? p : NULL;
        p = skip_value(p, end);
        if (p)
            p = next_value(p, end);
    }
    return NULL;
}

static const char *find_element(const char *p, const char *end, uint64_t index)
{
    p = json_skip_space(p + 1, end);
    while (p && p < end && *p != ']') {
        if (index-- == 0)
            return p;
        p = skip_value(p, end);
        if (p)
            p = next_value(p, end);
    }
    return NULL;
}

static const char *find(struct runner *r, const struct logql_extract *x, const char *p, const char *end)
{
    for (uint32_t i = 0; i < x->npath && p; i++) {
        const struct logql_path_part *part = &x->path[i];

        if (p >= end || *p != (part->is_index ? '[' : '{'))
            return NULL;
        p = part->is_index ? find_element(p, end, part->index) : find_key(r, p, end, part->key);
    }
    return x->npath ? p : NULL;
}

/* Text without quotes and escapes, null as nothing, objects and arrays as they stand. */
static struct str value_text(struct runner *r, const char *p, const char *end)
{
    const char *behind = skip_value(p, end);
    struct str v;
    char *copy;
    size_t n;

    if (!behind)
        return STR("");
    v = str_n(p, (size_t)(behind - p));
    if (*p != '"')
        return str_eqz(v, "null") ? STR("") : v;
    v = str_n(p + 1, v.n - 2);
    if (str_chr(v, '\\') < 0)
        return v;
    copy = arena_alloc(&r->a, v.n);
    n = json_unescape(v, JSON_HALF_FAULT, copy);
    return str_n(copy, n == SIZE_MAX ? 0 : n);
}

bool stage_json_paths(struct runner *r, const struct stage *s)
{
    const char *end = r->line.p + r->line.n, *p = json_skip_space(r->line.p, end);
    uint32_t missing = 0;

    if (r->line.n == 0)
        return true;
    if (p >= end || !strchr("{[\"-0123456789tfn", *p) || !*p) {
        runner_fail(r, json_error, STR_NULL);
        return true;
    }
    for (uint32_t i = 0; i < s->nnames; i++) {
        const char *found = find(r, &s->ast->parser.extracts[i], p, end);

        if (!found)
            missing++;
        else if (lab_put(r, s, s->names[i], value_text(r, found, end)) == PUT_REJECT)
            return false;
    }
    for (uint32_t i = 0; missing && i < s->nnames; i++) {
        struct str value;

        if (!lab_read(r, s->names[i], &value) && lab_put(r, s, s->names[i], STR("")) == PUT_REJECT)
            return false;
    }
    return true;
}
