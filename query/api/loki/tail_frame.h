/* tail_frame.h - frames of a live tail: records by labels, and what had to be left out. Private to loki/. */
#ifndef LOKI_TAIL_FRAME_H
#define LOKI_TAIL_FRAME_H

#include "query/api/loki/inside.h"

/* Records on their way into one frame. Zero-initialised is empty. */
struct tail_batch {
    struct arena arena;
    struct map by_labels; /* canonical labels -> stream */
    struct tail_stream **streams;
    uint32_t nstreams, cap;
    uint32_t n;   /* records */
    size_t bytes; /* of their lines */
};
/* Copies line and labels. */
void tail_batch_add(struct tail_batch *b, int64_t t_ns, struct str line, const struct labels *ls);
void tail_batch_reset(struct tail_batch *b);
void tail_batch_release(struct tail_batch *b);

/* Records that the client did not get, by labels. Zero-initialised is none. */
struct tail_drops {
    struct arena arena;
    struct map by_labels; /* -> struct tail_drop */
    uint64_t n;
};
/* ls NULL: of labels that nobody looked at. */
void tail_drops_add(struct tail_drops *d, const struct labels *ls, int64_t t_ns, uint64_t n);
/* All of a batch. */
void tail_drops_add_batch(struct tail_drops *d, const struct tail_batch *b);
void tail_drops_reset(struct tail_drops *d);
void tail_drops_release(struct tail_drops *d);

/* {"streams":[...],"dropped_entries":[...]}: the second only when there are any. */
void tail_put_frame(struct buf *out, const struct tail_batch *b, const struct tail_drops *d);
void tail_put_drops(struct buf *out, const struct tail_drops *d); /* the second key with its comma, or nothing */

#endif
