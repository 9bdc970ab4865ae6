/* targets.c - what is scraped, and the calls about rules and alerts that answer "none" while nothing evaluates rules.
 */
#include "query/api/inside.h"

static void answer_json(struct http_request *r, struct buf *b, const char *empty)
{
    api_answer_data(r, b->n ? buf_str(b) : str_of(empty));
    buf_release(b);
}

static void handle_targets(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};

    if (c->targets_json)
        c->targets_json(c->arg, &b, api_param(r, "state"), api_param(r, "scrapePool"));
    answer_json(r, &b, "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
}

static void handle_pools(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};

    if (c->scrape_pools_json)
        c->scrape_pools_json(c->arg, &b);
    answer_json(r, &b, "{\"scrapePools\":[]}");
}

static void handle_targets_metadata(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct str text = api_param(r, "limit");
    struct buf b = {0};
    int64_t limit = -1;
    struct err e;

    if (text.n && !str_to_i64(text, &limit)) {
        err_set(&e, ERR_INVALID, "limit must be a number");
        api_answer_error(r, &e);
        return;
    }
    if (api_param(r, "match_target").n) {
        struct matcher *m;
        uint32_t n;
        int code = promql_parse_matchers(r->arena, api_param(r, "match_target"), &m, &n, &e);

        if (code < 0) {
            api_invalid_param(&e, "match_target");
            api_answer_error(r, &e);
            return;
        }
        for (uint32_t i = 0; i < n; i++)
            matcher_release(&m[i]);
    }
    if (c->targets_metadata_json)
        c->targets_metadata_json(c->arg, &b, api_param(r, "match_target"), api_param(r, "metric"), limit);
    answer_json(r, &b, "[]");
}

static void handle_rules(struct http_request *r, void *arg)
{
    struct str type = api_param(r, "type");
    struct err e;

    (void)arg;
    if (type.n && !str_eq_nocase(type, STR("alert")) && !str_eq_nocase(type, STR("record"))) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(type, 200));
        err_set(&e, ERR_INVALID, "not supported value %s", buf_z(&b));
        buf_release(&b);
        api_invalid_param(&e, "type");
        api_answer_error(r, &e);
        return;
    }
    api_answer_data(r, STR("{\"groups\":[]}"));
}

static void handle_alerts(struct http_request *r, void *arg)
{
    (void)arg;
    api_answer_data(r, STR("{\"alerts\":[]}"));
}

static void handle_alertmanagers(struct http_request *r, void *arg)
{
    (void)arg;
    api_answer_data(r, STR("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"));
}

void api_routes_targets(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/targets", PERM_READ, 0, handle_targets, c);
    http_route(s, HTTP_GET, "/api/v1/targets/metadata", PERM_READ, 0, handle_targets_metadata, c);
    http_route(s, HTTP_GET, "/api/v1/scrape_pools", PERM_READ, 0, handle_pools, c);
    http_route(s, HTTP_GET, "/api/v1/rules", PERM_READ, 0, handle_rules, c);
    http_route(s, HTTP_GET, "/api/v1/alerts", PERM_READ, 0, handle_alerts, c);
    http_route(s, HTTP_GET, "/api/v1/alertmanagers", PERM_READ, 0, handle_alertmanagers, c);
}
