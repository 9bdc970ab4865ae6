/* targets.c - what is scraped, and the calls about rules and alerts that answer "none" while nothing evaluates rules.
 */
#include "query/api/inside.h"

#include <cjson/cJSON.h>

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

/* The pool that a call must name; answers itself when it does not. */
static bool need_pool(struct http_request *r, struct str *pool)
{
    struct err e;

    *pool = api_param(r, "scrapePool");
    if (pool->n)
        return true;
    err_set(&e, ERR_INVALID, "no scrapePool parameter provided");
    api_answer_error(r, &e);
    return false;
}

/* code: of what filled b or e. */
static void answer_pool(struct http_request *r, int code, struct buf *b, const struct err *e)
{
    if (code < 0)
        api_answer_error(r, e);
    else
        api_answer_data(r, buf_str(b));
    buf_release(b);
}

static void handle_pool_config(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};
    struct str pool;
    struct err e;
    int code;

    if (!need_pool(r, &pool))
        return;
    code = c->scrape_pool_config_json ? c->scrape_pool_config_json(c->arg, &b, pool, &e)
                                      : err_set(&e, ERR_INVALID, "nothing is scraped here");
    answer_pool(r, code, &b, &e);
}

/* {"name":"value",...} */
static int read_label_object(struct arena *a, struct str text, struct labels *out, struct err *e)
{
    cJSON *doc = cJSON_ParseWithLength(text.p, text.n), *item;

    if (!cJSON_IsObject(doc)) {
        cJSON_Delete(doc);
        return err_set(e, ERR_INVALID, "error parsing labels: a JSON object of strings is wanted");
    }
    *out = (struct labels){arena_array(a, struct label, cJSON_GetArraySize(doc) + 1), 0};
    cJSON_ArrayForEach(item, doc)
    {
        if (!cJSON_IsString(item)) {
            err_set(e, ERR_INVALID, "error parsing labels: the value of \"%s\" is no string", item->string);
            cJSON_Delete(doc);
            return ERR_INVALID;
        }
        out->v[out->n++] =
            (struct label){arena_dup(a, str_of(item->string)), arena_dup(a, str_of(cJSON_GetStringValue(item)))};
    }
    cJSON_Delete(doc);
    return labels_normalise(out, e) < 0 ? err_ctx(e, "error parsing labels") : 0;
}

static void handle_relabel_steps(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct str text = api_param(r, "labels"), pool;
    struct buf b = {0};
    struct labels ls;
    struct err e;
    int code;

    if (!need_pool(r, &pool))
        return;
    if (text.n == 0)
        code = err_set(&e, ERR_INVALID, "no labels parameter provided");
    else if ((code = read_label_object(r->arena, text, &ls, &e)) == 0)
        code = c->relabel_steps_json ? c->relabel_steps_json(c->arg, &b, pool, &ls, &e)
                                     : err_set(&e, ERR_INVALID, "nothing is scraped here");
    answer_pool(r, code, &b, &e);
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
        if (api_check_matchers(r->arena, api_param(r, "match_target"), &e) < 0) {
            api_invalid_param(&e, "match_target");
            api_answer_error(r, &e);
            return;
        }
    }
    if (c->targets_metadata_json)
        c->targets_metadata_json(c->arg, &b, api_param(r, "match_target"), api_param(r, "metric"), limit);
    answer_json(r, &b, "[]");
}

/* limit of groups and where to go on: both are checked, also while there are no groups. */
static int check_pages(const struct http_request *r, struct err *e)
{
    struct str limit = api_param(r, "group_limit"), token = api_param(r, "group_next_token");
    int64_t n;

    if (token.n && !limit.n) {
        err_set(e, ERR_INVALID, "group_limit needs to be present in order to paginate over the groups");
        return api_invalid_param(e, "group_next_token");
    }
    if (limit.n && !str_to_i64(limit, &n)) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(limit, 200));
        err_set(e, ERR_INVALID, "group_limit needs to be a valid number: strconv.ParseInt: parsing %s: invalid syntax",
                buf_z(&b));
        buf_release(&b);
        return api_invalid_param(e, "group_limit");
    }
    if (limit.n && n <= 0) {
        err_set(e, ERR_INVALID, "group_limit needs to be greater than 0");
        return api_invalid_param(e, "group_limit");
    }
    if (token.n) {
        err_set(e, ERR_INVALID, "invalid group_next_token '%.*s'. were rule groups changed?",
                STR_ARG(str_head(token, 200)));
        return api_invalid_param(e, "group_next_token");
    }
    return 0;
}

static int check_rule_params(const struct http_request *r, struct err *e)
{
    struct str exclude = api_param(r, "exclude_alerts");
    bool flag;

    if (api_check_match_sets(r, e) < 0)
        return e->code;
    if (exclude.n && api_parse_bool(exclude, &flag) < 0) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(exclude, 200));
        err_set(e, ERR_INVALID, "error converting exclude_alerts: strconv.ParseBool: parsing %s: invalid syntax",
                buf_z(&b));
        buf_release(&b);
        return api_invalid_param(e, "exclude_alerts");
    }
    return check_pages(r, e);
}

static void handle_rules(struct http_request *r, void *arg)
{
    struct str type = api_param(r, "type");
    struct err e;

    (void)arg;
    if (check_rule_params(r, &e) < 0) {
        api_answer_error(r, &e);
        return;
    }
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
    http_route(s, HTTP_GET, "/api/v1/scrape_pools/config", PERM_READ, 0, handle_pool_config, c);
    http_route(s, HTTP_GET, "/api/v1/targets/relabel_steps", PERM_READ, 0, handle_relabel_steps, c);
    http_route(s, HTTP_GET, "/api/v1/rules", PERM_READ, 0, handle_rules, c);
    http_route(s, HTTP_GET, "/api/v1/alerts", PERM_READ, 0, handle_alerts, c);
    http_route(s, HTTP_GET, "/api/v1/alertmanagers", PERM_READ, 0, handle_alertmanagers, c);
}
