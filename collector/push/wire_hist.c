/*
 * wire_hist.c - see wire_hist.h. Spans and counts are gathered first, as protobuf does not promise their order, and put
 * together then.
 *
 * (1) A message means at most BUCKETS_MAX buckets a side, whatever its bytes; what is beyond is counted, not kept.
 */
#include "collector/push/wire_hist.h"

#include "net/wire.h"

#include <math.h>

enum { BUCKETS_MAX = 4096, SPANS_MAX = 4096, FINER_SCHEMA_MAX = 52 };

enum field_of {
    F_NONE,
    F_COUNT,
    F_COUNT_FLOAT,
    F_SUM,
    F_SCHEMA,
    F_ZERO_THRESHOLD,
    F_ZERO_COUNT,
    F_ZERO_COUNT_FLOAT,
    F_NEG_SPAN,
    F_NEG_DELTA,
    F_NEG_COUNT,
    F_POS_SPAN,
    F_POS_DELTA,
    F_POS_COUNT,
    F_HINT,
    F_TIME,
    F_CUSTOM,
    F_START,
};

static const uint8_t fields[2][18] = {
    [WIRE_HIST_REMOTE_WRITE] = {F_NONE, F_COUNT, F_COUNT_FLOAT, F_SUM, F_SCHEMA, F_ZERO_THRESHOLD, F_ZERO_COUNT,
                                F_ZERO_COUNT_FLOAT, F_NEG_SPAN, F_NEG_DELTA, F_NEG_COUNT, F_POS_SPAN, F_POS_DELTA,
                                F_POS_COUNT, F_HINT, F_TIME, F_CUSTOM, F_START},
    [WIRE_HIST_EXPOSITION] = {F_NONE, F_COUNT, F_SUM, F_NONE /* classic buckets */, F_COUNT_FLOAT, F_SCHEMA,
                              F_ZERO_THRESHOLD, F_ZERO_COUNT, F_ZERO_COUNT_FLOAT, F_NEG_SPAN, F_NEG_DELTA, F_NEG_COUNT,
                              F_POS_SPAN, F_POS_DELTA, F_POS_COUNT},
};

struct bucket_span {
    int32_t offset;
    uint32_t n;
};

/* The buckets of one sign. The counts kept are the first BUCKETS_MAX. */
struct side {
    struct bucket_span *spans;
    uint32_t nspans, spans_cap;
    int64_t *deltas;
    double *counts;
    uint32_t ndeltas, deltas_cap, ncounts, counts_cap;
};

struct reading {
    struct arena *a;
    struct side pos, neg;
    double *custom;
    uint32_t ncustom, custom_cap;
    uint64_t count, zero_count;
    double count_float, zero_count_float;
    bool has_count_float, is_float;
    struct wire_hist *out;
};

/* Room for one more of n elements; false at max. */
static bool room(struct arena *a, void *list, uint32_t n, uint32_t *cap, size_t size, uint32_t max)
{
    void **p = list, *more;

    if (n < *cap)
        return true;
    if (n >= max)
        return false;
    *cap = MIN(*cap ? *cap * 2 : 16, max);
    more = arena_alloc(a, size * *cap);
    if (n)
        memcpy(more, *p, size * n);
    *p = more;
    return true;
}

/* offset 1, length 2 */
static int read_span(struct reading *r, struct side *s, struct str bytes)
{
    struct bucket_span span = {0};
    struct wire w;
    struct field f = {0};
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            span.offset = (int32_t)unzigzag((uint32_t)f.v);
        else if (f.number == 2 && f.type == WIRE_VARINT)
            span.n = (uint32_t)MIN(f.v, (uint64_t)UINT32_MAX);
    }
    if (rc < 0)
        return rc;
    if (room(r->a, &s->spans, s->nspans, &s->spans_cap, sizeof *s->spans, SPANS_MAX))
        s->spans[s->nspans] = span;
    s->nspans++;
    return 0;
}

static void add_delta(struct reading *r, struct side *s, uint64_t z)
{
    if (room(r->a, &s->deltas, s->ndeltas, &s->deltas_cap, sizeof *s->deltas, BUCKETS_MAX))
        s->deltas[s->ndeltas] = unzigzag(z);
    s->ndeltas++;
}

static int read_deltas(struct reading *r, struct side *s, const struct field *f)
{
    struct wire w;
    uint64_t z;

    if (f->type == WIRE_VARINT)
        add_delta(r, s, f->v);
    if (f->type != WIRE_BYTES)
        return 0;
    wire_init(&w, f->bytes);
    while (w.p < w.end) {
        if (!wire_varint(&w, &z))
            return ERR_INVALID;
        add_delta(r, s, z);
    }
    return 0;
}

static int read_doubles(struct reading *r, double **list, uint32_t *n, uint32_t *cap, const struct field *f)
{
    size_t count = f->type == WIRE_BYTES ? f->bytes.n / 8 : f->type == WIRE_FIXED64;

    if (f->type == WIRE_BYTES && f->bytes.n % 8)
        return ERR_INVALID;
    for (size_t i = 0; i < count; i++, ++*n)
        if (room(r->a, list, *n, cap, sizeof **list, BUCKETS_MAX))
            (*list)[*n] = f64_from_bits(f->type == WIRE_BYTES ? get_u64le(f->bytes.p + 8 * i) : f->v);
    return 0;
}

static double number(const struct field *f)
{
    return f->type == WIRE_FIXED64 ? f64_from_bits(f->v) : 0;
}

static uint64_t integer(const struct field *f)
{
    return f->type == WIRE_VARINT ? f->v : 0;
}

static int read_field(struct reading *r, enum field_of of, const struct field *f)
{
    struct histogram *h = &r->out->h;

    switch (of) {
    case F_COUNT:
        r->count = integer(f);
        break;
    case F_COUNT_FLOAT:
        r->count_float = number(f);
        r->has_count_float = true;
        break;
    case F_SUM:
        h->sum = number(f);
        break;
    case F_SCHEMA:
        h->schema = (int32_t)unzigzag((uint32_t)integer(f));
        break;
    case F_ZERO_THRESHOLD:
        h->zero_threshold = number(f);
        break;
    case F_ZERO_COUNT:
        r->zero_count = integer(f);
        break;
    case F_ZERO_COUNT_FLOAT:
        r->zero_count_float = number(f);
        break;
    case F_NEG_SPAN:
    case F_POS_SPAN:
        return f->type == WIRE_BYTES ? read_span(r, of == F_NEG_SPAN ? &r->neg : &r->pos, f->bytes) : 0;
    case F_NEG_DELTA:
    case F_POS_DELTA:
        return read_deltas(r, of == F_NEG_DELTA ? &r->neg : &r->pos, f);
    case F_NEG_COUNT:
        return read_doubles(r, &r->neg.counts, &r->neg.ncounts, &r->neg.counts_cap, f);
    case F_POS_COUNT:
        return read_doubles(r, &r->pos.counts, &r->pos.ncounts, &r->pos.counts_cap, f);
    case F_HINT:
        h->hint = integer(f) <= HIST_GAUGE ? (uint8_t)integer(f) : HIST_UNKNOWN;
        break;
    case F_TIME:
        r->out->t = (int64_t)integer(f);
        break;
    case F_CUSTOM:
        return read_doubles(r, &r->custom, &r->ncustom, &r->custom_cap, f);
    case F_START:
        r->out->st = (int64_t)integer(f);
        break;
    case F_NONE:
        break;
    }
    return 0;
}

/* --- putting it together -------------------------------------------------------------------------- */

static int invalid(struct err *e, const char *what)
{
    err_set(e, ERR_INVALID, "invalid histogram: %s", what);
    return 1;
}

/* Counts behind indexes. *total: the sum of integer counts. */
static int make_side(struct reading *r, const struct side *s, const struct hist_bucket **out, uint32_t *nout, uint64_t *total,
                     struct err *e)
{
    uint32_t n = r->is_float ? s->ncounts : s->ndeltas, k = 0;
    struct hist_bucket *b;
    int64_t at = 0, count = 0;

    if (n > BUCKETS_MAX || s->nspans > SPANS_MAX)
        return invalid(e, "more than 4096 buckets or spans");
    b = arena_alloc(r->a, (n + (size_t)1) * sizeof *b);
    for (uint32_t i = 0; i < s->nspans; i++) {
        if (i && s->spans[i].offset < 0)
            return invalid(e, "a span has a negative offset");
        at += s->spans[i].offset;
        if (s->spans[i].n > n - k)
            return invalid(e, "its spans have more buckets than there are counts");
        for (uint32_t j = 0; j < s->spans[i].n; j++, k++, at++) {
            if (at > INT32_MAX / 2 || at < INT32_MIN / 2)
                return invalid(e, "the index of a bucket is out of range");
            count = r->is_float ? 0 : (int64_t)((uint64_t)count + (uint64_t)s->deltas[k]);
            if (count < 0)
                return invalid(e, "a bucket has a negative count");
            b[k] = (struct hist_bucket){(int32_t)at, r->is_float ? s->counts[k] : (double)count};
            *total += (uint64_t)count;
        }
    }
    if (k != n)
        return invalid(e, "its spans have fewer buckets than there are counts");
    *out = b;
    *nout = n;
    return 0;
}

static int make_histogram(struct reading *r, struct err *e)
{
    struct histogram *h = &r->out->h;
    uint64_t total = r->zero_count;

    if (h->schema != HIST_CUSTOM && (h->schema < HIST_SCHEMA_MIN || h->schema > FINER_SCHEMA_MAX))
        return invalid(e, "unknown schema");
    if (make_side(r, &r->pos, &h->pos, &h->npos, &total, e) || make_side(r, &r->neg, &h->neg, &h->nneg, &total, e))
        return 1;
    h->count = r->is_float ? r->count_float : (double)r->count;
    h->zero_count = r->is_float ? r->zero_count_float : (double)r->zero_count;
    if (!r->is_float && (isnan(h->sum) ? r->count < total : r->count != total))
        return invalid(e, "its count is not the number of observations in its buckets");
    if (r->ncustom > BUCKETS_MAX)
        return invalid(e, "more than 4096 custom bounds");
    h->bounds = r->custom;
    h->nbounds = r->ncustom;
    if (h->schema > HIST_SCHEMA_MAX)
        r->out->h = *hist_reduce(r->a, h, HIST_SCHEMA_MAX);
    return 0;
}

int wire_hist_read(struct str message, enum wire_hist_kind kind, struct arena *a, struct wire_hist *out, struct err *e)
{
    struct reading r = {.a = a, .out = out};
    struct wire w;
    struct field f = {0};
    int rc;

    *out = (struct wire_hist){0};
    wire_init(&w, message);
    while ((rc = wire_next(&w, &f)) == 0) {
        rc = f.number < ARRAY_LEN(fields[0]) ? read_field(&r, fields[kind][f.number], &f) : 0;
        if (rc < 0)
            return err_set(e, ERR_INVALID, "protobuf: field %u of a histogram can not be read", f.number);
    }
    if (rc < 0)
        return err_set(e, ERR_INVALID, "protobuf: a histogram can not be read");
    r.is_float = kind == WIRE_HIST_REMOTE_WRITE ? r.has_count_float : r.count_float > 0 || r.zero_count_float > 0;
    if (hist_stale(&out->h)) {
        out->h = (struct histogram){.sum = out->h.sum, .hint = out->h.hint};
        return 0;
    }
    return make_histogram(&r, e);
}
