/* Tests of WebSockets over real sockets: the handshake, both directions, hostile and slow and leaving clients, pings, closing. */
#include "net/websocket.c"

#include "tests/net/frames.h"
#include "tests/net/http_test.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_server *server;
static uint16_t port;

/* One socket of the server's side, as a handler keeps it. */
struct session {
    struct websocket *_Atomic ws;
    _Atomic int gone, messages, accepted;
};
static struct session sessions[64];
static _Atomic unsigned nsessions;

static void on_echo(void *arg, bool text, struct str message)
{
    struct session *s = arg;
    struct websocket *w;

    while (!(w = atomic_load(&s->ws))) /* the accepting thread is about to set it */
        sched_yield();
    atomic_fetch_add(&s->messages, 1);
    if (str_eqz(message, "bye"))
        websocket_close(w, WEBSOCKET_NORMAL, STR("as you wish"));
    else if (text)
        websocket_send(w, message);
}

static void on_gone(void *arg)
{
    atomic_fetch_add(&((struct session *)arg)->gone, 1);
}

static struct session *open_session(struct http_request *r, struct websocket_opts *o)
{
    struct session *s = &sessions[atomic_fetch_add(&nsessions, 1)];
    struct websocket *w = NULL;
    struct err e;

    o->on_gone = on_gone;
    o->arg = s;
    if (websocket_accept(r, o, &w, &e) < 0)
        return NULL;
    atomic_store(&s->ws, w);
    atomic_store(&s->accepted, 1);
    return s;
}

static void h_echo(struct http_request *r, void *arg)
{
    struct websocket_opts o;

    (void)arg;
    websocket_opts_default(&o);
    o.message_bytes = 100000;
    o.on_message = on_echo;
    open_session(r, &o);
}

static void *echo_thread(void *arg)
{
    h_echo(arg, NULL);
    return NULL;
}

static void h_echo_later(struct http_request *r, void *arg)
{
    pthread_t t;

    (void)arg;
    pthread_create(&t, NULL, echo_thread, r);
    pthread_detach(t);
}

static void h_small(struct http_request *r, void *arg)
{
    struct websocket_opts o;

    (void)arg;
    websocket_opts_default(&o);
    o.queue_bytes = 100000;
    o.ping_ms = 200;
    open_session(r, &o);
}

static int start(void **state)
{
    struct http_limits m;
    struct err e;

    (void)state;
    http_limits_default(&m);
    m.write_ms = 2500;
    server = http_server_new(2, &m);
    http_route(server, HTTP_GET, "/echo", PERM_READ, 0, h_echo, NULL);
    http_route(server, HTTP_GET, "/later", PERM_READ, 0, h_echo_later, NULL);
    http_route(server, HTTP_GET | HTTP_POST, "/small", PERM_READ, 0, h_small, NULL);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    return http_server_start(server, &e);
}

static int stop(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

/* --- the client's side -------------------------------------------------------------------------------- */

#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13     "Sec-WebSocket-Version: 13\r\n"

struct client {
    int fd;
    struct buf in;
    struct session *s;
};

static struct session *last_session(void)
{
    struct session *s = &sessions[atomic_load(&nsessions) - 1];

    while (!atomic_load(&s->accepted))
        sched_yield();
    return s;
}

static bool read_more(struct client *c, int ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    ssize_t n;

    if (poll(&p, 1, ms) <= 0)
        return false;
    n = read(c->fd, buf_reserve(&c->in, 65536), 65536);
    if (n <= 0)
        return false;
    c->in.n += (size_t)n;
    return true;
}

static void drop_in(struct client *c, size_t n)
{
    memmove(c->in.p, c->in.p + n, c->in.n - n);
    c->in.n -= n;
}

static struct client connect_to(const char *path, int rcvbuf)
{
    struct client c = {.fd = -1};
    char head[512];
    ptrdiff_t end;
    int n;

    c.fd = tcp_connect(port);
    if (rcvbuf)
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY V13 "\r\n", path);
    tcp_send(c.fd, head, (size_t)n);
    while ((end = str_find(buf_str(&c.in), STR("\r\n\r\n"))) < 0)
        assert_true(read_more(&c, 5000));
    assert_true(has(&c.in, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_true(has(&c.in, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")); /* the example of the RFC */
    drop_in(&c, (size_t)end + 4);
    c.s = last_session();
    return c;
}

static void disconnect(struct client *c)
{
    close(c->fd);
    buf_release(&c->in);
}

static void say(struct client *c, unsigned first, struct str payload)
{
    struct buf b = {0};

    put_client_frame(&b, first, payload);
    tcp_send(c->fd, b.p, b.n);
    buf_release(&b);
}

/* The next frame: its kind, payload in out; 0 when the connection ended, -1 when nothing came. */
static int hear(struct client *c, struct buf *out, int ms)
{
    struct str payload;
    size_t used;
    int op;

    buf_reset(out);
    while ((op = get_server_frame(buf_str(&c->in), &payload, &used)) == 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};

        if (poll(&p, 1, ms) <= 0)
            return -1;
        if (!read_more(c, ms))
            return 0;
    }
    buf_puts(out, payload);
    buf_z(out);
    drop_in(c, used);
    return op;
}

static void expect_frame(struct client *c, int op, const char *payload, size_t n)
{
    struct buf b = {0};
    int got;

    while ((got = hear(c, &b, 5000)) == FRAME_PING)
        say(c, 0x8a, STR(""));
    assert_int_equal(got, op);
    assert_int_equal(b.n, n);
    assert_memory_equal(b.p ? b.p : "", payload, n);
    buf_release(&b);
}

static void wait_for(_Atomic int *v, int want)
{
    for (int i = 0; i < 5000 && atomic_load(v) < want; i++)
        usleep(1000);
    assert_int_equal(atomic_load(v), want);
}

/* --- tests ---------------------------------------------------------------------------------------------- */

static void test_handshake(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUpgrade: websocket\r\n" KEY V13 "\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n" KEY V13 "\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n" KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n" V13 "\r\n", 400},
        {"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n" V13 "\r\n", 400},
        {"GET /echo HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" KEY V13 "\r\n", 400},
        {"HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n" KEY V13 "\r\n", 400},
        {"POST /small HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n" KEY V13 "Content-Length: 1\r\n\r\nx", 400},
    };
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(http_raw(port, cases[i].request, &out), cases[i].status);
        assert_true(has(&out, "Sec-WebSocket-Version: 13\r\n"));
    }
    buf_release(&out);
}

static void echo_on(const char *path)
{
    static char big[100000];
    struct client c = connect_to(path, 0);

    say(&c, 0x81, STR("hello"));
    expect_frame(&c, FRAME_TEXT, "hello", 5);
    say(&c, 0x01, STR("in "));
    say(&c, 0x89, STR("ping"));
    say(&c, 0x80, STR("pieces"));
    expect_frame(&c, FRAME_PONG, "ping", 4);
    expect_frame(&c, FRAME_TEXT, "in pieces", 9);
    memset(big, 'b', sizeof big);
    say(&c, 0x81, str_n(big, 70000));
    expect_frame(&c, FRAME_TEXT, big, 70000);
    say(&c, 0x81, str_n(big, 300));
    expect_frame(&c, FRAME_TEXT, big, 300);
    say(&c, 0x81, STR("bye"));
    expect_frame(&c, FRAME_CLOSE, "\x03\xe8" "as you wish", 13);
    assert_int_equal(atomic_load(&c.s->messages), 5);
    assert_int_equal(atomic_load(&c.s->gone), 0);
    disconnect(&c);
}

static void test_echo(void **state)
{
    (void)state;
    echo_on("/echo");
    echo_on("/later");
}

/* What comes in one piece with the handshake is not lost. */
static void test_early_frame(void **state)
{
    struct client c = {.fd = tcp_connect(port)};
    struct buf b = {0};
    ptrdiff_t end;

    (void)state;
    buf_putz(&b, "GET /later HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY V13 "\r\n");
    put_client_frame(&b, 0x81, STR("early"));
    tcp_send(c.fd, b.p, b.n);
    while ((end = str_find(buf_str(&c.in), STR("\r\n\r\n"))) < 0)
        assert_true(read_more(&c, 5000));
    drop_in(&c, (size_t)end + 4);
    expect_frame(&c, FRAME_TEXT, "early", 5);
    c.s = last_session();
    say(&c, 0x88, STR("\x03\xe9" "x"));
    expect_frame(&c, FRAME_CLOSE, "\x03\xe9", 2);
    wait_for(&c.s->gone, 1);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR("ignored: the client closed first"));
    assert_int_equal(hear(&c, &b, 5000), 0);
    disconnect(&c);
    buf_release(&b);
}

/* A client that breaks a rule hears which, and the server's owner is told once. */
static void test_hostile(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *code;
    } cases[] = {
        {"\x81\x05hello", 7, "\x03\xea"},                                       /* not masked */
        {"\xf1\x80" "0000", 6, "\x03\xea"},                                     /* reserved bits */
        {"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff" "0000", 14, "\x03\xf1"},    /* too big */
        {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" "0000", 14, "\x03\xea"},
        {"\x81\x81" "\0\0\0\0" "\xff", 7, "\x03\xef"},                          /* not UTF-8 */
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c = connect_to("/echo", 0);

        tcp_send(c.fd, cases[i].bytes, cases[i].n);
        assert_int_equal(hear(&c, &b, 5000), FRAME_CLOSE);
        assert_true(b.n > 2);
        assert_memory_equal(b.p, cases[i].code, 2);
        wait_for(&c.s->gone, 1);
        assert_int_equal(websocket_send(c.s->ws, STR("x")), ERR_CANCELED);
        assert_true(websocket_gone(c.s->ws));
        for (int k = 0; k < 100; k++) /* what it goes on to say is thrown away */
            tcp_send(c.fd, cases[i].bytes, cases[i].n);
        websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
        assert_int_equal(hear(&c, &b, 5000), 0);
        assert_int_equal(atomic_load(&c.s->gone), 1);
        disconnect(&c);
    }
    buf_release(&b);
}

static void test_leaves(void **state)
{
    struct client c = connect_to("/echo", 0);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    disconnect(&c);
    wait_for(&c.s->gone, 1);
    assert_int_equal(websocket_send(c.s->ws, STR("x")), ERR_CANCELED);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
    c = connect_to("/echo", 0); /* only half */
    shutdown(c.fd, SHUT_WR);
    wait_for(&c.s->gone, 1);
    websocket_close(c.s->ws, WEBSOCKET_GOING_AWAY, STR("so do I"));
    expect_frame(&c, FRAME_CLOSE, "\x03\xe9" "so do I", 9);
    disconnect(&c);
}

/* A client that takes nothing: sends are refused beyond the queue, never wait, and what was taken arrives whole. */
static void test_slow(void **state)
{
    struct client c = connect_to("/small", 65536);
    static char text[1000];
    int sent = 0, busy = 0, heard = 0, op;
    struct buf b = {0};

    (void)state;
    memset(text, 's', sizeof text);
    for (int i = 0; i < 3000; i++) {
        int rc = websocket_send(c.s->ws, str_n(text, sizeof text));

        sent += rc == 0;
        busy += rc == ERR_BUSY;
    }
    assert_int_equal(sent + busy, 3000);
    assert_true(busy > 0 && sent >= 100);
    assert_false(websocket_has_room(c.s->ws));
    while (heard < sent && (op = hear(&c, &b, 5000)) > 0) {
        heard += op == FRAME_TEXT && b.n == sizeof text;
        if (op == FRAME_PING)
            say(&c, 0x8a, STR(""));
    }
    assert_int_equal(heard, sent);
    for (int i = 0; i < 3000 && !websocket_has_room(c.s->ws); i++)
        usleep(1000);
    assert_int_equal(websocket_send(c.s->ws, STR("again")), 0);
    expect_frame(&c, FRAME_TEXT, "again", 5);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
    disconnect(&c);
    buf_release(&b);
}

/* A client that never takes anything again is cut. */
static void test_stuck(void **state)
{
    struct client c = connect_to("/small", 4096);
    static char text[50000];

    (void)state;
    memset(text, 's', sizeof text);
    while (websocket_send(c.s->ws, str_n(text, sizeof text)) == 0)
        usleep(1000);
    wait_for(&c.s->gone, 1);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
    disconnect(&c);
}

/* Pings that are answered keep an idle socket; unanswered ones end it. */
static void test_pings(void **state)
{
    struct client c = connect_to("/small", 0);
    struct buf b = {0};
    int op;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(hear(&c, &b, 5000), FRAME_PING);
        say(&c, 0x8a, STR(""));
    }
    assert_int_equal(atomic_load(&c.s->gone), 0);
    while ((op = hear(&c, &b, 5000)) == FRAME_PING)
        ;
    assert_int_equal(op, 0);
    wait_for(&c.s->gone, 1);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
    disconnect(&c);
    buf_release(&b);
}

/* A flood of pings by a client that reads nothing does not make us hold their answers. */
static void test_ping_flood(void **state)
{
    struct client c = connect_to("/small", 4096);
    static char payload[125];
    struct buf b = {0};
    size_t unsent;

    (void)state;
    for (int i = 0; i < 2000; i++)
        put_client_frame(&b, 0x89, str_n(payload, sizeof payload));
    for (int i = 0; i < 30; i++) {
        struct pollfd p = {.fd = c.fd, .events = POLLOUT};

        if (poll(&p, 1, 100) > 0)
            (void)!send(c.fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (!websocket_gone(c.s->ws)) {
        pthread_mutex_lock(&((struct websocket *)c.s->ws)->conn->mu);
        unsent = ((struct websocket *)c.s->ws)->conn->stream->unsent;
        pthread_mutex_unlock(&((struct websocket *)c.s->ws)->conn->mu);
        assert_true(unsent <= 100000 + CONTROL_ROOM + 200);
    }
    websocket_close(c.s->ws, WEBSOCKET_TRY_LATER, STR("stop it"));
    disconnect(&c);
    buf_release(&b);
}

/* A long reason is cut at a whole rune. */
static void test_reason(void **state)
{
    struct client c = connect_to("/small", 0);
    struct buf reason = {0}, b = {0};

    (void)state;
    for (int i = 0; i < 60; i++)
        buf_putz(&reason, "\xe2\x82\xac");
    websocket_close(c.s->ws, WEBSOCKET_INTERNAL, buf_str(&reason));
    assert_int_equal(hear(&c, &b, 5000), FRAME_CLOSE);
    assert_int_equal(b.n, 2 + 123);
    assert_true(utf8_valid(str_n(b.p + 2, 123)));
    assert_int_equal(hear(&c, &b, 5000), 0);
    disconnect(&c);
    buf_release(&reason);
    buf_release(&b);
}

struct storm {
    struct websocket *ws;
    _Atomic int left;
};

static void *send_storm(void *arg)
{
    struct storm *s = arg;

    for (int i = 0; i < 500; i++)
        websocket_send(s->ws, STR("0123456789"));
    atomic_fetch_sub(&s->left, 1);
    return NULL;
}

/* Several threads send while the client talks: every frame is whole. */
static void test_many_senders(void **state)
{
    struct client c = connect_to("/echo", 0);
    struct storm storm = {.ws = c.s->ws, .left = 4};
    pthread_t t[4];
    struct buf b = {0};
    int own = 0, echoed = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_create(&t[i], NULL, send_storm, &storm);
    for (int i = 0; i < 200; i++)
        say(&c, 0x81, STR("from the client"));
    while (own < 2000 || echoed < 200) {
        assert_int_equal(hear(&c, &b, 5000), FRAME_TEXT);
        own += str_eqz(buf_str(&b), "0123456789");
        echoed += str_eqz(buf_str(&b), "from the client");
    }
    assert_int_equal(own + echoed, 2200);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    websocket_close(c.s->ws, WEBSOCKET_NORMAL, STR(""));
    disconnect(&c);
    buf_release(&b);
}

/* The server goes while sockets are open: their owners hear of it. Last of the tests. */
static void test_server_goes(void **state)
{
    struct client c = connect_to("/echo", 0);

    (void)state;
    http_server_drain(server, 10);
    wait_for(&c.s->gone, 1);
    websocket_close(c.s->ws, WEBSOCKET_GOING_AWAY, STR(""));
    disconnect(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),    cmocka_unit_test(test_echo),   cmocka_unit_test(test_early_frame),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_leaves), cmocka_unit_test(test_slow),
        cmocka_unit_test(test_stuck),        cmocka_unit_test(test_pings),  cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_reason),       cmocka_unit_test(test_many_senders),
        cmocka_unit_test(test_server_goes),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
