/*
 * otlp_proto.c - ExportLogsServiceRequest out of protobuf. See otlp.h.
 *
 * (1) A resource stands before its scopes and a scope before its records on the wire of every sender, but a message may have
 *     them in any order: each is looked for first.
 */
#include "collector/logs/otlp.h"
#include "net/wire.h"

static int read_any(struct arena *a, struct str bytes, struct any *out, unsigned depth);

static int read_pair(struct arena *a, struct str bytes, struct any_pair *out, unsigned depth)
{
    struct field f = {0};
    struct wire w;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            out->key = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES && read_any(a, f.bytes, &out->value, depth) < 0)
            return ERR_INVALID;
    }
    return rc < 0 ? rc : 0;
}

static int count_fields(struct str bytes, uint32_t number, uint32_t *n)
{
    struct field f = {0};
    struct wire w;
    int rc;

    *n = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0)
        *n += f.number == number && f.type == WIRE_BYTES;
    return rc < 0 ? rc : 0;
}

static int read_many(struct arena *a, struct str bytes, enum any_kind kind, struct any *out, unsigned depth)
{
    struct field f = {0};
    struct wire w;
    uint32_t n, at = 0;
    int rc = count_fields(bytes, 1, &n);

    *out = (struct any){.kind = kind, .n = n};
    if (rc < 0 || depth == ANY_DEPTH_MAX)
        return ERR_INVALID;
    if (kind == ANY_LIST)
        out->list = arena_array(a, struct any, n + 1);
    else
        out->map = arena_array(a, struct any_pair, n + 1);
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        rc = kind == ANY_LIST ? read_any(a, f.bytes, &out->list[at], depth + 1) : read_pair(a, f.bytes, &out->map[at], depth + 1);
        if (rc < 0)
            return rc;
        at++;
    }
    return 0;
}

/* Of a oneof the last one met counts. */
static int read_any(struct arena *a, struct str bytes, struct any *out, unsigned depth)
{
    struct field f = {0};
    struct wire w;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            *out = (struct any){.kind = ANY_STRING, .s = f.bytes};
        else if (f.number == 2 && f.type == WIRE_VARINT)
            *out = (struct any){.kind = ANY_BOOL, .b = f.v != 0};
        else if (f.number == 3 && f.type == WIRE_VARINT)
            *out = (struct any){.kind = ANY_INT, .i = (int64_t)f.v};
        else if (f.number == 4 && f.type == WIRE_FIXED64)
            *out = (struct any){.kind = ANY_DOUBLE, .d = f64_from_bits(f.v)};
        else if (f.number == 5 && f.type == WIRE_BYTES)
            rc = read_many(a, f.bytes, ANY_LIST, out, depth);
        else if (f.number == 6 && f.type == WIRE_BYTES)
            rc = read_many(a, f.bytes, ANY_MAP, out, depth);
        else if (f.number == 7 && f.type == WIRE_BYTES)
            *out = (struct any){.kind = ANY_BYTES, .s = f.bytes};
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : 0;
}

/* The attributes in field `number` of a message, and its count of dropped ones in the field behind. */
static int read_attributes(struct arena *a, struct str bytes, uint32_t number, struct any_pairs *out, uint64_t *dropped)
{
    struct field f = {0};
    struct wire w;
    int rc;

    out->n = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == number && f.type == WIRE_BYTES && read_pair(a, f.bytes, any_pairs_add(a, out), 0) < 0)
            return ERR_INVALID;
        if (f.number == number + 1 && f.type == WIRE_VARINT)
            *dropped = f.v;
    }
    return rc < 0 ? rc : 0;
}

static int read_record(struct otlp_writer *w, struct otlp_record *rec, struct str bytes, struct err *e)
{
    struct any_pairs kept = {rec->attributes.v, 0, rec->attributes.cap};
    struct arena *a = w->in->a;
    struct field f = {0};
    struct wire in;
    int rc;

    *rec = (struct otlp_record){.attributes = kept};
    wire_init(&in, bytes);
    while ((rc = wire_next(&in, &f)) == 0) {
        if (f.type == WIRE_FIXED64 && f.number == 1)
            rec->t_ns = (int64_t)MIN(f.v, (uint64_t)INT64_MAX);
        else if (f.type == WIRE_FIXED64 && f.number == 11)
            rec->observed_ns = (int64_t)MIN(f.v, (uint64_t)INT64_MAX);
        else if (f.type == WIRE_VARINT && f.number == 2)
            rec->severity = f.v;
        else if (f.type == WIRE_VARINT && f.number == 7)
            rec->dropped = f.v;
        else if (f.type == WIRE_FIXED32 && f.number == 8)
            rec->flags = f.v;
        else if (f.type != WIRE_BYTES)
            continue;
        else if (f.number == 3)
            rec->severity_text = f.bytes;
        else if (f.number == 5)
            rc = read_any(a, f.bytes, &rec->body, 0);
        else if (f.number == 6)
            rc = read_pair(a, f.bytes, any_pairs_add(a, &rec->attributes), 0);
        else if (f.number == 9)
            rec->trace_id = f.bytes;
        else if (f.number == 10)
            rec->span_id = f.bytes;
        else if (f.number == 12)
            rec->event_name = f.bytes;
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : otlp_record(w, rec, e);
}

static int read_scope(struct otlp_writer *w, struct str bytes)
{
    struct any_pairs attributes = {0};
    struct str name = STR(""), version = STR("");
    uint64_t dropped = 0;
    struct field f = {0};
    struct wire in;
    int rc;

    wire_init(&in, bytes);
    while ((rc = wire_next(&in, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            name = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            version = f.bytes;
    }
    if (rc < 0 || read_attributes(w->in->a, bytes, 3, &attributes, &dropped) < 0)
        return ERR_INVALID;
    otlp_scope(w, name, version, dropped, &attributes);
    return 0;
}

/* The last field `number` of a message, empty where there is none. */
static int find_message(struct str bytes, uint32_t number, struct str *out)
{
    struct field f = {0};
    struct wire w;
    int rc;

    *out = STR("");
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0)
        if (f.number == number && f.type == WIRE_BYTES)
            *out = f.bytes;
    return rc < 0 ? rc : 0;
}

static int read_scope_logs(struct otlp_writer *w, struct otlp_record *rec, struct str bytes, struct err *e)
{
    struct str scope;
    struct field f = {0};
    struct wire in;
    int rc;

    if (find_message(bytes, 1, &scope) < 0 || read_scope(w, scope) < 0)
        return ERR_INVALID;
    wire_init(&in, bytes);
    while ((rc = wire_next(&in, &f)) == 0)
        if (f.number == 2 && f.type == WIRE_BYTES && (rc = read_record(w, rec, f.bytes, e)) < 0)
            return rc;
    return rc < 0 ? rc : 0;
}

static int read_resource_logs(struct otlp_writer *w, struct otlp_record *rec, struct str bytes, struct err *e)
{
    struct any_pairs attributes = {0};
    struct str resource;
    uint64_t dropped = 0;
    struct field f = {0};
    struct wire in;
    int rc;

    if (find_message(bytes, 1, &resource) < 0 || read_attributes(w->in->a, resource, 1, &attributes, &dropped) < 0)
        return ERR_INVALID;
    otlp_resource(w, &attributes);
    wire_init(&in, bytes);
    while ((rc = wire_next(&in, &f)) == 0)
        if (f.number == 2 && f.type == WIRE_BYTES && (rc = read_scope_logs(w, rec, f.bytes, e)) < 0)
            return rc;
    return rc < 0 ? rc : 0;
}

int otlp_read_proto(struct otlp_writer *w, struct str body, struct err *e)
{
    struct otlp_record rec = {0};
    struct field f = {0};
    struct wire in;
    int rc;

    err_set(e, ERR_INVALID, "the body is no protobuf message of ExportLogsServiceRequest");
    wire_init(&in, body);
    while ((rc = wire_next(&in, &f)) == 0)
        if (f.number == 1 && f.type == WIRE_BYTES && read_resource_logs(w, &rec, f.bytes, e) < 0)
            return e->code;
    return rc < 0 ? ERR_INVALID : 0;
}
