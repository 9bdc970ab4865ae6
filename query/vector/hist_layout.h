/* hist_layout.h - layouts of histograms, between the files that compute with them. Private to query/vector. */
#ifndef VECTOR_HIST_LAYOUT_H
#define VECTOR_HIST_LAYOUT_H

#include "query/vector/histogram.h"

/* The zero bucket's count for a larger threshold, which is moved up to a bound where it falls into a populated bucket.
 */
double hist_zero_count(const struct histogram *h, double *threshold);
/* Replaces *l and *r by ones of the same layout. ERR_UNSUPPORTED: exponential and custom. */
int hist_reconcile(struct arena *a, const struct histogram **l, const struct histogram **r, unsigned *notes);
/* The hint of a sum. */
uint8_t hist_hint_of(uint8_t l, uint8_t r, unsigned *notes);

#endif
