/*
 * query.c - query, query_range, explain, format_query, parse_query.
 *
 * Parameters are read on the I/O thread and faults answered there. The query text is parsed on the pool: it may be
 * long.
 */
#include "query/api/inside.h"

#include <assert.h>
#include <stdio.h>

enum { POINTS_MAX = 11000 };

/* --- running ------------------------------------------------------------------------------------------ */

/* Those of the evaluation, and what the call itself has to say. */
static void put_end(struct api_stream *s, const struct api_call *k, struct query *q, const struct promql_result *res,
                    bool truncated)
{
    struct str *w = arena_array(&q->arena, struct str, res->nwarnings + 2);
    uint32_t n = res->nwarnings;

    if (n)
        memcpy(w, res->warnings, n * sizeof *w);
    if (truncated)
        w[n++] = STR("results truncated due to limit");
    if (k->odd_stats.n) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(k->odd_stats, 200));
        w[n++] = arena_printf(&q->arena,
                              "value %s for parameter \"stats\" is deprecated and will be rejected in the next major "
                              "release, use \"true\" or \"all\"",
                              buf_z(&b));
        buf_release(&b);
    }
    api_put_envelope_end(&s->b, w, n, res->infos, res->ninfos);
}

static void put_answer(struct api_stream *s, struct api_call *k, struct query *q, const struct promql_result *res,
                       const struct api_timings *t)
{
    bool vectors = res->type == PQ_MATRIX || res->type == PQ_VECTOR;

    buf_putz(&s->b, "{\"status\":\"success\",\"data\":{");
    if (k->explain_only)
        buf_printf(&s->b, "\"resultType\":\"%s\",\"series\":%u", api_type_name(res->type), vectors ? res->nseries : 1);
    else
        api_put_result(s, res, k->limit);
    if (k->stats)
        api_put_stats(&s->b, k, q, res, t);
    if (k->opts.explain) {
        buf_putz(&s->b, ",\"explain\":");
        promql_explain(&s->b, res->plan, q->text);
    }
    buf_putc(&s->b, '}');
    put_end(s, k, q, res, vectors && k->limit && res->nseries > k->limit);
}

static void run_query(struct api_call *k, struct query *q)
{
    struct api_timings t = {.asked_ns = k->asked_ns, .began_ns = clock_mono_ns()};
    struct promql_result res = {0};
    struct node *n = NULL;
    struct api_stream s;
    struct err e;
    int code = promql_parse_query(q, &n, &e);

    if (code == 0) {
        t.parsed_ns = clock_mono_ns();
        code = promql_eval(q, n, q->text, &k->opts, &res, &e);
        t.done_ns = clock_mono_ns();
    }
    if (code < 0) {
        if (code == ERR_INVALID)
            api_invalid_param(&e, "query");
        promql_release(n);
        api_call_fail(k, q, &e);
        return;
    }
    api_stream_init(&s, k->r, q, NULL);
    s.within_ms = q->limits.timeout_ms; /* once more: who holds a place must not hold it for ever */
    put_answer(&s, k, q, &res, &t);
    promql_release(n);
    query_end(q);
    api_stream_end(&s);
}

/* --- parameters ---------------------------------------------------------------------------------------- */

/* timeout, lookback_delta, stats, limit: the same for both calls. */
static int common_params(struct api_call *k, int64_t *timeout_ms, struct err *e)
{
    struct str timeout = api_param(k->r, "timeout"), lookback = api_param(k->r, "lookback_delta"),
               stats = api_param(k->r, "stats"), explain = api_param(k->r, "explain"),
               downsample = api_param(k->r, "downsample");
    bool aggregates = true;

    *timeout_ms = 0;
    if (timeout.n && api_parse_duration(timeout, timeout_ms, e) < 0)
        return api_invalid_param(e, "timeout");
    if (timeout.n && *timeout_ms <= 0)
        *timeout_ms = 1; /* over before it began, as upstream's context would be */
    if (lookback.n && api_parse_duration(lookback, &k->opts.lookback_ms, e) < 0)
        return err_ctx(e, "error parsing lookback delta duration");
    k->stats_all = str_eqz(stats, "all");
    if (stats.n && !k->stats_all && !str_eqz(stats, "true"))
        k->odd_stats = stats;
    if (explain.n && api_parse_bool(explain, &k->opts.explain) < 0) {
        err_set(e, ERR_INVALID, "a boolean is wanted, like 1 or true");
        return api_invalid_param(e, "explain");
    }
    if (downsample.n && api_parse_bool(downsample, &aggregates) < 0) {
        err_set(e, ERR_INVALID, "a boolean is wanted, like 1 or true");
        return api_invalid_param(e, "downsample");
    }
    k->opts.samples_only = !aggregates;
    k->opts.explain |= k->explain_only;
    k->stats = k->opts.stats = stats.n > 0 || k->explain_only;
    k->opts.db = k->c->db;
    k->opts.delayed_name_removal = true;
    k->opts.folded = true;
    return 0;
}

static void handle_query(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_query);
    int64_t time = clock_wall_ms(), timeout_ms;
    struct err e;

    if (api_limit_param(r, &k->limit, &e) < 0 || api_time_param(r, "time", &time, &e) < 0 ||
        common_params(k, &timeout_ms, &e) < 0) {
        api_answer_error(r, &e);
        return;
    }
    k->opts.instant = true;
    k->opts.start_ms = k->opts.end_ms = time;
    api_call_start(k, api_param(r, "query"), timeout_ms);
}

static int range_params(struct api_call *k, struct err *e)
{
    struct promql_opts *o = &k->opts;

    if (api_parse_time(api_param(k->r, "start"), &o->start_ms, e) < 0)
        return api_invalid_param(e, "start");
    if (api_parse_time(api_param(k->r, "end"), &o->end_ms, e) < 0)
        return api_invalid_param(e, "end");
    if (o->end_ms < o->start_ms) {
        err_set(e, ERR_INVALID, "end timestamp must not be before start time");
        return api_invalid_param(e, "end");
    }
    if (api_parse_duration(api_param(k->r, "step"), &o->step_ms, e) < 0)
        return api_invalid_param(e, "step");
    if (o->step_ms <= 0) {
        err_set(e, ERR_INVALID,
                "zero or negative query resolution step widths are not accepted. Try a positive integer");
        return api_invalid_param(e, "step");
    }
    if ((o->end_ms - o->start_ms) / o->step_ms > POINTS_MAX)
        return err_set(e, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
                       "resolution (?step=XX)");
    return 0;
}

static void handle_query_range(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_query);
    int64_t timeout_ms;
    struct err e;

    if (api_limit_param(r, &k->limit, &e) < 0 || range_params(k, &e) < 0 || common_params(k, &timeout_ms, &e) < 0) {
        api_answer_error(r, &e);
        return;
    }
    api_call_start(k, api_param(r, "query"), timeout_ms);
}

/* What a query costs, without its result: at an instant, or over a range when there is a start. */
static void handle_explain(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_query);
    int64_t time = clock_wall_ms(), timeout_ms;
    struct err e;

    k->explain_only = true;
    if ((api_param(r, "start").n ? range_params(k, &e) : api_time_param(r, "time", &time, &e)) < 0 ||
        common_params(k, &timeout_ms, &e) < 0) {
        api_answer_error(r, &e);
        return;
    }
    if (!api_param(r, "start").n) {
        k->opts.instant = true;
        k->opts.start_ms = k->opts.end_ms = time;
    }
    api_call_start(k, api_param(r, "query"), timeout_ms);
}

/* --- the text itself ------------------------------------------------------------------------------------- */

static void run_text(struct api_call *k, struct query *q, bool tree)
{
    struct http_request *r = k->r;
    struct buf pretty = {0}, data = {0};
    struct node *n = NULL;
    struct err e;

    if (promql_parse_query(q, &n, &e) < 0) {
        if (e.code == ERR_INVALID)
            api_invalid_param(&e, "query");
        api_call_fail(k, q, &e);
        return;
    }
    if (tree) {
        promql_ast_json(&data, n);
    } else {
        promql_pretty(&pretty, n);
        json_put_string(&data, buf_str(&pretty));
    }
    promql_release(n);
    query_end(q);
    api_answer_data(r, buf_str(&data));
    buf_release(&pretty);
    buf_release(&data);
}

static void run_format(struct api_call *k, struct query *q)
{
    run_text(k, q, false);
}

static void run_parse(struct api_call *k, struct query *q)
{
    run_text(k, q, true);
}

static void handle_format(struct http_request *r, void *arg)
{
    api_call_start(api_call_new(arg, r, run_format), api_param(r, "query"), 0);
}

static void handle_parse(struct http_request *r, void *arg)
{
    api_call_start(api_call_new(arg, r, run_parse), api_param(r, "query"), 0);
}

void api_routes_query(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/query", PERM_READ, 0, handle_query, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/query_range", PERM_READ, 0, handle_query_range, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/explain", PERM_READ, 0, handle_explain, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/format_query", PERM_READ, 0, handle_format, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/parse_query", PERM_READ, 0, handle_parse, c);
}
