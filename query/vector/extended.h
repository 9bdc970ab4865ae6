/* extended.h - between extended.c (floats) and extended_hist.c. Private to query/vector. */
#ifndef VECTOR_EXTENDED_H
#define VECTOR_EXTENDED_H

#include "query/vector/range.h"

struct span {
    uint32_t first, last; /* the samples that give the values at the ends */
    int64_t start, end;   /* of the window */
};

/* The samples around window i among those of its lookback, lo..hi-1. False when none tells anything about it. */
bool span_of(const struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, struct span *x);
/* The value of a window whose samples are floats. */
double extended_floats(const struct range_function *fn, const struct range_call *c, const struct span *x, uint32_t lo);
/* A window of a series with histograms: ROW_FLOAT, ROW_HIST or ROW_NONE. */
int extended_one(const struct range_function *fn, struct range_call *c, uint32_t i, uint32_t lo, const struct span *x);

#endif
