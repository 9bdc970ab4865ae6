/*
 * pages.h - reads the pages of an LMDB file without LMDB: no map, no trust. What it lets pass, LMDB can be let loose on.
 *
 * LMDB checks next to nothing: a flipped bit in a page makes it abort, die, or - worst - not find what is there. So a file is
 * walked like this before it is mapped: every page of the tree and of the free list, every offset, every length, the
 * order of the keys. Values that have pages of their own are only read when asked for. Private to store/.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "base/base.h"

enum { PAGES_PAGE = 4096, PAGES_KEY_MAX = 511 };

/* Where the bytes come from: a file, or memory in a fuzzer. Returns 0, or an errno value; short reads are EIO. */
struct pages_source {
    int (*read)(void *arg, void *p, size_t n, uint64_t at);
    void *arg;
    uint64_t bytes;
};

struct pages_check {
    bool integer_keys; /* of eight bytes, in the order of their values (journal) */
    bool values;       /* read them; else value.p is NULL for those on pages of their own */
    bool light;        /* do not even look at the first page of those (enough where nobody writes). pair may set it */
    uint64_t txn;      /* the commit to read; 0: the newest (nobody may be writing then) */
    /* Each pair in order. Non-zero ends the walk with that code. The bytes are borrowed until it returns. */
    int (*pair)(void *arg, struct str key, struct str value, struct err *e);
    int (*pace)(void *arg, uint64_t bytes); /* called after each read, for those who read slowly; <0 ends the walk. May be NULL */
    void *arg;

    /* Filled. */
    uint64_t found_txn;
    uint64_t used_bytes;  /* that the commit refers to: pages up to its last one */
    uint64_t free_pages;
    uint64_t pairs;
};

/* 0; ERR_CORRUPT and the place; ERR_IO. */
int pages_walk(const struct pages_source *src, struct pages_check *c, struct err *e);
/* The same over a file. */
int pages_walk_file(const char *path, struct pages_check *c, struct err *e);

#endif
