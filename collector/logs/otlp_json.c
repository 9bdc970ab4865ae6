/*
 * otlp_json.c - ExportLogsServiceRequest out of JSON, as the OpenTelemetry specification maps it. See otlp.h.
 *
 * (1) What a resource (or scope) says must be known before its records are written: records that come first are passed over
 *     and read when the object is whole.
 */
#include "collector/logs/otlp.h"

static bool named(struct str key, const char *camel, const char *snake)
{
    return str_eqz(key, camel) || str_eqz(key, snake);
}

static bool take_null(struct json_in *j)
{
    return json_in_peek(j) == JSON_NULL && json_in_skip(j, NULL) == 0;
}

static int read_text(struct json_in *j, struct str *out)
{
    return take_null(j) ? 0 : json_in_string(j, out);
}

/* Whole numbers, as numbers or as strings. */
static int read_i64(struct json_in *j, int64_t *out)
{
    struct str s;
    uint64_t u;
    double d;
    int rc;

    if (take_null(j))
        return 0;
    rc = json_in_peek(j) == JSON_STRING ? json_in_string(j, &s) : json_in_number(j, &s);
    if (rc < 0 || str_to_i64(s, out))
        return rc;
    if (str_to_u64(s, &u)) {
        *out = INT64_MAX; /* fixed64 beyond: a time no one lives to see */
        return 0;
    }
    if (num_parse(s, &d, NULL) && d > -9.2e18 && d < 9.2e18) {
        *out = (int64_t)d;
        return 0;
    }
    return json_in_fault(j, "a whole number was expected");
}

static int read_u64(struct json_in *j, uint64_t *out)
{
    int64_t v = 0;
    int rc = read_i64(j, &v);

    *out = v < 0 ? 0 : (uint64_t)v;
    return rc;
}

static int read_double(struct json_in *j, double *out)
{
    struct str s;
    int rc = json_in_peek(j) == JSON_STRING ? json_in_string(j, &s) : json_in_number(j, &s);

    if (rc < 0)
        return rc;
    if (str_eqz(s, "Infinity") || str_eqz(s, "-Infinity"))
        *out = s.p[0] == '-' ? -__builtin_inf() : __builtin_inf();
    else if (!num_parse(s, out, NULL))
        return json_in_fault(j, "a number was expected");
    return 0;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Ids are hex; of any other length than theirs the request is wrong. */
static int read_id(struct json_in *j, size_t want, struct str *out)
{
    struct str s = STR("");
    char *to;

    if (read_text(j, &s) < 0)
        return ERR_INVALID;
    *out = STR("");
    if (s.n == 0)
        return 0;
    if (s.n != want * 2)
        return json_in_fault(j, "an id of a wrong length");
    to = arena_alloc(j->a, want);
    for (size_t i = 0; i < want; i++) {
        int hi = hex_of(s.p[2 * i]), lo = hex_of(s.p[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return json_in_fault(j, "an id that is not hexadecimal");
        to[i] = (char)(hi << 4 | lo);
    }
    *out = str_n(to, want);
    return 0;
}

static int base64_of(char c) /* of both alphabets */
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static int read_base64(struct json_in *j, struct str *out)
{
    struct str s = STR("");
    uint32_t v = 0;
    unsigned bits = 0;
    size_t n = 0;
    char *to;

    if (json_in_string(j, &s) < 0)
        return ERR_INVALID;
    to = arena_alloc(j->a, s.n + 1);
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        int d = base64_of(s.p[i]);

        if (d < 0)
            return json_in_fault(j, "bytes that are not base64");
        v = (v << 6 | (uint32_t)d) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[n++] = (char)(v >> bits & 255);
        }
    }
    *out = str_n(to, n);
    return 0;
}

/* --- values of attributes -------------------------------------------------------------------------------- */

static int read_any(struct json_in *j, struct any *out, unsigned depth);

static int read_pair(struct json_in *j, struct any_pair *out, unsigned depth)
{
    struct str key;
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (str_eqz(key, "key"))
            rc = read_text(j, &out->key);
        else if (str_eqz(key, "value"))
            rc = take_null(j) ? 0 : read_any(j, &out->value, depth);
        else
            rc = json_in_skip(j, NULL);
    }
    return rc < 0 ? rc : 0;
}

static int read_pairs(struct json_in *j, struct any_pairs *out, unsigned depth)
{
    int rc;

    if (take_null(j))
        return 0;
    rc = json_in_open(j, '[');
    while (rc == 0 && (rc = json_in_item(j)) == 0)
        rc = read_pair(j, any_pairs_add(j->a, out), depth);
    return rc < 0 ? rc : 0;
}

static int read_list(struct json_in *j, struct any *out, unsigned depth)
{
    uint32_t n = 0, cap = 8;
    struct any *v = arena_array(j->a, struct any, cap);
    int rc = json_in_open(j, '[');

    while (rc == 0 && (rc = json_in_item(j)) == 0) {
        if (n == cap) {
            struct any *more = arena_array(j->a, struct any, cap * 2);

            memcpy(more, v, n * sizeof *v);
            v = more;
            cap *= 2;
        }
        rc = take_null(j) ? 0 : read_any(j, &v[n], depth);
        n++;
    }
    *out = (struct any){.kind = ANY_LIST, .n = n, .list = v};
    return rc < 0 ? rc : 0;
}

/* {"values": [...]} */
static int read_values(struct json_in *j, enum any_kind kind, struct any *out, unsigned depth)
{
    struct any_pairs pairs = {0};
    struct str key;
    int rc = json_in_open(j, '{');

    *out = (struct any){.kind = kind};
    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (!str_eqz(key, "values") || json_in_peek(j) == JSON_NULL)
            rc = json_in_skip(j, NULL);
        else if (kind == ANY_LIST)
            rc = read_list(j, out, depth);
        else
            rc = read_pairs(j, &pairs, depth);
    }
    if (kind == ANY_MAP) {
        out->map = pairs.v;
        out->n = pairs.n;
    }
    return rc < 0 ? rc : 0;
}

static int read_bool(struct json_in *j, bool *out)
{
    enum json_kind k = json_in_peek(j);

    *out = k == JSON_TRUE;
    return k == JSON_TRUE || k == JSON_FALSE ? json_in_skip(j, NULL) : json_in_fault(j, "true or false was expected");
}

static int read_any(struct json_in *j, struct any *out, unsigned depth)
{
    struct str key;
    int rc = json_in_open(j, '{');

    if (depth >= ANY_DEPTH_MAX)
        return json_in_fault(j, "an attribute nested deeper than the limit of 64");
    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        struct any v = {0};

        if (json_in_peek(j) == JSON_NULL)
            rc = json_in_skip(j, NULL);
        else if (named(key, "stringValue", "string_value"))
            v.kind = ANY_STRING, rc = json_in_string(j, &v.s);
        else if (named(key, "boolValue", "bool_value"))
            v.kind = ANY_BOOL, rc = read_bool(j, &v.b);
        else if (named(key, "intValue", "int_value"))
            v.kind = ANY_INT, rc = read_i64(j, &v.i);
        else if (named(key, "doubleValue", "double_value"))
            v.kind = ANY_DOUBLE, rc = read_double(j, &v.d);
        else if (named(key, "bytesValue", "bytes_value"))
            v.kind = ANY_BYTES, rc = read_base64(j, &v.s);
        else if (named(key, "arrayValue", "array_value"))
            rc = read_values(j, ANY_LIST, &v, depth + 1);
        else if (named(key, "kvlistValue", "kvlist_value"))
            rc = read_values(j, ANY_MAP, &v, depth + 1);
        else
            rc = json_in_skip(j, NULL);
        if (rc == 0 && v.kind)
            *out = v;
    }
    return rc < 0 ? rc : 0;
}

/* --- the message ------------------------------------------------------------------------------------------- */

/* A number, or the name of one: "SEVERITY_NUMBER_WARN2". */
static int read_severity(struct json_in *j, uint64_t *out)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    struct str s, prefix = STR("SEVERITY_NUMBER_");

    if (json_in_peek(j) != JSON_STRING)
        return read_u64(j, out);
    if (json_in_string(j, &s) < 0)
        return ERR_INVALID;
    if (str_to_u64(s, out))
        return 0;
    s = str_starts(s, prefix) ? str_from(s, prefix.n) : STR("");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str name = str_of(names[i]), rest = str_from(s, name.n);

        if (str_starts(s, name) && (rest.n == 0 || (rest.n == 1 && rest.p[0] >= '2' && rest.p[0] <= '4')))
            *out = i * 4 + 1 + (rest.n ? (uint64_t)(rest.p[0] - '1') : 0);
    }
    return 0;
}

static int read_record(struct otlp_writer *w, struct json_in *j, struct otlp_record *rec)
{
    struct any_pairs kept = {rec->attributes.v, 0, rec->attributes.cap};
    struct str key;
    int rc = json_in_open(j, '{');

    *rec = (struct otlp_record){.attributes = kept};
    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (named(key, "timeUnixNano", "time_unix_nano"))
            rc = read_i64(j, &rec->t_ns);
        else if (named(key, "observedTimeUnixNano", "observed_time_unix_nano"))
            rc = read_i64(j, &rec->observed_ns);
        else if (named(key, "severityNumber", "severity_number"))
            rc = read_severity(j, &rec->severity);
        else if (named(key, "severityText", "severity_text"))
            rc = read_text(j, &rec->severity_text);
        else if (str_eqz(key, "body"))
            rc = take_null(j) ? 0 : read_any(j, &rec->body, 0);
        else if (str_eqz(key, "attributes"))
            rc = read_pairs(j, &rec->attributes, 0);
        else if (named(key, "droppedAttributesCount", "dropped_attributes_count"))
            rc = read_u64(j, &rec->dropped);
        else if (str_eqz(key, "flags"))
            rc = read_u64(j, &rec->flags);
        else if (named(key, "traceId", "trace_id"))
            rc = read_id(j, 16, &rec->trace_id);
        else if (named(key, "spanId", "span_id"))
            rc = read_id(j, 8, &rec->span_id);
        else if (named(key, "eventName", "event_name"))
            rc = read_text(j, &rec->event_name);
        else
            rc = json_in_skip(j, NULL);
    }
    return rc < 0 ? rc : otlp_record(w, rec, j->e);
}

static int read_records(struct otlp_writer *w, struct json_in *j, struct otlp_record *rec)
{
    int rc;

    if (take_null(j))
        return 0;
    rc = json_in_open(j, '[');
    while (rc == 0 && (rc = json_in_item(j)) == 0)
        rc = read_record(w, j, rec);
    return rc < 0 ? rc : 0;
}

static int read_scope(struct otlp_writer *w, struct json_in *j)
{
    struct any_pairs attributes = {0};
    struct str key, name = STR(""), version = STR("");
    uint64_t dropped = 0;
    int rc = take_null(j) ? 1 : json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (str_eqz(key, "name"))
            rc = read_text(j, &name);
        else if (str_eqz(key, "version"))
            rc = read_text(j, &version);
        else if (str_eqz(key, "attributes"))
            rc = read_pairs(j, &attributes, 0);
        else if (named(key, "droppedAttributesCount", "dropped_attributes_count"))
            rc = read_u64(j, &dropped);
        else
            rc = json_in_skip(j, NULL);
    }
    if (rc >= 0)
        otlp_scope(w, name, version, dropped, &attributes);
    return rc < 0 ? rc : 0;
}

static int read_resource(struct otlp_writer *w, struct json_in *j)
{
    struct any_pairs attributes = {0};
    struct str key;
    int rc = take_null(j) ? 1 : json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0)
        rc = str_eqz(key, "attributes") ? read_pairs(j, &attributes, 0) : json_in_skip(j, NULL);
    if (rc >= 0)
        otlp_resource(w, &attributes);
    return rc < 0 ? rc : 0;
}

/*
 * A level of the message: a list of rows, and what they share. That is known before they are read: where a sender writes it behind
 * them, they are passed over, and read when it was found.
 */
struct level {
    const char *shared, *rows, *rows_snake;
    int (*read_shared)(struct otlp_writer *w, struct json_in *j);
    void (*share_nothing)(struct otlp_writer *w);
    int (*read_rows)(struct otlp_writer *w, struct json_in *j, struct otlp_record *rec);
};

static int read_level(const struct level *l, struct otlp_writer *w, struct json_in *j, struct otlp_record *rec)
{
    struct str key, later = STR_NULL;
    bool known = false;
    struct json_in k;
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        if (str_eqz(key, l->shared)) {
            rc = l->read_shared(w, j);
            known = true;
        } else if (named(key, l->rows, l->rows_snake)) {
            rc = known ? l->read_rows(w, j, rec) : json_in_skip(j, &later);
        } else {
            rc = json_in_skip(j, NULL);
        }
    }
    if (rc < 0 || !later.p)
        return rc < 0 ? rc : 0;
    if (!known)
        l->share_nothing(w);
    k = *j;
    k.p = later.p;
    return l->read_rows(w, &k, rec);
}

static const struct any_pairs none;

static void no_scope(struct otlp_writer *w)
{
    otlp_scope(w, STR(""), STR(""), 0, &none);
}

static void no_resource(struct otlp_writer *w)
{
    otlp_resource(w, &none);
}

static int read_scopes(struct otlp_writer *w, struct json_in *j, struct otlp_record *rec)
{
    static const struct level scope = {"scope", "logRecords", "log_records", read_scope, no_scope, read_records};
    int rc;

    if (take_null(j))
        return 0;
    rc = json_in_open(j, '[');
    while (rc == 0 && (rc = json_in_item(j)) == 0)
        rc = read_level(&scope, w, j, rec);
    return rc < 0 ? rc : 0;
}

int otlp_read_json(struct otlp_writer *w, struct str body, struct err *e)
{
    static const struct level resource = {"resource", "scopeLogs", "scope_logs", read_resource, no_resource, read_scopes};
    struct otlp_record rec = {0};
    struct json_in j;
    struct str key;
    int rc;

    logs_json_init(&j, w->in->a, body, e);
    rc = json_in_open(&j, '{');
    while (rc == 0 && (rc = json_in_key(&j, &key)) == 0) {
        if (!named(key, "resourceLogs", "resource_logs") || json_in_peek(&j) == JSON_NULL) {
            rc = json_in_skip(&j, NULL);
            continue;
        }
        rc = json_in_open(&j, '[');
        while (rc == 0 && (rc = json_in_item(&j)) == 0)
            rc = read_level(&resource, w, &j, &rec);
        rc = rc < 0 ? rc : 0;
    }
    return rc < 0 ? e->code : json_in_end(&j);
}
