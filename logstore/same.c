/*
 * same.c - see same.h.
 *
 * (1) What a table says is checked against the row itself: of different rows with one hash none is lost. (2) A table may lag behind its
 * group (known), but is brought up before it is asked. (3) A past has no rows to compare with: it is asked for what is told, never for
 * what is kept.
 */
#include "logstore/head.h"

#include <assert.h>
#include <stdlib.h>

enum { GROUP_ROWS = 1 << 15, TABLE_MIN = 1 << 10, PAST_ROWS_MAX = 1 << 17 /* of a group: the past stays small */ };

#define ADDRESS_BITS 48
#define ADDRESS_MASK ((UINT64_C(1) << ADDRESS_BITS) - 1)

/* --- a table ------------------------------------------------------------------------------------------- */

static struct log_head_row *slot_row(uint64_t slot)
{
    return (struct log_head_row *)(uintptr_t)(slot & ADDRESS_MASK);
}

/* The place is told by the low bits, what is noted in the slot by the highest: neither depends on the other. */
static void put_slot(struct same_group *g, const struct log_head_row *r)
{
    uint32_t at = (uint32_t)r->hash & g->mask;

    while (g->slots[at])
        at = (at + 1) & g->mask;
    g->slots[at] = (r->hash >> ADDRESS_BITS) << ADDRESS_BITS | (uint64_t)(uintptr_t)r;
}

/* Room for so many rows, three quarters full at most. */
static void make_room(struct log_same *s, struct same_group *g, uint32_t rows)
{
    uint64_t *old = g->slots;
    uint32_t n = old ? g->mask + 1 : 0, size = n ? n : TABLE_MIN;

    while (size / 4 * 3 < rows)
        size *= 2;
    if (size == n)
        return;
    g->mask = size - 1;
    g->slots = x_zalloc(size * sizeof *g->slots);
    for (uint32_t i = 0; i < n; i++)
        if (old[i])
            put_slot(g, slot_row(old[i]));
    free(old);
    atomic_fetch_add_explicit(s->bytes, (size - n) * sizeof *g->slots, memory_order_relaxed);
}

static void put(struct log_same *s, struct same_group *g, const struct log_head_row *r)
{
    assert((uintptr_t)r >> ADDRESS_BITS == 0);
    make_room(s, g, g->n + 1);
    put_slot(g, r);
    g->n++;
}

/* Rows [from, end) of a piece. */
static void put_rows(struct log_same *s, struct same_group *g, const struct log_piece *p, uint32_t from, uint32_t end)
{
    for (uint32_t i = from; i < end; i++)
        if (p->rows[i].state != ROW_DEAD)
            put(s, g, &p->rows[i]);
}

/* (2) */
static void catch_up(struct log_same *s, struct same_group *g)
{
    if (!g->newest || g->known == g->newest->number)
        return;
    make_room(s, g, g->rows < GROUP_ROWS / 8 ? g->rows : MAX(g->rows, (uint32_t)GROUP_ROWS)); /* a large one becomes larger yet */
    for (const struct log_piece *p = g->newest; p && p->number > g->known && p->number >= g->first; p = p->prev)
        put_rows(s, g, p, 0, p->nrows);
    g->known = g->newest->number;
}

static bool find(const struct same_group *g, const struct log_head_row *r)
{
    if (!g->slots)
        return false;
    for (uint32_t at = (uint32_t)r->hash & g->mask; g->slots[at]; at = (at + 1) & g->mask)
        if (g->slots[at] >> ADDRESS_BITS == r->hash >> ADDRESS_BITS && slot_row(g->slots[at]) != r && log_head_rows_equal(slot_row(g->slots[at]), r))
            return true;
    return false;
}

/* --- groups --------------------------------------------------------------------------------------------- */

void log_same_init(struct log_same *s, _Atomic uint64_t *bytes)
{
    *s = (struct log_same){.bytes = bytes};
}

void log_same_release(struct log_same *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->v[i].slots)
            atomic_fetch_sub_explicit(s->bytes, (s->v[i].mask + 1) * sizeof(uint64_t), memory_order_relaxed);
        free(s->v[i].slots);
    }
    free(s->v);
    *s = (struct log_same){.bytes = s->bytes};
}

bool log_same_has(struct log_same *s, const struct log_head_row *r)
{
    for (uint32_t i = s->n; i-- > 0;) {
        struct same_group *g = &s->v[i];

        if (r->t_ns < g->mint || r->t_ns > g->maxt)
            continue;
        catch_up(s, g);
        if (find(g, r))
            return true;
    }
    return false;
}

void log_same_begin(struct log_same *s, struct log_piece *p, struct same_piece *out)
{
    if (s->n == 0 || s->v[s->n - 1].rows >= GROUP_ROWS) {
        if (s->n == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 8;
            s->v = x_realloc(s->v, s->cap * sizeof *s->v);
        }
        s->v[s->n++] = (struct same_group){.mint = INT64_MAX, .maxt = INT64_MIN};
    }
    *out = (struct same_piece){.group = &s->v[s->n - 1], .piece = p};
}

bool log_same_within(struct log_same *s, struct same_piece *sp, uint32_t i)
{
    const struct log_head_row *r = &sp->piece->rows[i];

    if (r->t_ns < sp->piece->mint || r->t_ns > sp->piece->maxt)
        return false;
    catch_up(s, sp->group);
    put_rows(s, sp->group, sp->piece, sp->done, i);
    sp->done = i;
    return find(sp->group, r);
}

void log_same_end(struct log_same *s, struct same_piece *sp, uint32_t live)
{
    struct same_group *g = sp->group;
    struct log_piece *p = sp->piece;

    if (live == 0)
        return;
    if (!g->newest) {
        g->first = p->number;
        g->known = p->number - 1;
    }
    g->newest = p;
    g->rows += live;
    g->mint = MIN(g->mint, p->mint);
    g->maxt = MAX(g->maxt, p->maxt);
    if (sp->done) {
        put_rows(s, g, p, sp->done, p->nrows);
        g->known = p->number;
    }
}

/* --- the past --------------------------------------------------------------------------------------------- */

/* Never 0. */
static inline uint32_t print_of(uint64_t hash)
{
    uint32_t print = (uint32_t)(hash >> 32);

    return print ? print : 1;
}

static void end_past(struct past_group *g, const struct log_piece *newest, const struct log_piece *before, uint32_t rows)
{
    uint32_t size = TABLE_MIN;

    while (size / 4 * 3 < rows)
        size *= 2;
    *g = (struct past_group){INT64_MAX, INT64_MIN, x_zalloc(size * sizeof *g->slots), size - 1};
    for (const struct log_piece *p = newest; p != before; p = p->prev) {
        g->mint = MIN(g->mint, p->mint);
        g->maxt = MAX(g->maxt, p->maxt);
        for (uint32_t i = 0; i < p->nrows; i++) {
            if (p->rows[i].state == ROW_DEAD)
                continue;
            uint32_t at = (uint32_t)p->rows[i].hash & g->mask;
            while (g->slots[at])
                at = (at + 1) & g->mask;
            g->slots[at] = print_of(p->rows[i].hash);
        }
    }
}

struct past_group *log_past_of(const struct log_gen *g, uint32_t *n)
{
    struct past_group *v = x_alloc(PAST_GROUPS_MAX * sizeof *v);
    const struct log_piece *newest = g->newest;
    uint32_t rows = 0;

    *n = 0;
    for (const struct log_piece *p = newest; p && *n < PAST_GROUPS_MAX; p = p->prev) {
        rows += p->nrows;
        if (p->prev && rows + p->prev->nrows <= GROUP_ROWS)
            continue;
        if (rows <= PAST_ROWS_MAX)
            end_past(&v[(*n)++], newest, p->prev, rows);
        newest = p->prev;
        rows = 0;
    }
    return v;
}

void log_past_add(struct log_past *p, struct past_group *v, uint32_t n)
{
    while (n-- > 0) { /* the newest stands first */
        struct past_group *to = &p->v[p->next];

        free(to->slots);
        *to = v[n];
        p->next = (p->next + 1) % PAST_GROUPS_MAX;
        p->n = MIN(p->n + 1, (uint32_t)PAST_GROUPS_MAX);
    }
    free(v);
}

bool log_past_had(const struct log_past *p, int64_t t_ns, uint64_t hash)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct past_group *g = &p->v[i];

        if (t_ns < g->mint || t_ns > g->maxt)
            continue;
        for (uint32_t at = (uint32_t)hash & g->mask; g->slots[at]; at = (at + 1) & g->mask)
            if (g->slots[at] == print_of(hash))
                return true;
    }
    return false;
}

void log_past_release(struct log_past *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        free(p->v[i].slots);
    *p = (struct log_past){0};
}
