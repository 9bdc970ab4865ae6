/* Raw TCP and UDP: bytes come whole, memory is bounded, a pause holds senders back, idle connections go. */
#include "net/listener.c"

#include "tests/net/http_test.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct http_server *server;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct buf got;
static unsigned closed_conns, calls;
static bool take_lines;

static ptrdiff_t on_bytes(void *arg, struct net_conn *c, struct str bytes, bool eof)
{
    const char *nl = bytes.n ? memrchr(bytes.p, '\n', bytes.n) : NULL;
    size_t take = !take_lines || eof ? bytes.n : nl ? (size_t)(nl - bytes.p) + 1 : 0;

    (void)arg;
    pthread_mutex_lock(&mu);
    assert(str_starts(c->peer, STR("127.0.0.1:")));
    buf_put(&got, bytes.p, take);
    calls++;
    pthread_mutex_unlock(&mu);
    return bytes.n && bytes.p[0] == '!' ? -1 : (ptrdiff_t)take;
}

static void on_closed(void *arg, struct net_conn *c)
{
    (void)arg;
    (void)c;
    pthread_mutex_lock(&mu);
    closed_conns++;
    pthread_mutex_unlock(&mu);
}

static void take_packets(void *arg, const struct net_packet *v, unsigned n)
{
    (void)arg;
    pthread_mutex_lock(&mu);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(&got, v[i].bytes);
        buf_putc(&got, v[i].cut ? '~' : '|');
    }
    pthread_mutex_unlock(&mu);
}

static const struct net_handler handler = {.bytes = on_bytes, .closed = on_closed, .packets = take_packets};

static bool wait_for(const char *want)
{
    for (int i = 0; i < 500; i++) {
        bool same;

        pthread_mutex_lock(&mu);
        same = str_eqz(buf_str(&got), want);
        pthread_mutex_unlock(&mu);
        if (same)
            return true;
        usleep(10000);
    }
    return false;
}

static bool wait_closed(unsigned n)
{
    for (int i = 0; i < 500; i++) {
        bool same;

        pthread_mutex_lock(&mu);
        same = closed_conns == n;
        pthread_mutex_unlock(&mu);
        if (same)
            return true;
        usleep(10000);
    }
    return false;
}

static void reset(void)
{
    pthread_mutex_lock(&mu);
    buf_reset(&got);
    closed_conns = calls = 0;
    pthread_mutex_unlock(&mu);
}

static void tcp(void **state)
{
    struct net_listener *l;
    struct net_listener_opts o;
    struct net_listener_stats st;
    uint16_t port;
    struct err e;
    struct buf big = {0};
    int fd, fd2;

    (void)state;
    net_listener_opts_default(&o);
    o.buffer_bytes = 1000;
    o.conns_max = 2;
    take_lines = true;
    reset();
    assert_int_equal(net_listen_tcp(server, "127.0.0.1:0", &o, &handler, &l, &port, &e), 0);
    fd = tcp_connect(port);
    tcp_sendz(fd, "a\nb");
    assert_true(wait_for("a\n"));
    tcp_sendz(fd, "c\nd");
    assert_true(wait_for("a\nbc\n"));
    close(fd);
    assert_true(wait_for("a\nbc\nd") && wait_closed(1));
    reset();
    fd = tcp_connect(port); /* more than the buffer without a line: closed */
    for (int i = 0; i < 2000; i++)
        buf_putc(&big, 'x');
    tcp_send(fd, big.p, big.n);
    assert_true(wait_closed(1));
    close(fd);
    fd = tcp_connect(port);
    tcp_sendz(fd, "!"); /* the handler says no */
    assert_true(wait_closed(2));
    close(fd);
    fd = tcp_connect(port);
    fd2 = tcp_connect(port);
    tcp_sendz(fd2, "in\n");
    assert_true(wait_for("in\n"));
    close(tcp_connect(port)); /* one too many */
    for (int i = 0; i < 500 && (net_listener_stats(l, &st), st.refused == 0); i++)
        usleep(10000);
    assert_int_equal(st.refused, 1);
    assert_int_equal(st.connections_open, 2);
    net_listener_close(l);
    assert_int_equal(closed_conns, 4);
    close(fd);
    close(fd2);
    buf_release(&big);
}

static void paused(void **state)
{
    struct net_listener *l;
    struct net_listener_opts o;
    uint16_t port;
    struct err e;
    int fd;

    (void)state;
    net_listener_opts_default(&o);
    o.idle_ms = 300;
    take_lines = false;
    reset();
    assert_int_equal(net_listen_tcp(server, "127.0.0.1:0", &o, &handler, &l, &port, &e), 0);
    fd = tcp_connect(port);
    tcp_sendz(fd, "1");
    assert_true(wait_for("1"));
    net_listener_pause(l, true);
    usleep(30000);
    tcp_sendz(fd, "2");
    usleep(400000); /* longer than idle_ms: nobody is cut while paused */
    assert_true(str_eqz(buf_str(&got), "1") && closed_conns == 0);
    net_listener_pause(l, false);
    assert_true(wait_for("12"));
    assert_true(wait_closed(1)); /* idle */
    close(fd);
    net_listener_close(l);
}

static void udp(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct net_listener *l, *l2;
    struct net_listener_opts o;
    uint16_t port;
    struct err e;
    char address[40];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    net_listener_opts_default(&o);
    o.packet_bytes = 10;
    reset();
    assert_int_equal(net_listen_udp(server, "127.0.0.1:0", &o, &handler, &l, &port, &e), 0);
    a.sin_port = htons(port);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_true(send(fd, "one", 3, 0) == 3 && send(fd, "", 0, 0) == 0 && send(fd, "0123456789abc", 13, 0) == 13);
    assert_true(wait_for("one||0123456789~"));
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    assert_int_equal(net_listen_udp(server, address, &o, &handler, &l2, NULL, &e), ERR_EXISTS);
    assert_int_equal(net_listen_udp(server, "nonsense", &o, &handler, &l2, NULL, &e), ERR_INVALID);
    net_listener_close(l);
    close(fd);
}

static int start(void **state)
{
    struct err e;

    (void)state;
    server = http_server_new(2, NULL);
    return http_server_start(server, &e);
}

static int stop(void **state)
{
    (void)state;
    http_server_free(server);
    buf_release(&got);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tcp), cmocka_unit_test(paused), cmocka_unit_test(udp)};

    return cmocka_run_group_tests(tests, start, stop);
}
