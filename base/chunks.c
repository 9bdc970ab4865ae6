/*
 * chunks.c - see chunks.h.
 *
 * Chunks are cut from wide reservations, which are never given back: what is trimmed of them keeps its address and loses its pages.
 *
 * (1) A chunk is in use, or in one of two lists: warm (with its pages) or cold (without). Both are threaded through a table, not
 *     through the chunks, so that a cold one is not touched.
 * (2) least_warm is the fewest that were warm at once since the last trim: so many nobody needed.
 */
#include "base/chunks.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN 1
#endif
#endif

#ifdef PLAIN /* so that the sanitizer sees each chunk for itself */

void *chunk_take(void)
{
    return x_alloc(CHUNK_BYTES);
}

void chunk_give(void *p)
{
    free(p);
}

size_t chunks_trim(size_t bytes_max)
{
    (void)bytes_max;
    return 0;
}

size_t chunks_idle(void)
{
    return 0;
}

#else

enum { RESERVE_CHUNKS = 64 };

struct stack {
    void **v;
    size_t n, cap;
};

/* Under mu, held for a few instructions, but for the taking of a reservation. */
static struct {
    pthread_mutex_t mu;
    struct stack warm, cold;
    size_t least_warm;
} all = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void push(struct stack *s, void *p)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : RESERVE_CHUNKS;
        s->v = x_realloc(s->v, s->cap * sizeof *s->v);
    }
    s->v[s->n++] = p;
}

/* A child of fork has this thread only: the lock must not be held by another. */
static void before_fork(void)
{
    pthread_mutex_lock(&all.mu);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&all.mu);
}

static void add_cold(void)
{
    char *p = mmap(NULL, (size_t)RESERVE_CHUNKS * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        fprintf(stderr, "out of memory: no %zu bytes\n", (size_t)RESERVE_CHUNKS * CHUNK_BYTES);
        abort();
    }
    if (!all.cold.cap)
        pthread_atfork(before_fork, after_fork, after_fork);
    for (size_t i = RESERVE_CHUNKS; i-- > 0;)
        push(&all.cold, p + i * CHUNK_BYTES);
}

void *chunk_take(void)
{
    struct stack *from;
    void *p;

    pthread_mutex_lock(&all.mu);
    if (all.warm.n == 0 && all.cold.n == 0)
        add_cold();
    from = all.warm.n ? &all.warm : &all.cold;
    p = from->v[--from->n];
    if (all.warm.n < all.least_warm)
        all.least_warm = all.warm.n;
    pthread_mutex_unlock(&all.mu);
    return p;
}

void chunk_give(void *p)
{
    pthread_mutex_lock(&all.mu);
    push(&all.warm, p);
    pthread_mutex_unlock(&all.mu);
}

/* One of those that nobody needed, or NULL. */
static void *take_idle(void)
{
    void *p = NULL;

    pthread_mutex_lock(&all.mu);
    if (all.least_warm && all.warm.n) {
        all.least_warm--;
        p = all.warm.v[--all.warm.n];
    }
    pthread_mutex_unlock(&all.mu);
    return p;
}

size_t chunks_trim(size_t bytes_max)
{
    size_t left;
    void *p;

    for (size_t n = bytes_max / CHUNK_BYTES; n > 0 && (p = take_idle()); n--) {
        madvise(p, CHUNK_BYTES, MADV_DONTNEED);
        pthread_mutex_lock(&all.mu);
        push(&all.cold, p);
        pthread_mutex_unlock(&all.mu);
    }
    pthread_mutex_lock(&all.mu);
    left = all.warm.n;
    all.least_warm = all.warm.n;
    pthread_mutex_unlock(&all.mu);
    return left * CHUNK_BYTES;
}

size_t chunks_idle(void)
{
    size_t n;

    pthread_mutex_lock(&all.mu);
    n = all.warm.n;
    pthread_mutex_unlock(&all.mu);
    return n * CHUNK_BYTES;
}

#endif
