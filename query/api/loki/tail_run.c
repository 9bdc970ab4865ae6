/*
 * tail_run.c - what a live tail does with records as they come: through the stages, into frames, to the client.
 *
 * (1) It never waits: what the client has no room for is left out, counted, and told with the next frame that fits.
 * (2) Whether there is room is asked before a frame is put into words, so that a slow client costs little.
 * (3) Tails take turns of 20 ms: one whose stages need milliseconds for a record falls behind, and is told what it missed; the others do not (tail.c: slow_pool).
 */
#include "query/api/loki/tail.h"

#include <stdlib.h>

enum { TAKE = 512, ROUNDS = 16, FRAME_BYTES = 512 * 1024, DELAYED_BYTES = 16 << 20, TURN_NS = 20000000, LOOK = 8, SLOW_TURN = 1000 };

struct delayed {
    int64_t due_ns; /* monotonic */
    int64_t t_ns;
    uint64_t order;
    struct arena arena; /* line and labels */
    struct str line;
    struct labels labels;
};

/* --- history and live records meet ------------------------------------------------------------------------- */

static struct str key_of(struct buf *b, int64_t t_ns, struct str line, const struct labels *ls)
{
    struct hash128 h;

    buf_reset(b);
    labels_canonical(b, ls);
    buf_put_u64(b, (uint64_t)t_ns);
    buf_puts(b, line);
    h = hash128(b->p, b->n);
    buf_reset(b);
    buf_put(b, &h, sizeof h);
    return buf_str(b);
}

void tail_note_shown(struct tail *t, int64_t t_ns, struct str line, const struct labels *ls)
{
    struct buf b = {0};

    *map_put(&t->shown, arena_dup(&t->shown_arena, key_of(&b, t_ns, line, ls)), NULL) = t;
    buf_release(&b);
}

/* Committed between the opening of the tail and the look at the history: it stands in both. Once. */
static bool was_shown(struct tail *t, int64_t t_ns, struct str line, const struct labels *ls)
{
    struct buf b = {0};
    bool was;

    if (t->shown.n == 0)
        return false;
    was = map_del(&t->shown, key_of(&b, t_ns, line, ls)) != NULL;
    buf_release(&b);
    return was;
}

static void forget_shown(struct tail *t)
{
    if (t->shown_until_ns && clock_mono_ns() > t->shown_until_ns) {
        map_release(&t->shown);
        arena_release(&t->shown_arena);
        t->shown_until_ns = 0;
    }
}

/* --- frames -------------------------------------------------------------------------------------------------- */

static void count_drops(struct tail *t, uint64_t n)
{
    atomic_fetch_add_explicit(&t->all->dropped, n, memory_order_relaxed);
}

/* The batch to the client, or among the drops. */
static void send_batch(struct tail *t)
{
    int code = ERR_BUSY;

    if (t->batch.n == 0 && t->drops.n == 0)
        return;
    if (websocket_has_room(t->ws)) {
        buf_reset(&t->frame);
        tail_put_frame(&t->frame, &t->batch, &t->drops);
        code = websocket_send(t->ws, buf_str(&t->frame));
    }
    if (code == 0) {
        atomic_fetch_add_explicit(&t->all->sent, t->batch.n, memory_order_relaxed);
        tail_drops_reset(&t->drops);
    } else if (code == ERR_BUSY) {
        tail_drops_add_batch(&t->drops, &t->batch);
        count_drops(t, t->batch.n);
    }
    tail_batch_reset(&t->batch);
}

static void add(struct tail *t, int64_t t_ns, struct str line, const struct labels *ls)
{
    tail_batch_add(&t->batch, t_ns, line, ls);
    if (t->batch.bytes >= FRAME_BYTES)
        send_batch(t);
}

/* --- delays ------------------------------------------------------------------------------------------------------ */

static void add_delayed(struct tail *t, int64_t t_ns, struct str line, const struct labels *ls)
{
    struct delayed *d;

    if (t->delayed_bytes + line.n > DELAYED_BYTES) {
        tail_drops_add(&t->drops, ls, t_ns, 1);
        count_drops(t, 1);
        return;
    }
    if (t->ndelayed == t->delayed_cap) {
        t->delayed_cap = t->delayed_cap ? t->delayed_cap * 2 : 64;
        t->delayed = x_realloc(t->delayed, t->delayed_cap * sizeof *t->delayed);
    }
    d = &t->delayed[t->ndelayed];
    *d = (struct delayed){.due_ns = clock_mono_ns() + t->delay_ns, .t_ns = t_ns, .order = t->ndelayed++};
    d->line = arena_dup(&d->arena, line);
    d->labels = labels_dup(&d->arena, ls);
    t->delayed_bytes += d->arena.bytes;
}

static int by_time(const void *a, const void *b)
{
    const struct delayed *x = a, *y = b;
    int c = (x->t_ns > y->t_ns) - (x->t_ns < y->t_ns);

    return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* Those whose time has come, in the order of their times. */
static void release_delayed(struct tail *t)
{
    int64_t now = clock_mono_ns();
    uint32_t due = 0;

    while (due < t->ndelayed && t->delayed[due].due_ns <= now)
        due++;
    if (due == 0)
        return;
    if (due > 1)
        qsort(t->delayed, due, sizeof *t->delayed, by_time);
    for (uint32_t i = 0; i < due; i++) {
        struct delayed *d = &t->delayed[i];

        add(t, d->t_ns, d->line, &d->labels);
        t->delayed_bytes -= d->arena.bytes;
        arena_release(&d->arena);
    }
    t->ndelayed -= due;
    memmove(t->delayed, t->delayed + due, t->ndelayed * sizeof *t->delayed);
}

/* --- work -------------------------------------------------------------------------------------------------------- */

static void take_record(struct tail *t, const struct log_tailed *rec)
{
    struct logql_matched m;

    if (!logql_match_record(t->match, &rec->labels, rec->t_ns, rec->line, rec->meta, rec->nmeta, &m) ||
        was_shown(t, rec->t_ns, m.line, &m.labels))
        return;
    if (t->delay_ns)
        add_delayed(t, rec->t_ns, m.line, &m.labels);
    else
        add(t, rec->t_ns, m.line, &m.labels);
}

/* More records, when those at hand are done. False: there are none. */
static bool refill(struct tail *t)
{
    uint64_t dropped = 0;

    if (t->taken_at < t->ntaken)
        return true;
    if (!t->taken)
        t->taken = x_alloc(TAKE * sizeof *t->taken);
    arena_reset(&t->taken_arena);
    t->taken_at = 0;
    t->ntaken = log_tail_take(t->source, &t->taken_arena, t->taken, TAKE, &dropped);
    if (dropped) {
        tail_drops_add(&t->drops, NULL, clock_wall_ns(), dropped);
        count_drops(t, dropped);
    }
    return t->ntaken > 0;
}

static void release_taken(struct tail *t)
{
    free(t->taken);
    t->taken = NULL;
    t->taken_at = t->ntaken = 0;
    arena_release(&t->taken_arena);
}

/* (3) */
static bool take_turn(struct tail *t)
{
    int64_t until = clock_mono_ns() + TURN_NS;
    uint32_t n = 0, look = atomic_load(&t->slow) ? 1 : LOOK;
    bool over = false;

    for (int round = 0; round < ROUNDS && !over && refill(t); round++) {
        while (t->taken_at < t->ntaken && !over) {
            take_record(t, &t->taken[t->taken_at++]);
            over = ++n % look == 0 && clock_mono_ns() > until;
        }
        if (!t->delay_ns)
            send_batch(t);
    }
    atomic_store(&t->slow, over && n < SLOW_TURN);
    return t->taken_at < t->ntaken || t->ntaken == TAKE;
}

bool tail_work(struct tail *t)
{
    bool more = take_turn(t);

    release_delayed(t);
    send_batch(t);
    forget_shown(t);
    atomic_store(&t->ticks, t->ndelayed || t->drops.n || t->shown_until_ns);
    if (!more)
        release_taken(t);
    return more;
}

void tail_release(struct tail *t)
{
    release_taken(t);
    for (uint32_t i = 0; i < t->ndelayed; i++)
        arena_release(&t->delayed[i].arena);
    free(t->delayed);
    map_release(&t->shown);
    arena_release(&t->shown_arena);
    buf_release(&t->frame);
    tail_batch_release(&t->batch);
    tail_drops_release(&t->drops);
}
