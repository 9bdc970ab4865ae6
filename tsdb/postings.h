/*
 * postings.h - which series carry a label pair: ascending series refs as gaps in varints. One to two bytes a series,
 * appended to at the end only, since refs only grow. Also the set of refs that a match works on.
 */
#ifndef TSDB_POSTINGS_H
#define TSDB_POSTINGS_H

#include "base/base.h"

/* Zero-initialised is empty. */
struct postings {
    uint8_t *p;
    uint32_t bytes, cap;
    uint32_t n;
    uint32_t next; /* the last ref + 1 */
};

/* ref must be above all that are in. */
void postings_add(struct postings *ps, uint32_t ref);
void postings_release(struct postings *ps);
/* Appends all refs to out (room for ps->n); returns how many: ps->n. */
uint32_t postings_read(const struct postings *ps, uint32_t *out);
/* Drops the refs for which gone(arg, ref). */
void postings_filter(struct postings *ps, bool (*gone)(void *arg, uint32_t ref), void *arg);

#endif
