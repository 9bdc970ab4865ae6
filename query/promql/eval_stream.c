/*
 * eval_stream.c - chains: one selector under any number of functions of one element.
 *
 * A chain is evaluated series by series without a vector in between: the row of a series goes through the stages and
 * then where it is wanted, into a group or a result.
 *
 * (1) What a chain is can be told from the tree; scalars beside it are only worked out when it is one.
 */
#include "query/promql/eval.h"
#include "query/promql/plan.h"
#include "query/vector/plain.h"

struct steps eval_steps(const struct grid *g, const struct when *when, int64_t range)
{
    struct steps st = {
        .n = g->n, .first = g->start, .every = g->step, .range = range, .eval_first = g->start, .eval_every = g->step};

    if (when->at == AT_TIME) {
        st.first = when->at_ms;
        st.every = 0;
    }
    st.first -= when->offset_ms;
    return st;
}

/* --- what is one ------------------------------------------------------------------------------ */

static const struct elem_function *elem_of(const struct node *n)
{
    const struct elem_function *fn = n->kind == N_CALL ? elem_function_find(str_of(n->call.fn->name)) : NULL;

    return fn && n->call.nargs > 0 ? fn : NULL;
}

static bool is_call(const struct node *n, const char *name)
{
    return n->kind == N_CALL && strcmp(n->call.fn->name, name) == 0;
}

/* The range vector among a call's arguments, or NULL. */
static const struct node *range_arg(const struct node *call)
{
    for (uint32_t i = 0; i < call->call.nargs; i++)
        if (call->call.args[i]->type == PQ_MATRIX)
            return plan_unwrap(call->call.args[i]);
    return NULL;
}

static bool is_range_chain(const struct node *n)
{
    const struct range_function *fn = n->kind == N_CALL ? range_function_find(str_of(n->call.fn->name)) : NULL;
    const struct node *m = fn && !(fn->flags & RANGE_PRESENCE) ? range_arg(n) : NULL;

    return m && m->kind == N_MATRIX;
}

static bool is_time_chain(const struct node *n)
{
    return (is_call(n, "timestamp") || is_call(n, "start_timestamp")) &&
           plan_unwrap(n->call.args[0])->kind == N_SELECTOR;
}

static bool is_chain(const struct node *n, const struct grid *g)
{
    for (;;) {
        if (n->kind == N_SELECTOR || is_range_chain(n) || is_time_chain(n))
            return true;
        if (vector_plain())
            return false;
        if (n->kind == N_PAREN || (n->kind == N_STEP_INVARIANT && g->n <= 1))
            n = n->child;
        else if (n->kind == N_UNARY)
            n = n->unary.expr;
        else if (n->kind == N_BINARY && n->binary.l->type != n->binary.r->type)
            n = n->binary.l->type == PQ_SCALAR ? n->binary.r : n->binary.l;
        else if (elem_of(n) && !is_call(n, "timestamp"))
            n = n->call.args[0];
        else
            return false;
        if (n->type != PQ_VECTOR)
            return false;
    }
}

/* --- stages ----------------------------------------------------------------------------------- */

int stages_apply(const struct stage *s, struct row *r, uint32_t nsteps, struct pile *p, struct elem_notes *notes,
                 struct err *e)
{
    int code = 0;

    for (; s && code == 0; s = s->next) {
        switch (s->kind) {
        case STAGE_ELEM:
            elem_eval(s->fn, r, nsteps, s->param);
            break;
        case STAGE_BINOP:
            code = binop_scalar(&s->op, r, s->param[0], s->swap, nsteps, p, notes, e);
            break;
        case STAGE_NEGATE:
            code = row_negate(r, nsteps, p, e);
            break;
        }
    }
    return code;
}

static struct stage *push_stage(struct eval *ev, struct source *src, const struct node *n)
{
    struct stage *st = arena_new(ev->arena, struct stage), **at = &src->stages;

    st->node = n;
    while (*at)
        at = &(*at)->next;
    *at = st;
    return st;
}

static int build(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e);

static int build_binary(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e)
{
    bool swap = n->binary.l->type == PQ_SCALAR;
    struct stage *st;
    double *s;

    if (eval_scalar(ev, swap ? n->binary.l : n->binary.r, g, &s, e) < 0 ||
        build(ev, swap ? n->binary.r : n->binary.l, g, src, e) < 0)
        return e->code;
    st = push_stage(ev, src, n);
    st->kind = STAGE_BINOP;
    st->op = (struct binop){eval_op(n->binary.op), n->binary.return_bool};
    st->swap = swap;
    st->param[0] = s;
    src->drop_name |= n->binary.return_bool || n->binary.op <= OP_ATAN2;
    return 0;
}

static int build_elem(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e)
{
    const double *param[2] = {0};
    struct stage *st;

    for (uint32_t i = 1; i < n->call.nargs && i < 3; i++) {
        double *s;

        if (eval_scalar(ev, n->call.args[i], g, &s, e) < 0)
            return e->code;
        param[i - 1] = s;
    }
    if (build(ev, n->call.args[0], g, src, e) < 0)
        return e->code;
    st = push_stage(ev, src, n);
    st->kind = STAGE_ELEM;
    st->fn = elem_of(n);
    st->param[0] = param[0];
    st->param[1] = param[1];
    src->drop_name = true;
    return 0;
}

static void build_selector(struct eval *ev, const struct node *sel, const struct grid *g, enum source_kind kind,
                           struct source *src)
{
    src->kind = kind == SOURCE_LAST && sel->selector.smoothed ? SOURCE_SMOOTHED : kind;
    src->selector = src->range = sel;
    src->steps = eval_steps(g, &sel->selector.when, ev->lookback);
    src->where = "selector";
}

static int build(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e)
{
    if (n->kind == N_SELECTOR) {
        build_selector(ev, n, g, SOURCE_LAST, src);
        return 0;
    }
    if (n->kind == N_PAREN || n->kind == N_STEP_INVARIANT)
        return build(ev, n->child, g, src, e);
    if (is_range_chain(n))
        return eval_range_source(ev, n, g, src, e);
    if (is_time_chain(n)) {
        build_selector(ev, plan_unwrap(n->call.args[0]), g,
                       is_call(n, "timestamp") ? SOURCE_TIMESTAMP : SOURCE_START_TIMESTAMP, src);
        src->call = n;
        src->drop_name = true;
        return 0;
    }
    if (n->kind == N_BINARY)
        return build_binary(ev, n, g, src, e);
    if (n->kind == N_UNARY) {
        if (build(ev, n->unary.expr, g, src, e) < 0)
            return e->code;
        if (n->unary.op == OP_SUB) {
            push_stage(ev, src, n)->kind = STAGE_NEGATE;
            src->drop_name = true;
        }
        return 0;
    }
    return build_elem(ev, n, g, src, e);
}

int eval_fused(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e)
{
    return vector_plain() ? 1 : eval_chain(ev, n, g, src, e);
}

int eval_chain(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e)
{
    if (n->type != PQ_VECTOR || !is_chain(n, g))
        return 1;
    *src = (struct source){.grid = *g};
    return build(ev, n, g, src, e);
}
