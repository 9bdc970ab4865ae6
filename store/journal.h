/*
 * journal.h - accepted batches of all signals, in order. A push that was acknowledged is on disk.
 *
 * Entries are opaque. A signal may write things once per journal file (label text) and refer to them later in the same
 * file; so a push names the file it was encoded for, and gets ERR_AGAIN when the journal has moved on to the next one.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/base.h"

struct journal;

struct journal_opts {
    const char *dir;
    uint64_t file_bytes;
    uint32_t queue_max;       /* entries waiting; more: ERR_BUSY */
    uint64_t queue_bytes_max; /* bytes waiting; more: ERR_BUSY */
    bool read_only;           /* changes nothing on disk */
};

/*
 * Runs on the journal thread, entries in the order of seq, after the commit that holds the entry has returned (code 0),
 * or failed (code ERR_FULL or ERR_IO; e says why; seq is 0; the journal has begun a new file).
 */
typedef void journal_done(void *arg, int code, uint64_t seq, const struct err *e);

/* The file the next entry goes to. Any thread. */
uint32_t journal_file(struct journal *j);

/*
 * Queues one entry. Takes the memory of *bytes (freed after commit) unless it fails. done may be NULL. Entries get
 * sequence numbers in the order of the pushes. Any thread; does not wait for the disk.
 * ERR_AGAIN: journal_file() is not `file` any more: encode again. ERR_BUSY: queue full. ERR_FULL: no space.
 */
int journal_push(struct journal *j, uint32_t file, uint8_t tag, struct buf *bytes, journal_done *done, void *arg, struct err *e);
/* Pushes and waits for the commit. Not from the journal thread or an I/O thread. */
int journal_push_wait(struct journal *j, uint32_t file, uint8_t tag, struct buf *bytes, uint64_t *seq, struct err *e);

/* Everything up to and including this is committed and its done() has run. */
uint64_t journal_done_seq(struct journal *j);

#endif
