/*
 * openapi.c - openapi.yaml: every call of this API with its parameters, as machines read it, and how such documents are written.
 *
 * One table, from which the document is written when it is asked for. GET and POST take the same parameters, POST as a form.
 * ?openapi_version=3.2 adds what 3.1 has no words for: the stream of events.
 *
 * (1) What stands in the table is there, with those methods (test_calls asks for all of it).
 */
#include "query/api/inside.h"
#include "query/api/openapi.h"

#define WINDOW                                                                                                         \
    {"start", TIME, false, "Begin of the window."},                                                                    \
    {                                                                                                                  \
        "end", TIME, false, "End of the window."                                                                       \
    }
#define MATCH                                                                                                          \
    {                                                                                                                  \
        "match[]", TEXTS, false, "Series selectors; several are a union."                                              \
    }
#define NONE                                                                                                           \
    {                                                                                                                  \
        {                                                                                                              \
            .name = NULL                                                                                               \
        }                                                                                                              \
    }
#define LIMIT                                                                                                          \
    {                                                                                                                  \
        "limit", COUNT, false, "At most so many entries; 0: no limit."                                                 \
    }
#define EVALUATION                                                                                                     \
    {"timeout", DURATION, false, "Longest evaluation."}, LIMIT,                                                        \
        {"lookback_delta", DURATION, false, "How far back an instant selector looks."},                                \
        {"stats", TEXT, false, "true: figures of the evaluation; all: also for each step."},                           \
    {                                                                                                                  \
        "explain", FLAG, false, "Ours: a tree of what each part of the query cost, beside the result."                 \
    }
#define SEARCH                                                                                                         \
    MATCH, WINDOW, {"search[]", TEXTS, false, "What was typed; one of several is enough."},                            \
        {"fuzz_threshold", COUNT, false, "Least score in percent."},                                                   \
        {"fuzz_alg", TEXT, false, "subsequence or jarowinkler."}, {"case_sensitive", FLAG, false, "Default true."},    \
        {"sort_by", TEXT, false, "alpha or score."}, {"sort_dir", TEXT, false, "asc or dsc."},                         \
        {"include_score", FLAG, false, "Show scores."}, {"limit", COUNT, false, "At most so many results (100)."},     \
    {                                                                                                                  \
        "batch_size", COUNT, false, "Results in one line (100)."                                                       \
    }

enum { BOTH = HTTP_GET | HTTP_POST, CHANGE = HTTP_POST | HTTP_PUT };

static const struct openapi_operation operations[] = {
    {"/query",
     BOTH,
     "query",
     "Evaluates a query at one instant.",
     JSON,
     {{"query", TEXT, true, "PromQL."}, {"time", TIME, false, "The instant; default now."}, EVALUATION}},
    {"/query_range",
     BOTH,
     "query",
     "Evaluates a query over a range of time.",
     JSON,
     {{"query", TEXT, true, "PromQL."},
      {"start", TIME, true, "First step."},
      {"end", TIME, true, "Last step."},
      {"step", DURATION, true, "Between steps."},
      EVALUATION}},
    {"/explain",
     BOTH,
     "query",
     "Ours: evaluates a query and tells what each part of it cost, without the result.",
     JSON,
     {{"query", TEXT, true, "PromQL."},
      {"time", TIME, false, "An instant; or start, end and step."},
      {"start", TIME, false, "First step."},
      {"end", TIME, false, "Last step."},
      {"step", DURATION, false, "Between steps."},
      {"timeout", DURATION, false, "Longest evaluation."},
      {"lookback_delta", DURATION, false, "How far back an instant selector looks."}}},
    {"/query_exemplars",
     BOTH,
     "query",
     "Exemplars of every series that a query selects.",
     JSON,
     {{"query", TEXT, true, "PromQL."}, WINDOW}},
    {"/format_query", BOTH, "query", "A query, prettily.", JSON, {{"query", TEXT, true, "PromQL."}}},
    {"/parse_query", BOTH, "query", "A query as a tree.", JSON, {{"query", TEXT, true, "PromQL."}}},
    {"/series",
     BOTH,
     "series",
     "Label sets of series.",
     JSON,
     {{"match[]", TEXTS, true, "Series selectors; several are a union."}, WINDOW, LIMIT}},
    {"/labels", BOTH, "labels", "Names of labels.", JSON, {MATCH, WINDOW, LIMIT}},
    {"/label/{name}/values",
     HTTP_GET,
     "labels",
     "Values of a label; its name may be escaped as U__.",
     JSON,
     {MATCH, WINDOW, LIMIT}},
    {"/metadata",
     HTTP_GET,
     "metadata",
     "Type, help and unit of metrics.",
     JSON,
     {{"metric", TEXT, false, "Only this one."},
      LIMIT,
      {"limit_per_metric", COUNT, false, "At most so many variants of each metric."}}},
    {"/search/metric_names",
     BOTH,
     "search",
     "Metric names for what somebody typed.",
     LINES,
     {SEARCH, {"include_metadata", FLAG, false, "Show type, help and unit."}}},
    {"/search/label_names", BOTH, "search", "Label names for what somebody typed.", LINES, {SEARCH}},
    {"/search/label_values",
     BOTH,
     "search",
     "Label values for what somebody typed.",
     LINES,
     {SEARCH, {"label", TEXT, true, "Of this label."}}},
    {"/scrape_pools", HTTP_GET, "targets", "Names of scrape pools.", JSON, NONE},
    {"/scrape_pools/config",
     HTTP_GET,
     "targets",
     "Configuration of a scrape pool.",
     JSON,
     {{"scrapePool", TEXT, true, "Its name."}}},
    {"/targets",
     HTTP_GET,
     "targets",
     "Targets and how they are.",
     JSON,
     {{"state", TEXT, false, "active, dropped or any."}, {"scrapePool", TEXT, false, "Only of this pool."}}},
    {"/targets/metadata",
     HTTP_GET,
     "targets",
     "Type, help and unit of metrics, by target.",
     JSON,
     {{"match_target", TEXT, false, "Selector of targets."}, {"metric", TEXT, false, "Only this metric."}, LIMIT}},
    {"/targets/relabel_steps",
     HTTP_GET,
     "targets",
     "What each relabelling rule of a pool makes of labels.",
     JSON,
     {{"scrapePool", TEXT, true, "The pool."}, {"labels", TEXT, true, "A JSON object of labels."}}},
    {"/rules",
     HTTP_GET,
     "rules",
     "Rule groups.",
     JSON,
     {{"type", TEXT, false, "alert or record."},
      {"rule_name[]", TEXTS, false, "Only these rules."},
      {"rule_group[]", TEXTS, false, "Only these groups."},
      {"file[]", TEXTS, false, "Only of these files."},
      MATCH,
      {"exclude_alerts", FLAG, false, "Leave alerts out."},
      {"group_limit", COUNT, false, "Groups in one answer."},
      {"group_next_token", TEXT, false, "Where the last answer ended."}}},
    {"/alerts", HTTP_GET, "alerts", "Active alerts.", JSON, NONE},
    {"/alertmanagers", HTTP_GET, "alerts", "Alertmanagers that are told.", JSON, NONE},
    {"/status/config", HTTP_GET, "status", "The configuration in force.", JSON, NONE},
    {"/status/flags", HTTP_GET, "status", "Flags and their values.", JSON, NONE},
    {"/status/runtimeinfo", HTTP_GET, "status", "The running process.", JSON, NONE},
    {"/status/buildinfo", HTTP_GET, "status", "The version.", JSON, NONE},
    {"/status/log_targets", HTTP_GET, "status", "Log files that are followed, and how far.", JSON, NONE},
    {"/status/walreplay", HTTP_GET, "status", "How far the journal is replayed.", JSON, NONE},
    {"/status/tsdb",
     HTTP_GET,
     "status",
     "Who has many series.",
     JSON,
     {{"limit", COUNT, false, "Entries of each list, up to 10000."}}},
    {"/status/tsdb/blocks", HTTP_GET, "status", "What is on disk, day by day.", JSON, NONE},
    {"/status/self_metrics",
     HTTP_GET,
     "status",
     "Our own metrics.",
     JSON,
     {{"metric_name_pattern", TEXT, false, "Regular expression of whole names."}}},
    {"/status/queries", HTTP_GET, "status", "Ours: queries that run and wait.", JSON, NONE},
    {"/status/warnings", HTTP_GET, "status", "Ours: what troubles the store.", JSON, NONE},
    {"/features", HTTP_GET, "status", "What this version can.", JSON, NONE},
    {"/notifications", HTTP_GET, "status", "What whoever looks should know now.", JSON, NONE},
    {"/notifications/live", HTTP_GET, "status", "The same as it happens.", EVENTS, NONE},
    {"/read", HTTP_POST, "remote", "Remote read: snappy-compressed protobuf.", PROTOBUF, NONE},
    {"/admin/tsdb/delete_series",
     CHANGE,
     "admin",
     "Deletes samples of series.",
     NOTHING,
     {{"match[]", TEXTS, true, "Series selectors."}, WINDOW}},
    {"/admin/tsdb/clean_tombstones", CHANGE, "admin", "Rewrites files without what was deleted.", NOTHING, NONE},
    {"/admin/tsdb/snapshot",
     CHANGE,
     "admin",
     "A consistent copy of everything.",
     JSON,
     {{"skip_head", FLAG, false, "Do not flush first."}}},
    {"/admin/tsdb/flush", CHANGE, "admin", "Ours: writes what is in memory into the files of its days.", JSON, NONE},
    {"/admin/queries/{id}/kill", HTTP_POST, "admin", "Ours: ends a query.", NOTHING, NONE},
    {"/openapi.yaml", HTTP_GET, "status", "This document.", YAML, {{"openapi_version", TEXT, false, "3.1 or 3.2."}}},
};

/* --- writing ------------------------------------------------------------------------------------------- */

static void put_schema(struct buf *b, const char *indent, enum openapi_kind kind)
{
    static const char *const of[] = {
        [TEXT] = "{type: string}",
        [TEXTS] = "{type: array, items: {type: string}}",
        [TIME] = "{oneOf: [{type: string, format: date-time}, {type: number, format: unixtime}]}",
        [DURATION] = "{oneOf: [{type: string, format: duration}, {type: number}]}",
        [COUNT] = "{type: integer, minimum: 0}",
        [FLAG] = "{type: boolean}",
    };

    buf_printf(b, "%sschema: %s\n", indent, of[kind]);
}

static void put_query(struct buf *b, const struct openapi_operation *o)
{
    bool var = strchr(o->path, '{') != NULL;

    if (!var && !o->parameters[0].name)
        return;
    buf_putz(b, "      parameters:\n");
    if (var) {
        const char *open = strchr(o->path, '{'), *close = strchr(open, '}');

        buf_printf(b, "        - name: %.*s\n          in: path\n          required: true\n", (int)(close - open - 1),
                   open + 1);
        put_schema(b, "          ", TEXT);
    }
    for (const struct openapi_parameter *p = o->parameters; p->name; p++) {
        buf_printf(
            b, "        - name: \"%s\"\n          in: query\n          required: %s\n          description: \"%s\"\n",
            p->name, p->required ? "true" : "false", p->about);
        put_schema(b, "          ", p->kind);
    }
}

static void put_form(struct buf *b, const struct openapi_operation *o)
{
    unsigned required = 0;

    if (o->answer == PROTOBUF) {
        buf_putz(b, "      requestBody:\n        required: true\n        content:\n          application/x-protobuf:\n"
                    "            schema: {type: string, format: binary}\n");
        return;
    }
    if (!o->parameters[0].name)
        return;
    buf_putz(b,
             "      requestBody:\n        content:\n          application/x-www-form-urlencoded:\n            schema:\n"
             "              type: object\n");
    for (const struct openapi_parameter *p = o->parameters; p->name; p++)
        if (p->required)
            buf_printf(b, "%s\"%s\"", required++ ? ", " : "              required: [", p->name);
    if (required)
        buf_putz(b, "]\n");
    buf_putz(b, "              properties:\n");
    for (const struct openapi_parameter *p = o->parameters; p->name; p++) {
        static const char *const types[] = {"string", "array, items: {type: string}", "string", "string", "integer",
                                            "boolean"};

        buf_printf(b, "                \"%s\": {type: %s}\n", p->name, types[p->kind]);
    }
}

static void put_answers(struct buf *b, enum openapi_answer answer, bool plain_errors)
{
    static const char *const types[] = {[JSON] = "application/json",           [LINES] = "application/x-ndjson",
                                        [PROTOBUF] = "application/x-protobuf", [NOTHING] = NULL,
                                        [EVENTS] = "text/event-stream",        [YAML] = "application/yaml",
                                        [PLAIN] = "text/plain"};

    buf_putz(b, "      responses:\n");
    if (answer == NOTHING)
        buf_putz(b, "        \"204\": {description: Done.}\n");
    else if (answer == SOCKET)
        buf_putz(b, "        \"101\": {description: A WebSocket.}\n");
    else
        buf_printf(
            b,
            "        \"200\":\n          description: Fine.\n          content:\n            %s:\n              schema: %s\n",
            types[answer], answer == JSON ? "{$ref: \"#/components/schemas/Success\"}" : "{type: string}");
    buf_printf(b,
               "        default:\n          description: What went wrong.\n          content:\n            %s:\n"
               "              schema: %s\n",
               plain_errors ? "text/plain" : "application/json",
               plain_errors ? "{type: string}" : "{$ref: \"#/components/schemas/Error\"}");
}

/* series_post of POST /series; two operations must not have one name. */
static void put_operation(struct buf *b, const struct openapi_operation *o, const char *method, bool plain_errors)
{
    buf_printf(b, "    %s:\n      tags: [%s]\n      summary: \"%s\"\n      operationId: ", method, o->tag, o->about);
    for (const char *p = o->path + 1; *p; p++)
        if (*p != '{' && *p != '}')
            buf_putc(b, *p == '/' || *p == '.' ? '_' : *p);
    buf_printf(b, "_%s\n", method);
    if (strcmp(method, "get") == 0 || strcmp(method, "delete") == 0 || strchr(o->path, '{'))
        put_query(b, o);
    if (strcmp(method, "get") != 0 && strcmp(method, "delete") != 0)
        put_form(b, o);
    put_answers(b, o->answer, plain_errors);
}

void api_put_openapi(struct buf *b, const struct openapi_document *d, const char *version, bool newer)
{
    static const struct {
        unsigned method;
        const char *name;
    } methods[] = {{HTTP_GET, "get"}, {HTTP_POST, "post"}, {HTTP_PUT, "put"}, {HTTP_DELETE, "delete"}};

    buf_printf(b, "openapi: %s\ninfo:\n  title: Tripod\n  description: \"%s\"\n  version: \"%s\"\nservers:\n  - url: %s\npaths:\n",
               newer ? "3.2.0" : "3.1.0", d->about, version, d->server);
    for (size_t i = 0; i < d->n; i++) {
        const struct openapi_operation *o = &d->operations[i];

        if (o->answer == EVENTS && !newer)
            continue;
        if (i == 0 || strcmp(o->path, d->operations[i - 1].path) != 0) /* rows of one path stand together */
            buf_printf(b, "  %s:\n", o->path);
        for (size_t m = 0; m < ARRAY_LEN(methods); m++)
            if (o->methods & methods[m].method)
                put_operation(b, o, methods[m].name, d->plain_errors);
    }
    buf_putz(
        b,
        "components:\n  schemas:\n    Success:\n      type: object\n      required: [status, data]\n      properties:\n"
        "        status: {type: string, const: success}\n        data: {}\n"
        "        warnings: {type: array, items: {type: string}}\n        infos: {type: array, items: {type: string}}\n"
        "    Error:\n      type: object\n      required: [status, errorType, error]\n      properties:\n"
        "        status: {type: string, const: error}\n        errorType: {type: string}\n        error: {type: string}\n");
}

static const struct openapi_document document = {.about = "The HTTP API of Prometheus, and a little more.",
                                                 .server = "/api/v1",
                                                 .operations = operations,
                                                 .n = ARRAY_LEN(operations)};

static void handle(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct str version = api_param(r, "openapi_version");
    struct buf b = {0};

    api_put_openapi(&b, &document, c->version ? c->version : "unknown", str_starts(version, STR("3.2")));
    http_reply(r, 200, "application/yaml; charset=utf-8", buf_str(&b));
    buf_release(&b);
}

void api_routes_openapi(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/openapi.yaml", PERM_READ, 0, handle, c);
}
