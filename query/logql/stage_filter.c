/*
 * stage_filter.c - label filters and unwrap: values of labels as text, numbers, durations, sizes and addresses.
 *
 * (1) A record that has an error already passes all but the filters on text; those on numbers want the label to be there.
 * (2) Both sides of `and` are asked, though one would do: the other may set the error that the record keeps.
 */
#include "query/logql/stage.h"
#include "query/logql/units.h"

static const char filter_error[] = "LabelFilterErr", unwrap_error[] = "SampleExtractionErr";

static struct filter *compile(struct pipeline *p, const struct logql_label_filter *from, struct err *e)
{
    struct filter *f = arena_new(&p->a, struct filter);

    f->kind = from->kind;
    if (f->kind == FILTER_AND || f->kind == FILTER_OR) {
        f->l = compile(p, from->l, e);
        f->r = f->l ? compile(p, from->r, e) : NULL;
        return f->r ? f : NULL;
    }
    f->name = pipeline_name(p, from->name, true);
    f->cmp = from->cmp;
    f->matcher = from->matcher;
    f->number = from->number;
    f->duration_ns = from->duration_ns;
    f->bytes = from->bytes;
    if (f->kind == FILTER_IP && ip_match_new(&p->a, from->ip, &f->ip, e) < 0)
        return NULL;
    return f;
}

int stage_filter_compile(struct pipeline *p, struct stage *s, struct err *e)
{
    s->filter = compile(p, s->ast->filter, e);
    return s->filter ? 0 : ERR_INVALID;
}

static bool compares(enum logql_cmp cmp, bool less, bool same)
{
    switch (cmp) {
    case CMP_EQ:
        return same;
    case CMP_NE:
        return !same;
    case CMP_LT:
        return less;
    case CMP_LE:
        return less || same;
    case CMP_GT:
        return !less && !same;
    case CMP_GE:
        return !less;
    }
    return false;
}

static void not_a_number(struct runner *r, const char *error, struct str v)
{
    struct buf b = {0};
    double d;
    bool range = false;

    buf_putz(&b, "strconv.ParseFloat: parsing ");
    buf_put_quoted(&b, str_head(v, 200));
    buf_putz(&b, num_parse(v, &d, &range) || range ? ": value out of range" : ": invalid syntax");
    runner_fail(r, error, buf_str(&b));
    buf_release(&b);
}

static bool number_passes(struct runner *r, const struct filter *f, struct str value)
{
    double v;

    if (!lq_float_parse(value, &v)) {
        not_a_number(r, filter_error, value);
        return true;
    }
    if (v != v || f->number != f->number) /* NaN differs from all */
        return f->cmp == CMP_NE;
    return compares(f->cmp, v < f->number, v == f->number);
}

static bool value_passes(struct runner *r, const struct filter *f, struct str value)
{
    struct err e;
    int64_t ns;
    uint64_t bytes;

    switch (f->kind) {
    case FILTER_NUMBER:
        return number_passes(r, f, value);
    case FILTER_DURATION:
        if (lq_duration_parse(value, &ns, &e) < 0)
            break;
        return compares(f->cmp, ns < f->duration_ns, ns == f->duration_ns);
    case FILTER_BYTES:
        if (lq_bytes_parse(value, &bytes, &e) < 0)
            break;
        return compares(f->cmp, bytes < f->bytes, bytes == f->bytes);
    default:
        return ip_match_in(f->ip, value) == (f->cmp == CMP_EQ);
    }
    runner_fail_err(r, filter_error, &e);
    return true;
}

bool filter_passes(struct runner *r, const struct filter *f)
{
    struct str value = STR_NULL;
    bool left, right;

    switch (f->kind) {
    case FILTER_OR:
        return filter_passes(r, f->l) || filter_passes(r, f->r);
    case FILTER_AND:
        left = filter_passes(r, f->l);
        right = filter_passes(r, f->r);
        return left && right;
    case FILTER_STRING:
        if (!lab_read(r, f->name, &value))
            value = STR_NULL;
        return matcher_matches(f->matcher, value);
    case FILTER_IP:
        if (r->error.n)
            return true;
        return lab_read(r, f->name, &value) && value_passes(r, f, value);
    default:
        return lab_read(r, f->name, &value) && (r->error.n || value_passes(r, f, value));
    }
}

bool stage_filter(struct runner *r, const struct stage *s)
{
    return filter_passes(r, s->filter);
}

bool stage_unwrap(struct runner *r, const struct stage *s)
{
    struct str value;
    struct err e;
    int64_t ns;
    uint64_t bytes;

    if (!lab_read(r, r->p->unwrap, &value) || value.n == 0)
        return false;
    switch (s->ast->unwrap.conv) {
    case UNWRAP_NUMBER:
        if (lq_float_parse(value, &r->value))
            return true;
        r->value = 0;
        not_a_number(r, unwrap_error, value);
        return true;
    case UNWRAP_DURATION:
        if (lq_duration_parse(value, &ns, &e) == 0) {
            r->value = (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
            return true;
        }
        break;
    case UNWRAP_BYTES:
        if (lq_bytes_parse(value, &bytes, &e) == 0) {
            r->value = (double)bytes;
            return true;
        }
        break;
    }
    runner_fail_err(r, unwrap_error, &e);
    return true;
}
