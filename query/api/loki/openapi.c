/*
 * openapi.c - /loki/api/v1/openapi.yaml: every call of Loki's API with its parameters, as machines read it.
 *
 * (1) What stands in the table is there, with those methods (tests/cmd/loki_api_test.py asks for all of it).
 */
#include "query/api/loki/inside.h"
#include "query/api/openapi.h"

#define QUERY {"query", TEXT, true, "LogQL."}
#define SELECTOR {"query", TEXT, false, "A selector; all streams without it."}
#define WINDOW                                                                                                         \
    {"start", TIME, false, "Begin of the window; it belongs to it."}, {"end", TIME, false, "End of the window; default now."}, \
    {                                                                                                                  \
        "since", DURATION, false, "Instead of start: so long before end."                                              \
    }
#define STEP {"step", DURATION, false, "Between points; default a 250th of the window."}
#define LIMIT(what) {"limit", COUNT, false, what}

enum { BOTH = HTTP_GET | HTTP_POST };

static const struct openapi_operation operations[] = {
    {"/query", BOTH, "query", "Evaluates a metric query at one instant.", JSON,
     {QUERY, {"time", TIME, false, "The instant; default now."}, LIMIT("Of records (100)."), {"direction", TEXT, false, "backward or forward."}}},
    {"/query_range", BOTH, "query", "Records of a window, or a metric query over it.", JSON,
     {QUERY, WINDOW, STEP, LIMIT("Of records (100)."), {"direction", TEXT, false, "backward (newest first) or forward."},
      {"interval", DURATION, false, "Records at least so far apart."}}},
    {"/format_query", BOTH, "query", "A query, prettily.", JSON, {QUERY}},
    {"/labels", BOTH, "labels", "Names of labels.", JSON, {SELECTOR, WINDOW}},
    {"/label", BOTH, "labels", "The same under its old name.", JSON, {SELECTOR, WINDOW}},
    {"/label/{name}/values", BOTH, "labels", "Values of a label.", JSON, {SELECTOR, WINDOW}},
    {"/series", BOTH, "labels", "Label sets of streams.", JSON, {{"match[]", TEXTS, false, "Selectors; several are a union."}, WINDOW}},
    {"/index/stats", BOTH, "index", "How much a selector names.", JSON, {SELECTOR, WINDOW}},
    {"/index/shards", BOTH, "index", "The same, as parts to ask one by one: there is one.", JSON, {SELECTOR, WINDOW}},
    {"/index/volume", BOTH, "index", "Bytes by labels.", JSON,
     {SELECTOR, WINDOW, LIMIT("Of series (100)."), {"targetLabels", TEXT, false, "Labels to tell apart by, with commas."},
      {"aggregateBy", TEXT, false, "series or labels."}}},
    {"/index/volume_range", BOTH, "index", "Bytes by labels over time, in whole minutes.", JSON,
     {SELECTOR, WINDOW, STEP, LIMIT("Of series (100)."), {"targetLabels", TEXT, false, "Labels to tell apart by, with commas."},
      {"aggregateBy", TEXT, false, "series or labels."}}},
    {"/detected_fields", BOTH, "fields", "Fields in a sample of records, their types and who parses them.", JSON,
     {QUERY, WINDOW, {"line_limit", COUNT, false, "Records in the sample (1000, at most 5000)."}, LIMIT("Of fields (1000).")}},
    {"/detected_field/{name}/values", BOTH, "fields", "Values of a field in a sample of records.", JSON,
     {QUERY, WINDOW, {"line_limit", COUNT, false, "Records in the sample (1000, at most 5000)."}, LIMIT("Of values (1000).")}},
    {"/detected_labels", BOTH, "fields", "Labels and how many values they have.", JSON, {SELECTOR, WINDOW}},
    {"/patterns", BOTH, "fields", "What lines look like, and when.", JSON, {QUERY, WINDOW, STEP}},
    {"/tail", HTTP_GET, "query", "Records as they are stored.", SOCKET,
     {QUERY, {"start", TIME, false, "Begin of the history (an hour ago)."}, LIMIT("Of records of the history (100)."),
      {"delay_for", COUNT, false, "Seconds to wait for late records, up to 5."}}},
    {"/delete", HTTP_GET, "delete", "Delete requests.", JSON, {{.name = NULL}}},
    {"/delete", HTTP_POST | HTTP_PUT, "delete", "Deletes the records of a log query.", NOTHING,
     {QUERY, {"start", TIME, true, "Begin of the window."}, {"end", TIME, false, "End of the window; default now."}}},
    {"/delete", HTTP_DELETE, "delete", "Takes a request back.", NOTHING, {{"request_id", TEXT, true, "Which."}}},
    {"/drilldown-limits", HTTP_GET, "status", "What is on, and limits.", JSON, {{.name = NULL}}},
    {"/status/buildinfo", HTTP_GET, "status", "The version.", JSON, {{.name = NULL}}},
    {"/rules", HTTP_GET, "rules", "Rule groups.", YAML, {{.name = NULL}}},
    {"/openapi.yaml", HTTP_GET, "status", "This document.", YAML, {{"openapi_version", TEXT, false, "3.1 or 3.2."}}},
};

static const struct openapi_document document = {.about = "The HTTP API of Loki, and a little more.",
                                                 .server = "/loki/api/v1",
                                                 .operations = operations,
                                                 .n = ARRAY_LEN(operations),
                                                 .plain_errors = true};

static void handle(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    struct buf b = {0};

    api_put_openapi(&b, &document, c->version ? c->version : "unknown", str_starts(api_param(r, "openapi_version"), STR("3.2")));
    http_reply(r, 200, "application/yaml; charset=utf-8", buf_str(&b));
    buf_release(&b);
}

void loki_routes_openapi(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET, "/loki/api/v1/openapi.yaml", PERM_READ, 0, handle, c);
}
