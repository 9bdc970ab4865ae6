/*
 * test_calls.c - the calls beyond queries and names: search, remote read, notifications, our own metrics, costs; and that what
 * openapi.yaml promises is there.
 */
#include "query/api/openapi.c"
#include "tests/query/api/house.h"

#include "base/histogram.h"
#include "net/wire.h"

/* --- search --------------------------------------------------------------------------------------------- */

#define WINDOW_OF_1970 "start=900&end=1700"
#define FINE           "{\"status\":\"success\",\"has_more\":false}\n"
#define MORE           "{\"status\":\"success\",\"has_more\":true}\n"

static void search(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/search/metric_names?" WINDOW_OF_1970, 200,
         "{\"results\":[{\"name\":\"odd.metric\"},{\"name\":\"steps_total\"},{\"name\":\"up\"}]}\n" FINE},
        {"/api/v1/search/metric_names?limit=2&batch_size=1&sort_by=alpha&sort_dir=dsc&" WINDOW_OF_1970, 200,
         "{\"results\":[{\"name\":\"up\"}]}\n{\"results\":[{\"name\":\"steps_total\"}]}\n" MORE},
        {"/api/v1/search/metric_names?search[]=UP&case_sensitive=false&include_metadata=true&include_score=1&" WINDOW_OF_1970,
         200, "{\"results\":[{\"name\":\"up\",\"score\":1,\"type\":\"gauge\",\"help\":\"Is it up?\"}]}\n" FINE},
        {"/api/v1/search/metric_names?search[]=t&sort_by=score&include_score=1&" WINDOW_OF_1970, 200,
         "{\"results\":[{\"name\":\"steps_total\",\"score\":0.49949999999999994},"
         "{\"name\":\"odd.metric\",\"score\":0.2497499999999999}]}\n" FINE},
        {"/api/v1/search/metric_names?search[]=zzz&" WINDOW_OF_1970, 200, "{\"results\":[]}\n" FINE},
        {"/api/v1/search/metric_names", 200, "{\"results\":[]}\n" FINE},
        {"/api/v1/search/label_names?match[]=up&match[]=steps_total&" WINDOW_OF_1970, 200,
         "{\"results\":[{\"name\":\"__name__\"},{\"name\":\"instance\"},{\"name\":\"job\"},{\"name\":\"region\"}]}\n" FINE},
        {"/api/v1/search/label_values?label=instance&search[]=b&" WINDOW_OF_1970, 200,
         "{\"results\":[{\"value\":\"b\"}]}\n" FINE},
        {"/api/v1/search/label_values", BAD("missing required parameter \\\"label\\\"")},
        {"/api/v1/search/metric_names?limit=0", BAD("invalid limit \\\"0\\\": must be a positive integer")},
        {"/api/v1/search/metric_names?batch_size=x", BAD("invalid batch_size \\\"x\\\": must be a positive integer")},
        {"/api/v1/search/metric_names?fuzz_threshold=101", BAD("invalid fuzz_threshold \\\"101\\\": must be 0-100")},
        {"/api/v1/search/metric_names?fuzz_alg=x",
         BAD("unsupported fuzz_alg \\\"x\\\": must be one of [subsequence jarowinkler]")},
        {"/api/v1/search/metric_names?sort_by=x",
         BAD("invalid sort_by \\\"x\\\" for metric_names: must be \\\"alpha\\\" or \\\"score\\\"")},
        {"/api/v1/search/metric_names?sort_by=score", BAD("sort_by=score requires search[] to be set")},
        {"/api/v1/search/metric_names?sort_dir=asc", BAD("sort_dir is only valid when sort_by is set")},
        {"/api/v1/search/metric_names?case_sensitive=x", BAD("invalid case_sensitive \\\"x\\\": must be boolean")},
        {"/api/v1/search/metric_names?start=2&end=1", BAD("end timestamp must not be before start timestamp")},
    };

    (void)state;
    CHECK_ALL("GET", cases);
    assert_non_null(strstr(answer.p, "HTTP/1.1 400"));
    assert_int_equal(ask("POST", "/api/v1/search/label_values", "label=instance&" WINDOW_OF_1970), 200);
    assert_non_null(strstr(answer.p, "Content-Type: application/x-ndjson"));
}

/* --- remote read ----------------------------------------------------------------------------------------- */

/* {__name__="NAME"} over [mint, maxt] s, answered as type. */
static void make_request(struct buf *out, const char *name, int64_t mint, int64_t maxt, uint64_t type)
{
    struct buf m = {0}, q = {0}, r = {0};

    wire_put_bytes(&m, 2, STR("__name__"));
    wire_put_bytes(&m, 3, str_of(name));
    wire_put_varint(&q, 1, (uint64_t)mint * 1000);
    wire_put_varint(&q, 2, (uint64_t)maxt * 1000);
    wire_put_bytes(&q, 3, buf_str(&m));
    wire_put_bytes(&r, 1, buf_str(&q));
    wire_put_varint(&r, 2, type);
    snappy_encode(out, buf_str(&r));
    buf_release(&m);
    buf_release(&q);
    buf_release(&r);
}

static int post_read(const struct buf *body_bytes)
{
    return ask_bytes("POST", "/api/v1/read", "application/x-protobuf", buf_str(body_bytes));
}

static uint32_t count(struct str message, uint32_t number, struct str *first)
{
    struct wire w;
    struct field f;
    uint32_t n = 0;

    *first = STR("");
    wire_init(&w, message);
    while (wire_next(&w, &f) == 0)
        if (f.number == number && n++ == 0)
            *first = f.bytes;
    return n;
}

static void remote_read_samples(void **state)
{
    struct arena a = {0};
    struct str message, result, ts, one;
    struct buf request = {0};
    struct err e;

    (void)state;
    make_request(&request, "up", 1000, 1600, 0);
    assert_int_equal(post_read(&request), 200);
    assert_non_null(strstr(answer.p, "Content-Encoding: snappy\r\n"));
    assert_int_equal(body_decode(&a, ENC_SNAPPY, body_bytes(), 1 << 20, &message, &e), 0);
    assert_int_equal(count(message, 1, &result), 1);
    assert_int_equal(count(result, 1, &ts), 2);
    assert_int_equal(count(ts, 2, &one), POINTS);
    assert_int_equal(count(ts, 1, &one), 4); /* the external label is one of them */
    buf_release(&request);
    arena_release(&a);
}

static void remote_read_chunks(void **state)
{
    struct buf request = {0};
    struct str in, message, chunked, chunk;
    uint32_t frames = 0;

    (void)state;
    make_request(&request, "up", 1000, 1600, 1);
    assert_int_equal(post_read(&request), 200);
    for (in = body_bytes(); in.n; frames++) {
        uint64_t n = 0;
        const uint8_t *p = (const uint8_t *)in.p, *q = get_varint(p, p + in.n, &n);

        assert_true(q && n + 4 <= (size_t)(p + in.n - q));
        message = str_n(q + 4, n);
        assert_int_equal(crc32c(0, message.p, message.n), (uint32_t)q[0] << 24 | q[1] << 16 | q[2] << 8 | q[3]);
        assert_int_equal(count(message, 1, &chunked), 1);
        assert_int_equal(count(chunked, 2, &chunk), 1);
        in = str_from(in, (size_t)(q - p) + 4 + n);
    }
    assert_int_equal(frames, 2);
    buf_release(&request);
}

/* --- of histograms: three that grow, a reset, a gauge of fractions, and a float behind them ---------------- */

static int hist_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)b;
    (void)i;
    out->v = arena_array(a, struct label, 1);
    out->v[0] = (struct label){STR(LABEL_NAME), STR("sizes")};
    out->n = 1;
    return labels_normalise(out, e);
}

static void ingest_histograms(void)
{
    static const struct hist_bucket b1[] = {{1, 2}, {2, 3}}, b2[] = {{1, 3}, {2, 3}, {7, 1}},
                                    b3[] = {{1, 3}, {2, 4}, {7, 5}}, b4[] = {{2, 1}}, b5[] = {{2, 1.5}};
    const struct histogram h[] = {{.schema = 3, .count = 5, .sum = 8, .npos = 2, .pos = b1},
                                  {.schema = 3, .count = 7, .sum = 9, .npos = 3, .pos = b2},
                                  {.schema = 3, .count = 12, .sum = 10, .npos = 3, .pos = b3},
                                  {.schema = 3, .count = 1, .sum = 2, .npos = 1, .pos = b4},
                                  {.schema = 3, .count = 1.5, .sum = 2, .npos = 1, .pos = b5, .hint = HIST_GAUGE}};
    const struct histogram *all[] = {&h[0], &h[1], &h[2], &h[3], &h[4], NULL};
    int64_t t[] = {1100000, 1115000, 1130000, 1145000, 1160000, 1175000};
    double v[] = {0, 0, 0, 0, 0, 42};
    struct tsdb_in in = {.n = 6};
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = t, .v = v, .h = all, .labels = hist_labels};
    struct arena a = {0};
    struct labels ls;
    struct err e;

    assert_int_equal(hist_labels(&b, 0, &a, &ls, &e), 0);
    in.key = labels_hash(&ls);
    if (tsdb_ingest_wait(house.db, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.verdicts[TSDB_OK], 6);
    arena_release(&a);
}

static void remote_read_histograms(void **state)
{
    static const uint64_t types[] = {2, 2, 3, 1};
    static const uint16_t samples[] = {3, 1, 1, 1};
    struct arena a = {0};
    struct buf request = {0};
    struct str message, result, ts, one, frame, chunked;
    struct wire w;
    struct field f;
    uint32_t n = 0;
    struct err e;

    (void)state;
    ingest_histograms();
    make_request(&request, "sizes", 1000, 1600, 0);
    assert_int_equal(post_read(&request), 200);
    assert_int_equal(body_decode(&a, ENC_SNAPPY, body_bytes(), 1 << 20, &message, &e), 0);
    assert_int_equal(count(message, 1, &result), 1);
    assert_int_equal(count(result, 1, &ts), 1);
    assert_int_equal(count(ts, 2, &one), 1);
    assert_int_equal(count(ts, 4, &one), 5);
    buf_reset(&request);
    make_request(&request, "sizes", 1000, 1600, 1);
    assert_int_equal(post_read(&request), 200);
    frame = str_from(body_bytes(), 2 + 4); /* its length takes two bytes */
    assert_int_equal(count(frame, 1, &chunked), 1);
    wire_init(&w, chunked);
    while (wire_next(&w, &f) == 0) {
        struct str data;
        struct wire c;
        struct field x;

        if (f.number != 2)
            continue;
        assert_int_equal(count(f.bytes, 4, &data), 1);
        assert_int_equal((uint8_t)data.p[0] << 8 | (uint8_t)data.p[1], samples[n]);
        for (wire_init(&c, f.bytes); wire_next(&c, &x) == 0;)
            assert_true(x.number != 3 || x.v == types[n]);
        n++;
    }
    assert_int_equal(n, 4);
    buf_release(&request);
    arena_release(&a);
}

static void remote_read_mistakes(void **state)
{
    struct buf request = {0};

    (void)state;
    make_request(&request, "up", 1000, 1600, 7);
    assert_int_equal(post_read(&request), 400);
    assert_non_null(strstr(body(), "response types"));
    buf_reset(&request);
    buf_putz(&request, "nonsense");
    assert_int_equal(post_read(&request), 400);
    assert_int_equal(ask("GET", "/api/v1/read", NULL), 405);
    buf_reset(&request);
    make_request(&request, "nothing", 1000, 1600, 0);
    assert_int_equal(post_read(&request), 200);
    buf_release(&request);
}

/* --- notifications ------------------------------------------------------------------------------------------ */

static bool read_until(int fd, const char *words)
{
    struct pollfd p = {fd, POLLIN, 0};

    buf_reset(&answer);
    while (poll(&p, 1, 5000) == 1) {
        ssize_t n = read(fd, buf_reserve(&answer, 4096), 4096);

        if (n <= 0)
            return words == NULL;
        answer.n += (size_t)n;
        if (words && strstr(buf_z(&answer), words))
            return true;
    }
    return false;
}

static void notifications(void **state)
{
    int fd[17];

    (void)state;
    api_notices_set(house.c.notices, "one", true);
    for (int i = 0; i < 16; i++) {
        fd[i] = connect_and_ask("/api/v1/notifications/live");
        assert_true(read_until(fd[i], "\"text\":\"one\""));
    }
    assert_non_null(strstr(answer.p, "Content-Type: text/event-stream\r\n"));
    assert_int_equal(ask("GET", "/api/v1/notifications/live", NULL), 204);
    assert_int_equal(ask("HEAD", "/api/v1/notifications/live", NULL), 200);
    api_notices_set(house.c.notices, "two", true);
    assert_true(read_until(fd[3], "\"text\":\"two\""));
    assert_int_equal(ask("GET", "/api/v1/notifications", NULL), 200);
    assert_non_null(strstr(body(), "\"text\":\"two\",\"date\":"));
    api_notices_set(house.c.notices, "two", false);
    assert_true(read_until(fd[5], "\"active\":false"));
    api_notices_set(house.c.notices, "two", false); /* nobody is told twice */
    api_notices_set(house.c.notices, "one", false);
    assert_int_equal(ask("GET", "/api/v1/notifications", NULL), 200);
    assert_string_equal(body(), "{\"status\":\"success\",\"data\":[]}");
    for (int i = 0; i < 8; i++)
        close(fd[i]);
    for (int i = 0; i < 200 && (fd[16] = connect_and_ask("/api/v1/notifications/live")) >= 0; i++, usleep(10000)) {
        api_notices_set(house.c.notices, "three", true);
        if (read_until(fd[16], "HTTP/1.1 ") && strstr(answer.p, "HTTP/1.1 200"))
            break; /* places of those who left are free again */
        close(fd[16]);
    }
    assert_non_null(strstr(answer.p, "HTTP/1.1 200"));
    api_notices_close(house.c.notices);
    assert_true(read_until(fd[9], NULL) || strstr(answer.p, "0\r\n\r\n"));
    for (int i = 8; i < 17; i++)
        close(fd[i]);
    assert_int_equal(ask("GET", "/api/v1/notifications/live", NULL), 204);
    api_notices_set(house.c.notices, "three", false);
}

/* --- status --------------------------------------------------------------------------------------------------- */

static void own_metrics(void **state)
{
    static const struct expect cases[] = {
        {"/api/v1/status/self_metrics",
         DATA(
             "[{\"name\":\"a_total\",\"help\":\"Counts \\\"things\\\".\",\"type\":\"COUNTER\",\"metric\":["
             "{\"label\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"y\",\"value\":\"a\\\\\\\"b\"}],\"counter\":{\"value\":3}},"
             "{\"counter\":{\"value\":4.5}}]},"
             "{\"name\":\"b\",\"help\":\"Is it?\",\"type\":\"GAUGE\",\"metric\":[{\"gauge\":{\"value\":\"NaN\"}}]}]")},
        {"/api/v1/status/self_metrics?metric_name_pattern=b",
         DATA("[{\"name\":\"b\",\"help\":\"Is it?\",\"type\":\"GAUGE\","
              "\"metric\":[{\"gauge\":{\"value\":\"NaN\"}}]}]")},
        {"/api/v1/status/self_metrics?metric_name_pattern=c", DATA("[]")},
    };

    (void)state;
    CHECK_ALL("GET", cases);
    assert_int_equal(ask("GET", "/api/v1/status/self_metrics?metric_name_pattern=(", NULL), 400);
    assert_non_null(strstr(body(), "invalid metric_name_pattern: "));
}

/* What the table names is there, with those methods; what it calls required is. */
static void openapi_promises(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const struct openapi_operation *o = &operations[i];
        char path[200];
        int status;

        if (o->answer == EVENTS || strcmp(o->path, "/status/log_targets") == 0) /* the latter is of cmd/ */
            continue;
        snprintf(path, sizeof path, "/api/v1%s", o->path);
        for (unsigned m = HTTP_GET; m <= HTTP_PUT; m <<= 1) {
            const char *method = m == HTTP_GET ? "GET" : m == HTTP_POST ? "POST" : "PUT";

            status = ask(method, path, NULL);
            if ((status == 405 || status == 404) == ((o->methods & m) != 0))
                fail_msg("%s %s: %d", method, path, status);
            if (m == HTTP_GET && o->methods & HTTP_GET && o->parameters[0].name && o->parameters[0].required)
                assert_int_equal(status, 400);
        }
    }
    assert_int_equal(ask("GET", "/api/v1/openapi.yaml", NULL), 200);
    assert_non_null(strstr(body(), "openapi: 3.1.0\n"));
    assert_null(strstr(body(), "/notifications/live"));
    assert_int_equal(ask("GET", "/api/v1/openapi.yaml?openapi_version=3.2", NULL), 200);
    assert_non_null(strstr(body(), "/notifications/live"));
}

/* --- costs -------------------------------------------------------------------------------------------------------- */

static void has(const char *words)
{
    if (!strstr(body(), words))
        fail_msg("no %s in %s", words, body());
}

static void stats(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/api/v1/query?query=rate(up%5B60s%5D)&time=1600.5&stats=all", NULL), 200);
    has("\"samples\":{\"totalQueryableSamplesPerStep\":[[1600.5,8]],\"samplesReadPerStep\":[[1600.5,8]],"
        "\"totalQueryableSamples\":8,\"samplesRead\":8,");
    assert_int_equal(
        ask("GET", "/api/v1/query_range?query=rate(up%5B60s%5D)&start=1500.5&end=1530.5&step=15&stats=all", NULL), 200);
    has("\"totalQueryableSamplesPerStep\":[[1500.5,8],[1515.5,8],[1530.5,8]],\"samplesReadPerStep\":[[1500.5,8],[1515.5,2],[1530.5,2]],"
        "\"totalQueryableSamples\":24,\"samplesRead\":12,");
    assert_int_equal(
        ask("GET", "/api/v1/query_range?query=up%20%2B%20sum(up%20@%201500)&start=1500&end=1530&step=15&stats=true",
            NULL),
        200);
    has("\"samples\":{\"totalQueryableSamples\":12,\"samplesRead\":8,");
    assert_int_equal(ask("GET", "/api/v1/query?query=max_over_time(up%5B60s:15s%5D)&time=1600.5&stats=true", NULL),
                     200);
    has("\"samples\":{\"totalQueryableSamples\":8,\"samplesRead\":8,");
    assert_int_equal(ask("GET", "/api/v1/query?query=1&stats=x", NULL), 200);
    has("\"warnings\":[\"value \\\"x\\\" for parameter \\\"stats\\\" is deprecated");
}

static void explained(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/api/v1/explain?query=sum%20by(job)(abs(rate(up%5B60s%5D)))%2B1&time=1600.5", NULL),
                     200);
    has("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"series\":1,\"stats\":{");
    has("\"explain\":{\"kind\":\"binary\",\"operator\":\"+\",\"start\":0,\"end\":33,");
    has("{\"kind\":\"aggregation\",\"operator\":\"sum by (job)\",\"start\":0,\"end\":31,\"text\":\"sum by(job)(abs(rate(up[60s])))\",\"series\":1,\"fused\":false,");
    has("{\"kind\":\"call\",\"operator\":\"abs\",\"start\":12,\"end\":30,\"text\":\"abs(rate(up[60s]))\",\"series\":2,\"fused\":true,");
    has("{\"kind\":\"range\",\"operator\":\"range 1m\",");
    has("{\"kind\":\"selector\",\"operator\":\"up\",\"start\":21,\"end\":23,\"text\":\"up\",\"series\":2,\"samples\":8,\"blocksRead\":0,\"blocksSkipped\":0,\"resolution\":\"raw\",");
    assert_int_equal(ask("POST", "/api/v1/explain", "query=up@1500&start=1500&end=1530&step=15"), 200);
    has("\"once\":true,\"series\":2,");
    assert_int_equal(ask("GET", "/api/v1/query?query=up%5B1m%5D&time=1600&explain=1", NULL), 200);
    has("],\"explain\":{\"kind\":\"range\"");
    assert_int_equal(ask("GET", "/api/v1/query?query=%22a%22&explain=true", NULL), 200);
    assert_int_equal(ask("GET", "/api/v1/query?query=1&explain=x", NULL), 400);
    assert_int_equal(ask("GET", "/api/v1/explain?query=1&start=2&end=1&step=1", NULL), 400);
    assert_int_equal(ask("POST", "/api/v1/query", "query=up&time=1600"), 200);
    assert_null(strstr(body(), "explain"));
}

/* Deeper than a JSON writer goes. */
static void a_deep_tree_is_told(void **state)
{
    struct buf form = {0};

    (void)state;
    buf_putz(&form, "query=up");
    for (int i = 0; i < 150; i++)
        buf_putz(&form, "%2Bup");
    buf_putz(&form, "&time=1600");
    assert_int_equal(ask("POST", "/api/v1/explain", buf_z(&form)), 200);
    buf_release(&form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search),
        cmocka_unit_test(remote_read_samples),
        cmocka_unit_test(remote_read_chunks),
        cmocka_unit_test(remote_read_mistakes),
        cmocka_unit_test(own_metrics),
        cmocka_unit_test(openapi_promises),
        cmocka_unit_test(stats),
        cmocka_unit_test(explained),
        cmocka_unit_test(a_deep_tree_is_told),
        cmocka_unit_test(remote_read_histograms),
        cmocka_unit_test(notifications),
    };
    int failed = cmocka_run_group_tests(tests, open_house, close_house);

    buf_release(&answer);
    return failed;
}
