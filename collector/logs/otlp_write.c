/*
 * otlp_write.c - what becomes of a log record of OpenTelemetry: Loki's mapping, with the rules of otlp_config.
 *
 * (1) The labels of a resource become its stream when the first record asks for it; a record with labels of its own
 *     gets a stream of its own.
 * (2) Metadata of resource and scope go with every record, before those of the record: of two of a name the first one counts,
 *     so the record's own are written first.
 */
#include "collector/logs/otlp.h"

#include <stdio.h>

void otlp_writer_init(struct otlp_writer *w, struct intake *in)
{
    *w = (struct otlp_writer){.in = in, .now_ns = clock_wall_ns()};
}

static void add(struct arena *a, struct label **v, uint32_t *n, uint32_t *cap, struct str name, struct str value)
{
    if (*n + 4 > *cap) { /* room for a severity and a service_name */
        struct label *more = arena_alloc(a, (*cap ? *cap * 2 : 32) * sizeof *more);

        if (*n)
            memcpy(more, *v, *n * sizeof *more);
        *v = more;
        *cap = *cap ? *cap * 2 : 32;
    }
    (*v)[(*n)++] = (struct label){name, value};
}

/* Of two label values of a name the first one counts. */
static void add_label(struct otlp_writer *w, struct str name, struct str value)
{
    name = name_sanitise(w->in->a, name);
    for (uint32_t i = 0; i < w->nlabels; i++)
        if (str_eq(w->labels[i].name, name))
            return;
    if (name.n && value.n)
        add(w->in->a, &w->labels, &w->nlabels, &w->labels_cap, name, value);
}

/* name, or before_name where something is before it. */
static struct str joined(struct arena *a, struct str before, struct str name)
{
    return before.n ? arena_printf(a, "%.*s_%.*s", STR_ARG(before), STR_ARG(name)) : name;
}

/* Metadata of an attribute: maps are laid flat. Into the writer's own list, or (row) into the row begun last. */
static void put_meta(struct otlp_writer *w, bool row, struct str before, struct str key, const struct any *v)
{
    struct str name = joined(w->in->a, before, key);

    if (v->kind == ANY_MAP) {
        for (uint32_t i = 0; i < v->n; i++)
            put_meta(w, row, name, v->map[i].key, &v->map[i].value);
        return;
    }
    if (row)
        intake_meta(w->in, name, any_text(w->in->a, v));
    else
        add(w->in->a, &w->meta, &w->nmeta, &w->meta_cap, name, any_text(w->in->a, v));
}

void otlp_resource(struct otlp_writer *w, const struct any_pairs *attributes)
{
    w->nlabels = w->nmeta = 0;
    w->has_stream = false;
    for (uint32_t i = 0; i < attributes->n; i++) {
        const struct any_pair *p = &attributes->v[i];

        switch (otlp_rules_ask(w->in->rules, OTLP_RESOURCE, p->key)) {
        case OTLP_INDEX:
            add_label(w, p->key, any_text(w->in->a, &p->value));
            break;
        case OTLP_METADATA:
            put_meta(w, false, STR(""), p->key, &p->value);
            break;
        case OTLP_DROP:
            break;
        }
    }
    w->nresource = w->nmeta;
}

void otlp_scope(struct otlp_writer *w, struct str name, struct str version, uint64_t dropped, const struct any_pairs *attributes)
{
    struct arena *a = w->in->a;

    w->nmeta = w->nresource;
    if (name.n)
        add(a, &w->meta, &w->nmeta, &w->meta_cap, STR("scope_name"), name);
    if (version.n)
        add(a, &w->meta, &w->nmeta, &w->meta_cap, STR("scope_version"), version);
    if (dropped)
        add(a, &w->meta, &w->nmeta, &w->meta_cap, STR("scope_dropped_attributes_count"), arena_printf(a, "%llu", (unsigned long long)dropped));
    for (uint32_t i = 0; i < attributes->n; i++)
        if (otlp_rules_ask(w->in->rules, OTLP_SCOPE, attributes->v[i].key) != OTLP_DROP)
            put_meta(w, false, STR(""), attributes->v[i].key, &attributes->v[i].value);
}

/* The stream of a record: its resource's, or one with its own labels beside. */
static int find_stream(struct otlp_writer *w, const struct otlp_record *rec, uint32_t *out, enum logs_reason *reason, struct err *e)
{
    uint32_t kept = w->nlabels;
    struct labels ls;
    int rc;

    if (w->in->rules->severity_as_label && rec->severity_text.n)
        add_label(w, STR("severity_text"), rec->severity_text);
    for (uint32_t i = 0; w->in->rules->notlp[OTLP_LOG] && i < rec->attributes.n; i++)
        if (otlp_rules_ask(w->in->rules, OTLP_LOG, rec->attributes.v[i].key) == OTLP_INDEX)
            add_label(w, rec->attributes.v[i].key, any_text(w->in->a, &rec->attributes.v[i].value));
    if (w->nlabels == kept && w->has_stream) {
        *out = w->stream;
        return 0;
    }
    ls = (struct labels){arena_alloc(w->in->a, (w->nlabels + 1) * sizeof *ls.v), w->nlabels};
    if (ls.n)
        memcpy(ls.v, w->labels, ls.n * sizeof *ls.v);
    rc = intake_find(w->in, &ls, out, reason, e);
    if (w->nlabels == kept && rc == 0) {
        w->stream = *out;
        w->has_stream = true;
    }
    w->nlabels = kept;
    return rc;
}

static void meta_number(struct otlp_writer *w, struct str name, uint64_t v)
{
    char *text;

    if (v == 0)
        return;
    text = arena_alloc(w->in->a, 24);
    intake_meta(w->in, name, str_n(text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)v)));
}

static void meta_id(struct otlp_writer *w, struct str name, struct str id)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char any = 0;
    char *text;

    for (size_t i = 0; i < id.n; i++)
        any |= (unsigned char)id.p[i];
    if (!any || id.n > 64)
        return;
    text = arena_alloc(w->in->a, id.n * 2);
    for (size_t i = 0; i < id.n; i++) {
        text[2 * i] = digits[(unsigned char)id.p[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)id.p[i] & 15];
    }
    intake_meta(w->in, name, str_n(text, id.n * 2));
}

static void put_record_meta(struct otlp_writer *w, const struct otlp_record *rec)
{
    for (uint32_t i = 0; i < rec->attributes.n; i++) {
        const struct any_pair *p = &rec->attributes.v[i];

        if (otlp_rules_ask(w->in->rules, OTLP_LOG, p->key) == OTLP_METADATA)
            put_meta(w, true, STR(""), p->key, &p->value);
    }
    if (rec->t_ns && rec->observed_ns)
        meta_number(w, STR("observed_timestamp"), (uint64_t)rec->observed_ns);
    meta_number(w, STR("severity_number"), rec->severity);
    if (!w->in->rules->severity_as_label)
        intake_meta(w->in, STR("severity_text"), rec->severity_text);
    meta_number(w, STR("dropped_attributes_count"), rec->dropped);
    meta_number(w, STR("flags"), rec->flags);
    meta_id(w, STR("trace_id"), rec->trace_id);
    meta_id(w, STR("span_id"), rec->span_id);
    intake_meta(w->in, STR("event_name"), rec->event_name);
}

int otlp_record(struct otlp_writer *w, const struct otlp_record *rec, struct err *e)
{
    int64_t t = rec->t_ns ? rec->t_ns : rec->observed_ns ? rec->observed_ns : w->now_ns;
    enum logs_reason reason;
    struct err why;
    uint32_t stream;

    w->records++;
    if (find_stream(w, rec, &stream, &reason, &why) < 0) {
        intake_refuse(w->in, reason, 1, why.text);
        return 0;
    }
    intake_row(w->in, stream, t, any_text(w->in->a, &rec->body));
    put_record_meta(w, rec);
    for (uint32_t i = 0; i < w->nmeta; i++)
        intake_meta(w->in, w->meta[i].name, w->meta[i].value);
    intake_row_end(w->in);
    return intake_check(w->in, e);
}
