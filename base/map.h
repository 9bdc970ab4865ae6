/*
 * map.h - a hash table from bytes to a pointer. Keys are borrowed: they must outlive the map. Iteration in order of insertion.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/mem.h"

struct map_entry {
    struct str key;
    uint64_t hash;
    void *value;
};

/* Zero-initialised is empty and valid. */
struct map {
    struct map_entry *entries; /* dense, in order of insertion; deleted ones have key.p NULL */
    uint32_t *slots;           /* index + 1 into entries, 0 = free */
    uint32_t n, used, cap, mask;
};

void map_release(struct map *m);
void map_reset(struct map *m);
/* The value, or NULL. */
void *map_get(const struct map *m, struct str key);
/* The place of the value, made (NULL) if absent; valid until the next insertion. *added may be NULL. */
void **map_put(struct map *m, struct str key, bool *added);
/* The value that was there, or NULL. */
void *map_del(struct map *m, struct str key);
/* Next live entry at or after *i, moving *i behind it; NULL at the end. Start with *i = 0. */
struct map_entry *map_next(const struct map *m, uint32_t *i);

#endif
