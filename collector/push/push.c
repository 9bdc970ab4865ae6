/*
 * push.c - the routes of push: what is taken, and what the sender is told.
 *
 * (1) The type and the encoding are checked before the body is touched.
 * (2) 2xx is said only when the tsdb has called back: the rows are on disk (or were there already).
 * (3) Every answer to a 2.0 message carries the three Written headers, refusals too.
 * (4) 1.0: a refused sample takes the whole request back, so that the sender may think of it as never sent. Only what
 *     repeating could not mend (labels that are no set, a series too many) is left out and the rest stored.
 */
#include "collector/push/request.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

enum { BODY_MAX = 32 << 20, DECODED_MAX = 32 << 20 };

static struct {
    _Atomic uint64_t requests, samples, series, refused_requests, refused_samples, bytes_wire, bytes_raw;
} stats;

static void add(_Atomic uint64_t *c, uint64_t n)
{
    if (n)
        atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void push_stats(struct push_stats *out)
{
    *out = (struct push_stats){
        .requests = atomic_load(&stats.requests),
        .samples = atomic_load(&stats.samples),
        .series = atomic_load(&stats.series),
        .refused_requests = atomic_load(&stats.refused_requests),
        .refused_samples = atomic_load(&stats.refused_samples),
        .bytes_wire = atomic_load(&stats.bytes_wire),
        .bytes_raw = atomic_load(&stats.bytes_raw),
    };
}

struct push_request *push_request_new(struct http_request *r, struct push_ctx *ctx, enum push_kind kind)
{
    struct push_request *p = arena_new(r->arena, struct push_request);

    p->r = r;
    p->ctx = ctx;
    p->kind = kind;
    p->wire_bytes = r->body.n;
    add(&stats.requests, 1);
    add(&stats.bytes_wire, r->body.n);
    return p;
}

/* --- the answer ------------------------------------------------------------------------------------ */

static void set_written(struct push_request *p, uint64_t samples, uint64_t histograms, uint64_t exemplars)
{
    static const char prefix[] = "X-Prometheus-Remote-Write-";
    const struct {
        const char *what;
        uint64_t n;
    } headers[] = {{"Samples", samples}, {"Histograms", histograms}, {"Exemplars", exemplars}};
    char name[64], value[24];

    for (size_t i = 0; p->kind == PUSH_RW2 && i < ARRAY_LEN(headers); i++) {
        snprintf(name, sizeof name, "%s%s-Written", prefix, headers[i].what);
        snprintf(value, sizeof value, "%llu", (unsigned long long)headers[i].n);
        http_set_header(p->r, name, str_of(value));
    }
}

static void answer(struct push_request *p, int status, const char *text)
{
    if (status == 204) {
        http_reply(p->r, 204, NULL, STR_NULL);
        return;
    }
    add(&stats.refused_requests, 1);
    http_replyf(p->r, status, "text/plain; charset=utf-8", "%s\n", text);
}

void push_refuse(struct push_request *p, int status, const char *text)
{
    set_written(p, 0, 0, 0);
    answer(p, status, text);
}

static uint64_t refused_rows(const struct tsdb_batch *b)
{
    uint64_t n = 0;

    for (int v = 0; v < TSDB_VERDICTS; v++)
        if (v != TSDB_OK && v != TSDB_SAME)
            n += b->verdicts[v];
    return n;
}

/* The rows that could be stored are; what of the rest? */
static void answer_stored(struct push_request *p)
{
    const struct tsdb_batch *b = &p->m.batch;
    uint64_t refused = refused_rows(b), written = b->verdicts[TSDB_OK] + b->verdicts[TSDB_SAME];
    bool only_labels = refused == b->verdicts[TSDB_BAD_LABELS];
    char text[1400];

    add(&stats.samples, written);
    add(&stats.series, b->nseries);
    add(&stats.refused_samples, refused + p->m.nrefused);
    set_written(p, written - b->histograms, b->histograms, b->exemplars_stored);
    if (b->bad_verdict != TSDB_OK && !(p->kind == PUSH_RW1 && only_labels))
        snprintf(text, sizeof text, "%s (%llu samples refused, %llu stored)", b->bad.text,
                 (unsigned long long)refused + p->m.nrefused, (unsigned long long)written);
    else if (p->m.refused.code)
        snprintf(text, sizeof text, "%s (%llu samples refused, %llu stored)", p->m.refused.text,
                 (unsigned long long)p->m.nrefused, (unsigned long long)written);
    else {
        answer(p, 204, NULL);
        return;
    }
    answer(p, 400, text);
}

static void answer_failed(struct push_request *p, int code, const struct err *e)
{
    int status = code == ERR_EXISTS || code == ERR_INVALID || code == ERR_LIMIT ? 400 : http_status_of(code);

    add(&stats.refused_samples, p->m.nsamples + p->m.nrefused);
    push_refuse(p, status, e && e->text[0] ? e->text : err_name(code));
}

/* On the journal thread. */
static void on_done(struct tsdb_batch *b, int code, const struct err *e)
{
    struct push_request *p = (struct push_request *)((char *)b - offsetof(struct push_request, m.batch));

    if (code == 0)
        answer_stored(p);
    else
        answer_failed(p, code, e);
}

void push_ingest(struct push_request *p)
{
    struct tsdb_batch *b = &p->m.batch;
    struct err e = {0};
    bool later = false;
    int rc;

    add(&stats.bytes_raw, p->m.body.n);
    if (b->nseries == 0 && b->nmetadata == 0) {
        answer_stored(p);
        return;
    }
    rc = tsdb_ingest(p->ctx->db, b, on_done, &later, &e);
    if (rc < 0 && b->atomic && (b->bad_verdict == TSDB_BAD_LABELS || b->bad_verdict == TSDB_SERIES_LIMIT)) {
        b->atomic = false;
        rc = tsdb_ingest(p->ctx->db, b, on_done, &later, &e);
    }
    if (later)
        return; /* p may be gone already */
    if (rc < 0)
        answer_failed(p, rc, &e);
    else
        answer_stored(p);
}

/* --- remote write ---------------------------------------------------------------------------------- */

/* The message by the Content-Type; a missing one means 1.0. */
static bool kind_of(struct str type, enum push_kind *out)
{
    struct str media, param, name;

    *out = PUSH_RW1;
    type = str_trim(type);
    if (type.n == 0)
        return true;
    str_cut(&type, ';', &media);
    if (!str_eq_nocase(str_trim(media), STR("application/x-protobuf")))
        return false;
    while (type.n) {
        str_cut(&type, ';', &param);
        str_cut(&param, '=', &name);
        if (!str_eq_nocase(str_trim(name), STR("proto")))
            continue;
        param = str_trim(param);
        if (str_eqz(param, "io.prometheus.write.v2.Request"))
            *out = PUSH_RW2;
        else if (!str_eqz(param, "prometheus.WriteRequest"))
            return false;
    }
    return true;
}

static void handle_write(struct http_request *r, void *arg)
{
    struct push_ctx *ctx = arg;
    struct str encoding = http_header(r, "Content-Encoding");
    enum push_kind kind;
    bool known = kind_of(http_header(r, "Content-Type"), &kind);
    struct push_request *p = push_request_new(r, ctx, kind);
    struct err e;
    int rc;

    if (!ctx->remote_write) {
        push_refuse(p, 404, "the remote write receiver is switched off");
    } else if (!known) {
        push_refuse(p, 415,
                    "the Content-Type must be application/x-protobuf, proto prometheus.WriteRequest or "
                    "io.prometheus.write.v2.Request");
    } else if (encoding.n && !str_eq_nocase(encoding, STR("snappy"))) {
        push_refuse(p, 415, "the Content-Encoding must be snappy (block format)");
    } else if (r->body.n > BODY_MAX) {
        push_refuse(p, 413, "a remote write body is over the limit of 33554432 bytes");
    } else if ((rc = http_decode(r, ENC_SNAPPY, DECODED_MAX, &e)) < 0) {
        push_refuse(p, rc == ERR_BUSY ? 503 : 400, e.text);
    } else if ((rc = (kind == PUSH_RW1 ? rw1_read : rw2_read)(&p->m, r->arena, r->body, &e)) < 0) {
        push_refuse(p, rc == ERR_LIMIT ? 413 : 400, e.text);
    } else {
        push_ingest(p);
    }
}

void push_routes(struct http_server *s, struct push_ctx *c)
{
    http_route(s, HTTP_POST, "/api/v1/write", PERM_WRITE, HTTP_RAW_BODY, handle_write, c);
    http_route(s, HTTP_POST, "/api/v1/push", PERM_WRITE, HTTP_RAW_BODY, handle_write, c);
    http_route(s, HTTP_POST | HTTP_PUT, "/api/v1/import/prometheus", PERM_WRITE, HTTP_RAW_BODY, push_text, c);
}
