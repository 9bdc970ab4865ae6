/*
 * pretty.c - a tree as lines that a person reads: whatever does not fit into a line is opened up, two spaces a level.
 *
 * (1) Operands are told apart by their depth; brackets come back where the tree needs them, which upstream forgets.
 */
#include "query/logql/logql.h"
#include "query/logql/print.h"

struct pretty {
    struct buf *out;
    size_t width;
    struct buf line; /* scratch */
};

static void print_node(struct pretty *p, const struct logql_expr *n, unsigned level);

static void indent(struct pretty *p, unsigned level)
{
    for (unsigned i = 0; i < level; i++)
        buf_putz(p->out, "  ");
}

/* One line, in p->line, is short enough. */
static bool fits(struct pretty *p, const struct logql_expr *n)
{
    buf_reset(&p->line);
    lq_print(&p->line, n, p->width);
    return p->line.n <= p->width;
}

static bool log_fits(struct pretty *p, const struct logql_log *log)
{
    struct logql_expr n = {.kind = LOGQL_LOG, .log = *log};

    /* The unwrap is not part of what upstream measures. */
    if (log->unwrap)
        n.log.nstages = (uint32_t)(log->unwrap - log->stages);
    return fits(p, &n);
}

/* Selector, then stages a line each, line filters that follow each other on one. */
static void print_log(struct pretty *p, const struct logql_log *log, unsigned level)
{
    uint32_t before_unwrap = log->unwrap ? (uint32_t)(log->unwrap - log->stages) : log->nstages;
    bool split = before_unwrap && !log_fits(p, log);

    indent(p, level);
    lq_print_selector(p->out, log);
    for (uint32_t i = 0; i < log->nstages; i++) {
        const struct logql_stage *st = &log->stages[i];
        bool filters = i && st->kind == LOGQL_LINE_FILTER && st[-1].kind == LOGQL_LINE_FILTER;

        if (filters || (i < before_unwrap && !split)) {
            buf_putc(p->out, ' ');
        } else {
            buf_putc(p->out, '\n');
            indent(p, level + 1);
        }
        lq_print_stage(p->out, st);
    }
}

static void print_range(struct pretty *p, const struct logql_expr *n, unsigned level)
{
    char text[64];

    buf_printf(p->out, "%s(\n", logql_range_op_text(n->range.op));
    if (n->range.has_param) {
        indent(p, level + 1);
        lq_print_number(p->out, n->range.param);
        buf_putz(p->out, ",\n");
    }
    print_log(p, &n->range.log, level + 1);
    buf_putz(p->out, " [");
    buf_put(p->out, text, duration_fmt(n->range.range_ns / 1000000, text));
    buf_putc(p->out, ']');
    if (n->range.offset_ns) {
        int64_t ms = n->range.offset_ns / 1000000;

        buf_printf(p->out, " offset %s", ms < 0 ? "-" : "");
        buf_put(p->out, text, duration_fmt(ms < 0 ? -ms : ms, text));
    }
    buf_putc(p->out, '\n');
    indent(p, level);
    buf_putc(p->out, ')');
    lq_print_grouping(p->out, &n->range.grouping);
}

static void print_aggregate(struct pretty *p, const struct logql_expr *n, unsigned level)
{
    buf_putz(p->out, logql_vector_op_text(n->agg.op));
    lq_print_grouping(p->out, &n->agg.grouping);
    buf_putz(p->out, "(\n");
    if (n->agg.k) {
        indent(p, level + 1);
        buf_printf(p->out, "%lld,\n", (long long)n->agg.k);
    }
    print_node(p, n->agg.expr, level + 1);
    buf_putc(p->out, '\n');
    indent(p, level);
    buf_putc(p->out, ')');
}

static void print_replace(struct pretty *p, const struct logql_expr *n, unsigned level)
{
    const struct str args[] = {n->replace.dst, n->replace.replacement, n->replace.src, n->replace.pattern};

    buf_putz(p->out, "label_replace(\n");
    print_node(p, n->replace.expr, level + 1);
    for (size_t i = 0; i < ARRAY_LEN(args); i++) {
        buf_putz(p->out, ",\n");
        indent(p, level + 1);
        buf_put_quoted(p->out, args[i]);
    }
    buf_putc(p->out, '\n');
    indent(p, level);
    buf_putc(p->out, ')');
}

/* --- operators -------------------------------------------------------------------------------- */

static unsigned power(enum logql_binop op)
{
    static const uint8_t powers[BINOPS] = {
        [BINOP_OR] = 1,  [BINOP_AND] = 2, [BINOP_UNLESS] = 2, [BINOP_EQ] = 3,  [BINOP_NE] = 3,
        [BINOP_GT] = 3,  [BINOP_GE] = 3,  [BINOP_LT] = 3,     [BINOP_LE] = 3,  [BINOP_ADD] = 4,
        [BINOP_SUB] = 4, [BINOP_MUL] = 5, [BINOP_DIV] = 5,    [BINOP_MOD] = 5, [BINOP_POW] = 6,
    };

    return powers[op];
}

static void print_operand(struct pretty *p, const struct logql_expr *n, const struct logql_expr *of, bool right, unsigned level)
{
    bool loose = n->kind == LOGQL_BINARY && power(n->binary.op) < power(of->binary.op);
    bool same = n->kind == LOGQL_BINARY && power(n->binary.op) == power(of->binary.op);

    if (!loose && !(same && right == (of->binary.op != BINOP_POW))) {
        print_node(p, n, level);
        return;
    }
    indent(p, level);
    buf_putz(p->out, "(\n");
    print_node(p, n, level + 1);
    buf_putc(p->out, '\n');
    indent(p, level);
    buf_putc(p->out, ')');
}

static void print_binary(struct pretty *p, const struct logql_expr *n, unsigned level)
{
    print_operand(p, n->binary.l, n, false, level + 1);
    buf_putc(p->out, '\n');
    indent(p, level);
    lq_print_operator(p->out, n, ", ", " ");
    buf_putc(p->out, '\n');
    print_operand(p, n->binary.r, n, true, level + 1);
}

static void print_node(struct pretty *p, const struct logql_expr *n, unsigned level)
{
    if (n->kind == LOGQL_LOG) {
        print_log(p, &n->log, level);
        return;
    }
    if (n->kind == LOGQL_BINARY && !fits(p, n)) {
        print_binary(p, n, level);
        return;
    }
    indent(p, level);
    if (n->kind == LOGQL_NUMBER || n->kind == LOGQL_VECTOR)
        logql_print(p->out, n);
    else if (fits(p, n))
        buf_puts(p->out, buf_str(&p->line));
    else if (n->kind == LOGQL_RANGE)
        print_range(p, n, level);
    else if (n->kind == LOGQL_AGGREGATE)
        print_aggregate(p, n, level);
    else
        print_replace(p, n, level);
}

void logql_pretty(struct buf *out, const struct logql_expr *n, size_t width)
{
    struct pretty p = {out, width, {0}};

    print_node(&p, n, 0);
    buf_release(&p.line);
}
