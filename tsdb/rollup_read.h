/* rollup_read.h - see rollup_read.c. Private to tsdb/. */
#ifndef TSDB_ROLLUP_READ_H
#define TSDB_ROLLUP_READ_H

#include "tsdb/rollup_day.h"

struct unpacker;
struct rollup_reader;

/* Of one day, for one thread: buckets whose times lie in [mint, maxt]. The unpacker is lent, by as many as there are. */
struct rollup_reader *rollup_reader_new(struct day_view *v, const struct rollup_about *about, int64_t mint,
                                        int64_t maxt, struct unpacker *u);
void rollup_reader_free(struct rollup_reader *r);
/* Adds what it unpacked, and what there is in the columns it was asked for. */
void rollup_reader_blocks(const struct rollup_reader *r, uint64_t *read, uint64_t *all);
/*
 * The columns (bits) of a series; borrowed until the next get. MIN and MAX stand for themselves where they are FIRST and LAST;
 * RESETS is NULL where there are none. t_last is of the first column that was asked for. >0: the day does not know the series.
 */
int rollup_reader_get(struct rollup_reader *r, uint32_t sid, unsigned columns, struct bucket_run *run, struct err *e);
/*
 * The same of the columns of its histograms, which are without those of an older day (hists false in what is told about it).
 * Borrowed until the next call of this; the histograms' hints are the borrower's to write.
 */
int rollup_reader_hists(struct rollup_reader *r, uint32_t sid, unsigned columns, struct stretch_run *run,
                        struct err *e);

#endif
