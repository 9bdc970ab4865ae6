/*
 * push.c - Loki's push: which of its two forms a body has, and both of them.
 *
 * (1) A body is read as a whole before anything is stored: one that breaks off in the middle stores nothing.
 * (2) A stream with bad labels is refused with all its entries; the others are stored.
 */
#include "collector/logs/push.h"

#include "collector/logs/request.h"
#include "collector/logs/when.h"
#include "net/wire.h"

#include <stdlib.h>

/* The stream whose labels are text, or false and a fault noted for each of its n rows. */
static bool begin_stream(struct push_reader *p, struct str text, uint64_t n, uint32_t *out)
{
    enum logs_reason reason;
    struct stream st;
    struct err e;

    if (n == 0)
        return false;
    if (stream_of_text(p->cache, p->in->rules, p->in->a, text, &st, &reason, &e) < 0) {
        intake_refuse(p->in, reason, n, e.text);
        return false;
    }
    *out = intake_stream(p->in, &st);
    return true;
}

/* --- protobuf ------------------------------------------------------------------------------------------- */

static int read_time(struct str bytes, int64_t *t_ns)
{
    struct field f = {0};
    struct wire w;
    int64_t s = 0, ns = 0;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            s = (int64_t)f.v;
        else if (f.number == 2 && f.type == WIRE_VARINT)
            ns = (int32_t)f.v;
    }
    *t_ns = when_of(s, ns);
    return rc < 0 ? rc : 0;
}

static int read_pair(struct push_reader *p, struct str bytes)
{
    struct str name = STR_NULL, value = STR_NULL;
    struct field f = {0};
    struct wire w;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            name = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            value = f.bytes;
    }
    if (rc < 0)
        return rc;
    intake_meta(p->in, name, value);
    return 0;
}

/* What nearly all senders write first: the time, then the line, as any writer of protobuf puts them. False: nothing was read. */
static bool read_usual(struct str bytes, struct log_in_row *row, struct str *rest)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.n, *time_end;
    uint64_t s = 0, ns = 0, n;

    if (bytes.n < 2 || p[0] != (1 << 3 | WIRE_BYTES) || p[1] >= 0x80 || p[1] > bytes.n - 2)
        return false;
    time_end = p + 2 + p[1];
    p += 2;
    if (p < time_end && *p == (1 << 3 | WIRE_VARINT) && !(p = get_varint(p + 1, time_end, &s)))
        return false;
    if (p < time_end && *p == (2 << 3 | WIRE_VARINT) && !(p = get_varint(p + 1, time_end, &ns)))
        return false;
    if (p != time_end || p == end || *p != (2 << 3 | WIRE_BYTES) || !(p = get_varint(p + 1, end, &n)) || n > (size_t)(end - p))
        return false;
    row->t_ns = when_of((int64_t)s, (int32_t)ns);
    row->line = str_n((const char *)p, n);
    *rest = str_n((const char *)p + n, (size_t)(end - p) - n);
    return true;
}

static int read_entry(struct push_reader *p, uint32_t stream, struct str bytes)
{
    struct log_in_row *row;
    struct field f = {0};
    struct wire w;
    int rc;

    intake_row(p->in, stream, 0, STR(""));
    if (read_usual(bytes, &p->in->b.rows[p->in->b.nrows - 1], &bytes) && bytes.n == 0)
        goto end;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        row = &p->in->b.rows[p->in->b.nrows - 1];
        if (f.type != WIRE_BYTES)
            continue;
        if (f.number == 1)
            rc = read_time(f.bytes, &row->t_ns);
        else if (f.number == 2)
            row->line = f.bytes;
        else if (f.number == 3)
            rc = read_pair(p, f.bytes);
        if (rc < 0)
            break;
    }
    if (rc < 0)
        return rc;
end:
    p->in->bytes += p->in->b.rows[p->in->b.nrows - 1].line.n;
    intake_row_end(p->in);
    return 0;
}

/* The labels stand before the entries, but nothing says they must. */
static int find_labels(struct str bytes, struct str *labels, uint64_t *nentries)
{
    struct field f = {0};
    struct wire w;
    int rc;

    *labels = STR("");
    *nentries = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            *labels = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            ++*nentries;
    }
    return rc < 0 ? rc : 0;
}

static int read_stream(struct push_reader *p, struct str bytes, struct err *e)
{
    struct str labels;
    struct field f = {0};
    struct wire w;
    uint64_t n;
    uint32_t stream;
    int rc = find_labels(bytes, &labels, &n);

    if (rc < 0 || !begin_stream(p, labels, n, &stream))
        return rc;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number != 2 || f.type != WIRE_BYTES)
            continue;
        if (read_entry(p, stream, f.bytes) < 0)
            return ERR_INVALID;
        if (intake_check(p->in, e) < 0)
            return ERR_LIMIT;
    }
    return rc < 0 ? rc : 0;
}

int push_read_proto(struct push_reader *p, struct str body, struct err *e)
{
    struct field f = {0};
    struct wire w;
    int rc;

    err_set(e, ERR_INVALID, "the body is no protobuf message of logproto.PushRequest");
    wire_init(&w, body);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        p->nstreams++;
        if (read_stream(p, f.bytes, e) < 0)
            return e->code;
    }
    return rc < 0 ? ERR_INVALID : 0;
}

/* --- JSON ------------------------------------------------------------------------------------------------ */

/* What a stream object has told so far: the order of its keys is the sender's. */
struct stream_text {
    struct str text;            /* its labels as a selector; p NULL: not known yet */
    struct str values, entries; /* came before the labels: their JSON, for later */
};

static int read_label_object(struct json_in *j, struct arena *a, struct labels *out)
{
    uint32_t cap = 8;
    struct label *l;
    struct str key;
    int rc = json_in_open(j, '{');

    *out = (struct labels){arena_alloc(a, cap * sizeof *out->v), 0};
    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        for (l = out->v; l < out->v + out->n && !str_eq(l->name, key);)
            l++; /* of two of a name the last is meant */
        if (l == out->v + out->n && ++out->n == cap) { /* there is always room for service_name */
            cap *= 2;
            out->v = memcpy(arena_alloc(a, cap * sizeof *out->v), out->v, out->n * sizeof *out->v);
            l = out->v + out->n - 1;
        }
        l->name = key;
        rc = json_in_peek(j) == JSON_STRING ? json_in_string(j, &l->value) : json_in_fault(j, "the value of a label must be a string");
        if (out->n > 1000)
            return json_in_fault(j, "a stream with more than 1000 labels");
    }
    return rc < 0 ? rc : 0;
}

static int read_meta_object(struct push_reader *p, struct json_in *j)
{
    struct str key, value;
    int rc = json_in_peek(j) == JSON_OBJECT ? json_in_open(j, '{') : json_in_fault(j, "structured metadata must be an object");

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (json_in_peek(j) != JSON_STRING)
            return json_in_fault(j, "the value of structured metadata must be a string");
        rc = json_in_string(j, &value);
        if (rc == 0)
            intake_meta(p->in, key, value);
    }
    return rc < 0 ? rc : 0;
}

/* ["NANOSECONDS", "LINE", {METADATA}]; what follows is passed over. */
static int read_value(struct push_reader *p, struct json_in *j, uint32_t stream)
{
    struct str time, line = STR("");
    int64_t t_ns;
    int rc = json_in_open(j, '['), i = 0;

    for (; rc == 0 && (rc = json_in_item(j)) == 0; i++) {
        if (i < 2 && json_in_peek(j) != JSON_STRING)
            return json_in_fault(j, i ? "the line must be a string" : "the timestamp must be a string of nanoseconds");
        if (i == 0) {
            rc = json_in_string(j, &time);
            if (rc == 0 && !str_to_i64(time, &t_ns))
                rc = json_in_fault(j, "the timestamp is no whole number of nanoseconds");
        } else if (i == 1) {
            rc = json_in_string(j, &line);
            if (rc == 0)
                intake_row(p->in, stream, t_ns, line);
        } else {
            rc = i == 2 ? read_meta_object(p, j) : json_in_skip(j, NULL);
        }
    }
    if (rc < 0)
        return rc;
    if (i < 2)
        return json_in_fault(j, "an entry must have a timestamp and a line");
    intake_row_end(p->in);
    return 0;
}

static int read_legacy_entry(struct push_reader *p, struct json_in *j, uint32_t stream)
{
    struct str key, ts = STR_NULL, line = STR("");
    int64_t t_ns;
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (str_eqz(key, "ts"))
            rc = json_in_string(j, &ts);
        else if (str_eqz(key, "line"))
            rc = json_in_string(j, &line);
        else
            rc = json_in_skip(j, NULL);
    }
    if (rc < 0)
        return rc;
    if (!when_rfc3339(ts, &t_ns))
        return json_in_fault(j, "the ts of an entry is no RFC 3339 time");
    intake_row(p->in, stream, t_ns, line);
    intake_row_end(p->in);
    return 0;
}

/* The entries of a bad stream are checked and counted. */
static int refuse_entries(struct push_reader *p, struct json_in *j, enum logs_reason reason, const struct err *why)
{
    uint64_t n = 0;
    int rc;

    while ((rc = json_in_item(j)) == 0) {
        if (json_in_skip(j, NULL) < 0)
            return ERR_INVALID;
        n++;
    }
    if (n)
        intake_refuse(p->in, reason, n, why->text);
    return rc < 0 ? rc : 0;
}

static int read_entries(struct push_reader *p, struct json_in *j, struct str text, bool legacy)
{
    enum logs_reason reason;
    struct stream st;
    struct err why;
    uint32_t stream;
    int rc;

    if (json_in_peek(j) == JSON_NULL)
        return json_in_skip(j, NULL);
    if (json_in_open(j, '[') < 0)
        return ERR_INVALID;
    if (stream_of_text(p->cache, p->in->rules, p->in->a, text.p ? text : STR("{}"), &st, &reason, &why) < 0)
        return refuse_entries(p, j, reason, &why);
    stream = intake_stream(p->in, &st);
    while ((rc = json_in_item(j)) == 0) {
        if ((legacy ? read_legacy_entry : read_value)(p, j, stream) < 0)
            return ERR_INVALID;
        if (intake_check(p->in, j->e) < 0)
            return ERR_LIMIT;
    }
    return rc < 0 ? rc : 0;
}

/* Now, or once the labels are known. */
static int entries_or_later(struct push_reader *p, struct json_in *j, const struct stream_text *st, struct str *later, bool legacy)
{
    return st->text.p ? read_entries(p, j, st->text, legacy) : json_in_skip(j, later);
}

static int read_later(struct push_reader *p, const struct json_in *j, struct str entries, struct str text, bool legacy)
{
    struct json_in k = *j;

    if (!entries.p)
        return 0;
    k.p = entries.p;
    return read_entries(p, &k, text, legacy);
}

/* The labels of an object as their text, so that the one cache knows them and the one reader judges them. */
static struct str selector_of(struct arena *a, const struct labels *ls)
{
    struct buf b = {0};
    struct str out;

    buf_putc(&b, '{');
    for (uint32_t i = 0; i < ls->n; i++) {
        if (i)
            buf_putz(&b, ", ");
        buf_puts(&b, ls->v[i].name);
        buf_putc(&b, '=');
        buf_put_quoted(&b, ls->v[i].value);
    }
    buf_putc(&b, '}');
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int read_json_stream(struct push_reader *p, struct json_in *j)
{
    struct stream_text st = {0};
    struct labels ls;
    struct str key;
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (str_eqz(key, "stream")) {
            rc = read_label_object(j, p->in->a, &ls);
            if (rc == 0) {
                qsort(ls.v, ls.n, sizeof *ls.v, by_name);
                st.text = selector_of(p->in->a, &ls);
            }
        } else if (str_eqz(key, "labels")) {
            rc = json_in_string(j, &st.text);
        } else if (str_eqz(key, "values")) {
            rc = entries_or_later(p, j, &st, &st.values, false);
        } else if (str_eqz(key, "entries")) {
            rc = entries_or_later(p, j, &st, &st.entries, true);
        } else {
            rc = json_in_skip(j, NULL);
        }
    }
    if (rc < 0 || read_later(p, j, st.values, st.text, false) < 0 || read_later(p, j, st.entries, st.text, true) < 0)
        return ERR_INVALID;
    return 0;
}

static int read_json_streams(struct push_reader *p, struct json_in *j)
{
    int rc;

    if (json_in_peek(j) == JSON_NULL)
        return json_in_skip(j, NULL);
    rc = json_in_open(j, '[');
    while (rc == 0 && (rc = json_in_item(j)) == 0) {
        p->nstreams++;
        rc = read_json_stream(p, j);
    }
    return rc < 0 ? rc : 0;
}

int push_read_json(struct push_reader *p, struct str body, struct err *e)
{
    struct json_in j;
    struct str key;
    int rc;

    logs_json_init(&j, p->in->a, body, e);
    rc = json_in_open(&j, '{');
    while (rc == 0 && (rc = json_in_key(&j, &key)) == 0)
        rc = str_eqz(key, "streams") ? read_json_streams(p, &j) : json_in_skip(&j, NULL);
    return rc < 0 ? e->code : json_in_end(&j);
}

/* --- the door -------------------------------------------------------------------------------------------- */

/* Protobuf comes as a snappy block; from some senders compressed otherwise, or not at all. */
static int decode_proto(struct logs_request *q, struct err *e)
{
    struct http_request *r = q->r;
    enum encoding enc = encoding_parse(http_header(r, "Content-Encoding"));
    struct str whole;
    int rc;

    if (enc == ENC_UNKNOWN)
        return err_set(e, ERR_INVALID, "Content-Encoding \"%.*s\" not supported", STR_ARG(str_head(http_header(r, "Content-Encoding"), 100)));
    if (enc == ENC_IDENTITY || enc == ENC_SNAPPY)
        return http_decode(r, ENC_SNAPPY, UINT64_MAX, e);
    if (http_decode(r, enc, UINT64_MAX, e) < 0)
        return e->code;
    whole = r->body;
    rc = http_decode(r, ENC_SNAPPY, UINT64_MAX, e);
    if (rc != ERR_INVALID)
        return rc;
    r->body = whole;
    return 0;
}

/* JSON that says it is snappy may be it, or as it stands: Loki takes it as it stands. */
static int decode_json(struct logs_request *q, struct err *e)
{
    struct str body = str_trim(q->r->body), name = http_header(q->r, "Content-Encoding");
    enum encoding enc = encoding_parse(name);

    if (enc == ENC_UNKNOWN)
        return err_set(e, ERR_INVALID, "Content-Encoding \"%.*s\" not supported", STR_ARG(str_head(name, 100)));
    if (enc == ENC_SNAPPY && body.n && body.p[0] == '{')
        enc = ENC_IDENTITY;
    return http_decode(q->r, enc, UINT64_MAX, e);
}

void push_loki(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_LOKI, false);
    struct push_reader p = {.in = &q->in, .cache = q->l->cache};
    struct str media = media_type(http_header(r, "Content-Type"));
    bool json = str_eq_nocase(media, STR("application/json"));
    struct err e = {0};
    int rc;

    if (!media.p) {
        logs_request_refuse(q, 400, http_header(r, "Content-Type").n ? "mime: the Content-Type is no media type" : "mime: no media type");
        return;
    }
    rc = json ? decode_json(q, &e) : decode_proto(q, &e);
    if (rc == 0) {
        logs_count(&q->l->stats.bytes_raw, r->body.n);
        rc = (json ? push_read_json : push_read_proto)(&p, r->body, &e);
    }
    if (rc < 0)
        logs_request_fail(q, &e);
    else if (p.nstreams == 0)
        logs_request_refuse(q, 422, "error at least one valid stream is required for ingestion");
    else
        logs_request_send(q);
}
