/*
 * read.c - remote read: the stored samples of selectors, for another Prometheus to evaluate.
 *
 *   SAMPLES               one snappy'd ReadResponse { results 1 * { timeseries 1 * } }
 *   STREAMED_XOR_CHUNKS   frames: length varint, CRC32C u32be, ChunkedReadResponse { series 1 { labels 1 *, chunks 2 * },
 *                         query_index 2 }, one series each, of about FRAME_BYTES at most
 *
 * Series go out sorted by their labels, and come from the store in the order it reads best: each is encoded as it comes
 * and the encoded ones are sorted. What they take is charged to the query.
 *
 * (1) Nothing is sent before every series of all queries is encoded: what goes wrong until then has a status.
 */
#include "net/wire.h"
#include "query/api/chunk.h"
#include "query/api/inside.h"
#include "query/api/read_request.h"
#include "query/api/read_series.h"
#include "query/vector/sort.h"

#include "tsdb/tsdb.h"

#include <stdlib.h>

enum { BODY_MAX = 32 << 20, CHARGE_BYTES = 64 << 10 };

static const char where[] = "remote read";

/* --- encoding ------------------------------------------------------------------------------------------ */

struct encoded {
    struct labels labels; /* until the select is closed */
    size_t at, n;         /* in reading.bytes */
};

/* The series of one query. */
struct reading {
    struct query *q;
    const struct api_ctx *c;
    const struct labels *external;
    uint32_t index; /* of the query */
    bool chunks;
    struct buf bytes;
    uint64_t charged, arena_charged;
    struct encoded *v;
    uint32_t n;
};

static int charge(struct reading *rd, struct err *e)
{
    uint64_t more = rd->bytes.n - rd->charged;

    if (more && query_charge(rd->q, (int64_t)more, where, e) < 0)
        return e->code;
    rd->charged = rd->bytes.n;
    return api_charge_arena(rd->q, &rd->arena_charged, where, e);
}

static int encode(struct reading *rd, const struct labels *own, const struct tsdb_samples *s, struct err *e)
{
    struct encoded *x = &rd->v[rd->n++];

    x->labels = read_merge_labels(&rd->q->arena, own, rd->external);
    x->at = rd->bytes.n;
    if (rd->chunks)
        read_put_frames(&rd->bytes, &x->labels, s, rd->index);
    else
        read_put_series(&rd->bytes, &x->labels, s);
    x->n = rd->bytes.n - x->at;
    return rd->bytes.n - rd->charged > CHARGE_BYTES ? charge(rd, e) : 0;
}

static int read_part(struct reading *rd, struct tsdb_select *sel, uint32_t part, struct err *e)
{
    struct tsdb_cursor *cur;
    struct tsdb_samples s;
    int code = tsdb_cursor_open(sel, part, &cur, e);

    if (code < 0)
        return code;
    while ((code = tsdb_cursor_next(cur, &s, e)) == 0) {
        struct labels ls;

        if ((code = query_samples(rd->q, s.n, rd->chunks ? 0 : s.n, where, e)) < 0 ||
            (code = query_check(rd->q, where, e)) < 0 || (code = tsdb_cursor_labels(cur, &rd->q->arena, &ls, e)) < 0 ||
            (code = encode(rd, &ls, &s, e)) < 0)
            break;
    }
    tsdb_cursor_close(cur);
    return code < 0 ? code : 0;
}

static void log_warnings(const struct tsdb_select *sel)
{
    const struct str *w;
    uint32_t n = tsdb_select_warnings(sel, &w);

    for (uint32_t i = 0; i < n; i++)
        log_warn("read", "%.*s", STR_ARG(w[i])); /* the protocol has no place for them */
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct encoded *)a)->labels, &((const struct encoded *)b)->labels);
}

static int read_one(struct reading *rd, const struct read_query *rq, struct err *e)
{
    struct tsdb_select_opts o = {.matchers = rq->m,
                                 .nmatchers = rq->nm,
                                 .mint = rq->mint,
                                 .maxt = rq->maxt,
                                 .want = rq->labels_only && !rd->chunks ? TSDB_NO_DATA : TSDB_SAMPLES,
                                 .parts_hint = 1,
                                 .limits = api_limits_of(rd->q)};
    struct tsdb_select *sel;
    int code = tsdb_select_open(rd->c->db, &o, &sel, e);

    if (code < 0)
        return code;
    query_expect(rd->q, (uint64_t)tsdb_select_series(sel) * QUERY_A_SERIES);
    rd->v = arena_array(&rd->q->arena, struct encoded, tsdb_select_series(sel) + 1);
    for (uint32_t i = 0; code == 0 && i < tsdb_select_parts(sel); i++)
        code = read_part(rd, sel, i, e);
    if (code == 0)
        code = charge(rd, e);
    if (code == 0) /* while the select lends the labels */
        code = sort_items(rd->v, rd->n, sizeof *rd->v, by_labels, rd->q, where, e);
    log_warnings(sel);
    tsdb_select_close(sel);
    return code;
}

/* --- answers ------------------------------------------------------------------------------------------- */

static void answer_chunks(struct http_request *r, struct query *q, struct reading *v, uint32_t n)
{
    struct api_stream s;

    api_stream_init(&s, r, q, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    s.within_ms = q->limits.timeout_ms;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < v[i].n && api_stream_flush(&s) == 0; k++)
            buf_put(&s.b, v[i].bytes.p + v[i].v[k].at, v[i].v[k].n);
    query_end(q);
    api_stream_end(&s);
}

/* Memory for the message and for what snappy makes of it, at worst a sixth more. */
static int make_message(struct query *q, const struct reading *v, uint32_t n, struct buf *out, struct err *e)
{
    struct buf message = {0};
    uint64_t total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += v[i].bytes.n + 16;
    if (total > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "the answer is %llu bytes, more than one snappy block holds",
                       (unsigned long long)total);
    if (query_charge(q, (int64_t)(total * 2 + total / 6), where, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < n; i++) {
        buf_put_varint(&message, 1 << 3 | WIRE_BYTES);
        buf_put_varint(&message, v[i].bytes.n);
        for (uint32_t k = 0; k < v[i].n; k++)
            buf_put(&message, v[i].bytes.p + v[i].v[k].at, v[i].v[k].n);
    }
    snappy_encode(out, message.n ? buf_str(&message) : STR(""));
    buf_release(&message);
    return 0;
}

static void answer_error(struct http_request *r, const struct err *e)
{
    int status = e->code == ERR_INVALID || e->code == ERR_LIMIT  ? 400
                 : e->code == ERR_BUSY || e->code == ERR_TIMEOUT ? 503
                                                                 : 500;

    http_replyf(r, status, "text/plain; charset=utf-8", "%s\n", e->text);
}

/* --- the call ------------------------------------------------------------------------------------------ */

static int read_all(struct api_call *k, struct query *q, struct read_request *rr, struct reading **out, struct err *e)
{
    struct reading *v;
    struct labels *external = arena_new(&q->arena, struct labels);

    if (k->c->external_labels)
        k->c->external_labels(k->c->arg, &q->arena, external);
    if (read_request_read(rr, &q->arena, k->r->body, external, e) < 0)
        return e->code;
    *out = v = arena_array(&q->arena, struct reading, rr->n + 1);
    for (uint32_t i = 0; i < rr->n; i++) {
        v[i] = (struct reading){.q = q,
                                .c = k->c,
                                .external = external,
                                .index = i,
                                .chunks = rr->chunks,
                                .arena_charged = i ? v[i - 1].arena_charged : q->arena.bytes};
        if (read_one(&v[i], &rr->q[i], e) < 0)
            return e->code;
    }
    return 0;
}

static void run_read(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct read_request rr = {0};
    struct reading *v = NULL;
    struct buf packed = {0}, *owned;
    uint32_t n;
    struct err e;
    int code = read_all(k, q, &rr, &v, &e);
    bool chunks = rr.chunks;

    n = v ? rr.n : 0;
    read_request_release(&rr);
    if (code == 0 && !chunks)
        code = make_message(q, v, n, &packed, &e);
    owned = x_alloc((n + (size_t)1) * sizeof *owned); /* v ends with the query */
    for (uint32_t i = 0; i < n; i++)
        owned[i] = v[i].bytes;
    if (code < 0) {
        query_end(q);
        answer_error(r, &e);
    } else if (chunks) {
        answer_chunks(r, q, v, n);
    } else {
        query_end(q);
        http_set_header(r, "Content-Encoding", STR("snappy"));
        http_reply(r, 200, "application/x-protobuf", buf_str(&packed));
    }
    for (uint32_t i = 0; i < n; i++)
        buf_release(&owned[i]);
    free(owned);
    buf_release(&packed);
}

static void handle_read(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_read);
    struct err e;

    if (http_decode(r, ENC_SNAPPY, BODY_MAX, &e) < 0)
        answer_error(r, &e);
    else
        api_call_start(k, STR("remote read"), 0);
}

void api_routes_read(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_POST, "/api/v1/read", PERM_READ, HTTP_RAW_BODY, handle_read, c);
}
