/*
 * day.h - one day of log records on disk: streams, slices of blocks, counts. Private to logstore/.
 *
 * Within a day a stream has a dense number (`sid`, from 0), given when a flush first brings it; a segment holds the streams that
 * one flush brought anew. A slice holds the rows of one flush (or of a merge, or of a piece of a sealed day): rows by stream (in
 * the order of their labels), then time, then arrival, cut into blocks. A stream that is large in a slice has blocks of its own;
 * small ones share them.
 *
 *   struct log_day         attached to the partition (partition_user): who is there; grows by segments and slices
 *   struct log_day_view    a read transaction and the directory it saw
 *   struct log_day_writer  one write transaction: streams, then slices of rows, then commit
 *
 * Slices are in the order in which their rows arrived: of equal times the earlier slice's row came first. No row is in a day twice:
 * flush.c sees to it.
 */
#ifndef LOGSTORE_DAY_H
#define LOGSTORE_DAY_H

#include "logstore/block.h"
#include "logstore/logstore.h"
#include "store/partition.h"

#include <pthread.h>
#include <stdatomic.h>

struct log_day;
struct log_day_view;
struct log_day_writer;

enum { LOG_NO_SID = 0xffffffff };

/* signal_ops.attach / detach: reads one small value. */
int log_day_attach(struct partition *p, struct log_day **out, struct err *e);
void log_day_free(struct log_day *d);
struct log_day_sums {
    uint32_t streams, slices, blocks;
    uint64_t rows, bytes; /* of lines */
    int64_t mint_ns, maxt_ns; /* INT64_MAX, INT64_MIN where there are no rows */
};
void log_day_sums(struct log_day *d, struct log_day_sums *out);

/* --- what a directory says ------------------------------------------------------------------------- */

struct log_slice_stream {
    uint32_t sid, nrows;
    uint64_t bytes; /* of lines */
    int64_t mint_ns, maxt_ns;
    uint32_t first_row; /* in the slice */
};
struct log_slice_block {
    uint32_t first_row, nrows;
    uint64_t raw_bytes; /* lines and metadata */
    int64_t mint_ns, maxt_ns;
    uint64_t meta_names; /* metadata its rows have: bits by place in names; LOG_META_OTHER: and names that are not there */
};
enum { LOG_META_NAMES_MAX = 63 };
#define LOG_META_OTHER (UINT64_C(1) << LOG_META_NAMES_MAX)
/* In the order of rows; one entry more at the end of each, whose first_row is the number of rows. */
struct log_slice_dir {
    struct log_slice_stream *streams;
    struct log_slice_block *blocks;
    uint32_t nstreams, nblocks, nnames;
    struct str *names; /* of metadata, with their bytes in one piece of memory */
    size_t memory;
};
struct log_slice {
    _Atomic uint32_t refs;
    uint32_t id, nrows, nblocks, nstreams;
    uint64_t bytes, raw_bytes, disk_bytes; /* of lines; with metadata; of blocks and filters */
    int64_t mint_ns, maxt_ns;
    struct log_slice_dir *_Atomic dir; /* hung up when first needed, while there is room */
};

/* --- reading ----------------------------------------------------------------------------------------- */

/* p's day as it is now. Safe from any thread. */
int log_day_view_open(struct partition *p, struct log_day_view **out, struct err *e);
void log_day_view_close(struct log_day_view *v);
struct partition *log_day_view_partition(const struct log_day_view *v);
uint64_t log_day_view_contained(const struct log_day_view *v);
uint32_t log_day_nstreams(const struct log_day_view *v);
/* Labels and identity of a stream; live as long as the view. ERR_CORRUPT. */
int log_day_stream(struct log_day_view *v, uint32_t sid, const struct labels **labels, struct hash128 *id, struct err *e);
uint32_t log_day_nslices(const struct log_day_view *v);
const struct log_slice *log_day_slice(const struct log_day_view *v, uint32_t i);
/* Lives as long as the view. */
int log_day_slice_dir(struct log_day_view *v, uint32_t i, const struct log_slice_dir **out, struct err *e);
/* Bytes of a block or its filter; they live as long as the view. */
int log_day_block(struct log_day_view *v, uint32_t slice, uint32_t block, struct str *out, struct err *e);
int log_day_filter(struct log_day_view *v, uint32_t slice, uint32_t block, struct str *out, struct err *e);
/* Counts by stream, level and minute, in this order of the slice: calls fn for each. minute: (60 k s, 60 (k + 1) s] is k. */
struct log_day_count {
    uint32_t sid;
    struct str level; /* valid during the call */
    int64_t minute;
    uint64_t rows, bytes;
};
int log_day_minutes(struct log_day_view *v, uint32_t slice, int (*fn)(void *arg, const struct log_day_count *c), void *arg, struct err *e);
/* The rows of stream number i of the directory that are in block b: [*first, *end), counted in the block. */
void log_slice_rows(const struct log_slice_dir *d, uint32_t b, uint32_t i, uint32_t *first, uint32_t *end);
/* May rows of block b have metadata of that name? */
bool log_slice_has_meta(const struct log_slice_dir *d, uint32_t b, struct str name);
/* The streams of block b: [*first, *end) of the directory. */
void log_slice_streams(const struct log_slice_dir *d, uint32_t b, uint32_t *first, uint32_t *end);
static inline int64_t log_minute_of(int64_t t_ns)
{
    int64_t t = t_ns == INT64_MIN ? t_ns : t_ns - 1;

    return t / INT64_C(60000000000) - (t % INT64_C(60000000000) < 0);
}

/*
 * Rows that may be in the day already: by sid and time. Sets same[i] where one equal in line and metadata is. n rows.
 */
struct log_suspect {
    uint32_t sid;
    int64_t t_ns;
    struct str line;
    const struct label *meta;
    uint32_t nmeta;
};
int log_day_find_same(struct log_day_view *v, const struct log_suspect *rows, uint32_t n, bool *same, struct err *e);

/* --- writing ----------------------------------------------------------------------------------------- */

int log_day_write_begin(struct partition *p, bool dense, struct log_day_writer **out, struct err *e);
/* The sid of a stream, given if it is new. Before the first slice. */
uint32_t log_day_write_sid(struct log_day_writer *w, struct hash128 id, const struct labels *labels, bool *is_new);
/*
 * A slice: begin, then for each stream, in the order of labels: log_day_slice_stream, and nrows rows by time. What rows point to
 * must live until the slice's end. place: in the order of slices; UINT32_MAX: behind all.
 */
void log_day_slice_begin(struct log_day_writer *w, uint32_t place);
int log_day_slice_stream(struct log_day_writer *w, uint32_t sid, uint32_t nrows, uint64_t raw_bytes, struct err *e);
int log_day_slice_row(struct log_day_writer *w, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta, struct err *e);
int log_day_slice_end(struct log_day_writer *w, struct err *e); /* without rows: nothing is written */
int log_day_write_drop_slice(struct log_day_writer *w, uint32_t place, struct err *e);
uint32_t log_day_write_nslices(const struct log_day_writer *w);
uint32_t log_day_write_nblocks(const struct log_day_writer *w); /* written so far */
/* What was put so far is committed, for a file that nobody uses before it is complete (seal). */
int log_day_write_pause(struct log_day_writer *w, struct err *e);
int log_day_write_commit(struct log_day_writer *w, uint64_t contained, struct err *e); /* frees w in any case */
void log_day_write_abort(struct log_day_writer *w);

/* --- upkeep ------------------------------------------------------------------------------------------ */

/* What is deleted: NULL keeps all. */
struct log_day_filter {
    bool (*touches)(void *arg, const struct labels *ls, int64_t mint_ns, int64_t maxt_ns);
    bool (*keep)(void *arg, const struct labels *ls, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta);
    void *arg;
};
/* Merges small slices of a live day; what is deleted of them is left out. */
int log_day_merge(struct partition *p, const struct log_day_filter *f, bool *did, struct err *e);
/* Everything of `from` into the empty partition `to`, in slices that follow each other in time. */
int log_day_seal(struct partition *from, struct partition *to, const struct log_day_filter *f, struct err *e);
int log_day_verify(struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e);

struct logstore;
/* The newest time in any partition, about: never too small. INT64_MIN: none. */
int64_t log_newest_on_disk(struct logstore *ls);

#endif
