/* match.h - which series of the head match. */
#ifndef TSDB_MATCH_H
#define TSDB_MATCH_H

#include "tsdb/head.h"
#include "tsdb/walk.h"

/*
 * Refs of live series that match all, ascending; free() them. Under index_lock. Whoever gives a walk looks at walk.ended
 * afterwards: then the refs are not to be used.
 */
uint32_t *head_match(const struct head *h, const struct matcher *m, uint32_t nm, struct walk *walk, uint32_t *n);

#endif
