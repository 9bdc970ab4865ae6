/*
 * print.c - a tree as one line of text that parses to the same tree.
 */
#include "query/logql/print.h"

#include "query/logql/logql.h"
#include "query/logql/units.h"

#include <stdio.h>

static const char *const line_ops[] = {"|=", "!=", "|~", "!~", "|>", "!>"};
static const char *const cmps[] = {"==", "!=", "<", "<=", ">", ">="};
static const char *const range_ops[RANGE_OPS] = {
    [RANGE_COUNT] = "count_over_time",
    [RANGE_RATE] = "rate",
    [RANGE_RATE_COUNTER] = "rate_counter",
    [RANGE_BYTES] = "bytes_over_time",
    [RANGE_BYTES_RATE] = "bytes_rate",
    [RANGE_ABSENT] = "absent_over_time",
    [RANGE_AVG] = "avg_over_time",
    [RANGE_SUM] = "sum_over_time",
    [RANGE_MIN] = "min_over_time",
    [RANGE_MAX] = "max_over_time",
    [RANGE_STDVAR] = "stdvar_over_time",
    [RANGE_STDDEV] = "stddev_over_time",
    [RANGE_QUANTILE] = "quantile_over_time",
    [RANGE_FIRST] = "first_over_time",
    [RANGE_LAST] = "last_over_time",
};
static const char *const vector_ops[VECTOR_OPS] = {
    [VECTOR_SUM] = "sum",
    [VECTOR_AVG] = "avg",
    [VECTOR_MAX] = "max",
    [VECTOR_MIN] = "min",
    [VECTOR_COUNT] = "count",
    [VECTOR_STDDEV] = "stddev",
    [VECTOR_STDVAR] = "stdvar",
    [VECTOR_BOTTOMK] = "bottomk",
    [VECTOR_TOPK] = "topk",
    [VECTOR_APPROX_TOPK] = "approx_topk",
    [VECTOR_SORT] = "sort",
    [VECTOR_SORT_DESC] = "sort_desc",
};
static const char *const binops[BINOPS] = {
    [BINOP_OR] = "or", [BINOP_AND] = "and", [BINOP_UNLESS] = "unless", [BINOP_ADD] = "+", [BINOP_SUB] = "-",
    [BINOP_MUL] = "*", [BINOP_DIV] = "/",   [BINOP_MOD] = "%",         [BINOP_POW] = "^", [BINOP_EQ] = "==",
    [BINOP_NE] = "!=", [BINOP_GT] = ">",    [BINOP_GE] = ">=",         [BINOP_LT] = "<",  [BINOP_LE] = "<=",
};

const char *logql_line_op_text(enum logql_line_op op)
{
    return line_ops[op];
}
const char *logql_cmp_text(enum logql_cmp cmp)
{
    return cmps[cmp];
}
const char *logql_range_op_text(enum logql_range_op op)
{
    return range_ops[op];
}
const char *logql_vector_op_text(enum logql_vector_op op)
{
    return vector_ops[op];
}
const char *logql_binop_text(enum logql_binop op)
{
    return binops[op];
}

/* --- pieces ----------------------------------------------------------------------------------- */

void lq_print_number(struct buf *out, double v)
{
    char text[NUM_MAX];

    buf_put(out, text, num_fmt_f(v, text));
}

void lq_print_names(struct buf *out, const struct str *v, uint32_t n, const char *sep)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putz(out, sep);
        buf_puts(out, v[i]);
    }
}

void lq_print_selector(struct buf *out, const struct logql_log *log)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i < log->nmatchers; i++) {
        if (i)
            buf_putz(out, ", ");
        matcher_print(out, &log->matchers[i]);
    }
    buf_putc(out, '}');
}

/* --- stages ----------------------------------------------------------------------------------- */

static void print_alt(struct buf *out, const struct logql_line_alt *a)
{
    buf_putz(out, a->ip ? "ip(" : "");
    buf_put_quoted(out, a->text);
    buf_putz(out, a->ip ? ")" : "");
}

static void print_line_filter(struct buf *out, const struct logql_line_filter *f)
{
    bool negative = logql_line_op_negative(f->op);

    for (uint32_t i = 0; i < f->nalts; i++) {
        if (i == 0 || negative)
            buf_printf(out, "%s%s ", i ? " " : "", line_ops[f->op]);
        else
            buf_putz(out, " or ");
        print_alt(out, &f->alts[i]);
    }
}

static void print_comparison(struct buf *out, const struct logql_label_filter *f)
{
    char text[64];

    if (f->kind == FILTER_STRING) {
        matcher_print(out, f->matcher);
        return;
    }
    buf_puts(out, f->name);
    if (f->kind == FILTER_IP) {
        buf_putz(out, f->cmp == CMP_NE ? "!=ip(" : "=ip(");
        buf_put_quoted(out, f->ip);
        buf_putc(out, ')');
        return;
    }
    buf_putz(out, cmps[f->cmp]);
    if (f->kind == FILTER_NUMBER)
        lq_print_number(out, f->number);
    else if (f->kind == FILTER_DURATION)
        buf_put(out, text, lq_duration_fmt(f->duration_ns, text));
    else
        buf_put(out, text, lq_bytes_fmt(f->bytes, text));
}

void lq_print_filter(struct buf *out, const struct logql_label_filter *f)
{
    if (f->kind != FILTER_AND && f->kind != FILTER_OR) {
        print_comparison(out, f);
        return;
    }
    buf_putz(out, "( ");
    lq_print_filter(out, f->l);
    buf_putz(out, f->kind == FILTER_AND ? " , " : " or ");
    lq_print_filter(out, f->r);
    buf_putz(out, " )");
}

static void print_parser(struct buf *out, const struct logql_stage *st)
{
    buf_putz(out, st->kind == LOGQL_JSON ? "json" : "logfmt");
    if (st->parser.strict)
        buf_putz(out, " --strict");
    if (st->parser.keep_empty)
        buf_putz(out, " --keep-empty");
    for (uint32_t i = 0; i < st->parser.nextracts; i++) {
        buf_putz(out, i ? "," : " ");
        buf_puts(out, st->parser.extracts[i].name);
        buf_putc(out, '=');
        buf_put_quoted(out, st->parser.extracts[i].expr);
    }
}

static void print_formats(struct buf *out, const struct logql_stage *st)
{
    buf_putz(out, "label_format ");
    for (uint32_t i = 0; i < st->formats.n; i++) {
        buf_putz(out, i ? "," : "");
        buf_puts(out, st->formats.v[i].dst);
        buf_putc(out, '=');
        if (st->formats.v[i].rename)
            buf_puts(out, st->formats.v[i].value);
        else
            buf_put_quoted(out, st->formats.v[i].value);
    }
}

static void print_name_matches(struct buf *out, const struct logql_stage *st)
{
    buf_putz(out, st->kind == LOGQL_DROP ? "drop " : "keep ");
    for (uint32_t i = 0; i < st->names.n; i++) {
        buf_putz(out, i ? "," : "");
        if (st->names.v[i].matcher)
            matcher_print(out, st->names.v[i].matcher);
        else
            buf_puts(out, st->names.v[i].name);
    }
}

static void print_unwrap(struct buf *out, const struct logql_stage *st)
{
    buf_putz(out, "unwrap ");
    if (st->unwrap.conv_text.n)
        buf_printf(out, "%.*s(", STR_ARG(st->unwrap.conv_text));
    buf_puts(out, st->unwrap.label);
    if (st->unwrap.conv_text.n)
        buf_putc(out, ')');
}

static void print_text_stage(struct buf *out, const char *word, struct str text)
{
    buf_printf(out, "%s ", word);
    buf_put_quoted(out, text);
}

void lq_print_stage(struct buf *out, const struct logql_stage *st)
{
    if (st->kind == LOGQL_LINE_FILTER) {
        print_line_filter(out, &st->line);
        return;
    }
    buf_putz(out, "| ");
    switch (st->kind) {
    case LOGQL_JSON:
    case LOGQL_LOGFMT:
        print_parser(out, st);
        break;
    case LOGQL_REGEXP:
        print_text_stage(out, "regexp", st->parser.text);
        break;
    case LOGQL_PATTERN:
        print_text_stage(out, "pattern", st->parser.text);
        break;
    case LOGQL_LINE_FORMAT:
        print_text_stage(out, "line_format", st->template);
        break;
    case LOGQL_UNPACK:
        buf_putz(out, "unpack");
        break;
    case LOGQL_DECOLORIZE:
        buf_putz(out, "decolorize");
        break;
    case LOGQL_LABEL_FORMAT:
        print_formats(out, st);
        break;
    case LOGQL_DROP:
    case LOGQL_KEEP:
        print_name_matches(out, st);
        break;
    case LOGQL_UNWRAP:
        print_unwrap(out, st);
        break;
    default:
        lq_print_filter(out, st->filter);
        break;
    }
}

/* --- expressions ------------------------------------------------------------------------------ */

static void print_log(struct buf *out, const struct logql_log *log)
{
    lq_print_selector(out, log);
    for (uint32_t i = 0; i < log->nstages; i++) {
        buf_putc(out, ' ');
        lq_print_stage(out, &log->stages[i]);
    }
}

void lq_print_grouping(struct buf *out, const struct logql_grouping *g)
{
    if (!g->present)
        return;
    buf_printf(out, " %s (", g->without ? "without" : "by");
    lq_print_names(out, g->names, g->n, ",");
    buf_putc(out, ')');
}

static void print_range(struct buf *out, const struct logql_expr *n)
{
    char text[64];

    buf_printf(out, "%s(", range_ops[n->range.op]);
    if (n->range.has_param) {
        lq_print_number(out, n->range.param);
        buf_putc(out, ',');
    }
    print_log(out, &n->range.log);
    buf_putc(out, '[');
    buf_put(out, text, duration_fmt(n->range.range_ns / 1000000, text));
    buf_putc(out, ']');
    if (n->range.offset_ns) {
        buf_putz(out, " offset ");
        buf_put(out, text, lq_duration_fmt(n->range.offset_ns, text));
    }
    buf_putc(out, ')');
    lq_print_grouping(out, &n->range.grouping);
}

static void print_aggregate(struct buf *out, const struct logql_expr *n, size_t limit)
{
    buf_putz(out, vector_ops[n->agg.op]);
    lq_print_grouping(out, &n->agg.grouping);
    buf_putc(out, '(');
    if (n->agg.k)
        buf_printf(out, "%lld,", (long long)n->agg.k);
    lq_print(out, n->agg.expr, limit);
    buf_putc(out, ')');
}

void lq_print_operator(struct buf *out, const struct logql_expr *n, const char *sep, const char *before_names)
{
    const struct logql_matching *m = &n->binary.matching;

    buf_putz(out, binops[n->binary.op]);
    if (n->binary.return_bool)
        buf_putz(out, " bool");
    if (!m->present)
        return;
    buf_printf(out, " %s%s(", m->on ? "on" : "ignoring", before_names);
    lq_print_names(out, m->names, m->n, sep);
    buf_putc(out, ')');
    if (m->card == LOGQL_ONE_TO_ONE)
        return;
    buf_printf(out, " group_%s", m->card == LOGQL_MANY_TO_ONE ? "left" : "right");
    if (m->ninclude) {
        buf_printf(out, "%s(", before_names);
        lq_print_names(out, m->include, m->ninclude, sep);
        buf_putc(out, ')');
    }
}

static void print_replace(struct buf *out, const struct logql_expr *n, size_t limit)
{
    const struct str args[] = {n->replace.dst, n->replace.replacement, n->replace.src, n->replace.pattern};

    buf_putz(out, "label_replace(");
    lq_print(out, n->replace.expr, limit);
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        buf_putc(out, ',');
        buf_put_quoted(out, args[i]);
    }
    buf_putc(out, ')');
}

static void print_literal(struct buf *out, double v)
{
    char text[NUM_MAX];

    buf_put(out, text, num_fmt_g(v, text));
}

/* With six decimals, as upstream, where they say it all. */
static void print_vector(struct buf *out, double v)
{
    char text[NUM_MAX];
    size_t n = (size_t)snprintf(text, sizeof text, "%f", v);
    double back;

    if (!lq_float_parse(str_n(text, n), &back) || back != v)
        n = num_fmt_g(v, text);
    buf_printf(out, "vector(%.*s)", (int)n, text);
}

void logql_print(struct buf *out, const struct logql_expr *n)
{
    lq_print(out, n, SIZE_MAX);
}

void lq_print(struct buf *out, const struct logql_expr *n, size_t limit)
{
    if (out->n > limit)
        return;
    switch (n->kind) {
    case LOGQL_LOG:
        print_log(out, &n->log);
        break;
    case LOGQL_RANGE:
        print_range(out, n);
        break;
    case LOGQL_AGGREGATE:
        print_aggregate(out, n, limit);
        break;
    case LOGQL_BINARY:
        buf_putc(out, '(');
        lq_print(out, n->binary.l, limit);
        buf_putc(out, ' ');
        lq_print_operator(out, n, ",", " ");
        buf_putc(out, ' ');
        lq_print(out, n->binary.r, limit);
        buf_putc(out, ')');
        break;
    case LOGQL_NUMBER:
        print_literal(out, n->number);
        break;
    case LOGQL_VECTOR:
        print_vector(out, n->number);
        break;
    case LOGQL_LABEL_REPLACE:
        print_replace(out, n, limit);
        break;
    }
}
