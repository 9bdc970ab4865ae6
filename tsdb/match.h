/* match.h - which series of the head match. */
#ifndef TSDB_MATCH_H
#define TSDB_MATCH_H

#include "tsdb/head.h"

/* Refs of live series that match all, ascending; free() them. Under index_lock. */
uint32_t *head_match(const struct head *h, const struct matcher *m, uint32_t nm, uint32_t *n);

#endif
