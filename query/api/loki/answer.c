/* answer.c - Loki's answers: JSON when it went well, a sentence in plain text when not. */
#include "query/api/loki/inside.h"

static const char text_type[] = "text/plain; charset=utf-8";

static int status_of(int code)
{
    switch (code) {
    case ERR_INVALID:
    case ERR_EXEC:
    case ERR_LIMIT:
    case ERR_UNSUPPORTED:
        return 400;
    case ERR_CANCELED:
        return 499;
    case ERR_TIMEOUT:
        return 504;
    case ERR_BUSY:
        return 429;
    default:
        return http_status_of(code);
    }
}

void loki_answer_error(struct http_request *r, const struct err *e)
{
    http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
    http_replyf(r, status_of(e->code), text_type, "%s\n", e->text);
}

void loki_answer_json(struct http_request *r, struct buf *b)
{
    http_reply(r, 200, "application/json", buf_str(b));
    buf_release(b);
}

void loki_stream_end(struct api_stream *s)
{
    if (!s->begun && s->code < 0) {
        struct err e;

        err_set(&e, s->code, s->code == ERR_CANCELED ? "the query was canceled while its answer was written" : "the query was stopped while its answer was written");
        buf_release(&s->b);
        loki_answer_error(s->r, &e);
    } else {
        api_stream_end(s);
    }
}

void loki_put_labels(struct buf *b, const struct labels *ls)
{
    api_put_metric(b, ls);
}
