/*
 * check.h - is a file of ours whole? Its pages (pages.h), its checksums, its manifest. Private to store/.
 *
 * Two kinds of damage: of the structure (keys may be missing, LMDB may die of it: the file cannot be used) and of values
 * (each tells by its checksum: the file can be used, and the answer says what is missing).
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/inside.h"

enum check_kind { CHECK_PARTITION, CHECK_JOURNAL, CHECK_STATE };

struct check {
    const char *path;
    enum check_kind kind;
    bool values;  /* read all of them */
    uint64_t txn; /* see pages.h */
    int (*pace)(void *arg, uint64_t bytes);
    void *arg;

    /* Filled. */
    uint64_t pairs, value_bytes, bad_values;
    char first_bad[200];      /* where the first bad value is */
    struct manifest manifest; /* of a partition */
    uint64_t first_seq, last_seq; /* of a journal file */
    uint64_t used_bytes, free_pages;
};

enum check_kind check_kind_of(const char *path);
/* The structure: ERR_CORRUPT when it is damaged. Bad values are only counted. Does not map the file, cannot die of it. */
int check_file(struct check *c, struct err *e);
/* Of an open partition, values included, whoever writes it meanwhile. ERR_CORRUPT also for bad values. c->path must be set. */
int fsck_partition(struct partition *p, struct check *c, struct err *e);
/* The same through LMDB, as a reader would meet it: each pair in turn, each key looked up. May die of a bad file: for a child. */
int check_mapped(struct check *c, struct err *e);

#endif
