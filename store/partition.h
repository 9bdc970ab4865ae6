/*
 * partition.h - one day of one signal: one LMDB file of small binary keys and checksummed values.
 *
 * Counted (partition_ref/unref) and safe from any thread. One writer at a time (flush, merge, seal and retention take
 * turns by the partition's write lock); readers never wait. Every value carries a CRC32C over key and value, put there
 * by txn_put and verified by every txn_get. Keys: 1..24 bytes. Value sizes that fill pages: PARTITION_VALUE_FIT(k).
 */
#ifndef STORE_PARTITION_H
#define STORE_PARTITION_H

#include "base/base.h"

struct partition;
struct txn;

enum { PARTITION_KEY_MAX = 24 };
/* The largest value that fits k pages, our checksum counted. */
#define PARTITION_VALUE_FIT(k) ((size_t)(k) * 4096 - 16 - 4)

struct partition *partition_ref(struct partition *p);
void partition_unref(struct partition *p); /* NULL is fine */

int32_t partition_day(const struct partition *p);
bool partition_sealed(const struct partition *p);
const char *partition_path(const struct partition *p);
void *partition_user(const struct partition *p); /* what attach returned */
/* Every row up to this seq that belongs to the day is in. 0 for a new file. */
uint64_t partition_contained(const struct partition *p);
uint64_t partition_bytes(const struct partition *p); /* of the file */
/* Changes with every commit: for caches of what was parsed out of it. */
uint64_t partition_version(const struct partition *p);

/* A read transaction: a frozen view. Short-lived: never across a network write. From one thread at a time. */
int txn_read(struct partition *p, struct txn **out, struct err *e);
/*
 * partition_contained() as this very view has it: which rows of the head are in it. The one of the partition may be ahead
 * of the view by a commit, and rows would fall between.
 */
uint64_t txn_contained(struct txn *t);
/* A hash over all keys and values, as this very view has them: tells whether what was made of it still holds. */
uint64_t txn_content(struct txn *t);
/* The write transaction. Waits for the write lock. ERR_AGAIN: another file took the day's place, get the partition again. */
int txn_write(struct partition *p, struct txn **out, struct err *e);
/* Syncs. contained 0: unchanged. Ends t in any case. ERR_AGAIN (also of put): begin anew, there will be more room. */
int txn_commit(struct txn *t, uint64_t contained, struct err *e);
/* Ends a read txn, or drops a write txn. NULL is fine. */
void txn_end(struct txn *t);

/* The value, borrowed from the map until t ends. ERR_NOT_FOUND without a sentence; ERR_CORRUPT names file and key. */
int txn_get(struct txn *t, struct str key, struct str *value, struct err *e);
/* Copies the parts one behind the other into a value. */
int txn_put(struct txn *t, struct str key, const struct str *parts, uint32_t nparts, struct err *e);
int txn_del(struct txn *t, struct str key, struct err *e);
/*
 * Walks keys that begin with prefix, in bytewise order, from the first key >= from (empty: from the first). Returns 0 with
 * key and value, >0 at the end. `it` is zero-initialised by the caller, ended by txn_iter_end.
 */
struct txn_iter {
    void *cursor;
    bool started;
};
int txn_iter_next(struct txn *t, struct txn_iter *it, struct str prefix, struct str from, struct str *key, struct str *value,
                  struct err *e);
void txn_iter_end(struct txn_iter *it);

/* A damaged place was met while reading: counts against the file, warns once, may lead to quarantine at next start. */
void partition_damaged(struct partition *p, const struct err *e);
bool partition_is_damaged(const struct partition *p); /* partition_damaged was called */

#endif
