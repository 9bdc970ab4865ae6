/*
 * streams.h - the streams that are active: label sets with an identity, found by it. Private to logstore/.
 *
 * A stream is counted. The table holds one reference while the stream is active, each batch on its way and each gen of the
 * head that has rows of it another. A slot is a small number that no other living stream has: for tables of who asks.
 */
#ifndef LOGSTORE_STREAMS_H
#define LOGSTORE_STREAMS_H

#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>

struct log_streams;

struct log_stream {
    /* Set when made. */
    struct log_streams *table;
    struct hash128 id; /* labels_hash */
    struct labels labels;
    uint32_t slot;

    _Atomic uint32_t refs;
    _Atomic int64_t seen_ms; /* when a batch named it last; monotonic */

    /* Under writer_mu (ingest.c): what the journal file calls it. */
    uint32_t file, local;

    /* Under the head's mu. */
    uint32_t gen;      /* the newest gen that has rows of it */
    int64_t head_maxt; /* of its rows in the head: never too small */
    int64_t disk_maxt; /* of its rows in partitions: never too small */
};

struct log_streams {
    pthread_mutex_t mu;
    /* Under mu. */
    struct log_stream **table; /* open addressing by id; size mask + 1 */
    uint32_t mask, n;
    uint32_t nslots, *free_slots, nfree, free_cap; /* slots given out so far; those that came back */
    uint64_t created;
    int64_t disk_maxt; /* a stream that is made has this one: rows of it may be in partitions */
};

void log_streams_init(struct log_streams *s);
/* No stream may be referred to any more but by the table. */
void log_streams_release(struct log_streams *s);
/*
 * The stream with this identity, with a reference; made when it is new (labels are copied). NULL: it is new and there are
 * `max` already (0: no limit). Any thread.
 */
struct log_stream *log_streams_get(struct log_streams *s, struct hash128 id, const struct labels *labels, uint32_t max);
struct log_stream *log_stream_ref(struct log_stream *s);
void log_stream_unref(struct log_stream *s); /* NULL is fine */
/* Takes those out of the table that nobody else refers to and nobody named for idle_ms. Returns how many. */
uint32_t log_streams_let_go(struct log_streams *s, int64_t idle_ms);
/* The order of streams in slices: by labels. */
int log_stream_cmp(const struct log_stream *a, const struct log_stream *b);

#endif
