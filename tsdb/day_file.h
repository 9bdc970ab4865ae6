/*
 * day_file.h - what lies in a day's partition, and its parsed forms. Private to the files that implement day.h.
 *
 *   "D"                    directory: segments and slices, see day_dir.c. The only value ever rewritten.
 *   "B" id(be32) no(be32)  chunk `no` of blob `id`. A segment or a slice is one blob: a run of bytes, cut into chunks
 * that fill pages, in which pieces are found by offset. Blobs never change, ids are never used again.
 *
 *   day_blob.c   bytes <-> chunks, compression        index_write.c  builds a segment
 *   day_dir.c    the directory                        index_read.c   its parts, parsed
 *   day_block.c  blocks of values, chunks of times    index_match.c  matchers, names, values
 *   day_write.c  day_read.c  day_merge.c  day_dump.c  day.c
 *
 * Locks, in the order in which they may be taken: view.mu, view.txn_mu; day.mu stands alone. Parsed forms hang on
 * segments and slices, shared by all views: who needs one that is not there makes it and hangs it up with one atomic
 * exchange; if two did, one of the two is dropped. They are immutable.
 */
#ifndef TSDB_DAY_FILE_H
#define TSDB_DAY_FILE_H

#include "base/base.h"
#include "tsdb/codec_hist.h"
#include "tsdb/day.h"
#include "tsdb/walk.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- blobs (day_blob.c) ------------------------------------------------------------------------- */

enum {
    BLOB_CHUNK = PARTITION_VALUE_FIT(16),
    PIECE_RAW_MAX = 1 << 28, /* no piece unpacks to more */
};

struct piece {
    uint64_t at;
    uint32_t n;
};

struct blob_writer {
    struct txn **txn; /* a place, because a bulk writer commits now and then */
    uint32_t id, next_chunk;
    uint64_t bytes;
    struct buf chunk;
};
/* Appends the parts as one piece. */
int blob_put(struct blob_writer *w, const struct str *parts, uint32_t nparts, struct piece *out, struct err *e);
int blob_finish(struct blob_writer *w, struct err *e); /* the last chunk */
void blob_writer_release(struct blob_writer *w);
int blob_delete(struct txn *t, uint32_t id, struct err *e);

/* Remembers the chunk it used last. Private to one thread or under one lock; zero-initialised but for view and id. */
struct blob_reader {
    struct day_view *view;
    uint32_t id;
    bool have;
    uint32_t chunk_no;
    struct str chunk;
};
/* The bytes of a piece: in the map, or in *copy where it lies across chunks. Valid until the view closes or copy
 * changes. */
int blob_get(struct blob_reader *r, struct piece p, struct buf *copy, struct str *out, struct err *e);

struct packer; /* compression state of one writer */
struct packer *packer_new(int level);
void packer_free(struct packer *p);
/* Appends raw as: flag, raw length (varint), bytes; compressed where that saves at least a thirty-second. */
void pack_bytes_into(struct packer *p, struct str raw, struct buf *out);
struct unpacker;
struct unpacker *unpacker_new(void);
void unpacker_free(struct unpacker *u);
/* Unpacks from the head of *in, which is moved on, to the end of out, CODEC_SLACK zero bytes of room behind. */
int unpack_bytes_from(struct unpacker *u, struct str in, struct buf *out, struct err *e);

/* Bounded reading of varints and bytes: the cursor of every parser here. `bad` sticks. */
struct rd {
    const uint8_t *p, *end;
    bool bad;
};
static inline struct rd rd_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : ""); /* no bytes at all are fine */

    return (struct rd){p, p + s.n, false};
}
static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->p);
}
static inline uint64_t rd_varint(struct rd *r)
{
    uint64_t v = 0;
    const uint8_t *p = r->bad ? NULL : get_varint(r->p, r->end, &v);

    if (!p) {
        r->bad = true;
        return 0;
    }
    r->p = p;
    return v;
}
static inline uint32_t rd_u32(struct rd *r)
{
    uint64_t v = rd_varint(r);

    r->bad |= v > UINT32_MAX;
    return (uint32_t)v;
}
static inline struct str rd_bytes(struct rd *r, uint64_t n)
{
    struct str s = {(const char *)r->p, 0};

    if (r->bad || n > rd_left(r)) {
        r->bad = true;
        return s;
    }
    s.n = (size_t)n;
    r->p += n;
    return s;
}
/* A count of things of at least `each` bytes that follow: more than can be there is bad. */
static inline uint32_t rd_count(struct rd *r, size_t each)
{
    uint64_t v = rd_varint(r);

    if (v > rd_left(r) / each) {
        r->bad = true;
        return 0;
    }
    return (uint32_t)v;
}

/* --- index segments ----------------------------------------------------------------------------- */

enum { GROUP_ROWS = 1024 };

struct value_block {
    uint32_t first_id; /* value ids are 1..nvalues in bytewise order; 0: the series has no such label */
    struct str first;  /* its first value */
    struct piece piece;
};
struct posting_block {
    uint32_t first_id;
    struct piece piece;
};
struct seg_label {
    struct str name;
    uint32_t nvalues, nrows; /* nrows series have it */
    uint32_t nvalue_blocks, nposting_blocks;
    struct value_block *value_blocks;
    struct posting_block *posting_blocks;
};
struct seg_dir {
    struct arena arena;
    uint32_t nlabels, ngroups;
    struct seg_label *labels; /* by name */
    struct piece *groups;
};

struct segment {
    /* Set when made. */
    _Atomic uint32_t refs;
    uint32_t number; /* in its day: 0.. */
    uint32_t blob, first_sid, n;
    struct piece dir_piece;

    /* NULL until somebody needed it. */
    _Atomic(struct seg_dir *) dir;
    _Atomic(struct hash128 *) ids; /* identities, in order of sid */
};

/* --- slices ------------------------------------------------------------------------------------- */

enum {
    BLOCK_ROWS_MAX = 512,
    BLOCK_RAW_TARGET = 64 * 1024,
    TIMES_CHUNK_COLUMNS = 128,
};

struct block_ref {
    struct piece piece;
    uint32_t first_row, first_sid;
};
struct slice_dir {
    uint32_t nblocks, ntimes;
    struct block_ref *blocks; /* nblocks, and one behind with first_row = nrows */
    struct piece *times;      /* chunks of TIMES_CHUNK_COLUMNS columns */
};
struct slice_rows { /* sid -> row, only where a slice is not ascending */
    uint32_t n;     /* sids below n; others are not in the slice */
    uint32_t row[]; /* DAY_NO_SID: not here */
};
struct slice {
    _Atomic uint32_t refs;
    uint32_t blob, nrows, ncolumns;
    uint64_t nsamples, bytes;
    int64_t mint, maxt;
    bool ascending; /* sids rise from row to row */
    struct piece dir_piece;

    /* NULL until somebody needed it. */
    _Atomic(struct slice_dir *) dir;
    _Atomic(struct slice_rows *) rows;
};

/* --- the directory (day_dir.c) ------------------------------------------------------------------- */

enum { DAY_FORMAT = 1 };

struct day_dir {
    _Atomic uint32_t refs;
    uint64_t generation; /* rises with every commit */
    uint32_t next_blob, nseries, nsegments, nslices;
    struct segment **segments; /* by first_sid, without gaps */
    struct slice **slices;     /* oldest first */
};
struct day_dir *dir_new(void); /* of an empty day */
struct day_dir *dir_ref(struct day_dir *d);
void dir_unref(struct day_dir *d);
/* Parses the value of "D"; segments and slices that `known` has already are shared. known may be NULL. */
int dir_parse(struct str value, const struct day_dir *known, struct day_dir **out, struct err *e);
void dir_encode(const struct day_dir *d, struct buf *out);
void dir_add_segment(struct day_dir *d, struct segment *s); /* takes the reference */
void dir_add_slice(struct day_dir *d, uint32_t at, struct slice *s);
void dir_drop_slice(struct day_dir *d, uint32_t at);
struct segment *dir_segment_of(const struct day_dir *d, uint32_t sid);
struct segment *segment_new(const struct day_dir *d); /* the one that would come next in d */
void segment_unref(struct segment *s);
struct slice *slice_new(void);
void slice_unref(struct slice *s);

/* --- day and view (day.c), loading (day_load.c) ---------------------------------------------------- */

/* Identities -> number, over numbers [0, n); id_of tells those that are in. */
struct id_table {
    uint32_t *slots; /* number + 1; 0: free */
    uint32_t n, mask;
};
typedef struct hash128 id_fn(const void *arg, uint32_t number);
void id_table_add(struct id_table *t, uint32_t upto, id_fn *id_of, const void *arg); /* numbers [t->n, upto) */
uint32_t id_table_find(const struct id_table *t, struct hash128 id, id_fn *id_of, const void *arg);

struct day {
    struct partition *p;
    pthread_rwlock_t mu;
    struct day_dir *dir;
    struct id_table ids; /* of sids below ids.n, made when first asked for; their segments have ids */
};
void day_publish(struct day *d, struct day_dir *dir); /* takes the reference */
/* Right before the first commit a day has no directory; one that had it and has it no longer lost it (ERR_CORRUPT): a
 * broken page hides keys without a word. */
bool day_has_dir(struct day *d);
int day_lost_dir(const struct day *d, struct err *e);

struct label_cache;
struct day_view {
    struct partition *p;
    struct day *day, *own_day; /* own_day: where nothing is attached to the partition */
    struct txn *txn;
    struct day_dir *dir;
    _Atomic uint64_t next_times_id;

    pthread_mutex_t txn_mu; /* around every use of txn */

    pthread_mutex_t mu; /* label caches, and all below */
    struct unpacker *unpacker;
    struct label_cache **caches; /* one for each segment, made when needed */
    struct arena strings;        /* values handed out */
    struct arena scratch;
    struct buf canonical;
    struct walk walk; /* of the match at hand */
};
/* Gives way; <0 when the limits of the match say so. Under view.mu, which only the query that matches ever waits for. */
static inline int view_walk(struct day_view *v, uint32_t work, struct err *e)
{
    return walk_pace(&v->walk, work, e);
}
int segment_dir(struct day_view *v, struct segment *s, const struct seg_dir **out, struct err *e);
int segment_ids(struct day_view *v, struct segment *s, const struct hash128 **out, struct err *e); /* takes view.mu */
/* The identity of one series, without loading all of them where memory for that is spent. Takes view.mu. */
int segment_id(struct day_view *v, struct segment *s, uint32_t sid, struct hash128 *out, struct err *e);
void segment_ids_hang(struct segment *s, struct hash128 *ids); /* takes the memory */
void segment_ids_free(struct segment *s);
int slice_dir(struct day_view *v, struct slice *s, const struct slice_dir **out, struct err *e);
int slice_rows(struct day_view *v, struct slice *s, const struct slice_rows **out, struct err *e);
void slice_dir_free(struct slice_dir *d);
void slice_dir_encode(const struct slice_dir *d, struct buf *out);
/* Puts the segment or slice in front of the sentence. */
int segment_err(const struct segment *s, struct err *e);
int slice_err(const struct slice *s, struct err *e);

/* --- blocks (day_block.c) -------------------------------------------------------------------------- */

struct block_writer {
    struct column_out columns;
    struct buf sids, meta; /* per row: sid difference; column and length difference, flags */
    uint32_t nrows, first_sid, sid, column, n;
    struct buf head;
    struct hist_dict layouts;
};
enum { ROW_HAS_ST = 1, ROW_HAS_HISTS = 2 }; /* flags of a row */
/* st may be NULL; h too: where h[i] is not, it is the sample. */
void block_writer_row(struct block_writer *b, uint32_t sid, uint32_t column, const double *v, const int64_t *st,
                      const struct histogram *const *h, uint32_t n);
size_t block_writer_bytes(const struct block_writer *b);
/* Appends the finished block to out and empties the writer. */
void block_writer_finish(struct block_writer *b, struct packer *p, struct buf *out);
void block_writer_release(struct block_writer *b);

struct row {
    uint32_t sid, column, n, flags;
    uint32_t code, num; /* offsets into the streams */
    size_t bit;
};
struct block {
    uint32_t nrows, rows_cap;
    struct row *rows;
    struct buf head, bits;
    struct column_in in; /* all three streams from their beginning */
    struct hist_layout *layouts;
    uint32_t nlayouts;
    struct arena arena; /* of the layouts */
};
/* Parses and checks everything but the packed values. */
int block_read(struct block *b, struct unpacker *u, struct str piece, struct err *e);
int block_row(const struct block *b, uint32_t i, uint32_t upto, double *v, int64_t *st);
/* Of a row with ROW_HAS_HISTS: h[k], from a and the block, or NULL and v[k]. */
int block_row_hists(const struct block *b, uint32_t i, uint32_t upto, struct arena *a, double *v, int64_t *st,
                    const struct histogram **h);
void block_release(struct block *b);

struct times_writer {
    struct column_out columns;
    struct buf lengths, raw;
    uint32_t ncolumns;
};
void times_writer_add(struct times_writer *w, const int64_t *t, uint32_t n);
void times_writer_finish(struct times_writer *w, struct packer *p, struct buf *out);
void times_writer_release(struct times_writer *w);

struct times_chunk {
    struct buf raw;
    uint32_t ncolumns;
    struct {
        uint32_t n, code, num;
        size_t bit;
    } columns[TIMES_CHUNK_COLUMNS];
    struct column_in in;
};
int times_read(struct times_chunk *c, struct unpacker *u, struct str piece, struct err *e);
/* ERR_CORRUPT also when times do not rise. */
int times_column(const struct times_chunk *c, uint32_t i, int64_t *t);

/* --- building and reading a segment ----------------------------------------------------------------- */

struct index_writer;
struct index_writer *index_writer_new(void);
void index_writer_free(struct index_writer *w);
void index_writer_add(struct index_writer *w, const struct labels *ls);
/* Writes everything into the blob; the piece is the directory's. */
int index_writer_finish(struct index_writer *w, struct blob_writer *blob, struct packer *p, struct piece *dir,
                        struct err *e);

int seg_dir_parse(struct str raw, uint32_t nrows, struct seg_dir **out, struct err *e);
void seg_dir_free(struct seg_dir *d);
int slice_dir_parse(struct str raw, const struct slice *s, struct slice_dir **out, struct err *e);

/* One group of rows: for each label present a column of value ids. */
struct group_column {
    uint32_t label;
    unsigned width; /* bytes an id: 0 (constant), 1, 2, 4 */
    uint32_t constant;
    const uint8_t *ids;
};
struct row_group {
    struct buf raw;
    uint32_t nrows, ncolumns, columns_cap;
    struct group_column *columns;
};
int group_parse(struct row_group *g, const struct seg_dir *d, uint32_t nrows, struct err *e); /* of g->raw */
void group_release(struct row_group *g);
static inline uint32_t group_id(const struct group_column *c, uint32_t row)
{
    uint32_t id;

    switch (c->width) {
    case 0:
        return c->constant;
    case 1:
        return c->ids[row];
    case 2:
        return get_u16le(c->ids + (size_t)row * 2);
    default:
        memcpy(&id, c->ids + (size_t)row * 4, 4);
        return id;
    }
}
/* Values of a block, from a: count and strings. */
int values_parse(struct str raw, uint32_t n, struct arena *a, struct str *out, struct err *e);
/* Sets the bits of rows in those lists of a posting block that are wanted: list i by bit from + i of want. */
int posting_set(struct str raw, uint32_t lists, const uint64_t *want, uint32_t from, uint32_t nrows, uint64_t *bits,
                struct err *e);

/* Under view.mu. The label number of a name in a segment, or UINT32_MAX. */
uint32_t seg_label_find(const struct seg_dir *d, struct str name);
int seg_group(struct day_view *v, struct segment *s, uint32_t group, const struct row_group **out, struct err *e);
int seg_value(struct day_view *v, struct segment *s, uint32_t label, uint32_t id, struct str *out, struct err *e);
int seg_value_block(struct day_view *v, struct segment *s, uint32_t label, uint32_t block, const struct str **out,
                    uint32_t *n, struct err *e);
/* The block of value `id`: the last that begins at or before it. */
uint32_t value_block_of(const struct seg_label *l, uint32_t id);
/* Sets the bits of rows whose value is wanted: value id by bit id - 1 of want. */
int seg_postings(struct day_view *v, struct segment *s, uint32_t label, const uint64_t *want, uint64_t *bits,
                 struct err *e);
int view_labels_locked(struct day_view *v, uint32_t sid, struct arena *a, struct labels *out, struct err *e);
void label_cache_free(struct label_cache *c, const struct segment *s);

/* Sorts sids by (labels_cmp). For merge and seal. */
int view_sort_by_labels(struct day_view *v, uint32_t *sids, uint32_t n, struct err *e);

/* Only slices [first, end) of the view's directory. */
int day_reader_open_slices(struct day_view *v, int64_t mint, int64_t maxt, uint32_t first, uint32_t end,
                           struct day_reader **out, struct err *e);

/* --- writer internals that merge and seal use ---------------------------------------------------- */

/* A writer for rewriting: harder compression; bulk: commits along the way (the file is not in use yet). */
int day_write_begin_as(struct partition *p, int level, bool bulk, struct day_writer **out, struct err *e);
/* Ends the slice being written and begins another. Slices go behind all others, or from `at` on (UINT32_MAX: behind).
 */
int day_write_next_slice(struct day_writer *w, struct err *e);
void day_write_place(struct day_writer *w, uint32_t at);
/*
 * From now on n slices are written side by side, in the order of their numbers in the directory once the writer commits;
 * those without a row are left out. day_write_slice: what comes next goes to slice i. Before the first sample.
 */
void day_write_slices(struct day_writer *w, uint32_t n);
void day_write_slice(struct day_writer *w, uint32_t i);
uint32_t day_write_rows(const struct day_writer *w); /* of the slice at hand, so far */
int day_write_drop_slice(struct day_writer *w, uint32_t at, struct err *e);

#endif
