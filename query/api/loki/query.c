/*
 * query.c - query, query_range, format_query, and their forerunner /api/prom/query.
 *
 * Parameters are read on the I/O thread and faults answered there. The query is parsed and run on the pool.
 */
#include "query/api/loki/inside.h"

#define SINCE_NS (3600 * NS_PER_S)

enum { LIMIT = 100, PRETTY_WIDTH = 100 };

/* --- running ------------------------------------------------------------------------------------------------ */

static void put_warnings(struct buf *b, const struct logql_result *res)
{
    if (res->nwarnings == 0)
        return;
    buf_putz(b, ",\"warnings\":[");
    for (uint32_t i = 0; i < res->nwarnings; i++) {
        if (i)
            buf_putc(b, ',');
        json_put_string(b, res->warnings[i]);
    }
    buf_putc(b, ']');
}

/* resultType, encodingFlags, result, stats: in this order, since clients read it as it comes. */
static void put_answer(struct api_stream *s, const struct loki_call *k, const struct logql_result *res)
{
    buf_printf(&s->b, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",", loki_type_name(res->type));
    if (k->categories)
        buf_putz(&s->b, "\"encodingFlags\":[\"categorize-labels\"],");
    buf_putz(&s->b, "\"result\":");
    loki_put_result(s, res, k->categories);
    buf_putz(&s->b, ",\"stats\":");
    loki_put_stats(&s->b, k, &res->stats, res->entries);
    buf_putc(&s->b, '}');
    put_warnings(&s->b, res);
    buf_putc(&s->b, '}');
}

/* {"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"...","line":"..."}]}]} */
static void put_legacy(struct api_stream *s, const struct loki_call *k, const struct logql_result *res)
{
    struct buf text = {0};

    buf_putz(&s->b, "{\"streams\":[");
    for (uint32_t i = 0; i < res->nstreams && api_stream_flush(s) == 0; i++) {
        const struct logql_stream *one = &res->streams[i];

        buf_reset(&text);
        labels_print(&text, &one->labels);
        buf_putz(&s->b, i ? ",{\"labels\":" : "{\"labels\":");
        json_put_string(&s->b, buf_str(&text));
        buf_putz(&s->b, ",\"entries\":[");
        for (uint32_t n = 0; n < one->n && api_stream_flush(s) == 0; n++) {
            char t[NUM_MAX];
            struct str when = str_n(t, time_fmt_rfc3339(one->entries[n].t_ns / NS_PER_MS, t));

            /* Milliseconds become ns: the last of them stand before the Z. */
            buf_printf(&s->b, "%s{\"ts\":\"%.*s%06lldZ\",\"line\":", n ? "," : "", STR_ARG(str_head(when, when.n - 1)),
                       (long long)(one->entries[n].t_ns % NS_PER_MS));
            json_put_string(&s->b, one->entries[n].line);
            buf_putc(&s->b, '}');
        }
        buf_putz(&s->b, "]}");
    }
    buf_putz(&s->b, "],\"stats\":");
    loki_put_stats(&s->b, k, &res->stats, res->entries);
    buf_putc(&s->b, '}');
    buf_release(&text);
}

static int evaluate(struct loki_call *k, struct query *q, struct logql_result *res, struct err *e)
{
    struct logql_opts o = {.ls = k->c->logs,
                           .start_ns = k->w.start_ns,
                           .end_ns = k->w.end_ns,
                           .step_ns = k->step_ns,
                           .instant = k->instant,
                           .limit = k->limit,
                           .backward = k->backward,
                           .interval_ns = k->interval_ns,
                           .categorize = k->categories};
    const struct loki_limits *m = &k->c->limits;
    struct logql_tree *t;

    if (loki_parse(q, q->text, &t, e) < 0)
        return e->code;
    if (logql_is_log(t) && k->instant)
        return err_set(e, ERR_INVALID, "log queries are not supported as an instant query type, please change your query to a range query type");
    if (k->legacy && !logql_is_log(t))
        return err_set(e, ERR_INVALID, "legacy endpoints only support %s result type", "streams");
    if (logql_is_log(t) && m->entries_max && k->limit > m->entries_max)
        return err_set(e, ERR_LIMIT, "max entries limit per query exceeded, limit > max_entries_limit_per_query (%u > %u)", k->limit, m->entries_max);
    if (m->range_ms_max && (k->w.end_ns - k->w.start_ns) / NS_PER_MS > m->range_ms_max)
        return err_set(e, ERR_LIMIT, "the query time range exceeds the limit (query length: %s, limit: %s)",
                       loki_duration_text(&q->arena, k->w.end_ns - k->w.start_ns).p, loki_duration_text(&q->arena, m->range_ms_max * NS_PER_MS).p);
    if (logql_query(q, t, &o, res, e) < 0)
        return e->code;
    if (m->series_max && res->nseries > m->series_max)
        return err_set(e, ERR_LIMIT, "maximum number of series (%u) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()", m->series_max);
    return 0;
}

static void run_query(struct loki_call *k, struct query *q)
{
    struct logql_result res = {0};
    struct api_stream s;
    struct err e;

    if (evaluate(k, q, &res, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    api_stream_init(&s, k->r, q, NULL);
    s.within_ms = q->limits.timeout_ms; /* once more: who holds a place must not hold it for ever */
    if (k->legacy)
        put_legacy(&s, k, &res);
    else
        put_answer(&s, k, &res);
    query_end(q);
    loki_stream_end(&s);
}

/* --- parameters ---------------------------------------------------------------------------------------------- */

static int common_params(struct loki_call *k, struct err *e)
{
    k->categories = loki_wants_categories(k->r);
    if (loki_count_param(k->r, "limit", LIMIT, &k->limit, e) < 0)
        return e->code;
    return loki_direction_param(k->r, &k->backward, e);
}

static void handle_query(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_query);
    int64_t time = clock_wall_ns();
    struct err e;

    if (common_params(k, &e) < 0 || loki_time_param(r, "time", &time, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    k->instant = true;
    k->w.start_ns = k->w.end_ns = time;
    loki_call_start(k, api_param(r, "query"));
}

static int range_params(struct loki_call *k, struct err *e)
{
    struct str interval = api_param(k->r, "interval");

    if (loki_window_params(k->r, SINCE_NS, &k->w, e) < 0 || common_params(k, e) < 0 || loki_step_param(k->r, &k->w, &k->step_ns, e) < 0)
        return e->code;
    if (interval.n && loki_parse_duration(interval, &k->interval_ns, e) < 0)
        return e->code;
    return k->interval_ns < 0 ? err_set(e, ERR_INVALID, "interval must be >= 0") : 0;
}

static void start_range(struct http_request *r, const struct loki_ctx *c, bool legacy)
{
    struct loki_call *k = loki_call_new(c, r, run_query);
    struct str query = api_param(r, "query"), contains = api_param(r, "regexp");
    struct err e;

    if (range_params(k, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    k->legacy = legacy;
    k->categories &= !legacy;
    if (legacy && contains.n) {
        struct buf b = {0};

        buf_puts(&b, query);
        buf_putz(&b, " |~ ");
        buf_put_quoted(&b, contains);
        query = arena_dup(r->arena, buf_str(&b));
        buf_release(&b);
    }
    loki_call_start(k, query);
}

static void handle_query_range(struct http_request *r, void *arg)
{
    start_range(r, arg, false);
}

static void handle_legacy(struct http_request *r, void *arg)
{
    start_range(r, arg, true);
}

/* --- the text itself -------------------------------------------------------------------------------------------- */

static void run_format(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct buf pretty = {0}, b = {0};
    struct logql_tree *t;
    struct err e;

    if (loki_parse(q, q->text, &t, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    logql_pretty(&pretty, t->root, PRETTY_WIDTH);
    buf_putz(&b, "{\"status\":\"success\",\"data\":");
    json_put_string(&b, buf_str(&pretty));
    buf_putc(&b, '}');
    buf_release(&pretty);
    query_end(q);
    loki_answer_json(r, &b);
}

static void handle_format(struct http_request *r, void *arg)
{
    loki_call_start(loki_call_new(arg, r, run_format), api_param(r, "query"));
}

void loki_routes_query(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/query", PERM_READ, 0, handle_query, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/query_range", PERM_READ, 0, handle_query_range, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/format_query", PERM_READ, 0, handle_format, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/prom/query", PERM_READ, 0, handle_legacy, c);
}
