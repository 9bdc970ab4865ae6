/*
 * tmpl_json.c - fromJson: a JSON text as values. What is none is nil, as in sprig; what is JSON is what Go's encoding/json takes
 * for it, so base/json_in.h is followed to the letter.
 */
#include "base/json_in.h"
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

enum { DEPTH_MAX = 200 };

struct reader {
    struct tmpl_run *r;
    struct json_in in;
};

static int read_value(struct reader *x, struct tmpl_value *out);

/* Escapes are undone in the memory of the run, which is bounded. */
static int plain(struct reader *x, struct str inside, bool escaped, struct str *out)
{
    size_t n;
    char *copy;

    *out = inside;
    if (!escaped)
        return 0;
    copy = tmpl_alloc(x->r, inside.n);
    n = copy ? json_unescape(inside, JSON_HALF_FFFD, copy) : SIZE_MAX;
    *out = str_n(copy, n);
    return n == SIZE_MAX ? ERR_INVALID : 0;
}

static int read_string(struct reader *x, struct str *out)
{
    struct str inside;
    bool escaped;

    return json_in_raw_string(&x->in, &inside, &escaped) < 0 ? ERR_INVALID : plain(x, inside, escaped, out);
}

static int read_number(struct reader *x, struct tmpl_value *out)
{
    struct str text;
    double v;

    if (json_in_number(&x->in, &text) < 0 || !num_parse(text, &v, NULL))
        return ERR_INVALID;
    *out = tmpl_float(v);
    return 0;
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

static int read_list(struct reader *x, struct tmpl_value *out)
{
    struct tmpl_value *v = NULL;
    uint32_t n = 0;
    int rc = json_in_open(&x->in, '[');

    while (rc == 0 && (rc = json_in_item(&x->in)) == 0) {
        v = grow(x, v, n, sizeof *v);
        rc = v ? read_value(x, &v[n++]) : ERR_LIMIT;
    }
    *out = (struct tmpl_value){TMPL_T_LIST, {.list = {v, n}}};
    return rc < 0 ? rc : 0;
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

static int read_map(struct reader *x, struct tmpl_value *out)
{
    struct tmpl_entry *v = NULL;
    uint32_t n = 0;
    struct str inside;
    bool escaped;
    int rc = json_in_open(&x->in, '{');

    while (rc == 0 && (rc = json_in_raw_key(&x->in, &inside, &escaped)) == 0) {
        v = grow(x, v, n, sizeof *v);
        rc = v && plain(x, inside, escaped, &v[n].key) == 0 ? read_value(x, &v[n].value) : ERR_INVALID;
        n++;
    }
    if (rc < 0)
        return rc;
    *out = (struct tmpl_value){TMPL_T_MAP, {.map = {v, sort_entries(v, n)}}};
    return 0;
}

static int read_value(struct reader *x, struct tmpl_value *out)
{
    enum json_kind kind = json_in_peek(&x->in);

    *out = (struct tmpl_value){0};
    if (tmpl_steps(x->r, 1) < 0)
        return ERR_LIMIT;
    switch (kind) {
    case JSON_STRING:
        out->type = TMPL_T_STRING;
        return read_string(x, &out->s);
    case JSON_OBJECT:
        return read_map(x, out);
    case JSON_ARRAY:
        return read_list(x, out);
    case JSON_NUMBER:
        return read_number(x, out);
    case JSON_TRUE:
    case JSON_FALSE:
        *out = tmpl_bool(kind == JSON_TRUE);
        break;
    default:
        break;
    }
    return json_in_skip(&x->in, NULL);
}

TMPL_FN(lq_fn_from_json)
{
    struct reader x = {.r = r};

    (void)n;
    json_in_init(&x.in, NULL, args[0].s, DEPTH_MAX, JSON_CONTROL_FAULT, NULL);
    if (read_value(&x, out) < 0 || json_in_end(&x.in) < 0)
        *out = (struct tmpl_value){0};
    return 0;
}
