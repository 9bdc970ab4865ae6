/*
 * day.h - one day of series on disk: index segments and slices in one partition. Private to tsdb/.
 *
 * Within a day a series has a dense id (`sid`, from 0), given when a flush first brings it; ids are the same in all
 * slices of the day. An index segment holds the series that one flush brought anew: labels, postings, hashes. A slice
 * holds the samples of one flush (or of a merge), as blocks of many series, ordered by (metric name, labels).
 *
 *   struct day          attached to the partition (partition_user): parsed segment directories; grows by segments
 *   struct day_writer   one write transaction: new series, then series with columns in slice order, then commit
 *   struct day_view     a read transaction plus caches; what a select uses
 */
#ifndef TSDB_DAY_H
#define TSDB_DAY_H

#include "base/base.h"
#include "base/histogram.h"
#include "store/partition.h"

#include <roaring/roaring.h>

struct day;
struct day_writer;
struct day_view;
struct tsdb_limits; /* tsdb.h */

enum { DAY_NO_SID = 0xffffffff };

/* signal_ops.attach / detach: reads the directories, not the blocks. Lazy where it can be: start must be quick. */
int day_attach(struct partition *p, struct day **out, struct err *e);
void day_free(struct day *d);
uint32_t day_nseries(const struct day *d);
bool day_times(const struct day *d, int64_t *mint, int64_t *maxt); /* of all samples; false when empty */
/* Samples over all slices (one that came twice counts twice), and how many slices. */
uint64_t day_nsamples(const struct day *d, uint32_t *nslices);

/* --- writing ---------------------------------------------------------------------------------- */

int day_write_begin(struct partition *p, struct day_writer **out, struct err *e);
/* sid of a series that the day had when the writer began, else DAY_NO_SID. By hash, O(1). */
uint32_t day_write_find(struct day_writer *w, struct hash128 id);
/*
 * Brings a new series, each once: returns its sid. Only before the first day_write_times. Best in slice order: then
 * the index is small and a slice needs no table from sid to row.
 */
int day_write_new(struct day_writer *w, struct hash128 id, const struct labels *ls, uint32_t *sid, struct err *e);
/*
 * A time column of this slice; equal ones are found by hash and stored once. Sets *column to its number in the slice.
 */
int day_write_times(struct day_writer *w, const int64_t *t, uint32_t n, uint32_t *column, struct err *e);
/*
 * Samples of one series, at most 2^24: v[i] belongs to time i of the column. Series must come ordered by (metric name,
 * labels). st may be NULL; h too: where h[i] is not, the sample is that histogram.
 */
int day_write_series(struct day_writer *w, uint32_t sid, uint32_t column, const double *v, const int64_t *st,
                     const struct histogram *const *h, uint32_t n, struct err *e);
/* Exemplars and other small things of a day are put through this, under keys that begin with neither 'B' nor 'D'. */
struct txn *day_write_txn(struct day_writer *w);
int day_write_commit(struct day_writer *w, uint64_t contained,
                     struct err *e); /* syncs, refreshes the attached struct day; frees w */
void day_write_abort(struct day_writer *w);

/* --- reading ---------------------------------------------------------------------------------- */

int day_view_open(struct partition *p, struct day_view **out, struct err *e);
void day_view_close(struct day_view *v);
uint32_t day_view_nseries(const struct day_view *v);

/* Long walks over the index of the view ask these limits, which live as long as it, and end with what they say. Set before it is shared. */
void day_view_limit(struct day_view *v, const struct tsdb_limits *limits);
/* sids of series that match. Regexes run over distinct values, facts first (sets, prefixes). The bitmap is the caller's
 * to free. */
int day_view_match(struct day_view *v, const struct matcher *m, uint32_t nm, roaring_bitmap_t **out, struct err *e);
/* Identity of a series, for meeting the head and other days. */
struct hash128 day_view_id(struct day_view *v, uint32_t sid);
uint32_t day_view_find(struct day_view *v, struct hash128 id); /* sid or DAY_NO_SID */
/* The array is from a, the bytes live until day_view_close. */
int day_view_labels(struct day_view *v, uint32_t sid, struct arena *a, struct labels *out, struct err *e);
int day_view_label(struct day_view *v, uint32_t sid, struct str name, struct str *out, struct err *e);
/*
 * Distinct names / values of label `name`, unsorted, each once per segment; of all series, or of those in only (may be
 * NULL). fn must not call into the view; what it returns other than 0 ends the walk and is returned. The bytes live
 * until day_view_close.
 */
int day_view_names(struct day_view *v, const roaring_bitmap_t *only, int (*fn)(void *arg, struct str name), void *arg,
                   struct err *e);
int day_view_values(struct day_view *v, struct str name, const roaring_bitmap_t *only,
                    int (*fn)(void *arg, struct str value), void *arg, struct err *e);
/* sids in slice order of the newest slice they are in (so that reading goes block by block). Sorts the array in place.
 */
void day_view_order(struct day_view *v, uint32_t *sids, uint32_t n);

/*
 * The samples of one series in [mint, maxt]: one piece for each slice that has some, oldest slice first (slices may
 * overlap in time when data came late). Not thread-safe: one reader per thread; a day_reader keeps the last decoded
 * blocks, so reading in the order of day_view_order decodes each block once.
 */
struct day_reader;
struct day_piece {
    const int64_t
        *t; /* whole column of the slice cut to the window; the pointer is the same for all series of that column */
    const double *v;
    const int64_t *st;                /* or NULL */
    const struct histogram *const *h; /* beside v, or NULL when none of the series is a histogram */
    uint32_t n;
    uint64_t times_id; /* equal ids in one view: the same t and n */
};
int day_reader_open(struct day_view *v, int64_t mint, int64_t maxt, struct day_reader **out, struct err *e);
void day_reader_close(struct day_reader *r);
/* Adds how many blocks were unpacked so far, and how many there are in the slices of the window. */
void day_reader_blocks(const struct day_reader *r, uint64_t *read, uint64_t *all);
/* *pieces borrowed until the next call. */
int day_reader_get(struct day_reader *r, uint32_t sid, const struct day_piece **pieces, uint32_t *n, struct err *e);

/* --- upkeep ----------------------------------------------------------------------------------- */

/* What is deleted: asked for each series and range while rewriting; NULL keeps all. Returns false to drop sample i. */
struct day_filter {
    bool (*touches)(void *arg, const struct labels *ls, int64_t mint, int64_t maxt);
    bool (*keep)(void *arg, const struct labels *ls, int64_t t);
    void *arg;
};
/* Merges slices of a live day if there are more than a few. */
int day_merge(struct partition *p, const struct day_filter *f, bool *did, struct err *e);
/* Everything of `from` into the empty partition `to`: one index segment, one slice, harder compression. */
int day_seal(struct partition *from, struct partition *to, const struct day_filter *f, struct err *e);
int day_verify(struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e);
/* Human-readable dump of keys, segments, slices and blocks. */
int day_dump(struct partition *p, bool samples, void (*print)(void *arg, const char *line), void *arg, struct err *e);

#endif
