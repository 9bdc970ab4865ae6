/*
 * rw1.c - remote write 1.0: prometheus.WriteRequest { timeseries 1 *, metadata 3 * }.
 *
 * The labels of a series are a run of fields at its beginning. Those bytes are its key, hashed where they lie: for a
 * sorted set without empty values they are the canonical bytes (labels_canonical), for any other they still determine
 * the set. They are only taken apart when the tsdb meets the key for the first time.
 */
#include "collector/push/remote_write.h"

/* --- labels --------------------------------------------------------------------------------------- */

/* name 1, value 2 */
static int read_label(struct str bytes, struct label *out)
{
    struct wire w;
    struct field f;
    int rc;

    *out = (struct label){STR(""), STR("")};
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            out->name = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            out->value = f.bytes;
    }
    return rc < 0 ? rc : 0;
}

enum { FIELDS_MAX = 1 << 12 /* as many labels as the tsdb takes */ };

/* Every field with this number of a message as a label. Other fields are skipped. */
static int read_labels(struct arena *a, struct str bytes, uint32_t number, struct labels *out, struct err *e)
{
    uint32_t n = 0;
    struct wire w;
    struct field f;

    wire_init(&w, bytes);
    while (wire_next(&w, &f) == 0)
        n += f.number == number;
    if (n > FIELDS_MAX)
        return err_set(e, ERR_INVALID, "%u labels, at most %d", n, FIELDS_MAX);
    out->v = arena_array(a, struct label, n);
    out->n = 0;
    wire_init(&w, bytes);
    while (wire_next(&w, &f) == 0) {
        if (f.number != number || f.type != WIRE_BYTES)
            continue;
        if (read_label(f.bytes, &out->v[out->n]) < 0)
            return err_set(e, ERR_INVALID, "protobuf: a label can not be read");
        if (out->v[out->n].name.n == 0 && out->v[out->n].value.n)
            return err_set(e, ERR_INVALID, "a label without a name");
        out->n++;
    }
    return 0;
}

static int labels_of(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    int rc = read_labels(a, b->series[i].raw, 1, out, e);

    return rc < 0 ? rc : rw_check_labels(out, e);
}

/* --- the parts of a series ------------------------------------------------------------------------ */

/* value 1, timestamp 2 */
static int read_sample(struct rw_message *m, struct str bytes)
{
    int64_t t[2];
    double v;
    int rc = rw_read_value(bytes, 1, &v, t);

    if (rc == 0)
        rw_add_sample(m, t[0], v);
    return rc;
}

/* labels 1 *, value 2, timestamp 3. One whose labels are no set is dropped: the sample beside it is what counts. */
static int read_exemplar(struct rw_message *m, struct str bytes)
{
    struct tsdb_exemplar ex = {0};
    int64_t t[2];

    if (rw_read_value(bytes, 2, &ex.v, t) < 0 || read_labels(m->a, bytes, 1, &ex.labels, NULL) < 0)
        return ERR_INVALID;
    ex.t = t[0];
    if (labels_normalise(&ex.labels, NULL) == 0)
        *rw_add_exemplar(m) = ex;
    return 0;
}

/*
 * What does not look as usual: samples of another shape, exemplars, histograms, fields we do not know, labels that do
 * not stand together. Goes on at p, to the end of the series.
 */
static int read_rest(struct rw_message *m, struct tsdb_in *in, const uint8_t *p, const uint8_t *end, struct err *e)
{
    struct wire w = {p, end};
    struct buf scattered = {0};
    const uint8_t *at = p;
    struct field f;
    int rc;

    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.type == WIRE_BYTES && f.number == 1) {
            if (!scattered.n)
                buf_puts(&scattered, in->raw);
            buf_put(&scattered, at, (size_t)(w.p - at));
        } else if (f.type == WIRE_BYTES && f.number == 2) {
            rc = read_sample(m, f.bytes);
            if (rc == 0 && rw_check_rows(m, e) < 0)
                rc = ERR_LIMIT;
        } else if (f.type == WIRE_BYTES && f.number == 3) {
            rc = read_exemplar(m, f.bytes);
            if (rc == 0 && rw_check_rows(m, e) < 0)
                rc = ERR_LIMIT;
        } else if (f.type == WIRE_BYTES && f.number == 4) {
            rc = rw_read_histogram(m, WIRE_HIST_REMOTE_WRITE, f.bytes, e);
            if (rc > 0) { /* the request is taken back as a whole */
                buf_release(&scattered);
                return ERR_INVALID;
            }
        }
        if (rc < 0)
            break;
        at = w.p;
    }
    if (scattered.n)
        in->raw = arena_dup(m->a, buf_str(&scattered));
    buf_release(&scattered);
    return rc == ERR_LIMIT ? rc : rc < 0 ? rw_malformed(m, at, "a field of a time series", e) : 0;
}

static int read_series(struct rw_message *m, struct str bytes, struct err *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.n, *body_end = (const uint8_t *)m->body.p + m->body.n;
    struct tsdb_in *in = rw_add_series(m);
    struct wire w = {p, end};

    while (w.p < end && *w.p == 0x0a) { /* labels */
        uint64_t n;

        w.p++;
        if (!wire_varint(&w, &n) || n > (size_t)(end - w.p))
            return rw_malformed(m, w.p, "a label", e);
        w.p += n;
    }
    in->raw = str_n(p, (size_t)(w.p - p));
    p = w.p;
    while (p < end && body_end - p >= RW_SAMPLE_READ) {
        int64_t t;
        double v;
        const uint8_t *next = rw_usual_sample(p, &t, &v);

        if (!next || next > end)
            break;
        rw_add_sample(m, t, v);
        p = next;
    }
    if (p < end && read_rest(m, in, p, end, e) < 0)
        return e->code;
    in->key = hash128(in->raw.p, in->raw.n);
    in->n = m->nsamples - in->first;
    in->exemplar_n = m->nexemplars - in->exemplar_first;
    if (in->n == 0 && in->exemplar_n == 0) /* nothing of it can be stored: not worth a series */
        m->batch.nseries--;
    return rw_check_rows(m, e);
}

/* type 1, metric_family_name 2, help 4, unit 5 */
static int read_metadata(struct rw_message *m, struct str bytes, struct err *e)
{
    struct tsdb_metadata md = {.family = STR(""), .help = STR(""), .unit = STR("")};
    struct wire w;
    struct field f;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.type == WIRE_VARINT && f.number == 1)
            md.type = f.v <= METRIC_STATESET ? (uint8_t)f.v : METRIC_UNKNOWN;
        else if (f.type == WIRE_BYTES && f.number == 2)
            md.family = f.bytes;
        else if (f.type == WIRE_BYTES && f.number == 4)
            md.help = f.bytes;
        else if (f.type == WIRE_BYTES && f.number == 5)
            md.unit = f.bytes;
    }
    if (rc < 0)
        return rw_malformed(m, w.p, "a field of metadata", e);
    if (md.family.n && utf8_valid(md.family) && utf8_valid(md.help) && utf8_valid(md.unit))
        *rw_add_metadata(m) = md;
    return rw_check_rows(m, e);
}

/* Bytes of the first time series, the measure for all. */
static size_t first_series_bytes(struct str body)
{
    struct wire w;
    struct field f;

    wire_init(&w, body);
    return wire_next(&w, &f) == 0 && f.type == WIRE_BYTES ? f.bytes.n : body.n;
}

int rw1_read(struct rw_message *m, struct arena *a, struct str body, struct err *e)
{
    struct wire w;
    struct field f;
    int rc;

    rw_init(m, a, body, first_series_bytes(body));
    m->batch.labels = labels_of;
    m->batch.atomic = true;
    wire_init(&w, body);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            rc = read_series(m, f.bytes, e);
        else if (f.number == 3 && f.type == WIRE_BYTES)
            rc = read_metadata(m, f.bytes, e);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rw_malformed(m, w.p, "a field of the request", e) : 0;
}
