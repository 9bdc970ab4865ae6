/* answer.c - the envelope: success and error, whole or in pieces. */
#include "query/api/inside.h"

#include <assert.h>
#include <stdio.h>

enum { PIECE_BYTES = 256 * 1024 /* more than this is streamed */, LOOK_UP_BYTES = 32 * 1024 };

static const char json_type[] = "application/json";

static void kind_of(int code, const char **type, int *status)
{
    switch (code) {
    case ERR_INVALID:
        *type = "bad_data", *status = 400;
        break;
    case ERR_EXEC:
    case ERR_LIMIT:
    case ERR_UNSUPPORTED:
        *type = "execution", *status = 422;
        break;
    case ERR_TIMEOUT:
        *type = "timeout", *status = 503;
        break;
    case ERR_CANCELED:
        *type = "canceled", *status = 499;
        break;
    case ERR_NOT_FOUND:
        *type = "not_found", *status = 404;
        break;
    case ERR_BUSY:
    case ERR_FULL:
        *type = "unavailable", *status = 503;
        break;
    case ERR_UNAVAILABLE: /* switched off */
        *type = "unavailable", *status = 500;
        break;
    default:
        *type = "internal", *status = 500;
        break;
    }
}

void api_answer_error(struct http_request *r, const struct err *e)
{
    struct buf b = {0};
    const char *type;
    int status;

    kind_of(e->code, &type, &status);
    buf_printf(&b, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", type);
    json_put_string(&b, str_of(e->text));
    buf_putc(&b, '}');
    http_reply(r, status, json_type, buf_str(&b));
    buf_release(&b);
}

void api_answer_data(struct http_request *r, struct str data)
{
    struct buf b = {0};

    buf_putz(&b, "{\"status\":\"success\",\"data\":");
    buf_puts(&b, data);
    buf_putc(&b, '}');
    http_reply(r, 200, json_type, buf_str(&b));
    buf_release(&b);
}

/* --- pieces ------------------------------------------------------------------------------------------ */

void api_stream_init(struct api_stream *s, struct http_request *r, struct query *q, const char *type)
{
    *s = (struct api_stream){.r = r, .q = q, .type = type ? type : json_type};
}

static void send_piece(struct api_stream *s)
{
    if (!s->begun) {
        http_begin(s->r, 200, s->type);
        if (s->within_ms > 0)
            http_write_within(s->r, s->within_ms);
        s->begun = true;
    }
    if (s->code == 0)
        s->code = http_write(s->r, buf_str(&s->b));
    buf_reset(&s->b);
}

int api_stream_flush(struct api_stream *s)
{
    if (s->b.n >= s->look_at && s->q && s->code == 0) {
        s->code = query_give_way(s->q, "the answer");
        s->look_at = s->b.n + LOOK_UP_BYTES;
    }
    if (s->b.n >= PIECE_BYTES) {
        send_piece(s);
        s->look_at = LOOK_UP_BYTES;
    }
    return s->code;
}

void api_stream_end(struct api_stream *s)
{
    if (!s->begun && s->code < 0) {
        struct err e;

        err_set(&e, s->code, "query was canceled while its answer was written");
        api_answer_error(s->r, &e);
    } else if (!s->begun) {
        http_reply(s->r, 200, s->type, buf_str(&s->b));
    } else {
        send_piece(s);
        if (s->code == 0)
            http_end(s->r);
        else
            http_abort(s->r); /* half an answer must not look like a whole one */
    }
    buf_release(&s->b);
}

static void put_texts(struct buf *b, const char *key, const struct str *texts, uint32_t n)
{
    if (n == 0)
        return;
    buf_printf(b, ",\"%s\":[", key);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(b, ',');
        json_put_string(b, texts[i]);
    }
    buf_putc(b, ']');
}

void api_put_envelope_end(struct buf *b, const struct str *warnings, uint32_t nwarnings, const struct str *infos,
                          uint32_t ninfos)
{
    put_texts(b, "warnings", warnings, nwarnings);
    put_texts(b, "infos", infos, ninfos);
    buf_putc(b, '}');
}
