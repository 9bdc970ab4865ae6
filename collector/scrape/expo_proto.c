/*
 * expo_proto.c - the protobuf exposition: MetricFamily messages, each behind its length.
 *
 * A message gives several series; each gets a text in the form of text 1.0.0, so that its key and labels are found as
 * those of any other. A native histogram is one more entry, which carries the bytes of its message.
 */
#include "collector/scrape/expo_read.h"
#include "net/wire.h"

#include <math.h>
#include <stdlib.h>

/* --- fields ----------------------------------------------------------------------------------------- */

static double field_double(const struct field *f)
{
    double v = f->type == WIRE_FIXED64 ? f64_from_bits(f->v) : 0;

    return isnan(v) ? f64_from_bits(NORMAL_NAN_BITS) : v;
}

/* Loops over a message; ends the function with ERR_INVALID when it is malformed. */
#define EACH_FIELD(message, f)                                                                                         \
    struct wire wire_;                                                                                                 \
    struct field f;                                                                                                    \
    wire_init(&wire_, message);                                                                                        \
    for (int got_; (got_ = wire_next(&wire_, &f)) <= 0;)                                                               \
        if (got_ < 0)                                                                                                  \
            return ERR_INVALID;                                                                                        \
        else

/* --- reader ----------------------------------------------------------------------------------------- */

enum { TEXT_BYTES_MAX = 256 << 20 };

enum stage { NEXT_FAMILY, FAMILY_HELP, FAMILY_TYPE, FAMILY_UNIT, FAMILY_METRICS };

enum { PB_COUNTER, PB_GAUGE, PB_SUMMARY, PB_UNTYPED, PB_HISTOGRAM, PB_GAUGE_HISTOGRAM };

struct proto_reader {
    enum stage stage;
    struct str name, help, unit;
    uint64_t pb_type;
    struct wire metrics; /* what is left of the family message */

    /* The series of one metric, given out one by one. */
    struct expo_entry *pending;
    uint32_t npending, cap, given;

    uint64_t
        text_bytes; /* labels written out once more for each bucket: bounded, or a small body could fill the memory */
};

struct proto_reader *expo_proto_new(struct arena *a)
{
    return arena_new(a, struct proto_reader);
}

static int malformed(struct expo *x, struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "byte %zu, family %.*s: %s", (size_t)(x->at - x->body),
                   STR_ARG(str_head(x->proto->name, 100)), what);
}

static struct expo_entry *push(struct expo *x)
{
    struct proto_reader *r = x->proto;

    if (r->npending == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 32;
        struct expo_entry *v = arena_alloc(x->a, sizeof(*v) * cap);

        if (r->npending)
            memcpy(v, r->pending, sizeof(*v) * r->npending);
        r->pending = v;
        r->cap = cap;
    }
    struct expo_entry *en = &r->pending[r->npending++];
    memset(en, 0, sizeof(*en));
    en->kind = EXPO_SERIES;
    return en;
}

/* --- what a metric says besides its value ------------------------------------------------------------- */

struct metric {
    struct str *names, *values; /* label pairs */
    uint32_t nlabels, cap;
    struct str value; /* the message of the type at hand */
    int64_t t;
    bool has_t;
    int64_t st;
};

static int read_pair(struct str m, struct str *name, struct str *value)
{
    *name = *value = STR("");
    EACH_FIELD(m, f)
    {
        if (f.number == 1 && f.type == WIRE_BYTES)
            *name = f.bytes;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            *value = f.bytes;
    }
    return name->n && utf8_valid(*name) && utf8_valid(*value) ? 0 : ERR_INVALID;
}

static int read_time(struct str m, int64_t *ms)
{
    int64_t s = 0, ns = 0;

    EACH_FIELD(m, f)
    {
        if (f.type != WIRE_VARINT)
            continue;
        if (f.number == 1)
            s = (int64_t)f.v;
        else if (f.number == 2)
            ns = (int64_t)f.v;
    }
    if (s > INT64_MAX / 2000 || s < -(INT64_MAX / 2000) || ns < -1000000000 || ns > 1000000000)
        return ERR_INVALID;
    *ms = s * 1000 + ns / 1000000;
    return 0;
}

static int read_metric(struct expo *x, struct str m, uint32_t value_field, struct metric *out)
{
    memset(out, 0, sizeof(*out));
    EACH_FIELD(m, f)
    {
        if (f.number == 1 && f.type == WIRE_BYTES) {
            if (out->nlabels == out->cap) {
                uint32_t cap = out->cap ? out->cap * 2 : 8;
                struct str *v = arena_alloc(x->a, sizeof(*v) * cap * 2);

                for (uint32_t i = 0; i < out->nlabels; i++) {
                    v[i] = out->names[i];
                    v[cap + i] = out->values[i];
                }
                out->names = v;
                out->values = v + cap;
                out->cap = cap;
            }
            if (read_pair(f.bytes, &out->names[out->nlabels], &out->values[out->nlabels]) < 0)
                return ERR_INVALID;
            out->nlabels++;
        } else if (f.number == 6 && f.type == WIRE_VARINT) {
            out->t = (int64_t)f.v;
            out->has_t = out->t != 0;
        } else if (f.number == value_field && f.type == WIRE_BYTES) {
            out->value = f.bytes;
        }
    }
    return 0;
}

static void put_quoted(struct buf *out, struct str s)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') {
            buf_putz(out, "\\n");
            continue;
        }
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_putc(out, '\\');
        buf_putc(out, s.p[i]);
    }
    buf_putc(out, '"');
}

void expo_put_series(struct buf *out, const struct labels *ls)
{
    struct str metric = labels_get(ls, STR(LABEL_NAME));
    bool legacy = metric_name_legacy(metric), comma = !legacy;

    if (legacy)
        buf_puts(out, metric);
    buf_putc(out, '{');
    if (!legacy)
        put_quoted(out, metric);
    for (uint32_t i = 0; i < ls->n; i++) {
        if (str_eqz(ls->v[i].name, LABEL_NAME))
            continue;
        if (comma)
            buf_putc(out, ',');
        if (label_name_legacy(ls->v[i].name))
            buf_puts(out, ls->v[i].name);
        else
            put_quoted(out, ls->v[i].name);
        buf_putc(out, '=');
        put_quoted(out, ls->v[i].value);
        comma = true;
    }
    buf_putc(out, '}');
}

/* name_suffix{labels,extra="number"} */
static struct str series_text(struct expo *x, const struct metric *m, const char *suffix, const char *extra,
                              double number)
{
    struct str full = arena_printf(x->a, "%.*s%s", STR_ARG(x->proto->name), suffix), text;
    bool legacy = metric_name_legacy(full), comma = !legacy;
    struct buf b = {0};
    char digits[NUM_MAX];

    if (legacy) {
        buf_puts(&b, full);
        buf_putc(&b, '{');
    } else {
        buf_putc(&b, '{');
        put_quoted(&b, full);
    }
    for (uint32_t i = 0; i < m->nlabels; i++, comma = true) {
        if (comma)
            buf_putc(&b, ',');
        if (label_name_legacy(m->names[i]))
            buf_puts(&b, m->names[i]);
        else
            put_quoted(&b, m->names[i]);
        buf_putc(&b, '=');
        put_quoted(&b, m->values[i]);
    }
    if (extra) {
        number = number == 0 ? 0 : number;
        buf_printf(&b, "%s%s=", comma ? "," : "", extra);
        put_quoted(&b, str_n(digits, num_fmt_label(number, digits)));
    }
    buf_putc(&b, '}');
    text = arena_dup(x->a, buf_str(&b));
    x->proto->text_bytes += text.n;
    buf_release(&b);
    return text;
}

static struct expo_entry *push_series(struct expo *x, const struct metric *m, const char *suffix, const char *extra,
                                      double number, double v)
{
    struct expo_entry *en = push(x);

    en->series = series_text(x, m, suffix, extra, number);
    en->v = v;
    en->t = m->t;
    en->has_t = m->has_t;
    en->st = x->opts.start_timestamps ? m->st : 0;
    return en;
}

static int read_exemplar(struct expo *x, struct str m, struct expo_exemplar *ex)
{
    uint32_t n = 0, cap = 0;

    memset(ex, 0, sizeof(*ex));
    {
        EACH_FIELD(m, f) cap += f.number == 1;
    }
    ex->labels.v = arena_alloc(x->a, sizeof(struct label) * (cap + 1));
    EACH_FIELD(m, f)
    {
        if (f.number == 1 && f.type == WIRE_BYTES) {
            if (read_pair(f.bytes, &ex->labels.v[n].name, &ex->labels.v[n].value) < 0)
                return ERR_INVALID;
            n++;
        } else if (f.number == 2) {
            ex->v = field_double(&f);
        } else if (f.number == 3 && f.type == WIRE_BYTES) {
            if (read_time(f.bytes, &ex->t) < 0)
                return ERR_INVALID;
            ex->has_t = true;
        }
    }
    ex->labels.n = n;
    return labels_normalise(&ex->labels, NULL);
}

static int set_exemplar(struct expo *x, struct expo_entry *en, struct str m)
{
    struct expo_exemplar *ex;

    if (x->proto->text_bytes > TEXT_BYTES_MAX)
        return ERR_LIMIT;
    if (!m.p)
        return 0;
    ex = arena_new(x->a, struct expo_exemplar);
    en->exemplars = ex;
    en->nexemplars = 1;
    return read_exemplar(x, m, ex);
}

/* --- the types ----------------------------------------------------------------------------------------- */

static int expand_simple(struct expo *x, struct metric *m, bool counter)
{
    struct str exemplar = STR_NULL;
    double v = 0;

    EACH_FIELD(m->value, f)
    {
        if (f.number == 1)
            v = field_double(&f);
        else if (counter && f.number == 2 && f.type == WIRE_BYTES)
            exemplar = f.bytes;
        else if (counter && f.number == 3 && f.type == WIRE_BYTES && read_time(f.bytes, &m->st) < 0)
            return ERR_INVALID;
    }
    return set_exemplar(x, push_series(x, m, "", NULL, 0, v), exemplar);
}

static int expand_quantile(struct expo *x, const struct metric *m, struct str message)
{
    double q = 0, v = 0;

    EACH_FIELD(message, f)
    {
        if (f.number == 1)
            q = field_double(&f);
        else if (f.number == 2)
            v = field_double(&f);
    }
    return set_exemplar(x, push_series(x, m, "", "quantile", q, v), STR_NULL);
}

static int expand_summary(struct expo *x, struct metric *m)
{
    uint64_t count = 0;
    double sum = 0;

    {
        EACH_FIELD(m->value, f)
        {
            if (f.number == 1 && f.type == WIRE_VARINT)
                count = f.v;
            else if (f.number == 2)
                sum = field_double(&f);
            else if (f.number == 4 && f.type == WIRE_BYTES && read_time(f.bytes, &m->st) < 0)
                return ERR_INVALID;
        }
    }
    push_series(x, m, "_count", NULL, 0, (double)count);
    push_series(x, m, "_sum", NULL, 0, sum);
    EACH_FIELD(m->value, f)
    {
        int code = f.number == 3 && f.type == WIRE_BYTES ? expand_quantile(x, m, f.bytes) : 0;

        if (code < 0)
            return code;
    }
    return 0;
}

struct classic {
    uint64_t count, zero_count;
    double count_float, zero_count_float, sum, zero_threshold;
    bool spans, has_inf;
};

static int read_histogram(struct metric *m, struct classic *h)
{
    memset(h, 0, sizeof(*h));
    EACH_FIELD(m->value, f)
    {
        switch (f.number) {
        case 1:
            h->count = f.type == WIRE_VARINT ? f.v : 0;
            break;
        case 2:
            h->sum = field_double(&f);
            break;
        case 4:
            h->count_float = field_double(&f);
            break;
        case 6:
            h->zero_threshold = field_double(&f);
            break;
        case 7:
            h->zero_count = f.type == WIRE_VARINT ? f.v : 0;
            break;
        case 8:
            h->zero_count_float = field_double(&f);
            break;
        case 9:
        case 12:
            h->spans |= f.type == WIRE_BYTES;
            break;
        case 15:
            if (f.type != WIRE_BYTES || read_time(f.bytes, &m->st) < 0)
                return ERR_INVALID;
            break;
        default:
            break;
        }
    }
    return 0;
}

static int expand_bucket(struct expo *x, const struct metric *m, struct str message, struct classic *h)
{
    double bound = 0, count_float = 0;
    struct str exemplar = STR_NULL;
    uint64_t count = 0;

    EACH_FIELD(message, f)
    {
        if (f.number == 1 && f.type == WIRE_VARINT)
            count = f.v;
        else if (f.number == 2)
            bound = field_double(&f);
        else if (f.number == 3 && f.type == WIRE_BYTES)
            exemplar = f.bytes;
        else if (f.number == 4)
            count_float = field_double(&f);
    }
    h->has_inf |= isinf(bound) && bound > 0;
    return set_exemplar(x, push_series(x, m, "_bucket", "le", bound, count_float > 0 ? count_float : (double)count),
                        exemplar);
}

/* Adds the exemplar to those of a native histogram if it says when it was. */
static int take_exemplar(struct expo *x, struct expo_exemplar **list, uint32_t *n, struct str message)
{
    struct expo_exemplar ex, *more;

    if (read_exemplar(x, message, &ex) < 0)
        return ERR_INVALID;
    if (!ex.has_t)
        return 0;
    if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4, ... are full */
        more = arena_alloc(x->a, sizeof(*more) * MAX(*n * 2, 2u));
        if (*n)
            memcpy(more, *list, sizeof(*more) * *n);
        *list = more;
    }
    (*list)[(*n)++] = ex;
    return 0;
}

/* Those of the buckets: the field `exemplar` of each. */
static int take_bucket_exemplars(struct expo *x, struct expo_exemplar **list, uint32_t *n, struct str bucket)
{
    EACH_FIELD(bucket, f)
    {
        if (f.number == 3 && f.type == WIRE_BYTES && take_exemplar(x, list, n, f.bytes) < 0)
            return ERR_INVALID;
    }
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct expo_exemplar *l = a, *r = b;

    return (l->t > r->t) - (l->t < r->t);
}

/* The entry of a native histogram. Its exemplars are its own, or, when it has none, those of its classic buckets. */
static int push_native(struct expo *x, const struct metric *m)
{
    struct expo_entry *en = push_series(x, m, "", NULL, 0, 0);
    struct expo_exemplar *own = NULL, *of_buckets = NULL;
    uint32_t nown = 0, nof_buckets = 0;

    en->histogram = m->value;
    en->gauge = x->proto->pb_type == PB_GAUGE_HISTOGRAM;
    EACH_FIELD(m->value, f)
    {
        if (f.number == 16 && f.type == WIRE_BYTES && take_exemplar(x, &own, &nown, f.bytes) < 0)
            return ERR_INVALID;
        if (f.number == 3 && f.type == WIRE_BYTES && take_bucket_exemplars(x, &of_buckets, &nof_buckets, f.bytes) < 0)
            return ERR_INVALID;
    }
    en->exemplars = nown ? own : of_buckets;
    en->nexemplars = nown ? nown : nof_buckets;
    if (en->nexemplars > 1)
        qsort(nown ? own : of_buckets, en->nexemplars, sizeof(*own), by_time);
    return 0;
}

static int expand_histogram(struct expo *x, struct metric *m)
{
    struct classic h;
    double count;

    if (read_histogram(m, &h) < 0)
        return ERR_INVALID;
    if ((h.spans || h.zero_threshold > 0 || h.zero_count > 0) && push_native(x, m) < 0)
        return ERR_INVALID;
    count = h.count_float > 0 || h.zero_count_float > 0 ? h.count_float : (double)h.count;
    push_series(x, m, "_count", NULL, 0, count);
    push_series(x, m, "_sum", NULL, 0, h.sum);
    EACH_FIELD(m->value, f)
    {
        int code = f.number == 3 && f.type == WIRE_BYTES ? expand_bucket(x, m, f.bytes, &h) : 0;

        if (code < 0)
            return code;
    }
    if (!h.has_inf)
        push_series(x, m, "_bucket", "le", HUGE_VAL, count);
    return 0;
}

static int expand_metric(struct expo *x, struct str message, struct err *e)
{
    static const uint32_t value_fields[] = {[PB_COUNTER] = 3, [PB_GAUGE] = 2,     [PB_SUMMARY] = 4,
                                            [PB_UNTYPED] = 5, [PB_HISTOGRAM] = 7, [PB_GAUGE_HISTOGRAM] = 7};
    struct proto_reader *r = x->proto;
    struct metric m;
    int code = read_metric(x, message, value_fields[r->pb_type], &m);

    r->npending = r->given = 0;
    if (code == 0) {
        switch (r->pb_type) {
        case PB_SUMMARY:
            code = expand_summary(x, &m);
            break;
        case PB_HISTOGRAM:
        case PB_GAUGE_HISTOGRAM:
            code = expand_histogram(x, &m);
            for (uint32_t i = 1; i < r->npending; i++)
                r->pending[i].classic_too = r->pending[0].histogram.n > 0;
            break;
        default:
            code = expand_simple(x, &m, r->pb_type == PB_COUNTER);
            break;
        }
    }
    if (code == ERR_LIMIT)
        return malformed(x, e, "the labels of its series take more than 256 MiB");
    return code < 0 ? malformed(x, e, "malformed metric, or text that is not UTF-8") : 0;
}

/* --- families -------------------------------------------------------------------------------------------- */

static int read_family(struct proto_reader *r, struct str m, bool *any)
{
    r->name = r->help = r->unit = STR_NULL;
    r->pb_type = PB_COUNTER;
    wire_init(&r->metrics, m);
    *any = false;
    EACH_FIELD(m, f)
    {
        switch (f.number) {
        case 1:
            r->name = f.type == WIRE_BYTES ? f.bytes : STR_NULL;
            break;
        case 2:
            r->help = f.type == WIRE_BYTES ? f.bytes : STR_NULL;
            break;
        case 3:
            r->pb_type = f.type == WIRE_VARINT ? f.v : UINT64_MAX;
            break;
        case 4:
            *any |= f.type == WIRE_BYTES;
            break;
        case 5:
            r->unit = f.type == WIRE_BYTES ? f.bytes : STR_NULL;
            break;
        default:
            break;
        }
    }
    return 0;
}

/* The next family that has a metric. *end: there is none. */
static int next_family(struct expo *x, bool *end, struct err *e)
{
    struct proto_reader *r = x->proto;

    for (;;) {
        const uint8_t *p = (const uint8_t *)x->at, *stop = (const uint8_t *)x->end;
        uint64_t n;
        bool any;

        *end = p >= stop;
        if (*end)
            return 0;
        if (!(p = get_varint(p, stop, &n)) || n > (uint64_t)(stop - p))
            return malformed(x, e, "the length of the next family is wrong");
        if (read_family(r, str_n(p, n), &any) < 0)
            return malformed(x, e, "malformed family");
        x->at = (const char *)p + n;
        if (!any)
            continue;
        if (r->pb_type > PB_GAUGE_HISTOGRAM)
            return malformed(x, e, "unknown metric type");
        if (r->name.n == 0 || !utf8_valid(r->name) || !utf8_valid(r->help) || !utf8_valid(r->unit))
            return malformed(x, e, "name, help or unit is missing or not UTF-8");
        return 0;
    }
}

static uint8_t type_of(uint64_t pb)
{
    static const uint8_t types[] = {METRIC_COUNTER, METRIC_GAUGE,     METRIC_SUMMARY,
                                    METRIC_UNKNOWN, METRIC_HISTOGRAM, METRIC_GAUGEHISTOGRAM};

    return types[pb];
}

/* >0: the family is used up. Expanding goes one metric at a time, so memory follows the widest metric's buckets. */
static int next_series(struct expo *x, struct expo_entry *out, struct err *e)
{
    struct proto_reader *r = x->proto;
    struct field f;

    while (r->given == r->npending) {
        do {
            if (wire_next(&r->metrics, &f) != 0)
                return 1;
        } while (f.number != 4 || f.type != WIRE_BYTES);
        int code = expand_metric(x, f.bytes, e);

        if (code < 0)
            return code;
    }
    *out = r->pending[r->given++];
    return 0;
}

int expo_proto_next(struct expo *x, struct expo_entry *out, struct err *e)
{
    struct proto_reader *r = x->proto;
    bool end;
    int code;

    memset(out, 0, sizeof(*out));
    for (;;) {
        switch (r->stage) {
        case NEXT_FAMILY:
            if ((code = next_family(x, &end, e)) < 0)
                return code;
            out->kind = EXPO_END;
            if (end)
                return 0;
            r->npending = r->given = 0;
            r->stage = FAMILY_HELP;
            break;
        case FAMILY_HELP:
            r->stage = FAMILY_TYPE;
            if (!r->help.p)
                break;
            *out = (struct expo_entry){.kind = EXPO_HELP, .family = r->name, .text = r->help};
            return 0;
        case FAMILY_TYPE:
            r->stage = r->unit.n ? FAMILY_UNIT : FAMILY_METRICS;
            *out = (struct expo_entry){.kind = EXPO_TYPE, .family = r->name, .type = type_of(r->pb_type)};
            return 0;
        case FAMILY_UNIT:
            r->stage = FAMILY_METRICS;
            *out = (struct expo_entry){.kind = EXPO_UNIT, .family = r->name, .text = r->unit};
            return 0;
        case FAMILY_METRICS:
            if ((code = next_series(x, out, e)) <= 0)
                return code;
            r->stage = NEXT_FAMILY;
            break;
        }
    }
}
