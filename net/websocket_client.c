/*
 * websocket_client.c - see websocket_client.h.
 *
 * (1) What we send is masked, what we get must not be (RFC 6455 5.1).
 * (2) A message is at most MESSAGE_MAX bytes, whatever its frames say.
 */
#include "net/websocket_client.h"

#include "net/frame.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 64 << 20, HEAD_MAX = 64 * 1024 };

struct websocket_client {
    int fd;
    struct buf in;     /* bytes of the connection not looked at yet, from `at` */
    size_t at;
    struct buf message;
};

static int broken(struct err *e, const char *what)
{
    return err_set(e, ERR_IO, "%s: %s", what, errno ? strerror(errno) : "the connection was closed");
}

static int send_all(int fd, const void *p, size_t n, struct err *e)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return broken(e, "send");
        p = (const char *)p + k;
        n -= (size_t)k;
    }
    return 0;
}

/* At least n bytes from `at` on. */
static int need(struct websocket_client *w, size_t n, struct err *e)
{
    if (w->at > 1 << 16) { /* what was looked at goes now and then */
        memmove(w->in.p, w->in.p + w->at, w->in.n - w->at);
        w->in.n -= w->at;
        w->at = 0;
    }
    while (w->in.n - w->at < n) {
        char chunk[16384];
        ssize_t k = recv(w->fd, chunk, sizeof chunk, 0);

        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            errno = 0;
        if (k <= 0)
            return broken(e, "receive");
        buf_put(&w->in, chunk, (size_t)k);
    }
    return 0;
}

/* --- the handshake ------------------------------------------------------------------------------------- */

static int dial(const char *host, const char *port, int *fd, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
    int rc = getaddrinfo(host, port, &hints, &list);

    if (rc)
        return err_set(e, ERR_IO, "%s: %s", host, gai_strerror(rc));
    *fd = -1;
    for (a = list; a; a = a->ai_next) {
        *fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (*fd >= 0 && connect(*fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    freeaddrinfo(list);
    return *fd < 0 ? err_set(e, ERR_IO, "%s port %s: %s", host, port, strerror(errno)) : 0;
}

static void put_key(struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t r[22];

    RAND_bytes(r, sizeof r);
    for (unsigned i = 0; i < 21; i++)
        buf_putc(out, digits[r[i] & 63]);
    buf_putc(out, "AQgw"[r[21] & 3]); /* 16 bytes: of the last digit only two bits count */
    buf_putz(out, "==");
}

static int shake_hands(struct websocket_client *w, struct str host_port, struct str path, struct err *e)
{
    struct buf ask = {0};
    struct str head;
    const char *end;
    int code;

    buf_printf(&ask, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
               STR_ARG(path), STR_ARG(host_port));
    put_key(&ask);
    buf_putz(&ask, "\r\n\r\n");
    code = send_all(w->fd, ask.p, ask.n, e);
    buf_release(&ask);
    do {
        if (code == 0)
            code = need(w, w->in.n - w->at + 1, e);
        if (code < 0)
            return code;
        end = memmem(w->in.p, w->in.n, "\r\n\r\n", 4);
    } while (!end && w->in.n < HEAD_MAX);
    head = buf_str(&w->in);
    if (!end || !str_starts(head, STR("HTTP/1.1 101"))) {
        struct str body = end ? str_from(head, (size_t)(end - head.p) + 4) : STR_NULL, line = str_head(head, (size_t)MAX(str_chr(head, '\r'), 0));

        return err_set(e, ERR_INVALID, "%.*s%s%.*s", STR_ARG(line), body.n ? ": " : "", STR_ARG(str_head(body, 500)));
    }
    w->at = (size_t)(end - head.p) + 4;
    return 0;
}

int websocket_connect(struct str url, struct websocket_client **out, struct err *e)
{
    struct websocket_client *w = x_zalloc(sizeof *w);
    struct str rest = url, host_port, host, port = STR("80");
    char h[256], p[16];
    long slash, colon;
    int code;

    w->fd = -1;
    if (str_starts(url, STR("https://"))) {
        free(w);
        return err_set(e, ERR_INVALID, "%.*s: TLS is not spoken here; a proxy such as nginx or stunnel does it", STR_ARG(url));
    }
    if (str_starts(url, STR("http://")))
        rest = str_from(url, 7);
    slash = (long)str_chr(rest, '/');
    host_port = host = str_head(rest, slash < 0 ? rest.n : (size_t)slash);
    rest = slash < 0 ? STR("/") : str_from(rest, (size_t)slash);
    for (colon = (long)host.n - 1; colon >= 0 && host.p[colon] != ':' && host.p[colon] != ']'; colon--)
        ;
    if (colon >= 0 && host.p[colon] == ':') {
        port = str_from(host, (size_t)colon + 1);
        host = str_head(host, (size_t)colon);
    }
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_n(host.p + 1, host.n - 2);
    snprintf(h, sizeof h, "%.*s", (int)MIN(host.n, sizeof h - 1), host.p);
    snprintf(p, sizeof p, "%.*s", (int)MIN(port.n, sizeof p - 1), port.p);
    code = dial(h, p, &w->fd, e);
    if (code == 0)
        code = shake_hands(w, host_port, rest, e);
    if (code < 0)
        websocket_client_free(w);
    else
        *out = w;
    return code;
}

/* --- frames ---------------------------------------------------------------------------------------------- */

/* A control frame: its payload is short. */
static int send_control(struct websocket_client *w, enum frame_op op, struct str payload, struct err *e)
{
    uint8_t frame[6 + CONTROL_MAX];

    payload = str_head(payload, MIN(payload.n, (size_t)CONTROL_MAX));
    frame[0] = (uint8_t)(0x80 | op);
    frame[1] = (uint8_t)(0x80 | payload.n);
    RAND_bytes(frame + 2, 4);
    for (size_t i = 0; i < payload.n; i++)
        frame[6 + i] = (uint8_t)payload.p[i] ^ frame[2 + (i & 3)];
    return send_all(w->fd, frame, 6 + payload.n, e);
}

void websocket_client_free(struct websocket_client *w)
{
    struct err e = {0};

    if (!w)
        return;
    if (w->fd >= 0) {
        send_control(w, FRAME_CLOSE, str_n("\x03\xe8", 2), &e); /* 1000; whether it arrives does not matter */
        close(w->fd);
    }
    buf_release(&w->in);
    buf_release(&w->message);
    free(w);
}

/* The next frame, whole; its payload is at `at`, and passed over. */
static int next_frame(struct websocket_client *w, enum frame_op *op, bool *last, struct str *payload, struct err *e)
{
    const uint8_t *p;
    uint64_t n;
    size_t head = 2;
    int code = need(w, 2, e);

    if (code < 0)
        return code;
    p = (const uint8_t *)w->in.p + w->at;
    *op = (enum frame_op)(p[0] & 15);
    *last = p[0] & 0x80;
    n = p[1] & 127;
    if (p[0] & 0x70 || p[1] & 0x80)
        return err_set(e, ERR_INVALID, "a frame with bits that were not agreed on");
    head += n == 126 ? 2 : n == 127 ? 8 : 0;
    code = need(w, head, e);
    if (code < 0)
        return code;
    p = (const uint8_t *)w->in.p + w->at;
    for (size_t i = 2, extended = head > 2; extended && i < head; i++)
        n = i == 2 ? p[i] : n << 8 | p[i];
    if (n > MESSAGE_MAX)
        return err_set(e, ERR_LIMIT, "a frame of %llu bytes", (unsigned long long)n);
    code = need(w, head + n, e);
    if (code < 0)
        return code;
    *payload = str_n(w->in.p + w->at + head, (size_t)n);
    w->at += head + (size_t)n;
    return 0;
}

int websocket_next(struct websocket_client *w, struct str *text, struct err *e)
{
    enum frame_op op = FRAME_CONTINUATION;
    struct str payload = STR_NULL;
    bool last = false;
    int code;

    buf_reset(&w->message);
    for (;;) {
        code = next_frame(w, &op, &last, &payload, e);
        if (code == 0 && op == FRAME_PING)
            code = send_control(w, FRAME_PONG, payload, e);
        if (code < 0)
            return code;
        if (op == FRAME_CLOSE) {
            *text = payload.n > 2 ? str_from(payload, 2) : STR_NULL;
            return 1;
        }
        if (op >= FRAME_CLOSE)
            continue;
        if (w->message.n + payload.n > MESSAGE_MAX)
            return err_set(e, ERR_LIMIT, "a message of more than %d bytes", MESSAGE_MAX);
        buf_put(&w->message, payload.p, payload.n);
        if (last) {
            *text = buf_str(&w->message);
            return 0;
        }
    }
}
