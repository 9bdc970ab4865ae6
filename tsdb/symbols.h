/*
 * symbols.h - label names and label pairs of the head, each once, with the postings of each pair.
 *
 * A pair (name, value) has a dense id; a series is a list of pair ids. Entries never move while anyone may read them:
 * pair_get and name_get need no lock for a pair of a series that the caller's epoch holds. All else is under the head's
 * index lock.
 */
#ifndef TSDB_SYMBOLS_H
#define TSDB_SYMBOLS_H

#include "tsdb/epoch.h"
#include "tsdb/postings.h"

#include <stdatomic.h>

enum { SYMBOL_BLOCK = 1024, SYMBOL_BLOCKS_MAX = 1 << 18 };

struct head_name {
    struct str text; /* owned; never freed before the head: names are few */
    uint32_t *pairs; /* ids of the pairs with this name, in no order */
    uint32_t npairs, cap;
    uint32_t file, local; /* journal: id within the file */
};

struct head_pair {
    char *value; /* behind `lead` bytes of an owned text: the canonical bytes of the pair end in its value */
    uint32_t value_n, lead;
    uint32_t name;
    uint32_t at;          /* index in name's pairs */
    uint32_t file, local; /* journal: id within the file */
    struct postings postings;
};

struct symbols {
    /* Blocks appear (release) and stay. */
    _Atomic(struct head_pair *) *pair_blocks;
    _Atomic(struct head_name *) *name_blocks;
    uint32_t npairs, nnames; /* ids given out so far */
    uint32_t *free_pairs, nfree, free_cap;
    /* hash tables of id + 1, by (name id, value) and by name text */
    uint32_t *pair_slots, pair_mask, pair_used;
    uint32_t *name_slots, name_mask;
    _Atomic uint64_t bytes; /* of texts and entries, about. Any thread reads */
    uint64_t live;  /* pairs in use */
};

void symbols_init(struct symbols *sy);
void symbols_release(struct symbols *sy);

static inline struct head_pair *pair_get(const struct symbols *sy, uint32_t id)
{
    return atomic_load_explicit(&sy->pair_blocks[id / SYMBOL_BLOCK], memory_order_acquire) + id % SYMBOL_BLOCK;
}
static inline struct head_name *name_get(const struct symbols *sy, uint32_t id)
{
    return atomic_load_explicit(&sy->name_blocks[id / SYMBOL_BLOCK], memory_order_acquire) + id % SYMBOL_BLOCK;
}
static inline struct str pair_value(const struct head_pair *p)
{
    return (struct str){p->value, p->value_n};
}

enum { SYMBOL_NONE = 0xffffffff };
/* SYMBOL_NONE when there is no such one. */
uint32_t name_find(const struct symbols *sy, struct str text);
uint32_t pair_find(const struct symbols *sy, uint32_t name, struct str value);
/* The same, made when missing. */
uint32_t name_intern(struct symbols *sy, struct str text);
uint32_t pair_intern(struct symbols *sy, uint32_t name, struct str value);
/* The identity of the series with these pairs, given in the order of labels: labels_hash. */
struct hash128 pairs_hash(const struct symbols *sy, const uint32_t *pairs, uint32_t n);
/* Takes a pair without postings out of the tables. Its entry is still readable until pair_recycle, after an epoch. */
void pair_remove(struct symbols *sy, uint32_t id);
void pair_recycle(struct symbols *sy, uint32_t id);

#endif
