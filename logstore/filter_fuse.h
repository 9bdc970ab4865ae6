/* filter_fuse.h - a set of hashes that may say yes wrongly (one time in 256), never no. About 9 to 10 bits a hash. Private. */
#ifndef LOGSTORE_FILTER_FUSE_H
#define LOGSTORE_FILTER_FUSE_H

#include "base/base.h"

struct fuse_builder {
    uint64_t *keys, *order, *xors;
    uint8_t *counts, *which, *prints;
    size_t n, room;
};
void fuse_builder_begin(struct fuse_builder *b, size_t n);
/* No hash twice. */
static inline void fuse_builder_add(struct fuse_builder *b, uint64_t h)
{
    b->keys[b->n++] = h;
}
/* False, and nothing written: it cannot be built (hashes made to collide). */
bool fuse_builder_end(struct fuse_builder *b, struct buf *out);
void fuse_builder_release(struct fuse_builder *b);

struct fuse {
    uint64_t seed;
    uint32_t segment, length; /* places in a segment; first places that are chosen from */
    const uint8_t *prints;    /* NULL: the empty set */
};
bool fuse_open(struct fuse *f, struct str bytes);
bool fuse_has(const struct fuse *f, uint64_t h);

#endif
