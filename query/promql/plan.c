/*
 * plan.c - prepares a tree for one evaluation.
 *
 * (1) The tree that was parsed is not changed: rules evaluate it again with other times.
 * (2) A node is step invariant when its value cannot depend on the evaluation time: constants, what `@` pins, and
 *     functions of such things, save those that look at the clock.
 */
#include "query/promql/plan.h"

#include "query/promql/cost.h"

#include <math.h>

struct planner {
    struct arena *a;
    const struct plan_times *t;
    struct err *e;
    bool counts, buckets; /* above this node something looks at counts only; at whole histograms */
};

static int plan(struct planner *p, const struct node *in, struct node **out, bool *invariant);

const struct node *plan_unwrap(const struct node *n)
{
    while (n->kind == N_PAREN || n->kind == N_STEP_INVARIANT)
        n = n->child;
    return n;
}

/* --- durations -------------------------------------------------------------------------------- */

static double seconds_of(struct planner *p, const struct dur *d, int *code);

static double binary_duration(struct planner *p, const struct dur *d, int *code)
{
    double l = seconds_of(p, d->l, code), r = *code < 0 ? 0 : seconds_of(p, d->r, code);

    if (*code < 0)
        return 0;
    switch (d->op) {
    case OP_ADD:
        return l + r;
    case OP_SUB:
        return l - r;
    case OP_MUL:
        return l * r;
    case OP_DIV:
        if (r == 0)
            *code = err_set(p->e, ERR_EXEC, "%u:%u: division by zero", d->start, d->end);
        return l / r;
    case OP_MOD:
        if (r == 0)
            *code = err_set(p->e, ERR_EXEC, "%u:%u: modulo by zero", d->start, d->end);
        return fmod(l, r);
    case OP_POW:
        return pow(l, r);
    default:
        break;
    }
    *code = err_set(p->e, ERR_EXEC, "%u:%u: unknown operator in a duration", d->start, d->end);
    return 0;
}

static double seconds_of(struct planner *p, const struct dur *d, int *code)
{
    double l, r;

    switch (d->kind) {
    case DUR_NUMBER:
        return d->seconds;
    case DUR_STEP:
        return p->t->instant ? 0 : (double)p->t->step_ms / 1000;
    case DUR_RANGE:
        return p->t->instant ? 0 : (double)(p->t->end_ms - p->t->start_ms) / 1000;
    case DUR_PAREN:
        return seconds_of(p, d->l, code);
    case DUR_UNARY:
        return d->op == OP_SUB ? -seconds_of(p, d->l, code) : seconds_of(p, d->l, code);
    case DUR_BINARY:
        return binary_duration(p, d, code);
    case DUR_MIN_OF:
    case DUR_MAX_OF:
        l = seconds_of(p, d->l, code);
        r = *code < 0 ? 0 : seconds_of(p, d->r, code);
        if (isnan(l) || isnan(r))
            return NAN;
        return d->kind == DUR_MIN_OF ? fmin(l, r) : fmax(l, r);
    }
    return 0;
}

static int resolve(struct planner *p, const struct dur *d, bool negative_too, int64_t *ms)
{
    int code = 0;
    double s = seconds_of(p, d, &code);

    if (code < 0)
        return code;
    if (!negative_too && !(s > 0))
        return err_set(p->e, ERR_EXEC, "%u:%u: duration must be greater than 0", d->start, d->end);
    /* Times are int64 nanoseconds upstream; nothing further away can be meant. */
    if (!(fabs(s) < 0x1p63 / 1e9))
        return err_set(p->e, ERR_EXEC, "%u:%u: duration is out of range", d->start, d->end);
    *ms = (int64_t)(s * 1000);
    return 0;
}

static int resolve_when(struct planner *p, struct when *w)
{
    if (w->offset_expr && resolve(p, w->offset_expr, true, &w->offset_ms) < 0)
        return p->e->code;
    if (w->at == AT_START || w->at == AT_END) {
        w->at_ms = w->at == AT_START ? p->t->start_ms : p->t->end_ms;
        w->at = AT_TIME;
    }
    return 0;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct node *copy(struct planner *p, const struct node *n)
{
    struct node *c = arena_new(p->a, struct node);

    *c = *n;
    if (p->t->costs)
        c->cost = arena_new(p->a, struct node_cost);
    return c;
}

/* Wraps what is worth evaluating once: not constants, which cost nothing, nor ranges, whose windows are pinned anyway.
 */
static struct node *wrap(struct planner *p, struct node *n)
{
    const struct node *bare = plan_unwrap(n);
    struct node *w;

    if (n->kind == N_STEP_INVARIANT || bare->kind == N_NUMBER || bare->type == PQ_STRING || bare->type == PQ_MATRIX)
        return n;
    w = arena_new(p->a, struct node);
    *w = (struct node){.kind = N_STEP_INVARIANT, .type = n->type, .start = n->start, .end = n->end};
    w->child = n;
    return w;
}

static bool is_one_of(const struct node *call, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(call->call.fn->name, names[i]) == 0)
            return true;
    return false;
}

/* Functions that ask for the evaluation time themselves. */
static bool looks_at_clock(const struct node *call)
{
    static const char *const names[] = {"day_of_month",   "day_of_week", "day_of_year", "days_in_month",
                                        "hour",           "logs",        "minute",      "month",
                                        "spans",          "year",
                                        "predict_linear", "time",        "timestamp"};

    return is_one_of(call, names, ARRAY_LEN(names));
}

static void what_is_looked_at(struct planner *p, const struct node *call)
{
    static const char *const counts[] = {"histogram_count", "histogram_sum", "histogram_avg"};
    static const char *const buckets[] = {"histogram_quantile", "histogram_quantiles", "histogram_fraction"};

    p->counts |= is_one_of(call, counts, ARRAY_LEN(counts));
    p->buckets |= is_one_of(call, buckets, ARRAY_LEN(buckets));
}

static int plan_call(struct planner *p, struct node *n, bool *invariant)
{
    const struct node *const *in = (const struct node *const *)n->call.args;
    bool *inv = arena_array(p->a, bool, n->call.nargs + 1);
    bool all = !looks_at_clock(n);

    n->call.args = arena_array(p->a, struct node *, n->call.nargs + 1);
    for (uint32_t i = 0; i < n->call.nargs; i++) {
        if (plan(p, in[i], &n->call.args[i], &inv[i]) < 0)
            return p->e->code;
        all &= inv[i];
    }
    *invariant = all;
    for (uint32_t i = 0; i < n->call.nargs && !all; i++)
        if (inv[i])
            n->call.args[i] = wrap(p, n->call.args[i]);
    return 0;
}

/* Two operands, the second of which may be missing. */
static int plan_pair(struct planner *p, struct node **l, struct node **r, bool *invariant)
{
    bool li, ri = true;

    if (plan(p, *l, l, &li) < 0 || (*r && plan(p, *r, r, &ri) < 0))
        return p->e->code;
    *invariant = li && ri;
    if (li && !ri)
        *l = wrap(p, *l);
    if (*r && ri && !li)
        *r = wrap(p, *r);
    return 0;
}

static int plan_subquery(struct planner *p, struct node *n, bool *invariant)
{
    bool inner;

    if (n->subquery.range_expr && resolve(p, n->subquery.range_expr, false, &n->subquery.range_ms) < 0)
        return p->e->code;
    if (n->subquery.step_expr && resolve(p, n->subquery.step_expr, false, &n->subquery.step_ms) < 0)
        return p->e->code;
    if (resolve_when(p, &n->subquery.when) < 0 || plan(p, n->subquery.expr, &n->subquery.expr, &inner) < 0)
        return p->e->code;
    if (inner)
        n->subquery.expr = wrap(p, n->subquery.expr);
    *invariant = n->subquery.when.at != AT_NONE;
    return 0;
}

static int plan(struct planner *p, const struct node *in, struct node **out, bool *invariant)
{
    struct node *n = copy(p, in);
    struct planner above = *p;
    int code = 0;

    *out = n;
    switch (n->kind) {
    case N_NUMBER:
    case N_STRING:
        *invariant = true;
        break;
    case N_SELECTOR:
        code = resolve_when(p, &n->selector.when);
        *invariant = n->selector.when.at != AT_NONE;
        n->selector.counts_only = p->counts && !p->buckets;
        break;
    case N_MATRIX:
        if (n->matrix.range_expr && resolve(p, n->matrix.range_expr, false, &n->matrix.range_ms) < 0)
            return p->e->code;
        code = plan(p, n->matrix.selector, &n->matrix.selector, invariant);
        break;
    case N_SUBQUERY:
        p->buckets = true;
        code = plan_subquery(p, n, invariant);
        break;
    case N_UNARY:
        code = plan(p, n->unary.expr, &n->unary.expr, invariant);
        break;
    case N_BINARY:
        code = plan_pair(p, &n->binary.l, &n->binary.r, invariant);
        break;
    case N_CALL:
        what_is_looked_at(p, n);
        code = plan_call(p, n, invariant);
        break;
    case N_AGGREGATE:
        code = plan_pair(p, &n->agg.expr, &n->agg.param, invariant);
        break;
    case N_PAREN:
    case N_STEP_INVARIANT:
        code = plan(p, n->child, &n->child, invariant);
        break;
    }
    p->counts = above.counts;
    p->buckets = above.buckets;
    return code;
}

int plan_make(struct arena *a, const struct node *n, const struct plan_times *t, struct node **out, struct err *e)
{
    struct planner p = {.a = a, .t = t, .e = e};
    bool invariant;
    int code = plan(&p, n, out, &invariant);

    if (code == 0 && invariant)
        *out = wrap(&p, *out);
    return code;
}
