/*
 * json_path.c - see json_path.h. What json_value_all accepted is JSON as a whole, so walks over it cannot fail.
 */
#include "collector/files/json_path.h"

#include <assert.h>

bool json_value_all(struct str s, struct json_value *out)
{
    struct json_in j;

    files_json_init(&j, NULL, s);
    out->kind = json_in_peek(&j);
    return json_in_skip(&j, &out->text) == 0 && json_in_end(&j) == 0;
}

struct str json_value_text(struct arena *a, const struct json_value *v)
{
    struct json_in j;
    struct str s;
    int rc;

    if (v->kind != JSON_STRING)
        return v->text;
    files_json_init(&j, a, v->text);
    rc = json_in_string(&j, &s);
    assert(rc == 0);
    return s;
}

void json_iter_init(struct json_iter *it, struct arena *a, const struct json_value *v)
{
    int rc;

    files_json_init(&it->j, a, v->text);
    it->object = v->kind == JSON_OBJECT;
    rc = json_in_open(&it->j, it->object ? '{' : '[');
    assert(rc == 0);
}

bool json_iter_next(struct json_iter *it, struct str *key, struct json_value *v)
{
    int rc = it->object ? json_in_key(&it->j, key) : json_in_item(&it->j);

    assert(rc >= 0);
    if (rc > 0)
        return false;
    v->kind = json_in_peek(&it->j);
    rc = json_in_skip(&it->j, &v->text);
    assert(rc == 0);
    return true;
}

/* --- paths ------------------------------------------------------------------------------------------ */

struct json_step {
    struct str name; /* p == NULL: an index */
    int64_t index;
    struct json_step *next;
};

struct json_path {
    struct json_step *first;
};

static bool name_byte(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

static int bad_path(struct str text, struct err *e)
{
    return err_set(e, ERR_INVALID, "the expression \"%.*s\" is not understood: names, \"quoted names\", dots and [index] are",
                   STR_ARG(str_head(text, 200)));
}

static bool read_step(struct arena *a, struct str *s, bool first, struct json_step *out)
{
    size_t n = 0;

    if (s->n && s->p[0] == '[') {
        ptrdiff_t close = str_chr(*s, ']');

        if (close < 0 || !str_to_i64(str_trim(str_n(s->p + 1, (size_t)close - 1)), &out->index))
            return false;
        *s = str_from(*s, (size_t)close + 1);
        return true;
    }
    if (!first) {
        if (s->p[0] != '.')
            return false;
        *s = str_from(*s, 1);
    }
    if (s->n && s->p[0] == '"') {
        struct json_in j;

        files_json_init(&j, a, *s);
        if (json_in_string(&j, &out->name) < 0)
            return false;
        n = (size_t)(j.p - s->p);
    } else {
        while (n < s->n && name_byte(s->p[n], n == 0))
            n++;
        if (!n)
            return false;
        out->name = str_head(*s, n);
    }
    *s = str_from(*s, n);
    return true;
}

int json_path_read(struct arena *a, struct str text, struct json_path **out, struct err *e)
{
    struct json_path *p = arena_new(a, struct json_path);
    struct json_step **last = &p->first;
    struct str s = arena_dup(a, str_trim(text));

    if (!s.n)
        return bad_path(text, e);
    for (bool first = true; s.n; first = false) {
        struct json_step *step = arena_new(a, struct json_step);

        if (!read_step(a, &s, first, step))
            return bad_path(text, e);
        *last = step;
        last = &step->next;
    }
    *out = p;
    return 0;
}

static bool find_step(struct arena *a, const struct json_step *step, const struct json_value *v, struct json_value *out)
{
    struct json_iter it;
    struct json_value item;
    struct str key;
    int64_t index = step->index;
    bool found = false;

    if (v->kind != (step->name.p ? JSON_OBJECT : JSON_ARRAY))
        return false;
    if (!step->name.p && index < 0) {
        json_iter_init(&it, a, v);
        while (json_iter_next(&it, &key, &item))
            index++;
        if (index < 0)
            return false;
    }
    json_iter_init(&it, a, v);
    for (int64_t i = 0; json_iter_next(&it, &key, &item); i++) {
        if (step->name.p ? str_eq(key, step->name) : i == index) {
            *out = item; /* of two members of one name the last counts */
            found = true;
            if (!step->name.p)
                break;
        }
    }
    return found;
}

bool json_path_find(struct arena *a, const struct json_path *p, const struct json_value *root, struct json_value *out)
{
    struct json_value v = *root;

    for (const struct json_step *s = p->first; s; s = s->next) {
        if (!find_step(a, s, &v, out))
            return false;
        v = *out;
    }
    *out = v;
    return true;
}
