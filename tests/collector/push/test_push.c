/* The push routes over HTTP, before a tsdb of which the test decides what it says. */
#include "tests/collector/push/encode.h"
#include "tests/net/http_test.h"

#include "base/histogram.h"
#include "collector/push/push.h"
#include "net/codec.h"
#include "tsdb/tsdb.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* --- a tsdb that does as it is told ------------------------------------------------------------------ */

enum say { SAY_STORE, SAY_STORE_LATER, SAY_DISK_FAILS, SAY_DUPLICATE, SAY_BAD_LABELS, SAY_BUSY, SAY_FULL };

static enum say say;
static unsigned ingests;
static struct buf seen; /* what was stored, a line a sample */

static void note(struct tsdb_batch *b)
{
    for (uint32_t i = 0; i < b->nseries; i++) {
        struct arena a = {0};
        struct labels ls;
        struct err e;

        if (b->labels(b, i, &a, &ls, &e) < 0) {
            b->verdicts[TSDB_BAD_LABELS] += b->series[i].n;
            b->bad_verdict = TSDB_BAD_LABELS;
            err_set(&b->bad, ERR_INVALID, "invalid labels: %s", e.text);
        } else {
            for (uint32_t k = b->series[i].first; k < b->series[i].first + b->series[i].n; k++) {
                labels_print(&seen, &ls);
                const struct histogram *h = b->h ? b->h[k] : NULL;

                if (h)
                    buf_printf(&seen, " histogram of %g, sum %g, %u buckets, hint %u @%lld\n", h->count, h->sum,
                               h->npos + h->nneg, h->hint, (long long)b->t[k]);
                else
                    buf_printf(&seen, " %g @%lld\n", b->v[k], (long long)b->t[k]);
                b->histograms += h != NULL;
                b->verdicts[TSDB_OK]++;
            }
            b->exemplars_stored += b->series[i].exemplar_n;
        }
        arena_release(&a);
    }
    for (uint32_t i = 0; i < b->nmetadata; i++)
        buf_printf(&seen, "meta %.*s %u %.*s\n", STR_ARG(b->metadata[i].family), b->metadata[i].type,
                   STR_ARG(b->metadata[i].help));
}

struct later {
    struct tsdb_batch *b;
    tsdb_done *done;
    int code;
};

static void *call_done(void *arg)
{
    struct later *l = arg;
    struct err e = {0};

    usleep(2000);
    if (l->code < 0)
        err_set(&e, l->code, "the disk is on fire");
    l->done(l->b, l->code, &e);
    free(l);
    return NULL;
}

static void finish_later(struct tsdb_batch *b, tsdb_done *done, int code)
{
    struct later *l = x_alloc(sizeof *l);
    pthread_t t;

    *l = (struct later){b, done, code};
    pthread_create(&t, NULL, call_done, l);
    pthread_detach(t);
}

int tsdb_ingest(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, bool *later, struct err *e)
{
    (void)db;
    ingests++;
    memset(b->verdicts, 0, sizeof b->verdicts);
    b->bad_verdict = TSDB_OK;
    *later = false;
    switch (say) {
    case SAY_BUSY:
        return err_set(e, ERR_BUSY, "too many batches wait");
    case SAY_FULL:
        return err_set(e, ERR_FULL, "the disk is full");
    case SAY_DUPLICATE:
        b->verdicts[TSDB_DUPLICATE] = 1;
        b->verdicts[TSDB_OK] = 2;
        b->bad_verdict = TSDB_DUPLICATE;
        err_set(&b->bad, ERR_EXISTS, "duplicate sample for timestamp: series x");
        *e = b->bad;
        return b->atomic ? ERR_EXISTS : 0;
    case SAY_BAD_LABELS:
    case SAY_STORE:
        note(b);
        if (b->atomic && b->bad_verdict != TSDB_OK) {
            buf_reset(&seen);
            *e = b->bad;
            return b->bad.code;
        }
        return 0;
    case SAY_STORE_LATER:
    case SAY_DISK_FAILS:
        note(b);
        *later = true;
        finish_later(b, done, say == SAY_DISK_FAILS ? ERR_IO : 0);
        return 0;
    }
    return 0;
}

/* --- set-up ------------------------------------------------------------------------------------------- */

static struct http_server *server;
static struct push_ctx ctx = {.remote_write = true};
static uint16_t port;
static struct buf out;

static int setup(void **state)
{
    struct err e;

    (void)state;
    server = http_server_new(1, NULL);
    push_routes(server, &ctx);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(server, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_free(server);
    buf_release(&out);
    buf_release(&seen);
    return 0;
}

static int post(const char *path, const char *type, const char *encoding, struct str body)
{
    struct buf req = {0};
    int fd = tcp_connect(port), status;

    buf_printf(&req, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n", path, body.n);
    if (type)
        buf_printf(&req, "Content-Type: %s\r\n", type);
    if (encoding)
        buf_printf(&req, "Content-Encoding: %s\r\n", encoding);
    buf_putz(&req, "\r\n");
    buf_puts(&req, body);
    buf_reset(&out);
    buf_reset(&seen);
    ingests = 0;
    tcp_send(fd, req.p, req.n);
    tcp_read_all(fd, &out, 5000);
    buf_z(&out);
    status = out.n > 12 ? atoi(out.p + 9) : -1;
    close(fd);
    buf_release(&req);
    return status;
}

#define V1 "application/x-protobuf"
#define V2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"

static void check_post(enum say s, const char *type, const struct buf *message, int status, const char *text)
{
    struct buf packed = {0};
    int got;

    say = s;
    snappy_encode(&packed, buf_str(message));
    got = post("/api/v1/write", type, "snappy", buf_str(&packed));
    if (got != status || (text && !has(&out, text)))
        fail_msg("%d, want %d and \"%s\":\n%s", got, status, text ? text : "", out.p);
    buf_release(&packed);
}

static void check_seen(const char *want)
{
    assert_string_equal(buf_z(&seen), want);
}

static void one_series(struct buf *b, const char *name, double v)
{
    struct buf s = {0};

    if (name)
        pb_label(&s, "__name__", name);
    pb_label(&s, "job", "a");
    pb_sample(&s, v, 1700000000000);
    pb_message(b, 1, &s);
    buf_release(&s);
}

/* 2.0: symbols and one series with two samples and an exemplar; refs as given. */
static void message2(struct buf *b, const uint32_t *refs, unsigned nrefs)
{
    static const char *const symbols[] = {"", "__name__", "up", "job", "a"};
    struct buf s = {0}, x = {0};

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        pb_bytes(b, 4, str_of(symbols[i]));
    pb_refs(&s, refs, nrefs);
    pb_sample(&s, 1, 1700000000000);
    pb_sample(&s, 2, 1700000000001);
    pb_refs(&x, (uint32_t[]){3, 4}, 2);
    pb_double(&x, 2, 5);
    pb_varint(&x, 3, 1700000000000);
    pb_message(&s, 4, &x);
    pb_message(b, 5, &s);
    buf_release(&s);
    buf_release(&x);
}

/* --- 1.0 ---------------------------------------------------------------------------------------------- */

static void test_v1(void **state)
{
    struct buf b = {0};

    (void)state;
    one_series(&b, "up", 1);
    one_series(&b, "down", 0.5);
    for (enum say s = SAY_STORE; s <= SAY_STORE_LATER; s++) {
        check_post(s, V1, &b, 204, NULL);
        check_seen("up{job=\"a\"} 1 @1700000000000\ndown{job=\"a\"} 0.5 @1700000000000\n");
        assert_false(has(&out, "Written"));
    }
    check_post(SAY_STORE, NULL, &b, 204, NULL);
    check_post(SAY_STORE, V1 "; proto=prometheus.WriteRequest", &b, 204, NULL);
    check_post(SAY_DUPLICATE, V1, &b, 400, "duplicate sample for timestamp: series x");
    check_post(SAY_DISK_FAILS, V1, &b, 500, "the disk is on fire");
    check_post(SAY_BUSY, V1, &b, 503, "Retry-After: ");
    check_post(SAY_FULL, V1, &b, 503, "the disk is full");
    buf_release(&b);
}

static void test_v1_nameless_series_are_left_out(void **state)
{
    struct buf b = {0};

    (void)state;
    one_series(&b, NULL, 1);
    one_series(&b, "up", 1);
    check_post(SAY_STORE, V1, &b, 204, NULL);
    assert_int_equal(ingests, 2); /* all or nothing first, then without the bad one */
    check_seen("up{job=\"a\"} 1 @1700000000000\n");
    buf_release(&b);
}

static void test_v1_metadata_only_and_empty(void **state)
{
    struct buf b = {0}, x = {0};

    (void)state;
    check_post(SAY_STORE, V1, &b, 204, NULL);
    assert_int_equal(ingests, 0);
    pb_varint(&x, 1, 1);
    pb_bytes(&x, 2, STR("fam"));
    pb_bytes(&x, 4, STR("Help."));
    pb_message(&b, 3, &x);
    check_post(SAY_STORE, V1, &b, 204, NULL);
    check_seen("meta fam 1 Help.\n");
    buf_release(&b);
    buf_release(&x);
}

/* The two worked examples of the wire format, as they are written there. */
static const uint8_t exponential[] = {0x08, 5, 0x19, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x32, 0x40, 0x29, 0, 0, 0, 0, 0, 0,
                                      0xf0, 0x37, 0x30, 1, 0x5a, 2, 0x10, 2, 0x5a, 4, 8, 2, 0x10, 1, 0x62, 3, 2, 2, 1,
                                      0x78, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31};
static const uint8_t custom[] = {0x08, 6, 0x19, 0, 0, 0, 0, 0, 0, 0x23, 0x40, 0x20, 0x69, 0x5a, 2, 0x10, 3, 0x62, 3, 4, 2, 3,
                                 0x78, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x82, 1, 0x10, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0, 0,
                                 0, 0, 0, 0, 0xf0, 0x3f};

static void test_histograms(void **state)
{
    struct buf b = {0}, s = {0}, x = {0};

    (void)state;
    pb_label(&s, "__name__", "h");
    pb_bytes(&s, 4, str_n((const char *)exponential, sizeof exponential));
    pb_bytes(&s, 4, str_n((const char *)custom, sizeof custom));
    pb_message(&b, 1, &s);
    one_series(&b, "up", 1);
    check_post(SAY_STORE, V1, &b, 204, "");
    check_seen("h histogram of 5, sum 18.4, 3 buckets, hint 0 @1700000000000\n"
               "h histogram of 6, sum 9.5, 3 buckets, hint 0 @1700000000000\n"
               "up{job=\"a\"} 1 @1700000000000\n");
    pb_label(&s, "__name__", "bad"); /* 5 observations, none in a bucket */
    pb_varint(&x, 1, 5);
    pb_message(&s, 4, &x);
    pb_message(&b, 1, &s);
    check_post(SAY_STORE, V1, &b, 400, "invalid histogram: its count is not the number of observations in its buckets");
    check_seen("");
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

static void test_histograms_v2(void **state)
{
    static const char *const symbols[] = {"", "__name__", "h", "bad"};
    struct buf b = {0}, s = {0}, x = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        pb_bytes(&b, 4, str_of(symbols[i]));
    pb_refs(&s, (uint32_t[]){1, 2}, 2);
    pb_bytes(&s, 3, str_n((const char *)exponential, sizeof exponential));
    pb_message(&b, 5, &s);
    check_post(SAY_STORE, V2, &b, 204,
               "X-Prometheus-Remote-Write-Samples-Written: 0\r\nX-Prometheus-Remote-Write-Histograms-Written: 1\r\n");
    check_seen("h histogram of 5, sum 18.4, 3 buckets, hint 0 @1700000000000\n");
    pb_refs(&s, (uint32_t[]){1, 3}, 2);
    pb_varint(&x, 1, 5);
    pb_message(&s, 3, &x);
    pb_message(&b, 5, &s);
    check_post(SAY_STORE, V2, &b, 400, "X-Prometheus-Remote-Write-Histograms-Written: 1\r\n");
    check_seen("h histogram of 5, sum 18.4, 3 buckets, hint 0 @1700000000000\n");
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

/* --- 2.0 ---------------------------------------------------------------------------------------------- */

static void test_v2(void **state)
{
    struct buf b = {0};

    (void)state;
    message2(&b, (uint32_t[]){1, 2, 3, 4}, 4);
    for (enum say s = SAY_STORE; s <= SAY_STORE_LATER; s++) {
        check_post(s, s ? V2 : "application/x-protobuf ; proto = io.prometheus.write.v2.Request", &b, 204,
                   "X-Prometheus-Remote-Write-Samples-Written: 2\r\nX-Prometheus-Remote-Write-Histograms-Written: 0\r\n"
                   "X-Prometheus-Remote-Write-Exemplars-Written: 1\r\n");
        check_seen("up{job=\"a\"} 1 @1700000000000\nup{job=\"a\"} 2 @1700000000001\n");
    }
    check_post(SAY_DUPLICATE, V2, &b, 400, "Samples-Written: 2\r\n");
    check_post(SAY_DISK_FAILS, V2, &b, 500, "Samples-Written: 0\r\n");
    check_post(SAY_BUSY, V2, &b, 503, "Samples-Written: 0\r\n");
    buf_reset(&b);
    message2(&b, (uint32_t[]){1, 2, 3}, 3);
    check_post(SAY_STORE, V2, &b, 400, "Samples-Written: 0\r\n");
    assert_true(has(&out, "a name without a value (2 samples refused, 0 stored)"));
    buf_reset(&b);
    message2(&b, (uint32_t[]){3, 4}, 2);
    check_post(SAY_STORE, V2, &b, 400, "a series without __name__");
    buf_release(&b);
}

/* --- refused before anything is stored ------------------------------------------------------------------ */

static void test_refused(void **state)
{
    struct buf b = {0};

    (void)state;
    say = SAY_STORE;
    assert_int_equal(post("/api/v1/write", "text/plain", "snappy", STR("garbage")), 415);
    assert_int_equal(post("/api/v1/write", V1 ";proto=what.Ever", "snappy", STR("garbage")), 415);
    assert_int_equal(post("/api/v1/write", V1, "gzip", STR("garbage")), 415);
    assert_int_equal(post("/api/v1/write", V2, "gzip", STR("garbage")), 415);
    assert_true(has(&out, "Samples-Written: 0"));
    assert_int_equal(post("/api/v1/write", V1, "snappy", STR("garbage")), 400);
    assert_true(has(&out, "snappy: "));
    assert_int_equal(post("/api/v1/write", V1, "snappy", STR("\x81\x80\x80\x10xxxxx")), 400); /* announces 32 MiB + 1 */
    assert_true(has(&out, "limit 33554432"));
    assert_int_equal(post("/api/v1/write", V1, "snappy", STR("\x02\x04\x0a\x7f")), 400);
    assert_true(has(&out, "protobuf: a field of the request at byte"));
    buf_reserve(&b, (32 << 20) + 1);
    memset(b.p, 0, (32 << 20) + 1);
    b.n = (32 << 20) + 1;
    assert_int_equal(post("/api/v1/write", V1, "snappy", buf_str(&b)), 413);
    http_raw(port, "GET /api/v1/write HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &out);
    assert_true(has(&out, " 405 "));
    ctx.remote_write = false;
    assert_int_equal(post("/api/v1/write", V1, "snappy", STR("")), 404);
    assert_true(has(&out, "switched off"));
    ctx.remote_write = true;
    buf_release(&b);
}

/* --- text ----------------------------------------------------------------------------------------------- */

static void test_text(void **state)
{
    static const char text[] = "# HELP up Is it up.\n# TYPE up gauge\nup{job=\"x\",b=\"&%\"} 1\nup 2 1700000000000\n"
                               "# TYPE h histogram\nh_bucket{le=\"1\"} 3 1700000000000\n";

    (void)state;
    say = SAY_STORE;
    assert_int_equal(post("/api/v1/import/prometheus?timestamp=1600000000000&extra_label=job%3Dy&extra_label=dc=1",
                          "application/x-www-form-urlencoded", NULL, STR(text)),
                     204);
    check_seen("up{b=\"&%\", dc=\"1\", job=\"y\"} 1 @1600000000000\nup{dc=\"1\", job=\"y\"} 2 @1700000000000\n"
               "h_bucket{dc=\"1\", job=\"y\", le=\"1.0\"} 3 @1700000000000\nmeta up 2 Is it up.\nmeta h 3 \n");
    assert_int_equal(post("/api/v1/import/prometheus", "text/plain", NULL, STR("up 1\nup{ 2\n")), 400);
    check_seen("");
    assert_int_equal(post("/api/v1/import/prometheus?extra_label=x", "text/plain", NULL, STR("up 1\n")), 400);
    assert_int_equal(post("/api/v1/import/prometheus?timestamp=x", "text/plain", NULL, STR("up 1\n")), 400);
    assert_int_equal(post("/api/v1/import/prometheus", "text/plain", "rot13", STR("up 1\n")), 415);
    assert_int_equal(post("/api/v1/import/prometheus", "text/plain", NULL, STR("")), 204);
}

static void test_stats(void **state)
{
    struct push_stats a, b;
    struct buf m = {0};

    (void)state;
    push_stats(&a);
    one_series(&m, "up", 1);
    check_post(SAY_STORE, V1, &m, 204, NULL);
    check_post(SAY_DUPLICATE, V1, &m, 400, NULL);
    push_stats(&b);
    assert_int_equal(b.requests, a.requests + 2);
    assert_int_equal(b.samples, a.samples + 1);
    assert_int_equal(b.refused_requests, a.refused_requests + 1);
    assert_true(b.bytes_wire > a.bytes_wire && b.bytes_raw > a.bytes_raw);
    buf_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_v1_nameless_series_are_left_out),
        cmocka_unit_test(test_v1_metadata_only_and_empty),
        cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_histograms_v2),
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_stats),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
