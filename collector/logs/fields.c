/*
 * fields.c - see fields.h.
 *
 * (1) Nothing of a record is lost: a field is time, line, label or metadata, or the whole record is the line.
 */
#include "collector/logs/fields.h"

#include "collector/logs/when.h"
#include "net/server.h"

/* What tells where a record comes from, where nobody says what does. */
static const struct str common_labels[] = {
    {"service_name", 12}, {"service.name", 12}, {"service", 7}, {"job", 3}, {"app", 3}, {"host", 4}, {"host.name", 9}, {"hostname", 8},
    {"namespace", 9}, {"container", 9}, {"container.name", 14}, {"kubernetes.namespace_name", 25}, {"kubernetes.container_name", 25},
    {"kubernetes.namespace", 20}, {"kubernetes.container.name", 25}, {"ddsource", 8}, {"env", 3}, {"environment", 11},
};
static const struct str common_times[] = {{"@timestamp", 10}, {"timestamp", 9}, {"time", 4}, {"ts", 2}};

void fields_add(struct arena *a, struct fields *f, struct str name, struct str value)
{
    if (f->n == f->cap) {
        struct label *more = arena_alloc(a, (f->cap ? f->cap * 2 : 32) * sizeof *more);

        if (f->n)
            memcpy(more, f->v, f->n * sizeof *more);
        f->v = more;
        f->cap = f->cap ? f->cap * 2 : 32;
    }
    f->v[f->n++] = (struct label){name, value};
}

static int read_object(struct json_in *j, struct str before, struct fields *out)
{
    struct str key, value;
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = json_in_key(j, &key)) == 0) {
        enum json_kind kind = json_in_peek(j);

        if (before.n && out->n <= FIELDS_MAX) /* beyond, nobody looks at the names any more */
            key = arena_printf(j->a, "%.*s.%.*s", STR_ARG(before), STR_ARG(key));
        if (kind == JSON_OBJECT) {
            rc = read_object(j, key, out);
            continue;
        }
        rc = kind == JSON_STRING ? json_in_string(j, &value) : json_in_skip(j, &value);
        if (rc == 0 && kind != JSON_NULL)
            fields_add(j->a, out, key, value);
    }
    return rc < 0 ? rc : 0;
}

int fields_read_json(struct json_in *j, struct fields *out)
{
    return read_object(j, STR(""), out);
}

/* --- what a request says ------------------------------------------------------------------------------ */

struct name_list names_split(struct arena *a, struct str s)
{
    struct name_list out = {0};
    struct str item;
    uint32_t cap = 1;

    for (size_t i = 0; i < s.n; i++)
        cap += s.p[i] == ',';
    out.v = arena_array(a, struct str, cap);
    while (s.n) {
        str_cut(&s, ',', &item);
        item = str_trim(item);
        if (item.n)
            out.v[out.n++] = item;
    }
    return out;
}

static struct str asked(struct http_request *r, const char *param, const char *header)
{
    struct str v = params_get(&r->params, param);

    return v.p ? v : http_header(r, header);
}

void fields_opts_read(struct http_request *r, const char *time, const char *msg, struct fields_opts *out)
{
    struct str t = asked(r, "_time_field", "VL-Time-Field"), m = asked(r, "_msg_field", "VL-Msg-Field");
    struct str stream = asked(r, "_stream_fields", "VL-Stream-Fields"), debug = asked(r, "debug", "VL-Debug");
    struct str extra = asked(r, "extra_fields", "VL-Extra-Fields"), item, name;

    *out = (struct fields_opts){.now_ns = clock_wall_ns(), .time_said = t.n > 0, .stream_said = stream.n > 0};
    out->time = names_split(r->arena, t.n ? t : str_of(time));
    out->msg = names_split(r->arena, m.n ? m : str_of(msg));
    out->stream = names_split(r->arena, stream);
    out->ignore = names_split(r->arena, asked(r, "ignore_fields", "VL-Ignore-Fields"));
    out->decolorize = names_split(r->arena, asked(r, "decolorize_fields", "VL-Decolorize-Fields"));
    out->scratch = arena_array(r->arena, struct label, MAX(out->stream.n, (uint32_t)ARRAY_LEN(common_labels)) + 2);
    out->debug = str_eqz(debug, "1") || str_eq_nocase(debug, STR("true"));
    while (extra.n) {
        str_cut(&extra, ',', &item);
        str_cut(&item, '=', &name);
        if (str_trim(name).n)
            fields_add(r->arena, &out->extra, str_trim(name), item);
    }
}

/* --- a record --------------------------------------------------------------------------------------------- */

static bool is_in(const struct str *v, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(v[i], name))
            return true;
    return false;
}

/* The first field of the names that is not empty; UINT32_MAX: none. */
static uint32_t find(const struct fields *f, const struct str *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < f->n; k++)
            if (f->v[k].value.n && str_eq(f->v[k].name, names[i]))
                return k;
    return UINT32_MAX;
}

/* Escape sequences that colour text: ESC '[' ... a letter. */
static struct str decolorized(struct arena *a, struct str s)
{
    char *to;
    size_t n = 0;

    if (!s.n || !memchr(s.p, 27, s.n))
        return s;
    to = arena_alloc(a, s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != 27 || i + 1 >= s.n || s.p[i + 1] != '[') {
            to[n++] = s.p[i];
            continue;
        }
        for (i += 2; i < s.n && !((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z');)
            i++;
    }
    return str_n(to, n);
}

static int read_time(const struct fields_opts *o, const struct fields *f, uint32_t *at, int64_t *t, struct err *e)
{
    struct str s;

    *t = o->now_ns;
    *at = find(f, o->time.v, o->time.n);
    if (*at == UINT32_MAX) {
        if (!o->time_said)
            *at = find(f, common_times, ARRAY_LEN(common_times));
        if (*at != UINT32_MAX && !when_rfc3339(f->v[*at].value, t) && !when_unix(f->v[*at].value, t))
            *at = UINT32_MAX; /* nobody said that it is the time */
        return 0;
    }
    s = f->v[*at].value;
    if (str_eqz(s, "0") || when_rfc3339(s, t) || when_unix(s, t))
        return 0;
    return err_set(e, ERR_INVALID, "the time \"%.*s\" in %.*s is none", STR_ARG(str_head(s, 100)), STR_ARG(str_head(f->v[*at].name, 100)));
}

/* Labels out of the fields that tell the stream; marks them used by emptying their names. */
static void take_labels(struct intake *in, const struct fields_opts *o, struct fields *f, bool keep, struct labels *out)
{
    const struct str *names = o->stream_said ? o->stream.v : common_labels;
    uint32_t n = o->stream_said ? o->stream.n : (uint32_t)ARRAY_LEN(common_labels);

    *out = (struct labels){o->scratch, 0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = find(f, &names[i], 1);
        struct str name;
        bool there = false;

        if (at == UINT32_MAX)
            continue;
        name = name_sanitise(in->a, names[i]);
        for (uint32_t k = 0; k < out->n && !there; k++)
            there = str_eq(out->v[k].name, name);
        if (there || name.n == 0)
            continue;
        out->v[out->n++] = (struct label){name, meta_value_clean(in->a, f->v[at].value)};
        if (!keep)
            f->v[at].name = STR("");
    }
}

static size_t fields_bytes(const struct fields *f)
{
    size_t n = 0;

    for (uint32_t i = 0; i < f->n; i++)
        n += f->v[i].name.n + f->v[i].value.n;
    return n;
}

static void prepare(struct intake *in, const struct fields_opts *o, struct fields *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        if (is_in(o->ignore.v, o->ignore.n, f->v[i].name))
            f->v[i].name = STR("");
        else if (is_in(o->decolorize.v, o->decolorize.n, f->v[i].name))
            f->v[i].value = decolorized(in->a, f->v[i].value);
    }
}

int fields_put(struct intake *in, const struct fields_opts *o, struct fields *f, struct str raw, struct err *e)
{
    uint32_t time_at, msg_at, stream, nown;
    enum logs_reason reason;
    struct labels ls;
    int64_t t;
    bool whole;

    prepare(in, o, f);
    if (read_time(o, f, &time_at, &t, e) < 0)
        return ERR_INVALID;
    msg_at = find(f, o->msg.v, o->msg.n);
    nown = f->n;
    for (uint32_t i = 0; i < o->extra.n; i++)
        fields_add(in->a, f, o->extra.v[i].name, o->extra.v[i].value);
    whole = raw.p && (msg_at == UINT32_MAX || nown > FIELDS_MAX || fields_bytes(f) - f->v[msg_at].value.n > FIELDS_BYTES_MAX);
    take_labels(in, o, f, whole, &ls);
    if (o->debug)
        return 0;
    if (intake_find(in, &ls, &stream, &reason, e) < 0)
        return ERR_INVALID;
    intake_row(in, stream, t, whole ? raw : msg_at == UINT32_MAX ? STR("") : f->v[msg_at].value);
    for (uint32_t i = whole ? nown : 0; i < f->n; i++)
        if (i != time_at && i != msg_at)
            intake_meta(in, f->v[i].name, f->v[i].value);
    intake_row_end(in);
    return intake_check(in, e);
}
