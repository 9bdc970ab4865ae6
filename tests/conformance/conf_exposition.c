/*
 * conf_exposition.c - scrape bodies: *.jsonl cases (body, whether it parses, the entries it gives) and whole bodies
 * (NAME.prom.txt, NAME.om.txt), of which the number of series is checked.
 *
 * The case files hold NUL bytes inside strings, which cJSON cuts off, so they are read by json_in.h.
 */
#include "collector/scrape/expo.h"
#include "tests/conformance/conformance.h"
#include "tsdb/tsdb.h"

#include <stdlib.h>

/* --- JSON ------------------------------------------------------------------------------------------ */

struct value {
    enum json_kind kind;
    struct str text; /* of a string, or as written */
    struct value *v;
    struct str *keys;
    uint32_t n;
};

static bool read_value(struct json_in *j, struct value *out);

/* Room for one more item; doubles. */
static void grow(struct arena *a, struct value *list)
{
    uint32_t n = list->n;
    struct value *v;
    struct str *keys;

    if (n & (n - 1))
        return;
    v = arena_array(a, struct value, n ? n * 2 : 1);
    keys = arena_array(a, struct str, n ? n * 2 : 1);
    if (n) {
        memcpy(v, list->v, sizeof(*v) * n);
        memcpy(keys, list->keys, sizeof(*keys) * n);
    }
    list->v = v;
    list->keys = keys;
}

static bool read_items(struct json_in *j, struct value *out)
{
    bool map = out->kind == JSON_OBJECT;
    struct str key = STR_NULL;
    int rc = json_in_open(j, map ? '{' : '[');

    while (rc == 0 && (rc = map ? json_in_key(j, &key) : json_in_item(j)) == 0) {
        grow(j->a, out);
        out->keys[out->n] = key;
        if (!read_value(j, &out->v[out->n++]))
            return false;
    }
    return rc > 0;
}

static bool read_value(struct json_in *j, struct value *out)
{
    *out = (struct value){.kind = json_in_peek(j)};
    if (out->kind == JSON_OBJECT || out->kind == JSON_ARRAY)
        return read_items(j, out);
    return (out->kind == JSON_STRING ? json_in_string(j, &out->text) : json_in_skip(j, &out->text)) == 0;
}

static const struct value *get(const struct value *m, const char *key)
{
    for (uint32_t i = 0; m && i < m->n; i++) {
        if (str_eqz(m->keys[i], key))
            return &m->v[i];
    }
    return NULL;
}

static struct str get_str(const struct value *m, const char *key)
{
    const struct value *v = get(m, key);

    return v ? v->text : STR_NULL;
}

static int64_t get_i64(const struct value *m, const char *key)
{
    int64_t v = 0;

    str_to_i64(get_str(m, key), &v);
    return v;
}

static bool same_number(const struct value *want, double got)
{
    double v = 0;
    bool range;

    if (!want || !num_parse(want->text, &v, &range))
        return false;
    return v == got || (v != v && got != got);
}

/* --- entries ----------------------------------------------------------------------------------------- */

static bool same_value(struct str name, struct str want, struct str got, bool lost_type)
{
    char text[NUM_MAX];
    bool range;
    double v;

    if (str_eq(want, got))
        return true;
    return lost_type && (str_eqz(name, "le") || str_eqz(name, "quantile")) && num_parse(got, &v, &range) &&
           str_eq(want, str_n(text, num_fmt_label(v, text)));
}

/*
 * lost_type: the case is one line cut out of a body, and its labels are written as that body's TYPE made them. The TYPE
 * is not in the case, so there le and quantile are compared as numbers.
 */
static const char *labels_differ(const struct value *want, const struct labels *got, bool lost_type)
{
    uint32_t n = 0;

    for (uint32_t i = 0; want && i < want->n; i++) {
        if (want->v[i].text.n == 0)
            continue;
        n++;
        if (!same_value(want->keys[i], want->v[i].text, labels_get(got, want->keys[i]), lost_type))
            return "labels differ";
    }
    return n == got->n ? NULL : "number of labels differs";
}

static const char *exemplars_differ(const struct value *want, const struct expo_entry *en)
{
    uint32_t n = want ? want->n : 0;

    if (n != en->nexemplars)
        return "number of exemplars differs";
    for (uint32_t i = 0; i < n; i++) {
        const struct value *w = &want->v[i];
        const char *differs = labels_differ(get(w, "labels"), &en->exemplars[i].labels, false);

        if (differs)
            return "labels of an exemplar differ";
        if (!same_number(get(w, "value"), en->exemplars[i].v))
            return "value of an exemplar differs";
        if ((get(w, "ts") != NULL) != en->exemplars[i].has_t || get_i64(w, "ts") != en->exemplars[i].t)
            return "time of an exemplar differs";
    }
    return NULL;
}

static const char *series_differs(struct expo *x, struct arena *a, const struct value *want,
                                  const struct expo_entry *en, bool lost_type)
{
    struct labels ls;
    const char *differs;

    if (!str_eq(en->series, get_str(want, "m")))
        return "metric text differs";
    if (expo_labels(x, en, a, &ls, NULL) < 0)
        return "labels do not parse";
    if (get(want, "labels") && (differs = labels_differ(get(want, "labels"), &ls, lost_type)))
        return differs;
    if (get(want, "value") && !same_number(get(want, "value"), en->v))
        return "value differs";
    if (get(want, "labels") && ((get(want, "ts") != NULL) != en->has_t || get_i64(want, "ts") != en->t))
        return "time differs";
    if (get_i64(want, "st") != en->st)
        return "start time differs";
    return get(want, "labels") ? exemplars_differ(get(want, "exemplars"), en) : NULL;
}

static const char *entry_differs(struct expo *x, struct arena *a, const struct value *want, const struct expo_entry *en,
                                 bool lost_type)
{
    static const char *const kinds[] = {[EXPO_HELP] = "help",
                                        [EXPO_TYPE] = "type",
                                        [EXPO_UNIT] = "unit",
                                        [EXPO_COMMENT] = "comment",
                                        [EXPO_SERIES] = "series"};

    if (!str_eqz(get_str(want, "kind"), kinds[en->kind]))
        return "kind differs";
    switch (en->kind) {
    case EXPO_SERIES:
        return series_differs(x, a, want, en, lost_type);
    case EXPO_HELP:
        return str_eq(en->family, get_str(want, "m")) && str_eq(en->text, get_str(want, "help")) ? NULL
                                                                                                 : "help differs";
    case EXPO_UNIT:
        return str_eq(en->family, get_str(want, "m")) && str_eq(en->text, get_str(want, "unit")) ? NULL
                                                                                                 : "unit differs";
    case EXPO_TYPE:
        return str_eq(en->family, get_str(want, "m")) && str_eqz(get_str(want, "type"), metric_type_name(en->type))
                   ? NULL
                   : "type differs";
    default:
        return NULL;
    }
}

/* --- cases ------------------------------------------------------------------------------------------- */

/* Reads a whole body; entries NULL: only whether it parses. NULL in *differs: as expected. */
static int run_body(struct arena *a, enum expo_format format, struct str body, const struct value *entries,
                    const char **differs, uint32_t *at, uint64_t *nseries, struct err *e)
{
    struct expo_opts o = {.start_timestamps = format == EXPO_OPENMETRICS};
    struct expo *x = expo_new(a, format, body, &o);
    bool lost_type = entries && entries->n == 1 && str_find(body, STR("TYPE")) < 0;
    struct expo_entry en;
    struct labels ls;
    int code;

    *differs = NULL;
    for (*at = 0; (code = expo_next(x, &en, e)) == 0 && en.kind != EXPO_END; (*at)++) {
        if (en.kind == EXPO_SERIES) {
            ++*nseries;
            if ((code = expo_labels(x, &en, a, &ls, e)) < 0)
                return code;
        }
        if (entries && !*differs && *at < entries->n &&
            (*differs = entry_differs(x, a, &entries->v[*at], &en, lost_type)))
            return 0;
    }
    if (code == 0 && entries && *at != entries->n)
        *differs = "number of entries differs";
    return code;
}

static void run_case(struct arena *a, const struct value *c, struct conf_report *r)
{
    struct str id = get_str(c, "id"), format = get_str(c, "format"), body = get_str(c, "input");
    bool ok = get(c, "ok") && get(c, "ok")->kind == JSON_TRUE;
    const char *differs;
    uint64_t nseries = 0;
    uint32_t at;
    struct err e = {0};
    int code;

    if (!format.p && !ok)
        return; /* the strict specification: what it forbids, a scraper may take */
    if (get(c, "input_b64"))
        body = conf_base64(a, get_str(c, "input_b64"));
    code = run_body(a, str_eqz(format, "prometheus") ? EXPO_TEXT : EXPO_OPENMETRICS, body, get(c, "entries"), &differs,
                    &at, &nseries, &e);
    id = arena_dup(a, id);
    if (differs)
        conf_fail(r, id.p, "entry %u: %s", at, differs);
    else if (ok && code < 0)
        conf_fail(r, id.p, "must parse, but: %s", e.text);
    else if (!ok && code == 0)
        conf_fail(r, id.p, "must not parse (%.*s)", STR_ARG(get_str(c, "error")));
    else
        conf_pass(r);
}

static int run_cases(struct str text, struct conf_report *r)
{
    struct str line;

    while (text.n) {
        struct arena a = {0};
        struct json_in j;
        struct value v;

        str_cut(&text, '\n', &line);
        if (line.n) {
            json_in_init(&j, &a, line, 20, JSON_CONTROL_FINE, NULL);
            if (!read_value(&j, &v) || json_in_end(&j) < 0 || v.kind != JSON_OBJECT) {
                conf_fail(r, "a line", "is not a JSON object");
                arena_release(&a);
                return -1;
            }
            run_case(&a, &v, r);
        }
        arena_release(&a);
    }
    return 0;
}

static void run_whole(struct str body, bool om, struct conf_report *r)
{
    struct arena a = {0};
    uint64_t nseries = 0, want = 0;
    struct str rest = body, line;
    struct err e = {0};
    const char *differs;
    uint32_t at;

    while (rest.n) {
        str_cut(&rest, '\n', &line);
        want += line.n && line.p[0] != '#' &&
                !(om && str_find(str_head(line, (size_t)MAX(str_chr(line, ' '), 0)), STR("_created")) >= 0);
    }
    if (run_body(&a, om ? EXPO_OPENMETRICS : EXPO_TEXT, body, NULL, &differs, &at, &nseries, &e) < 0)
        conf_fail(r, "the body", "must parse, but: %s", e.text);
    else if (nseries != want)
        conf_fail(r, "the body", "%llu series, expected %llu", (unsigned long long)nseries, (unsigned long long)want);
    else
        conf_pass(r);
    arena_release(&a);
}

int conf_exposition(struct str path, struct conf_report *r)
{
    struct buf text = {0};
    int code = 0;

    if (conf_read(path, &text) < 0)
        return -1;
    if (str_ends(path, STR(".om.txt")) || str_ends(path, STR(".prom.txt")))
        run_whole(buf_str(&text), str_ends(path, STR(".om.txt")), r);
    else
        code = run_cases(buf_str(&text), r);
    buf_release(&text);
    return code;
}
