/* samples.h - what samples.c and samples_hist.c share: memory of a gen, and chunks of histograms. Private to them. */
#ifndef TSDB_SAMPLES_H
#define TSDB_SAMPLES_H

#include "tsdb/head.h"

/* From the appender's gen: 16-aligned, not zeroed. */
void *gen_alloc(struct appender *a, size_t n);

/* samples_hist.c: puts h behind the samples of the chunk. False: it has no room, or no place for a bucket of h. */
bool chunk_put_hist(struct appender *a, struct chunk *c, const struct histogram *h);
/* A chunk that begins with h, at place `at` of the column. */
struct chunk *chunk_new_hist(struct appender *a, struct chunk *prev, struct column *col, uint32_t at, int64_t st,
                             const struct histogram *h);
/* The bytes of a late row. */
const uint8_t *late_put_hist(struct appender *a, const struct histogram *h);

#endif
