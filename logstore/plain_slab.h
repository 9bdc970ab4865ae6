/*
 * plain_slab.h - memory for one block's work that is kept for the next. Private to logstore.
 *
 * Pieces are handed out until slab_reset takes all of them back; what the system gave stays, up to SLAB_KEEP, so that
 * a reader of many blocks does not fault its pages in again for each.
 */
#ifndef LOGSTORE_PLAIN_SLAB_H
#define LOGSTORE_PLAIN_SLAB_H

#include "base/base.h"

struct slab_chunk;

/* Zero-initialised is empty and valid. One owner at a time. */
struct slab {
    struct slab_chunk *first, *now;
    char *at, *end;
    size_t used; /* bytes handed out since the last reset */
};

void *slab_alloc(struct slab *s, size_t n); /* 16-aligned, not zeroed; never fails */
void *slab_zalloc(struct slab *s, size_t n);
void slab_reset(struct slab *s);

/* Everything handed out since slab_now is taken back by slab_back. */
struct slab_mark {
    struct slab_chunk *now;
    char *at, *end;
};
static inline struct slab_mark slab_now(const struct slab *s)
{
    return (struct slab_mark){s->now, s->at, s->end};
}
static inline void slab_back(struct slab *s, struct slab_mark m)
{
    s->now = m.now;
    s->at = m.at;
    s->end = m.end;
}
void slab_release(struct slab *s);

#define slab_array(s, type, n) ((type *)slab_alloc((s), sizeof(type) * ((size_t)(n) + 1)))

#endif
