/*
 * window.c - windows of steps over sample times, and the cache of those that series share.
 *
 * (1) A cached table belongs to one (times id, steps) pair; a cache serves one select with one set of steps.
 * (2) The cache holds at most CACHE_BYTES; when more would be needed it starts again from empty.
 */
#include "query/vector/window.h"

#include <stdlib.h>

enum { CACHE_BYTES = 8 << 20 };

struct window_slot {
    uint64_t id;
    struct windows w;
};

void windows_fill(struct windows *w, const struct steps *st, const int64_t *t, uint32_t n)
{
    uint32_t lo = 0, hi = 0, filled = 0;
    uint64_t samples = 0;
    bool regular = true;

    for (uint32_t i = 0; i < st->n; i++) {
        int64_t end = step_end(st, i), start = end - st->range;

        while (hi < n && t[hi] <= end)
            hi++;
        while (lo < hi && t[lo] <= start)
            lo++;
        w->lo[i] = lo;
        w->hi[i] = hi;
        filled += hi > lo;
        samples += hi - lo;
        regular &= lo - w->lo[0] == i && hi - w->hi[0] == i;
    }
    w->nsteps = st->n;
    w->filled = filled;
    w->samples = samples;
    w->regular = regular && filled == st->n;
}

void window_cache_release(struct window_cache *c)
{
    free(c->slots);
    arena_release(&c->arena);
    free(c->scratch.lo);
    free(c->scratch.factor);
    *c = (struct window_cache){0};
}

static struct windows *scratch_for(struct window_cache *c, uint32_t nsteps)
{
    if (c->scratch_steps < nsteps) {
        free(c->scratch.lo);
        free(c->scratch.factor);
        c->scratch.lo = x_alloc(2 * nsteps * sizeof *c->scratch.lo);
        c->scratch.factor = x_alloc(2 * nsteps * sizeof *c->scratch.factor);
        c->scratch_steps = nsteps;
    }
    c->scratch.hi = c->scratch.lo + nsteps;
    c->scratch.reach = c->scratch.factor + nsteps;
    return &c->scratch;
}

static void grow(struct window_cache *c)
{
    uint32_t n = c->nslots ? c->nslots * 2 : 64;
    struct window_slot *old = c->slots;

    c->slots = x_zalloc(n * sizeof *c->slots);
    for (uint32_t i = 0; i < c->nslots; i++) {
        uint32_t at;

        if (!old[i].id)
            continue;
        for (at = (uint32_t)(old[i].id * 0x9fb21c651e98df25u >> 32) & (n - 1); c->slots[at].id; at = (at + 1) & (n - 1))
            ;
        c->slots[at] = old[i];
    }
    free(old);
    c->nslots = n;
}

struct windows *window_cache_get(struct window_cache *c, uint64_t times_id, const struct steps *st, const int64_t *t,
                                 uint32_t n, bool extrapolate, bool *made)
{
    struct windows *w;
    uint32_t at;

    *made = true;
    if (times_id == 0) {
        w = scratch_for(c, st->n ? st->n : 1);
        windows_fill(w, st, t, n);
        return w;
    }
    if (c->arena.bytes > CACHE_BYTES) {
        memset(c->slots, 0, c->nslots * sizeof *c->slots);
        c->used = 0;
        arena_reset(&c->arena);
    }
    if (c->used * 2 >= c->nslots)
        grow(c);
    for (at = (uint32_t)(times_id * 0x9fb21c651e98df25u >> 32) & (c->nslots - 1); c->slots[at].id;
         at = (at + 1) & (c->nslots - 1))
        if (c->slots[at].id == times_id) {
            *made = false;
            return &c->slots[at].w;
        }
    c->used++;
    c->slots[at].id = times_id;
    w = &c->slots[at].w;
    w->lo = arena_alloc(&c->arena, (size_t)st->n * sizeof *w->lo);
    w->hi = arena_alloc(&c->arena, (size_t)st->n * sizeof *w->hi);
    if (extrapolate) {
        w->factor = arena_alloc(&c->arena, (size_t)st->n * sizeof *w->factor);
        w->reach = arena_alloc(&c->arena, (size_t)st->n * sizeof *w->reach);
    }
    windows_fill(w, st, t, n);
    return w;
}
