/*
 * fields.c - detected_fields, detected_field/NAME/values, detected_labels: what there is to filter by.
 *
 * Fields are found in a sample: the newest line_limit records that the query keeps. Labels come from the index alone.
 */
#include "query/api/loki/field_set.h"

#include "query/logql/units.h"

#include <stdlib.h>

#define SINCE_NS (3600 * NS_PER_S)

enum { SAMPLE = 1000, SAMPLE_MAX = 5000, FIELDS = 1000 };

/* --- fields ------------------------------------------------------------------------------------------------- */

static int sample(struct loki_call *k, struct query *q, struct field_set *fs, struct err *e)
{
    struct logql_opts o = {.ls = k->c->logs,
                           .start_ns = k->w.start_ns,
                           .end_ns = k->w.end_ns,
                           .limit = k->line_limit,
                           .backward = true,
                           .categorize = true};
    struct logql_result res;
    struct logql_tree *t;
    uint64_t charged, done = 0;

    if (loki_parse(q, q->text, &t, e) < 0)
        return e->code;
    if (!logql_is_log(t))
        return err_set(e, ERR_INVALID, "only log queries have fields: this one gives numbers");
    if (logql_query(q, t, &o, &res, e) < 0 || field_set_init(fs, &q->arena, FIELDS, e) < 0)
        return e->code;
    fs->only = k->name;
    charged = q->arena.bytes;
    for (uint32_t i = 0; i < res.nstreams; i++)
        for (uint32_t n = 0; n < res.streams[i].n; n++) {
            field_set_add(fs, &res.streams[i].labels, &res.streams[i].entries[n]);
            if (api_charge_arena(q, &charged, "detected fields", e) < 0 ||
                (done++ % 64 == 0 && query_check(q, "detected fields", e) < 0)) {
                field_set_release(fs);
                return e->code;
            }
        }
    return 0;
}

static void put_field(struct json *j, const struct field *f)
{
    json_obj(j);
    json_key(j, "label");
    json_str(j, f->name);
    json_key(j, "type");
    json_strz(j, field_type_name(f->type));
    json_key(j, "cardinality");
    json_u64(j, f->values.n);
    json_key(j, "parsers");
    if (f->parsers) {
        json_arr(j);
        if (f->parsers & FIELD_JSON)
            json_strz(j, "json");
        if (f->parsers & FIELD_LOGFMT)
            json_strz(j, "logfmt");
        json_end_arr(j);
    } else {
        json_null(j);
    }
    if (f->path) {
        json_key(j, "jsonPath");
        json_arr(j);
        for (uint32_t i = 0; i < f->npath; i++)
            json_str(j, f->path[i]);
        json_end_arr(j);
    }
    json_end_obj(j);
}

static void run_fields(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct field_set fs = {0};
    struct buf b = {0};
    struct field **v;
    struct json j;
    struct err e;
    uint32_t n;

    if (sample(k, q, &fs, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    n = field_set_list(&fs, &v);
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "fields");
    json_arr(&j);
    for (uint32_t i = 0; i < n && i < k->limit; i++)
        put_field(&j, v[i]);
    json_end_arr(&j);
    json_key(&j, "limit");
    json_u64(&j, k->limit);
    json_end_obj(&j);
    field_set_release(&fs);
    query_end(q);
    loki_answer_json(r, &b);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void run_values(struct loki_call *k, struct query *q)
{
    const struct field *f;
    const struct map_entry *en;
    struct field_set fs = {0};
    struct api_stream s;
    struct str *v;
    struct err e;
    uint32_t n = 0, at = 0;

    if (sample(k, q, &fs, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    f = map_get(&fs.by_name, k->name);
    v = arena_array(&q->arena, struct str, (f ? f->values.n : 0) + 1);
    while (f && (en = map_next(&f->values, &at)))
        v[n++] = en->key;
    if (n > 1)
        qsort(v, n, sizeof *v, by_text);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"values\":[");
    for (uint32_t i = 0; i < n && i < k->limit && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        json_put_string(&s.b, v[i]);
    }
    buf_printf(&s.b, "],\"limit\":%u}", k->limit);
    field_set_release(&fs);
    query_end(q);
    loki_stream_end(&s);
}

static void start_fields(struct http_request *r, const struct loki_ctx *c, void (*run)(struct loki_call *k, struct query *q))
{
    struct loki_call *k = loki_call_new(c, r, run);
    struct err e;

    k->name = r->vars[0].p ? r->vars[0] : STR("");
    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0 ||
        loki_count_param(r, api_param(r, "limit").n ? "limit" : "field_limit", FIELDS, &k->limit, &e) < 0 ||
        loki_count_param(r, "line_limit", SAMPLE, &k->line_limit, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    k->line_limit = MIN(k->line_limit, (uint32_t)SAMPLE_MAX);
    loki_call_start(k, api_param(r, "query"));
}

static void handle_fields(struct http_request *r, void *arg)
{
    start_fields(r, arg, run_fields);
}

static void handle_values(struct http_request *r, void *arg)
{
    start_fields(r, arg, run_values);
}

/* --- labels ---------------------------------------------------------------------------------------------------- */

static bool is_uuid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

        if (dash ? c != '-' : !hex)
            return false;
    }
    return s.n == 36;
}

/* Numbers and ids only are nothing to choose from, but where a name says that they mean a place. */
static bool is_ids(struct str name, const struct map *values)
{
    static const char *const places[] = {"cluster", "namespace", "instance", "pod"};
    const struct map_entry *en;
    uint32_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (str_eqz(name, places[i]))
            return false;
    while ((en = map_next(values, &at))) {
        double v;

        if (!is_uuid(en->key) && !lq_float_parse(en->key, &v))
            return false;
    }
    return true;
}

static void put_labels(struct json *j, const struct map *names, struct arena *a)
{
    struct str *v = arena_array(a, struct str, names->n + 1);
    const struct map_entry *en;
    uint32_t n = 0, at = 0;

    while ((en = map_next(names, &at)))
        v[n++] = en->key;
    if (n > 1)
        qsort(v, n, sizeof *v, by_text);
    for (uint32_t i = 0; i < n; i++) {
        struct map *values = map_get(names, v[i]);

        if (!is_ids(v[i], values)) {
            json_obj(j);
            json_key(j, "label");
            json_str(j, v[i]);
            json_key(j, "cardinality");
            json_u64(j, values->n);
            json_end_obj(j);
        }
        map_release(values);
    }
}

static void run_labels(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct labels *streams;
    struct map names = {0};
    struct buf b = {0};
    struct json j;
    struct err e;
    uint32_t n;

    if (loki_streams(k, q, q->text, &streams, &n, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t l = 0; l < streams[i].n; l++) {
            void **place = map_put(&names, streams[i].v[l].name, NULL);

            if (!*place)
                *place = arena_new(&q->arena, struct map);
            map_put(*place, streams[i].v[l].value, NULL);
        }
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "detectedLabels");
    json_arr(&j);
    put_labels(&j, &names, &q->arena);
    json_end_arr(&j);
    json_end_obj(&j);
    map_release(&names);
    query_end(q);
    loki_answer_json(r, &b);
}

static void handle_labels(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_labels);
    struct err e;

    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0)
        loki_answer_error(r, &e);
    else
        loki_call_start(k, api_param(r, "query"));
}

void loki_routes_fields(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/detected_fields", PERM_READ, 0, handle_fields, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/detected_field/{name}/values", PERM_READ, 0, handle_values, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/detected_labels", PERM_READ, 0, handle_labels, c);
}
