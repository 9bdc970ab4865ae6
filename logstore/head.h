/*
 * head.h - what the last minutes brought, in memory: rows in the order they were committed. Private to logstore/.
 *
 *   chunk   memory that pieces are cut from; counted, goes with the last piece
 *   piece   the rows of one batch: built before the commit (nobody else sees it), then part of a gen and unchangeable
 *   gen     all pieces between two flushes; counted. One is open; one more may be on its way to disk
 *
 * A row's state is the only thing of it that may change: ROW_LATE becomes ROW_FRESH or ROW_DEAD once somebody has looked whether
 * a partition has it already.
 */
#ifndef LOGSTORE_HEAD_H
#define LOGSTORE_HEAD_H

#include "logstore/same.h"
#include "logstore/streams.h"

enum row_state {
    ROW_FRESH, /* counts */
    ROW_LATE,  /* counts unless a partition has it: not older than what is there of its stream */
    ROW_DEAD,  /* is there already: nobody sees it */
};

struct log_head_row {
    int64_t t_ns;
    struct log_stream *stream;
    const char *line;
    const struct label *meta; /* sorted by name; values may be empty */
    uint64_t hash;            /* of everything above */
    uint32_t line_bytes;
    uint16_t nmeta;
    _Atomic uint8_t state;
    bool again; /* LATE, and told to be the same: a flush took its like away a short while ago */
};
_Static_assert(sizeof(struct log_head_row) == 48, "there are millions of them");

enum { HEAD_META_MAX = UINT16_MAX };

struct log_chunk;
struct log_head;

struct log_piece {
    struct log_piece *prev; /* the one committed before, in its gen */
    struct log_chunk *chunk;
    struct log_head_row *rows; /* those of a stream stand together */
    uint32_t nrows;
    uint32_t number;    /* by order of commit, from 1 in each gen */
    _Atomic bool any_late; /* a row may be ROW_LATE */
    int64_t mint, maxt; /* of all rows */
    size_t bytes;
};

struct log_gen {
    _Atomic uint32_t refs;
    uint32_t number;
    _Atomic uint64_t seq; /* once it is cut: every row up to it is in here or in older ones. 0: open */
    _Atomic bool any_late; /* a piece has been that had late rows */

    /* Under head.mu until it is cut. */
    struct log_piece *newest;
    uint32_t npieces;
    uint64_t rows, bytes;
    int64_t mint, maxt;
    struct log_stream **streams; /* those with rows here, a reference each */
    uint32_t nstreams, streams_cap;

    /* Under head.mu, always. */
    struct log_same same;
};

struct log_head {
    struct log_streams streams; /* own lock, taken inside mu or alone */

    _Atomic uint64_t bytes; /* of all pieces, pending ones too, and of the tables */
    _Atomic uint64_t rows;  /* in gens */

    pthread_mutex_t mu; /* held for moments */
    /* Under mu. */
    struct log_gen *open, *frozen; /* frozen: NULL when no flush is under way */
    uint64_t seq_applied;
    struct log_past past; /* of rows that were flushed lately */

    pthread_mutex_t chunk_mu; /* inside of all others */
    struct log_chunk *chunk;      /* where small pieces come from */
    struct log_chunk *spare;      /* empty ones, a few */
    uint32_t nspare;
};

void log_head_init(struct log_head *h);
void log_head_release(struct log_head *h);

/*
 * A piece with room for so many rows, labels of metadata, and bytes, all of it one behind the other: *labels and *bytes are
 * where they go, and rows are not initialised. log_head_drop_piece gives it back if it was not applied.
 */
struct log_piece *log_head_piece(struct log_head *h, uint32_t nrows, size_t nlabels, size_t nbytes, struct label **labels, char **bytes);
void log_head_drop_piece(struct log_head *h, struct log_piece *p);
/* Keeps the memory of a piece for whoever still looks at its rows when others may drop it. What is given goes to log_head_let_go. */
struct log_chunk *log_head_hold(struct log_piece *p);
void log_head_let_go(struct log_head *h, struct log_chunk *c); /* NULL is fine */
/* For the rows' hash: of stream and time, of the line (hash64) and of the metadata (log_meta_hash). */
uint64_t log_head_row_hash(const struct log_stream *s, int64_t t_ns, uint64_t line_hash, uint64_t meta_hash);
bool log_head_rows_equal(const struct log_head_row *a, const struct log_head_row *b);
/* For anything that claims to be a row's content. */
bool log_row_equals(const struct log_head_row *a, struct str line, const struct label *meta, uint32_t nmeta);

/* Marks rows as ROW_DEAD that the head has already (committed ones). Returns how many. */
uint32_t log_head_find_same(struct log_head *h, struct log_piece *p);
/*
 * The piece is committed: its rows become visible. Takes the piece. Sets *same, and *same_bytes of their lines: those with an equal row in
 * the head, and those that flushes took away a short while ago (same.h); whether these are there is looked up as of any late row.
 */
void log_head_apply(struct log_head *h, struct log_piece *p, uint64_t seq, uint32_t *same, uint64_t *same_bytes);

/* The open gen is cut and becomes the frozen one, if it has rows. There must be none. */
struct log_gen *log_head_cut(struct log_head *h, uint64_t done_seq);
/* Every partition has the frozen gen's rows: it goes. maxt: of each of its streams in partitions now. */
void log_head_drop(struct log_head *h, struct log_gen *g);
struct log_gen *log_gen_ref(struct log_gen *g);
void log_gen_unref(struct log_head *h, struct log_gen *g);

/* A view of everything committed so far; does not change. */
struct log_head_part {
    struct log_gen *gen;
    struct log_piece *newest;
    uint32_t npieces, nstreams;
    int64_t mint, maxt;
    struct log_stream **streams; /* borrowed from the gen's reference; the array is the view's */
};
struct log_head_view {
    struct log_head_part v[2]; /* older first */
    uint32_t n;
    uint32_t nslots; /* every stream's slot is below */
};
void log_head_view_open(struct log_head *h, struct log_head_view *v);
void log_head_view_close(struct log_head *h, struct log_head_view *v);

#endif
