/* match.h - which series of the head match. */
#ifndef TSDB_MATCH_H
#define TSDB_MATCH_H

#include "tsdb/head.h"
#include "tsdb/walk.h"

/*
 * Refs of live series that match all, ascending; free() them. Takes the index lock, shared, and holds it when it returns 0: the
 * refs are good until the caller lets go of it. <0: the limits (may be NULL) said so, and it is not held. The caller is inside an
 * epoch.
 */
int head_match(struct head *h, const struct matcher *m, uint32_t nm, const struct tsdb_limits *limits, uint32_t **refs, uint32_t *n,
               struct err *e);
/* Refs of all live series, ascending; free() them. Under the index lock. */
uint32_t *head_all(const struct head *h, uint32_t *n);

#endif
