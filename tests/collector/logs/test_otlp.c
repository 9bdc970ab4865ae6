/* OpenTelemetry logs over HTTP, both doors and both forms: Loki's mapping, and what is refused. */
#include "collector/logs/otlp_write.c"

#include "tests/collector/logs/enc.h"
#include "tests/collector/logs/fake_logstore.h"

#include "collector/logs/request.h"
#include "net/codec.h"

#include <zlib.h>
#include <zstd.h>

#define LOKI "/otlp/v1/logs"
#define OTLP "/v1/logs"
#define JSON "application/json"
#define PROTO "application/x-protobuf"

static void attr(struct buf *to, unsigned number, const char *key, const char *value)
{
    struct buf kv = {0}, v = {0};

    enc_bytes(&v, 1, str_of(value));
    enc_bytes(&kv, 1, str_of(key));
    enc_message(&kv, 2, &v);
    enc_message(to, number, &kv);
}

static void attr_any(struct buf *to, unsigned number, const char *key, struct buf *any)
{
    struct buf kv = {0};

    enc_bytes(&kv, 1, str_of(key));
    enc_message(&kv, 2, any);
    enc_message(to, number, &kv);
}

/* Every field of a record, every kind of value. */
static void build(struct buf *out_)
{
    struct buf resource = {0}, scope = {0}, rec = {0}, rec2 = {0}, logs_ = {0}, any = {0}, list = {0}, item = {0}, map = {0}, rl = {0};

    attr(&resource, 1, "service.name", "shop");
    attr(&resource, 1, "k8s.pod.name", "shop-1");
    attr(&resource, 1, "host.arch", "amd64");
    enc_bytes(&scope, 1, STR("lib"));
    enc_bytes(&scope, 2, STR("1.0"));
    attr(&scope, 3, "sc", "v");
    enc_number(&scope, 4, 2);
    enc_fixed64(&rec, 1, 1700000000000000005u);
    enc_fixed64(&rec, 11, 1700000000000000009u);
    enc_number(&rec, 2, 17);
    enc_bytes(&rec, 3, STR("Error"));
    enc_bytes(&any, 1, STR("it broke"));
    enc_message(&rec, 5, &any);
    enc_number(&any, 3, (uint64_t)-7);
    attr_any(&rec, 6, "n.i", &any);
    enc_number(&any, 2, 1);
    attr_any(&rec, 6, "b", &any);
    enc_fixed64(&any, 4, f64_bits(1.5));
    attr_any(&rec, 6, "d", &any);
    enc_bytes(&any, 7, STR("\x00\xff\x10\x20"));
    attr_any(&rec, 6, "raw", &any);
    enc_bytes(&item, 1, STR("x\""));
    enc_message(&list, 1, &item);
    enc_number(&item, 3, 2);
    enc_message(&list, 1, &item);
    enc_message(&any, 5, &list);
    attr_any(&rec, 6, "l", &any);
    attr(&map, 1, "b", "2");
    attr(&map, 1, "a", "1");
    enc_message(&any, 6, &map);
    attr_any(&rec, 6, "m", &any);
    enc_number(&rec, 7, 3);
    enc_varint(&rec, 8 << 3 | 5);
    buf_put(&rec, "\x01\0\0\0", 4);
    enc_bytes(&rec, 9, STR("\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c"));
    enc_bytes(&rec, 10, STR("\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74"));
    enc_bytes(&rec, 12, STR("ev"));
    /* a map for a body, only an observed time */
    enc_fixed64(&rec2, 11, 1700000000000000007u);
    attr(&map, 1, "z", "1");
    attr(&map, 1, "k", "<v>");
    enc_message(&any, 6, &map);
    enc_message(&rec2, 5, &any);
    enc_bytes(&rec2, 9, STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    enc_message(&logs_, 2, &rec); /* records before the scope, scopes before the resource */
    enc_message(&logs_, 2, &rec2);
    enc_message(&logs_, 1, &scope);
    enc_message(&rl, 2, &logs_);
    enc_message(&rl, 1, &resource);
    enc_message(out_, 1, &rl);
}

#define STREAM "{k8s_pod_name=\"shop-1\", service_name=\"shop\"}"
#define REST " host_arch=\"amd64\""
#define SCOPE " sc=\"v\" scope_dropped_attributes_count=\"2\" scope_name=\"lib\" scope_version=\"1.0\""

static const char want_all[] =
    STREAM " 1700000000000000005 \"it broke\" b=\"true\" d=\"1.5\" detected_level=\"error\" dropped_attributes_count=\"3\" event_name=\"ev\" flags=\"1\"" REST
           " l=\"[\\\"x\\\\\\\"\\\",2]\" m_a=\"1\" m_b=\"2\" n_i=\"-7\" observed_timestamp=\"1700000000000000009\" raw=\"AP8QIA==\"" SCOPE
           " severity_number=\"17\" severity_text=\"Error\" span_id=\"eee19b7ec3c1b174\" trace_id=\"5b8efff798038103d269b633813fc60c\"\n" STREAM
           " 1700000000000000007 \"{\\\"k\\\":\\\"\\\\u003cv\\\\u003e\\\",\\\"z\\\":\\\"1\\\"}\" detected_level=\"unknown\"" REST SCOPE "\n";

static void both_forms(void **state)
{
    static const char json[] =
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1700000000000000005\",\"observedTimeUnixNano\":1700000000000000009,"
        "\"severityNumber\":17,\"severityText\":\"Error\",\"body\":{\"stringValue\":\"it broke\"},\"attributes\":[{\"key\":\"n.i\",\"value\":{\"intValue\":\"-7\"}},"
        "{\"key\":\"b\",\"value\":{\"boolValue\":true}},{\"key\":\"d\",\"value\":{\"doubleValue\":1.5}},{\"key\":\"raw\",\"value\":{\"bytesValue\":\"AP8QIA==\"}},"
        "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"x\\\"\"},{\"intValue\":2}]}}},"
        "{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"b\",\"value\":{\"stringValue\":\"2\"}},{\"key\":\"a\",\"value\":{\"stringValue\":\"1\"}}]}}}],"
        "\"droppedAttributesCount\":3,\"flags\":1,\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eee19b7ec3c1b174\",\"eventName\":\"ev\"},"
        "{\"observedTimeUnixNano\":\"1700000000000000007\",\"traceId\":\"\",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"z\",\"value\":{\"stringValue\":\"1\"}},"
        "{\"key\":\"k\",\"value\":{\"stringValue\":\"<v>\"}}]}}}],\"scope\":{\"name\":\"lib\",\"version\":\"1.0\",\"droppedAttributesCount\":2,"
        "\"attributes\":[{\"key\":\"sc\",\"value\":{\"stringValue\":\"v\"}}]}}],\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}},"
        "{\"key\":\"k8s.pod.name\",\"value\":{\"stringValue\":\"shop-1\"}},{\"key\":\"host.arch\",\"value\":{\"stringValue\":\"amd64\"}}]}}]}";
    struct buf m = {0}, z = {0};

    (void)state;
    build(&m);
    say = SAY_LATER;
    check_post(LOKI, PROTO, NULL, buf_str(&m), 204, NULL, want_all);
    check_post(OTLP, PROTO, NULL, buf_str(&m), 200, NULL, want_all);
    assert_int_equal(answer_body().n, 0);
    check_post("/insert/opentelemetry/v1/logs", PROTO, NULL, buf_str(&m), 200, NULL, want_all);
    gzip_encode(&z, buf_str(&m), 1);
    check_post(LOKI, PROTO, "Content-Encoding: gzip\r\n", buf_str(&z), 204, NULL, want_all);
    check_post(LOKI, JSON, NULL, STR(json), 204, NULL, want_all);
    check_post(OTLP, "application/json; charset=utf-8", NULL, STR(json), 200, "\r\n\r\n{}", want_all);
    say = SAY_STORE;
    buf_release(&m);
    buf_release(&z);
}

static void refusals(void **state)
{
    (void)state;
    check_post(OTLP, "text/plain", NULL, STR("x"), 415, NULL, "");
    check_post(OTLP, PROTO, NULL, STR(""), 200, NULL, "");
    check_post(OTLP, JSON, NULL, STR("{}"), 200, "{}", "");
    check_post(OTLP, PROTO, NULL, STR("\xff\xff"), 400, "no protobuf message of ExportLogsServiceRequest", "");
    assert_int_equal((unsigned char)answer_body().p[0], 0x08); /* google.rpc.Status, code 3 */
    assert_int_equal(answer_body().p[1], 3);
    check_post(OTLP, JSON, NULL, STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"ab\"}]}]}]}"), 400, "{\"code\":3,\"message\":\"invalid JSON at byte", "");
    check_post(LOKI, JSON, NULL, STR("[]"), 400, "\"code\":3", "");
    say = SAY_BUSY;
    check_post(OTLP, JSON, NULL, STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"x\"}}]}]}]}"), 503, "Retry-After", "");
    say = SAY_STORE;
    fake_line_max = 2;
    check_post(OTLP, JSON, NULL, STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\"xxx\"}},{\"timeUnixNano\":2,\"body\":{\"stringValue\":\"ok\"}}]}]}]}"), 200,
               "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\",\"errorMessage\":\"max entry size exceeded\"}}",
               "{service_name=\"unknown_service\"} 2 \"ok\" detected_level=\"unknown\"\n");
    check_post(LOKI, JSON, NULL, STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\"xxx\"}}]}]}]}"), 400, "{\"code\":3,\"message\":\"max entry size exceeded\"}", "");
    fake_line_max = 256 << 10;
}

/* What senders compress with: each is undone, whole messages only. */
static void encodings(void **state)
{
    static const char body[] = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\"xxx\"}}]}]}]}";
    const char *want = "{service_name=\"unknown_service\"} 1 \"xxx\" detected_level=\"unknown\"\n";
    uLongf n = 300;
    char z[300];
    struct buf lz4 = {0};

    (void)state;
    assert_int_equal(compress((Bytef *)z, &n, (const Bytef *)body, sizeof body - 1), Z_OK);
    check_post(OTLP, JSON, "Content-Encoding: zlib\r\n", str_n(z, n), 200, NULL, want);
    check_post(OTLP, JSON, "Content-Encoding: deflate\r\n", str_n(z, n), 200, NULL, want);
    n = ZSTD_compress(z, sizeof z, body, sizeof body - 1, 1);
    check_post(OTLP, JSON, "Content-Encoding: zstd\r\n", str_n(z, n), 200, NULL, want);
    check_post(LOKI, JSON, "Content-Encoding: zstd\r\n", str_head(str_n(z, n), n - 1), 400, "{\"code\":3,\"message\":\"zstd: the body is cut off\"}", "");
    buf_puts(&lz4, STR("\x04\x22\x4d\x18\x40\x70\xdf")); /* a frame of one block that is as it was */
    put_u32le(buf_reserve(&lz4, 4), (uint32_t)(sizeof body - 1) | UINT32_C(1) << 31);
    lz4.n += 4;
    buf_puts(&lz4, STR(body));
    buf_puts(&lz4, STR("\0\0\0\0"));
    check_post(LOKI, JSON, "Content-Encoding: lz4\r\n", buf_str(&lz4), 204, NULL, want);
    check_post(OTLP, JSON, "Content-Encoding: br\r\n", STR(body), 400, "{\"code\":3,\"message\":\"Content-Encoding \\\"br\\\" not supported\"}", "");
    buf_release(&lz4);
}

/* What came too fast may be sent again, so it must not be told as a partial success: that never is. */
static void too_fast(void **state)
{
    static const char body[] = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\"more than ten bytes\"}}]}]}]}";

    (void)state;
    logs->opts.stream_rate_bytes = logs->opts.stream_rate_burst_bytes = 10;
    check_post(OTLP, JSON, NULL, STR(body), 429, "{\"code\":8,\"message\":\"Per stream rate limit exceeded", "");
    assert_true(has(&out, "Retry-After: 1"));
    check_post(LOKI, JSON, NULL, STR(body), 429, "{\"code\":8,", "");
    logs_opts_default(&logs->opts);
    logs->opts.rate_bytes = logs->opts.rate_burst_bytes = 10;
    check_post(OTLP, JSON, NULL, STR(body), 429, "{\"code\":8,\"message\":\"ingestion rate limit exceeded", "");
    logs_opts_default(&logs->opts);
    say = SAY_TOO_MUCH;
    check_post(OTLP, JSON, NULL, STR(body), 413, "{\"code\":8,\"message\":\"9 records at once, at most 8\"}", "");
    say = SAY_STORE;
    fake_streams_max = 1;
    check_post(OTLP, JSON, NULL,
               STR("{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"a\"}}]},\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\"}]}]},"
                   "{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\"}]}]}]}"), 200, "\"rejectedLogRecords\":\"1\",\"errorMessage\":\"maximum active stream limit", NULL);
    fake_streams_max = 0;
}

/* Anything nested without end is refused, not followed. */
static void deep(void **state)
{
    struct buf v = {0}, b = {0};

    (void)state;
    enc_bytes(&v, 1, STR("x"));
    for (int i = 0; i < 200; i++) {
        struct buf list = {0};

        enc_message(&list, 1, &v);
        enc_message(&v, 5, &list);
    }
    struct buf rec = {0}, sl = {0}, rl = {0}, m = {0};

    enc_message(&rec, 5, &v);
    enc_message(&sl, 2, &rec);
    enc_message(&rl, 2, &sl);
    enc_message(&m, 1, &rl);
    check_post(OTLP, PROTO, NULL, buf_str(&m), 400, "no protobuf message", "");
    buf_putz(&b, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":");
    for (int i = 0; i < 100000; i++)
        buf_putz(&b, "{\"arrayValue\":{\"values\":[");
    check_post(OTLP, JSON, NULL, buf_str(&b), 400, "nested deeper", "");
    buf_release(&m);
    buf_release(&b);
}

static void rules(void **state)
{
    static const char yaml[] = "limits_config:\n"
                               "  discover_log_levels: false\n"
                               "  otlp_config:\n"
                               "    severity_text_as_label: true\n"
                               "    resource_attributes:\n"
                               "      ignore_defaults: true\n"
                               "      attributes_config:\n"
                               "        - {action: index_label, attributes: [team]}\n"
                               "        - {action: drop, regex: 'secret.*'}\n"
                               "    log_attributes:\n"
                               "      - {action: index_label, attributes: [zone]}\n"
                               "      - {action: drop, attributes: [noise]}\n";
    struct arena a = {0};
    struct conf *root;
    struct logs_config *c;
    struct err e;

    (void)state;
    assert_int_equal(conf_parse(&a, STR("t.yml"), STR(yaml), &root, &e), 0);
    if (logs_config_read(root, &c, &e) < 0 || conf_finish(root, "the file", &e) < 0 || logs_apply(logs, server, c, &e) < 0)
        fail_msg("%s", e.text);
    arena_release(&a);
    check_post(OTLP, JSON, NULL,
               STR("{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"s\"}},{\"key\":\"team\",\"value\":{\"stringValue\":\"t\"}},"
                   "{\"key\":\"secret.key\",\"value\":{\"stringValue\":\"x\"}}]},\"scopeLogs\":[{\"logRecords\":["
                   "{\"timeUnixNano\":\"1\",\"severityText\":\"WARN\",\"body\":{\"stringValue\":\"a\"},\"attributes\":[{\"key\":\"zone\",\"value\":{\"stringValue\":\"z\"}},{\"key\":\"noise\",\"value\":{\"stringValue\":\"n\"}}]},"
                   "{\"timeUnixNano\":\"2\",\"body\":{\"stringValue\":\"b\"}},{\"timeUnixNano\":\"3\",\"severityText\":\"WARN\",\"body\":{\"stringValue\":\"c\"},\"attributes\":[{\"key\":\"zone\",\"value\":{\"stringValue\":\"z\"}}]}]}]}]}"),
               200, "{}",
               "{service_name=\"unknown_service\", severity_text=\"WARN\", team=\"t\", zone=\"z\"} 1 \"a\" service_name=\"s\"\n"
               "{service_name=\"unknown_service\", severity_text=\"WARN\", team=\"t\", zone=\"z\"} 3 \"c\" service_name=\"s\"\n"
               "{service_name=\"unknown_service\", team=\"t\"} 2 \"b\" service_name=\"s\"\n");
    assert_int_equal(conf_parse(&a, STR("t.yml"), STR("{}"), &root, &e), 0);
    assert_int_equal(logs_config_read(root, &c, &e), 0);
    assert_int_equal(logs_apply(logs, server, c, &e), 0);
    arena_release(&a);
}

static void bad_rules(void **state)
{
    static const char *const all[][2] = {
        {"limits_config: {otlp_config: {log_attributes: [{action: keep, attributes: [a]}]}}", "t.yml:1: action \"keep\" is none of"},
        {"limits_config: {otlp_config: {log_attributes: [{action: drop}]}}", "either attributes or regex"},
        {"limits_config: {otlp_config: {log_attributes: [{action: drop, regex: '('}]}}", "regex"},
        {"limits_config: {max_streams: 1}", "unknown key \"max_streams\" in limits_config"},
        {"limits_config: {ingestion_rate_mb: -1}", "ingestion_rate_mb must be"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct arena a = {0};
        struct conf *root;
        struct logs_config *c;
        struct err e;

        assert_int_equal(conf_parse(&a, STR("t.yml"), str_of(all[i][0]), &root, &e), 0);
        assert_int_equal(logs_config_read(root, &c, &e), ERR_INVALID);
        if (!strstr(e.text, all[i][1]))
            fail_msg("%s: %s", all[i][0], e.text);
        arena_release(&a);
    }
}

static void numbers(void **state)
{
    static const struct {
        double v;
        const char *text;
    } all[] = {{0, "0"}, {1e6, "1000000"}, {1e-6, "0.000001"}, {1e21, "1e+21"}, {-2.5, "-2.5"}, {1.0 / 0.0, "Infinity"}, {-1.0 / 0.0, "-Infinity"}, {0.0 / 0.0, "NaN"}};
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct any v = {.kind = ANY_DOUBLE, .d = all[i].v};

        assert_string_equal(any_text(&a, &v).p, all[i].text);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms), cmocka_unit_test(refusals), cmocka_unit_test(encodings), cmocka_unit_test(too_fast), cmocka_unit_test(deep), cmocka_unit_test(rules), cmocka_unit_test(bad_rules), cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
