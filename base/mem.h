/*
 * mem.h - memory that does not fail, and the arena.
 *
 * x_alloc and friends abort with a message when the system has no memory: sizes that a peer chooses meet a
 * limit before they come here. An arena hands out pieces and takes them back all at once.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/str.h"

void *x_alloc(size_t n);             /* not zeroed */
void *x_zalloc(size_t n);            /* zeroed */
void *x_realloc(void *p, size_t n);
void *x_aligned(size_t align, size_t n); /* free() it */
char *x_strdup(struct str s);        /* NUL-terminated copy; free() it */

struct arena_chunk;

/* Not thread-safe: one owner at a time. Zero-initialised is a valid empty arena. */
struct arena {
    struct arena_chunk *chunks;
    char *at, *end;
    size_t bytes;     /* taken from the system and not yet given back */
    size_t bytes_max; /* arena_try_alloc fails beyond; 0 = no limit */
};

void arena_init(struct arena *a, size_t bytes_max);
/* Gives everything back; leaves it zeroed. */
void arena_release(struct arena *a);
/* Empties it and keeps the first chunk, for the next request. Keeps bytes_max. */
void arena_reset(struct arena *a);
/* 16-aligned, not zeroed, valid until reset or release. Never NULL: ignores bytes_max. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* NULL when the arena would grow beyond bytes_max. */
void *arena_try_alloc(struct arena *a, size_t n);
/*
 * Makes the newest piece larger: p with the first `used` of its bytes, now n bytes long. A piece beyond 64 KiB has a chunk
 * of its own that grows by remapping, so doubling a large one does not leave its smaller selves behind.
 */
void *arena_grow(struct arena *a, void *p, size_t used, size_t n);
struct str arena_dup(struct arena *a, struct str s); /* NUL-terminated behind the n bytes */
struct str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

#endif
