/* print.h - pieces of the printer that the prettifier needs too. Private to promql/. */
#ifndef PROMQL_PRINT_H
#define PROMQL_PRINT_H

#include "query/promql/ast.h"

#include <float.h>

/* Stops soon after out->n has passed limit. */
void pq_print(struct buf *out, const struct node *n, size_t limit);
void pq_print_dur(struct buf *out, const struct dur *d);
void pq_print_agg_head(struct buf *out, const struct node *n);      /* sum by (a) */
void pq_print_op(struct buf *out, const struct node *n);            /* == bool on (a) group_left () */
void pq_print_subquery_tail(struct buf *out, const struct node *n); /* [5m:] @ start() offset 1m */
/* Many lines; what fits into width stays on one. */
void promql_pretty_width(struct buf *out, const struct node *n, size_t width);

/*
 * Infinity prints with its sign, but a sign binds less than ^: as the left operand of that it goes without, to be read back as
 * it was. n is an N_BINARY.
 */
static inline bool pq_is_signless(const struct node *n)
{
    return n->binary.op == OP_POW && n->binary.l->kind == N_NUMBER && n->binary.l->number.v > DBL_MAX;
}

#endif
