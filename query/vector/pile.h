/*
 * pile.h - memory of one intermediate result: an arena whose growth is charged to its query, given back as a whole.
 *
 * Owner: one thread at a time. Piles of several threads are joined when their results are.
 */
#ifndef VECTOR_PILE_H
#define VECTOR_PILE_H

#include "query/exec/exec.h"

struct pile {
    struct query *q; /* may be NULL: nothing is charged */
    struct arena a;
    struct arena *more; /* of piles that were joined to this one */
    uint32_t nmore;
    int64_t charged; /* taken from the query's budget */
    int64_t credit;  /* of it not used yet */
};

void pile_init(struct pile *p, struct query *q);
/* Gives memory and charge back; leaves it empty and usable. */
void pile_release(struct pile *p);
/* NULL when the query's budget is used up: then e holds the sentence. `where` names the operator. Not zeroed. */
void *pile_alloc(struct pile *p, size_t n, const char *where, struct err *e);
/* Charges what others took from p->a directly. */
int pile_settle(struct pile *p, const char *where, struct err *e);
/* What lies in src now lives as long as dst; src is empty after. */
void pile_join(struct pile *dst, struct pile *src);

#endif
