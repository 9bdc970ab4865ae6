/*
 * otlp.c - the two doors of OpenTelemetry logs: Loki's, which answers 204 and refuses with 400, and the specification's own,
 * which answers 200 and tells of what was refused in a partial success: its senders must not repeat that.
 */
#include "collector/logs/otlp.h"

#include "collector/logs/request.h"
#include "net/wire.h"

/* google.rpc.Status, the code by the HTTP status. */
static void answer_status(struct logs_request *q, bool json, int status, struct str text)
{
    uint64_t code = status == 429 || status == 413 ? 8 : status == 503 ? 14 : 3;
    struct buf b = {0};
    struct json j;

    if (json) {
        json_init(&j, &b);
        json_obj(&j);
        json_key(&j, "code");
        json_u64(&j, code);
        json_key(&j, "message");
        json_str(&j, text);
        json_end_obj(&j);
    } else {
        wire_put_varint(&b, 1, code);
        wire_put_bytes(&b, 2, text);
    }
    http_reply(q->r, status, json ? "application/json" : "application/x-protobuf", buf_str(&b));
    buf_release(&b);
}

static void answer_proto(struct logs_request *q, int status, struct str text)
{
    answer_status(q, false, status, text);
}

static void answer_json(struct logs_request *q, int status, struct str text)
{
    answer_status(q, true, status, text);
}

/*
 * 200 with what was refused, where all else went well: that is never sent again. What came too fast may be, later: the sender is
 * told so, and records that were stored count once.
 */
static void answer_partial(struct logs_request *q, bool json, int status, struct str text)
{
    struct buf b = {0}, inner = {0};
    uint64_t refused = intake_nrefused(&q->in);
    struct json j;

    if (refused == 0 || (status != 400 && status != 429) || q->in.refused[LOGS_STREAM_RATE]) {
        answer_status(q, json, status, text);
        return;
    }
    if (json) {
        json_init(&j, &b);
        json_obj(&j);
        json_key(&j, "partialSuccess");
        json_obj(&j);
        json_key(&j, "rejectedLogRecords");
        buf_printf(&inner, "\"%llu\"", (unsigned long long)refused); /* 64-bit numbers are strings there */
        json_raw(&j, buf_str(&inner));
        json_key(&j, "errorMessage");
        json_str(&j, text);
        json_end_obj(&j);
        json_end_obj(&j);
    } else {
        wire_put_varint(&inner, 1, refused);
        wire_put_bytes(&inner, 2, text);
        wire_put_bytes(&b, 1, buf_str(&inner));
    }
    http_reply(q->r, 200, q->ok_type, buf_str(&b));
    buf_release(&b);
    buf_release(&inner);
}

static void answer_partial_proto(struct logs_request *q, int status, struct str text)
{
    answer_partial(q, false, status, text);
}

static void answer_partial_json(struct logs_request *q, int status, struct str text)
{
    answer_partial(q, true, status, text);
}

static void push(struct http_request *r, struct logs *l, bool loki)
{
    struct logs_request *q = logs_request_new(r, l, LOGS_OTLP, true);
    struct str media = media_type(http_header(r, "Content-Type"));
    bool json = str_eq_nocase(media, STR("application/json"));
    struct otlp_writer w;
    struct err e = {0};

    if (loki) {
        q->answer = json ? answer_json : answer_proto;
    } else {
        q->ok_status = 200;
        q->ok_type = json ? "application/json" : "application/x-protobuf";
        q->ok_body = json ? STR("{}") : STR("");
        q->answer = json ? answer_partial_json : answer_partial_proto;
    }
    if (!json && !str_eq_nocase(media, STR("application/x-protobuf"))) {
        logs_request_refuse(q, 415, "the Content-Type must be application/x-protobuf or application/json");
        return;
    }
    if (logs_request_decode(q) < 0)
        return;
    otlp_writer_init(&w, &q->in);
    if ((json ? otlp_read_json : otlp_read_proto)(&w, r->body, &e) < 0)
        logs_request_fail(q, &e);
    else
        logs_request_send(q);
}

void push_otlp_loki(struct http_request *r, void *logs)
{
    push(r, logs, true);
}

void push_otlp(struct http_request *r, void *logs)
{
    push(r, logs, false);
}
