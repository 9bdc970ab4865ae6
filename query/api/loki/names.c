/*
 * names.c - labels, label/NAME/values, series: which streams there are. Nothing is read but the index.
 *
 * Several match[] are a union. Answers are sorted and without doubles.
 */
#include "query/api/loki/inside.h"

#include <stdlib.h>

#define SINCE_NS (6 * 3600 * NS_PER_S)

/* --- labels and values ----------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void add_once(struct map *seen, struct str s)
{
    if (s.n)
        map_put(seen, s, NULL);
}

/* What stands in the map, sorted, in a. */
static struct str *sorted_keys(struct arena *a, const struct map *seen, uint32_t *n)
{
    struct str *v = arena_array(a, struct str, seen->n + 1);
    const struct map_entry *en;
    uint32_t at = 0;

    *n = 0;
    while ((en = map_next(seen, &at)))
        v[(*n)++] = en->key;
    if (*n > 1)
        qsort(v, *n, sizeof *v, by_text);
    return v;
}

static void put_strings(struct api_stream *s, const struct str *v, uint32_t n)
{
    for (uint32_t i = 0; i < n && api_stream_flush(s) == 0; i++) {
        if (i)
            buf_putc(&s->b, ',');
        json_put_string(&s->b, v[i]);
    }
}

static void run_names(struct loki_call *k, struct query *q)
{
    struct labels *streams;
    struct map seen = {0};
    struct api_stream s;
    struct str *v;
    uint32_t n;
    struct err e;

    if (loki_streams(k, q, api_param(k->r, "query"), &streams, &n, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (k->name.n)
            add_once(&seen, labels_get(&streams[i], k->name));
        else
            for (uint32_t j = 0; j < streams[i].n; j++)
                add_once(&seen, streams[i].v[j].name);
    }
    v = sorted_keys(&q->arena, &seen, &n);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, k->legacy ? "{\"values\":[" : "{\"status\":\"success\",\"data\":[");
    put_strings(&s, v, n);
    buf_putz(&s.b, "]}");
    map_release(&seen);
    query_end(q);
    loki_stream_end(&s);
}

static void start_names(struct http_request *r, const struct loki_ctx *c, bool legacy)
{
    struct loki_call *k = loki_call_new(c, r, run_names);
    struct err e;

    k->legacy = legacy;
    k->name = r->vars[0].p ? r->vars[0] : STR("");
    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    loki_call_start(k, k->name.n ? arena_printf(r->arena, "values of label %.*s", STR_ARG(str_head(k->name, 200))) : STR("label names"));
}

static void handle_names(struct http_request *r, void *arg)
{
    start_names(r, arg, false);
}

static void handle_names_legacy(struct http_request *r, void *arg)
{
    start_names(r, arg, true);
}

/* --- series ------------------------------------------------------------------------------------------------ */

struct found {
    struct labels *v;
    uint32_t n, cap;
};

static void add_all(struct arena *a, struct found *f, const struct labels *v, uint32_t n)
{
    if (f->n + n > f->cap) {
        uint32_t cap = MAX(f->cap * 2, f->n + n);
        struct labels *more = arena_array(a, struct labels, cap);

        if (f->n)
            memcpy(more, f->v, f->n * sizeof *more);
        f->v = more;
        f->cap = cap;
    }
    if (n)
        memcpy(f->v + f->n, v, n * sizeof *v);
    f->n += n;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(a, b);
}

static void sort_found(struct found *f)
{
    uint32_t n = 0;

    if (f->n < 2)
        return;
    qsort(f->v, f->n, sizeof *f->v, by_labels);
    for (uint32_t i = 1; i < f->n; i++)
        if (!labels_eq(&f->v[n], &f->v[i]))
            f->v[++n] = f->v[i];
    f->n = n + 1;
}

/* Every match[] (and match, as old clients write it); none: all streams. */
static int collect(struct loki_call *k, struct query *q, struct found *f, struct err *e)
{
    const struct params *ps = &k->r->params;
    bool any = false;
    struct labels *v;
    uint32_t n;

    for (uint32_t i = 0; i < ps->n; i++) {
        if (!str_eqz(ps->v[i].name, "match[]") && !str_eqz(ps->v[i].name, "match"))
            continue;
        any = true;
        if (query_check(q, "series", e) < 0 || loki_streams(k, q, ps->v[i].value, &v, &n, e) < 0)
            return e->code;
        add_all(&q->arena, f, v, n);
    }
    if (!any) {
        if (loki_streams(k, q, STR(""), &v, &n, e) < 0)
            return e->code;
        add_all(&q->arena, f, v, n);
    }
    sort_found(f);
    return 0;
}

static void run_series(struct loki_call *k, struct query *q)
{
    struct found f = {0};
    struct api_stream s;
    struct err e;

    if (collect(k, q, &f, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":[");
    for (uint32_t i = 0; i < f.n && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        loki_put_labels(&s.b, &f.v[i]);
    }
    buf_putz(&s.b, "]}");
    query_end(q);
    loki_stream_end(&s);
}

static void handle_series(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_series);
    struct err e;

    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    loki_call_start(k, arena_printf(r->arena, "series %.*s", STR_ARG(str_head(api_param(r, "match[]"), 1000))));
}

void loki_routes_names(struct http_server *s, struct loki_ctx *c)
{
    static const char *const names[] = {"/loki/api/v1/labels", "/loki/api/v1/label", "/loki/api/v1/label/{name}/values"};
    static const char *const legacy[] = {"/api/prom/label", "/api/prom/label/{name}/values"};
    static const char *const series[] = {"/loki/api/v1/series", "/api/prom/series"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        http_route(s, HTTP_GET | HTTP_POST, names[i], PERM_READ, 0, handle_names, c);
    for (size_t i = 0; i < ARRAY_LEN(legacy); i++)
        http_route(s, HTTP_GET | HTTP_POST, legacy[i], PERM_READ, 0, handle_names_legacy, c);
    for (size_t i = 0; i < ARRAY_LEN(series); i++)
        http_route(s, HTTP_GET | HTTP_POST, series[i], PERM_READ, 0, handle_series, c);
}
