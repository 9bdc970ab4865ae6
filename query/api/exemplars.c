/* exemplars.c - query_exemplars (of every selector in an expression) and metadata. */
#include "query/api/inside.h"

#include "tsdb/tsdb.h"

#include <stdlib.h>

/* --- exemplars -------------------------------------------------------------------------------------------- */

struct gather {
    struct api_call *k;
    struct query *q;
    struct tsdb_series_exemplars *v;
    uint32_t n, cap;
    uint32_t nselectors;
    struct err *e;
};

static int gather_selector(void *arg, struct node *n)
{
    struct gather *g = arg;
    struct tsdb_series_exemplars *v;
    uint32_t nv;
    int code;

    if (n->kind != N_SELECTOR)
        return 0;
    g->nselectors++;
    code = query_check(g->q, "exemplars", g->e);
    if (code == 0)
        code = tsdb_exemplars(g->k->c->db, n->selector.matchers, n->selector.nmatchers, g->k->mint, g->k->maxt,
                              &g->q->arena, &v, &nv, g->e);
    if (code < 0)
        return code;
    if (g->n + nv > g->cap) {
        uint32_t cap = MAX(g->cap * 2, g->n + nv);
        struct tsdb_series_exemplars *more = arena_array(&g->q->arena, struct tsdb_series_exemplars, cap);

        if (g->n)
            memcpy(more, g->v, g->n * sizeof *more);
        g->v = more;
        g->cap = cap;
    }
    for (uint32_t i = 0; i < nv; i++)
        g->v[g->n++] = v[i];
    return 0;
}

static int by_series(const void *a, const void *b)
{
    const struct tsdb_series_exemplars *x = a, *y = b;

    return labels_cmp(&x->labels, &y->labels);
}

static void put_exemplars(struct api_stream *s, const struct tsdb_series_exemplars *one)
{
    buf_putz(&s->b, "{\"seriesLabels\":");
    api_put_metric(&s->b, &one->labels);
    buf_putz(&s->b, ",\"exemplars\":[");
    for (uint32_t i = 0; i < one->n; i++) {
        char v[NUM_MAX];

        buf_putz(&s->b, i ? ",{\"labels\":" : "{\"labels\":");
        api_put_metric(&s->b, &one->v[i].labels);
        buf_printf(&s->b, ",\"value\":\"%.*s\",\"timestamp\":", (int)num_fmt_sample(one->v[i].v, v), v);
        api_put_time(&s->b, one->v[i].t);
        buf_putc(&s->b, '}');
    }
    buf_putz(&s->b, "]}");
}

static void run_exemplars(struct api_call *k, struct query *q)
{
    struct err e;
    struct gather g = {.k = k, .q = q, .e = &e};
    struct node *n = NULL;
    struct api_stream s;
    uint32_t put = 0;
    int code = promql_parse_query(q, &n, &e);

    if (code == 0)
        code = promql_walk(n, gather_selector, &g);
    promql_release(n);
    if (code < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    if (g.nselectors == 0) { /* Prometheus has nothing to say then */
        struct http_request *r = k->r;

        query_end(q);
        http_reply(r, 204, NULL, STR(""));
        return;
    }
    if (g.n > 1)
        qsort(g.v, g.n, sizeof *g.v, by_series);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":[");
    for (uint32_t i = 0; i < g.n && api_stream_flush(&s) == 0; i++) {
        if (g.v[i].n == 0 || (i && labels_eq(&g.v[i - 1].labels, &g.v[i].labels))) /* two selectors found the same */
            continue;
        if (put++)
            buf_putc(&s.b, ',');
        put_exemplars(&s, &g.v[i]);
    }
    buf_putz(&s.b, "]}");
    query_end(q);
    api_stream_end(&s);
}

static void handle_exemplars(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_exemplars);
    struct err e;

    if (api_time_param(r, "start", &k->mint, &e) < 0 || api_time_param(r, "end", &k->maxt, &e) < 0) {
        api_answer_error(r, &e);
        return;
    }
    if (k->maxt < k->mint) {
        err_set(&e, ERR_INVALID, "end timestamp must not be before start timestamp");
        api_answer_error(r, &e);
        return;
    }
    api_call_start(k, api_param(r, "query"), 0);
}

/* --- metadata ---------------------------------------------------------------------------------------------- */

struct meta_call {
    struct api_call k;         /* first */
    int64_t limit, per_metric; /* -1: none; 0 of limit is none at all */
};

static int by_family(const void *a, const void *b)
{
    const struct tsdb_metadata *const *x = a, *const *y = b;
    int c = str_cmp((*x)->family, (*y)->family);

    return c ? c : (*x > *y) - (*x < *y); /* newest first within a family, as given */
}

static bool same_metadata(const struct tsdb_metadata *a, const struct tsdb_metadata *b)
{
    return a->type == b->type && str_eq(a->help, b->help) && str_eq(a->unit, b->unit);
}

static void put_metadata(struct json *j, const struct tsdb_metadata *m)
{
    json_obj(j);
    json_key(j, "type");
    json_strz(j, metric_type_name(m->type));
    json_key(j, "unit");
    json_str(j, m->unit);
    json_key(j, "help");
    json_str(j, m->help);
    json_end_obj(j);
}

/* One family: v[0..n-1], without doubles. */
static void put_family(struct json *j, const struct tsdb_metadata **v, uint32_t n, int64_t most)
{
    int64_t put = 0;

    json_key_str(j, v[0]->family);
    json_arr(j);
    for (uint32_t i = 0; i < n && (most <= 0 || put < most); i++) {
        uint32_t k = 0;

        while (k < i && !same_metadata(v[k], v[i]))
            k++;
        if (k < i)
            continue;
        put_metadata(j, v[i]);
        put++;
    }
    json_end_arr(j);
}

static void run_metadata(struct api_call *k, struct query *q)
{
    const struct meta_call *mc = (const struct meta_call *)k;
    const struct tsdb_metadata **sorted;
    struct tsdb_metadata *v;
    uint32_t n, from = 0;
    int64_t families = 0;
    struct api_stream s;
    struct json j;
    struct err e;

    if (tsdb_metadata(k->c->db, k->name, &q->arena, &v, &n, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    sorted = arena_alloc(&q->arena, (n + 1) * sizeof *sorted);
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &v[i];
    if (n > 1)
        qsort(sorted, n, sizeof *sorted, by_family);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":");
    json_init(&j, &s.b);
    json_obj(&j);
    for (uint32_t i = 1; i <= n && (mc->limit < 0 || families < mc->limit) && api_stream_flush(&s) == 0; i++) {
        if (i < n && str_eq(sorted[i]->family, sorted[from]->family))
            continue;
        put_family(&j, sorted + from, i - from, mc->per_metric);
        from = i;
        families++;
    }
    json_end_obj(&j);
    buf_putc(&s.b, '}');
    query_end(q);
    api_stream_end(&s);
}

static bool count_param(struct http_request *r, const char *name, int64_t *v)
{
    struct str s = api_param(r, name);
    struct err e;

    if (s.n == 0 || str_to_i64(s, v))
        return true;
    err_set(&e, ERR_INVALID, "%s must be a number", name);
    api_answer_error(r, &e);
    return false;
}

static void handle_metadata(struct http_request *r, void *arg)
{
    struct meta_call *mc = arena_new(r->arena, struct meta_call);

    mc->k = *api_call_new(arg, r, run_metadata);
    mc->k.name = api_param(r, "metric");
    mc->limit = mc->per_metric = -1;
    if (count_param(r, "limit", &mc->limit) && count_param(r, "limit_per_metric", &mc->per_metric))
        api_call_start(&mc->k, STR("metadata"), 0);
}

void api_routes_exemplars(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/query_exemplars", PERM_READ, 0, handle_exemplars, c);
    http_route(s, HTTP_GET, "/api/v1/metadata", PERM_READ, 0, handle_metadata, c);
}
