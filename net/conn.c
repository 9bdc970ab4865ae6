/*
 * conn.c - one connection: from its bytes to requests, one at a time.
 *
 *             first byte .. head               body                 handler answers          sent
 *     HEAD ───────────────────────▶ BODY ───────────────▶ RUN ───────────────────▶ ANSWER ─────────▶ HEAD
 *      ▲  step_head  │ no body                step_body  request_dispatch             answer_flush     │ or
 *      │             └──────────────────────────────────────▶                                          ▼
 *      └───────────────────────────────────────────────────────────── conn_finish_request ◀──── LINGER, DEAD
 *     any state: conn_gone ▶ GONE while a handler holds the request, else DEAD
 *
 * (1) One request at a time: what a client sends ahead waits in c->in (at most READ_AHEAD bytes, then in the kernel).
 * (2) A body is in one piece: Content-Length bodies are read straight into the request's arena, at the length that was
 *     checked against the limits first.
 * (3) A connection whose request is held by a handler is not freed; its socket may be closed long before.
 * (4) After an answer that left a body unread the connection is not used again.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 16384, READ_AHEAD = 65536, LINGER_MS = 2000, KEEP_BUF = 4096 };

/* --- life ----------------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg);

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_run((struct conn *)arg);
}

void conn_want_read(struct conn *c, bool on)
{
    if (c->reading == on)
        return;
    c->reading = on;
    if (on)
        event_add(&c->read_ev, NULL);
    else
        event_del(&c->read_ev);
}

void conn_want_write(struct conn *c, bool on)
{
    if (c->writing == on)
        return;
    c->writing = on;
    if (on)
        event_add(&c->write_ev, NULL);
    else
        event_del(&c->write_ev);
}

void conn_adopt(struct loop *l, struct listener *ln, int fd, const char *peer)
{
    struct conn *c = x_zalloc(sizeof *c);
    int one = 1;

    assert(on_loop(l));
    c->loop = l;
    c->listener = ln;
    c->fd = fd;
    memcpy(c->peer, peer, PEER_MAX);
    pthread_mutex_init(&c->mu, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    event_assign(&c->read_ev, l->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write_ev, l->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->next = l->conns;
    if (l->conns)
        l->conns->prev = c;
    l->conns = c;
    count(&l->stats.connections, 1);
    loop_sweep_on(l);
    c->deadline_ms = clock_mono_ms() + l->server->limits.idle_ms;
    conn_want_read(c, true);
}

static void close_socket(struct conn *c)
{
    if (c->fd < 0)
        return;
    conn_want_read(c, false);
    conn_want_write(c, false);
    close(c->fd);
    c->fd = -1;
    c->deadline_ms = INT64_MAX;
    atomic_fetch_sub(&c->loop->nconns, 1);
    atomic_fetch_sub(&c->loop->server->conns_open, 1);
}

static void conn_free(struct conn *c)
{
    assert(!c->live && !c->kicks);
    close_socket(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (c->charged)
        atomic_fetch_sub(&c->loop->server->inflight_bytes, c->charged);
    loop_arena_give(c->loop, &c->arena);
    stream_free(c->stream);
    websocket_free(c->ws);
    buf_release(&c->in);
    buf_release(&c->chunks);
    buf_release(&c->extra);
    buf_release(&c->out);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

void conn_gone(struct conn *c)
{
    close_socket(c);
    if (c->live)
        answer_cancel(c);
    c->state = c->live ? CONN_GONE : CONN_DEAD;
    conn_run(c);
}

void conn_close_idle(struct conn *c)
{
    if (c->state == CONN_HEAD && c->in.n == c->in_at)
        conn_gone(c);
}

/* --- the end of a request ------------------------------------------------------------------------- */

static void keep_small(struct buf *b)
{
    if (b->cap > KEEP_BUF)
        buf_release(b);
    else
        buf_reset(b);
}

static void note_status(struct conn *c)
{
    struct loop_stats *st = &c->loop->stats;

    if (c->status == 0 || (c->route && (c->route->flags & HTTP_QUIET)))
        return;
    count(&st->requests, 1);
    count(&st->by_status[c->status >= 100 && c->status < 600 ? c->status / 100 : 0], 1);
}

/* What the request held goes; the connection goes on, lingers or dies. */
void conn_finish_request(struct conn *c)
{
    bool more = !c->said_close && !c->eof && c->fd >= 0;

    assert(!c->live);
    note_status(c);
    loop_arena_give(c->loop, &c->arena);
    if (c->charged)
        atomic_fetch_sub(&c->loop->server->inflight_bytes, c->charged);
    stream_free(c->stream);
    c->stream = NULL;
    websocket_free(c->ws);
    c->ws = NULL;
    buf_release(&c->chunks);
    keep_small(&c->extra);
    keep_small(&c->out);
    if (c->in_at == c->in.n) {
        buf_release(&c->in);
        c->in_at = c->scan = 0;
    }
    memset(&c->req, 0, sizeof c->req);
    memset(&c->head, 0, sizeof c->head);
    memset(&c->chunked, 0, sizeof c->chunked);
    c->body = NULL;
    c->body_got = c->out_at = c->taken = c->charged = 0;
    c->route = NULL;
    c->ended = c->keep = c->said_close = c->has_cancel = false;
    c->status = 0;
    atomic_store_explicit(&c->canceled, false, memory_order_relaxed);
    if (more) {
        c->state = CONN_HEAD;
        c->deadline_ms = clock_mono_ms() + c->loop->server->limits.idle_ms;
    } else if (c->fd >= 0 && !c->eof && (c->unread_body || c->in_at < c->in.n)) {
        shutdown(c->fd, SHUT_WR);
        c->state = CONN_LINGER;
        c->deadline_ms = clock_mono_ms() + LINGER_MS;
        conn_want_read(c, true);
    } else {
        c->state = CONN_DEAD;
    }
}

void conn_take_in(struct conn *c, size_t n)
{
    c->in_at += n;
    if (c->in_at == c->in.n) {
        c->in.n = c->in_at = 0;
    }
    c->scan = 0;
}

/* --- steps ---------------------------------------------------------------------------------------- */

static int step_head(struct conn *c)
{
    struct str in = str_n(c->in.p + c->in_at, c->in.n - c->in_at);
    const struct http_limits *m = &c->loop->server->limits;
    size_t end = 0;
    struct err e;
    int rc;

    while (c->scan == 0 && in.n >= 2 && in.p[0] == '\r' &&
           in.p[1] == '\n') { /* RFC 9112 2.2: tolerated before a request */
        conn_take_in(c, 2);
        in = str_n(c->in.p + c->in_at, c->in.n - c->in_at);
    }
    if (in.n == 0) {
        if (c->eof)
            conn_gone(c);
        return 0;
    }
    if (c->req.start_ns == 0) {
        c->req.start_ns = clock_mono_ns();
        c->deadline_ms = c->req.start_ns / 1000000 + m->header_ms;
    }
    rc = head_find_end(in, &c->scan, &end, &e);
    if (rc < 0) {
        c->unread_body = true;
        answer_refuse(c, 400, "%s", e.text);
    } else if ((rc == 0 && in.n > m->header_bytes) || end > m->header_bytes) {
        c->unread_body = true;
        count(&c->loop->stats.refused_limit, 1);
        answer_refuse(c, 431, "request line and headers are longer than the limit of %u bytes", m->header_bytes);
    } else if (rc == 0) {
        if (c->eof)
            conn_gone(c);
        return 0;
    } else {
        request_begin(c, end);
    }
    return 1;
}

/* Chunked: from c->in into c->chunks. 1: whole or answered, 0: more must come. */
static int step_chunks(struct conn *c)
{
    const char *p = c->in.p + c->in_at, *end = c->in.p + c->in.n;
    struct str data;
    struct err e;
    int rc;

    if (p == end)
        return 0;
    while ((rc = chunked_next(&c->chunked, &p, end, &data, &e)) == CHUNK_DATA) {
        if (request_too_large(c, c->chunks.n + data.n) < 0 || request_charge(c, data.n) < 0)
            return 1;
        buf_puts(&c->chunks, data);
    }
    conn_take_in(c, (size_t)(p - (c->in.p + c->in_at)));
    if (rc == CHUNK_MORE && request_too_large(c, c->chunks.n + c->chunked.left) < 0) /* what the next chunk announces */
        return 1;
    if (rc == CHUNK_END)
        request_dispatch(c);
    else if (rc < 0)
        answer_refuse(c, 400, "%s", e.text);
    return rc != CHUNK_MORE;
}

static int step_body(struct conn *c)
{
    int rc = 1;

    if (c->head.chunked)
        rc = step_chunks(c);
    else if (c->body_got == c->head.length)
        request_dispatch(c);
    else
        rc = 0;
    if (rc == 0 && c->eof)
        conn_gone(c); /* it left in the middle */
    return rc;
}

static int step_answer(struct conn *c)
{
    int rc;

    if (c->ws && !c->ended)
        websocket_input(c);
    rc = answer_flush(c);
    if (rc < 0) {
        conn_gone(c);
        return 0;
    }
    if (rc > 0)
        conn_finish_request(c);
    return rc;
}

static int step(struct conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
        return step_head(c);
    case CONN_BODY:
        return step_body(c);
    case CONN_ANSWER:
        return step_answer(c);
    case CONN_RUN:
    case CONN_LINGER:
    case CONN_GONE:
    case CONN_DEAD:
        break;
    }
    return 0;
}

static bool has_request(const struct conn *c)
{
    return c->state == CONN_RUN || c->state == CONN_ANSWER;
}

void conn_run(struct conn *c)
{
    assert(on_loop(c->loop));
    if (c->running)
        return;
    c->running = true;
    while (step(c))
        ;
    c->running = false;
    if (c->state == CONN_DEAD)
        conn_free(c);
    else if (c->fd >= 0 && !c->eof && (!has_request(c) || c->in.n - c->in_at < READ_AHEAD))
        conn_want_read(c, true);
}

void conn_expired(struct conn *c)
{
    struct loop_stats *st = &c->loop->stats;
    const struct http_limits *m = &c->loop->server->limits;

    if (c->state == CONN_HEAD && c->req.start_ns) {
        count(&st->cut_slow, 1);
        c->unread_body = true;
        answer_refuse(c, 408, "the request's head did not arrive within %lld ms", (long long)m->header_ms);
        conn_run(c);
    } else if (c->state == CONN_BODY) {
        count(&st->cut_slow, 1);
        answer_refuse(c, 408, "the request's body did not arrive within %lld ms", (long long)m->body_ms);
        conn_run(c);
    } else if (c->state == CONN_ANSWER && c->ws && !c->ended && !c->writing && websocket_idle(c)) {
        conn_run(c);
    } else {
        if (c->state == CONN_ANSWER) {
            count(&st->cut_slow, 1);
            atomic_store(&c->cut, true);
        }
        conn_gone(c);
    }
}

/* --- reading -------------------------------------------------------------------------------------- */

enum { READ_END = -1, READ_FAILED = -2 };

/* One read: bytes, 0 when there is nothing now, READ_END or READ_FAILED. */
static ssize_t read_some(struct conn *c, void *p, size_t n)
{
    ssize_t r;

    do
        r = read(c->fd, p, n);
    while (r < 0 && errno == EINTR);
    if (r > 0)
        count(&c->loop->stats.bytes_in, (uint64_t)r);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return r > 0 ? r : r == 0 ? READ_END : READ_FAILED;
}

static ssize_t read_in(struct conn *c)
{
    ssize_t r;

    if (c->in_at > 0) {
        memmove(c->in.p, c->in.p + c->in_at, c->in.n - c->in_at);
        c->in.n -= c->in_at;
        c->in_at = 0;
    }
    buf_reserve(&c->in, READ_BYTES);
    r = read_some(c, c->in.p + c->in.n, c->in.cap - c->in.n);
    if (r > 0)
        c->in.n += (size_t)r;
    return r;
}

/* Straight into the body, until it is whole or the socket is empty. */
static ssize_t read_body(struct conn *c)
{
    size_t want;
    ssize_t r;

    do {
        want = c->head.length - c->body_got;
        r = read_some(c, c->body + c->body_got, want);
        if (r > 0)
            c->body_got += (size_t)r;
    } while (r > 0 && (size_t)r < want && (size_t)r >= READ_BYTES);
    return r;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    char waste[READ_BYTES];
    ssize_t r;

    (void)fd;
    (void)what;
    if (c->state == CONN_LINGER)
        r = read_some(c, waste, sizeof waste);
    else if (c->state == CONN_BODY && c->head.has_length)
        r = read_body(c);
    else
        r = read_in(c);
    if (r == READ_FAILED || (r == READ_END && c->state == CONN_LINGER)) {
        conn_gone(c);
        return;
    }
    if (r == READ_END) {
        c->eof = true;
        conn_want_read(c, false);
        if (c->live)
            answer_cancel(c); /* perhaps it only closed its side: what is answered all the same is sent */
    } else if (has_request(c) && c->in.n - c->in_at >= READ_AHEAD) {
        conn_want_read(c, false);
    }
    conn_run(c);
}
