/*
 * listener.c - see listener.h.
 *
 * (1) A listener and its connections belong to one loop; other threads only send it messages and read its counters.
 * (2) Messages of a loop keep their order: the one that ends a listener comes behind all others about it.
 */
#include "net/listener.h"

#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS = 32, READS_MAX = 16, ACCEPTS_MAX = 64, RETRY_MS = 500 };

struct raw_conn {
    struct net_conn c;
    struct net_listener *l;
    struct raw_conn *prev, *next;
    int fd;
    struct event *ev;
    struct buf in;
    char peer[PEER_MAX];
};

struct net_listener {
    /* Set before it is given to its loop. */
    struct loop *loop;
    struct net_listener_opts opts;
    struct net_handler h;
    bool udp;

    /* Loop thread only. */
    int fd;
    struct event *ev, *retry; /* retry: no descriptors are left, accept again later */
    struct raw_conn *conns;
    char *packets; /* UDP: PACKETS times packet_bytes */
    bool paused;

    /* Any thread. */
    struct {
        _Atomic uint64_t connections, connections_open, refused, cut_idle, bytes;
    } stats;
};

void net_listener_opts_default(struct net_listener_opts *o)
{
    *o = (struct net_listener_opts){.buffer_bytes = 256 << 10, .conns_max = 1000, .idle_ms = 120000, .packet_bytes = 64 << 10, .socket_bytes = 4 << 20};
}

void net_listener_stats(const struct net_listener *l, struct net_listener_stats *out)
{
    *out = (struct net_listener_stats){
        .connections = atomic_load(&l->stats.connections),
        .connections_open = atomic_load(&l->stats.connections_open),
        .refused = atomic_load(&l->stats.refused),
        .cut_idle = atomic_load(&l->stats.cut_idle),
        .bytes = atomic_load(&l->stats.bytes),
    };
}

/* --- connections ----------------------------------------------------------------------------------------- */

static void conn_drop(struct raw_conn *c)
{
    struct net_listener *l = c->l;

    if (l->h.closed)
        l->h.closed(l->h.arg, &c->c);
    if (c->prev)
        c->prev->next = c->next;
    else
        l->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    event_free(c->ev);
    close(c->fd);
    buf_release(&c->in);
    free(c);
    atomic_fetch_sub(&l->stats.connections_open, 1);
}

/* Hands on what has come; false: the connection must go. */
static bool hand_on(struct raw_conn *c, bool eof)
{
    ptrdiff_t took = c->in.n || eof ? c->l->h.bytes(c->l->h.arg, &c->c, buf_str(&c->in), eof) : 0;

    if (took < 0)
        return false;
    assert((size_t)took <= c->in.n);
    if (took) {
        memmove(c->in.p, c->in.p + took, c->in.n - (size_t)took);
        c->in.n -= (size_t)took;
    }
    return !eof && (c->l->paused || c->in.n < c->l->opts.buffer_bytes);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct raw_conn *c = arg;
    struct net_listener *l = c->l;

    if (what & EV_TIMEOUT) {
        count(&l->stats.cut_idle, 1);
        hand_on(c, true);
        conn_drop(c);
        return;
    }
    for (int i = 0; i < READS_MAX && !l->paused; i++) {
        size_t room = l->opts.buffer_bytes - c->in.n;
        ssize_t n = read(fd, buf_reserve(&c->in, room), room);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n > 0) {
            c->in.n += (size_t)n;
            count(&l->stats.bytes, (uint64_t)n);
        }
        if (!hand_on(c, n <= 0)) {
            conn_drop(c);
            return;
        }
        if ((size_t)n < room)
            break;
    }
    if (c->in.n == 0)
        buf_release(&c->in); /* idle connections hold no memory */
}

static void conn_watch(struct raw_conn *c)
{
    struct timeval idle = {.tv_sec = c->l->opts.idle_ms / 1000, .tv_usec = c->l->opts.idle_ms % 1000 * 1000};

    if (!c->l->paused)
        event_add(c->ev, &idle);
}

static void conn_begin(struct net_listener *l, int fd, const struct sockaddr_storage *sa)
{
    struct raw_conn *c;

    if (atomic_load(&l->stats.connections_open) >= l->opts.conns_max) {
        count(&l->stats.refused, 1);
        close(fd);
        return;
    }
    c = x_zalloc(sizeof *c);
    c->l = l;
    c->fd = fd;
    socket_print_peer(sa, c->peer);
    c->c.peer = str_of(c->peer);
    c->next = l->conns;
    if (l->conns)
        l->conns->prev = c;
    l->conns = c;
    c->ev = event_new(l->loop->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    conn_watch(c);
    count(&l->stats.connections, 1);
    atomic_fetch_add(&l->stats.connections_open, 1);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct net_listener *l = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int got = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (got >= 0) {
            conn_begin(l, got, &sa);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            struct timeval later = {.tv_usec = RETRY_MS * 1000};

            log_warn("net", "cannot accept: %s; trying again soon", strerror(errno));
            event_del(l->ev);
            event_add(l->retry, &later);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_add(((struct net_listener *)arg)->ev, NULL);
}

/* --- datagrams --------------------------------------------------------------------------------------------- */

static void on_packets(evutil_socket_t fd, short what, void *arg)
{
    struct net_listener *l = arg;
    struct sockaddr_storage from[PACKETS];
    struct iovec parts[PACKETS];
    struct mmsghdr v[PACKETS];
    struct net_packet out[PACKETS];
    char peers[PACKETS][PEER_MAX];
    int n = PACKETS;

    (void)what;
    if (!l->packets)
        l->packets = x_alloc((size_t)PACKETS * l->opts.packet_bytes);
    for (int round = 0; round < READS_MAX && n == PACKETS && !l->paused; round++) {
        memset(v, 0, sizeof v);
        for (int i = 0; i < PACKETS; i++) {
            parts[i] = (struct iovec){l->packets + (size_t)i * l->opts.packet_bytes, l->opts.packet_bytes};
            v[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1};
        }
        n = recvmmsg(fd, v, PACKETS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            socket_print_peer(&from[i], peers[i]);
            out[i] = (struct net_packet){str_n(parts[i].iov_base, v[i].msg_len), str_of(peers[i]), (v[i].msg_hdr.msg_flags & MSG_TRUNC) != 0};
            count(&l->stats.bytes, v[i].msg_len);
        }
        if (n > 0)
            l->h.packets(l->h.arg, out, (unsigned)n);
    }
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static void begin(void *arg)
{
    struct net_listener *l = arg;

    l->ev = event_new(l->loop->base, l->fd, EV_READ | EV_PERSIST, l->udp ? on_packets : on_acceptable, l);
    l->retry = event_new(l->loop->base, -1, 0, on_retry, l);
    event_add(l->ev, NULL);
}

static int listener_new(struct http_server *s, const char *address, bool udp, const struct net_listener_opts *o, const struct net_handler *h,
                        struct net_listener **out, uint16_t *port, struct err *e)
{
    struct net_listener *l;
    int fd, bytes;

    if (socket_bind(address, udp ? SOCK_DGRAM : SOCK_STREAM, &fd, e) < 0)
        return e ? e->code : ERR_IO;
    l = x_zalloc(sizeof *l);
    l->loop = &s->loops[atomic_fetch_add_explicit(&s->next_loop, 1, memory_order_relaxed) % s->nloops];
    if (o)
        l->opts = *o;
    else
        net_listener_opts_default(&l->opts);
    l->h = *h;
    l->udp = udp;
    l->fd = fd;
    bytes = (int)l->opts.socket_bytes;
    if (udp && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); /* less is what there is then */
    if (port)
        *port = socket_port(fd);
    *out = l;
    loop_call(l->loop, begin, l, true);
    return 0;
}

int net_listen_tcp(struct http_server *s, const char *address, const struct net_listener_opts *o, const struct net_handler *h,
                   struct net_listener **out, uint16_t *port, struct err *e)
{
    return listener_new(s, address, false, o, h, out, port, e);
}

int net_listen_udp(struct http_server *s, const char *address, const struct net_listener_opts *o, const struct net_handler *h,
                   struct net_listener **out, uint16_t *port, struct err *e)
{
    return listener_new(s, address, true, o, h, out, port, e);
}

static void set_paused(void *arg)
{
    struct net_listener *l = arg;

    if (l->paused)
        return;
    l->paused = true;
    if (l->udp)
        event_del(l->ev);
    for (struct raw_conn *c = l->conns; c; c = c->next)
        event_del(c->ev);
}

static void set_running(void *arg)
{
    struct net_listener *l = arg;

    if (!l->paused)
        return;
    l->paused = false;
    if (l->udp)
        event_add(l->ev, NULL);
    for (struct raw_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        conn_watch(c);
        if (c->in.n && !hand_on(c, false)) /* what was left when it paused */
            conn_drop(c);
        if (l->paused)
            return;
    }
}

void net_listener_pause(struct net_listener *l, bool on)
{
    loop_call(l->loop, on ? set_paused : set_running, l, false);
}

static void end(void *arg)
{
    struct net_listener *l = arg;

    while (l->conns)
        conn_drop(l->conns);
    event_free(l->ev);
    event_free(l->retry);
    close(l->fd);
}

void net_listener_close(struct net_listener *l)
{
    if (!l)
        return;
    loop_call(l->loop, end, l, true); /* messages keep their order: those about it have all run */
    free(l->packets);
    free(l);
}
