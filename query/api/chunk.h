/*
 * chunk.h - samples in the chunk encodings of Prometheus, bit for bit, as remote read sends them.
 *
 *   CHUNK_XOR              n u16be, then t varint, v 64 bits; delta uvarint, v; delta of delta in 1, 16, 20, 24 or 68 bits, v ...
 *   CHUNK_HISTOGRAM        n u16be, flags u8, layout, then t, count, zero count, sum and buckets: first as they are, then as
 *                          deltas of deltas in variable bits; the sum as v above
 *   CHUNK_FLOAT_HISTOGRAM  the same layout; every number as v above
 */
#ifndef API_CHUNK_H
#define API_CHUNK_H

#include "base/base.h"
#include "base/histogram.h"

/* Numbers as on the wire. */
enum chunk_encoding { CHUNK_XOR = 1, CHUNK_HISTOGRAM = 2, CHUNK_FLOAT_HISTOGRAM = 3 };
enum { CHUNK_SAMPLES = 120 /* in one chunk, as Prometheus cuts them */ };

/* Most significant bit first, behind what out holds. Starts with free 0. */
struct bits {
    struct buf *out;
    unsigned free; /* bits of the last byte that are not written yet */
};
void bits_put(struct bits *b, uint64_t v, unsigned n); /* the lower n bits of v */
/* A float against the one before it: what changed, within the window of bits that is open. leading 0xff: none is. */
struct xor_state {
    double v;
    uint8_t leading, trailing;
};
void bits_put_xor(struct bits *b, struct xor_state *s, double v);

/* 1 <= n <= CHUNK_SAMPLES floats as one chunk, appended to out. */
void chunk_put_floats(struct buf *out, const int64_t *t, const double *v, uint32_t n);

/* How many of h[0..n-1] (1 <= n), none of them NULL, one chunk can hold: no change of layout kind, no reset inside. */
uint32_t chunk_hists_run(const struct histogram *const *h, uint32_t n);
/* Such a run as one chunk, appended to out. */
enum chunk_encoding chunk_put_hists(struct buf *out, const int64_t *t, const struct histogram *const *h, uint32_t n);

/* Runs of buckets that follow each other, as both chunks and messages write layouts. */
struct chunk_span {
    int32_t offset; /* from the end of the span before; of the first: its bucket */
    uint32_t length;
};
/* Spans of n buckets whose numbers rise; into out, which holds n. Returns how many. */
uint32_t chunk_spans(const struct hist_bucket *b, uint32_t n, struct chunk_span *out);
/* All counts are whole numbers that an unsigned integer holds exactly. */
bool chunk_whole(const struct histogram *h);

#endif
