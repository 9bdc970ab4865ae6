/*
 * elastic.c - as much of Elasticsearch as its shippers need to see: the bulk call, and the questions they ask before it.
 *
 * (1) The answer has one item for each document, in order. A document that cannot be read is an error of its item; the
 *     others are stored.
 */
#include "collector/logs/fields.h"
#include "collector/logs/request.h"

#define PRODUCT "X-Elastic-Product"

/* {"create": {...}} or {"index": {...}}; <0: some other action. */
static int read_action(struct logs_request *q, struct str line, struct err *e)
{
    struct json_in j;
    struct str key;

    json_in_init(&j, q->in.a, line, e);
    if (json_in_open(&j, '{') < 0)
        return ERR_INVALID;
    if (json_in_key(&j, &key) != 0)
        return e->code ? e->code : json_in_fault(&j, "an action was expected");
    if (!str_eqz(key, "create") && !str_eqz(key, "index"))
        return err_set(e, ERR_INVALID, "the bulk action \"%.*s\" is not supported: only create and index are", STR_ARG(str_head(key, 100)));
    if (json_in_skip(&j, NULL) < 0 || json_in_key(&j, &key) < 0)
        return ERR_INVALID;
    return json_in_end(&j);
}

static void put_item(struct buf *out, bool first, const struct err *fault)
{
    if (!first)
        buf_putc(out, ',');
    if (!fault) {
        buf_putz(out, "{\"create\":{\"status\":201}}");
        return;
    }
    buf_putz(out, "{\"create\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\",\"reason\":");
    json_put_string(out, str_of(fault->text));
    buf_putz(out, "}}}");
}

/* The next line that is not blank; false at the end. */
static bool next_line(struct str *rest, struct str *line)
{
    while (rest->n) {
        str_cut(rest, '\n', line);
        *line = str_trim(*line);
        if (line->n)
            return true;
    }
    return false;
}

static int read_bulk(struct logs_request *q, const struct fields_opts *o, struct buf *items, uint64_t *nbad, struct err *e)
{
    struct str rest = q->r->body, line;
    struct fields f = {0};
    bool first = true;

    while (next_line(&rest, &line)) {
        struct json_in j;
        int rc;

        if (read_action(q, line, e) < 0)
            return e->code;
        if (!next_line(&rest, &line))
            return err_set(e, ERR_INVALID, "the bulk body ends with an action that has no document");
        f.n = 0;
        json_in_init(&j, q->in.a, line, e);
        rc = fields_read_json(&j, &f);
        if (rc == 0)
            rc = json_in_end(&j);
        if (rc == 0)
            rc = fields_put(&q->in, o, &f, line, e);
        if (rc == ERR_LIMIT)
            return rc;
        if (rc < 0) {
            ++*nbad;
            intake_refuse(&q->in, LOGS_BAD_RECORD, 1, e->text);
        }
        put_item(items, first, rc < 0 ? e : NULL);
        first = false;
    }
    return 0;
}

static void answer_error(struct logs_request *q, int status, struct str text)
{
    struct buf b = {0};

    buf_putz(&b, "{\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":");
    json_put_string(&b, text);
    buf_printf(&b, "},\"status\":%d}", status);
    http_reply(q->r, status, "application/json", buf_str(&b));
    buf_release(&b);
}

void push_elastic(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_ELASTIC, true);
    struct buf items = {0};
    struct fields_opts o;
    struct err e = {0};
    uint64_t nbad = 0;

    http_set_header(r, PRODUCT, STR("Elasticsearch"));
    q->answer = answer_error;
    q->lenient = true;
    q->ok_status = 200;
    q->ok_type = "application/json";
    if (logs_request_decode(q) < 0)
        return;
    fields_opts_read(r, "@timestamp", "message", &o);
    if (read_bulk(q, &o, &items, &nbad, &e) < 0) {
        logs_request_fail(q, &e);
    } else {
        q->ok_body = arena_printf(r->arena, "{\"took\":1,\"errors\":%s,\"items\":[%.*s]}", nbad ? "true" : "false", STR_ARG(buf_str(&items)));
        q->answered = true;
        logs_request_send(q);
    }
    buf_release(&items);
}

void push_elastic_probe(struct http_request *r, void *logs)
{
    struct str rest = r->vars[0];

    (void)logs;
    http_set_header(r, PRODUCT, STR("Elasticsearch"));
    if (rest.n == 0)
        http_reply(r, 200, "application/json",
                   STR("{\"name\":\"tripod\",\"cluster_name\":\"tripod\",\"cluster_uuid\":\"dHJpcG9kLWxvZ3MtMDAwMA\",\"version\":{\"number\":\"8.9.0\","
                       "\"build_flavor\":\"default\",\"build_type\":\"docker\",\"build_hash\":\"0\",\"build_date\":\"2023-07-19T14:50:42.295655478Z\","
                       "\"build_snapshot\":false,\"lucene_version\":\"9.7.0\",\"minimum_wire_compatibility_version\":\"7.17.0\","
                       "\"minimum_index_compatibility_version\":\"7.0.0\"},\"tagline\":\"You Know, for Search\"}"));
    else if (str_eqz(rest, "_license"))
        http_reply(r, 200, "application/json",
                   STR("{\"license\":{\"uid\":\"cbff45e7-c553-41f7-ae4f-9205eabd80xx\",\"type\":\"basic\",\"status\":\"active\","
                       "\"expiry_date_in_millis\":4000000000000}}"));
    else if (r->method == HTTP_GET || r->method == HTTP_HEAD || str_starts(rest, STR("_")))
        http_reply(r, 200, "application/json", STR("{}"));
    else
        http_reply(r, 404, "application/json", STR("{\"error\":\"only _bulk takes documents\",\"status\":404}"));
}
