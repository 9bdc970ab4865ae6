/* service.c - what probes, operators and old tools ask: ready, buildinfo, config, services, log level, flush, limits, rules. */
#include "query/api/loki/inside.h"

static const char text_type[] = "text/plain; charset=utf-8";

static void handle_ready(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;

    if (c->ready && !c->ready(c->arg))
        http_reply(r, 503, text_type, STR("Service Unavailable\n"));
    else
        http_reply(r, 200, text_type, STR("ready\n"));
}

/* Bare, unlike that of Prometheus. version is of the API that is spoken: clients look for what Loki of that version can. */
static void handle_buildinfo(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    struct buf b = {0};

    buf_putz(&b, "{\"version\":\"3.6.0\",\"revision\":");
    json_put_string(&b, str_of(c->version));
    buf_putz(&b, ",\"branch\":\"tripod\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}");
    loki_answer_json(r, &b);
}

static void handle_config(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    struct buf b = {0};

    if (c->config_yaml)
        c->config_yaml(c->arg, &b);
    http_reply(r, 200, text_type, b.n ? buf_str(&b) : STR(""));
    buf_release(&b);
}

/* One process does it all: these are the parts of it that a Loki would name. */
static void handle_services(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    bool up = !c->ready || c->ready(c->arg);
    static const char *const names[] = {"server", "distributor", "ingester", "querier", "store", "compactor"};
    struct buf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_printf(&b, "%s => %s\n", names[i], up ? "Running" : "Starting");
    http_reply(r, 200, text_type, buf_str(&b));
    buf_release(&b);
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    return names[level];
}

static void handle_log_level(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    struct str wanted = api_param(r, "log_level");
    enum log_level level;
    struct buf b = {0};

    if (!c->log_level || !c->set_log_level) {
        http_reply(r, 404, text_type, STR("the log level is not known here\n"));
        return;
    }
    if (r->method != HTTP_POST) {
        buf_printf(&b, "{\"message\":\"Current log level is %s\"}", level_name(c->log_level(c->arg)));
        loki_answer_json(r, &b);
        return;
    }
    if (!log_level_parse(wanted, &level)) {
        struct buf text = {0};

        buf_putz(&text, "unrecognized log level ");
        buf_put_quoted(&text, str_head(wanted, 100));
        buf_putz(&b, "{\"message\":");
        json_put_string(&b, buf_str(&text));
        buf_putz(&b, ",\"status\":\"failed\"}");
        http_reply(r, 400, "application/json", buf_str(&b));
        buf_release(&text);
        buf_release(&b);
        return;
    }
    c->set_log_level(c->arg, level);
    buf_printf(&b, "{\"message\":\"Log level set to %s\",\"status\":\"success\"}", level_name(level));
    loki_answer_json(r, &b);
}

static void handle_flush(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;

    if (c->flush)
        c->flush(c->arg);
    http_reply(r, 204, NULL, STR(""));
}

/* What Grafana's log pages ask before they show a tab. */
static void handle_drilldown_limits(struct http_request *r, void *arg)
{
    static const char *const services[] = {"service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name"};
    static const char *const levels[] = {"level", "LEVEL", "Level", "severity", "SEVERITY", "Severity", "lvl", "LVL", "Lvl", "severity_text", "log.level"};
    const struct loki_ctx *c = arg;
    struct buf b = {0};
    struct json j;
    char text[NUM_MAX];

    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "limits");
    json_obj(&j);
    json_key(&j, "discover_log_levels");
    json_bool(&j, true);
    json_key(&j, "discover_service_name");
    json_arr(&j);
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        json_strz(&j, services[i]);
    json_end_arr(&j);
    json_key(&j, "log_level_fields");
    json_arr(&j);
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        json_strz(&j, levels[i]);
    json_end_arr(&j);
    json_key(&j, "max_entries_limit_per_query");
    json_u64(&j, c->limits.entries_max);
    json_key(&j, "max_line_size_truncate");
    json_bool(&j, false);
    json_key(&j, "max_query_length");
    json_str(&j, str_n(text, duration_fmt(c->limits.range_ms_max, text)));
    json_key(&j, "max_query_series");
    json_u64(&j, c->limits.series_max);
    json_key(&j, "metric_aggregation_enabled");
    json_bool(&j, false);
    json_key(&j, "pattern_persistence_enabled");
    json_bool(&j, false);
    json_key(&j, "retention_period");
    json_str(&j, str_n(text, duration_fmt(c->limits.retention_ms, text)));
    json_key(&j, "volume_enabled");
    json_bool(&j, true);
    json_key(&j, "volume_max_series");
    json_u64(&j, 1000);
    json_end_obj(&j);
    json_key(&j, "pattern_ingester_enabled");
    json_bool(&j, true);
    json_key(&j, "version");
    json_strz(&j, "3.6.0");
    json_end_obj(&j);
    loki_answer_json(r, &b);
}

/* Rules over logs are not kept yet: what there is of them is nothing, said in the two shapes they are asked for. */
static void handle_rules_yaml(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "application/yaml", STR("{}\n"));
}

static void handle_rules_json(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "application/json", STR("{\"status\":\"success\",\"data\":{\"groups\":[]}}"));
}

static void handle_alerts_json(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "application/json", STR("{\"status\":\"success\",\"data\":{\"alerts\":[]}}"));
}

void loki_limits_default(struct loki_limits *l)
{
    *l = (struct loki_limits){.entries_max = 5000,
                              .series_max = 500,
                              .range_ms_max = INT64_C(721) * 3600 * 1000,
                              .tails_max = 100,
                              .tail_queue_bytes = 4 << 20};
}

void loki_routes_service(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET, "/ready", PERM_OPEN, HTTP_QUIET, handle_ready, c);
    http_route(s, HTTP_GET, "/loki/api/v1/status/buildinfo", PERM_READ, 0, handle_buildinfo, c);
    http_route(s, HTTP_GET, "/config", PERM_READ, 0, handle_config, c);
    http_route(s, HTTP_GET, "/services", PERM_READ, 0, handle_services, c);
    http_route(s, HTTP_GET, "/log_level", PERM_READ, 0, handle_log_level, c);
    http_route(s, HTTP_POST, "/log_level", PERM_ADMIN, 0, handle_log_level, c);
    http_route(s, HTTP_GET | HTTP_POST, "/flush", PERM_ADMIN, 0, handle_flush, c);
    http_route(s, HTTP_GET, "/loki/api/v1/drilldown-limits", PERM_READ, 0, handle_drilldown_limits, c);
    http_route(s, HTTP_GET, "/loki/api/v1/rules", PERM_READ, 0, handle_rules_yaml, c);
    http_route(s, HTTP_GET, "/api/prom/rules", PERM_READ, 0, handle_rules_yaml, c);
    http_route(s, HTTP_GET, "/prometheus/api/v1/rules", PERM_READ, 0, handle_rules_json, c);
    http_route(s, HTTP_GET, "/prometheus/api/v1/alerts", PERM_READ, 0, handle_alerts_json, c);
}

void loki_routes(struct http_server *s, struct loki_ctx *c)
{
    loki_routes_query(s, c);
    loki_routes_names(s, c);
    loki_routes_index(s, c);
    loki_routes_fields(s, c);
    loki_routes_patterns(s, c);
    loki_routes_deletes(s, c);
    loki_routes_service(s, c);
    loki_routes_tail(s, c);
    loki_routes_openapi(s, c);
}
