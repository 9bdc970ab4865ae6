/*
 * query.c - query, query_range, format_query, parse_query.
 *
 * Parameters are read on the I/O thread and faults answered there. The query text is parsed on the pool: it may be
 * long.
 */
#include "query/api/inside.h"

#include <assert.h>
#include <stdio.h>

enum { POINTS_MAX = 11000 };

/* --- running ------------------------------------------------------------------------------------------ */

struct timings {
    int64_t asked_ns, began_ns, parsed_ns, done_ns;
};

static void put_seconds(struct json *j, const char *key, int64_t ns)
{
    json_key(j, key);
    json_f64(j, (double)MAX(ns, 0) / 1e9);
}

static void put_steps(struct json *j, const struct api_call *k, const struct promql_result *res)
{
    json_key(j, "totalQueryableSamplesPerStep");
    json_arr(j);
    for (uint32_t i = 0; i < res->nsteps; i++) {
        char t[NUM_MAX];

        json_arr(j);
        json_raw(j, str_n(t, num_fmt_ms(k->opts.start_ms + (int64_t)i * k->opts.step_ms, t)));
        json_u64(j, res->samples_per_step[i]);
        json_end_arr(j);
    }
    json_end_arr(j);
}

static void put_stats(struct buf *b, const struct api_call *k, const struct query *q, const struct promql_result *res,
                      const struct timings *t)
{
    struct json j;

    buf_putz(b, ",\"stats\":");
    json_init(&j, b);
    json_obj(&j);
    json_key(&j, "timings");
    json_obj(&j);
    put_seconds(&j, "evalTotalTime", t->done_ns - t->began_ns);
    put_seconds(&j, "resultSortTime", 0); /* part of the evaluation here */
    put_seconds(&j, "queryPreparationTime", t->parsed_ns - t->began_ns);
    put_seconds(&j, "innerEvalTime", t->done_ns - t->parsed_ns);
    put_seconds(&j, "execQueueTime", t->began_ns - t->asked_ns);
    put_seconds(&j, "execTotalTime", t->done_ns - t->asked_ns);
    json_end_obj(&j);
    json_key(&j, "samples");
    json_obj(&j);
    if (k->stats_all && res->samples_per_step)
        put_steps(&j, k, res);
    json_key(&j, "totalQueryableSamples");
    json_u64(&j, q->samples_total);
    json_key(&j, "peakSamples");
    json_u64(&j, q->samples_peak);
    json_end_obj(&j);
    json_end_obj(&j);
}

static void put_answer(struct api_stream *s, struct api_call *k, struct query *q, const struct promql_result *res,
                       const struct timings *t)
{
    struct str *warnings = res->warnings;
    uint32_t nwarnings = res->nwarnings;

    if (k->limit && res->nseries > k->limit && (res->type == PQ_MATRIX || res->type == PQ_VECTOR)) {
        warnings = arena_array(&q->arena, struct str, nwarnings + 1);
        if (nwarnings)
            memcpy(warnings, res->warnings, nwarnings * sizeof *warnings);
        warnings[nwarnings++] = STR("results truncated due to limit");
    }
    buf_putz(&s->b, "{\"status\":\"success\",\"data\":{");
    api_put_result(s, res, k->limit);
    if (k->stats)
        put_stats(&s->b, k, q, res, t);
    buf_putc(&s->b, '}');
    api_put_envelope_end(&s->b, warnings, nwarnings, res->infos, res->ninfos);
}

static void run_query(struct api_call *k, struct query *q)
{
    struct timings t = {.asked_ns = k->asked_ns, .began_ns = clock_mono_ns()};
    struct promql_result res = {0};
    struct node *n = NULL;
    struct api_stream s;
    struct err e;
    int code = promql_parse(&q->arena, q->text, &n, NULL, NULL, &e);

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
    api_stream_init(&s, k->r, NULL);
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
               stats = api_param(k->r, "stats");

    *timeout_ms = 0;
    if (timeout.n && api_parse_duration(timeout, timeout_ms, e) < 0)
        return api_invalid_param(e, "timeout");
    if (timeout.n && *timeout_ms <= 0)
        *timeout_ms = 1; /* over before it began, as upstream's context would be */
    if (lookback.n && api_parse_duration(lookback, &k->opts.lookback_ms, e) < 0)
        return err_ctx(e, "error parsing lookback delta duration");
    k->stats = stats.n > 0;
    k->stats_all = str_eqz(stats, "all");
    k->opts.db = k->c->db;
    k->opts.delayed_name_removal = true;
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

/* --- the text itself ------------------------------------------------------------------------------------- */

static void run_text(struct api_call *k, struct query *q, bool tree)
{
    struct http_request *r = k->r;
    struct buf pretty = {0}, data = {0};
    struct node *n = NULL;
    struct err e;

    if (promql_parse(&q->arena, q->text, &n, NULL, NULL, &e) < 0) {
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
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/format_query", PERM_READ, 0, handle_format, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/parse_query", PERM_READ, 0, handle_parse, c);
}
