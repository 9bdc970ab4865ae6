/*
 * ingest.h - what the two halves of ingest share: ingest_check.c finds what of a batch is good, ingest.c takes that in. Private to
 * them.
 */
#ifndef LOGSTORE_INGEST_H
#define LOGSTORE_INGEST_H

#include "logstore/db.h"

struct waiter;

enum { INGEST_RECENT = 1024, NO_SET = -1 };

/* A set of metadata that rows of the batch share. Labels are borrowed from the batch. */
struct meta_set {
    const struct label *v;
    uint32_t n;
    uint32_t bytes;
    uint64_t hash;
    const struct label *stored; /* its copy in the piece */
};

/* What is needed for the time of a call, and kept for the next. */
struct ingest_scratch {
    struct ingest_scratch *next;
    struct arena arena;
    struct entry_memory {
        uint32_t *streams, *rows; /* by stream of the batch; of accepted rows: index in the batch */
        int32_t *sets;            /* beside rows */
    } m;
    struct meta_set *sets;
    uint32_t nsets, sets_cap;
    int32_t recent[INGEST_RECENT];
    struct label last; /* what a row had as its only metadata, and the set that became of it */
    int32_t last_set;
    struct label *meta; /* one record's, being sorted */
    uint32_t meta_cap;
    struct log_entry_packer *packer;
    struct buf rest; /* of the entry: all behind the runs */
};

/* Rows of one stream in the piece. */
struct run {
    struct log_stream *stream; /* a reference */
    uint32_t n;
};

/* A batch between push and done. */
struct pending {
    struct logstore *ls;
    struct log_batch *b;
    log_done *done;
    struct waiter *waiter; /* instead of done */
    struct log_piece *piece;
    uint32_t nruns;
    struct run runs[];
};

struct attempt {
    struct logstore *ls;
    struct log_batch *b;
    struct ingest_scratch *s;
    struct log_check check;
    struct pending *p;
    uint32_t nrows; /* accepted */
    size_t line_bytes, meta_bytes; /* meta_bytes: of all sets */
    int64_t mint_ns, maxt_ns; /* of what is pushed */
};

/* May the batch be taken at all? */
int ingest_check_size(struct logstore *ls, const struct log_batch *b, struct err *e);
/* Verdicts of all rows; those that are good are noted in the scratch, their streams in p. ERR_INVALID: together they are too much. */
int ingest_check(struct attempt *at, struct err *e);

#endif
