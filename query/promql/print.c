/* print.c - a tree back to one line of text, in the spelling Prometheus gives it. Parsing that line gives the same
 * tree. */
#include "query/promql/print.h"

#include "query/promql/lex.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_ms(struct buf *out, int64_t ms)
{
    char text[NUM_MAX];

    if (ms < 0)
        buf_putc(out, '-');
    buf_put(out, text, duration_fmt(ms < 0 ? -ms : ms, text));
}

static void put_number(struct buf *out, double v, bool as_duration)
{
    char text[NUM_MAX];

    if (as_duration)
        put_ms(out, llround(v * 1000)); /* the text had whole milliseconds */
    else
        buf_put(out, text, num_fmt_f(v, text));
}

static void put_labels(struct buf *out, const struct str *labels, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putz(out, ", ");
        if (label_name_legacy(labels[i]))
            buf_puts(out, labels[i]);
        else
            buf_put_quoted(out, labels[i]);
    }
}

void pq_print_dur(struct buf *out, const struct dur *d)
{
    switch (d->kind) {
    case DUR_NUMBER:
        put_number(out, d->seconds, d->as_duration);
        return;
    case DUR_STEP:
        buf_putz(out, "step()");
        return;
    case DUR_RANGE:
        buf_putz(out, "range()");
        return;
    case DUR_UNARY:
        buf_putz(out, promql_op_text(d->op));
        pq_print_dur(out, d->l);
        return;
    case DUR_BINARY:
        pq_print_dur(out, d->l);
        buf_printf(out, " %s ", promql_op_text(d->op));
        pq_print_dur(out, d->r);
        return;
    case DUR_MIN_OF:
    case DUR_MAX_OF:
        buf_putz(out, d->kind == DUR_MIN_OF ? "min_of(" : "max_of(");
        pq_print_dur(out, d->l);
        buf_putz(out, ", ");
        pq_print_dur(out, d->r);
        buf_putc(out, ')');
        return;
    case DUR_PAREN:
        buf_putc(out, '(');
        pq_print_dur(out, d->l);
        buf_putc(out, ')');
        return;
    }
}

static void put_range(struct buf *out, int64_t ms, const struct dur *expr)
{
    if (expr)
        pq_print_dur(out, expr);
    else
        put_ms(out, ms);
}

static void put_when(struct buf *out, const struct when *w)
{
    if (w->at == AT_TIME)
        buf_printf(out, " @ %.3f", (double)w->at_ms / 1000.0);
    else if (w->at != AT_NONE)
        buf_putz(out, w->at == AT_START ? " @ start()" : " @ end()");
    if (w->offset_expr || w->offset_ms) {
        buf_putz(out, " offset ");
        put_range(out, w->offset_ms, w->offset_expr);
    }
}

static void put_extended(struct buf *out, const struct node *selector)
{
    if (selector->selector.anchored)
        buf_putz(out, " anchored");
    else if (selector->selector.smoothed)
        buf_putz(out, " smoothed");
}

/* An empty name before all others: behind another one it would be a second name, which does not parse. */
static struct str order_of(struct str text)
{
    return str_eq(text, STR(LABEL_NAME "=\"\"")) ? str_n(text.p, text.n - 1) : text;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(order_of(*(const struct str *)a), order_of(*(const struct str *)b));
}

/* name{matchers}: the matchers in the order of their texts; without the name's own. */
static void put_selector(struct buf *out, const struct node *n)
{
    const struct matcher *m = n->selector.matchers;
    struct arena a = {0};
    struct str *texts = arena_array(&a, struct str, n->selector.nmatchers + 1);
    struct buf one = {0};
    uint32_t ntexts = 0;

    for (uint32_t i = 0; i < n->selector.nmatchers; i++) {
        if (m[i].op == MATCH_EQ && m[i].value.n && str_eqz(m[i].name, LABEL_NAME) &&
            str_eq(m[i].value, n->selector.name))
            continue;
        buf_reset(&one);
        matcher_print(&one, &m[i]);
        texts[ntexts++] = arena_dup(&a, buf_str(&one));
    }
    if (ntexts > 1)
        qsort(texts, ntexts, sizeof *texts, by_text);
    buf_puts(out, n->selector.name);
    if (ntexts || n->selector.name.n == 0) {
        buf_putc(out, '{');
        for (uint32_t i = 0; i < ntexts; i++) {
            if (i)
                buf_putc(out, ',');
            buf_puts(out, texts[i]);
        }
        buf_putc(out, '}');
    }
    buf_release(&one);
    arena_release(&a);
}

static void put_matching(struct buf *out, const struct vector_matching *m)
{
    bool grouped = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;

    if (m->nlabels || m->on || grouped) {
        buf_putz(out, m->on ? " on (" : " ignoring (");
        put_labels(out, m->labels, m->nlabels);
        buf_putc(out, ')');
    }
    if (grouped) {
        buf_putz(out, m->card == CARD_MANY_TO_ONE ? " group_left (" : " group_right (");
        put_labels(out, m->include, m->ninclude);
        buf_putc(out, ')');
    }
    if (m->has_fill_left && m->has_fill_right &&
        (m->fill_left == m->fill_right || (isnan(m->fill_left) && isnan(m->fill_right)))) {
        buf_putz(out, " fill (");
        put_number(out, m->fill_left, false);
        buf_putc(out, ')');
        return;
    }
    if (m->has_fill_left) {
        buf_putz(out, " fill_left (");
        put_number(out, m->fill_left, false);
        buf_putc(out, ')');
    }
    if (m->has_fill_right) {
        buf_putz(out, " fill_right (");
        put_number(out, m->fill_right, false);
        buf_putc(out, ')');
    }
}

void pq_print_op(struct buf *out, const struct node *n)
{
    buf_putz(out, promql_op_text(n->binary.op));
    if (n->binary.return_bool)
        buf_putz(out, " bool");
    if (n->binary.matching)
        put_matching(out, n->binary.matching);
}

void pq_print_agg_head(struct buf *out, const struct node *n)
{
    buf_putz(out, agg_op_text(n->agg.op));
    if (!n->agg.without && n->agg.ngrouping == 0)
        return;
    buf_putz(out, n->agg.without ? " without (" : " by (");
    put_labels(out, n->agg.grouping, n->agg.ngrouping);
    buf_putz(out, ") ");
}

void pq_print_subquery_tail(struct buf *out, const struct node *n)
{
    buf_putc(out, '[');
    put_range(out, n->subquery.range_ms, n->subquery.range_expr);
    buf_putc(out, ':');
    if (n->subquery.step_ms || n->subquery.step_expr)
        put_range(out, n->subquery.step_ms, n->subquery.step_expr);
    buf_putc(out, ']');
    put_when(out, &n->subquery.when);
}

static void put_matrix(struct buf *out, const struct node *n)
{
    const struct node *s = n->matrix.selector;

    put_selector(out, s);
    buf_putc(out, '[');
    put_range(out, n->matrix.range_ms, n->matrix.range_expr);
    buf_putc(out, ']');
    put_extended(out, s);
    put_when(out, &s->selector.when);
}

static void put_aggregate(struct buf *out, const struct node *n, size_t limit)
{
    pq_print_agg_head(out, n);
    buf_putc(out, '(');
    if (n->agg.param) {
        pq_print(out, n->agg.param, limit);
        buf_putz(out, ", ");
    }
    pq_print(out, n->agg.expr, limit);
    buf_putc(out, ')');
}

void pq_print(struct buf *out, const struct node *n, size_t limit)
{
    if (out->n > limit)
        return;
    switch (n->kind) {
    case N_NUMBER:
        put_number(out, n->number.v, n->number.as_duration);
        break;
    case N_STRING:
        buf_put_quoted(out, n->string);
        break;
    case N_SELECTOR:
        put_selector(out, n);
        put_extended(out, n);
        put_when(out, &n->selector.when);
        break;
    case N_MATRIX:
        put_matrix(out, n);
        break;
    case N_SUBQUERY:
        pq_print(out, n->subquery.expr, limit);
        pq_print_subquery_tail(out, n);
        break;
    case N_UNARY:
        buf_putz(out, promql_op_text(n->unary.op));
        pq_print(out, n->unary.expr, limit);
        break;
    case N_BINARY:
        if (pq_is_signless(n))
            buf_putz(out, "Inf");
        else
            pq_print(out, n->binary.l, limit);
        buf_putc(out, ' ');
        pq_print_op(out, n);
        buf_putc(out, ' ');
        pq_print(out, n->binary.r, limit);
        break;
    case N_CALL:
        buf_printf(out, "%s(", n->call.fn->name);
        for (uint32_t i = 0; i < n->call.nargs; i++) {
            if (i)
                buf_putz(out, ", ");
            pq_print(out, n->call.args[i], limit);
        }
        buf_putc(out, ')');
        break;
    case N_AGGREGATE:
        put_aggregate(out, n, limit);
        break;
    case N_PAREN:
        buf_putc(out, '(');
        pq_print(out, n->child, limit);
        buf_putc(out, ')');
        break;
    case N_STEP_INVARIANT:
        pq_print(out, n->child, limit);
        break;
    }
}

void promql_print(struct buf *out, const struct node *n)
{
    pq_print(out, n, SIZE_MAX);
}
