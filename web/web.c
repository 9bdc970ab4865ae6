/*
 * web.c - serves the embedded pages.
 *
 * (1) Nothing on our pages comes from elsewhere or runs inline: the content-security policy says so to the browser.
 * (2) Assets carry a hash in their name and may be kept for ever; the page that names them is asked for again each time.
 * (3) Only the pages' own addresses answer with the page: any other unknown path stays a 404, which clients rely on.
 */
#include "web/web.h"

#include "base/base.h"
#include "net/net.h"
#include "web/assets.h"

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct web_asset *find(struct str path)
{
    for (unsigned i = 0; i < web_nassets; i++)
        if (str_eqz(path, web_assets[i].path))
            return &web_assets[i];
    return NULL;
}

static void no_pages(struct http_request *r)
{
    http_reply(r, 200, "text/plain; charset=utf-8", STR("Tripod runs; its pages were left out of this build (WEB=0). The API is at /api/v1/.\n"));
}

static void send(struct http_request *r, const struct web_asset *a, bool keep)
{
    struct str accept = http_header(r, "Accept-Encoding"), body = str_n(a->gz, a->gz_bytes);

    http_set_header(r, "ETag", str_of(a->etag));
    http_set_header(r, "Cache-Control", keep ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
    http_set_header(r, "Vary", STR("Accept-Encoding"));
    http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
    http_set_header(r, "Referrer-Policy", STR("same-origin"));
    if (!keep)
        http_set_header(r, "Content-Security-Policy", str_of(policy));
    if (str_eqz(http_header(r, "If-None-Match"), a->etag)) {
        http_reply(r, 304, NULL, STR_NULL);
        return;
    }
    if (str_find(accept, STR("gzip")) >= 0) {
        http_set_header(r, "Content-Encoding", STR("gzip"));
    } else {
        struct err e = {0};

        if (body_decode(r->arena, ENC_GZIP, body, 16 << 20, &body, &e) < 0) {
            http_replyf(r, 500, "text/plain", "asset %s: %s\n", a->path, e.text);
            return;
        }
    }
    http_reply(r, 200, a->type, body);
}

static void asset(struct http_request *r, void *arg)
{
    const struct web_asset *a = find(r->path);

    (void)arg;
    if (!a)
        http_reply(r, 404, "text/plain; charset=utf-8", STR("no such asset\n"));
    else
        send(r, a, str_starts(r->path, STR("/assets/")));
}

static void page(struct http_request *r, void *arg)
{
    const struct web_asset *a = find(STR("/index.html"));

    (void)arg;
    if (!a)
        no_pages(r);
    else
        send(r, a, false);
}

/* Addresses of Prometheus' own pages lead to ours, for bookmarks and links in alerts. */
static void moved(struct http_request *r, void *arg)
{
    http_set_header(r, "Location", str_of(arg));
    http_reply(r, 302, "text/plain; charset=utf-8", STR("moved\n"));
}

void web_routes(struct http_server *s)
{
    static const char *const pages[] = {"/", "/metrics-explorer", "/logs", "/targets", "/status"};
    static char to_metrics[] = "/metrics-explorer";

    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        http_route(s, HTTP_GET, pages[i], PERM_OPEN, 0, page, NULL);
    http_route(s, HTTP_GET, "/assets/{name}", PERM_OPEN, HTTP_QUIET, asset, NULL);
    http_route(s, HTTP_GET, "/favicon.svg", PERM_OPEN, HTTP_QUIET, asset, NULL);
    http_route(s, HTTP_GET, "/graph", PERM_OPEN, 0, moved, to_metrics);
    http_route(s, HTTP_GET, "/query", PERM_OPEN, 0, moved, to_metrics);
}
