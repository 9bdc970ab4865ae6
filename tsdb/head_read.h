/* head_read.h - the samples that the head holds of one series, decoded. For cursors and for the flush. */
#ifndef TSDB_HEAD_READ_H
#define TSDB_HEAD_READ_H

#include "tsdb/head.h"

/* One thread's buffers; zero-initialised is empty. */
struct head_reader {
    struct chunk_view *views;
    uint32_t views_cap;
    double *v;
    int64_t *t, *st;
    uint32_t cap;
    struct late_row *late;
    uint32_t late_cap;
    double *merged_v;
    int64_t *merged_t, *merged_st;
    uint32_t merged_cap;
    const struct histogram **h, **merged_h;
    uint32_t h_cap, merged_h_cap;
    struct arena hists; /* of the series at hand */
};
void head_reader_release(struct head_reader *r);

struct head_piece {
    const int64_t *t;
    const double *v;
    const int64_t *st;                /* or NULL */
    const struct histogram *const *h; /* beside v, or NULL */
    uint32_t n;
    /* When t lies in a shared column: its number (never 0) and our first place in it. Else 0. */
    uint32_t column, start;
    struct column *col;
};

/*
 * Samples of s in [mint, maxt] from gens in (dropped, upto]. t may point into a column (valid in the epoch), the rest
 * into r until the next call. False when there are none.
 */
bool head_read(struct head_reader *r, const struct series *s, uint32_t dropped, uint32_t upto, int64_t mint,
               int64_t maxt, struct head_piece *out);
/* The newest one; what series_last cannot tell: the newest at or before maxt. */
bool head_read_newest(struct head_reader *r, const struct series *s, uint32_t dropped, int64_t mint, int64_t maxt,
                      int64_t *t, double *v, int64_t *st, const struct histogram **h);
/* About: has the head a sample of s in [mint, maxt]? */
bool head_overlaps(const struct series *s, uint32_t dropped, int64_t mint, int64_t maxt);

#endif
