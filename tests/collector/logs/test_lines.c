/* JSON lines, Elasticsearch bulk, Datadog and the journal over HTTP. */
#include "collector/logs/fields.c"

#include "tests/collector/logs/fake_logstore.h"

#include "collector/logs/request.h"

#define US "service_name=\"unknown_service\"}"

static void jsonline(void **state)
{
    (void)state;
    say = SAY_LATER;
    check_post("/insert/jsonline?_stream_fields=app,host.name&_msg_field=message,_msg&_time_field=ts&ignore_fields=x&extra_fields=dc=eu", "application/stream+json", NULL,
               STR("{\"ts\":\"2023-11-14T22:13:20.000000005Z\",\"message\":\"hi\",\"app\":\"a\",\"host\":{\"name\":\"h\",\"ip\":[1,\"2\"]},\"x\":1,\"n\":1.50,\"t\":true,\"z\":null}\n"
                   "\n{\"_msg\":\"\xc3\xa9\",\"ts\":1700000000}\r\n"),
               200, NULL,
               "{app=\"a\", host_name=\"h\", service_name=\"a\"} 1700000000000000005 \"hi\" dc=\"eu\" detected_level=\"unknown\" host_ip=\"[1,\\\"2\\\"]\" n=\"1.50\" t=\"true\"\n"
               "{" US " 1700000000000000000 \"\xc3\xa9\" dc=\"eu\" detected_level=\"unknown\"\n");
    /* without a message the line is the object as it stands */
    check_post("/api/v1/logs/jsonline", NULL, NULL, STR("{\"time\":1700000000123,\"level\":\"warn\",\"service\":\"s\", \"k\": 1}"), 200, NULL,
               "{service=\"s\", service_name=\"s\"} 1700000000123000000 \"{\\\"time\\\":1700000000123,\\\"level\\\":\\\"warn\\\",\\\"service\\\":\\\"s\\\", \\\"k\\\": 1}\" detected_level=\"warn\"\n");
    say = SAY_STORE;
    check_post("/insert/jsonline", NULL, "VL-Msg-Field: m\r\nVL-Time-Field: t\r\nVL-Decolorize-Fields: m\r\n", STR("{\"m\":\"\\u001b[31mred\\u001b[0m x\",\"t\":\"1\"}"), 200, NULL,
               "{" US " 1000000000 \"red x\" detected_level=\"unknown\"\n");
    check_post("/insert/jsonline?debug=1", NULL, NULL, STR("{\"_msg\":\"x\"}"), 200, NULL, "");
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t t;
    } all[] = {
        {"1700000000", INT64_C(1700000000000000000)},  {"1700000000.5", INT64_C(1700000000500000000)}, {"-1.5", INT64_C(-1500000000)},
        {"1700000000123", INT64_C(1700000000123000000)}, {"1700000000123456", INT64_C(1700000000123456000)}, {"1700000000123456789", INT64_C(1700000000123456789)},
        {"1.7e9", INT64_C(1700000000000000000)},       {"70955161500000000", INT64_MAX},               {"-99999999999999", INT64_MIN},
        {"99999999999999999999999999", 0},             {"x", 0},                                        {"", 0},
    }, stamps[] = {
        {"2023-11-14T22:13:20Z", INT64_C(1700000000000000000)}, {"2023-11-14 22:13:20.123456789", INT64_C(1700000000123456789)},
        {"2023-11-14t23:13:20,5+0100", INT64_C(1700000000500000000)}, {"0001-01-01T00:00:00Z", INT64_MIN}, {"9999-12-31T23:59:59Z", INT64_MAX},
        {"2023-02-29T00:00:00Z", 0}, {"2024-02-29T00:00:00Z", INT64_C(1709164800000000000)}, {"2023-11-14T22:13Z", 0}, {"2023-11-14T22:13:20.Z", 0}, {"2023-11-14T22:13:20Zx", 0},
    };
    int64_t t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (when_unix(str_of(all[i].text), &t) != (all[i].t != 0) || (all[i].t && t != all[i].t))
            fail_msg("%s: %lld", all[i].text, (long long)t);
    for (size_t i = 0; i < ARRAY_LEN(stamps); i++)
        if (when_rfc3339(str_of(stamps[i].text), &t) != (stamps[i].t != 0) || (stamps[i].t && t != stamps[i].t))
            fail_msg("%s: %lld", stamps[i].text, (long long)t);
}

/* The bad lines are left out. */
static void bad_lines(void **state)
{
    struct buf b = {0};

    (void)state;
    check_post("/insert/jsonline", NULL, NULL, STR("nonsense\n{\"_msg\":\"a\",\"_time\":1}\n{\"_msg\":\"b\",\"_time\":\"soon\"}\n[1]\n"), 200, NULL,
               "{" US " 1000000000 \"a\" detected_level=\"unknown\"\n");
    check_post("/insert/jsonline", NULL, NULL, STR("nonsense\n[]\n"), 400, "invalid JSON at byte 0: an object was expected", "");
    fake_line_max = 3;
    check_post("/insert/jsonline", NULL, NULL, STR("{\"_msg\":\"toolong\",\"_time\":1}\n"), 400, "max entry size exceeded", "");
    check_post("/insert/jsonline", NULL, NULL, STR("{\"_msg\":\"toolong\",\"_time\":1}\n{\"_msg\":\"ok\",\"_time\":1}\n"), 200, NULL, "{" US " 1000000000 \"ok\" detected_level=\"unknown\"\n");
    fake_line_max = 256 << 10;
    /* 10,000 fields: kept whole, nothing of it is taken apart */
    buf_putz(&b, "{\"_msg\":\"m\",\"_time\":\"5\"");
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, ",\"f%d\":%d", i, i);
    buf_putz(&b, "}\n{\"_msg\":\"next\",\"_time\":\"6\"}");
    check_post("/insert/jsonline", NULL, NULL, buf_str(&b), 200, NULL, NULL);
    assert_true(seen_has("\\\"f9999\\\":9999}\" detected_level") && seen_has(" 6000000000 \"next\""));
    /* a million levels deep: that line is refused */
    buf_reset(&b);
    for (int i = 0; i < 1000000; i++)
        buf_putz(&b, "{\"a\":");
    buf_putz(&b, "\n{\"_msg\":\"next\",\"_time\":\"6\"}");
    check_post("/insert/jsonline", NULL, NULL, buf_str(&b), 200, NULL, "{" US " 6000000000 \"next\" detected_level=\"unknown\"\n");
    buf_release(&b);
}

static void bulk(void **state)
{
    const char *body = "{\"create\":{\"_index\":\"i\"}}\n{\"@timestamp\":\"2023-11-14T22:13:20Z\",\"message\":\"hi\",\"host\":{\"name\":\"h\"},\"log\":{\"level\":\"error\"}}\n"
                       "{\"index\":{}}\nnonsense\n{ \"index\" : { } }\n{\"@timestamp\":1700000000000,\"message\":\"two\"}\n";

    (void)state;
    check_post("/_bulk", "application/x-ndjson", NULL, str_of(body), 200,
               "{\"took\":1,\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\",\"reason\":\"invalid JSON "
               "at byte 0: an object was expected\"}}},{\"create\":{\"status\":201}}]}",
               "{host_name=\"h\", " US " 1700000000000000000 \"hi\" detected_level=\"error\" log_level=\"error\"\n"
               "{" US " 1700000000000000000 \"two\" detected_level=\"unknown\"\n");
    check_post("/insert/elasticsearch/_bulk", NULL, NULL, STR("{\"create\":{}}\n{\"message\":\"x\",\"@timestamp\":0}\n"), 200, "\"errors\":false", NULL);
    assert_true(has(&out, "X-Elastic-Product: Elasticsearch"));
    check_post("/insert/elasticsearch/some-index/_bulk", NULL, NULL, STR("{\"create\":{}}\n{\"message\":\"x\"}\n"), 200, "201", NULL);
    check_post("/_bulk", NULL, NULL, STR("{\"delete\":{}}\n"), 400, "the bulk action \\\"delete\\\" is not supported", "");
    check_post("/_bulk", NULL, NULL, STR("{\"create\":{}}\n"), 400, "has no document", "");
    check_post("/_bulk", NULL, NULL, STR(""), 200, "\"items\":[]", "");
}

/* Each document of a bulk has a status of its own, in order, also where rows of several streams come mixed. */
static void bulk_verdicts(void **state)
{
    struct buf many = {0};

    (void)state;
    fake_line_max = 8;
    check_post("/_bulk", NULL, NULL,
               STR("{\"create\":{}}\n{\"message\":\"b1\",\"@timestamp\":1,\"app\":\"b\"}\n{\"create\":{}}\n{\"message\":\"longer than 8\",\"@timestamp\":1,\"app\":\"a\"}\n"
                   "{\"create\":{}}\n[]\n{\"create\":{}}\n{\"message\":\"b2\",\"@timestamp\":2,\"app\":\"b\"}\n{\"create\":{}}\n{\"message\":\"a2\",\"@timestamp\":2,\"app\":\"a\"}\n"),
               200,
               "\r\n\r\n{\"took\":1,\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":400,\"error\":{\"type\":\"illegal_argument_exception\","
               "\"reason\":\"max entry size exceeded\"}}},{\"create\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\",\"reason\":\"invalid JSON at byte 0: an object "
               "was expected\"}}},{\"create\":{\"status\":201}},{\"create\":{\"status\":201}}]}",
               NULL);
    assert_true(seen_has("\"b1\"") && seen_has("\"b2\"") && seen_has("\"a2\"") && !seen_has("longer"));
    /* refused, every one of them, and by the journal thread: still 200, and still each by itself */
    say = SAY_LATER;
    for (int i = 0; i < 20; i++)
        buf_printf(&many, "{\"index\":{}}\n{\"message\":\"longer than 8: %d\",\"@timestamp\":1}\n", i);
    check_post("/_bulk", NULL, NULL, buf_str(&many), 200, "\"errors\":true", "");
    assert_false(has(&out, "201"));
    assert_true(has(&out, "the line is longer than what is taken\"}}}]}"));
    say = SAY_STORE;
    fake_line_max = 256 << 10;
    fake_streams_max = 1;
    check_post("/_bulk", NULL, NULL, STR("{\"create\":{}}\n{\"message\":\"x\",\"@timestamp\":1,\"app\":\"b\"}\n{\"create\":{}}\n{\"message\":\"y\",\"@timestamp\":1,\"app\":\"a\"}\n"), 200,
               "[{\"create\":{\"status\":201}},{\"create\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":\"maximum active stream limit exceeded\"}}}]",
               NULL);
    fake_streams_max = 0;
    /* a stream beyond its rate */
    logs->opts.stream_rate_bytes = 10;
    logs->opts.stream_rate_burst_bytes = 10;
    check_post("/_bulk", NULL, NULL,
               STR("{\"create\":{}}\n{\"message\":\"01234567890123456789\",\"@timestamp\":1,\"app\":\"fast\"}\n{\"create\":{}}\n{\"message\":\"y\",\"@timestamp\":1,\"app\":\"s\",\"level\":\"i\"}\n"), 200,
               "es_rejected_execution_exception", NULL);
    assert_true(has(&out, "[{\"create\":{\"status\":429,"));
    assert_true(has(&out, "the stream brings more bytes a second than it may"));
    logs_opts_default(&logs->opts);
    /* the whole of it: an error as Elasticsearch words one */
    say = SAY_TOO_MUCH;
    check_post("/_bulk", NULL, NULL, STR("{\"create\":{}}\n{\"message\":\"x\"}\n"), 413,
               "{\"error\":{\"root_cause\":[{\"type\":\"illegal_argument_exception\",\"reason\":\"9 records at once, at most 8\"}],\"type\":\"illegal_argument_exception\",\"reason\":\"9 "
               "records at once, at most 8\"},\"status\":413}",
               "");
    say = SAY_STORE;
    buf_release(&many);
}

static void probes(void **state)
{
    (void)state;
    assert_int_equal(http_raw(port, "GET /insert/elasticsearch/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
    assert_true(has(&out, "\"version\"") && has(&out, "X-Elastic-Product: Elasticsearch"));
    assert_int_equal(http_raw(port, "GET /insert/elasticsearch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
    assert_int_equal(http_raw(port, "HEAD /insert/elasticsearch/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
    assert_int_equal(http_raw(port, "GET /insert/elasticsearch/_license HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
    assert_true(has(&out, "\"status\":\"active\""));
    assert_int_equal(http_raw(port, "GET /insert/elasticsearch/_ilm/policy/filebeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
    assert_int_equal(http_raw(port, "GET /insert/loki/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out), 200);
}

static void datadog(void **state)
{
    (void)state;
    check_post("/insert/datadog/api/v2/logs", "application/json", "dd-message-timestamp: 1700000000123\r\n",
               STR("[{\"message\":\"hi\",\"ddtags\":\"env:prod,team:a,alone\",\"service\":\"s\",\"hostname\":\"h\",\"status\":\"error\"},7,{\"message\":\"two\"}]"), 202, "{}",
               "{env=\"prod\", hostname=\"h\", service=\"s\", service_name=\"s\"} 1700000000123000000 \"hi\" alone=\"true\" detected_level=\"error\" level=\"error\" status=\"error\" team=\"a\"\n"
               "{" US " 1700000000123000000 \"two\" detected_level=\"unknown\"\n");
    check_post("/insert/datadog/api/v2/logs", "application/json", NULL, STR("[{\"message\":"), 400, "invalid JSON", "");
    check_post("/insert/datadog/api/v2/logs", "application/json", NULL, STR("[]"), 202, "{}", "");
}

static void journald(void **state)
{
    static const char body[] = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1700000000123456\n_MACHINE_ID=m\n_HOSTNAME=h\n_SYSTEMD_UNIT=nginx.service\nPRIORITY=3\nMESSAGE=it = broke\n\n"
                               "MESSAGE\n\x05\0\0\0\0\0\0\0a\nb\nc\n__REALTIME_TIMESTAMP=1\nSYSLOG_IDENTIFIER=cron\n\n_PID=3\n__REALTIME_TIMESTAMP=5\n\n";

    (void)state;
    check_post("/insert/journald/upload", "application/vnd.fdo.journal", NULL, STR(body), 200, NULL,
               "{_HOSTNAME=\"h\", _MACHINE_ID=\"m\", _SYSTEMD_UNIT=\"nginx.service\", service_name=\"nginx\"} 1700000000123456000 \"it = broke\" PRIORITY=\"3\" detected_level=\"error\" "
               "level=\"error\"\n"
               "{service_name=\"cron\"} 1000 \"a\\nb\\nc\" SYSLOG_IDENTIFIER=\"cron\" detected_level=\"unknown\"\n");
    check_post("/insert/journald/upload", "text/plain", NULL, STR(body), 400, "Content-Type", "");
    check_post("/insert/journald/upload", "application/vnd.fdo.journal", NULL, STR("MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff" "x\n"), 400, "does not have the length", "");
    check_post("/insert/journald/upload", "application/vnd.fdo.journal", NULL, STR("MESSAGE\nabc"), 400, "is cut off", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsonline), cmocka_unit_test(times), cmocka_unit_test(bad_lines), cmocka_unit_test(bulk), cmocka_unit_test(bulk_verdicts), cmocka_unit_test(probes), cmocka_unit_test(datadog), cmocka_unit_test(journald),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
