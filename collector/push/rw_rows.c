/* rw_rows.c - the arrays of a batch, grown in the request's arena. See remote_write.h. */
#include "collector/push/remote_write.h"

enum { ROWS_BYTES_MAX = 192 << 20, EXTRA_BYTES_MAX = 64 << 20 };

/* A copy of n elements in room for cap. */
static void *grown(struct arena *a, const void *old, size_t size, uint32_t n, uint32_t cap)
{
    void *p = arena_alloc(a, size * cap);

    if (n)
        memcpy(p, old, size * n);
    return p;
}

/* series_bytes: what the first series takes on the wire; a guess for all that saves growing. */
void rw_init(struct rw_message *m, struct arena *a, struct str body, size_t series_bytes)
{
    size_t before = a->bytes;
    uint32_t guess = (uint32_t)(body.n / MAX(series_bytes, (size_t)32)) + 16;

    memset(m, 0, sizeof *m);
    m->a = a;
    m->body = body;
    m->batch.ctx = m;
    m->series_cap = m->samples_cap = guess + guess / 4;
    m->batch.series = grown(a, NULL, sizeof *m->batch.series, 0, m->series_cap);
    m->batch.t = grown(a, NULL, sizeof *m->batch.t, 0, m->samples_cap);
    m->batch.v = grown(a, NULL, sizeof *m->batch.v, 0, m->samples_cap);
    m->arena_bytes_max = before + MAX(a->bytes - before + EXTRA_BYTES_MAX, (size_t)ROWS_BYTES_MAX);
}

int rw_read_value(struct str bytes, uint32_t number, double *v, int64_t t[2])
{
    struct field f = {0};
    struct wire w;
    int rc;

    *v = 0;
    t[0] = t[1] = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == number && f.type == WIRE_FIXED64)
            *v = f64_from_bits(f.v);
        else if (f.number == number + 1 && f.type == WIRE_VARINT)
            t[0] = (int64_t)f.v;
        else if (f.number == number + 2 && f.type == WIRE_VARINT)
            t[1] = (int64_t)f.v;
    }
    return rc < 0 ? rc : 0;
}

int rw_check_rows(const struct rw_message *m, struct err *e)
{
    if (m->a->bytes <= m->arena_bytes_max)
        return 0;
    return err_set(e, ERR_LIMIT, "the rows of this body take more memory than the limit of %d bytes: send them in smaller bodies",
                   ROWS_BYTES_MAX);
}

struct tsdb_in *rw_add_series_slow(struct rw_message *m)
{
    m->series_cap *= 2;
    m->batch.series = grown(m->a, m->batch.series, sizeof *m->batch.series, m->batch.nseries, m->series_cap);
    return rw_add_series(m);
}

void rw_grow_samples(struct rw_message *m)
{
    m->samples_cap *= 2;
    m->batch.t = grown(m->a, m->batch.t, sizeof *m->batch.t, m->nsamples, m->samples_cap);
    m->batch.v = grown(m->a, m->batch.v, sizeof *m->batch.v, m->nsamples, m->samples_cap);
    if (m->batch.st) {
        m->batch.st = grown(m->a, m->batch.st, sizeof *m->batch.st, m->nsamples, m->samples_cap);
        memset(m->batch.st + m->nsamples, 0, sizeof *m->batch.st * (m->samples_cap - m->nsamples));
    }
    if (m->batch.h) {
        m->batch.h = grown(m->a, m->batch.h, sizeof *m->batch.h, m->nsamples, m->samples_cap);
        memset(m->batch.h + m->nsamples, 0, sizeof *m->batch.h * (m->samples_cap - m->nsamples));
    }
}

void rw_start_times(struct rw_message *m)
{
    if (!m->batch.st)
        m->batch.st = arena_zalloc(m->a, sizeof *m->batch.st * m->samples_cap);
}

int rw_read_histogram(struct rw_message *m, enum wire_hist_kind kind, struct str bytes, struct err *e)
{
    struct wire_hist *x = arena_new(m->a, struct wire_hist);
    int rc = wire_hist_read(bytes, kind, m->a, x, e);

    if (rc != 0)
        return rc;
    if (!m->batch.h)
        m->batch.h = arena_zalloc(m->a, sizeof *m->batch.h * m->samples_cap);
    if (x->st)
        rw_start_times(m);
    rw_add_sample(m, x->t, 0);
    m->batch.h[m->nsamples - 1] = &x->h;
    if (x->st)
        m->batch.st[m->nsamples - 1] = x->st;
    return rw_check_rows(m, e);
}

void rw_drop_rows(struct rw_message *m, const struct tsdb_in *in)
{
    if (m->batch.st)
        memset(m->batch.st + in->first, 0, sizeof *m->batch.st * (m->nsamples - in->first));
    if (m->batch.h)
        memset(m->batch.h + in->first, 0, sizeof *m->batch.h * (m->nsamples - in->first));
    m->nsamples = in->first;
    m->nexemplars = in->exemplar_first;
}

struct tsdb_exemplar *rw_add_exemplar(struct rw_message *m)
{
    if (m->nexemplars == m->exemplars_cap) {
        m->exemplars_cap = m->exemplars_cap ? m->exemplars_cap * 2 : 16;
        m->batch.exemplars =
            grown(m->a, m->batch.exemplars, sizeof *m->batch.exemplars, m->nexemplars, m->exemplars_cap);
    }
    m->batch.exemplars[m->nexemplars] = (struct tsdb_exemplar){0};
    return &m->batch.exemplars[m->nexemplars++];
}

struct tsdb_metadata *rw_add_metadata(struct rw_message *m)
{
    if (m->batch.nmetadata == m->metadata_cap) {
        m->metadata_cap = m->metadata_cap ? m->metadata_cap * 2 : 16;
        m->batch.metadata =
            grown(m->a, m->batch.metadata, sizeof *m->batch.metadata, m->batch.nmetadata, m->metadata_cap);
    }
    m->batch.metadata[m->batch.nmetadata] = (struct tsdb_metadata){0};
    return &m->batch.metadata[m->batch.nmetadata++];
}

int rw_malformed(const struct rw_message *m, const void *at, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "protobuf: %s at byte %zu can not be read", what,
                   (size_t)((const char *)at - m->body.p));
}

int rw_check_labels(struct labels *ls, struct err *e)
{
    int rc = labels_normalise(ls, e);

    if (rc == 0 && labels_get(ls, STR(LABEL_NAME)).n == 0)
        rc = err_set(e, ERR_INVALID, "a series without " LABEL_NAME);
    return rc;
}
