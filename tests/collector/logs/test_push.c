/* Loki's push over HTTP: both forms, what is refused and in which words. */
#include "collector/logs/push.c"

#include "collector/logs/request.h"

#include "tests/collector/logs/enc.h"
#include "tests/collector/logs/fake_logstore.h"

#include "net/codec.h"

#include <zlib.h>

#define PUSH "/loki/api/v1/push"
#define JSON "application/json"
#define PROTO "application/x-protobuf"
#define US ", service_name=\"unknown_service\"}"

/* --- an encoder of our own (enc.h), from the table of the contract ----------------------------------------- */

static void enc_entry(struct buf *b, int64_t s, int32_t ns, struct str line, const struct label *meta, unsigned nmeta)
{
    struct buf e = {0}, t = {0};

    if (s) {
        enc_varint(&t, 1 << 3);
        enc_varint(&t, (uint64_t)s);
    }
    if (ns) {
        enc_varint(&t, 2 << 3);
        enc_varint(&t, (uint64_t)(int64_t)ns);
    }
    enc_bytes(&e, 1, buf_str(&t));
    enc_bytes(&e, 2, line);
    for (unsigned i = 0; i < nmeta; i++) {
        struct buf m = {0};

        enc_bytes(&m, 1, meta[i].name);
        enc_bytes(&m, 2, meta[i].value);
        enc_bytes(&e, 3, buf_str(&m));
        buf_release(&m);
    }
    enc_bytes(b, 2, buf_str(&e));
    buf_release(&e);
    buf_release(&t);
}

static void post_proto(struct str body, int status, const char *answer, const char *want)
{
    struct buf z = {0};

    snappy_encode(&z, body);
    check_post(PUSH, PROTO, NULL, buf_str(&z), status, answer, want);
    buf_release(&z);
}

static void json(const char *body, int status, const char *answer, const char *want)
{
    check_post(PUSH, JSON, NULL, str_of(body), status, answer, want);
}

/* --- tests --------------------------------------------------------------------------------------------------- */

static void golden(void **state)
{
    static const char bytes[] = "\x2d\xb0\x0a\x2b\x0a\x09{job=\"a\"}\x12\x1e\x0a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x05\x12\x02hi\x1a\x0e\x0a\x08trace_id\x12\x02"
                                "ab";
    const char *want = "{job=\"a\", service_name=\"a\"} 1700000000000000005 \"hi\" detected_level=\"unknown\" trace_id=\"ab\"\n";

    (void)state;
    say = SAY_STORE;
    assert_int_equal(sizeof bytes - 1, 47);
    check_post(PUSH, PROTO, NULL, STR(bytes), 204, NULL, want);
    check_post("/api/prom/push", PROTO, NULL, STR(bytes), 204, NULL, want);
    check_post("/insert/loki/api/v1/push", "application/octet-stream", "Content-Encoding: snappy\r\n", STR(bytes), 204, NULL, want);
    say = SAY_LATER;
    json("{\"streams\":[{\"stream\":{\"job\":\"a\"},\"values\":[[\"1700000000000000005\",\"hi\",{\"trace_id\":\"ab\"}],[\"1700000000000000006\",\"again\"]]}]}", 204,
         NULL,
         "{job=\"a\", service_name=\"a\"} 1700000000000000005 \"hi\" detected_level=\"unknown\" trace_id=\"ab\"\n"
         "{job=\"a\", service_name=\"a\"} 1700000000000000006 \"again\" detected_level=\"unknown\"\n");
    say = SAY_STORE;
}

static void json_forms(void **state)
{
    (void)state;
    /* keys in any order, unknown ones, white space, escapes, the legacy form */
    json(" { \"x\" : [1, {\"y\": null}], \"streams\" : [ { \"values\" : [ [ \"1\" , \"a\\n\\u00e9\\ud83d\\ude00\\\"\" , { } , \"more\" ] ] , \"stream\" : { \"b\" : \"2\", \"a\" : \"1\\\\\" } } ] } ",
         204, NULL, "{a=\"1\\\\\", b=\"2\"" US " 1 \"a\\n\xc3\xa9\xf0\x9f\x98\x80\\\"\" detected_level=\"unknown\"\n");
    json("{\"streams\":[{\"labels\":\"{job=\\\"a\\\"}\",\"entries\":[{\"ts\":\"2023-11-14T22:13:20.000000005Z\",\"line\":\"hi\"},{\"line\":\"x\",\"ts\":\"1970-01-01T01:00:00+01:00\"}]}]}", 204, NULL,
         "{job=\"a\", service_name=\"a\"} 1700000000000000005 \"hi\" detected_level=\"unknown\"\n"
         "{job=\"a\", service_name=\"a\"} 0 \"x\" detected_level=\"unknown\"\n");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\",\"e\":\"\"},\"values\":[[\"-5\",\"\"]]}]}", 204, NULL, "{a=\"1\"" US " -5 \"\" detected_level=\"unknown\"\n");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":null},{\"stream\":{\"a\":\"2\"}}]}", 204, NULL, "");
    json("{\"streams\":[{\"values\":[[\"1\",\"x\"]]}]}", 204, NULL, "{service_name=\"unknown_service\"} 1 \"x\" detected_level=\"unknown\"\n");
    /* what is not */
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[1,\"x\"]]}]}", 400, "the timestamp must be a string", "");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1.5\",\"x\"]]}]}", 400, "no whole number", "");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",7]]}]}", 400, "the line must be a string", "");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\",{\"k\":7}]]}]}", 400, "structured metadata must be a string", "");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\",[]]]}]}", 400, "must be an object", "");
    json("{\"streams\":[{\"stream\":{\"a\":1},\"values\":[[\"1\",\"x\"]]}]}", 400, "the value of a label must be a string", "");
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"],]}]}", 400, "an array was expected", "");
    json("{\"streams\":[]}", 422, "error at least one valid stream is required for ingestion", "");
    json("{}", 422, "error at least one valid stream", "");
    json("", 400, "byte 0", "");
    json("{\"streams\":[]}x", 400, "something follows", "");
    /* the good stays when a stream behind it breaks: nothing of the body is stored */
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"]]},{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"", 400, "\",\" or \"]\" was expected", "");
}

static void partial_errors(void **state)
{
    (void)state;
    json("{\"streams\":[{\"labels\":\"{a=b}\",\"entries\":[{\"ts\":\"2023-11-14T22:13:20Z\",\"line\":\"1\"},{\"ts\":\"2023-11-14T22:13:20Z\",\"line\":\"2\"}]},"
         "{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"]]}]}",
         400, "2 errors like: error parsing labels '{a=b}' with error: 1:4: parse error: a quoted string was expected\n",
         "{a=\"1\"" US " 1 \"x\" detected_level=\"unknown\"\n");
    json("{\"streams\":[{\"stream\":{\"a.b\":\"1\"},\"values\":[[\"1\",\"x\"]]}]}", 400, "error parsing labels '{a.b=\"1\"}' with error: 1:3: parse error: \"=\" was expected\n", "");
    json("{\"streams\":[{\"labels\":\"{a=\\\"1\\\", a=\\\"2\\\"}\",\"entries\":[{\"ts\":\"2023-11-14T22:13:20Z\",\"line\":\"1\"}]}]}", 400,
         "stream '{a=\"1\", a=\"2\"}' has duplicate label name: 'a'\n", "");
    fake_line_max = 3;
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"toolong\"],[\"2\",\"ok\"],[\"3\",\"long as well\"]]},{\"labels\":\"{\",\"entries\":[{\"ts\":\"2023-11-14T22:13:20Z\"}]}]}", 400,
         "1 errors like: error parsing labels '{' with error: 1:2: parse error: a label name was expected; 2 errors like: max entry size exceeded\n",
         "{a=\"1\"" US " 2 \"ok\" detected_level=\"unknown\"\n");
    fake_line_max = 256 << 10;
    fake_streams_max = 1;
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"]]},{\"stream\":{\"a\":\"2\"},\"values\":[[\"1\",\"x\"]]}]}", 429, "maximum active stream limit exceeded",
         "{a=\"1\"" US " 1 \"x\" detected_level=\"unknown\"\n");
    fake_streams_max = 0;
}

static void own_trouble(void **state)
{
    const char *one = "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"]]}]}";

    (void)state;
    say = SAY_BUSY;
    json(one, 503, "Retry-After: 1", "");
    say = SAY_FULL;
    json(one, 503, "the disk is full", "");
    say = SAY_DISK_FAILS;
    json(one, 503, "the disk is on fire", NULL);
    say = SAY_STORE;
}

static void types_and_encodings(void **state)
{
    const char *one = "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"]]}]}", *want = "{a=\"1\"" US " 1 \"x\" detected_level=\"unknown\"\n";
    struct buf z = {0};
    uLongf n = 300;
    char deflated[300];
    z_stream s = {0};

    (void)state;
    check_post(PUSH, NULL, NULL, str_of(one), 400, "mime: no media type", "");
    check_post(PUSH, "a b", NULL, str_of(one), 400, "mime", "");
    check_post(PUSH, "application/json; charset=utf-8", NULL, str_of(one), 204, NULL, want);
    check_post(PUSH, "application/json; x", NULL, str_of(one), 400, "mime", "");
    check_post(PUSH, "text/plain", NULL, str_of(one), 400, "snappy", "");
    gzip_encode(&z, str_of(one), 1);
    check_post(PUSH, JSON, "Content-Encoding: gzip\r\n", buf_str(&z), 204, NULL, want);
    buf_reset(&z);
    snappy_encode(&z, str_of(one));
    check_post(PUSH, JSON, "Content-Encoding: snappy\r\n", buf_str(&z), 204, NULL, want);
    check_post(PUSH, JSON, "Content-Encoding: snappy\r\n", str_of(one), 204, NULL, want);
    check_post(PUSH, JSON, "Content-Encoding: br\r\n", str_of(one), 400, "Content-Encoding \"br\" not supported", "");
    check_post(PUSH, PROTO, "Content-Encoding: br\r\n", str_of(one), 400, "Content-Encoding \"br\" not supported", "");
    s.next_in = (Bytef *)(uintptr_t)one;
    s.avail_in = (uInt)strlen(one);
    s.next_out = (Bytef *)deflated;
    s.avail_out = (uInt)n;
    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    check_post(PUSH, JSON, "Content-Encoding: deflate\r\n", str_n(deflated, s.total_out), 204, NULL, want);
    deflateEnd(&s);
    buf_release(&z);
}

static void selectors(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: an error */
    } all[] = {
        {"{}", "{}"},
        {"{a=\"b\"}", "{a=\"b\"}"},
        {" { a = \"b\" , c='d', } ", "{a=\"b\", c=\"d\"}"},
        {"{a=\"x\\n\\x41\\u00e9\\101\\\"\"}", "{a=\"x\\nA\xc3\xa9" "A\\\"\"}"},
        {"{a=`x\\n`}", "{a=\"x\\\\n\"}"},
        {"m{a=\"b\"}", "m{a=\"b\"}"},
        {"{\"a.b\"=\"c\"}", "{\"a.b\"=\"c\"}"},
        {"{a=\"b\"", NULL},
        {"{a=\"b}", NULL},
        {"{a=~\"b\"}", NULL},
        {"{a=\"b\" c=\"d\"}", NULL},
        {"{,}", NULL},
        {"{1a=\"b\"}", NULL},
        {"{a=\"\\q\"}", NULL},
        {"{a=\"\\ud800\"}", NULL},
        {"{a=\"\\", NULL},
        {"", NULL},
        {"{a=\"b\"} x", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct arena a = {0};
        struct buf b = {0};
        struct labels ls;
        struct err e;
        int rc = stream_parse(&a, str_of(all[i].text), &ls, &e);

        if ((rc == 0) != (all[i].want != NULL))
            fail_msg("%s: %d %s", all[i].text, rc, rc ? e.text : "");
        if (rc == 0) {
            labels_print(&b, &ls);
            assert_string_equal(b.n ? buf_z(&b) : "{}", all[i].want);
        }
        buf_release(&b);
        arena_release(&a);
    }
}

static void names(void **state)
{
    static const char *const all[][2] = {{"a_b", "a_b"}, {"a.b", "a_b"}, {"a..b__c", "a_b_c"}, {"1a", "key_1a"}, {"__x", "__x"}, {"_x", "_x"}, {"\xc3\xa9x", "_x"}, {"", ""}};
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_true(str_eqz(name_sanitise(&a, str_of(all[i][0])), all[i][1]));
    assert_true(str_eqz(meta_value_clean(&a, STR("a\xff\xef\xbf\xbd" "b\xc3\xa9")), "a  b\xc3\xa9"));
    arena_release(&a);
}

static void levels(void **state)
{
    (void)state;
    json("{\"streams\":[{\"stream\":{\"level\":\"WRN\",\"a\":\"1\"},\"values\":[[\"1\",\"error\"],[\"2\",\"x\",{\"detected_level\":\"Error\"}],[\"3\",\"x\",{\"severity\":\"info\"}]]},"
         "{\"stream\":{\"a\":\"1\"},\"values\":[[\"4\",\"x\",{\"lvl\":\"dbg\",\"severity\":\"odd\"}],[\"5\",\"x\",{\"severity_number\":\"21\"}],[\"6\",\"level=error\"],[\"7\",\"x\",{\"k\":\"\",\"b.c\":\"\\ufffd\"}]]}]}",
         204, NULL,
         "{a=\"1\", level=\"WRN\"" US " 1 \"error\" detected_level=\"warn\"\n"
         "{a=\"1\", level=\"WRN\"" US " 2 \"x\" detected_level=\"error\"\n"
         "{a=\"1\", level=\"WRN\"" US " 3 \"x\" detected_level=\"warn\" severity=\"info\"\n"
         "{a=\"1\"" US " 4 \"x\" detected_level=\"odd\" lvl=\"dbg\" severity=\"odd\"\n"
         "{a=\"1\"" US " 5 \"x\" detected_level=\"fatal\" severity_number=\"21\"\n"
         "{a=\"1\"" US " 6 \"level=error\" detected_level=\"error\"\n"
         "{a=\"1\"" US " 7 \"x\" b_c=\" \" detected_level=\"unknown\"\n");
}

static void proto_odd(void **state)
{
    struct buf m = {0}, s = {0}, entry = {0};
    struct label meta = {STR("k"), STR("v")};

    (void)state;
    /* the labels behind the entries, unknown fields, an empty stream beside */
    enc_entry(&s, 1, 2, STR("x"), &meta, 1);
    enc_bytes(&s, 9, STR("what"));
    enc_bytes(&s, 1, STR("{a=\"1\"}"));
    enc_bytes(&m, 1, buf_str(&s));
    enc_bytes(&m, 1, STR(""));
    enc_bytes(&m, 7, STR("?"));
    post_proto(buf_str(&m), 204, NULL, "{a=\"1\"" US " 1000000002 \"x\" detected_level=\"unknown\" k=\"v\"\n");
    post_proto(str_head(buf_str(&m), m.n - 2), 400, "no protobuf message", "");
    post_proto(STR(""), 422, "at least one valid stream", "");
    check_post(PUSH, PROTO, NULL, STR("\x05nonsense"), 400, "snappy", "");
    /* not packed, or packed by something else */
    check_post(PUSH, PROTO, "Content-Encoding: gzip\r\n", STR("x"), 400, "gzip", "");
    gzip_encode(&entry, buf_str(&m), 1);
    check_post(PUSH, PROTO, "Content-Encoding: gzip\r\n", buf_str(&entry), 204, NULL, "{a=\"1\"" US " 1000000002 \"x\" detected_level=\"unknown\" k=\"v\"\n");
    /* times at the ends of time */
    buf_reset(&m);
    buf_reset(&s);
    enc_bytes(&s, 1, STR("{a=\"1\"}"));
    enc_entry(&s, INT64_MAX, 0, STR("x"), NULL, 0);
    enc_entry(&s, INT64_MIN, -1, STR("y"), NULL, 0);
    enc_bytes(&m, 1, buf_str(&s));
    post_proto(buf_str(&m), 204, NULL,
               "{a=\"1\"" US " 9223372036854775807 \"x\" detected_level=\"unknown\"\n"
               "{a=\"1\"" US " -9223372036854775808 \"y\" detected_level=\"unknown\"\n");
    buf_release(&m);
    buf_release(&s);
    buf_release(&entry);
}

/* What an encoder that knows nothing of the reader wrote comes out again, whatever is in it. */
static void proto_at_random(void **state)
{
    unsigned seed = (unsigned)clock_wall_ns();

    (void)state;
    srand(seed);
    for (int round = 0; round < 200; round++) {
        struct arena a = {0};
        struct buf m = {0}, want = {0}, got = {0};
        struct logs_rules *rules = logs_rules_new();
        struct stream_cache *cache = rand() % 2 ? stream_cache_new() : NULL;
        struct intake in;
        struct push_reader p = {.in = &in, .cache = cache};
        struct err e;

        rules->levels = false;
        for (int k = rand() % 5; k >= 0; k--) {
            struct buf s = {0};
            int n = rand() % 50 + 1, id = rand() % 3;

            buf_printf(&s, "{a=\"%d\"}", id);
            {
                struct buf t = {0};

                enc_bytes(&t, 1, buf_str(&s));
                for (; n > 0; n--) {
                    char line[300];
                    struct str text = str_n(line, (size_t)rand() % sizeof line);
                    struct label meta[3] = {{STR("x"), STR("1")}, {STR("y"), STR("\"")}, {STR("z"), STR("3")}};
                    unsigned nmeta = (unsigned)rand() % 4;
                    int64_t sec = rand();

                    for (size_t i = 0; i < text.n; i++)
                        line[i] = (char)rand();
                    enc_entry(&t, sec, n, text, meta, nmeta);
                    buf_printf(&want, "%d %lld %u ", id, (long long)(sec * 1000000000 + n), nmeta);
                    buf_put_quoted(&want, text);
                    buf_putc(&want, '\n');
                }
                enc_bytes(&m, 1, buf_str(&t));
                buf_release(&t);
            }
            buf_release(&s);
        }
        intake_init(&in, &a, rules, m.n, false);
        assert_int_equal(push_read_proto(&p, buf_str(&m), &e), 0);
        intake_finish(&in);
        for (uint32_t i = 0; i < in.b.nstreams; i++)
            for (uint32_t k = in.b.streams[i].first; k < in.b.streams[i].first + in.b.streams[i].n; k++) {
                buf_printf(&got, "%.*s %lld %u ", STR_ARG(labels_get(&in.b.streams[i].labels, STR("a"))), (long long)in.b.rows[k].t_ns, in.b.rows[k].meta_n);
                buf_put_quoted(&got, in.b.rows[k].line);
                buf_putc(&got, '\n');
            }
        if (!str_eq(buf_str(&got), buf_str(&want)))
            fail_msg("seed %u, round %d", seed, round);
        buf_release(&m);
        buf_release(&want);
        buf_release(&got);
        intake_release(&in);
        arena_release(&a);
        logs_rules_unref(rules);
        stream_cache_free(cache);
    }
}

/* --- bad input: the bad part is refused by a stated rule, the rest of the batch is stored ------------------ */

static void huge_line(void **state)
{
    size_t n = 100u << 20;
    struct buf m = {0}, s = {0}, z = {0};
    char *line = x_alloc(n);

    (void)state;
    memset(line, 'x', n);
    enc_bytes(&s, 1, STR("{a=\"1\"}"));
    enc_entry(&s, 1, 0, STR("before"), NULL, 0);
    enc_entry(&s, 2, 0, str_n(line, n), NULL, 0);
    enc_entry(&s, 3, 0, STR("behind"), NULL, 0);
    enc_bytes(&m, 1, buf_str(&s));
    buf_release(&s);
    free(line);
    post_proto(buf_str(&m), 400, "max entry size",
               "{a=\"1\"" US " 1000000000 \"before\" detected_level=\"unknown\"\n"
               "{a=\"1\"" US " 3000000000 \"behind\" detected_level=\"unknown\"\n");
    check_post(PUSH, JSON, NULL, buf_str(&m), 413, "http.max-body", "");
    buf_release(&m);
    buf_release(&z);
}

static void strange_bytes(void **state)
{
    struct buf m = {0}, s = {0};
    const char line[] = "a\0b\xff\xfe\x1b[31m<script>alert(1)</script>\xed\xa0\x80";

    (void)state;
    enc_bytes(&s, 1, STR("{a=\"1\"}"));
    enc_entry(&s, 1, 0, STR(line), NULL, 0);
    enc_bytes(&m, 1, buf_str(&s));
    post_proto(buf_str(&m), 204, NULL, NULL);
    assert_true(seen_has("a\\x00b\\xff\\xfe\\x1b[31m<script>alert(1)</script>\\xed\\xa0\\x80"));
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"a\\u0000b\\ud800\"]]}]}", 204, NULL, "{a=\"1\"" US " 1 \"a\\x00b\xef\xbf\xbd\" detected_level=\"unknown\"\n");
    buf_release(&m);
    buf_release(&s);
}

static void deep_and_many(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_putz(&b, "{\"x\":");
    for (int i = 0; i < 1000000; i++)
        buf_putc(&b, '[');
    check_post(PUSH, JSON, NULL, buf_str(&b), 400, "nested deeper than the limit of 128", "");
    /* as a line it is text */
    buf_reset(&b);
    buf_putz(&b, "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"{");
    for (int i = 0; i < 1000; i++)
        buf_putz(&b, "\\\"a\\\":{");
    buf_putz(&b, "}\"]]}]}");
    check_post(PUSH, JSON, NULL, buf_str(&b), 204, NULL, NULL);
    /* 10,000 fields of metadata: that entry is refused */
    buf_reset(&b);
    buf_putz(&b, "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"x\"],[\"2\",\"y\",{\"k\":\"\"");
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, ",\"k%d\":\"v\"", i);
    buf_putz(&b, "}]]}]}");
    check_post(PUSH, JSON, NULL, buf_str(&b), 400, "too many structured metadata labels", "{a=\"1\"" US " 1 \"x\" detected_level=\"unknown\"\n");
    buf_release(&b);
}

static void wrong_times(void **state)
{
    char body[400];

    (void)state;
    fake_now_ns = clock_wall_ns();
    snprintf(body, sizeof body, "{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"%lld\",\"now\"],[\"1\",\"ancient\"],[\"9223372036854775807\",\"far\"]]}]}", (long long)fake_now_ns);
    json(body, 400, "1 errors like: entry has timestamp too old; 1 errors like: entry has timestamp too new", NULL);
    assert_true(seen_has("\"now\"") && !seen_has("ancient") && !seen_has("far"));
    fake_now_ns = 0;
}

/* Bodies of nothing but rows: the memory they may take is bounded. */
static void bomb(void **state)
{
    struct buf m = {0}, s = {0};

    (void)state;
    enc_bytes(&s, 1, STR("{a=\"1\"}"));
    for (int i = 0; i < 9000000; i++)
        buf_put(&s, "\x12\x00", 2);
    enc_bytes(&m, 1, buf_str(&s));
    post_proto(buf_str(&m), 413, "more memory than the limit", "");
    buf_release(&m);
    buf_release(&s);
}

static void rates(void **state)
{
    struct logs_opts o;
    struct rates *r = rates_new();
    struct logs_rules *rules = logs_rules_new();
    struct err e;

    (void)state;
    logs_opts_default(&o);
    assert_int_equal(rates_take(r, rules, &o, STR("fake"), 1, UINT64_C(1) << 40, &e), 0);
    o.rate_bytes = 1000;
    o.rate_burst_bytes = 1500;
    clock_fake(INT64_C(5000000000), 0);
    assert_int_equal(rates_take(r, rules, &o, STR("fake"), 1, 1500, &e), 0);
    assert_int_equal(rates_take(r, rules, &o, STR("fake"), 7, 1, &e), ERR_BUSY);
    assert_string_equal(e.text, "ingestion rate limit exceeded for user fake (limit: 1000 bytes/sec) while attempting to ingest '7' lines totaling '1' bytes, "
                                "reduce log volume or contact your Loki administrator to see if the limit can be increased");
    clock_fake(INT64_C(6000000000), 0);
    assert_int_equal(rates_take(r, rules, &o, STR("fake"), 1, 1000, &e), 0);
    clock_fake_release();
    rates_free(r);
    logs_rules_unref(rules);
}

static void stream_rate(void **state)
{
    struct logs *mine = logs_new(NULL, &(struct logs_opts){.stream_rate_bytes = 10, .stream_rate_burst_bytes = 10}), *theirs = logs;
    struct http_server *s = http_server_new(1, NULL), *old = server;
    uint16_t old_port = port;
    struct err e;

    (void)state;
    logs_routes(s, mine);
    assert_int_equal(http_listen(s, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(s, &e), 0);
    server = s;
    logs = mine;
    json("{\"streams\":[{\"stream\":{\"a\":\"1\"},\"values\":[[\"1\",\"too much for it\"]]},{\"stream\":{\"a\":\"2\"},\"values\":[[\"1\",\"x\",{\"detected_level\":\"info\"}]]}]}", 429,
         "Per stream rate limit exceeded (limit: 10B/sec) while attempting to ingest for stream '{a=\"1\", service_name=\"unknown_service\"}' totaling 36B", NULL);
    http_server_free(s);
    logs_free(mine);
    server = old;
    logs = theirs;
    port = old_port;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),        cmocka_unit_test(json_forms),  cmocka_unit_test(partial_errors), cmocka_unit_test(own_trouble),
        cmocka_unit_test(types_and_encodings), cmocka_unit_test(selectors), cmocka_unit_test(names),     cmocka_unit_test(levels),
        cmocka_unit_test(proto_odd),     cmocka_unit_test(proto_at_random), cmocka_unit_test(huge_line), cmocka_unit_test(strange_bytes),
        cmocka_unit_test(deep_and_many), cmocka_unit_test(wrong_times), cmocka_unit_test(bomb),           cmocka_unit_test(rates),
        cmocka_unit_test(stream_rate),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
