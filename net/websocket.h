/*
 * websocket.h - the server's side of WebSockets (RFC 6455) on connections of net/server: text out, mostly; pings; closing.
 *
 * A handler answers a request by websocket_accept, from any thread. From then on the connection is the socket's, and whoever
 * accepted it owes one websocket_close, even when the client has left first.
 */
#ifndef NET_WEBSOCKET_H
#define NET_WEBSOCKET_H

#include "net/server.h"

struct websocket;

enum { WEBSOCKET_SILENT_MAX = 6 };

struct websocket_opts {
    size_t queue_bytes;     /* of what the client has not taken yet; a text that comes on top of more is refused (1 MiB) */
    uint32_t message_bytes; /* of a message by the client; longer: closed with 1009 (64 KiB) */
    int64_t ping_ms;        /* nothing was sent for so long: a ping (10 s); WEBSOCKET_SILENT_MAX of them without a sign of life: cut */

    /* A whole message of the client; may be NULL. I/O thread. */
    void (*on_message)(void *arg, bool text, struct str message);
    /* The client has closed or left: what is sent from here on goes nowhere. At most once, mostly on the I/O thread, perhaps
     * before websocket_accept has returned. May call websocket_close. May be NULL: websocket_gone tells too. */
    void (*on_gone)(void *arg);
    void *arg;
};
void websocket_opts_default(struct websocket_opts *o);

enum {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001, /* the server stops */
    WEBSOCKET_INTERNAL = 1011,
    WEBSOCKET_TRY_LATER = 1013,
};

/* 0: *out is open, and valid until websocket_close. <0: this was no handshake to agree to; it has been answered (400, 426). */
int websocket_accept(struct http_request *r, const struct websocket_opts *o, struct websocket **out, struct err *e);

/*
 * Sends a text message (UTF-8), copied. Any thread, never waits. ERR_BUSY: more than queue_bytes wait for the client, nothing
 * was taken. ERR_CANCELED: the client has closed or left.
 */
int websocket_send(struct websocket *w, struct str text);
/* Whether a text would be taken now. */
bool websocket_has_room(struct websocket *w);
/* Cheap. */
bool websocket_gone(const struct websocket *w);

/*
 * Says why (at most 123 bytes of reason), after all that was sent, and lets go: w is gone for the caller. If the client
 * closed first its code is returned to it instead. Waits for callbacks that run on another thread; none comes after it.
 */
void websocket_close(struct websocket *w, int code, struct str reason);

#endif
