/*
 * inside.h - what the files of store/ know of each other and nobody else does.
 *
 * Order of locks, outermost first: sig.seal_mu (of several signals: in the order they were added), sig.change_mu,
 * sig.open_mu, partition.write_mu, sig.list_mu, the rest.
 */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include "store/env.h"
#include "store/group.h"
#include "store/store.h"

#include <limits.h>
#include <unistd.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- journal.c, journal_files.c --------------------------------------------------------------- */

struct journal_hooks {
    bool (*full)(void *arg);                                   /* asked by each push: no space? */
    void (*failed)(void *arg, int code, const struct err *e);  /* a commit failed. Journal thread */
    void (*committed)(void *arg, uint64_t journal_bytes);      /* Journal thread */
    void *arg;
};

/* Makes opts->dir if missing and lists what is there; reads nothing. seq_floor: numbers begin above it. */
int journal_open(const struct journal_opts *opts, const struct journal_hooks *hooks, struct journal **out, struct err *e);
int journal_start(struct journal *j, struct err *e);
/* Commits what waits, then stops. */
void journal_close(struct journal *j);

/* Before journal_start. Calls in the order of seq. Damage does not end it. */
struct journal_replay {
    void (*file)(void *arg, uint32_t file);
    void (*entry)(void *arg, uint64_t seq, uint8_t tag, struct str bytes);
    void (*damaged)(void *arg, const char *path, const struct err *e);
    /* Is every entry of this tag up to seq in partitions? Files of which that is true for all tags are not read again. */
    bool (*contained)(void *arg, uint8_t tag, uint64_t seq);
    /* May this file be mapped? <0: no, it has been put aside or is unreadable; e says why. */
    int (*check)(void *arg, const char *path, struct err *e);
    void *arg;
};
int journal_replay(struct journal *j, const struct journal_replay *r, struct err *e);
/* Numbers from now on are above floor. Before journal_start. */
void journal_seq_floor(struct journal *j, uint64_t floor);
uint64_t journal_next_seq(struct journal *j);

/* Unlinks files whose entries are all contained; never the newest, which remembers the seq. */
void journal_forget(struct journal *j, bool (*contained)(void *arg, uint8_t tag, uint64_t seq), void *arg);
/* Begins a new file if all of the newest is contained and it is big enough to be worth dropping. Waits for it. */
void journal_roll_spent(struct journal *j, bool (*contained)(void *arg, uint8_t tag, uint64_t seq), void *arg);
/* Bytes of the files that hold entries of this tag above contained; *last_seq its highest seq, 0 when there is none. */
uint64_t journal_held_bytes(struct journal *j, uint8_t tag, uint64_t contained, uint64_t *last_seq);
/* The next push goes to a new file. With `wait`: returns when all older files are closed and will not change. */
void journal_roll(struct journal *j, bool wait);
struct journal_stats {
    uint64_t bytes, files, commits, entries, entry_bytes;
};
void journal_stats(struct journal *j, struct journal_stats *out);
/* Calls fn for each file that will not change any more. */
int journal_closed_files(struct journal *j, int (*fn)(void *arg, const char *path, struct err *e), void *arg, struct err *e);

/* Reads one file from the first entry to the last: for replay, dump, fsck. */
struct journal_read {
    void (*entry)(void *arg, uint64_t seq, uint8_t tag, struct str bytes);
    void (*damaged)(void *arg, const char *path, const struct err *e);
    void *arg;
    bool heads_only; /* entries are not read: their bytes are not checked and must not be looked at */
    uint32_t file;   /* set by journal_read_file from the header */
    uint64_t first_seq;
};
int journal_read_file(const char *path, struct journal_read *r, struct err *e);

/* --- partition.c, txn.c ------------------------------------------------------------------------- */

struct partition_opts {
    const char *path;   /* where it lies now */
    const char *name;   /* what it is called in messages and partition_path(); NULL: path */
    int32_t day;
    const char *signal;
    uint32_t format;
    bool create;        /* make it when missing or without manifest */
    bool read_only;     /* whatever the manifest says. A sealed one is read-only anyway */
    bool may_write;     /* sealed: open it for writing all the same (only a private copy may) */
    /* Called when the last reference goes, before the file is closed. May be NULL. */
    void (*gone)(void *arg, struct partition *p);
    /* partition_damaged, once per partition. May be NULL. */
    void (*damaged)(void *arg, struct partition *p, const struct err *e);
    /* A commit failed. May be NULL. */
    void (*failed)(void *arg, int code, const struct err *e);
    void *arg;
};

enum { MANIFEST_NAME_MAX = 31 };

/* What a partition says of itself: written with every commit, in the same transaction. */
struct manifest {
    char signal[MANIFEST_NAME_MAX + 1];
    uint32_t format;
    int32_t day;
    bool sealed;
    int64_t created_ms, written_ms;
    uint64_t contained;
    uint64_t keys, value_bytes;  /* the manifest itself not counted */
    uint64_t keys_hash;          /* sum over all of a hash of (key, size of value): checked without reading values */
    uint64_t content_hash;       /* sum over all of a hash of (key, checksum of value) */
    uint64_t txn;                /* LMDB's number of the transaction that wrote it */
};
enum { MANIFEST_BYTES = 128 };
#define MANIFEST_KEY ((struct str){"", 1}) /* one zero byte: sorts before every other key */
void manifest_write(char out[MANIFEST_BYTES], const struct manifest *m);
int manifest_read(struct str value, struct manifest *out, struct err *e); /* value without its checksum */

/* The part of keys_hash (by size) or content_hash (by checksum) that one pair adds. */
uint64_t manifest_term(struct str key, uint32_t size_or_crc);
/* The checksum that stands behind the value of a key. */
uint32_t value_crc(struct str key, struct str value);

int partition_open(const struct partition_opts *o, struct partition **out, struct err *e);
void partition_set_user(struct partition *p, void *user);
void partition_manifest(struct partition *p, struct manifest *out);
/* Marks it sealed in its manifest, with `contained`. Commits. */
int partition_seal(struct partition *p, uint64_t contained, struct err *e);
/* As much as this will be written in one commit: room is made for it in the map. */
void partition_expect(struct partition *p, uint64_t bytes);
/* From now on txn_write fails with ERR_AGAIN: the day has another file. Waits for a writer. */
void partition_retire(struct partition *p);
/* Holds off writers: for swapping the file of a day. */
void partition_lock(struct partition *p);
void partition_unlock(struct partition *p);
int64_t partition_written_ms(struct partition *p); /* of the last commit, wall clock */
void partition_check_readers(struct partition *p);
/* A consistent copy of a live one. */
int partition_copy(struct partition *p, const char *to, struct err *e);
uint64_t txn_id(const struct txn *t); /* LMDB's number of the commit it sees */

/* --- state.c ------------------------------------------------------------------------------------ */

int state_open(const char *path, bool read_only, struct state **out, struct err *e);
void state_close(struct state *s);
int state_copy(struct state *s, const char *to, struct err *e);

/* --- disk.c ------------------------------------------------------------------------------------- */

struct disk;
int disk_open(const char *dir, uint64_t reserve_bytes, struct disk **out, struct err *e);
int disk_start(struct disk *d, struct err *e);
void disk_close(struct disk *d);
bool disk_full(const struct disk *d);
/* A write failed for want of space: full until the watcher sees room again. */
void disk_met_full(struct disk *d);
/* Above disk.max with nothing left that may go. */
void disk_over_budget(struct disk *d, bool over);
uint64_t disk_free_bytes(const struct disk *d);
/* Why it is full, and since when (ms, wall clock); 0 when it is not. */
int64_t disk_full_since(const struct disk *d, char *why, size_t why_bytes);

/* --- store.c: a signal and its days ------------------------------------------------------------- */

struct day_slot {
    int32_t day;
    struct partition *p; /* NULL: not opened yet */
    uint64_t bytes;      /* of the file, when last looked at */
    bool bad;            /* could not be opened; not tried again before the next start */
};

struct flusher {
    pthread_t thread;
    bool running;
    pthread_mutex_t mu;
    pthread_cond_t wake, done;
    /* Under mu. */
    bool stop;
    uint64_t asked, finished; /* flushes: number of the newest wish, of the newest granted */
    int result;               /* of the newest */
    struct err err;
    _Atomic int64_t last_ms;
    /* Flush thread: when the rows last grew by much, to how many; the end of a burst counts again from then on. */
    uint64_t quiet_rows;
    int64_t quiet_ms, quiet_again_ms;
};

struct sig {
    struct store *store;
    const struct signal_ops *ops;
    void *self;
    char *dir;
    int64_t retention_ms;

    /* Held while a day is written anew. */
    pthread_mutex_t seal_mu;
    /* Held over a flush; taken by upkeep to put another file in a day's place. */
    pthread_mutex_t change_mu;
    /* Held while a file is opened, made or put away. */
    pthread_mutex_t open_mu;
    /* The list, sorted by day. Held for moments. */
    pthread_mutex_t list_mu;
    struct day_slot *days;
    uint32_t ndays, days_cap;

    _Atomic uint64_t contained; /* every row up to it is in partitions */
    struct flusher flusher;
    uint64_t replayed;          /* entries, while recovering */
};

enum { SIGNALS_MAX = 8 };

struct warning {
    char *subject; /* what it is about: one warning each */
    char *text;
    int64_t since_ms;
};

struct store {
    /* Set at open. */
    struct store_opts opts;
    char *dir;
    int lock_fd;
    struct journal *journal;
    struct state *state;
    struct disk *disk;

    /* Set before store_recover. */
    struct sig sigs[SIGNALS_MAX];
    uint32_t nsigs;

    struct suspects *suspects; /* suspect.c */

    bool started;
    struct upkeep *upkeep;
    struct scrub *scrub;

    pthread_mutex_t warnings_mu;
    struct warning *warnings;
    uint32_t nwarnings, warnings_cap;

    _Atomic uint64_t flushes, flush_errors, quarantined, days_dropped;
    _Atomic int64_t last_flush_ms, replay_ms;
};

struct sig *store_sig(struct store *s, const char *name);
void store_warn(struct store *s, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void store_unwarn(struct store *s, const char *subject);

/* days.c: the list of a signal's partitions. */
int days_scan(struct sig *g, struct err *e);
void days_release(struct sig *g);
/* The partition of a day with a reference. create: make it (or make it writable) when missing. ERR_NOT_FOUND otherwise. */
int days_get(struct sig *g, int32_t day, bool create, struct partition **out, struct err *e);
void days_path(const struct sig *g, int32_t day, char out[PATH_MAX]);
/* Opens a file as a partition of g (attach included), not in the list. */
int days_open(struct sig *g, int32_t day, const char *path, unsigned how, struct partition **out, struct err *e);
/* A synced copy of a file that does not change. */
int file_copy(const char *from, const char *to, struct err *e);
enum { DAYS_CREATE = 1, DAYS_WRITE_SEALED = 2, DAYS_NO_ATTACH = 4, DAYS_READ_ONLY = 8 };
/* Puts p (reference taken) in the place of what the list has for its day; NULL takes the day out. */
void days_put(struct sig *g, int32_t day, struct partition *p);

/* Those whose day lies in [first, last], opened if they were not. */
void days_list(struct sig *g, int32_t first, int32_t last, struct partition_list *out);
void days_mark_bad(struct sig *g, int32_t day, const struct err *e);
void days_stats(struct sig *g, struct store_stats *out); /* adds */
void days_list_live(struct sig *g, struct partition_list *out); /* those not sealed, as far as is known */

/* What is listed now, oldest first. The caller frees. */
int32_t *days_all(struct sig *g, uint32_t *n);
/* A reference if the day is open, else NULL. */
struct partition *days_peek(struct sig *g, int32_t day);

/* flush.c */
void flush_load(struct sig *g); /* reads contained from state.mdb */
bool flush_contained(struct store *s, uint8_t tag, uint64_t seq);
int flush_start(struct sig *g, struct err *e);
void flush_stop(struct sig *g);
void flush_soon(struct sig *g);
int flush_wait(struct sig *g, struct err *e);
/* Drops journal files that every signal contains. */
void flush_forget(struct store *s);

#endif
