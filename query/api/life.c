/* life.c - health, readiness, reload, quit, and our own metrics. Plain text, as probes expect it. */
#include "query/api/inside.h"

static const char text_type[] = "text/plain; charset=utf-8";

static void handle_healthy(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, text_type, STR("Tripod is Healthy.\n"));
}

static void handle_ready(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;

    if (c->ready && !c->ready(c->arg))
        http_reply(r, 503, text_type, STR("Service Unavailable"));
    else
        http_reply(r, 200, text_type, STR("Tripod is Ready.\n"));
}

static void handle_metrics(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};

    if (c->metrics_text)
        c->metrics_text(c->arg, &b);
    http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", b.n ? buf_str(&b) : STR(""));
    buf_release(&b);
}

static void handle_wrong_method(struct http_request *r, void *arg)
{
    (void)arg;
    http_set_header(r, "Allow", STR("POST, PUT"));
    http_reply(r, 405, text_type, STR("Only POST or PUT requests allowed"));
}

static bool lifecycle_on(const struct api_ctx *c, struct http_request *r)
{
    if (!c->lifecycle)
        http_reply(r, 403, text_type, STR("Lifecycle API is not enabled."));
    return c->lifecycle;
}

struct reload {
    const struct api_ctx *c;
    struct http_request *r;
};

/* On the query pool: reading files must not hold up an I/O thread. */
static void run_reload(void *arg)
{
    struct reload *l = arg;
    struct err e;

    if (l->c->reload(l->c->arg, &e) < 0)
        http_replyf(l->r, 500, text_type, "failed to reload config: %s\n", e.text);
    else
        http_reply(l->r, 200, NULL, STR(""));
}

static void handle_reload(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct reload *l = arena_new(r->arena, struct reload);

    if (!lifecycle_on(c, r))
        return;
    l->c = c;
    l->r = r;
    if (!c->reload)
        http_reply(r, 200, NULL, STR(""));
    else if (!c->engine || pool_run(query_engine_pool(c->engine), run_reload, l) < 0)
        http_reply(r, 503, text_type, STR("Too busy to reload now\n"));
}

static void handle_quit(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;

    if (!lifecycle_on(c, r))
        return;
    http_reply(r, 200, text_type, STR("Requesting termination... Goodbye!"));
    if (c->quit)
        c->quit(c->arg);
}

void api_routes_life(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/-/healthy", PERM_OPEN, HTTP_QUIET, handle_healthy, c);
    http_route(s, HTTP_GET, "/-/ready", PERM_OPEN, HTTP_QUIET, handle_ready, c);
    http_route(s, HTTP_GET, "/metrics", PERM_READ, HTTP_QUIET, handle_metrics, c);
    http_route(s, HTTP_GET, "/-/reload", PERM_ADMIN, 0, handle_wrong_method, c);
    http_route(s, HTTP_POST | HTTP_PUT, "/-/reload", PERM_ADMIN, 0, handle_reload, c);
    http_route(s, HTTP_GET, "/-/quit", PERM_ADMIN, 0, handle_wrong_method, c);
    http_route(s, HTTP_POST | HTTP_PUT, "/-/quit", PERM_ADMIN, 0, handle_quit, c);
}
