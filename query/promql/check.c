/*
 * check.c - are types right? Runs once after a text parsed without fault, children first, and collects every mistake.
 *
 * (1) A chain of binary operators leans to the left and may be as long as the text: it is walked in a loop, not by
 * recursion. (2) A tree that passes is at most PQ_TREE_MAX levels high, so that those who come after may recurse.
 */
#include "query/promql/foreign.h"
#include "query/promql/parse.h"

#include <assert.h>
#include <string.h>

struct checker {
    struct parser *p;
    unsigned height_max;
};

static enum promql_type check_at(struct checker *c, struct node *n, unsigned level);

static void expect_type(struct checker *c, struct node *n, enum promql_type want, const char *where, unsigned level)
{
    enum promql_type got = check_at(c, n, level);

    if (got != want)
        pq_error(c->p, n->start, n->end, "expected type %s in %s, got %s", promql_type_text(want), where,
                 promql_type_text(got));
}

/* --- binary operators ------------------------------------------------------------------------------ */

static bool is_space(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

/* The text between the operands, without white space around: the operator and its modifiers. */
static void operator_span(const struct checker *c, const struct node *n, uint32_t *start, uint32_t *end)
{
    const char *text = c->p->text.p;

    *start = n->binary.l->end;
    *end = n->binary.r->start - 1;
    while (*start < *end && is_space(text[*start]))
        (*start)++;
    while (*end > *start && is_space(text[*end]))
        (*end)--;
}

static void check_set(struct checker *c, struct node *n)
{
    struct vector_matching *m = n->binary.matching;
    const char *op = promql_op_text(n->binary.op);

    if (m->card == CARD_ONE_TO_MANY || m->card == CARD_MANY_TO_ONE)
        pq_error(c->p, n->start, n->end, "no grouping allowed for \"%s\" operation", op);
    if (m->card != CARD_MANY_TO_MANY)
        pq_error(c->p, n->start, n->end, "set operations must always be many-to-many");
    if (m->has_fill_left || m->has_fill_right)
        pq_error(c->p, n->start, n->end, "filling in missing series not allowed for set operators");
}

static void check_lists(struct checker *c, const struct node *n, uint32_t start, uint32_t end)
{
    const struct vector_matching *m = n->binary.matching;

    for (uint32_t i = 0; m->on && i < m->nlabels; i++)
        for (uint32_t k = 0; k < m->ninclude; k++)
            if (str_eq(m->labels[i], m->include[k]))
                pq_error(c->p, start, end, "label %s must not occur in ON and GROUP clause at once",
                         pq_quoted(c->p, m->labels[i]));
}

static void check_binary(struct checker *c, struct node *n)
{
    enum promql_type lt = n->binary.l->type, rt = n->binary.r->type;
    struct vector_matching *m = n->binary.matching;
    bool vectors = lt == PQ_VECTOR && rt == PQ_VECTOR, set = op_is_set(n->binary.op);
    uint32_t start, end;

    operator_span(c, n, &start, &end);
    if (n->binary.return_bool && !op_is_comparison(n->binary.op))
        pq_error(c->p, start, end, "bool modifier can only be used on comparison operators");
    if (op_is_comparison(n->binary.op) && !n->binary.return_bool && lt == PQ_SCALAR && rt == PQ_SCALAR)
        pq_error(c->p, start, end, "comparisons between scalars must use BOOL modifier");
    if (set && m->card == CARD_ONE_TO_ONE)
        m->card = CARD_MANY_TO_MANY;
    check_lists(c, n, start, end);
    if (lt != PQ_SCALAR && lt != PQ_VECTOR)
        pq_error(c->p, n->binary.l->start, n->binary.l->end,
                 "binary expression must contain only scalar and instant vector types");
    if (rt != PQ_SCALAR && rt != PQ_VECTOR)
        pq_error(c->p, n->binary.r->start, n->binary.r->end,
                 "binary expression must contain only scalar and instant vector types");
    if (!vectors) {
        if (m->nlabels)
            pq_error(c->p, n->start, n->end, "vector matching only allowed between instant vectors");
        if (m->has_fill_left || m->has_fill_right)
            pq_error(c->p, n->start, n->end, "filling in missing series only allowed between instant vectors");
        n->binary.matching = NULL;
    } else if (set) {
        check_set(c, n);
    }
    if ((lt == PQ_SCALAR || rt == PQ_SCALAR) && set)
        pq_error(c->p, n->start, n->end, "set operator \"%s\" not allowed in binary scalar expression",
                 promql_op_text(n->binary.op));
}

/* n is the top of a chain that leans left (1). */
static void check_chain(struct checker *c, struct node *top, unsigned level)
{
    struct node **chain;
    uint32_t n = 0, i = 0;

    for (struct node *at = top; at->kind == N_BINARY; at = at->binary.l)
        n++;
    chain = arena_array(c->p->a, struct node *, n);
    for (struct node *at = top; at->kind == N_BINARY; at = at->binary.l)
        chain[i++] = at;
    check_at(c, chain[n - 1]->binary.l, level + n);
    for (i = n; i-- > 0;) {
        check_at(c, chain[i]->binary.r, level + i + 1);
        check_binary(c, chain[i]);
    }
}

/* --- calls ------------------------------------------------------------------------------------------ */

static void check_count(struct checker *c, const struct node *n)
{
    const struct promql_function *fn = n->call.fn;
    uint32_t most = fn->nargs, least = fn->nargs;

    if (fn->variadic == 0) {
        if (n->call.nargs != fn->nargs)
            pq_error(c->p, n->start, n->end, "expected %u argument(s) in call to \"%s\", got %u", most, fn->name,
                     n->call.nargs);
        return;
    }
    least = fn->nargs - 1u;
    most = fn->variadic > 0 ? least + (uint32_t)fn->variadic : UINT32_MAX;
    if (n->call.nargs < least)
        pq_error(c->p, n->start, n->end, "expected at least %u argument(s) in call to \"%s\", got %u", least, fn->name,
                 n->call.nargs);
    else if (n->call.nargs > most)
        pq_error(c->p, n->start, n->end, "expected at most %u argument(s) in call to \"%s\", got %u", most, fn->name,
                 n->call.nargs);
}

/* info's second argument is a list of matchers in the clothes of a selector: no name, and it may match everything. */
static bool is_info_matchers(struct checker *c, const struct node *n, uint32_t i)
{
    struct node *arg = n->call.args[i];

    if (i != 1 || strcmp(n->call.fn->name, "info") != 0)
        return false;
    if (arg->kind != N_SELECTOR) {
        if (arg->type == PQ_VECTOR)
            pq_error(c->p, arg->start, arg->end, "expected label selectors only");
        return false;
    }
    if (arg->selector.name.n)
        pq_error(c->p, arg->start, arg->end, "expected label selectors only, got vector selector instead");
    return true;
}

/* What stands in logs(...): its own language knows. */
static void check_foreign(struct checker *c, const struct node *n)
{
    enum promql_foreign lang = promql_foreign_find(str_of(n->call.fn->name));
    const struct promql_foreign_source *s = lang < PROMQL_FOREIGN_N ? promql_foreign_source(lang) : NULL;
    const struct node *arg = n->call.nargs ? n->call.args[0] : NULL;
    struct err e;

    while (arg && arg->kind == N_PAREN)
        arg = arg->child;
    if (s && arg && arg->kind == N_STRING && s->check(s->arg, arg->string, &e) < 0)
        pq_error(c->p, arg->start, arg->end, "%s", e.text);
}

static void check_call(struct checker *c, struct node *n, unsigned level)
{
    const struct promql_function *fn = n->call.fn;

    check_count(c, n);
    for (uint32_t i = 0; i < n->call.nargs; i++) {
        uint32_t as = i;

        if (i >= fn->nargs) {
            if (fn->variadic == 0)
                break;
            as = fn->nargs - 1u;
        }
        if (!is_info_matchers(c, n, i)) {
            struct str where = arena_printf(c->p->a, "call to function \"%s\"", fn->name);

            expect_type(c, n->call.args[i], fn->args[as], where.p, level + 1);
        }
    }
    check_foreign(c, n);
}

/* --- selectors and the rest -------------------------------------------------------------------------- */

static void name_twice(struct checker *c, const struct node *n, struct str a, struct str b)
{
    pq_error(c->p, n->start, n->end, "metric name must not be set twice: %s or %s", pq_quoted(c->p, a),
             pq_quoted(c->p, b));
}

static void check_selector(struct checker *c, const struct node *n)
{
    const struct matcher *m = n->selector.matchers, *name = NULL;
    uint32_t nm = n->selector.nmatchers;

    if (n->selector.name.n) { /* its matcher is the last, and is not empty */
        for (uint32_t i = 0; i + 1 < nm; i++)
            if (str_eqz(m[i].name, LABEL_NAME))
                name_twice(c, n, n->selector.name, m[i].value);
        return;
    }
    for (uint32_t i = 0; i < nm; i++) {
        if (!str_eqz(m[i].name, LABEL_NAME) || m[i].op != MATCH_EQ)
            continue;
        if (name && name->value.n)
            name_twice(c, n, name->value, m[i].value);
        name = &m[i];
    }
    for (uint32_t i = 0; i < nm; i++)
        if (!matcher_matches(&m[i], STR("")))
            return;
    pq_error(c->p, n->start, n->end, "vector selector must contain at least one non-empty matcher");
}

static void check_aggregate(struct checker *c, struct node *n, unsigned level)
{
    enum agg_op op = n->agg.op;

    expect_type(c, n->agg.expr, PQ_VECTOR, "aggregation expression", level + 1);
    if (op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE || op == AGG_LIMITK || op == AGG_LIMIT_RATIO)
        expect_type(c, n->agg.param, PQ_SCALAR, "aggregation parameter", level + 1);
    if (op == AGG_COUNT_VALUES)
        expect_type(c, n->agg.param, PQ_STRING, "aggregation parameter", level + 1);
}

static void check_unary(struct checker *c, struct node *n, unsigned level)
{
    enum promql_type t = check_at(c, n->unary.expr, level + 1);

    if (t != PQ_SCALAR && t != PQ_VECTOR)
        pq_error(c->p, n->start, n->end,
                 "unary expression only allowed on expressions of type scalar or instant vector, got \"%s\"",
                 promql_type_text(t));
}

static void check_subquery(struct checker *c, struct node *n, unsigned level)
{
    static const char *const plain[] = {"none", "scalar", "vector", "matrix", "string"};
    enum promql_type t = check_at(c, n->subquery.expr, level + 1);

    if (t != PQ_VECTOR)
        pq_error(c->p, n->start, n->end, "subquery is only allowed on instant vector, got %s instead", plain[t]);
}

static enum promql_type check_at(struct checker *c, struct node *n, unsigned level)
{
    c->height_max = MAX(c->height_max, level);
    switch (n->kind) {
    case N_AGGREGATE:
        check_aggregate(c, n, level);
        break;
    case N_BINARY:
        check_chain(c, n, level);
        break;
    case N_CALL:
        check_call(c, n, level);
        break;
    case N_PAREN:
    case N_STEP_INVARIANT:
        check_at(c, n->child, level + 1);
        break;
    case N_UNARY:
        check_unary(c, n, level);
        break;
    case N_SUBQUERY:
        check_subquery(c, n, level);
        break;
    case N_MATRIX:
        check_at(c, n->matrix.selector, level + 1);
        break;
    case N_SELECTOR:
        check_selector(c, n);
        break;
    case N_NUMBER:
    case N_STRING:
        break;
    }
    return n->type;
}

void pq_check(struct parser *p, struct node *n)
{
    struct checker c = {.p = p};

    assert(n && p->nerrors == 0); /* (3) of parse.h */
    check_at(&c, n, 1);
    if (p->nerrors == 0 && c.height_max > PQ_TREE_MAX)
        pq_error(p, n->start, n->start, "expression has %u levels, more than the limit of %d", c.height_max,
                 PQ_TREE_MAX);
}
