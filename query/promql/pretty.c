/*
 * pretty.c - a tree as many lines: what is longer than a line is opened up, operands one step further in than their
 * operator.
 */
#include "query/promql/print.h"

enum { LINE_WIDTH = 100 };

struct pretty {
    struct buf *out;
    struct buf scratch;
    size_t width;
};

static void indent(struct pretty *p, unsigned level)
{
    for (unsigned i = 0; i < level; i++)
        buf_putz(p->out, "  ");
}

/* Is n too long for a line? Prints no more of it than it takes to know. */
static bool splits(struct pretty *p, const struct node *n)
{
    buf_reset(&p->scratch);
    pq_print(&p->scratch, n, p->width);
    return p->scratch.n > p->width;
}

/* Writes n at level; `led` says that the indent stands there already. */
static void put(struct pretty *p, const struct node *n, unsigned level, bool led)
{
    if (n->kind == N_STEP_INVARIANT) {
        put(p, n->child, level, led);
        return;
    }
    if (n->kind == N_SUBQUERY && splits(p, n)) {
        put(p, n->subquery.expr, level, led);
        pq_print_subquery_tail(p->out, n);
        return;
    }
    if (n->kind == N_BINARY && splits(p, n)) {
        if (pq_is_signless(n)) {
            indent(p, led ? 0 : level + 1);
            buf_putz(p->out, "Inf");
        } else {
            put(p, n->binary.l, level + 1, led); /* behind a sign the first operand moves up to it */
        }
        buf_putc(p->out, '\n');
        indent(p, level);
        pq_print_op(p->out, n);
        buf_putc(p->out, '\n');
        put(p, n->binary.r, level + 1, false);
        return;
    }
    if (!led)
        indent(p, level);
    if (n->kind == N_UNARY) {
        buf_putz(p->out, promql_op_text(n->unary.op));
        put(p, n->unary.expr, level, true);
        return;
    }
    if ((n->kind != N_AGGREGATE && n->kind != N_CALL && n->kind != N_PAREN) || !splits(p, n)) {
        promql_print(p->out, n);
        return;
    }
    if (n->kind == N_AGGREGATE) {
        pq_print_agg_head(p->out, n);
        buf_putz(p->out, "(\n");
        if (n->agg.param) {
            put(p, n->agg.param, level + 1, false);
            buf_putz(p->out, ",\n");
        }
        put(p, n->agg.expr, level + 1, false);
    } else if (n->kind == N_CALL) {
        buf_printf(p->out, "%s(\n", n->call.fn->name);
        for (uint32_t i = 0; i < n->call.nargs; i++) {
            if (i)
                buf_putz(p->out, ",\n");
            put(p, n->call.args[i], level + 1, false);
        }
    } else {
        buf_putz(p->out, "(\n");
        put(p, n->child, level + 1, false);
    }
    buf_putc(p->out, '\n');
    indent(p, level);
    buf_putc(p->out, ')');
}

void promql_pretty_width(struct buf *out, const struct node *n, size_t width)
{
    struct pretty p = {.out = out, .width = width};

    put(&p, n, 0, false);
    buf_release(&p.scratch);
}

void promql_pretty(struct buf *out, const struct node *n)
{
    promql_pretty_width(out, n, LINE_WIDTH);
}
