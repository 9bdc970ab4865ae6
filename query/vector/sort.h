/* sort.h - sorting that a query can be stopped in: long lists take seconds. */
#ifndef VECTOR_SORT_H
#define VECTOR_SORT_H

#include "query/exec/exec.h"

/*
 * qsort on the thread of q, with a query_check now and then. <0 when q must stop (e says why): every item is still
 * there, in some order. q NULL: never stops.
 */
int sort_items(void *items, size_t n, size_t item_bytes, int (*cmp)(const void *a, const void *b), struct query *q, const char *where,
               struct err *e);

#endif
