/* tmpl_json.c - fromJson: a JSON text as values. What is none is nil, as in sprig. */
#include "query/logql/json_scan.h"
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

enum { DEPTH_MAX = 200 };

struct reader {
    struct tmpl_run *r;
    const char *p, *end;
    unsigned depth;
};

static bool read_value(struct reader *x, struct tmpl_value *out);

static bool read_string(struct reader *x, struct str *out)
{
    bool escaped;
    const char *from = x->p + 1, *to;
    size_t n;
    char *copy;

    if (x->p >= x->end || *x->p != '"' || !(to = json_string_end(from, x->end, &escaped)))
        return false;
    x->p = to + 1;
    *out = str_n(from, (size_t)(to - from));
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20)
            return false;
    if (!escaped)
        return true;
    copy = tmpl_alloc(x->r, out->n);
    n = copy ? json_unescape(*out, copy) : SIZE_MAX;
    *out = str_n(copy, n);
    return n != SIZE_MAX;
}

static bool read_number(struct reader *x, struct tmpl_value *out)
{
    const char *from = x->p;
    double v;

    while (x->p < x->end && strchr("+-.eE0123456789", *x->p) && *x->p)
        x->p++;
    if (x->p == from || *from == '+' || *from == '.' || !num_parse(str_n(from, (size_t)(x->p - from)), &v, NULL))
        return false;
    *out = tmpl_float(v);
    return true;
}

static bool read_word(struct reader *x, const char *word, struct tmpl_value v, struct tmpl_value *out)
{
    if (!str_starts(str_n(x->p, (size_t)(x->end - x->p)), str_of(word)))
        return false;
    x->p += strlen(word);
    *out = v;
    return true;
}

/* Behind a value: a comma (true), or the closing sign, which ends the list. */
static bool comma(struct reader *x, char close, bool *more)
{
    x->p = json_skip(x->p, x->end);
    if (x->p >= x->end || (*x->p != ',' && *x->p != close))
        return false;
    *more = *x->p++ == ',';
    return true;
}

static bool at_close(struct reader *x, char close)
{
    x->p = json_skip(x->p + 1, x->end);
    if (x->p >= x->end || *x->p != close)
        return false;
    x->p++;
    return true;
}

/* Room for one more of `size` bytes; doubles. */
static void *grow(struct reader *x, void *v, uint32_t n, size_t size)
{
    void *larger;

    if (n & (n - 1) || (n && n < 4))
        return v;
    larger = tmpl_alloc(x->r, (n ? n * 2 : 4) * size);
    if (larger && n)
        memcpy(larger, v, n * size);
    return larger;
}

static bool read_list(struct reader *x, struct tmpl_value *out)
{
    struct tmpl_value *v = NULL;
    uint32_t n = 0;
    bool more = !at_close(x, ']');

    while (more) {
        v = grow(x, v, n, sizeof *v);
        if (!v || !read_value(x, &v[n++]) || !comma(x, ']', &more))
            return false;
    }
    *out = (struct tmpl_value){TMPL_T_LIST, {.list = {v, n}}};
    return true;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct tmpl_entry *)a)->key, ((const struct tmpl_entry *)b)->key);
}

/* Of equal keys the last one counts. The value's place in the text orders them: qsort keeps no order. */
static uint32_t sort_entries(struct tmpl_entry *v, uint32_t n)
{
    uint32_t to = 0;

    if (n)
        qsort(v, n, sizeof *v, by_key);
    for (uint32_t i = 0; i < n; i++) {
        if (to && str_eq(v[to - 1].key, v[i].key)) {
            if (v[i].key.p > v[to - 1].key.p)
                v[to - 1] = v[i];
        } else {
            v[to++] = v[i];
        }
    }
    return to;
}

static bool read_map(struct reader *x, struct tmpl_value *out)
{
    struct tmpl_entry *v = NULL;
    uint32_t n = 0;
    bool more = !at_close(x, '}');

    while (more) {
        v = grow(x, v, n, sizeof *v);
        x->p = json_skip(x->p, x->end);
        if (!v || !read_string(x, &v[n].key))
            return false;
        x->p = json_skip(x->p, x->end);
        if (x->p >= x->end || *x->p++ != ':' || !read_value(x, &v[n++].value) || !comma(x, '}', &more))
            return false;
    }
    *out = (struct tmpl_value){TMPL_T_MAP, {.map = {v, sort_entries(v, n)}}};
    return true;
}

static bool read_value(struct reader *x, struct tmpl_value *out)
{
    bool fine;

    x->p = json_skip(x->p, x->end);
    *out = (struct tmpl_value){0};
    if (x->p >= x->end || tmpl_steps(x->r, 1) < 0)
        return false;
    switch (*x->p) {
    case '"':
        out->type = TMPL_T_STRING;
        return read_string(x, &out->s);
    case '{':
    case '[':
        if (++x->depth > DEPTH_MAX)
            return false;
        fine = *x->p == '{' ? read_map(x, out) : read_list(x, out);
        x->depth--;
        return fine;
    case 't':
        return read_word(x, "true", tmpl_bool(true), out);
    case 'f':
        return read_word(x, "false", tmpl_bool(false), out);
    case 'n':
        return read_word(x, "null", (struct tmpl_value){0}, out);
    default:
        return read_number(x, out);
    }
}

TMPL_FN(lq_fn_from_json)
{
    struct reader x = {r, args[0].s.p, args[0].s.p + args[0].s.n, 0};

    (void)n;
    if (args[0].s.n == 0 || !read_value(&x, out) || json_skip(x.p, x.end) != x.end)
        *out = (struct tmpl_value){0};
    return 0;
}
