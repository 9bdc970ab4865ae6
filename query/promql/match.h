/* match.h - which rows of two vectors belong together. Private to query/promql. */
#ifndef PROMQL_MATCH_H
#define PROMQL_MATCH_H

#include "query/promql/ast.h"
#include "query/vector/row.h"

/* Equal numbers: equal match labels. */
struct match_keys {
    uint32_t *left, *right; /* key of each row */
    uint32_t nkeys;
};

/* m may be NULL: all labels but the name. <0: the query must stop; k is to be released all the same. */
int match_keys_make(struct match_keys *k, const struct vector_matching *m, const struct vec *l, const struct vec *r, struct err *e);
void match_keys_release(struct match_keys *k);
/* The labels a row is matched by: the match group, as errors and fills name it. */
struct labels match_labels(struct arena *a, const struct vector_matching *m, const struct labels *ls);

#endif
