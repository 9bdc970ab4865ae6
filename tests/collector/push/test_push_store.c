/* Pushes into a real store, read back through the tsdb, before and after a restart. */
#include "tests/collector/push/encode.h"
#include "tests/net/http_test.h"

#include "collector/push/push.h"
#include "net/codec.h"
#include "store/store.h"
#include "base/histogram.h"
#include "tsdb/tsdb.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_push.XXXXXX";
static struct push_ctx ctx;
static struct http_server *server;
static uint16_t port;
static int64_t now;

static void open_all(void)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct err e;

    store_opts_default(&so);
    tsdb_opts_default(&to);
    so.dir = dir;
    ctx.remote_write = true;
    if (store_open(&so, &ctx.store, &e) < 0 || tsdb_new(ctx.store, &to, &ctx.db, &e) < 0 ||
        store_recover(ctx.store, &e) < 0 || store_start(ctx.store, &e) < 0)
        fail_msg("%s", e.text);
    server = http_server_new(2, NULL);
    push_routes(server, &ctx);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(server, &e), 0);
}

static void close_all(void)
{
    http_server_drain(server, 1000);
    store_close(ctx.store);
    tsdb_free(ctx.db);
    http_server_free(server);
}

static int post(const char *path, const char *type, bool packed, const struct buf *body)
{
    struct buf z = {0}, req = {0}, out = {0};
    int fd = tcp_connect(port), status;

    if (packed)
        snappy_encode(&z, buf_str(body));
    else
        buf_puts(&z, buf_str(body));
    buf_printf(&req, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\nContent-Type: %s\r\n%s\r\n", path, z.n,
               type, packed ? "Content-Encoding: snappy\r\n" : "");
    buf_puts(&req, buf_str(&z));
    tcp_send(fd, req.p, req.n);
    status = tcp_answer(fd, &out, NULL);
    close(fd);
    if (status != 204)
        print_message("%s: %s\n", path, buf_z(&out));
    buf_release(&z);
    buf_release(&req);
    buf_release(&out);
    return status;
}

/* Everything that is stored, sorted by labels, a line a series. */
static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_back(struct buf *out)
{
    struct matcher m;
    struct tsdb_select_opts o = {
        .matchers = &m, .nmatchers = 1, .mint = now - 3600000, .maxt = now + 3600000, .parts_hint = 1};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples x;
    struct arena a = {0};
    char *lines[100];
    uint32_t n = 0;
    struct err e;

    assert_int_equal(matcher_init(&m, MATCH_NE, STR(LABEL_NAME), STR(""), &e), 0);
    assert_int_equal(tsdb_select_open(ctx.db, &o, &s, &e), 0);
    for (uint32_t p = 0; p < tsdb_select_parts(s); p++) {
        assert_int_equal(tsdb_cursor_open(s, p, &c, &e), 0);
        while (tsdb_cursor_next(c, &x, &e) == 0) {
            struct buf line = {0};
            struct labels ls;

            assert_int_equal(tsdb_cursor_labels(c, &a, &ls, &e), 0);
            labels_print(&line, &ls);
            for (uint32_t i = 0; i < x.n; i++)
                if (x.h && x.h[i])
                    buf_printf(&line, " {%g %g %u}@%lld", x.h[i]->count, x.h[i]->sum, x.h[i]->npos, (long long)(x.t[i] - now));
                else
                    buf_printf(&line, " %g@%lld", x.v[i], (long long)(x.t[i] - now));
            buf_z(&line);
            lines[n++] = buf_detach(&line, NULL);
        }
        tsdb_cursor_close(c);
    }
    tsdb_select_close(s);
    matcher_release(&m);
    arena_release(&a);
    qsort(lines, n, sizeof *lines, by_text);
    buf_reset(out);
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(out, "%s\n", lines[i]);
        free(lines[i]);
    }
    buf_z(out);
}

static void push_some(void)
{
    static const char *const symbols[] = {"", "__name__", "up", "job", "a", "hist"};
    struct buf b = {0}, s = {0};

    pb_label(&s, "__name__", "up");
    pb_label(&s, "job", "a");
    pb_sample(&s, 1, now);
    pb_sample(&s, 2, now + 1000);
    pb_message(&b, 1, &s);
    pb_label(&s, "__name__", "hist");
    pb_histogram(&s, 4, 3, now);
    pb_histogram(&s, 4, 5, now + 1000);
    pb_message(&b, 1, &s);
    pb_label(&s, "job", "unsorted");
    pb_label(&s, "__name__", "up");
    pb_sample(&s, 3, now);
    pb_message(&b, 1, &s);
    assert_int_equal(post("/api/v1/write", "application/x-protobuf", true, &b), 204);
    assert_int_equal(post("/api/v1/push", "application/x-protobuf", true, &b), 204); /* again: nothing changes */
    buf_reset(&b);
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        pb_bytes(&b, 4, str_of(symbols[i]));
    pb_refs(&s, (uint32_t[]){3, 4, 1, 2}, 4); /* the same series as above, out of order */
    pb_sample(&s, 4, now + 2000);
    pb_message(&b, 5, &s);
    pb_refs(&s, (uint32_t[]){1, 5}, 2);
    pb_histogram(&s, 3, 7, now + 2000);
    pb_message(&b, 5, &s);
    assert_int_equal(post("/api/v1/write", "application/x-protobuf;proto=io.prometheus.write.v2.Request", true, &b),
                     204);
    buf_reset(&b);
    buf_printf(&b, "up{job=\"a\"} 5 %lld\ntext 6\n", (long long)now + 3000);
    {
        char path[100];

        snprintf(path, sizeof path, "/api/v1/import/prometheus?timestamp=%lld", (long long)now);
        assert_int_equal(post(path, "text/plain", false, &b), 204);
    }
    buf_reset(&b); /* same time, another value: refused, and with it the whole request */
    pb_label(&s, "__name__", "new");
    pb_sample(&s, 1, now);
    pb_message(&b, 1, &s);
    pb_label(&s, "__name__", "text");
    pb_sample(&s, 7, now);
    pb_message(&b, 1, &s);
    assert_int_equal(post("/api/v1/write", "application/x-protobuf", true, &b), 400);
    buf_release(&b);
    buf_release(&s);
}

static void test_push_and_restart(void **state)
{
    static const char want[] = "hist {6 10.5 2}@0 {10 10.5 2}@1000 {14 10.5 2}@2000\ntext 6@0\nup{job=\"a\"} 1@0 2@1000 4@2000 5@3000\nup{job=\"unsorted\"} 3@0\n";
    struct buf got = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    now = clock_wall_ms() - 60000;
    open_all();
    push_some();
    read_back(&got);
    assert_string_equal(got.p, want);
    close_all();
    open_all();
    read_back(&got);
    assert_string_equal(got.p, want);
    close_all();
    buf_release(&got);
    {
        char cmd[100];

        snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
        assert_int_equal(system(cmd), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_push_and_restart)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
