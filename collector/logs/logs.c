/*
 * logs.c - a request with log records, from its body to its answer, whichever protocol it speaks.
 *
 * (1) 2xx is said only when the logstore has called back: what was accepted is on disk (or was there already).
 * (2) A body that cannot be read stores nothing. Of one that can, what is acceptable is stored, and the answer tells of the rest.
 * (3) Our own trouble is 503 with Retry-After: every client repeats that, and a repetition counts once.
 */
#include "collector/logs/logs.h"

#include "collector/logs/request.h"

#include <assert.h>
#include <stdlib.h>

enum { FAULT_TEXT_MAX = 16 << 10 };

const char *logs_source_name(enum logs_source s)
{
    static const char *const names[LOGS_SOURCES] = {"loki", "otlp", "jsonline", "elasticsearch", "datadog", "journald", "syslog"};

    return names[s];
}

const char *logs_reason_name(enum logs_reason r)
{
    static const char *const names[LOGS_REASONS] = {
        "invalid_labels", "missing_labels", "duplicate_label_names", "rate_limited", "per_stream_rate_limit", "bad_record",
    };

    return names[r];
}

void logs_opts_default(struct logs_opts *o)
{
    *o = (struct logs_opts){.rate_burst_bytes = 6 << 20, .stream_rate_burst_bytes = 15 << 20, .future_ns_max = INT64_C(600) * 1000000000};
}

struct logs *logs_new(struct logstore *ls, const struct logs_opts *opts)
{
    struct logs *l = x_zalloc(sizeof *l);

    l->ls = ls;
    if (opts)
        l->opts = *opts;
    else
        logs_opts_default(&l->opts);
    l->cache = stream_cache_new();
    l->rates = rates_new();
    l->rules = logs_rules_new();
    pthread_mutex_init(&l->mu, NULL);
    return l;
}

void logs_free(struct logs *l)
{
    if (!l)
        return;
    assert(l->nsections == 0);
    logs_config_free(l->config);
    logs_rules_unref(l->rules);
    stream_cache_free(l->cache);
    rates_free(l->rates);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

struct logs_rules *logs_rules_get(struct logs *l)
{
    struct logs_rules *r;

    pthread_mutex_lock(&l->mu);
    r = l->rules;
    atomic_fetch_add(&r->refs, 1);
    pthread_mutex_unlock(&l->mu);
    return r;
}

void logs_stats(struct logs *l, struct logs_stats *out)
{
    for (int i = 0; i < LOGS_SOURCES; i++) {
        out->requests[i] = atomic_load(&l->stats.requests[i]);
        out->refused_requests[i] = atomic_load(&l->stats.refused_requests[i]);
        out->rows[i] = atomic_load(&l->stats.rows[i]);
    }
    for (int i = 0; i < LOGS_REASONS; i++)
        out->refused[i] = atomic_load(&l->stats.refused[i]);
    out->bytes_wire = atomic_load(&l->stats.bytes_wire);
    out->bytes_raw = atomic_load(&l->stats.bytes_raw);
    out->syslog_lost = atomic_load(&l->stats.syslog_lost);
}

/* --- a request ----------------------------------------------------------------------------------------- */

struct logs_request *logs_request_new(struct http_request *r, struct logs *l, enum logs_source source, bool mixed)
{
    struct logs_request *q = arena_new(r->arena, struct logs_request);

    q->r = r;
    q->l = l;
    q->source = source;
    q->rules = logs_rules_get(l);
    q->ok_status = 204;
    q->wire_bytes = r->body.n;
    intake_init(&q->in, r->arena, q->rules, r->body.n * 2, mixed);
    logs_count(&l->stats.requests[source], 1);
    logs_count(&l->stats.bytes_wire, r->body.n);
    return q;
}

/* The last look at q: http_reply takes its memory. */
static void reply(struct logs_request *q, int status, struct str text)
{
    intake_release(&q->in);
    logs_rules_unref(q->rules);
    if (status < 300) {
        http_reply(q->r, status, q->ok_type, q->ok_body);
        return;
    }
    logs_count(&q->l->stats.refused_requests[q->source], 1);
    if (status == 429 || status == 503)
        http_set_header(q->r, "Retry-After", STR("1"));
    if (q->answer)
        q->answer(q, status, text);
    else
        http_replyf(q->r, status, "text/plain; charset=utf-8", "%.*s\n", STR_ARG(text));
}

void logs_request_refuse(struct logs_request *q, int status, const char *text)
{
    reply(q, status, str_of(text));
}

void logs_request_fail(struct logs_request *q, const struct err *e)
{
    int status = e->code == ERR_LIMIT ? 413 : e->code == ERR_BUSY ? 503 : 400;

    logs_request_refuse(q, status, e->text[0] ? e->text : err_name(e->code));
}

int logs_request_decode(struct logs_request *q)
{
    struct str name = http_header(q->r, "Content-Encoding");
    enum encoding enc = encoding_parse(name);
    struct err e;

    if (enc == ENC_UNKNOWN) {
        err_set(&e, ERR_INVALID, "Content-Encoding \"%.*s\" not supported", STR_ARG(str_head(name, 100)));
    } else if (http_decode(q->r, enc, UINT64_MAX, &e) == 0) { /* the server has a limit for all */
        logs_count(&q->l->stats.bytes_raw, q->r->body.n);
        return 0;
    }
    logs_request_fail(q, &e);
    return ERR_INVALID;
}

static void answer_stored(struct logs_request *q)
{
    const struct log_batch *b = &q->in.b;
    struct buf text = {0};

    logs_count(&q->l->stats.rows[q->source], b->verdicts[LOG_OK] + b->verdicts[LOG_SAME]);
    for (int i = 0; i < LOGS_REASONS; i++)
        logs_count(&q->l->stats.refused[i], q->in.refused[i]);
    if (q->judged && intake_nrefused(&q->in))
        q->judged(q);
    if (intake_nrefused(&q->in) == 0 || q->answered || (q->lenient && (b->verdicts[LOG_OK] || b->verdicts[LOG_SAME]))) {
        reply(q, q->ok_status, STR_NULL);
        return;
    }
    intake_faults(&q->in, &text);
    reply(q, b->verdicts[LOG_STREAM_LIMIT] || q->in.refused[LOGS_STREAM_RATE] ? 429 : 400, str_head(buf_str(&text), FAULT_TEXT_MAX));
    buf_release(&text);
}

static void answer_failed(struct logs_request *q, int code, const struct err *e)
{
    int status = code == ERR_INVALID ? 413 : 503; /* more than a batch may have: the same again would not do either */

    reply(q, status, e && e->text[0] ? str_of(e->text) : str_of(err_name(code)));
}

/* On the journal thread. */
static void on_done(struct log_batch *b, int code, const struct err *e)
{
    struct logs_request *q = (struct logs_request *)((char *)b - offsetof(struct logs_request, in.b));

    if (code == 0)
        answer_stored(q);
    else
        answer_failed(q, code, e);
}

void logs_request_send(struct logs_request *q)
{
    struct str user = http_header(q->r, "X-Scope-OrgID");
    struct intake *in = &q->in;
    struct err e = {0};
    bool later = false;
    int rc = 0;

    intake_finish(in);
    in->b.any_age = str_eqz(http_header(q->r, "X-Tripod-Any-Age"), "1"); /* an import: as far back as the store keeps */
    if (in->b.nrows && rates_take(q->l->rates, q->rules, &q->l->opts, user.n ? user : STR("fake"), in->b.nrows, in->bytes, &e) < 0) {
        logs_count(&q->l->stats.refused[LOGS_RATE], in->b.nrows);
        logs_request_refuse(q, 429, e.text);
        return;
    }
    rates_take_streams(q->l->rates, &q->l->opts, in);
    if (in->b.nstreams)
        rc = logstore_ingest(q->l->ls, &in->b, on_done, &later, &e);
    if (later)
        return; /* q may be gone already */
    if (rc < 0)
        answer_failed(q, rc, &e);
    else
        answer_stored(q);
}

/* --- doors ------------------------------------------------------------------------------------------------ */

struct str media_type(struct str header)
{
    struct str media, param, name;

    header = str_trim(header);
    if (!str_cut(&header, ';', &media) && media.n == 0)
        return STR_NULL;
    media = str_trim(media);
    for (size_t i = 0; i < media.n; i++)
        if ((unsigned char)media.p[i] <= ' ' || strchr("()<>@,;:\\\"[]?=", media.p[i]))
            return STR_NULL;
    while (header.n) {
        str_cut(&header, ';', &param);
        if (str_trim(param).n && (!str_cut(&param, '=', &name) || str_trim(name).n == 0))
            return STR_NULL;
    }
    return media.n ? media : STR_NULL;
}

static void answer_ready(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "text/plain; charset=utf-8", STR("ready\n"));
}

void logs_routes(struct http_server *s, struct logs *l)
{
    static const struct {
        unsigned methods;
        const char *path;
        http_handler *fn;
    } routes[] = {
        {HTTP_POST, "/loki/api/v1/push", push_loki},
        {HTTP_POST, "/api/prom/push", push_loki},
        {HTTP_POST, "/insert/loki/api/v1/push", push_loki},
        {HTTP_POST, "/otlp/v1/logs", push_otlp_loki},
        {HTTP_POST, "/v1/logs", push_otlp},
        {HTTP_POST, "/insert/opentelemetry/v1/logs", push_otlp},
        {HTTP_POST, "/api/v1/logs/jsonline", push_jsonline},
        {HTTP_POST, "/insert/jsonline", push_jsonline},
        {HTTP_POST | HTTP_PUT, "/_bulk", push_elastic},
        {HTTP_POST | HTTP_PUT, "/{index}/_bulk", push_elastic},
        {HTTP_POST | HTTP_PUT, "/insert/elasticsearch/_bulk", push_elastic},
        {HTTP_POST | HTTP_PUT, "/insert/elasticsearch/{index}/_bulk", push_elastic},
        {HTTP_GET, "/insert/elasticsearch", push_elastic_probe},
        {HTTP_GET | HTTP_POST | HTTP_PUT, "/insert/elasticsearch/{rest...}", push_elastic_probe},
        {HTTP_POST, "/insert/journald/upload", push_journald},
        {HTTP_POST, "/insert/datadog/api/v2/logs", push_datadog},
    };

    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        http_route(s, routes[i].methods, routes[i].path, PERM_WRITE, HTTP_RAW_BODY, routes[i].fn, l);
    http_route(s, HTTP_GET, "/insert/loki/ready", PERM_OPEN, HTTP_QUIET, answer_ready, l);
    http_route(s, HTTP_GET, "/insert/datadog/api/v1/validate", PERM_OPEN, HTTP_QUIET, answer_ready, l);
}
