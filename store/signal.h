/*
 * signal.h - what a signal store is to store/: a name, a tag and a handful of functions. A fourth signal is a new folder
 * and one call of store_signal_add.
 */
#ifndef STORE_SIGNAL_H
#define STORE_SIGNAL_H

#include "base/base.h"

struct partition;

struct signal_ops {
    const char *name; /* folder under the data directory: "metrics" */
    uint8_t tag;      /* of its journal entries: 'M' */
    uint32_t format;  /* version of its partition contents; another one is refused when opening */

    /*
     * Replay, before store_start, one thread, in order. file_begin opens the replay of a journal file: definitions of
     * earlier files are forgotten. Entries that fail to decode are damage: return ERR_CORRUPT, the rest goes on.
     * Rows of day d with seq <= partition_contained(d) are on disk already and must be skipped row by row.
     */
    void (*replay_file)(void *self, uint32_t file);
    int (*replay)(void *self, uint64_t seq, struct str entry, struct err *e);
    void (*replay_end)(void *self);

    /* Bytes the head holds that a flush would free. Any thread. */
    uint64_t (*head_bytes)(void *self);
    /* Rows that a flush would write, and how many are worth one: what lies in the journal is replayed row by row. May be
     * NULL. Any thread. */
    uint64_t (*head_rows)(void *self, uint64_t *enough);
    /*
     * Writes every row applied so far into partitions (store_partition_get, partition_write, ... with contained = the
     * seq up to which rows are in) and drops them from the head once readers cannot need them. Sets *contained to the
     * highest seq such that every row up to it is in partitions. Flush thread. NULL: a signal without rows of its own,
     * whose days are made from those of another; it needs no tag.
     */
    int (*flush)(void *self, uint64_t *contained, struct err *e);

    /*
     * A partition came into use (open, recover, seal) or goes out of it (closed, unlinked, replaced): parse what you
     * keep in memory beside it; partition_user() gives it back. attach may fail with ERR_CORRUPT: quarantine.
     * Days are opened when first asked for: attach comes from within store_partitions and store_partition_get, detach
     * from within the last partition_unref, on any thread. So neither may take a lock that is held around those calls, nor
     * ask the store for partitions.
     */
    int (*attach)(void *self, struct partition *p, void **user, struct err *e);
    void (*detach)(void *self, struct partition *p, void *user);

    /* Merges small slices of a live day when worth it (*did tells). Upkeep thread. */
    int (*merge)(void *self, struct partition *p, bool *did, struct err *e);
    /* Writes the whole content of a finished day densely into the empty partition `to`. Upkeep thread. */
    int (*seal)(void *self, struct partition *from, struct partition *to, struct err *e);
    /* A round of upkeep is over: what the signal makes out of its days (store_day_make). May be NULL. Upkeep thread. */
    int (*tended)(void *self, int64_t now_ms, struct err *e);
    /* Deep check for fsck and the scrubber: structure beyond checksums. Prints findings; ERR_CORRUPT if any. */
    int (*verify)(void *self, struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e);
};

#endif
