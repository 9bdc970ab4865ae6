/*
 * store.h - front door of store/: what is durable, for every signal alike. Knows days, journals and bytes; not what they mean.
 *
 *   journal.h    accepted batches in order, fsynced before they are acknowledged
 *   partition.h  one day of one signal: one LMDB file of checksummed values
 *   signal.h     what a signal store (metrics, logs, traces) gives us, and gets
 *   state.h      small durable key-value state (silences, tail positions, tombstones)
 *
 * Life: store_open, then each signal registers itself (store_signal_add), then store_recover (open partitions,
 * replay the journal), then store_start (journal, flush and upkeep threads), ... store_close (flushes nothing that the
 * journal already has: closing is as quick as dying).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/base.h"
#include "store/journal.h"
#include "store/partition.h"
#include "store/signal.h"
#include "store/state.h"

struct store_opts {
    const char *dir;
    uint64_t journal_file_bytes;   /* a new journal file after this many (64 MiB) */
    uint64_t journal_budget_bytes; /* flush when the journal holds more than this (256 MiB) */
    uint64_t head_budget_bytes;    /* flush a signal whose head_bytes() exceeds this */
    int64_t flush_interval_ms;     /* flush at the latest after (2 h) */
    int64_t retention_ms;          /* whole days older than this go (15 d) */
    uint64_t disk_max_bytes;       /* all signals and the journal together; oldest day first. 0 = none */
    uint64_t disk_reserve_bytes;   /* writes are refused when the file system has less free than this */
    int64_t seal_grace_ms;         /* a day is sealed this long after its end (3 h) */
    int64_t upkeep_interval_ms;    /* between two rounds of merging, sealing and dropping (10 s) */
    int64_t out_of_order_ms;       /* how late a row may come; beyond: refused. Default: retention */
    bool read_only;                /* fsck, dump: takes no lock, starts no thread, changes nothing */
};

void store_opts_default(struct store_opts *o);

struct store;

/* Takes the directory's lock (ERR_BUSY names the holder's pid), makes what is missing, opens journal and state. */
int store_open(const struct store_opts *opts, struct store **out, struct err *e);
/* Before store_recover. `ops` must outlive the store. */
void store_signal_add(struct store *s, const struct signal_ops *ops, void *self);
/* Days of this signal are kept so long, not store_opts.retention_ms. Before store_start. 0: for ever. */
void store_signal_retention(struct store *s, const char *signal_name, int64_t retention_ms);
int store_recover(struct store *s, struct err *e);
int store_start(struct store *s, struct err *e);
void store_close(struct store *s);

const struct store_opts *store_opts_of(const struct store *s);
struct journal *store_journal(struct store *s);
struct state *store_state(struct store *s);

/* 0, or ERR_FULL with a sentence: to be asked before accepting rows. Cheap (an atomic). */
int store_writable(struct store *s, struct err *e);

/* Flushes the signal (or all, name NULL) now and waits for it. Any thread but the flush threads. */
int store_flush(struct store *s, const char *signal_name, struct err *e);
/* Asks for a flush soon and returns. */
void store_flush_soon(struct store *s, const char *signal_name);

/*
 * The partitions of a signal whose day overlaps [mint, maxt] ms, oldest first, each with a reference the caller gives
 * back (partition_list_release). Never blocks on a flush. Opens those that were not open yet: ask for what you need.
 */
struct partition_list {
    struct partition **v;
    uint32_t n;
};
void store_partitions(struct store *s, const char *signal_name, int64_t mint, int64_t maxt, struct partition_list *out);
void partition_list_release(struct partition_list *l);
/* The first and the last day that has a partition; false when none has. Opens nothing. */
bool store_day_range(struct store *s, const char *signal_name, int32_t *first, int32_t *last);
/* The partition of a day, made if it is missing. For flush. Give the reference back. */
int store_partition_get(struct store *s, const char *signal_name, int32_t day, struct partition **out, struct err *e);

/*
 * Writes the day's file anew through signal_ops.seal, now: for what a seal leaves out (deleted rows), of a sealed day too.
 * ERR_AGAIN: it was written meanwhile. ERR_NOT_FOUND. Any thread but the flush threads; not two at once for one day.
 */
int store_reseal(struct store *s, const char *signal_name, int32_t day, struct err *e);

/*
 * Days that are made whole from those of another signal (aggregates). make: an empty file beside the place of the day, to be
 * filled; then put (sealed, read back, in its place, durable) or drop, which both take the reference. One at a time for a
 * signal, from make to put or drop.
 */
int store_day_make(struct store *s, const char *signal_name, int32_t day, struct partition **to, struct err *e);
int store_day_put(struct store *s, const char *signal_name, struct partition *to, uint64_t contained, struct err *e);
void store_day_drop(struct store *s, const char *signal_name, struct partition *to);

/* The files of a signal's days as they lie there, oldest first; opens none. The caller frees *out. Returns how many. */
struct store_day {
    int32_t day;
    bool live;    /* not sealed, as far as its mode tells */
    bool damaged; /* open, and damage was met in it */
    int64_t written_ns;
    uint64_t bytes;
};
uint32_t store_days(struct store *s, const char *signal_name, struct store_day **out);

/*
 * A consistent copy of everything acknowledged so far, under to_dir (made; must not hold anything yet): hard links of files
 * that do not change any more, copies of the live ones, and a list with their sizes (MANIFEST). It is a data directory: a
 * store opens it as it is. flush_first keeps the journal in it short. Any thread but those of the store.
 */
int store_backup(struct store *s, const char *to_dir, bool flush_first, struct err *e);

/* Sentences about damage and pressure for /status and query answers: quarantined files, full disk. From a. */
struct store_warning {
    struct str text;
    int64_t since_ms;
};
uint32_t store_warnings(struct store *s, struct arena *a, struct store_warning **out);

struct store_stats {
    uint64_t journal_bytes, journal_files, journal_commits, journal_entries, journal_entry_bytes;
    uint64_t disk_bytes, disk_free_bytes;
    uint64_t flushes, flush_errors, partitions, sealed, quarantined;
    int64_t last_flush_ms, replay_ms;
};
void store_stats(struct store *s, struct store_stats *out);

/* Days since the epoch, and back: the UTC day that holds t; rounds towards the past. Any t: far ones are clamped. */
static inline int32_t day_of_ms(int64_t t_ms)
{
    int64_t day = t_ms / 86400000 - (t_ms % 86400000 < 0);

    return (int32_t)(day < INT32_MIN ? INT32_MIN : day > INT32_MAX - 1 ? INT32_MAX - 1 : day);
}
static inline int64_t day_start_ms(int32_t day)
{
    return (int64_t)day * 86400000;
}

/*
 * `tripod fsck`: verifies every file of a data directory that no server has open, prints a line a file and what is lost.
 * Returns the number of damaged files, or <0 (ERR_BUSY: a server has it open). Changes nothing.
 */
int store_fsck(const char *dir, void (*print)(void *arg, const char *line), void *arg, struct err *e);
/*
 * The same of the days of a store that is open, and beyond the checksums: signal_ops.verify of each partition. Its signals must
 * have been added; store_recover is not needed. Of a store opened read-only, which nobody may be writing to, a file is mapped only
 * after its pages were walked.
 */
int store_verify(struct store *s, void (*print)(void *arg, const char *line), void *arg, struct err *e);

#endif
