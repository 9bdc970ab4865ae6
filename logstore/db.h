/* db.h - struct logstore: how the files of logstore/ hang together. Private to logstore/. */
#ifndef LOGSTORE_DB_H
#define LOGSTORE_DB_H

#include "logstore/entry.h"
#include "logstore/head.h"
#include "logstore/logstore.h"
#include "logstore/marks.h"
#include "logstore/tail.h"
#include "store/store.h"

#define LOGSTORE_SIGNAL "logs"
enum { LOGSTORE_TAG = 'L', LOGSTORE_FORMAT = 1, NS_PER_MS = 1000000 };

struct ingest_scratch;
struct log_replay;
struct log_deletes;

struct logstore {
    /* Set at new. */
    struct store *store;
    struct logstore_opts opts;
    struct log_marks *marks;     /* own lock */
    struct log_tails *tails;     /* own lock */
    struct log_deletes *deletes; /* own lock */

    struct log_head head;

    /* Held from giving out numbers to the push, so that a definition comes before its first use. Outermost. */
    pthread_mutex_t writer_mu;
    uint32_t journal_file, file; /* the file numbers are of; `file` counts files, from 1: 0 is none */
    uint32_t next_local;

    pthread_mutex_t scratch_mu;
    struct ingest_scratch *scratch; /* idle ones */
    uint32_t nscratch;

    /* Replay: one thread, before store_start. */
    struct log_replay *replay;

    /* One flush or clean-up at a time. */
    pthread_mutex_t flush_mu;
    struct log_gen *frozen; /* cut, not yet written: a flush failed */

    _Atomic uint64_t verdicts[LOG_VERDICTS], rows, bytes, tail_dropped, blocks_written;
};

static inline int64_t ns_of_ms(int64_t ms)
{
    return ms > INT64_MAX / NS_PER_MS ? INT64_MAX : ms < INT64_MIN / NS_PER_MS ? INT64_MIN : ms * NS_PER_MS;
}
/* Rounds towards the past. */
static inline int64_t ms_of_ns(int64_t ns)
{
    return ns / NS_PER_MS - (ns % NS_PER_MS < 0);
}
static inline int32_t day_of_ns(int64_t ns)
{
    return day_of_ms(ms_of_ns(ns));
}

/* check.c: is a stream's label set, a record, acceptable? Verdict LOG_OK, or why not and, where e is not NULL, Loki's sentence. */
enum log_verdict log_check_labels(const struct logstore_opts *o, const struct labels *ls, struct err *e);
struct log_check {
    const struct logstore_opts *opts;
    int64_t oldest_ns, newest_ns;
};
/* meta: what is left of the record's metadata, nmeta of it and meta_bytes long. line_bytes: as it came. */
enum log_verdict log_check_row(const struct log_check *c, const struct labels *ls, int64_t t_ns, size_t line_bytes, uint32_t nmeta,
                               size_t meta_bytes, struct err *e);
void log_refuse_stream(const struct labels *ls, struct err *e); /* LOG_STREAM_LIMIT */
/* {a="b", c="d"} */
void log_print_stream(struct buf *out, const struct labels *ls);

/* ingest.c */
void log_ingest_release(struct logstore *ls);
/* Of a set of metadata, for log_head_row_hash. */
uint64_t log_meta_hash(const struct label *meta, uint32_t n);

/* replay.c */
void log_replay_file(void *self, uint32_t file);
int log_replay(void *self, uint64_t seq, struct str entry, struct err *e);
void log_replay_end(void *self);
void log_replay_free(struct logstore *ls);

/* flush.c */
int log_flush(void *self, uint64_t *contained, struct err *e);
uint64_t log_head_bytes(void *self);
uint64_t log_head_rows(void *self, uint64_t *enough);

#endif
