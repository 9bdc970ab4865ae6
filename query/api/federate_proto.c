/*
 * federate_proto.c - the protobuf exposition for /federate: MetricFamily messages, each behind its length, and the choice
 * among formats.
 *
 * Floats are untyped. Histograms go out with floating counts, whole or not, so that nothing is lost on the way; those with
 * custom buckets as classic ones, as the format knows no other form for them.
 */
#include "query/api/federate.h"

#include <math.h>

enum { TYPE_UNTYPED = 3, TYPE_HISTOGRAM = 4, TYPE_GAUGE_HISTOGRAM = 5 };

/* --- formats -------------------------------------------------------------------------------------- */

static bool format_named(struct str media, struct str params, enum federate_format *out)
{
    if (str_eqz(media, "application/vnd.google.protobuf")) {
        *out = FEDERATE_PROTOBUF;
        return str_find(params, STR("io.prometheus.client.MetricFamily")) >= 0 && str_find(params, STR("delimited")) >= 0;
    }
    if (str_eqz(media, "application/openmetrics-text"))
        *out = FEDERATE_OPENMETRICS;
    else if (str_eqz(media, "text/plain") || str_eqz(media, "*/*"))
        *out = FEDERATE_TEXT;
    else
        return false;
    return true;
}

enum federate_format federate_format_of(struct str accept)
{
    enum federate_format best = FEDERATE_TEXT, format;
    double best_q = 0;

    while (accept.n) {
        struct str part, media, params, param;
        double q = 1, number;
        bool range;

        str_cut(&accept, ',', &part);
        str_cut(&part, ';', &media);
        params = part;
        while (part.n) {
            str_cut(&part, ';', &param);
            param = str_trim(param);
            if (str_starts(param, STR("q=")) && num_parse(str_from(param, 2), &number, &range))
                q = number;
        }
        if (q > best_q && format_named(str_trim(media), params, &format)) {
            best = format;
            best_q = q;
        }
    }
    return best;
}

struct labels federate_labels(const struct federate_row *row, const struct labels *external, struct arena *a)
{
    struct labels out = {arena_array(a, struct label, row->labels.n + external->n + 1), 0};

    for (uint32_t i = 0; i < row->labels.n; i++)
        out.v[out.n++] = row->labels.v[i];
    if (labels_get(&row->labels, STR("instance")).n == 0 && labels_get(external, STR("instance")).n == 0)
        out.v[out.n++] = (struct label){STR("instance"), STR("")};
    for (uint32_t i = 0; i < external->n; i++)
        if (labels_get(&row->labels, external->v[i].name).n == 0)
            out.v[out.n++] = external->v[i];
    return out;
}

/* --- messages ------------------------------------------------------------------------------------- */

static void put_tag(struct buf *b, unsigned field, unsigned type)
{
    buf_put_varint(b, field << 3 | type);
}

static void put_int(struct buf *b, unsigned field, uint64_t v)
{
    put_tag(b, field, 0);
    buf_put_varint(b, v);
}

static void put_double(struct buf *b, unsigned field, double v)
{
    put_tag(b, field, 1);
    buf_put_u64(b, f64_bits(v));
}

static void put_bytes(struct buf *b, unsigned field, struct str s)
{
    put_tag(b, field, 2);
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

/* inner as a message of b; it is empty afterwards. */
static void put_message(struct buf *b, unsigned field, struct buf *inner)
{
    put_bytes(b, field, buf_str(inner));
    buf_reset(inner);
}

static void put_side(struct buf *b, const struct hist_bucket *x, uint32_t n, unsigned span_field, unsigned count_field)
{
    struct buf inner = {0};
    int64_t behind = 0;

    for (uint32_t i = 0, k; i < n; i += k) {
        for (k = 1; i + k < n && x[i + k].i == x[i + k - 1].i + 1;)
            k++;
        put_int(&inner, 1, zigzag(x[i].i - behind));
        put_int(&inner, 2, k);
        put_message(b, span_field, &inner);
        behind = (int64_t)x[i].i + k;
    }
    for (uint32_t i = 0; i < n; i++)
        buf_put_u64(&inner, f64_bits(x[i].n));
    if (n)
        put_message(b, count_field, &inner);
    buf_release(&inner);
}

static void put_classic(struct buf *b, const struct histogram *h)
{
    struct buf inner = {0};
    double below = 0;

    for (uint32_t i = 0, k = 0; i < h->nbounds; i++) {
        while (k < h->npos && h->pos[k].i <= (int32_t)i)
            below += h->pos[k++].n;
        put_double(&inner, 2, h->bounds[i]);
        put_double(&inner, 4, below);
        put_message(b, 3, &inner);
    }
    put_double(&inner, 2, INFINITY);
    put_double(&inner, 4, h->count);
    put_message(b, 3, &inner);
    buf_release(&inner);
}

static void put_histogram(struct buf *b, const struct histogram *h)
{
    struct buf inner = {0};

    put_double(b, 2, h->sum);
    put_double(b, 4, h->count);
    if (hist_custom(h)) {
        put_classic(b, h);
        return;
    }
    put_int(b, 5, zigzag(h->schema));
    put_double(b, 6, h->zero_threshold);
    put_double(b, 8, h->zero_count);
    put_side(b, h->neg, h->nneg, 9, 11);
    put_side(b, h->pos, h->npos, 12, 14);
    if (h->npos + h->nneg == 0) { /* a span of nothing says that it is a native one */
        put_int(&inner, 1, 0);
        put_int(&inner, 2, 0);
        put_message(b, 12, &inner);
    }
    buf_release(&inner);
}

static void put_metric(struct buf *b, const struct federate_row *row, const struct labels *external)
{
    struct arena a = {0};
    struct labels ls = federate_labels(row, external, &a);
    struct buf inner = {0};

    for (uint32_t i = 0; i < ls.n; i++) {
        if (str_eqz(ls.v[i].name, LABEL_NAME))
            continue;
        put_bytes(&inner, 1, ls.v[i].name);
        put_bytes(&inner, 2, ls.v[i].value);
        put_message(b, 1, &inner);
    }
    if (row->h)
        put_histogram(&inner, row->h);
    else
        put_double(&inner, 1, row->v);
    put_message(b, row->h ? 7 : 5, &inner);
    put_int(b, 6, (uint64_t)row->t);
    buf_release(&inner);
    arena_release(&a);
}

static unsigned type_of(const struct federate_row *row)
{
    return !row->h ? TYPE_UNTYPED : row->h->hint == HIST_GAUGE ? TYPE_GAUGE_HISTOGRAM : TYPE_HISTOGRAM;
}

uint32_t federate_put_family(struct buf *b, const struct federate_row *rows, uint32_t n, const struct labels *external)
{
    struct str name = labels_get(&rows[0].labels, STR(LABEL_NAME));
    struct buf family = {0}, metric = {0};
    uint32_t k = 0;

    put_bytes(&family, 1, name);
    put_int(&family, 3, type_of(rows));
    for (; k < n && str_eq(labels_get(&rows[k].labels, STR(LABEL_NAME)), name) && type_of(&rows[k]) == type_of(rows); k++) {
        if (k && labels_eq(&rows[k - 1].labels, &rows[k].labels))
            continue;
        put_metric(&metric, &rows[k], external);
        put_message(&family, 4, &metric);
    }
    buf_put_varint(b, family.n);
    buf_puts(b, buf_str(&family));
    buf_release(&family);
    buf_release(&metric);
    return k;
}
