/*
 * features.c - what this version can, in the names by which Prometheus tells it: groups of snake_case names and booleans.
 * A feature that Prometheus knows and we do not have is listed as false.
 */
#include "query/api/inside.h"

struct feature {
    const char *name;
    bool on;
};

static void put(struct json *j, const char *name, bool on)
{
    json_key(j, name);
    json_bool(j, on);
}

static void put_all(struct json *j, const char *group, const char *const *names)
{
    json_key(j, group);
    json_obj(j);
    for (; *names; names++)
        put(j, *names, true);
    json_end_obj(j);
}

static void put_features(struct json *j, const char *group, const struct feature *v, size_t n)
{
    json_key(j, group);
    json_obj(j);
    for (size_t i = 0; i < n; i++)
        put(j, v[i].name, v[i].on);
    json_end_obj(j);
}

static void put_api(struct json *j, const struct api_ctx *c)
{
    const struct feature api[] = {
        {"admin", c->admin_api},
        {"exclude_alerts", true},
        {"label_values_match", true},
        {"lifecycle", c->lifecycle},
        {"openapi_3.1", true},
        {"openapi_3.2", true},
        {"otlp_write_receiver", false},
        {"query_stats", true},
        {"query_warnings", true},
        {"remote_write_receiver", c->write_receiver},
        {"search", true},
        {"search_fuzz_alg_jarowinkler", true},
        {"search_fuzz_alg_subsequence", true},
        {"time_range_labels", true},
        {"time_range_series", true},
    };

    put_features(j, "api", api, ARRAY_LEN(api));
}

static void put_language(struct json *j)
{
    static const char *const promql[] = {"anchored",
                                         "at_modifier",
                                         "bool",
                                         "by",
                                         "delayed_name_removal",
                                         "duration_expr",
                                         "fill",
                                         "fill_left",
                                         "fill_right",
                                         "group_left",
                                         "group_right",
                                         "ignoring",
                                         "negative_offset",
                                         "offset",
                                         "on",
                                         "per_query_lookback_delta",
                                         "per_step_stats",
                                         "smoothed",
                                         "subqueries",
                                         "type_and_unit_labels",
                                         "without",
                                         NULL};
    static const char *const operators[] = {
        "!=",      "!~",           "%",        "*",      "+",      "-",    "/",      "<",
        "</",      "<=",           "==",       "=~",     ">",      ">/",   ">=",     "@",
        "^",       "and",          "atan2",    "or",     "unless", "sum",  "avg",    "min",
        "max",     "group",        "count",    "stddev", "stdvar", "topk", "limitk", "limit_ratio",
        "bottomk", "count_values", "quantile", NULL};
    const struct promql_function *fn;
    uint32_t n;

    put_all(j, "promql", promql);
    json_key(j, "promql_functions");
    json_obj(j);
    fn = promql_functions(&n);
    for (uint32_t i = 0; i < n; i++)
        put(j, fn[i].name, true);
    json_end_obj(j);
    put_all(j, "promql_operators", operators);
}

static void put_rest(struct json *j)
{
    static const struct feature prometheus[] = {
        {"agent_mode", false}, {"auto_reload_config", false}, {"server_mode", true}};
    static const struct feature rules[] = {
        {"concurrent_rule_eval", false}, {"keep_firing_for", false}, {"query_offset", false}};
    static const struct feature scrape[] = {
        {"extra_scrape_metrics", true}, {"start_timestamp_zero_ingestion", false}, {"type_and_unit_labels", false}};
    static const char *const discovery[] = {"dns", "docker", "file", "http", "static", NULL};
    static const struct feature tsdb[] = {{"delayed_compaction", false}, {"exemplar_storage", true},
                                          {"isolation", true},           {"native_histograms", true},
                                          {"st_storage", true},          {"use_uncached_io", false}};

    put_features(j, "prometheus", prometheus, ARRAY_LEN(prometheus));
    put_features(j, "rules", rules, ARRAY_LEN(rules));
    put_features(j, "scrape", scrape, ARRAY_LEN(scrape));
    put_all(j, "service_discovery_providers", discovery);
    put_features(j, "tsdb", tsdb, ARRAY_LEN(tsdb));
}

static void handle(struct http_request *r, void *arg)
{
    struct buf b = {0};
    struct json j;

    json_init(&j, &b);
    json_obj(&j);
    put_api(&j, arg);
    put_language(&j);
    put_rest(&j);
    json_end_obj(&j);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

void api_routes_features(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/features", PERM_READ, 0, handle, c);
}
