/*
 * request.c - what one request is: its head understood, its body announced, undone and handed to a handler; or refused.
 *
 * (1) A body is only made room for after its length has met the limits and the server's budget.
 * (2) A refusal before the body was read leaves it unread: the connection is closed after the answer.
 */
#include "net/conn.h"

#include <assert.h>
#include <sys/socket.h>

enum { PARAMS_MAX = 4096 };

/* --- a request is whole --------------------------------------------------------------------------- */

int http_decode(struct http_request *r, enum encoding enc, uint64_t max, struct err *e)
{
    struct conn *c = conn_of(r);
    struct http_server *s = c->loop->server;
    uint64_t used = atomic_load(&s->inflight_bytes), all = s->limits.inflight_bytes, left = used < all ? all - used : 0;
    struct err why;
    bool ours = s->limits.decoded_bytes <= max;

    assert(on_loop(c->loop));
    max = MIN(max, s->limits.decoded_bytes);
    if (body_decode(&c->arena, enc, r->body, MIN(left, max), &r->body, &why) < 0) {
        if (why.code == ERR_LIMIT)
            count(&c->loop->stats.refused_limit, 1);
        if (why.code == ERR_LIMIT && left < max)
            return err_set(
                e, ERR_BUSY,
                "the bodies of all requests together exceed the limit of %llu bytes (http.max-inflight): try again later",
                (unsigned long long)all);
        return err_set(e, why.code, why.code == ERR_LIMIT && ours ? "%s (http.max-decoded)" : "%s", why.text);
    }
    if (enc != ENC_IDENTITY) {
        c->charged += r->body.n;
        atomic_fetch_add(&s->inflight_bytes, r->body.n);
    }
    return 0;
}

static int decode_body(struct conn *c)
{
    enum encoding enc = encoding_parse(c->head.content_encoding);
    struct err e;
    int rc;

    if (enc == ENC_IDENTITY || (c->route->flags & HTTP_RAW_BODY) || c->req.body.n == 0)
        return 0;
    if (enc == ENC_UNKNOWN) {
        answer_refuse(c, 415, "Content-Encoding %.*s is not understood: use gzip, deflate, zstd, snappy or none",
                      (int)MIN(c->head.content_encoding.n, (size_t)100), c->head.content_encoding.p);
        return -1;
    }
    rc = http_decode(&c->req, enc, c->loop->server->limits.decoded_bytes, &e);
    if (rc < 0)
        answer_refuse(c, rc == ERR_LIMIT ? 413 : rc == ERR_BUSY ? 503 : 400, "%s", e.text);
    return rc;
}

static bool is_form(const struct conn *c)
{
    struct str type = c->head.content_type, name;

    str_cut(&type, ';', &name);
    return c->head.method != HTTP_GET && c->head.method != HTTP_HEAD &&
           str_eq_nocase(str_trim(name), STR("application/x-www-form-urlencoded"));
}

static int parse_params(struct conn *c)
{
    struct http_request *r = &c->req;
    struct err e;
    int rc = params_parse(&c->arena, r->raw_query, PARAMS_MAX, &r->params, &e);

    if (rc == 0 && r->body.n && !(c->route->flags & HTTP_RAW_BODY) && is_form(c))
        rc = params_parse(&c->arena, r->body, PARAMS_MAX, &r->params, &e);
    if (rc < 0)
        answer_refuse(c, 400, "%s", e.text);
    return rc;
}

/* Hands the request to its handler. */
void request_dispatch(struct conn *c)
{
    c->unread_body = false;
    c->deadline_ms = INT64_MAX;
    if (c->head.has_length)
        c->req.body = str_n(c->body, c->head.length);
    else if (c->head.chunked)
        c->req.body = buf_str(&c->chunks);
    if (decode_body(c) < 0 || parse_params(c) < 0)
        return;
    c->live = true;
    atomic_fetch_add(&c->loop->server->live, 1);
    c->state = CONN_RUN;
    c->route->fn(&c->req, c->route->arg);
}

/* --- the head is whole ---------------------------------------------------------------------------- */

static void answer_options(struct conn *c, const struct pattern *p)
{
    struct buf allow = {0};

    methods_print(p ? p->methods : HTTP_GET | HTTP_POST | HTTP_PUT | HTTP_DELETE | HTTP_PATCH, &allow);
    http_set_header(&c->req, "Allow", buf_str(&allow));
    buf_release(&allow);
    c->route = p ? p->routes : NULL;
    answer_refuse(c, 204, "%s", "");
}

/* The route, or an answer. */
static int find_route(struct conn *c)
{
    struct http_request *r = &c->req;
    const struct pattern *p = routes_find(&c->loop->server->routes, &c->arena, c->head.path, r->vars);
    struct buf allow = {0};

    if (p)
        c->route = pattern_route(p, c->head.method);
    if (c->route)
        return 0;
    if (c->head.method == HTTP_OPTIONS && (p || str_eqz(c->head.path, "*"))) {
        answer_options(c, p);
    } else if (!p) {
        answer_refuse(c, 404, "there is nothing at %.*s", (int)MIN(r->path.n, (size_t)200), r->path.p);
    } else {
        methods_print(p->methods, &allow);
        http_set_header(r, "Allow", buf_str(&allow));
        answer_refuse(c, 405, "%.*s takes %.*s, not %.*s", (int)MIN(r->path.n, (size_t)200), r->path.p,
                      STR_ARG(buf_str(&allow)), STR_ARG(c->head.method_text));
        buf_release(&allow);
    }
    return -1;
}

/* Takes n more bytes of the server's budget for bodies, or answers 503. */
int request_charge(struct conn *c, uint64_t n)
{
    struct http_server *s = c->loop->server;

    if (atomic_fetch_add(&s->inflight_bytes, n) + n <= s->limits.inflight_bytes) {
        c->charged += n;
        return 0;
    }
    atomic_fetch_sub(&s->inflight_bytes, n);
    count(&c->loop->stats.refused_limit, 1);
    answer_refuse(
        c, 503,
        "the bodies of all requests together exceed the limit of %llu bytes (http.max-inflight): try again later",
        (unsigned long long)s->limits.inflight_bytes);
    return -1;
}

int request_too_large(struct conn *c, uint64_t n)
{
    uint64_t max = c->loop->server->limits.body_bytes;

    if (n <= max)
        return 0;
    count(&c->loop->stats.refused_limit, 1);
    answer_refuse(c, 413, "a body of %s%llu bytes is over the limit of %llu bytes (http.max-body)",
                  c->head.chunked ? "more than " : "", (unsigned long long)(c->head.chunked ? max : n),
                  (unsigned long long)max);
    return -1;
}

static void begin_body(struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct head *h = &c->head;
    size_t have = c->in.n - c->in_at;

    if (h->has_length) {
        if (request_too_large(c, h->length) < 0 || request_charge(c, h->length) < 0)
            return;
        have = MIN(have, h->length);
        c->body = (char *)arena_alloc(&c->arena, h->length);
        memcpy(c->body, c->in.p + c->in_at, have);
        c->body_got = have;
        conn_take_in(c, have);
    }
    if (h->expect_continue && have == 0) /* nothing is queued before it: it fits into the socket's buffer */
        (void)!send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    c->state = CONN_BODY;
    c->deadline_ms = clock_mono_ms() + c->loop->server->limits.body_ms;
}

static void fill_request(struct conn *c)
{
    struct http_request *r = &c->req;
    struct head *h = &c->head;

    r->method = h->method;
    r->path = url_decode(&c->arena, h->path);
    r->raw_query = h->query;
    r->headers = h->headers;
    r->nheaders = h->nheaders;
    r->peer = str_of(c->peer);
    r->user = STR("");
    r->listener = c->listener->number;
    r->arena = &c->arena;
}

void request_begin(struct conn *c, size_t head_bytes)
{
    struct http_header headers[HEADERS_MAX];
    struct head *h = &c->head;
    struct str text;
    struct err e;
    int status;

    loop_arena_take(c->loop, &c->arena);
    text = arena_dup(&c->arena, str_n(c->in.p + c->in_at, head_bytes));
    conn_take_in(c, head_bytes);
    status = head_parse(text, headers, h, &e);
    c->unread_body = status || h->chunked || (h->has_length && h->length > 0);
    c->keep = !status && h->keep_alive;
    h->headers = (struct http_header *)arena_alloc(&c->arena, h->nheaders * sizeof *headers);
    memcpy(h->headers, headers, h->nheaders * sizeof *headers);
    fill_request(c);
    if (status) {
        answer_refuse(c, status, "%s", e.text);
        return;
    }
    if (find_route(c) < 0)
        return;
    if (c->unread_body)
        begin_body(c);
    else
        request_dispatch(c);
}
