/*
 * text.c - POST /api/v1/import/prometheus: exposition text as a push.
 *
 *   ?extra_label=NAME=VALUE (repeated)  put on every series, over what the series says
 *   ?timestamp=MS                       for samples that bring none (default: now)
 *
 * A body with an error is refused whole, as a scrape would be: nothing of it is stored.
 */
#include "collector/push/request.h"
#include "collector/scrape/expo.h"

#include <stddef.h>

struct text_push {
    struct push_request *p;
    struct expo *x;
    struct labels extra;
    struct hash128 salt; /* of the extra labels */
    bool *flags;         /* two per series: normalise_le, normalise_quantile */
    uint32_t flags_cap;
};

static int labels_of(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    struct text_push *t = b->ctx;
    struct expo_entry en = {.kind = EXPO_SERIES,
                            .series = b->series[i].raw,
                            .normalise_le = t->flags[2 * i],
                            .normalise_quantile = t->flags[2 * i + 1]};
    struct labels scraped;
    int rc = expo_labels(t->x, &en, a, &scraped, e);

    if (rc < 0)
        return rc;
    out->v = arena_array(a, struct label, scraped.n + t->extra.n);
    memcpy(out->v, t->extra.v, t->extra.n * sizeof *out->v);
    out->n = t->extra.n;
    for (uint32_t k = 0; k < scraped.n; k++)
        if (labels_get(&t->extra, scraped.v[k].name).n == 0)
            out->v[out->n++] = scraped.v[k];
    return rw_check_labels(out, e);
}

/* NAME=VALUE parameters as labels. */
static int read_extra(struct text_push *t, struct err *e)
{
    const struct params *ps = &t->p->r->params;
    struct buf bytes = {0};

    t->extra.v = arena_array(t->p->r->arena, struct label, ps->n);
    for (uint32_t i = 0; i < ps->n; i++) {
        struct str value = ps->v[i].value, name;

        if (!str_eqz(ps->v[i].name, "extra_label"))
            continue;
        if (!str_cut(&value, '=', &name) || name.n == 0)
            return err_set(e, ERR_INVALID, "extra_label \"%.*s\" is not NAME=VALUE", (int)MIN(name.n, (size_t)200),
                           name.p);
        t->extra.v[t->extra.n++] = (struct label){name, value};
    }
    if (labels_normalise(&t->extra, e) < 0)
        return err_ctx(e, "extra_label");
    labels_canonical(&bytes, &t->extra);
    t->salt = hash128(bytes.p, bytes.n);
    buf_release(&bytes);
    return 0;
}

static int read_time(struct text_push *t, int64_t *out, struct err *e)
{
    struct str s = params_get(&t->p->r->params, "timestamp");

    *out = clock_wall_ms();
    if (s.n && !str_to_i64(s, out))
        return err_set(e, ERR_INVALID, "timestamp \"%.*s\" is not a number of milliseconds", (int)MIN(s.n, (size_t)100),
                       s.p);
    return 0;
}

/* A HELP, TYPE or UNIT line: into the metadata of its family, which the lines of one family share. */
static void put_metadata(struct rw_message *m, const struct expo_entry *en)
{
    struct tsdb_metadata *md = m->batch.nmetadata ? &m->batch.metadata[m->batch.nmetadata - 1] : NULL;

    if (!md || !str_eq(md->family, en->family)) {
        md = rw_add_metadata(m);
        *md = (struct tsdb_metadata){.family = arena_dup(m->a, en->family), .help = STR(""), .unit = STR("")};
    }
    if (en->kind == EXPO_HELP)
        md->help = arena_dup(m->a, en->text);
    else if (en->kind == EXPO_UNIT)
        md->unit = arena_dup(m->a, en->text);
    else
        md->type = en->type;
}

static int put_series(struct text_push *t, const struct expo_entry *en, int64_t now, struct err *e)
{
    struct rw_message *m = &t->p->m;
    uint32_t i = m->batch.nseries;
    struct tsdb_in *in = rw_add_series(m);

    if (i == t->flags_cap) {
        bool *more = arena_alloc(m->a, 2 * sizeof *more * (size_t)m->series_cap);

        if (i)
            memcpy(more, t->flags, 2 * sizeof *more * i);
        t->flags = more;
        t->flags_cap = m->series_cap;
    }
    t->flags[2 * i] = en->normalise_le;
    t->flags[2 * i + 1] = en->normalise_quantile;
    in->raw = en->series;
    in->key = hash128(en->series.p, en->series.n);
    in->key.lo ^=
        t->salt.lo + en->normalise_le + 2 * en->normalise_quantile; /* the same text means another set with these */
    in->key.hi += t->salt.hi;
    in->n = 1;
    if (en->histogram.n) {
        if (rw_read_histogram(m, WIRE_HIST_EXPOSITION, en->histogram, e) != 0)
            return ERR_INVALID;
        m->batch.t[m->nsamples - 1] = en->has_t ? en->t : now;
    } else {
        rw_add_sample(m, en->has_t ? en->t : now, en->v);
    }
    if (en->st) {
        rw_start_times(m);
        m->batch.st[m->nsamples - 1] = en->st;
    }
    for (uint32_t k = 0; k < en->nexemplars; k++) {
        const struct expo_exemplar *x = &en->exemplars[k];

        *rw_add_exemplar(m) = (struct tsdb_exemplar){labels_dup(m->a, &x->labels), x->v,
                                                     x->has_t    ? x->t
                                                     : en->has_t ? en->t
                                                                 : now};
    }
    in->exemplar_n = m->nexemplars - in->exemplar_first;
    return 0;
}

static int read_body(struct text_push *t, struct err *e)
{
    struct http_request *r = t->p->r;
    struct expo_opts opts = {.start_timestamps = false};
    enum expo_format format = EXPO_TEXT;
    struct expo_entry en;
    int64_t now;
    int rc;

    if (read_extra(t, e) < 0 || read_time(t, &now, e) < 0)
        return ERR_INVALID;
    if (!expo_format_of(http_header(r, "Content-Type"), &format))
        format = EXPO_TEXT; /* curl --data-binary says it is a form */
    rw_init(&t->p->m, r->arena, r->body, 64);
    t->p->m.batch.labels = labels_of;
    t->p->m.batch.ctx = t;
    t->x = expo_new(r->arena, format, r->body, &opts);
    while ((rc = expo_next(t->x, &en, e)) == 0 && en.kind != EXPO_END) {
        if (en.kind == EXPO_SERIES && (rc = put_series(t, &en, now, e)) < 0)
            return rc;
        if (en.kind != EXPO_SERIES && en.kind != EXPO_COMMENT)
            put_metadata(&t->p->m, &en);
        if (rw_check_rows(&t->p->m, e) < 0)
            return ERR_LIMIT;
    }
    return rc;
}

void push_text(struct http_request *r, void *ctx)
{
    struct text_push *t = arena_new(r->arena, struct text_push);
    struct str encoding = http_header(r, "Content-Encoding");
    struct err e;
    int rc;

    t->p = push_request_new(r, ctx, PUSH_TEXT);
    if (encoding_parse(encoding) == ENC_UNKNOWN) {
        push_refuse(t->p, 415, "this Content-Encoding is not understood: use gzip, deflate, zstd, snappy or none");
        return;
    }
    rc = http_decode(r, encoding_parse(encoding), UINT64_MAX, &e); /* the server has a limit for all */
    if (rc < 0)
        push_refuse(t->p, rc == ERR_LIMIT ? 413 : rc == ERR_BUSY ? 503 : 400, e.text);
    else if ((rc = read_body(t, &e)) < 0)
        push_refuse(t->p, rc == ERR_LIMIT ? 413 : 400, e.text);
    else
        push_ingest(t->p);
}
