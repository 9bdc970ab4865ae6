/*
 * conn.h - the insides of the server: loops and connections. Private to net/.
 *
 *   server.c  life cycle, threads, stats      conn.c     a connection's states, reading
 *   listen.c  addresses, accepting            request.c  a request: head, body, route
 *   loop.c    messages, sweep, warm memory    reply.c    whole answers, sending
 *   timer.c   timers on the loops             stream.c   answers piece by piece
 *   frame.c   frames of WebSockets            websocket.c  connections that became WebSockets
 *
 * A connection belongs to one loop. Two things cross threads, and only they have a lock: the list of what a loop is
 * asked to do (loop.mu) and an answer in the making by another thread (conn.mu). Order: conn.mu before loop.mu.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/head.h"
#include "net/route.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

struct conn;
struct stream;
struct websocket;

enum { WARM_MAX = 16, PEER_MAX = INET6_ADDRSTRLEN + 8 };

struct listener {
    int fd;
    uint32_t number;
    void *tls; /* place for an SSL_CTX: connections of this listener speak TLS */
    struct event *ev;
    struct loop *loop; /* the one that accepts */
    bool paused;       /* out of file descriptors: the sweep tries again */
};

/* Counted by one loop, read by anyone. */
struct loop_stats {
    _Atomic uint64_t connections, requests, bytes_in, bytes_out, by_status[6], cut_slow, refused_limit;
};

struct loop {
    /* Set before the thread starts, then read by any. */
    struct http_server *server;
    struct event_base *base;
    pthread_t thread;
    int wake_fd;

    /* Loop thread only. */
    struct event *wake_ev, *sweep_ev;
    struct conn *conns;          /* all of this loop */
    struct arena warm[WARM_MAX]; /* memory of past requests, used again last in first out */
    unsigned nwarm, nwarm_low;   /* low: the fewest that lay unused since the last trim */
    size_t warm_bytes;
    int64_t trim_ms;
    bool sweeping;

    /* Any thread. */
    _Atomic uint32_t nconns; /* written by the loop, and by an accepting loop that hands one over */
    struct loop_stats stats;

    /* Under mu, held to push or pop one thing. */
    pthread_mutex_t mu;
    pthread_cond_t done; /* broadcast after a waited-for message, and after an on_cancel callback */
    struct message *first, *last;
    struct conn *kicked;
    bool woken;
};

enum conn_state {
    CONN_HEAD,   /* waiting for a head; idle while nothing of it came */
    CONN_BODY,   /* reading the body */
    CONN_RUN,    /* the handler has the request, nothing was answered yet */
    CONN_ANSWER, /* (a part of) the answer is ours to send */
    CONN_LINGER, /* answered and half closed: what still comes is thrown away, so that the client can read the answer */
    CONN_GONE,   /* the client left or was cut; waiting for whoever holds the request */
    CONN_DEAD,   /* to be freed by the outermost conn_run */
};

/* What the answering thread tells the loop. */
enum { KICK_DATA = 1, KICK_WHOLE = 2, KICK_END = 4, KICK_ABORT = 8 };

struct conn {
    /* Set at accept. */
    struct loop *loop;
    struct listener *listener;
    char peer[PEER_MAX];

    /* Loop thread only. */
    int fd;
    struct conn *prev, *next;
    enum conn_state state;
    bool running;          /* conn_run is on the stack */
    bool reading, writing; /* events that are added */
    bool eof;              /* the client has closed its side */
    bool ended;            /* the answer is complete in out and stream */
    bool live;             /* a handler has the request and has not answered it in full */
    bool unread_body;      /* answered before the body was read: nothing behind it can be understood */
    struct event read_ev, write_ev;
    int64_t deadline_ms; /* monotonic; INT64_MAX: none */
    struct buf in;       /* head bytes, chunked framing, pipelined requests */
    size_t in_at, scan;
    struct head head;
    char *body; /* Content-Length: in the arena */
    size_t body_got;
    struct buf chunks; /* chunked: the body, put together */
    struct chunked chunked;
    uint64_t charged; /* of the server's inflight_bytes */
    const struct route *route;

    /* The request and its answer: of the handler until it has answered, then of the loop. */
    struct http_request req;
    struct arena arena;
    bool keep;       /* the client would use the connection again; set before the handler runs */
    bool said_close; /* the answer says that it will be closed */
    bool has_cancel; /* http_on_cancel was called */
    int status;
    struct buf extra; /* headers of the answer */
    struct buf out;
    size_t out_at;
    size_t taken; /* by the client since its deadline was last moved */

    /* Under mu: an answer made piece by piece. */
    pthread_mutex_t mu;
    struct stream *stream;
    struct websocket *ws; /* the connection became one; the loop looks in CONN_ANSWER only */

    /* Any thread. */
    _Atomic bool canceled, cut;

    /* Under loop->mu. */
    unsigned kicks;
    struct conn *kicked_next;
    void (*cancel_fn)(void *arg);
    void *cancel_arg;
    bool cancel_running;
};

/* A streamed answer. Under conn.mu but for gz, which is the answering thread's. */
struct stream {
    struct buf pending;
    size_t unsent; /* pending and what the loop has taken of it but not written */
    pthread_cond_t room;
    int64_t until_ns; /* monotonic: http_write waits until then; 0: as long as the client takes something */
    bool chunked; /* else: HTTP/1.0, ends by closing */
    bool broken;  /* an http_write failed: the answer has a hole. Of the answering thread */
    void *gz;     /* z_stream, or NULL */
};

struct http_server {
    /* Set before the start. */
    struct http_limits limits;
    struct loop *loops;
    unsigned nloops, nloops_running;
    struct routes routes;
    struct listener **listeners;
    uint32_t nlisteners;
    bool started;

    /* Any thread. */
    _Atomic uint64_t inflight_bytes;
    _Atomic uint32_t conns_open, live; /* live: requests held by handlers */
    _Atomic bool draining;
    _Atomic unsigned next_loop;
};

static inline void count(_Atomic uint64_t *c, uint64_t n) /* one writer: no locked add needed */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* --- loop.c --- */
int loop_init(struct loop *l, struct http_server *s, struct err *e);
void loop_release(struct loop *l);
void *loop_main(void *arg);
bool on_loop(const struct loop *l);
/* Runs fn(arg) on the loop: at once when this is its thread or none runs; else posts it, and waits for it if asked to.
 */
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg, bool wait);
void loop_kick(struct conn *c, unsigned kicks);
/* On the loop: adds to a kick of another thread that has not come yet. false: there is none. */
bool loop_kick_more(struct conn *c, unsigned kicks);
void loop_sweep_on(struct loop *l);
void loop_arena_take(struct loop *l, struct arena *out);
void loop_arena_give(struct loop *l, struct arena *a);

/* --- listen.c --- */
/* A socket of the type at "HOST:PORT"; one of SOCK_STREAM listens. ERR_EXISTS: taken. */
int socket_bind(const char *address, int type, int *out, struct err *e);
uint16_t socket_port(int fd);
void socket_print_peer(const struct sockaddr_storage *sa, char out[PEER_MAX]);
void listener_accept_on(struct listener *ln);
void listener_close(struct listener *ln);

/* --- conn.c --- */
void conn_adopt(struct loop *l, struct listener *ln, int fd, const char *peer);
/* Drives the connection as far as it goes without waiting; may free it. */
void conn_run(struct conn *c);
/* The deadline has passed. */
void conn_expired(struct conn *c);
/* The client is gone, or must go: closes the socket; the connection itself goes once nobody holds its request. */
void conn_gone(struct conn *c);
void conn_finish_request(struct conn *c);
void conn_want_read(struct conn *c, bool on);
void conn_want_write(struct conn *c, bool on);
/* For closing down: ends it now unless a request is held. */
void conn_close_idle(struct conn *c);

/* The first n bytes of c->in are used up. */
void conn_take_in(struct conn *c, size_t n);

/* --- request.c --- each either goes on or has put an answer --- */
/* The first head_bytes of c->in are a head. */
void request_begin(struct conn *c, size_t head_bytes);
/* The body is whole: undoes its encoding and calls the handler. */
void request_dispatch(struct conn *c);
/* Takes n more bytes of the server's budget for bodies; <0 when it answered 503. */
int request_charge(struct conn *c, uint64_t n);
/* <0 when it answered 413. */
int request_too_large(struct conn *c, uint64_t n);

/* --- reply.c --- */
static inline struct conn *conn_of(const struct http_request *r)
{
    return (struct conn *)((char *)(uintptr_t)r - offsetof(struct conn, req));
}
/* Sends what is there: 1 all of the answer is out, 0 the socket is full or more must be made, <0 the client is gone. */
int answer_flush(struct conn *c);
void answer_kicked(struct conn *c, unsigned kicks);
/* An answer of the server itself, before or instead of a handler: text/plain and a sentence. */
void answer_refuse(struct conn *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Tells whoever makes the answer that it is in vain. */
void answer_cancel(struct conn *c);
enum { LENGTH_NONE = -1, LENGTH_CHUNKED = -2 };
/* Status line and headers into b, by whoever makes the answer. */
void answer_put_head(struct conn *c, struct buf *b, int status, const char *type, int64_t length, bool gzip);
/* The client takes gzip and this type gains by it. */
bool answer_compressible(const struct conn *c, const char *type);
/* Tells the loop what there is (KICK_*); on its own thread acts at once. */
void answer_hand_over(struct conn *c, unsigned kicks);

/* --- stream.c --- */
void stream_free(struct stream *st);

/* --- websocket.c --- on the loop, in CONN_ANSWER, where c->ws is set --- */
/* Acts on what has come in. */
void websocket_input(struct conn *c);
/* All is sent: when to look after the client. */
int64_t websocket_deadline_ms(const struct conn *c);
/* That time has come: false when the client has to be cut. */
bool websocket_idle(struct conn *c);
void websocket_free(struct websocket *w);

#endif
