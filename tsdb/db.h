/* db.h - struct tsdb: how the files of tsdb/ hang together. Private to tsdb/. */
#ifndef TSDB_DB_H
#define TSDB_DB_H

#include "store/store.h"
#include "tsdb/day.h"
#include "tsdb/entry.h"
#include "tsdb/head.h"
#include "tsdb/tsdb.h"

#define TSDB_SIGNAL "metrics"
enum { TSDB_TAG = 'M', TSDB_FORMAT = 1 };

struct pending;
struct exemplars;
struct metadata;
struct tombstones;
struct replay;
struct rollup_seen;

struct tsdb {
    /* Set at new. */
    struct store *store;
    struct tsdb_opts opts;
    struct exemplars *exemplars;   /* own locks */
    struct metadata *metadata;     /* own locks */
    struct tombstones *tombstones; /* own locks */

    struct head head;

    /* head.writer_mu */
    struct entry_writer writer;
    struct undo *undo;
    uint32_t undo_cap;
    struct arena scratch;
    uint32_t batch; /* number of the last batch pushed */

    /* head.apply_mu */
    uint32_t batches_applied;
    uint64_t seq_applied; /* newest entry whose rows are in the head */

    /* Replay: one thread, before store_start. */
    struct replay *replay;

    /* One flush, merge with tombstones or clean-up at a time. */
    pthread_mutex_t flush_mu;
    struct gen *frozen; /* cut, not yet written: a flush failed */
    uint64_t frozen_seq;
    uint32_t slice_tag;

    /* Upkeep thread. */
    struct rollup_seen *rollups_seen;
    uint32_t nrollups_seen;

    /* Any thread. */
    _Atomic int64_t keep_floor; /* every series with a sample after it is in the head */
    _Atomic bool unmet;         /* meet.c has work to do */
    _Atomic int64_t disk_maxt;  /* newest time in any partition, about: never too small */
    /* Counts attached partitions, and what it was at the end of the last flush: when equal, the sids kept in series
     * hold. */
    _Atomic uint32_t sid_gen, sid_gen_seen;
    _Atomic uint64_t samples[TSDB_VERDICTS], batches, exemplar_count;
};

/* ingest.c: the ref of a label set, made when new. Under writer_mu; takes index_lock. Series limit is the caller's
 * affair. */
uint32_t tsdb_series_make(struct tsdb *db, struct hash128 id, const struct labels *ls);

/* flush.c */
int tsdb_flush(void *self, uint64_t *contained, struct err *e);
uint64_t tsdb_head_bytes(void *self);
uint64_t tsdb_head_rows(void *self, uint64_t *enough);

/* meet.c: asked with each live day until `unmet` is false. Upkeep thread. */
int tsdb_meet_day(struct tsdb *db, struct partition *p, struct err *e);

/* replay.c */
void tsdb_replay_file(void *self, uint32_t file);
int tsdb_replay(void *self, uint64_t seq, struct str entry, struct err *e);
void tsdb_replay_end(void *self);
void tsdb_replay_free(struct tsdb *db);

/* exemplars.c: a ring for each series that has some, and those of earlier days in partitions. */
struct exemplars *exemplars_new(uint32_t per_series);
void exemplars_free(struct exemplars *x);
/* Is it news? False: older than the newest of the series, equal to it, or not well formed. Reads only. */
bool exemplars_accepts(struct exemplars *x, struct hash128 id, const struct tsdb_exemplar *ex);
void exemplars_add(struct exemplars *x, struct hash128 id, const struct tsdb_exemplar *ex);
/* Writes what came since the last flush for the day. */
int exemplars_flush(struct exemplars *x, int32_t day, struct txn *t, struct err *e);
/* Days that have unwritten ones, into out (room for max); returns how many. */
uint32_t exemplars_days(struct exemplars *x, int32_t *out, uint32_t max);
/* All that was written is so: committed for good. */
void exemplars_flushed(struct exemplars *x, int32_t day);

/* Those of a day's file into the one that takes its place. */
int exemplars_copy(struct partition *from, struct partition *to, struct err *e);

/* metadata.c */
struct metadata *metadata_new(void);
void metadata_free(struct metadata *m);
bool metadata_news(struct metadata *m, const struct tsdb_metadata *md);
void metadata_put(struct metadata *m, const struct tsdb_metadata *md);
int metadata_load(struct metadata *m, struct state *s, struct err *e);
int metadata_flush(struct metadata *m, struct state *s, struct err *e);

/* delete.c */
struct tombstones *tombstones_new(void);
void tombstones_free(struct tombstones *t);
int tombstones_load(struct tombstones *t, struct state *s, struct err *e);
/* The deletions that overlap a window: a snapshot, counted. NULL when there are none. */
struct tombstone_set;
struct tombstone_set *tombstones_in(struct tombstones *t, int64_t mint, int64_t maxt);
void tombstone_set_unref(struct tombstone_set *s);
/* The ranges that are gone of one series: pairs from, to (closed) in a; 0 when none. */
uint32_t tombstone_ranges(const struct tombstone_set *s, const struct labels *ls, struct arena *a, int64_t **out);
/* For merge and seal. NULL when nothing is deleted. Valid until tombstone_set_unref. */
const struct day_filter *tombstone_filter(struct tombstone_set *s);

#endif
