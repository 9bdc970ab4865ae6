/*
 * reply.c - answers: their head, whole ones, and how all get from any thread to the socket.
 *
 * On the loop's own thread an answer is put into c->out and sent by the next step of conn_run. Another thread fills
 * c->out (a whole answer) or the stream's pending buffer (a streamed one), then kicks the loop, which alone writes to
 * sockets.
 *
 * (1) The answering thread does not touch the connection after the kick that ends the answer.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum {
    GZIP_MIN = 1024,
    COPY_MAX = 65536,
    FLUSH_MAX = 1 << 20,
    TAKEN_MIN = 65536, /* a client that takes less in write_ms is as good as gone: drops must not hold an answer for ever */
};

/* --- the head of an answer ------------------------------------------------------------------------ */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {{100, "Continue"},
                   {200, "OK"},
                   {201, "Created"},
                   {202, "Accepted"},
                   {204, "No Content"},
                   {206, "Partial Content"},
                   {301, "Moved Permanently"},
                   {302, "Found"},
                   {303, "See Other"},
                   {304, "Not Modified"},
                   {307, "Temporary Redirect"},
                   {308, "Permanent Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {406, "Not Acceptable"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {413, "Content Too Large"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {422, "Unprocessable Content"},
                   {426, "Upgrade Required"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {499, "Client Closed Request"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"},
                   {507, "Insufficient Storage"}};

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Status";
}

/* "Date: ...\r\n", made once a second a thread. */
static struct str date_line(void)
{
    static _Thread_local time_t made;
    static _Thread_local char text[64];
    static _Thread_local size_t n;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != made || n == 0) {
        static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct tm tm;

        gmtime_r(&now.tv_sec, &tm);
        n = (size_t)snprintf(text, sizeof text, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                             days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
                             tm.tm_min, tm.tm_sec);
        n = MIN(n, sizeof text - 1);
        made = now.tv_sec;
    }
    return str_n(text, n);
}

static void put_safe(struct buf *b, struct str s) /* nobody may end a header line but us */
{
    size_t at = b->n;

    buf_puts(b, s);
    for (; at < b->n; at++)
        if ((unsigned char)b->p[at] < ' ' || b->p[at] == 0x7f)
            b->p[at] = ' ';
}

void http_set_header(struct http_request *r, const char *name, struct str value)
{
    struct conn *c = conn_of(r);

    buf_putz(&c->extra, name);
    buf_puts(&c->extra, STR(": "));
    put_safe(&c->extra, value);
    buf_puts(&c->extra, STR("\r\n"));
}

static bool has_extra(const struct conn *c, const char *line_start)
{
    return c->extra.n && str_find(buf_str(&c->extra), str_of(line_start)) >= 0;
}

static void put_cors(const struct conn *c, struct buf *b)
{
    if (c->head.origin.n == 0 || !c->route || c->route->perm > PERM_READ)
        return;
    buf_puts(b, STR("Access-Control-Allow-Headers: Accept, Authorization, Content-Type, Origin\r\n"
                    "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                    "Access-Control-Allow-Origin: *\r\n"
                    "Access-Control-Expose-Headers: Date\r\n"
                    "Vary: Origin\r\n"));
}

static bool bodiless(int status)
{
    return status == 204 || status == 304 || status < 200;
}

void answer_put_head(struct conn *c, struct buf *b, int status, const char *type, int64_t length, bool gzip)
{
    char num[48];

    assert(status >= 100 && status <= 999);
    c->status = status;
    c->said_close = !c->keep || c->unread_body || length == LENGTH_NONE ||
                    atomic_load_explicit(&c->loop->server->draining, memory_order_relaxed);
    buf_reserve(b, 512 + c->extra.n);
    buf_put(b, num, (size_t)snprintf(num, sizeof num, "HTTP/1.1 %d ", status));
    buf_putz(b, reason_of(status));
    buf_puts(b, STR("\r\n"));
    buf_puts(b, date_line());
    buf_puts(b, buf_str(&c->extra));
    put_cors(c, b);
    if ((status == 503 || status == 429) && !has_extra(c, "Retry-After: "))
        buf_puts(b, STR("Retry-After: 1\r\n"));
    if (type && !bodiless(status)) {
        buf_puts(b, STR("Content-Type: "));
        put_safe(b, str_of(type));
        buf_puts(b, STR("\r\n"));
    }
    if (gzip)
        buf_puts(b, STR("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"));
    if (length == LENGTH_CHUNKED)
        buf_puts(b, STR("Transfer-Encoding: chunked\r\n"));
    else if (length >= 0 && !bodiless(status))
        buf_put(b, num, (size_t)snprintf(num, sizeof num, "Content-Length: %lld\r\n", (long long)length));
    if (c->said_close)
        buf_puts(b, STR("Connection: close\r\n"));
    else if (c->head.minor == 0)
        buf_puts(b, STR("Connection: keep-alive\r\n"));
    buf_puts(b, STR("\r\n"));
}

/* Text gets smaller, pictures and what is packed already do not. */
bool answer_compressible(const struct conn *c, const char *type)
{
    struct str t = str_of(type);

    return c->head.accept_gzip && !has_extra(c, "Content-Encoding: ") &&
           (str_starts(t, STR("text/")) || str_starts(t, STR("application/json")) ||
            str_starts(t, STR("application/openmetrics-text")) || str_starts(t, STR("application/javascript")) ||
            str_starts(t, STR("application/xml")) || str_starts(t, STR("image/svg")) ||
            str_starts(t, STR("application/yaml"))) &&
           !str_starts(t, STR("text/event-stream"));
}

/* --- cancellation --------------------------------------------------------------------------------- */

void answer_cancel(struct conn *c)
{
    struct loop *l = c->loop;
    void (*fn)(void *arg);
    void *arg;
    bool was_running;

    atomic_store(&c->canceled, true);
    pthread_mutex_lock(&c->mu);
    if (c->stream)
        pthread_cond_broadcast(&c->stream->room);
    pthread_mutex_unlock(&c->mu);

    pthread_mutex_lock(&l->mu);
    fn = c->cancel_fn;
    arg = c->cancel_arg;
    c->cancel_fn = NULL;
    c->cancel_running = fn != NULL;
    pthread_mutex_unlock(&l->mu);
    if (!fn)
        return;
    was_running = c->running;
    c->running = true; /* fn may answer: c must still be there when it returns */
    fn(arg);
    c->running = was_running;
    pthread_mutex_lock(&l->mu);
    c->cancel_running = false;
    pthread_cond_broadcast(&l->done);
    pthread_mutex_unlock(&l->mu);
}

void http_on_cancel(struct http_request *r, void (*fn)(void *arg), void *arg)
{
    struct conn *c = conn_of(r);
    struct loop *l = c->loop;

    pthread_mutex_lock(&l->mu);
    c->has_cancel = true;
    c->cancel_fn = fn;
    c->cancel_arg = arg;
    while (!fn && c->cancel_running && !on_loop(l))
        pthread_cond_wait(&l->done, &l->mu);
    pthread_mutex_unlock(&l->mu);
}

bool http_canceled(const struct http_request *r)
{
    return atomic_load_explicit(&conn_of(r)->canceled, memory_order_relaxed);
}

/* --- handing over --------------------------------------------------------------------------------- */

/* Loop thread: the answer is complete, or the connection to be cut. */
static void answered(struct conn *c, bool abort)
{
    if (c->live) {
        c->live = false;
        atomic_fetch_sub(&c->loop->server->live, 1);
    }
    c->ended = true;
    if (c->state == CONN_GONE) {
        conn_finish_request(c);
    } else if (abort) {
        struct linger hard = {.l_onoff = 1, .l_linger = 0};

        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* a reset: nobody takes it for a clean end */
        conn_gone(c);
        return;
    } else {
        c->state = CONN_ANSWER;
    }
    conn_run(c);
}

void answer_kicked(struct conn *c, unsigned kicks)
{
    if (kicks & (KICK_WHOLE | KICK_END | KICK_ABORT)) {
        answered(c, kicks & KICK_ABORT);
    } else {
        if (c->state == CONN_RUN)
            c->state = CONN_ANSWER;
        conn_run(c);
    }
}

void answer_hand_over(struct conn *c, unsigned kicks)
{
    if (c->has_cancel && (kicks & (KICK_WHOLE | KICK_END | KICK_ABORT)))
        http_on_cancel(&c->req, NULL, NULL);
    if (!on_loop(c->loop))
        loop_kick(c, kicks);
    else if (!loop_kick_more(c, kicks)) /* an answer that several threads write: what was kicked before comes first */
        answer_kicked(c, kicks);
}

/* --- writing to the socket ------------------------------------------------------------------------ */

static ssize_t send_some(struct conn *c, const struct iovec *iov, int n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    ssize_t w;

    do
        w = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (w < 0 && errno == EINTR);
    if (w > 0)
        count(&c->loop->stats.bytes_out, (uint64_t)w);
    if (w < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return w;
}

/* Takes what the stream has into c->out, which is empty. */
static void take_pending(struct conn *c)
{
    c->out_at = 0;
    buf_reset(&c->out);
    pthread_mutex_lock(&c->mu);
    if (c->stream && c->stream->pending.n) {
        struct buf empty = c->out;

        c->out = c->stream->pending;
        c->stream->pending = empty;
    }
    pthread_mutex_unlock(&c->mu);
}

static void note_sent(struct conn *c, size_t n)
{
    pthread_mutex_lock(&c->mu);
    if (c->stream) {
        c->stream->unsent -= n;
        if (c->stream->unsent <= c->loop->server->limits.write_high_bytes / 2)
            pthread_cond_broadcast(&c->stream->room);
    }
    pthread_mutex_unlock(&c->mu);
}

int answer_flush(struct conn *c)
{
    size_t sent = 0;

    for (;;) {
        struct iovec iov;
        ssize_t w;

        if (c->out_at == c->out.n)
            take_pending(c);
        if (c->out.n == 0)
            break;
        iov = (struct iovec){c->out.p + c->out_at, c->out.n - c->out_at};
        w = send_some(c, &iov, 1);
        if (w < 0)
            return -1;
        if (w == 0 || sent > FLUSH_MAX) { /* full, or others' turn */
            c->taken += sent + (size_t)w;
            if (!c->writing || c->taken >= (c->ws ? 1 : TAKEN_MIN)) {
                c->taken = 0;
                c->deadline_ms = clock_mono_ms() + c->loop->server->limits.write_ms;
            }
            c->out_at += (size_t)w;
            note_sent(c, (size_t)w);
            conn_want_write(c, true);
            return 0;
        }
        c->out_at += (size_t)w;
        sent += (size_t)w;
        note_sent(c, (size_t)w);
    }
    conn_want_write(c, false);
    c->deadline_ms = c->ws ? websocket_deadline_ms(c) : INT64_MAX;
    return c->ended ? 1 : 0;
}

/* --- whole answers -------------------------------------------------------------------------------- */

/* Head and body at once where the thread may write and the body is big; else through c->out. */
static void put_body(struct conn *c, struct str body)
{
    if (body.n > COPY_MAX && on_loop(c->loop) && c->state == CONN_RUN) {
        struct iovec iov[2] = {{c->out.p, c->out.n}, {(void *)(uintptr_t)body.p, body.n}};
        ssize_t w = send_some(c, iov, 2);
        size_t done = w > 0 ? (size_t)w : 0;

        c->out_at = MIN(done, c->out.n);
        body = str_from(body, done - c->out_at);
    }
    buf_puts(&c->out, body);
}

static void whole(struct conn *c, int status, const char *type, struct str body)
{
    struct buf packed = {0};
    bool gzip = body.n >= GZIP_MIN && type && answer_compressible(c, type);

    if (gzip) {
        gzip_encode(&packed, body, 1);
        gzip = packed.n + 64 < body.n;
        if (gzip)
            body = buf_str(&packed);
    }
    answer_put_head(c, &c->out, status, type, (int64_t)body.n, gzip);
    if (c->head.method != HTTP_HEAD && !bodiless(status))
        put_body(c, body);
    buf_release(&packed);
}

void http_reply(struct http_request *r, int status, const char *type, struct str body)
{
    struct conn *c = conn_of(r);

    assert(!c->stream && !c->status);
    whole(c, status, type, body);
    answer_hand_over(c, KICK_WHOLE);
}

void http_replyf(struct http_request *r, int status, const char *type, const char *fmt, ...)
{
    char small[2048];
    struct buf big = {0};
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if ((size_t)n >= sizeof small)
        vsnprintf(buf_reserve(&big, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    http_reply(r, status, type, str_n(big.p ? big.p : small, (size_t)n));
    buf_release(&big);
}

void answer_refuse(struct conn *c, int status, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text - 1, fmt, ap);
    va_end(ap);
    n = MIN(n, (int)sizeof text - 2);
    if (n > 0)
        text[n++] = '\n';
    assert(on_loop(c->loop) && !c->live);
    whole(c, status, "text/plain; charset=utf-8", str_n(text, (size_t)n));
    c->ended = true;
    c->state = CONN_ANSWER;
}

/* --- reading the request -------------------------------------------------------------------------- */

struct str http_header(const struct http_request *r, const char *name)
{
    struct str n = str_of(name);

    for (uint32_t i = 0; i < r->nheaders; i++)
        if (str_eq_nocase(r->headers[i].name, n))
            return r->headers[i].value;
    return STR_NULL;
}

int http_status_of(int err_code)
{
    static const int statuses[] = {[-ERR_INVALID] = 400,  [-ERR_NOT_FOUND] = 404,   [-ERR_EXISTS] = 409,
                                   [-ERR_LIMIT] = 422,    [-ERR_BUSY] = 503,        [-ERR_FULL] = 503,
                                   [-ERR_IO] = 500,       [-ERR_CORRUPT] = 500,     [-ERR_TIMEOUT] = 503,
                                   [-ERR_CANCELED] = 499, [-ERR_UNSUPPORTED] = 501, [-ERR_UNAVAILABLE] = 503,
                                   [-ERR_AGAIN] = 503,    [-ERR_EXEC] = 422,        [-ERR_DENIED] = 403};

    if (err_code == 0)
        return 200;
    return err_code < 0 && -err_code < (int)ARRAY_LEN(statuses) && statuses[-err_code] ? statuses[-err_code] : 500;
}
