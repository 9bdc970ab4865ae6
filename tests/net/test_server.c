/* Tests of the server over real sockets: framing, routes, answers, refusals. Deadlines and threads: test_server_slow.c.
 */
#include "tests/net/http_test.h"

#include "net/codec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_server *server;
static uint16_t port;

static void h_hello(struct http_request *r, void *arg)
{
    (void)arg;
    http_set_header(r, "X-Test", STR("a\r\nEvil: b"));
    http_replyf(r, 200, "text/plain", "hello %.*s", STR_ARG(r->path));
}

static void h_echo(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "application/octet-stream", r->body);
}

static void h_nothing(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 204, NULL, STR_NULL);
}

static void h_vars(struct http_request *r, void *arg)
{
    http_replyf(r, 200, "text/plain", "%s|%.*s|%.*s", (const char *)arg, STR_ARG(r->vars[0]), STR_ARG(r->vars[1]));
}

static void h_params(struct http_request *r, void *arg)
{
    struct buf b = {0};

    (void)arg;
    for (uint32_t i = 0; i < r->params.n; i++)
        buf_printf(&b, "%.*s=%.*s;", STR_ARG(r->params.v[i].name), STR_ARG(r->params.v[i].value));
    http_reply(r, 200, "text/plain", buf_str(&b));
    buf_release(&b);
}

static void h_big(struct http_request *r, void *arg)
{
    char *p = arena_alloc(r->arena, 300000);

    (void)arg;
    memset(p, 'x', 300000);
    http_reply(r, 200, "text/plain", str_n(p, 300000));
}

static void h_header(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "text/plain", http_header(r, "x-ASK"));
}

struct job {
    struct http_request *r;
};

static void *late_reply(void *arg)
{
    struct http_request *r = arg;

    usleep(20000);
    http_replyf(r, 200, "text/plain", "late %.*s", STR_ARG(r->body));
    return NULL;
}

static void h_late(struct http_request *r, void *arg)
{
    pthread_t t;

    (void)arg;
    pthread_create(&t, NULL, late_reply, r);
    pthread_detach(t);
}

static void *stream_out(void *arg)
{
    struct http_request *r = arg;
    char piece[10000];

    http_begin(r, 200, "application/json");
    for (int i = 0; i < 500; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        if (http_write(r, str_n(piece, sizeof piece)) < 0)
            break;
    }
    http_end(r);
    return NULL;
}

static void h_stream(struct http_request *r, void *arg)
{
    pthread_t t;

    (void)arg;
    pthread_create(&t, NULL, stream_out, r);
    pthread_detach(t);
}

static void h_stream_here(struct http_request *r, void *arg)
{
    (void)arg;
    http_begin(r, 200, "text/event-stream");
    http_write(r, STR("one\n"));
    http_write(r, STR("two\n"));
    http_end(r);
}

static void h_abort(struct http_request *r, void *arg)
{
    (void)arg;
    http_begin(r, 200, "text/event-stream");
    http_write(r, STR("half"));
    http_abort(r);
}

static int setup(void **state)
{
    struct http_limits l;
    struct err e;

    (void)state;
    http_limits_default(&l);
    l.body_bytes = 1 << 20;
    l.decoded_bytes = 2 << 20;
    l.inflight_bytes = 4 << 20;
    server = http_server_new(2, &l);
    http_route(server, HTTP_GET, "/hello", PERM_OPEN, 0, h_hello, NULL);
    http_route(server, HTTP_POST | HTTP_PUT, "/echo", PERM_WRITE, 0, h_echo, NULL);
    http_route(server, HTTP_POST, "/raw", PERM_WRITE, HTTP_RAW_BODY, h_echo, NULL);
    http_route(server, HTTP_POST, "/nothing", PERM_WRITE, 0, h_nothing, NULL);
    http_route(server, HTTP_GET | HTTP_POST, "/params", PERM_READ, 0, h_params, NULL);
    http_route(server, HTTP_GET, "/api/v1/label/{name}/values", PERM_READ, 0, h_vars, "label");
    http_route(server, HTTP_GET, "/api/v1/label/fixed/values", PERM_READ, 0, h_vars, "fixed");
    http_route(server, HTTP_GET, "/files/{path...}", PERM_READ, 0, h_vars, "files");
    http_route(server, HTTP_DELETE, "/two/{a}/{b}", PERM_ADMIN, 0, h_vars, "two");
    http_route(server, HTTP_GET, "/big", PERM_READ, 0, h_big, NULL);
    http_route(server, HTTP_GET, "/header", PERM_READ, 0, h_header, NULL);
    http_route(server, HTTP_POST, "/late", PERM_READ, 0, h_late, NULL);
    http_route(server, HTTP_GET, "/stream", PERM_READ, 0, h_stream, NULL);
    http_route(server, HTTP_GET, "/stream-here", PERM_READ, 0, h_stream_here, NULL);
    http_route(server, HTTP_GET, "/abort", PERM_READ, 0, h_abort, NULL);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_true(port > 0);
    assert_int_equal(http_server_start(server, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_drain(server, 1000);
    http_server_free(server);
    return 0;
}

#define HOST  "Host: x\r\n"
#define CLOSE "Connection: close\r\n"

static void check(const char *request, int status, const char *want)
{
    struct buf out = {0};
    int got = http_raw(port, request, &out);

    if (got != status || (want && !has(&out, want)))
        fail_msg("%s\n-> %d, want %d and \"%s\":\n%s", request, got, status, want ? want : "",
                 out.p ? out.p : "(nothing)");
    buf_release(&out);
}

static void test_basics(void **state)
{
    (void)state;
    check("GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\nhello /hello");
    check("\r\nGET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "hello /hello");
    check("GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "X-Test: a  Evil: b\r\n");
    check("GET http://else/hello?x HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "hello /hello");
    check("GET /h%65llo HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, "there is nothing at /hello");
    check("GET /hello HTTP/1.0\r\n\r\n", 200, "Connection: close");
    check("GET /nope HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, "text/plain");
    check("POST /hello HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\nabc", 405, "Allow: GET, HEAD, OPTIONS\r\n");
    check("PROPFIND /echo HTTP/1.1\r\n" HOST CLOSE "\r\n", 405, "Allow: POST, PUT, OPTIONS\r\n");
    check("POST /nothing HTTP/1.1\r\n" HOST CLOSE "Content-Length: 2\r\n\r\nab", 204, NULL);
    check("GET /header HTTP/1.1\r\n" HOST "X-Ask:  yes \r\n" CLOSE "\r\n", 200, "\r\n\r\nyes");
}

static void test_head_and_options(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(http_raw(port, "HEAD /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", &out), 200);
    assert_true(has(&out, "Content-Length: 12\r\n"));
    assert_true(str_ends(buf_str(&out), STR("\r\n\r\n")));
    check("OPTIONS /params HTTP/1.1\r\n" HOST CLOSE "Origin: http://a\r\n\r\n", 204,
          "Access-Control-Allow-Origin: *\r\n");
    check("OPTIONS /params HTTP/1.1\r\n" HOST CLOSE "\r\n", 204, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    check("OPTIONS * HTTP/1.1\r\n" HOST CLOSE "\r\n", 204, "Allow: ");
    check("GET /params HTTP/1.1\r\n" HOST CLOSE "Origin: http://a\r\n\r\n", 200,
          "Access-Control-Expose-Headers: Date\r\n");
    http_raw(port, "OPTIONS /two/a/b HTTP/1.1\r\n" HOST CLOSE "Origin: http://a\r\n\r\n", &out);
    assert_false(has(&out, "Access-Control"));
    buf_release(&out);
}

static void test_routes(void **state)
{
    (void)state;
    check("GET /api/v1/label/a%2Fb+c/values HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\nlabel|a/b+c|");
    check("GET /api/v1/label/fixed/values HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\nfixed||");
    check("GET /api/v1/label//values HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, NULL);
    check("GET /files/a/b%20c HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "files|a/b c|");
    check("GET /files/ HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "files||");
    check("DELETE /two/1/2 HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "two|1|2");
    check("DELETE /two/1/2/3 HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, NULL);
}

static void test_params(void **state)
{
    (void)state;
    check("GET /params?a=1&b=x%20y+z&c&=d&&a=2 HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\na=1;b=x y z;c=;=d;a=2;");
    check("POST /params?a=1 HTTP/1.1\r\n" HOST CLOSE
          "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 7\r\n\r\nb=%3D+1",
          200, "a=1;b== 1;");
    check("GET /params?a=%zz HTTP/1.1\r\n" HOST CLOSE "\r\n", 400, "invalid percent-escape");
}

static void test_refused(void **state)
{
    char *long_head = malloc(100000);

    (void)state;
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
          "together");
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "twice");
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400, "not a number");
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3,3\r\n\r\nabc", 400, "not a number");
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400, NULL);
    check("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, NULL);
    check("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL);
    check("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL);
    check("GET /hello HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400, "folded");
    check("GET /hello HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400, "name");
    check("GET /hello HTTP/1.1\r\n" HOST "A: b\001\r\n\r\n", 400, "control");
    check("GET /hello HTTP/1.1\n" HOST "\r\n", 400, "LF without CR");
    check("GET /hello HTTP/1.1\r\n\r\n", 400, "Host");
    check("GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 400, "Host");
    check("GET hello HTTP/1.1\r\n" HOST "\r\n", 400, "slash");
    check("GET /hello HTTP/2.0\r\n" HOST "\r\n", 505, NULL);
    check("GET /hello\r\n" HOST "\r\n", 400, NULL);
    check("G\"T /hello HTTP/1.1\r\n" HOST "\r\n", 400, NULL);
    check("POST /echo HTTP/1.1\r\n" HOST "Expect: magic\r\n\r\n", 417, NULL);
    check("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 413,
          "1048577 bytes is over the limit of 1048576");
    check("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n200000\r\n", 413, NULL);
    check("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "chunk");
    check("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400, "longer");
    sprintf(long_head, "GET /hello HTTP/1.1\r\n" HOST "A: %070000d\r\n\r\n", 1);
    check(long_head, 431, "65536");
    sprintf(long_head, "GET /hello HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 200; i++)
        strcat(long_head, "A: b\r\n");
    strcat(long_head, "\r\n");
    check(long_head, 431, "headers");
    free(long_head);
}

static void test_nul_in_head(void **state)
{
    static const char req[] = "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
    struct buf out = {0};
    int fd = tcp_connect(port);

    (void)state;
    tcp_send(fd, req, sizeof req - 1);
    tcp_read_all(fd, &out, 2000);
    assert_true(has(&out, " 400 "));
    close(fd);
    buf_release(&out);
}

static void test_chunked(void **state)
{
    (void)state;
    check("POST /echo HTTP/1.1\r\n" HOST CLOSE
          "Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
          200, "\r\n\r\nabc0123456789");
    check("POST /echo HTTP/1.1\r\n" HOST CLOSE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "Content-Length: 0");
}

static void test_pipelined_byte_by_byte(void **state)
{
    static const char req[] =
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
        "POST /late HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
        "GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n";

    (void)state;
    for (int by_byte = 0; by_byte < 2; by_byte++) {
        struct buf out = {0};
        int fd = tcp_connect(port);
        ptrdiff_t a, b, c;

        for (size_t i = 0; i < sizeof req - 1; i += by_byte ? 1 : sizeof req - 1) {
            tcp_send(fd, req + i, by_byte ? 1 : sizeof req - 1);
            if (by_byte && i % 16 == 0)
                usleep(300);
        }
        assert_true(tcp_read_all(fd, &out, 3000));
        a = str_find(buf_str(&out), STR("first"));
        b = str_find(buf_str(&out), STR("late second"));
        c = str_find(buf_str(&out), STR("hello /hello"));
        assert_true(a > 0 && b > a && c > b);
        close(fd);
        buf_release(&out);
    }
}

static void test_expect_continue(void **state)
{
    struct buf out = {0};
    int fd = tcp_connect(port);

    (void)state;
    tcp_sendz(fd, "POST /echo HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_int_equal(tcp_answer(fd, &out, NULL), 100);
    tcp_sendz(fd, "body");
    tcp_read_all(fd, &out, 2000);
    assert_true(has(&out, "\r\n\r\nbody"));
    close(fd);
    buf_release(&out);
    check("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n", 413, NULL);
}

/* Posts body with a Content-Encoding and gives back the status; out gets the answer. */
static int post(const char *path, const char *enc, struct str body, struct buf *out)
{
    struct buf req = {0};
    int fd = tcp_connect(port), status;

    buf_printf(&req, "POST %s HTTP/1.1\r\n" HOST CLOSE "Content-Length: %zu\r\n", path, body.n);
    if (enc)
        buf_printf(&req, "Content-Encoding: %s\r\n", enc);
    buf_putz(&req, "\r\n");
    buf_puts(&req, body);
    tcp_send(fd, req.p, req.n);
    buf_reset(out);
    tcp_read_all(fd, out, 5000);
    status = out->n ? atoi(out->p + 9) : -1;
    close(fd);
    buf_release(&req);
    return status;
}

static void test_encodings(void **state)
{
    struct buf packed = {0}, out = {0}, big = {0};

    (void)state;
    gzip_encode(&packed, STR("some text"), 0);
    assert_int_equal(post("/echo", "gzip", buf_str(&packed), &out), 200);
    assert_true(has(&out, "\r\n\r\nsome text"));
    assert_int_equal(post("/raw", "gzip", buf_str(&packed), &out), 200);
    assert_false(has(&out, "some text"));
    packed.n -= 5;
    assert_int_equal(post("/echo", "gzip", buf_str(&packed), &out), 400);
    assert_true(has(&out, "gzip: the body is cut off"));
    assert_int_equal(post("/echo", "rot13", STR("x"), &out), 415);
    buf_reserve(&big, 3 << 20);
    memset(big.p, 'a', 3 << 20);
    big.n = 3 << 20;
    buf_reset(&packed);
    gzip_encode(&packed, buf_str(&big), 0);
    assert_int_equal(post("/echo", "gzip", buf_str(&packed), &out), 413);
    assert_true(has(&out, "2097152"));
    buf_reset(&packed);
    snappy_encode(&packed, str_n(big.p, 1 << 20));
    assert_int_equal(post("/echo", "snappy", buf_str(&packed), &out), 200);
    assert_true(out.n > 1 << 20);
    buf_release(&packed);
    buf_release(&out);
    buf_release(&big);
}

static void test_gzip_reply(void **state)
{
    struct buf out = {0};
    struct arena a = {0};
    struct str body;
    struct err e;
    int fd = tcp_connect(port);

    (void)state;
    tcp_sendz(fd, "GET /big HTTP/1.1\r\n" HOST "Accept-Encoding: br, gzip;q=0.5\r\n\r\n");
    assert_int_equal(tcp_answer(fd, &out, &body), 200);
    assert_true(has(&out, "Content-Encoding: gzip\r\n"));
    assert_true(body.n < 10000);
    assert_int_equal(body_decode(&a, ENC_GZIP, body, 1 << 20, &body, &e), 0);
    assert_int_equal(body.n, 300000);
    buf_reset(&out);
    tcp_sendz(fd, "GET /big HTTP/1.1\r\n" HOST "Accept-Encoding: gzip;q=0\r\n\r\n");
    assert_int_equal(tcp_answer(fd, &out, &body), 200);
    assert_int_equal(body.n, 300000);
    close(fd);
    arena_release(&a);
    buf_release(&out);
}

/* Puts chunks together; NULL when the framing is wrong. */
static bool unchunk(struct str in, struct buf *out)
{
    for (;;) {
        char *end;
        size_t n = strtoul(in.p, &end, 16);

        if (end[0] != '\r' || (size_t)(end + 2 - in.p) + n + 2 > in.n)
            return false;
        in = str_from(in, (size_t)(end + 2 - in.p));
        buf_put(out, in.p, n);
        in = str_from(in, n + 2);
        if (n == 0)
            return in.n == 0;
    }
}

static void check_stream(const char *accept)
{
    struct buf out = {0}, body = {0};
    struct arena a = {0};
    struct str text;
    char req[200];
    int fd = tcp_connect(port);
    struct err e;

    snprintf(req, sizeof req, "GET /stream HTTP/1.1\r\n" HOST CLOSE "%s\r\n", accept);
    tcp_sendz(fd, req);
    usleep(100000); /* let it fill the socket and wait */
    assert_true(tcp_read_all(fd, &out, 3000));
    assert_true(has(&out, "Transfer-Encoding: chunked\r\n"));
    buf_z(&out);
    assert_true(unchunk(str_from(buf_str(&out), (size_t)str_find(buf_str(&out), STR("\r\n\r\n")) + 4), &body));
    text = buf_str(&body);
    if (accept[0])
        assert_int_equal(body_decode(&a, ENC_GZIP, text, 10 << 20, &text, &e), 0);
    assert_int_equal(text.n, 5000000);
    for (size_t i = 0; i < text.n; i += 9999)
        assert_int_equal(text.p[i], 'a' + (int)(i / 10000 % 26));
    close(fd);
    buf_release(&out);
    buf_release(&body);
    arena_release(&a);
}

static void test_streams(void **state)
{
    (void)state;
    check_stream("");
    check_stream("Accept-Encoding: gzip\r\n");
    check("GET /stream-here HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n");
    check("GET /stream-here HTTP/1.0\r\n\r\n", 200, "\r\n\r\none\ntwo\n");
    check("HEAD /stream-here HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "chunked");
}

static void test_abort_is_seen(void **state)
{
    struct buf out = {0};
    int fd = tcp_connect(port);

    (void)state;
    tcp_sendz(fd, "GET /abort HTTP/1.1\r\n" HOST "\r\n");
    tcp_read_all(fd, &out, 2000);
    assert_false(has(&out, "0\r\n\r\n"));
    close(fd);
    buf_release(&out);
}

static void test_listen_errors(void **state)
{
    struct http_server *s = http_server_new(1, NULL);
    char address[64], want[64];
    struct err e;

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    snprintf(want, sizeof want, "pid %d", (int)getpid());
    assert_int_equal(http_listen(s, address, NULL, &e), ERR_EXISTS);
    if (!strstr(e.text, want))
        fail_msg("%s", e.text);
    assert_int_equal(http_listen(s, "127.0.0.1", NULL, &e), ERR_INVALID);
    assert_int_equal(http_listen(s, "127.0.0.1:70000", NULL, &e), ERR_INVALID);
    assert_int_equal(http_listen(s, "::1:80", NULL, &e), ERR_INVALID);
    http_server_free(s);
}

static void test_stats(void **state)
{
    struct http_stats a, b;

    (void)state;
    usleep(50000);
    http_stats(server, &a);
    check("GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, NULL);
    usleep(50000);
    http_stats(server, &b);
    assert_int_equal(b.requests, a.requests + 1);
    assert_int_equal(b.by_status[2], a.by_status[2] + 1);
    assert_int_equal(b.connections, a.connections + 1);
    assert_int_equal(b.connections_open, 0);
    assert_int_equal(b.inflight_bytes, 0);
    assert_true(b.bytes_in > a.bytes_in && b.bytes_out > a.bytes_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),          cmocka_unit_test(test_head_and_options),
        cmocka_unit_test(test_routes),          cmocka_unit_test(test_params),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_nul_in_head),
        cmocka_unit_test(test_chunked),         cmocka_unit_test(test_pipelined_byte_by_byte),
        cmocka_unit_test(test_expect_continue), cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_gzip_reply),      cmocka_unit_test(test_streams),
        cmocka_unit_test(test_abort_is_seen),   cmocka_unit_test(test_listen_errors),
        cmocka_unit_test(test_stats),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
