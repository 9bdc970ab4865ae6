/* Tests of the server in time: deadlines, slow and leaving clients, back-pressure, budgets, drain, timers, many
 * connections. */
#include "tests/net/http_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct http_server *server;
static uint16_t port;
static struct http_limits limits;

static _Atomic int stream_rc, canceled, running, streamed_bytes;
static struct http_request *_Atomic kept;

static void *endless(void *arg)
{
    struct http_request *r = arg;
    char piece[65536];
    int rc;

    memset(piece, 'z', sizeof piece);
    http_begin(r, 200, "application/octet-stream");
    while ((rc = http_write(r, str_n(piece, sizeof piece))) == 0)
        atomic_fetch_add(&streamed_bytes, (int)sizeof piece);
    atomic_store(&stream_rc, rc);
    http_end(r);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void h_endless(struct http_request *r, void *arg)
{
    pthread_t t;

    (void)arg;
    atomic_fetch_add(&running, 1);
    pthread_create(&t, NULL, endless, r);
    pthread_detach(t);
}

static void on_cancel(void *arg)
{
    (void)arg;
    atomic_fetch_add(&canceled, 1);
}

static void h_keep(struct http_request *r, void *arg)
{
    (void)arg;
    http_on_cancel(r, on_cancel, NULL);
    atomic_store(&kept, r);
}

static void answer_from_cancel(void *arg)
{
    atomic_fetch_add(&canceled, 1);
    http_reply(arg, 499, "text/plain", STR("gone"));
}

static void h_answer_from_cancel(struct http_request *r, void *arg)
{
    (void)arg;
    http_on_cancel(r, answer_from_cancel, r);
}

static void h_echo(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "text/plain", r->body);
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    http_limits_default(&limits);
    limits.header_ms = limits.body_ms = 200;
    limits.idle_ms = 400;
    limits.write_ms = 400;
    limits.inflight_bytes = 1 << 20;
    limits.body_bytes = 800 << 10;
    limits.write_high_bytes = 256 << 10;
    limits.conns_max = 40;
    server = http_server_new(2, &limits);
    http_route(server, HTTP_GET, "/endless", PERM_OPEN, 0, h_endless, NULL);
    http_route(server, HTTP_GET, "/keep", PERM_OPEN, 0, h_keep, NULL);
    http_route(server, HTTP_GET, "/answer-from-cancel", PERM_OPEN, 0, h_answer_from_cancel, NULL);
    http_route(server, HTTP_POST, "/echo", PERM_OPEN, 0, h_echo, NULL);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(server, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

/* Sends text, waits until the server closes; ms it took, the answer in out. */
static int64_t until_closed(const char *text, struct buf *out)
{
    int64_t start = clock_mono_ms();
    int fd = tcp_connect(port);

    tcp_sendz(fd, text);
    buf_reset(out);
    assert_true(tcp_read_all(fd, out, 5000));
    close(fd);
    return clock_mono_ms() - start;
}

static void test_deadlines(void **state)
{
    struct buf out = {0};
    int64_t ms;

    (void)state;
    ms = until_closed("GET /keep HTT", &out);
    assert_true(has(&out, " 408 ") && has(&out, "200 ms"));
    assert_in_range(ms, 190, 1500);
    ms = until_closed("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", &out);
    assert_true(has(&out, " 408 ") && has(&out, "body"));
    ms = until_closed("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", &out);
    assert_true(has(&out, " 408 "));
    ms = until_closed("", &out); /* idle: closed without a word */
    assert_int_equal(out.n, 0);
    assert_in_range(ms, 390, 2000);
    buf_release(&out);
}

static void test_slow_reader_is_cut(void **state)
{
    int fd = tcp_connect(port), before;

    (void)state;
    tcp_sendz(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(150000);
    before = streamed_bytes; /* the writer waits by now */
    usleep(100000);
    assert_int_equal(before, streamed_bytes);
    for (int i = 0; i < 300 && running; i++)
        usleep(10000);
    assert_int_equal(running, 0);
    assert_int_equal(stream_rc, ERR_TIMEOUT);
    close(fd);
}

static void test_leaving_reader_cancels(void **state)
{
    char buf[10000];
    int fd = tcp_connect(port);

    (void)state;
    tcp_sendz(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(read(fd, buf, sizeof buf) > 0);
    close(fd);
    for (int i = 0; i < 300 && running; i++)
        usleep(10000);
    assert_int_equal(running, 0);
    assert_int_equal(stream_rc, ERR_CANCELED);
}

static void test_on_cancel(void **state)
{
    struct http_request *r;
    int fd = tcp_connect(port);

    (void)state;
    atomic_store(&canceled, 0);
    tcp_sendz(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!(r = atomic_exchange(&kept, NULL)))
        usleep(1000);
    assert_false(http_canceled(r));
    close(fd);
    for (int i = 0; i < 300 && !canceled; i++)
        usleep(10000);
    assert_int_equal(canceled, 1);
    assert_true(http_canceled(r));
    http_reply(r, 200, "text/plain", STR("nobody reads this"));
    fd = tcp_connect(port);
    tcp_sendz(fd, "GET /answer-from-cancel HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(50000);
    close(fd);
    for (int i = 0; i < 300 && canceled < 2; i++)
        usleep(10000);
    assert_int_equal(canceled, 2);
}

static void test_body_budget(void **state)
{
    struct buf out = {0};
    int a = tcp_connect(port);

    (void)state;
    tcp_sendz(a, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n");
    usleep(50000);
    until_closed("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n", &out);
    assert_true(has(&out, " 503 ") && has(&out, "Retry-After: ") && has(&out, "1048576"));
    close(a);
    buf_release(&out);
}

static void test_connection_limit(void **state)
{
    struct buf out = {0};
    int fds[40];

    (void)state;
    usleep(100000);
    for (int i = 0; i < 40; i++) {
        fds[i] = tcp_connect(port);
        assert_true(fds[i] >= 0);
    }
    usleep(50000);
    until_closed("", &out);
    assert_true(has(&out, " 503 ") && has(&out, "too many connections"));
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    usleep(50000);
    buf_release(&out);
}

static void test_idle_connections(void **state)
{
    enum { WANT = 5000 };
    struct http_limits l;
    struct http_server *s;
    struct http_stats st;
    struct rlimit rl;
    struct buf out = {0};
    struct str body;
    uint16_t p;
    struct err e;
    int *fds, n = WANT, fd;
    int64_t start;

    (void)state;
    http_limits_default(&l);
    s = http_server_new(2, &l);
    http_route(s, HTTP_POST, "/echo", PERM_OPEN, 0, h_echo, NULL);
    assert_int_equal(http_listen(s, "127.0.0.1:0", &p, &e), 0);
    assert_int_equal(http_server_start(s, &e), 0);
    getrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < 2 * WANT + 100)
        n = (int)(rl.rlim_cur / 2) - 100;
    fds = calloc((size_t)n, sizeof *fds);
    for (int i = 0; i < n; i++)
        assert_true((fds[i] = tcp_connect(p)) >= 0);
    for (int i = 0; i < 500; i++, usleep(10000)) {
        http_stats(s, &st);
        if (st.connections_open == (unsigned)n)
            break;
    }
    assert_int_equal(st.connections_open, n);
    start = clock_mono_ms();
    fd = tcp_connect(p); /* everyone else is still served */
    for (int i = 0; i < 100; i++) {
        buf_reset(&out);
        tcp_sendz(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        assert_int_equal(tcp_answer(fd, &out, &body), 200);
    }
    assert_true(clock_mono_ms() - start < 2000);
    for (int i = 0; i < n; i += 500) { /* and the idle ones may speak up at last */
        buf_reset(&out);
        tcp_sendz(fds[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        assert_int_equal(tcp_answer(fds[i], &out, &body), 200);
    }
    http_server_drain(s, 1000);
    http_stats(s, &st);
    assert_int_equal(st.connections_open, 0);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    close(fd);
    free(fds);
    http_server_free(s);
    buf_release(&out);
}

static void *reply_soon(void *arg)
{
    usleep(150000);
    http_reply(arg, 200, "text/plain", STR("finished"));
    return NULL;
}

static void h_soon(struct http_request *r, void *arg)
{
    pthread_t t;

    (void)arg;
    pthread_create(&t, NULL, reply_soon, r);
    pthread_detach(t);
}

static void test_drain_lets_requests_finish(void **state)
{
    struct http_server *s = http_server_new(2, NULL);
    struct buf out = {0};
    uint16_t p;
    struct err e;
    int fd, idle;

    (void)state;
    http_route(s, HTTP_GET, "/soon", PERM_OPEN, 0, h_soon, NULL);
    assert_int_equal(http_listen(s, "127.0.0.1:0", &p, &e), 0);
    assert_int_equal(http_server_start(s, &e), 0);
    fd = tcp_connect(p);
    idle = tcp_connect(p);
    tcp_sendz(fd, "GET /soon HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(50000);
    http_server_drain(s, 5000);
    assert_true(tcp_read_all(fd, &out, 1000));
    assert_true(has(&out, "finished") && has(&out, "Connection: close"));
    buf_reset(&out);
    assert_true(tcp_read_all(idle, &out, 1000));
    assert_int_equal(out.n, 0);
    assert_int_equal(tcp_connect(p), -1);
    close(fd);
    close(idle);
    http_server_free(s);
    buf_release(&out);
}

static _Atomic int ticks;
static struct http_timer *_Atomic self;

static void tick(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ticks, 1);
}

static void tick_and_free(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ticks, 1);
    http_timer_free(self);
}

static void test_timers(void **state)
{
    struct http_timer *t = http_timer_new(server, 20, 10, tick, NULL), *once;
    int n;

    (void)state;
    usleep(215000);
    http_timer_free(t);
    n = ticks;
    assert_in_range(n, 5, 21);
    usleep(50000);
    assert_int_equal(n, ticks);
    once = http_timer_new(server, 10, 0, tick, NULL);
    usleep(60000);
    assert_int_equal(ticks, n + 1);
    http_timer_free(once);
    self = http_timer_new(server, 30, 10, tick_and_free, NULL);
    usleep(100000);
    assert_int_equal(ticks, n + 2);
    t = http_timer_new(server, 60000, 0, tick, NULL);
    http_timer_free(t);
}

/* Many clients, answers from other threads, some leaving early: nothing is lost, nothing leaks (asan, tsan look on). */
static void *client_main(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct buf out = {0};

    for (int i = 0; i < 60; i++) {
        int fd = tcp_connect(port), kind = rand_r(&seed) % 4;
        struct str body;

        if (fd < 0)
            continue;
        buf_reset(&out);
        if (kind == 0) {
            tcp_sendz(fd, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
            usleep((unsigned)rand_r(&seed) % 3000);
        } else if (kind == 1) {
            tcp_sendz(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npart");
        } else {
            tcp_sendz(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwhole");
            tcp_answer(fd, &out, &body);
        }
        close(fd);
    }
    buf_release(&out);
    return NULL;
}

static void test_storm(void **state)
{
    pthread_t t[8];
    struct http_stats st;

    (void)state;
    for (uintptr_t i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, client_main, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 500 && running; i++)
        usleep(10000);
    assert_int_equal(running, 0);
    for (int i = 0; i < 300; i++, usleep(10000)) {
        http_stats(server, &st);
        if (st.connections_open == 0)
            break;
    }
    assert_int_equal(st.connections_open, 0);
    assert_int_equal(st.inflight_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_slow_reader_is_cut),
        cmocka_unit_test(test_leaving_reader_cancels),
        cmocka_unit_test(test_on_cancel),
        cmocka_unit_test(test_body_budget),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_idle_connections),
        cmocka_unit_test(test_drain_lets_requests_finish),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_storm),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
