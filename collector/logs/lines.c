/*
 * lines.c - JSON lines and Datadog's arrays of objects.
 *
 * (1) A line that cannot be read is left out and counted; the others are stored. Only where all are bad it is an error.
 */
#include "collector/logs/fields.h"
#include "collector/logs/request.h"
#include "collector/logs/when.h"

/* Stores what was read, or says why there is nothing: nbad records were no records, why tells of the first one. */
static void finish(struct logs_request *q, const struct fields_opts *o, uint64_t nbad, const struct err *why)
{
    q->lenient = true;
    if (nbad && q->in.b.nrows == 0) {
        logs_count(&q->l->stats.refused[LOGS_BAD_RECORD], nbad);
        logs_request_refuse(q, 400, why->text);
        return;
    }
    if (o->debug)
        log_info("logs", "a request with debug=1 from %.*s: nothing of it is stored", STR_ARG(q->r->peer));
    if (nbad)
        intake_refuse(&q->in, LOGS_BAD_RECORD, nbad, why->text);
    logs_request_send(q);
}

/* One object of text; 0, ERR_INVALID it is none, ERR_LIMIT. */
static int put_object(struct logs_request *q, const struct fields_opts *o, struct fields *f, struct str text, struct err *e)
{
    struct json_in j;

    f->n = 0;
    logs_json_init(&j, q->in.a, text, e);
    if (fields_read_json(&j, f) < 0 || json_in_end(&j) < 0)
        return ERR_INVALID;
    return fields_put(&q->in, o, f, text, e);
}

void push_jsonline(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_JSONLINE, true);
    struct err e = {0}, first = {0};
    struct fields_opts o;
    struct fields f = {0};
    struct str rest, line;
    uint64_t nbad = 0;

    q->ok_status = 200;
    if (logs_request_decode(q) < 0)
        return;
    fields_opts_read(r, "_time", "_msg", &o);
    for (rest = r->body; rest.n;) {
        int rc;

        str_cut(&rest, '\n', &line);
        line = str_trim(line);
        if (line.n == 0)
            continue;
        rc = put_object(q, &o, &f, line, &e);
        if (rc == ERR_LIMIT) {
            logs_request_fail(q, &e);
            return;
        }
        if (rc < 0 && nbad++ == 0)
            first = e;
    }
    finish(q, &o, nbad, &first);
}

/* --- Datadog ------------------------------------------------------------------------------------------------ */

/* "env:prod,team:a": fields of their own. */
static void split_tags(struct arena *a, struct fields *f)
{
    for (uint32_t i = 0, n = f->n; i < n; i++) {
        struct str tags = f->v[i].value, item, name;

        if (str_eqz(f->v[i].name, "status"))
            fields_add(a, f, STR("level"), tags);
        if (!str_eqz(f->v[i].name, "ddtags"))
            continue;
        f->v[i].name = STR("");
        while (tags.n) {
            str_cut(&tags, ',', &item);
            if (str_cut(&item, ':', &name))
                fields_add(a, f, str_trim(name), str_trim(item));
            else if (str_trim(name).n)
                fields_add(a, f, str_trim(name), STR("true"));
        }
    }
}

static int put_datadog(struct logs_request *q, const struct fields_opts *o, struct json_in *j, uint64_t *nbad, struct err *first)
{
    struct fields f = {0};
    struct json_in k;
    struct str raw;
    struct err e;
    int rc = json_in_skip(j, &raw);

    if (rc < 0)
        return rc;
    logs_json_init(&k, q->in.a, raw, &e);
    rc = fields_read_json(&k, &f);
    if (rc == 0) {
        split_tags(q->in.a, &f);
        rc = fields_put(&q->in, o, &f, raw, &e);
    }
    if (rc < 0 && (*nbad)++ == 0)
        *first = e;
    return rc == ERR_LIMIT ? rc : 0;
}

void push_datadog(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_DATADOG, true);
    struct str at = http_header(r, "dd-message-timestamp");
    struct err e = {0}, first = {0};
    struct fields_opts o;
    struct json_in j;
    uint64_t nbad = 0;
    int rc;

    q->ok_status = 202;
    q->ok_type = "application/json";
    q->ok_body = STR("{}");
    if (logs_request_decode(q) < 0)
        return;
    fields_opts_read(r, "", "message", &o);
    if (at.n && !str_eqz(at, "0"))
        (void)when_unix(at, &o.now_ns); /* what is no number is no time: then it is now */
    logs_json_init(&j, q->in.a, r->body, &e);
    if (json_in_peek(&j) == JSON_OBJECT) {
        rc = put_datadog(q, &o, &j, &nbad, &first);
    } else {
        rc = json_in_open(&j, '[');
        while (rc == 0 && (rc = json_in_item(&j)) == 0)
            rc = put_datadog(q, &o, &j, &nbad, &first);
    }
    if (rc == ERR_LIMIT)
        logs_request_fail(q, &first);
    else if (rc < 0 || json_in_end(&j) < 0)
        logs_request_fail(q, &e);
    else
        finish(q, &o, nbad, &first);
}
