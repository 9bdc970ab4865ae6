/*
 * stage_json.c - json without parameters, and unpack: properties of an object to labels, in one walk over the line.
 *
 * (1) Objects in objects are kept on a stack, up to JSON_DEPTH_MAX; deeper ones, and those below which nothing is wanted, are
 *     skipped by their brackets.
 * (2) What was found before a fault stays, but for what stands in an object that never closes.
 */
#include "query/logql/json_scan.h"
#include "query/logql/stage.h"

#include <stdlib.h>

static const char json_error[] = "JSONParserErr";
static const char unclosed[] = "Value looks like object, but can't find closing '}' symbol";

struct json_level {
    uint32_t node;
};

struct walk {
    struct runner *r;
    const struct stage *s;
    const char *p, *end;
    uint32_t depth, nkeys;
    const char *nested; /* the outermost object in the object at hand */
    uint32_t nested_labs;
    enum put put;
    const char *fault;
};

static void line_ascii(struct runner *r)
{
    if (!r->ascii_known) {
        r->ascii = lq_is_ascii(r->line);
        r->ascii_known = true;
    }
}

/* The value of a string without its escapes. One that has unknown ones is empty. */
static struct str string_value(struct runner *r, struct str raw, bool escaped)
{
    char *copy;
    size_t n;

    if (!escaped)
        return raw;
    copy = arena_alloc(&r->a, raw.n);
    n = json_unescape(raw, JSON_HALF_FAULT, copy);
    return str_n(copy, n == SIZE_MAX ? 0 : n);
}

static bool fault(struct walk *w, const char *what)
{
    w->fault = what;
    return false;
}

static bool put(struct walk *w, uint32_t node, struct str value)
{
    uint32_t name = w->r->json_keys.v[node].name;

    if (name != NAME_NONE)
        w->put = lab_put(w->r, w->s, name, value);
    return w->put == PUT_ON;
}

/* A number, true, false or null: up to what ends it. */
static bool read_word(struct walk *w, uint32_t node)
{
    const char *from = w->p;
    struct str word;

    while (w->p < w->end && *w->p != ',' && *w->p != '}' && *w->p != ']' && *w->p != ' ' && *w->p != '\n' && *w->p != '\t' && *w->p != '\r')
        w->p++;
    word = str_n(from, (size_t)(w->p - from));
    if (str_eqz(word, "null"))
        return true;
    if (word.n && (*from == '-' || (*from >= '0' && *from <= '9')))
        return put(w, node, word);
    if (str_eqz(word, "true") || str_eqz(word, "false"))
        return put(w, node, word);
    return fault(w, "Unknown value type");
}

static bool skip_block(struct walk *w)
{
    bool object = *w->p == '{';

    w->p = json_block_end(w->p, w->end);
    return w->p || fault(w, object ? unclosed : "Value is array, but can't find closing ']' symbol");
}

static bool enter_object(struct walk *w, uint32_t node)
{
    if (w->depth == JSON_DEPTH_MAX || w->r->json_keys.v[node].skip)
        return skip_block(w);
    if (w->depth == 1) {
        w->nested = w->p;
        w->nested_labs = w->r->nlabs;
    }
    w->r->json_stack[w->depth++].node = node;
    w->p++;
    return true;
}

static bool read_value(struct walk *w, uint32_t node)
{
    const char *from, *to;
    bool escaped;

    if (w->p >= w->end)
        return fault(w, unclosed);
    switch (*w->p) {
    case '"':
        from = w->p + 1;
        to = json_string_end(from, w->end, &escaped);
        if (!to)
            return fault(w, "Value is string, but can't find closing '\"' symbol");
        w->p = to + 1;
        return put(w, node, string_value(w->r, str_n(from, (size_t)(to - from)), escaped));
    case '{':
        return enter_object(w, node);
    case '[':
        return skip_block(w);
    default:
        return read_word(w, node);
    }
}

/* A property, from its quote on. */
static bool read_property(struct walk *w)
{
    const char *from = w->p + 1, *to;
    bool escaped;
    uint32_t node;

    to = json_string_end(from, w->end, &escaped);
    if (!to)
        return fault(w, unclosed);
    if (w->nkeys >= LABELS_MAX) {
        w->put = PUT_FULL;
        return false;
    }
    node = key_node(w->r, &w->r->json_keys, w->r->json_stack[w->depth - 1].node, str_n(from, (size_t)(to - from)), escaped, w->nkeys++);
    w->p = json_skip_space(to + 1, w->end);
    if (w->p >= w->end || *w->p != ':')
        return fault(w, "Malformed JSON error");
    w->p = json_skip_space(w->p + 1, w->end);
    return read_value(w, node);
}

/* Where a property or the end of an object may stand. False: done, or a fault. */
static bool step(struct walk *w)
{
    w->p = json_skip_space(w->p, w->end);
    if (w->p >= w->end)
        return fault(w, unclosed);
    if (*w->p == '"') {
        uint32_t depth = w->depth;

        if (!read_property(w))
            return false;
        if (w->depth > depth)
            return true;
    } else if (*w->p == '}') {
        w->p++;
        w->depth--;
    } else {
        return fault(w, unclosed);
    }
    /* Behind a value, in the object that holds it: a comma, or its end, which may be the end of others, too. */
    while (w->depth) {
        w->p = json_skip_space(w->p, w->end);
        if (w->p < w->end && *w->p == ',') {
            w->p++;
            return true;
        }
        if (w->p >= w->end || *w->p != '}')
            return fault(w, unclosed);
        w->p++;
        w->depth--;
    }
    return false;
}

/* (2): the labels of an object that never closes are taken back. */
static void take_back(struct walk *w)
{
    struct runner *r = w->r;

    if (w->depth < 2 || json_block_end(w->nested, w->end))
        return;
    while (r->nlabs > w->nested_labs)
        r->names[r->labs[--r->nlabs].name].line_gen = 0;
}

bool stage_json(struct runner *r, const struct stage *s)
{
    struct walk w = {.r = r, .s = s, .depth = 1};

    if (s->takes_fields && r->row->fields)
        return stage_take_fields(r, s);
    line_ascii(r);
    w.end = r->line.p + r->line.n;
    w.p = json_skip_space(r->line.p, w.end);
    if (!r->json_stack)
        r->json_stack = x_alloc(JSON_DEPTH_MAX * sizeof *r->json_stack);
    r->json_stack[0].node = 0;
    if (w.p >= w.end || *w.p != '{') {
        w.fault = unclosed;
    } else {
        w.p++;
        while (step(&w))
            ;
    }
    if (w.put == PUT_REJECT)
        return false;
    if (w.put == PUT_FULL)
        w.fault = "more properties than the limit of labels";
    if (w.fault) {
        if (w.put == PUT_ON)
            take_back(&w);
        runner_fail(r, json_error, str_of(w.fault));
    }
    return true;
}

/* --- unpack ---------------------------------------------------------------------------------------------------- */

struct packed {
    struct str entry; /* p NULL: none was found */
    struct lab *v;
    uint32_t n, cap;
};

/* Only text counts, and only if the line was packed, which is known at the end. */
static void keep_property(struct runner *r, struct packed *k, struct str key, bool key_escaped, struct str value, bool escaped)
{
    key = string_value(r, key, key_escaped);
    value = string_value(r, value, escaped);
    if (str_eqz(key, "_entry")) {
        k->entry = value.n ? value : STR("");
        return;
    }
    if (k->n == k->cap) {
        struct lab *v = arena_alloc(&r->a, (k->cap ? k->cap * 2 : 16) * sizeof *v);

        if (k->n)
            memcpy(v, k->v, k->n * sizeof *v);
        k->v = v;
        k->cap = k->cap ? k->cap * 2 : 16;
    }
    k->v[k->n].name = label_name_intern(r, key);
    k->v[k->n++].value = value;
}

static const char *read_packed(struct runner *r, struct packed *k)
{
    const char *p = r->line.p + 1, *end = r->line.p + r->line.n, *from, *to;
    bool key_escaped, escaped;
    struct str key;

    for (;;) {
        p = json_skip_space(p, end);
        if (p < end && *p == '}')
            return NULL;
        if (p >= end || *p != '"' || !(to = json_string_end(p + 1, end, &key_escaped)))
            return unclosed;
        key = str_n(p + 1, (size_t)(to - p - 1));
        p = json_skip_space(to + 1, end);
        if (p >= end || *p != ':')
            return "Malformed JSON error";
        p = json_skip_space(p + 1, end);
        if (p < end && *p == '"') {
            from = p + 1;
            to = json_string_end(from, end, &escaped);
            if (!to)
                return "Value is string, but can't find closing '\"' symbol";
            if (k->n >= LABELS_MAX)
                return "more properties than the limit of labels";
            keep_property(r, k, key, key_escaped, str_n(from, (size_t)(to - from)), escaped);
            p = to + 1;
        } else if (p < end && (*p == '{' || *p == '[')) {
            p = json_block_end(p, end);
            if (!p)
                return unclosed;
        } else {
            while (p < end && *p != ',' && *p != '}')
                p++;
        }
        p = json_skip_space(p, end);
        if (p < end && *p == ',')
            p++;
        else if (p >= end || *p != '}')
            return unclosed;
    }
}

bool stage_unpack(struct runner *r, const struct stage *s)
{
    struct packed k = {0};
    const char *why;

    if (r->line.n == 0)
        return true;
    line_ascii(r);
    why = r->line.p[0] == '{' ? read_packed(r, &k) : "expecting json object(6), but it is not";
    if (why) {
        runner_fail(r, json_error, str_of(why));
        return true;
    }
    if (!k.entry.p)
        return true;
    for (uint32_t i = 0; i < k.n; i++)
        if (lab_put(r, s, k.v[i].name, k.v[i].value) == PUT_REJECT)
            return false;
    r->line = k.entry;
    r->ascii = r->ascii_known = false;
    return true;
}
