/*
 * websocket.c - one WebSocket: a connection whose request is answered by 101 and never quite ends.
 *
 *     websocket_accept ──▶ open ──▶ websocket_close ──▶ sent, half closed, waiting for the client's end (conn.c: LINGER)
 *                            │          ▲
 *                            └─ client closes, breaks a rule or leaves: on_gone, our closing frame
 *
 * It is a streamed answer to the rest of net/: frames go into stream.pending whole, by any thread, and the loop alone reads and writes the
 * socket. What the client sends comes by websocket_input, from the loop.
 *
 * (1) Frames never interleave: each is appended in one piece under conn.mu.
 * (2) After our closing frame nothing is sent.
 * (3) What waits for a client is bounded: texts by queue_bytes, answers to its pings by CONTROL_ROOM on top.
 * (4) conn.ws is looked at by the loop in state CONN_ANSWER only, which the kick of websocket_accept begins.
 */
#include "net/websocket.h"

#include "net/conn.h"
#include "net/frame.h"

#include <assert.h>
#include <openssl/evp.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    CONTROL_ROOM = 16384,
    SEND_BUFFER = 256 * 1024, /* the kernel's: what a slow client has not taken lies there too */
    REASON_MAX = 123,
    KEY_TEXT = 24,
    ACCEPT_TEXT = 28,
    CODE_NONE = 1005
};

struct websocket {
    /* Set at accept. */
    struct conn *conn;
    struct websocket_opts opts;

    /* Loop thread only. */
    struct frame_reader in;
    bool deaf;   /* nothing of the client matters any more */
    unsigned silent; /* pings since the last sign of life */
    int unacked;     /* bytes, at the last ping */

    /* Under conn.mu. */
    bool close_sent;

    /* Under loop.mu. */
    bool calling; /* on_message runs */
    bool let_go;  /* websocket_close was called: no more callbacks */

    _Atomic bool told; /* on_gone was called */
};

void websocket_opts_default(struct websocket_opts *o)
{
    *o = (struct websocket_opts){.queue_bytes = 1 << 20, .message_bytes = 64 * 1024, .ping_ms = 10000};
}

/* --- the handshake ----------------------------------------------------------------------------------- */

static int refuse(struct http_request *r, int status, struct err *e, const char *why)
{
    http_set_header(r, "Sec-WebSocket-Version", STR("13"));
    http_replyf(r, status, "text/plain; charset=utf-8", "%s\n", why);
    return err_set(e, ERR_INVALID, "%s", why);
}

/* 16 bytes in base64 are 24 characters, the last two "==". */
static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool base64 = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';

        if (i < 22 ? !base64 : c != '=')
            return false;
    }
    return key.n == KEY_TEXT;
}

static void accept_key(struct str key, char out[ACCEPT_TEXT + 1])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_TEXT + sizeof magic - 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int ok;

    memcpy(text, key.p, KEY_TEXT);
    memcpy(text + KEY_TEXT, magic, sizeof magic - 1);
    ok = EVP_Digest(text, sizeof text, digest, &n, EVP_sha1(), NULL);
    assert(ok && n == 20);
    EVP_EncodeBlock((unsigned char *)out, digest, (int)n);
}

static int check_handshake(struct http_request *r, struct str *key, struct err *e)
{
    const struct conn *c = conn_of(r);

    *key = http_header(r, "Sec-WebSocket-Key");
    if (r->method != HTTP_GET || c->head.minor < 1 || r->body.n)
        return refuse(r, 400, e, "a WebSocket begins with a GET of HTTP/1.1 without a body");
    if (!header_lists(http_header(r, "Connection"), "upgrade") || !header_lists(http_header(r, "Upgrade"), "websocket"))
        return refuse(r, 400, e, "this speaks WebSocket only: \"Connection: Upgrade\" and \"Upgrade: websocket\" are missing");
    if (!str_eqz(http_header(r, "Sec-WebSocket-Version"), "13"))
        return refuse(r, 426, e, "only version 13 of WebSocket is spoken here");
    if (!is_key(*key))
        return refuse(r, 400, e, "Sec-WebSocket-Key is not 16 bytes in base64");
    return 0;
}

/* Told once, by whoever finds out first. */
static void tell_gone(void *arg)
{
    struct websocket *w = arg;

    if (!atomic_exchange(&w->told, true) && w->opts.on_gone)
        w->opts.on_gone(w->opts.arg);
}

int websocket_accept(struct http_request *r, const struct websocket_opts *o, struct websocket **out, struct err *e)
{
    struct conn *c = conn_of(r);
    struct stream *st;
    struct websocket *w;
    char answer[ACCEPT_TEXT + 1];
    int send_buffer = SEND_BUFFER;
    struct str key;

    assert(!c->stream && !c->status && o->ping_ms > 0);
    if (check_handshake(r, &key, e) < 0)
        return ERR_INVALID;
    w = x_zalloc(sizeof *w);
    w->conn = c;
    w->opts = *o;
    w->in.message_bytes_max = o->message_bytes;
    st = x_zalloc(sizeof *st);
    pthread_cond_init(&st->room, NULL);
    accept_key(key, answer);
    buf_putz(&st->pending, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
    buf_putz(&st->pending, answer);
    buf_putz(&st->pending, "\r\n\r\n");
    st->unsent = st->pending.n;
    if (setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer) < 0)
        log_debug("http", "%s: the kernel keeps its own size of buffer", c->peer);
    c->status = 101;
    c->said_close = true;  /* it is never an HTTP connection again ... */
    c->unread_body = true; /* ... and what still comes after our closing frame is thrown away */
    http_on_cancel(r, tell_gone, w);
    *out = w;
    pthread_mutex_lock(&c->mu);
    c->stream = st;
    c->ws = w;
    pthread_mutex_unlock(&c->mu);
    answer_hand_over(c, KICK_DATA);
    if (http_canceled(r)) /* before we asked to be told */
        tell_gone(w);
    return 0;
}

void websocket_free(struct websocket *w)
{
    if (!w)
        return;
    frame_reader_release(&w->in);
    free(w);
}

/* --- out --------------------------------------------------------------------------------------------- */

/* Under conn.mu. */
static void put_frame(struct websocket *w, enum frame_op op, struct str payload)
{
    struct stream *st = w->conn->stream;
    uint8_t head[FRAME_HEAD_MAX];
    size_t n = frame_put_head(head, op, payload.n);

    buf_reserve(&st->pending, n + payload.n);
    buf_put(&st->pending, head, n);
    buf_puts(&st->pending, payload);
    st->unsent += n + payload.n;
}

static int put(struct websocket *w, enum frame_op op, struct str payload, size_t room)
{
    struct conn *c = w->conn;
    int rc = 0;

    pthread_mutex_lock(&c->mu);
    if (w->close_sent || atomic_load(&c->canceled))
        rc = ERR_CANCELED;
    else if (c->stream->unsent > room)
        rc = ERR_BUSY;
    else
        put_frame(w, op, payload);
    pthread_mutex_unlock(&c->mu);
    return rc;
}

/* 1005 is the absence of a code: it is never sent. */
static void put_close(struct websocket *w, int code, struct str reason)
{
    uint8_t payload[2 + REASON_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t n = MIN(reason.n, (size_t)REASON_MAX);

    while (n < reason.n && n > 0 && (reason.p[n] & 0xc0) == 0x80) /* a rune is cut as a whole */
        n--;
    if (n)
        memcpy(payload + 2, reason.p, n);
    pthread_mutex_lock(&w->conn->mu);
    if (!w->close_sent)
        put_frame(w, FRAME_CLOSE, str_n(payload, code == CODE_NONE ? 0 : 2 + n));
    w->close_sent = true;
    pthread_mutex_unlock(&w->conn->mu);
}

int websocket_send(struct websocket *w, struct str text)
{
    int rc = put(w, FRAME_TEXT, text, w->opts.queue_bytes);

    if (rc == 0)
        answer_hand_over(w->conn, KICK_DATA);
    return rc;
}

bool websocket_has_room(struct websocket *w)
{
    bool room;

    pthread_mutex_lock(&w->conn->mu);
    room = w->conn->stream->unsent <= w->opts.queue_bytes;
    pthread_mutex_unlock(&w->conn->mu);
    return room;
}

bool websocket_gone(const struct websocket *w)
{
    return atomic_load_explicit(&w->conn->canceled, memory_order_relaxed);
}

void websocket_close(struct websocket *w, int code, struct str reason)
{
    struct conn *c = w->conn;
    struct loop *l = c->loop;

    put_close(w, code, reason);
    pthread_mutex_lock(&l->mu);
    w->let_go = true;
    while (w->calling && !on_loop(l))
        pthread_cond_wait(&l->done, &l->mu);
    pthread_mutex_unlock(&l->mu);
    answer_hand_over(c, KICK_END);
}

/* --- in: on the loop ---------------------------------------------------------------------------------- */

static void call_message(struct websocket *w, bool text, struct str message)
{
    struct loop *l = w->conn->loop;

    pthread_mutex_lock(&l->mu);
    w->calling = w->opts.on_message && !w->let_go;
    pthread_mutex_unlock(&l->mu);
    if (!w->calling)
        return;
    w->opts.on_message(w->opts.arg, text, message);
    pthread_mutex_lock(&l->mu);
    w->calling = false;
    pthread_cond_broadcast(&l->done);
    pthread_mutex_unlock(&l->mu);
}

/* The end of what the client says: our closing frame, and the owner is told. */
static void fall_deaf(struct websocket *w, int code, struct str reason)
{
    w->deaf = true;
    put_close(w, code, reason);
    answer_cancel(w->conn);
}

static void act_on(struct websocket *w, int event, struct str payload)
{
    w->silent = 0;
    if (event == FRAME_PING)
        put(w, FRAME_PONG, payload, w->opts.queue_bytes + CONTROL_ROOM); /* one too many to answer is left unanswered */
    else if (event == FRAME_CLOSE)
        fall_deaf(w, w->in.close_code, STR(""));
    else if (event != FRAME_PONG)
        call_message(w, event == FRAME_TEXT, payload);
}

void websocket_input(struct conn *c)
{
    struct websocket *w = c->ws;
    const char *p = c->in.p + c->in_at, *end = c->in.p + c->in.n;
    struct str payload;
    struct err e;
    int event = 0;

    assert(on_loop(c->loop));
    if (p == end)
        return;
    while (!w->deaf && (event = frame_next(&w->in, &p, end, &payload, &e)) > 0)
        act_on(w, event, payload);
    if (event < 0)
        fall_deaf(w, w->in.close_code, str_of(e.text));
    conn_take_in(c, w->deaf ? c->in.n - c->in_at : (size_t)(p - (c->in.p + c->in_at)));
}

int64_t websocket_deadline_ms(const struct conn *c)
{
    return clock_mono_ms() + c->ws->opts.ping_ms;
}

bool websocket_idle(struct conn *c)
{
    struct websocket *w = c->ws;

    int unacked = 0;

    /* An answer may be late because much lies in buffers before our ping: what the client takes of that is a sign too. */
    if (ioctl(c->fd, SIOCOUTQ, &unacked) == 0 && unacked < w->unacked)
        w->silent = 0;
    if (w->silent >= WEBSOCKET_SILENT_MAX || put(w, FRAME_PING, STR(""), w->opts.queue_bytes) < 0)
        return false;
    w->unacked = unacked;
    w->silent++;
    return true;
}
