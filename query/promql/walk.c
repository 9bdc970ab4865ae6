/* walk.c - small services of the tree: names of types and operators, positions, walking, releasing. */
#include "query/promql/ast.h"

#include <stdlib.h>

const char *promql_type_text(enum promql_type t)
{
    static const char *const names[] = {"none", "scalar", "instant vector", "range vector", "string"};

    return names[t];
}

const char *promql_op_text(enum promql_op op)
{
    static const char *const names[] = {
        "", "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "and", "or", "unless", "</", ">/"};

    return names[op];
}

const char *agg_op_text(enum agg_op op)
{
    static const char *const names[] = {"sum",          "avg",      "count",  "min",        "max",
                                        "group",        "stddev",   "stdvar", "topk",       "bottomk",
                                        "count_values", "quantile", "limitk", "limit_ratio"};

    return names[op];
}

void promql_position(struct str text, uint32_t at, unsigned *line, unsigned *col)
{
    uint32_t from = 0;

    *line = 1;
    for (uint32_t i = 0; i < at && i < text.n; i++)
        if (text.p[i] == '\n') {
            (*line)++;
            from = i + 1;
        }
    *col = at - from + 1;
}

/* What is still to be visited. The tree may lean far to the left, so this grows on the heap. */
struct stack {
    struct node **v;
    size_t n, cap;
};

static void push(struct stack *s, struct node *n)
{
    if (!n)
        return;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 32;
        s->v = x_realloc(s->v, s->cap * sizeof *s->v);
    }
    s->v[s->n++] = n;
}

/* Last child first, so that the first is visited next. */
static void push_children(struct stack *s, struct node *n)
{
    switch (n->kind) {
    case N_MATRIX:
        push(s, n->matrix.selector);
        break;
    case N_SUBQUERY:
        push(s, n->subquery.expr);
        break;
    case N_UNARY:
        push(s, n->unary.expr);
        break;
    case N_BINARY:
        push(s, n->binary.r);
        push(s, n->binary.l);
        break;
    case N_CALL:
        for (uint32_t i = n->call.nargs; i-- > 0;)
            push(s, n->call.args[i]);
        break;
    case N_AGGREGATE:
        push(s, n->agg.expr);
        push(s, n->agg.param);
        break;
    case N_PAREN:
    case N_STEP_INVARIANT:
        push(s, n->child);
        break;
    case N_NUMBER:
    case N_STRING:
    case N_SELECTOR:
        break;
    }
}

int promql_walk(struct node *n, int (*fn)(void *arg, struct node *n), void *arg)
{
    struct stack s = {0};
    int rc = 0;

    push(&s, n);
    while (rc == 0 && s.n) {
        struct node *at = s.v[--s.n];

        rc = fn(arg, at);
        if (rc == 0)
            push_children(&s, at);
    }
    free(s.v);
    return rc;
}

static int release_one(void *arg, struct node *n)
{
    (void)arg;
    if (n->kind == N_SELECTOR) {
        for (uint32_t i = 0; i < n->selector.nmatchers; i++)
            matcher_release(&n->selector.matchers[i]);
        n->selector.nmatchers = 0;
    }
    return 0;
}

void promql_release(struct node *n)
{
    promql_walk(n, release_one, NULL);
}
