/*
 * test_api.c - the Prometheus API over a real store and a real server, byte for byte: envelopes, error texts, limits,
 * federation.
 */
#include "tests/query/api/house.h"

/* --- tests -------------------------------------------------------------------------------------------------- */

static void parameter_errors(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/query",
         BAD("invalid parameter \\\"query\\\": unknown position: parse error: no expression found in input")},
        {"/api/v1/query?query=1%2B", BAD("invalid parameter \\\"query\\\": 1:3: parse error: unexpected end of input")},
        {"/api/v1/query?query=1&time=x", BAD("invalid parameter \\\"time\\\": invalid time value for 'time': cannot "
                                             "parse \\\"x\\\" to a valid timestamp")},
        {"/api/v1/query?query=1&timeout=x",
         BAD("invalid parameter \\\"timeout\\\": cannot parse \\\"x\\\" to a valid duration")},
        {"/api/v1/query?query=1&lookback_delta=x",
         BAD("error parsing lookback delta duration: cannot parse \\\"x\\\" to a valid duration")},
        {"/api/v1/query_range?query=1",
         BAD("invalid parameter \\\"start\\\": cannot parse \\\"\\\" to a valid timestamp")},
        {"/api/v1/query_range?query=1&start=1",
         BAD("invalid parameter \\\"end\\\": cannot parse \\\"\\\" to a valid timestamp")},
        {"/api/v1/query_range?query=1&start=1&end=0&step=1",
         BAD("invalid parameter \\\"end\\\": end timestamp must not be before start time")},
        {"/api/v1/query_range?query=1&start=1&end=2",
         BAD("invalid parameter \\\"step\\\": cannot parse \\\"\\\" to a valid duration")},
        {"/api/v1/query_range?query=1&start=1&end=2&step=0",
         BAD("invalid parameter \\\"step\\\": zero or negative query resolution step widths are not accepted. Try a "
             "positive integer")},
        {"/api/v1/query_range?query=1&start=0&end=11001&step=1",
         BAD("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
             "(?step=XX)")},
        {"/api/v1/query_range?query=up%5B5m%5D&start=1&end=2&step=1",
         BAD("invalid parameter \\\"query\\\": invalid expression type \\\"range vector\\\" for range query, must be "
             "Scalar or instant Vector")},
        {"/api/v1/series", BAD("no match[] parameter provided")},
        {"/api/v1/series?match[]=%7B%7D",
         BAD("invalid parameter \\\"match[]\\\": match[] must contain at least one non-empty matcher")},
        {"/api/v1/labels?match[]=up(", BAD("1:3: parse error: unexpected \\\"(\\\"")},
        {"/api/v1/labels?limit=x",
         BAD("invalid parameter \\\"limit\\\": strconv.Atoi: parsing \\\"x\\\": invalid syntax")},
        {"/api/v1/label/%ff/values", BAD("invalid label name: \\\"\\\\xff\\\"")},
        {"/api/v1/metadata?limit=x", BAD("limit must be a number")},
        {"/api/v1/query_exemplars?query=up&start=2&end=1", BAD("end timestamp must not be before start timestamp")},
        {"/api/v1/rules?type=x", BAD("invalid parameter \\\"type\\\": not supported value \\\"x\\\"")},
        {"/api/v1/rules?match[]=up(", BAD("1:3: parse error: unexpected \\\"(\\\"")},
        {"/api/v1/rules?exclude_alerts=x", BAD("invalid parameter \\\"exclude_alerts\\\": error converting exclude_alerts: "
                                               "strconv.ParseBool: parsing \\\"x\\\": invalid syntax")},
        {"/api/v1/rules?group_next_token=x", BAD("invalid parameter \\\"group_next_token\\\": group_limit needs to be "
                                                 "present in order to paginate over the groups")},
        {"/api/v1/rules?group_limit=0",
         BAD("invalid parameter \\\"group_limit\\\": group_limit needs to be greater than 0")},
        {"/api/v1/rules?group_limit=1&group_next_token=x",
         BAD("invalid parameter \\\"group_next_token\\\": invalid group_next_token 'x'. were rule groups changed?")},
        {"/api/v1/status/tsdb?limit=0", BAD("limit must be a positive number")},
        {"/api/v1/status/tsdb?limit=10001", BAD("limit must not exceed 10000")},
    };

    (void)state;
    CHECK_ALL("GET", cases);
}

static void queries(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/query?query=1%2B1&time=4", DATA("{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}")},
        {"/api/v1/query?query=%22a%22&time=1.5", DATA("{\"resultType\":\"string\",\"result\":[1.5,\"a\"]}")},
        {"/api/v1/query?query=up&time=1600",
         DATA("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\",\"job\":"
              "\"x\"},\"value\":[1600,\"1\"]},"
              "{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\",\"job\":\"x\"},\"value\":[1600,\"0\"]}]}")},
        {"/api/v1/query?query=up&time=1600&limit=1", 200,
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\","
         "\"instance\":\"a\",\"job\":\"x\"},"
         "\"value\":[1600,\"1\"]}]},\"warnings\":[\"results truncated due to limit\"]}"},
        {"/api/v1/query?query=up&time=1&lookback_delta=1s", DATA("{\"resultType\":\"vector\",\"result\":[]}")},
        {"/api/v1/query?query=up%7Binstance=%22a%22%7D%5B30s%5D&time=1030.5",
         DATA("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\",\"job\":"
              "\"x\"},"
              "\"values\":[[1015,\"1\"],[1030,\"1\"]]}]}")},
        {"/api/v1/query_range?query=sum(up)&start=1000&end=1030&step=15",
         DATA("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1000,\"1\"],[1015,\"1\"],[1030,\"1\"]"
              "]}]}")},
        {"/api/v1/query_range?query=nothing&start=1000&end=1030&step=15s",
         DATA("{\"resultType\":\"matrix\",\"result\":[]}")},
        {"/api/v1/format_query?query=a%2Bb", DATA("\"a + b\"")},
        {"/api/v1/parse_query?query=1", DATA("{\"type\":\"numberLiteral\",\"val\":\"1\"}")},
    };

    (void)state;
    CHECK_ALL("GET", cases);
    assert_int_equal(ask("POST", "/api/v1/query", "query=1%2B1&time=4"), 200);
    assert_string_equal(body(), "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}}");
    assert_non_null(strstr(answer.p, "Content-Type: application/json\r\n"));
    assert_int_equal(ask("GET", "/api/v1/query?query=up&time=1600&stats=all", NULL), 200);
    assert_non_null(strstr(body(), "\"stats\":{\"timings\":{\"evalTotalTime\":"));
    assert_non_null(strstr(body(), "\"totalQueryableSamples\":"));
    assert_int_equal(ask("GET", "/api/v1/query?query=label_replace(up,%22a%22,%22%22,%22b%22,%22(%22)", NULL), 422);
    assert_non_null(strstr(body(), "\"errorType\":\"execution\""));
}

static void names(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/labels", DATA("[\"__name__\",\"a.b\",\"instance\",\"job\",\"region\"]")},
        {"/api/v1/labels?match[]=up", DATA("[\"__name__\",\"instance\",\"job\"]")},
        {"/api/v1/labels?match[]=up&match[]=steps_total", DATA("[\"__name__\",\"instance\",\"job\",\"region\"]")},
        {"/api/v1/labels?limit=2", 200,
         "{\"status\":\"success\",\"data\":[\"__name__\",\"a.b\"],\"warnings\":[\"results truncated due to limit\"]}"},
        {"/api/v1/labels?start=5000000&end=6000000", DATA("[]")},
        {"/api/v1/label/__name__/values", DATA("[\"odd.metric\",\"steps_total\",\"up\"]")},
        {"/api/v1/label/U__a_2e_b/values", DATA("[\"c\\\"d\"]")},
        {"/api/v1/label/a.b/values", DATA("[\"c\\\"d\"]")},
        {"/api/v1/label/nothing/values", DATA("[]")},
        {"/api/v1/label/instance/values?match[]=%7Binstance!=%22a%22,job=%22x%22%7D", DATA("[\"b\"]")},
        {"/api/v1/series?match[]=up&match[]=%7Bjob=%22x%22%7D",
         DATA("[{\"__name__\":\"up\",\"instance\":\"a\",\"job\":\"x\"},{\"__name__\":\"up\",\"instance\":\"b\",\"job\":"
              "\"x\"}]")},
        {"/api/v1/series?match[]=up&limit=1", 200,
         "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"instance\":\"a\",\"job\":\"x\"}],\"warnings\":["
         "\"results truncated due to limit\"]}"},
        {"/api/v1/metadata", DATA("{\"up\":[{\"type\":\"gauge\",\"unit\":\"\",\"help\":\"Is it up?\"}]}")},
        {"/api/v1/metadata?limit=0", DATA("{}")},
        {"/api/v1/metadata?metric=nothing", DATA("{}")},
        {"/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000000001", DATA("[]")},
    };

    (void)state;
    CHECK_ALL("GET", cases);
    assert_int_equal(ask("POST", "/api/v1/labels", "match[]=steps_total"), 200);
    assert_string_equal(body(), "{\"status\":\"success\",\"data\":[\"__name__\",\"region\"]}");
}

static void status_calls(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/targets", DATA("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}")},
        {"/api/v1/scrape_pools", DATA("{\"scrapePools\":[]}")},
        {"/api/v1/rules", DATA("{\"groups\":[]}")},
        {"/api/v1/alerts", DATA("{\"alerts\":[]}")},
        {"/api/v1/alertmanagers", DATA("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}")},
        {"/api/v1/notifications", DATA("[]")},
        {"/api/v1/scrape_pools/config", BAD("no scrapePool parameter provided")},
        {"/api/v1/targets/relabel_steps", BAD("no scrapePool parameter provided")},
        {"/api/v1/targets/relabel_steps?scrapePool=a", BAD("no labels parameter provided")},
        {"/api/v1/targets/relabel_steps?scrapePool=a&labels=3",
         BAD("error parsing labels: a JSON object of strings is wanted")},
        {"/api/v1/status/tsdb/blocks", DATA("{\"blocks\":[]}")},
        {"/api/v1/status/walreplay", DATA("{\"min\":0,\"max\":0,\"current\":0}")},
        {"/api/v1/status/queries", DATA("[]")},
        {"/api/v1/status/warnings", DATA("[]")},
        {"/-/healthy", 200, "Tripod is Healthy.\n"},
        {"/-/ready", 503, "Service Unavailable"},
        {"/-/reload", 405, "Only POST or PUT requests allowed"},
    };

    (void)state;
    house.ready = false;
    CHECK_ALL("GET", cases);
    house.ready = true;
    assert_int_equal(ask("GET", "/-/ready", NULL), 200);
    assert_int_equal(ask("HEAD", "/-/healthy", NULL), 200);
    assert_int_equal(ask("GET", "/api/v1/status/buildinfo", NULL), 200);
    assert_non_null(strstr(body(), "\"version\":\"1.2.3\""));
    assert_null(strstr(body(), "features")); /* Grafana would take us for Mimir */
    assert_int_equal(ask("GET", "/api/v1/status/runtimeinfo", NULL), 200);
    assert_int_equal(ask("GET", "/api/v1/features", NULL), 200);
    assert_int_equal(ask("GET", "/api/v1/status/tsdb?limit=3", NULL), 200);
    assert_non_null(strstr(body(), "\"numSeries\":4"));
    assert_non_null(strstr(body(), "\"seriesCountByMetricName\":[{\"name\":\"up\",\"value\":2}"));
    assert_int_equal(ask("POST", "/-/reload", NULL), 200);
    assert_int_equal(ask("PUT", "/-/reload", NULL), 500);
    assert_string_equal(body(), "failed to reload config: file.yml:3: wrong\n");
    assert_int_equal(ask("GET", "/api/v1/nosuch", NULL), 404);
}

static void federation(void **state)
{
    int64_t at = (TO_S + 10) * INT64_C(1000000000);

    (void)state;
    clock_fake(clock_mono_ns(), at);
    assert_int_equal(ask("GET", "/federate?match[]=up&match[]=%7B__name__=~%22.%2B%22%7D", NULL), 200);
    clock_fake_release();
    assert_string_equal(
        body(),
        "# TYPE \"odd.metric\" untyped\n{\"odd.metric\",\"a.b\"=\"c\\\"d\",instance=\"\",region=\"eu\"} 1 1600000\n"
        "# TYPE steps_total untyped\nsteps_total{region=\"own\",instance=\"\"} 40 1600000\n"
        "# TYPE up untyped\nup{instance=\"a\",job=\"x\",region=\"eu\"} 1 1600000\n"
        "up{instance=\"b\",job=\"x\",region=\"eu\"} 0 1600000\n");
    assert_int_equal(ask("GET", "/federate?match[]=up(", NULL), 400);
    assert_int_equal(ask("GET", "/federate", NULL), 200);
    assert_string_equal(body(), "");
}

static void administration(void **state)
{
    static const char head[] = "{\"status\":\"success\",\"data\":{\"name\":\"";
    char path[256];

    (void)state;
    assert_int_equal(ask("POST", "/api/v1/admin/tsdb/delete_series?match[]=up", NULL), 500);
    assert_string_equal(body(),
                        "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"admin APIs disabled\"}");
    house.c.admin_api = true;
    assert_int_equal(ask("GET", "/api/v1/admin/tsdb/delete_series?match[]=up", NULL), 405);
    assert_int_equal(ask("POST", "/api/v1/admin/tsdb/delete_series", NULL), 400);
    assert_int_equal(ask("POST", "/api/v1/admin/tsdb/snapshot?skip_head=x", NULL), 400);
    assert_string_equal(body(), "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
                                "\\\"skip_head\\\": unable to parse "
                                "boolean: strconv.ParseBool: parsing \\\"x\\\": invalid syntax\"}");
    assert_int_equal(ask("POST", "/api/v1/admin/tsdb/snapshot", NULL), 200);
    assert_memory_equal(body(), head, sizeof head - 1);
    snprintf(path, sizeof path, "%s/snapshots/%.33s", house.dir, body() + sizeof head - 1);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(ask("POST", "/api/v1/admin/tsdb/delete_series?match[]=up%7Binstance=%22b%22%7D", NULL), 204);
    assert_int_equal(ask("GET", "/api/v1/query?query=count(up)&time=1600", NULL), 200);
    assert_non_null(strstr(body(), "[1600,\"1\"]"));
    assert_int_equal(ask("PUT", "/api/v1/admin/tsdb/clean_tombstones", NULL), 204);
    assert_int_equal(ask("POST", "/api/v1/admin/queries/999/kill", NULL), 404);
    assert_int_equal(ask("POST", "/api/v1/admin/queries/x/kill", NULL), 400);
}

/* --- one place for queries, and it is taken ---------------------------------------------------------------- */

static _Atomic bool let_go;

static void hold_place(struct query *q, void *arg)
{
    (void)arg;
    while (!let_go)
        usleep(1000);
    query_end(q);
}

static bool soon(const char *path, const char *words, bool there)
{
    for (unsigned i = 0; i < 500; i++, usleep(10000)) {
        ask("GET", path, NULL);
        if ((strstr(body(), words) != NULL) == there)
            return true;
    }
    return false;
}

/* A query that waits is seen, can be killed, and notices that its client has left; one too many is told to come again. */
static void waiting(void **state)
{
    struct query_engine *all = house.engine, *one;
    struct query_engine_opts o;
    int left, killed;
    char path[128];
    struct err e;

    (void)state;
    query_engine_opts_default(&o);
    o.threads = 2;
    o.concurrent_max = 1;
    o.waiting_max = 2;
    one = query_engine_new(&o);
    house.c.engine = one;
    let_go = false;
    assert_int_equal(query_start(one, "promql", STR("holds the place"), NULL, hold_place, NULL, &e), 0);
    killed = connect_and_ask("/api/v1/query?query=vector(7)");
    assert_true(soon("/api/v1/status/queries", "\"query\":\"vector(7)\"", true));
    left = connect_and_ask("/api/v1/query?query=vector(8)");
    assert_true(soon("/api/v1/status/queries", "\"query\":\"vector(8)\"", true));
    assert_non_null(strstr(body(), "\"state\":\"waiting\""));
    assert_int_equal(ask("GET", "/api/v1/query?query=vector(9)", NULL), 503);
    assert_non_null(strstr(body(), "\"errorType\":\"unavailable\""));
    assert_non_null(strstr(answer.p, "Retry-After:"));
    close(left);
    snprintf(path, sizeof path, "/api/v1/admin/queries/%u/kill", 2); /* the first is ours */
    assert_int_equal(ask("POST", path, NULL), 204);
    let_go = true;
    buf_reset(&answer);
    answer.n = (size_t)read(killed, buf_reserve(&answer, 65536), 65536);
    buf_z(&answer);
    assert_non_null(strstr(answer.p, "HTTP/1.1 499"));
    assert_non_null(strstr(answer.p, "\"errorType\":\"canceled\""));
    close(killed);
    assert_true(soon("/api/v1/status/queries", "\"data\":[]", true));
    house.c.engine = all;
    query_engine_free(one);
}

/* An answer of many megabytes comes in pieces and is whole. */
static void streaming(void **state)
{
    size_t count = 0;

    (void)state;
    assert_int_equal(
        ask("GET",
            "/api/v1/"
            "query_range?query=%7B__name__=~%22.%2B%22%7D%20*%201.2345678901234567&start=1000&end=1600&step=0.06",
            NULL),
        200);
    assert_non_null(strstr(answer.p, "Transfer-Encoding: chunked\r\n"));
    for (const char *at = answer.p; (at = strstr(at, "\"metric\":")); at++)
        count++;
    assert_true(count >= 2);
    assert_non_null(strstr(answer.p + answer.n - 40, "]}}"));
    assert_string_equal(answer.p + answer.n - 5, "0\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_errors), cmocka_unit_test(queries),    cmocka_unit_test(names),
        cmocka_unit_test(status_calls),     cmocka_unit_test(federation), cmocka_unit_test(streaming),
        cmocka_unit_test(administration),   cmocka_unit_test(waiting),
    };
    int failed = cmocka_run_group_tests(tests, open_house, close_house);

    buf_release(&answer);
    return failed;
}
