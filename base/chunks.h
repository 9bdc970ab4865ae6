/*
 * chunks.h - the large chunks of arenas, kept for the next one. Private to base, but for who returns what lies idle.
 *
 * A query may take hundreds of MiB and give them back half a second later. Taken from the system and returned to it, each
 * page costs a fault and its clearing, and the lock of the address space, which threads that ask little wait for.
 */
#ifndef BASE_CHUNKS_H
#define BASE_CHUNKS_H

#include <stddef.h>

enum { CHUNK_BYTES = 1 << 20 };

/* CHUNK_BYTES, not zeroed, aligned for anything. Any thread. Never NULL. */
void *chunk_take(void);
void chunk_give(void *p);

/*
 * Returns memory to the system that nobody has needed since the call before: at most so many bytes of it, a chunk at a time. Gives how
 * much of such memory is left. Any thread; to be called every now and then while it says that there is some.
 */
size_t chunks_trim(size_t bytes_max);
/* Bytes that lie idle. */
size_t chunks_idle(void);

#endif
