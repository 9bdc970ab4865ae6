/*
 * plan.h - from the tree as written to the tree as run. Private to query/promql.
 *
 * The copy has durations worked out, @ start() and @ end() replaced by times, and N_STEP_INVARIANT around what is the
 * same at every step.
 */
#ifndef PROMQL_PLAN_H
#define PROMQL_PLAN_H

#include "query/promql/ast.h"

struct plan_times {
    int64_t start_ms, end_ms, step_ms; /* of the query */
    bool instant;
    bool costs; /* give every node a node_cost */
};

/* The copy is from a and shares strings, matchers and matchings with n. ERR_EXEC: a duration that cannot be. */
int plan_make(struct arena *a, const struct node *n, const struct plan_times *t, struct node **out, struct err *e);
/* Through parentheses. */
const struct node *plan_unwrap(const struct node *n);

#endif
