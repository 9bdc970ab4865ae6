/*
 * elastic.c - as much of Elasticsearch as its shippers need to see: the bulk call, and the questions they ask before it.
 *
 * (1) The answer has one item for each document, in order, with a status of its own: 201 only where it is stored. A document that
 *     cannot be read, or that the store refuses, is an error of its item; the others are stored. 4xx is said where sending it again
 *     would do no good, 429 where it would.
 */
#include "collector/logs/fields.h"
#include "collector/logs/request.h"

#define PRODUCT "X-Elastic-Product"

/* {"create": {...}} or {"index": {...}}; <0: some other action. */
static int read_action(struct logs_request *q, struct str line, struct err *e)
{
    struct json_in j;
    struct str key;

    logs_json_init(&j, q->in.a, line, e);
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

enum { NO_ROW = UINT32_MAX };

/* One document: the row it became, or why it became none. */
struct item {
    uint32_t row; /* as it came, or NO_ROW */
    struct str fault; /* p NULL: there is none */
};

struct bulk {
    struct item *v;
    uint32_t n, cap;
};

static void bulk_add(struct arena *a, struct bulk *bulk, uint32_t row, struct str fault)
{
    if (bulk->n == bulk->cap) {
        struct item *more = arena_array(a, struct item, bulk->cap ? bulk->cap * 2 : 256);

        if (bulk->n)
            memcpy(more, bulk->v, bulk->n * sizeof *more);
        bulk->v = more;
        bulk->cap = bulk->cap ? bulk->cap * 2 : 256;
    }
    bulk->v[bulk->n++] = (struct item){row, fault};
}

/* --- the answer ------------------------------------------------------------------------------------------- */

static void put_fault(struct buf *out, int status, const char *type, struct str reason)
{
    buf_printf(out, "{\"create\":{\"status\":%d,\"error\":{\"type\":\"%s\",\"reason\":", status, type);
    json_put_string(out, reason);
    buf_putz(out, "}}}");
}

/* Of a row that was refused, where the store's own sentence is not at hand. */
static const char *words_of(unsigned verdict)
{
    static const char *const words[LOG_VERDICTS] = {
        [LOG_TOO_OLD] = "the timestamp is older than what is taken",
        [LOG_TOO_NEW] = "the timestamp is further ahead than what is taken",
        [LOG_LINE_TOO_LONG] = "the line is longer than what is taken",
        [LOG_NO_LABELS] = "the stream has no labels",
        [LOG_BAD_LABELS] = "the labels of the stream are too many or too long",
        [LOG_STREAM_LIMIT] = "there are as many active streams as there may be",
        [LOG_META_TOO_MANY] = "the document has more fields than what is taken",
        [LOG_META_TOO_LARGE] = "the fields of the document take more bytes than what is taken",
    };

    return verdict == INTAKE_STREAM_RATE ? "the stream brings more bytes a second than it may" : words[verdict];
}

static void put_item(struct buf *out, const struct intake *in, const struct item *it, bool judged)
{
    unsigned verdict = judged && it->row != NO_ROW ? intake_verdict(in, it->row) : LOG_OK;
    bool later = verdict == LOG_STREAM_LIMIT || verdict == INTAKE_STREAM_RATE;
    struct str reason;

    if (it->fault.p) {
        put_fault(out, 400, "document_parsing_exception", it->fault);
    } else if (verdict == LOG_OK) {
        buf_putz(out, "{\"create\":{\"status\":201}}");
    } else {
        reason = intake_sentence(in, it->row);
        put_fault(out, later ? 429 : 400, later ? "es_rejected_execution_exception" : "illegal_argument_exception",
                  reason.p ? reason : str_of(words_of(verdict)));
    }
}

static void put_answer(struct logs_request *q, bool errors, bool judged)
{
    const struct bulk *bulk = q->own;
    struct buf b = {0};

    buf_printf(&b, "{\"took\":1,\"errors\":%s,\"items\":[", errors ? "true" : "false");
    for (uint32_t i = 0; i < bulk->n; i++) {
        if (i)
            buf_putc(&b, ',');
        put_item(&b, &q->in, &bulk->v[i], judged);
    }
    buf_putz(&b, "]}");
    q->ok_body = arena_dup(q->r->arena, buf_str(&b));
    buf_release(&b);
}

/* The answer that was ready takes every row for stored: where that is wrong it is written again. */
static void on_judged(struct logs_request *q)
{
    put_answer(q, true, true);
}

static void answer_error(struct logs_request *q, int status, struct str text)
{
    const char *type = status == 429 ? "es_rejected_execution_exception" : status == 503 ? "unavailable_shards_exception" : "illegal_argument_exception";
    struct buf b = {0};

    buf_printf(&b, "{\"error\":{\"root_cause\":[{\"type\":\"%s\",\"reason\":", type);
    json_put_string(&b, text);
    buf_printf(&b, "}],\"type\":\"%s\",\"reason\":", type);
    json_put_string(&b, text);
    buf_printf(&b, "},\"status\":%d}", status);
    http_reply(q->r, status, "application/json", buf_str(&b));
    buf_release(&b);
}

/* --- the body --------------------------------------------------------------------------------------------- */

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

static int read_bulk(struct logs_request *q, const struct fields_opts *o, bool *errors, struct err *e)
{
    struct str rest = q->r->body, line;
    struct fields f = {0};

    while (next_line(&rest, &line)) {
        uint32_t row = q->in.b.nrows;
        struct json_in j;
        int rc;

        if (read_action(q, line, e) < 0)
            return e->code;
        if (!next_line(&rest, &line))
            return err_set(e, ERR_INVALID, "the bulk body ends with an action that has no document");
        f.n = 0;
        logs_json_init(&j, q->in.a, line, e);
        rc = fields_read_json(&j, &f);
        if (rc == 0)
            rc = json_in_end(&j);
        if (rc == 0)
            rc = fields_put(&q->in, o, &f, line, e);
        if (rc == ERR_LIMIT)
            return rc;
        if (rc < 0) {
            *errors = true;
            intake_refuse(&q->in, LOGS_BAD_RECORD, 1, e->text);
        }
        bulk_add(q->in.a, q->own, rc == 0 && row < q->in.b.nrows ? row : NO_ROW, rc < 0 ? arena_dup(q->in.a, str_of(e->text)) : STR_NULL);
    }
    return 0;
}

void push_elastic(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_ELASTIC, true);
    struct fields_opts o;
    struct err e = {0};
    bool errors = false;

    http_set_header(r, PRODUCT, STR("Elasticsearch"));
    q->own = arena_new(r->arena, struct bulk);
    q->in.each = true;
    q->answer = answer_error;
    q->judged = on_judged;
    q->ok_status = 200;
    q->ok_type = "application/json";
    if (logs_request_decode(q) < 0)
        return;
    fields_opts_read(r, "@timestamp", "message", &o);
    if (read_bulk(q, &o, &errors, &e) < 0) {
        logs_request_fail(q, &e);
        return;
    }
    put_answer(q, errors, false);
    q->answered = true;
    logs_request_send(q);
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
