/*
 * server.h - an HTTP/1.1 server: loops on all cores, handlers on the loops, answers from any thread.
 *
 * Set-up (routes, then listeners) happens before http_server_start. A handler runs on an I/O thread with the whole body
 * decoded; it answers at once, or keeps the request and answers later from any thread. Exactly one of http_reply
 * or http_begin...http_end (http_abort) must be called for each request; after it the request is gone.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/base.h"
#include "net/codec.h"
#include "net/form.h"

struct http_server;

struct http_limits {
    uint32_t header_bytes;      /* request line and headers (64 KiB): 431 */
    uint64_t body_bytes;        /* as sent (64 MiB): 413 */
    uint64_t decoded_bytes;     /* after Content-Encoding (128 MiB): 413; http_decode too */
    uint64_t inflight_bytes;    /* bodies held at once by the whole process (256 MiB): 503 */
    int64_t header_ms, body_ms; /* deadlines for slow clients (10 s, 60 s): 408 and close */
    int64_t idle_ms;            /* keep-alive (120 s) */
    int64_t write_ms;           /* a client that takes less than 64 KiB of what waits for it in so long is cut (60 s) */
    uint32_t conns_max;         /* 20000 */
    uint32_t write_high_bytes;  /* http_write blocks above this much unsent (1 MiB) */
};
void http_limits_default(struct http_limits *l);

/* Who may call a route. A route without one does not compile. OPEN needs no login even where logins are on. */
enum http_perm { PERM_OPEN = 1, PERM_READ, PERM_WRITE, PERM_OPERATE, PERM_ADMIN };

enum http_method {
    HTTP_GET = 1,
    HTTP_POST = 2,
    HTTP_PUT = 4,
    HTTP_DELETE = 8,
    HTTP_HEAD = 16,
    HTTP_OPTIONS = 32,
    HTTP_PATCH = 64
};

struct http_header {
    struct str name, value;
};

struct http_request {
    enum http_method method;
    struct str path; /* decoded, without query */
    struct str raw_query;
    struct params params; /* query string, then form body when Content-Type says so */
    struct str vars[4];   /* what {name} in the route's pattern matched, decoded, in order */
    struct http_header *headers;
    uint32_t nheaders;
    struct str body;   /* decoded by Content-Encoding unless the route has HTTP_RAW_BODY; form bodies are parsed too */
    struct str peer;   /* "127.0.0.1:40312" */
    struct str user;   /* from the login, or empty */
    uint32_t listener; /* number of the listener it came in by */
    int64_t start_ns;  /* monotonic: first byte */
    struct arena *arena; /* the request's; lives until the reply has been handed over */
};

typedef void http_handler(struct http_request *r, void *arg);

enum {
    HTTP_RAW_BODY = 1 /* leave Content-Encoding and forms alone */,
    HTTP_QUIET = 2 /* not counted in request metrics */
};

/*
 * pattern: literal segments, {name} for one segment, {name...} for the rest: "/api/v1/label/{name}/values". methods is
 * an or of enum http_method. HEAD comes with GET; OPTIONS is answered by the server (CORS); other methods get 405 with
 * Allow.
 */
void http_route(struct http_server *s, unsigned methods, const char *pattern, enum http_perm perm, unsigned flags,
                http_handler *fn, void *arg);

struct http_server *http_server_new(unsigned threads, const struct http_limits *limits);
/*
 * "127.0.0.1:9090", ":9090", "[::1]:0" (0: any free port). *port gets the real one. ERR_EXISTS names who holds the port
 * if /proc tells.
 */
int http_listen(struct http_server *s, const char *address, uint16_t *port, struct err *e);
int http_server_start(struct http_server *s, struct err *e);
/* Stops accepting, lets running requests finish for up to grace_ms, then closes. */
void http_server_drain(struct http_server *s, int64_t grace_ms);
void http_server_free(struct http_server *s);

struct str http_header(const struct http_request *r, const char *name); /* value, or STR_NULL; names in any case */

/*
 * For HTTP_RAW_BODY routes, in the handler: undoes enc; r->body is then the decoded bytes, in the arena. ERR_LIMIT when
 * they are more than max, ERR_BUSY when the server holds too many bodies just now, ERR_INVALID when they can not be
 * decoded.
 */
int http_decode(struct http_request *r, enum encoding enc, uint64_t max, struct err *e);

/* --- answering, from any thread ---------------------------------------------------------------- */

/* Adds a header to the answer; before reply or begin. name and value are copied. */
void http_set_header(struct http_request *r, const char *name, struct str value);
/* The whole answer. Compresses it when the client takes gzip and it pays. Content-Length is set. type may be NULL. */
void http_reply(struct http_request *r, int status, const char *type, struct str body);
void http_replyf(struct http_request *r, int status, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A streamed answer (chunked). http_write copies; blocks while the client is slow, so never from an I/O thread once
 * more than write_high_bytes may come (there it does not block, but ERR_BUSY above four times that); ERR_CANCELED when
 * the client has left, ERR_TIMEOUT when it was cut. After an error http_end cuts the connection: half an answer never
 * looks whole. */
void http_begin(struct http_request *r, int status, const char *type);
int http_write(struct http_request *r, struct str bytes);
/* After http_begin: from ms from now on http_write does not wait any more, however much the client takes. */
void http_write_within(struct http_request *r, int64_t ms);
void http_end(struct http_request *r);
/* Cut the connection in the middle of a streamed answer: the client must not take it for whole. */
void http_abort(struct http_request *r);

/* True once the client has closed. Cheap. */
bool http_canceled(const struct http_request *r);
/*
 * fn is called at most once, from the I/O thread of r, when the client leaves before the answer is whole; it may
 * answer. Set it in the handler. fn NULL takes it away and waits while it runs on another thread; so do http_reply,
 * http_end and http_abort: free arg only after one of these.
 */
void http_on_cancel(struct http_request *r, void (*fn)(void *arg), void *arg);

/* The one table from ERR_* to statuses: INVALID 400, NOT_FOUND 404, LIMIT 413/422 by the caller, FULL and BUSY 503
 * (with Retry-After), ... */
int http_status_of(int err_code);

struct http_stats {
    uint64_t connections, connections_open, requests, bytes_in, bytes_out;
    uint64_t by_status[6]; /* [0] other, [1] 1xx ... */
    uint64_t cut_slow, refused_limit, inflight_bytes;
};
void http_stats(struct http_server *s, struct http_stats *out);

/* Runs fn(arg) on one of the loops after delay_ms, again every period_ms if > 0. fn must not block. */
struct http_timer;
struct http_timer *http_timer_new(struct http_server *s, int64_t delay_ms, int64_t period_ms, void (*fn)(void *arg),
                                  void *arg);
void http_timer_free(struct http_timer *t); /* not while it runs on another thread: waits */

#endif
