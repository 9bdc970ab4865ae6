/*
 * rw2.c - remote write 2.0: io.prometheus.write.v2.Request { symbols 4 *, timeseries 5 * }.
 *
 * Symbols are read in a pass of their own, as protobuf does not promise that they come first. A sender numbers its
 * symbols anew in each request, so references say nothing beyond it: the key is the hash of the canonical bytes that
 * the references stand for, put together in a scratch buffer; the same key as the same series has by 1.0.
 *
 * (1) A series with bad references or mixed kinds is refused by itself; the rest of the request is kept.
 * (2) A symbol may be long and stand in every series: texts are not copied or checked before their length is.
 */
#include "collector/push/remote_write.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    REFS_MAX = 1024,        /* per series: 512 labels */
    LABELS_BYTES = 1 << 16, /* per series; the tsdb refuses more */
    HELP_BYTES = 4096,
    SYMBOLS_MAX = 1 << 20,
};

/* Counts n samples as refused. 1: the series is skipped, the message goes on. */
static int refuse(struct rw_message *m, uint32_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct rw_message *m, uint32_t n, const char *fmt, ...)
{
    va_list ap;

    m->nrefused += n;
    if (m->refused.code)
        return 1;
    va_start(ap, fmt);
    vsnprintf(m->refused.text, sizeof m->refused.text, fmt, ap);
    va_end(ap);
    m->refused.code = ERR_INVALID;
    return 1;
}

/* --- references ----------------------------------------------------------------------------------- */

/* Packed or one by one, in the fields with this number, as an array. ERR_LIMIT above REFS_MAX. */
static int read_refs(struct str bytes, uint32_t number, uint32_t refs[REFS_MAX], uint32_t *n)
{
    struct wire w, packed;
    struct field f;
    uint64_t v;
    int rc;

    *n = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number != number || (f.type != WIRE_BYTES && f.type != WIRE_VARINT))
            continue;
        packed = (struct wire){0};
        if (f.type == WIRE_BYTES)
            wire_init(&packed, f.bytes);
        do {
            v = f.v;
            if (f.type == WIRE_BYTES && packed.p == packed.end)
                break;
            if (f.type == WIRE_BYTES && !wire_varint(&packed, &v))
                return ERR_INVALID;
            if (*n == REFS_MAX)
                return ERR_LIMIT;
            refs[(*n)++] = (uint32_t)MIN(v, (uint64_t)UINT32_MAX);
        } while (f.type == WIRE_BYTES);
    }
    return rc < 0 ? rc : 0;
}

static int check_refs(struct rw_message *m, const uint32_t *refs, uint32_t n, struct err *e)
{
    if (n % 2)
        return err_set(e, ERR_INVALID, "%u label references: a name without a value", n);
    for (uint32_t i = 0; i < n; i++)
        if (refs[i] >= m->nsymbols)
            return err_set(e, ERR_INVALID, "label reference %u, but there are %u symbols", refs[i], m->nsymbols);
    return 0;
}

static int resolve(struct rw_message *m, struct arena *a, struct str message, struct labels *out, struct err *e)
{
    uint32_t refs[REFS_MAX], n;
    int rc = read_refs(message, 1, refs, &n);

    if (rc < 0)
        return err_set(e, rc, "label references that can not be read, or more than %d", REFS_MAX);
    if (check_refs(m, refs, n, e) < 0)
        return ERR_INVALID;
    out->v = arena_array(a, struct label, n / 2);
    out->n = n / 2;
    for (uint32_t i = 0; i < n / 2; i++) {
        out->v[i] = (struct label){m->symbols[refs[2 * i]], m->symbols[refs[2 * i + 1]]};
        if (out->v[i].name.n == 0)
            return err_set(e, ERR_INVALID, "a label without a name");
    }
    return 0;
}

static int labels_of(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    int rc = resolve(b->ctx, a, b->series[i].raw, out, e);

    return rc < 0 ? rc : rw_check_labels(out, e);
}

static inline size_t varint_bytes(size_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 5;
}

static inline uint8_t *put_length(uint8_t *p, size_t n)
{
    if (n >= 128)
        return put_varint(p, n);
    *p = (uint8_t)n;
    return p + 1;
}

/* Short texts are copied 32 bytes at a time, where so much can be read and, by key_of, written. */
static inline uint8_t *put_text(uint8_t *p, uint8_t tag, struct str s, const char *safe)
{
    *p = tag;
    p = put_length(p + 1, s.n);
    if (s.n <= 32 && s.p <= safe)
        memcpy(p, s.p, 32);
    else
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static size_t labels_bytes(const struct rw_message *m, const uint32_t *refs, uint32_t n)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += m->symbols[refs[i]].n;
    return bytes;
}

/* The key of a series, its references checked: the hash of its canonical bytes, made in scratch. */
static struct hash128 key_of(const struct rw_message *m, const uint32_t *refs, uint32_t n, struct buf *scratch)
{
    const char *safe = m->body.n >= 32 ? m->body.p + m->body.n - 32 : NULL;
    size_t room = 64 + labels_bytes(m, refs, n) + 12 * (size_t)n;
    uint8_t *p;

    buf_reset(scratch);
    p = (uint8_t *)buf_reserve(scratch, room);
    for (uint32_t i = 0; i < n; i += 2) {
        struct str name = m->symbols[refs[i]], value = m->symbols[refs[i + 1]];

        *p = 0x0a;
        p = put_length(p + 1, 2 + varint_bytes(name.n) + name.n + varint_bytes(value.n) + value.n);
        p = put_text(p, 0x0a, name, safe);
        p = put_text(p, 0x12, value, safe);
    }
    return hash128(scratch->p, (size_t)(p - (uint8_t *)scratch->p));
}

/* --- the parts of a series ------------------------------------------------------------------------ */

/* value 1, timestamp 2, start_timestamp 3 */
static int read_sample(struct rw_message *m, struct str bytes)
{
    int64_t t[2];
    double v;
    int rc = rw_read_value(bytes, 1, &v, t);

    if (rc < 0)
        return rc;
    if (t[1])
        rw_start_times(m);
    rw_add_sample(m, t[0], v);
    if (t[1])
        m->batch.st[m->nsamples - 1] = t[1];
    return rw_check_rows(m, NULL);
}

/* labels_refs 1, value 2, timestamp 3 */
static int read_exemplar(struct rw_message *m, struct str bytes)
{
    struct tsdb_exemplar ex = {0};
    struct err why = {0};
    int64_t t[2];
    int rc = rw_read_value(bytes, 2, &ex.v, t);

    if (rc < 0)
        return rc;
    ex.t = t[0];
    if (resolve(m, m->a, bytes, &ex.labels, &why) < 0 || labels_normalise(&ex.labels, &why) < 0)
        return refuse(m, 0, "exemplar: %.900s", why.text);
    *rw_add_exemplar(m) = ex;
    return rw_check_rows(m, NULL);
}

/* The family that a series of this type belongs to: parts of histograms and summaries lose their suffix. */
static struct str family_of(struct str name, uint8_t type)
{
    static const struct str suffixes[] = {STR("_bucket"), STR("_count"), STR("_sum")};

    if (type == METRIC_HISTOGRAM || type == METRIC_GAUGEHISTOGRAM || type == METRIC_SUMMARY)
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
            if (name.n > suffixes[i].n && str_ends(name, suffixes[i]))
                return str_head(name, name.n - suffixes[i].n);
    return name;
}

static struct str symbol(const struct rw_message *m, uint64_t ref)
{
    return ref < m->nsymbols ? m->symbols[ref] : STR("");
}

/* type 1, help_ref 3, unit_ref 4. Many series of a family follow each other: told once. */
static int read_metadata(struct rw_message *m, struct str bytes, struct str name)
{
    struct tsdb_metadata md = {.help = STR(""), .unit = STR("")},
                         *last = m->batch.nmetadata ? &m->batch.metadata[m->batch.nmetadata - 1] : NULL;
    struct wire w;
    struct field f;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.type != WIRE_VARINT)
            continue;
        if (f.number == 1)
            md.type = f.v <= METRIC_STATESET ? (uint8_t)f.v : METRIC_UNKNOWN;
        else if (f.number == 3)
            md.help = symbol(m, f.v);
        else if (f.number == 4)
            md.unit = symbol(m, f.v);
    }
    if (rc < 0)
        return rc;
    if (md.help.n > HELP_BYTES || md.unit.n > HELP_BYTES)
        return refuse(m, 0, "metadata: a help or unit text of %zu bytes, at most %d", MAX(md.help.n, md.unit.n), HELP_BYTES);
    md.family = family_of(name, md.type);
    if (md.family.n == 0 || (md.type == METRIC_UNKNOWN && !md.help.n && !md.unit.n) || !utf8_valid(md.family) ||
        !utf8_valid(md.help) || !utf8_valid(md.unit))
        return 0;
    if (!last || last->type != md.type || last->help.p != md.help.p || !str_eq(last->family, md.family))
        *rw_add_metadata(m) = md;
    return 0;
}

/* --- a series --------------------------------------------------------------------------------------- */

struct series {
    struct tsdb_in *in;
    uint32_t refs[REFS_MAX], nrefs;
    uint32_t nhistograms;
    struct str metadata;
};

/* Packed references where they always stand: first. Returns the place behind, or NULL. */
static const uint8_t *usual_refs(struct series *s, const uint8_t *p, const uint8_t *end)
{
    struct wire w = {p + 1, end}, r;
    uint64_t n, v;

    if (p >= end || *p != 0x0a || !wire_varint(&w, &n) || n > (size_t)(end - w.p))
        return NULL;
    r = (struct wire){w.p, w.p + n};
    while (r.p < r.end) {
        if (s->nrefs == REFS_MAX || !wire_varint(&r, &v))
            return NULL;
        s->refs[s->nrefs++] = (uint32_t)MIN(v, (uint64_t)UINT32_MAX);
    }
    return r.end;
}

/* A bad one is no more than that: the rest of the series is kept. */
static int read_histogram(struct rw_message *m, struct series *s, struct str bytes)
{
    struct err why = {0};
    int rc = rw_read_histogram(m, WIRE_HIST_REMOTE_WRITE, bytes, &why);

    s->nhistograms += rc == 0;
    if (rc > 0)
        refuse(m, 1, "%s", why.text);
    return rc < 0 ? rc : 0;
}

/* The fields from p on. Sets *again when there are references among them, so that all must be gathered. */
static int read_fields(struct rw_message *m, struct series *s, const uint8_t *p, const uint8_t *end, bool *again)
{
    struct wire w = {p, end};
    struct field f;
    int rc;

    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1)
            *again = true;
        else if (f.type != WIRE_BYTES)
            continue;
        else if (f.number == 2)
            rc = read_sample(m, f.bytes);
        else if (f.number == 3)
            rc = read_histogram(m, s, f.bytes);
        else if (f.number == 4)
            rc = read_exemplar(m, f.bytes);
        else if (f.number == 5)
            s->metadata = f.bytes;
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : 0;
}

static struct str name_of(const struct rw_message *m, const struct series *s)
{
    for (uint32_t i = 0; i + 1 < s->nrefs; i += 2)
        if (str_eqz(m->symbols[s->refs[i]], LABEL_NAME))
            return m->symbols[s->refs[i + 1]];
    return STR("");
}

/* 0 kept, 1 refused, <0 the message is malformed. */
static int end_series(struct rw_message *m, struct series *s, struct str bytes, bool again, struct buf *scratch,
                      struct err *e)
{
    struct tsdb_in *in = s->in;
    struct err why = {0};
    int rc = again ? read_refs(bytes, 1, s->refs, &s->nrefs) : 0;

    if (rc == ERR_INVALID)
        return rw_malformed(m, bytes.p, "the label references of a time series", e);
    in->raw = bytes;
    in->n = m->nsamples - in->first;
    in->exemplar_n = m->nexemplars - in->exemplar_first;
    if (rc == ERR_LIMIT)
        return refuse(m, in->n, "a series with more than %d label references", REFS_MAX);
    if (check_refs(m, s->refs, s->nrefs, &why) < 0)
        return refuse(m, in->n, "%s", why.text);
    if (labels_bytes(m, s->refs, s->nrefs) > LABELS_BYTES)
        return refuse(m, in->n, "labels of %zu bytes, at most %d", labels_bytes(m, s->refs, s->nrefs), LABELS_BYTES);
    if (s->nhistograms && in->n > s->nhistograms)
        return refuse(m, in->n, "a series with both floats and histograms");
    if (s->metadata.p && read_metadata(m, s->metadata, name_of(m, s)) < 0)
        return rw_malformed(m, s->metadata.p, "metadata", e);
    in->key = key_of(m, s->refs, s->nrefs, scratch);
    return 0;
}

static int read_series(struct rw_message *m, struct str bytes, struct series *s, struct buf *scratch, struct err *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.n, *body_end = (const uint8_t *)m->body.p + m->body.n,
                  *next;
    bool again = false;
    int rc;

    s->in = rw_add_series(m);
    s->nrefs = s->nhistograms = 0;
    s->metadata = STR_NULL;
    next = usual_refs(s, p, end);
    if (next)
        p = next;
    else
        again = true;
    while (p < end && body_end - p >= RW_SAMPLE_READ) {
        int64_t t;
        double v;

        next = rw_usual_sample(p, &t, &v);
        if (!next || next > end)
            break;
        rw_add_sample(m, t, v);
        p = next;
    }
    if (p < end && read_fields(m, s, p, end, &again) < 0)
        return rw_check_rows(m, e) < 0 ? ERR_LIMIT : rw_malformed(m, p, "a field of a time series", e);
    rc = end_series(m, s, bytes, again, scratch, e);
    if (rc > 0 || (s->in->n == 0 && s->in->exemplar_n == 0)) { /* refused, or nothing of it to store */
        rw_drop_rows(m, s->in);
        m->batch.nseries--;
    }
    return rc < 0 ? rc : rw_check_rows(m, e);
}

/* --- the request ------------------------------------------------------------------------------------ */

static int read_symbols(struct rw_message *m, size_t *series_bytes, struct err *e)
{
    uint32_t cap = 0;
    struct wire w;
    struct field f;
    int rc;

    *series_bytes = 0;
    wire_init(&w, m->body);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 5 && f.type == WIRE_BYTES && *series_bytes == 0)
            *series_bytes = f.bytes.n + 2;
        if (f.number != 4 || f.type != WIRE_BYTES)
            continue;
        if (m->nsymbols == SYMBOLS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d symbols: send smaller bodies", SYMBOLS_MAX);
        if (m->nsymbols == cap) {
            struct str *more = arena_alloc(m->a, sizeof *more * (cap ? cap * 2 : 1024));

            if (cap)
                memcpy(more, m->symbols, sizeof *more * cap);
            m->symbols = more;
            cap = cap ? cap * 2 : 1024;
        }
        m->symbols[m->nsymbols++] = f.bytes;
    }
    if (rc < 0)
        return rw_malformed(m, w.p, "a field of the request", e);
    if (m->nsymbols && m->symbols[0].n)
        return err_set(e, ERR_INVALID, "the first symbol is not the empty string");
    return 0;
}

int rw2_read(struct rw_message *m, struct arena *a, struct str body, struct err *e)
{
    struct rw_message first = {.a = a, .body = body};
    size_t series_bytes;
    struct buf scratch = {0};
    struct series s;
    struct wire w;
    struct field f;
    int rc;

    if (read_symbols(&first, &series_bytes, e) < 0)
        return e->code;
    rw_init(m, a, body, series_bytes);
    m->symbols = first.symbols;
    m->nsymbols = first.nsymbols;
    m->batch.labels = labels_of;
    wire_init(&w, body);
    while ((rc = wire_next(&w, &f)) == 0)
        if (f.number == 5 && f.type == WIRE_BYTES && (rc = read_series(m, f.bytes, &s, &scratch, e)) < 0)
            break;
    buf_release(&scratch);
    return rc < 0 ? e->code : 0;
}
