/*
 * plain_slab.c - a chain of chunks that is walked from its beginning after each reset.
 *
 * (1) Chunks before `now` are full or were too small, those behind it are unused since the last reset.
 * (2) No more than SLAB_KEEP bytes outlive a reset.
 */
#include "logstore/plain_slab.h"

#include <stdlib.h>

enum { SLAB_CHUNK = 1 << 20, SLAB_KEEP = 64 << 20 };

struct slab_chunk {
    struct slab_chunk *next;
    size_t n;
    _Alignas(16) char bytes[];
};

static void use_chunk(struct slab *s, struct slab_chunk *c)
{
    s->now = c;
    s->at = c->bytes;
    s->end = c->bytes + c->n;
}

static void next_chunk(struct slab *s, size_t n)
{
    struct slab_chunk *c = s->now ? s->now->next : s->first;

    while (c && c->n < n) { /* too small for this one: left out until the next reset */
        s->now = c;
        c = c->next;
    }
    if (!c) {
        size_t room = MAX(n, (size_t)SLAB_CHUNK);

        c = x_alloc(sizeof *c + room);
        c->n = room;
        c->next = s->now ? s->now->next : NULL;
        if (s->now)
            s->now->next = c;
        else
            s->first = c;
    }
    use_chunk(s, c);
}

void *slab_alloc(struct slab *s, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if ((size_t)(s->end - s->at) < n)
        next_chunk(s, n);
    void *p = s->at;
    s->at += n;
    s->used += n;
    return p;
}

void *slab_zalloc(struct slab *s, size_t n)
{
    void *p = slab_alloc(s, n);

    memset(p, 0, n);
    return p;
}

void slab_reset(struct slab *s)
{
    struct slab_chunk **at = &s->first;
    size_t kept = 0;

    while (*at) {
        struct slab_chunk *c = *at;

        if (kept + c->n > SLAB_KEEP) {
            *at = c->next;
            free(c);
        } else {
            kept += c->n;
            at = &c->next;
        }
    }
    s->now = NULL;
    s->at = s->end = NULL;
    s->used = 0;
}

void slab_release(struct slab *s)
{
    while (s->first) {
        struct slab_chunk *c = s->first;

        s->first = c->next;
        free(c);
    }
    *s = (struct slab){0};
}
