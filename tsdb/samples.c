/*
 * samples.c - the samples of the head: chunks, shared time columns, late rows, and the gens they live in. See head.h.
 *
 * Which column does a series join? The one of the series before it in the batch, if that has just got the same time: so
 * the series of one scrape find each other. A series whose next time is not the next of its column leaves it: to where
 * another series just put that time, or, when it keeps jumping, to a column of its own.
 *
 *     gen   OPEN --head_cut--> FROZEN --head_drop--> DROPPED --head_reclaim--> UNLINKED --head_reclaim--> freed
 */
#include "tsdb/samples.h"

#include <assert.h>
#include <stdlib.h>

enum { COLUMN_FIRST = 8, UNLINK_BATCH = 1024, CHUNK_STEADY = 8, LATE_FIRST = 4, LATE_MAX = 1024 };

/* Bytes that a chunk may need for one more sample: the repeats that wait, and a value. */
enum { ROOM = CHUNK_SAMPLES_MAX / 64 + 1 + VALS_MAX };

static uint32_t pub_n(uint32_t pub)
{
    return pub >> 16;
}

static uint32_t pub_bytes(uint32_t pub)
{
    return pub & 0xffff;
}

/* --- memory of a gen ---------------------------------------------------------------------------- */

enum { RUN_MIN = 64 * 1024, RUN_ALIGN = 16 };

/* Another run: they double up to a huge page. What does not fit that gets a run of its own size. */
static void gen_grow(struct appender *a, size_t n)
{
    struct gen *g = a->open;
    size_t bytes = MIN(MAX((size_t)g->bytes, (size_t)RUN_MIN), (size_t)HUGE_PAGE);
    struct gen_run *run;

    bytes = MAX(bytes, n + RUN_ALIGN);
    run = huge_new(bytes, bytes >= HUGE_PAGE);
    run->next = g->runs;
    run->bytes = bytes;
    g->runs = run;
    g->at = (char *)run + RUN_ALIGN;
    g->end = (char *)run + bytes;
    g->bytes += bytes;
    atomic_fetch_add_explicit(&a->head->open_bytes, bytes, memory_order_relaxed);
}

void *gen_alloc(struct appender *a, size_t n)
{
    struct gen *g = a->open;
    void *p;

    n = (n + RUN_ALIGN - 1) / RUN_ALIGN * RUN_ALIGN;
    if (!g->at || (size_t)(g->end - g->at) < n)
        gen_grow(a, n);
    p = g->at;
    g->at += n;
    return p;
}

void gen_free(struct gen *g)
{
    for (struct gen_run *r = g->runs, *next; r; r = next) {
        next = r->next;
        huge_free(r, r->bytes);
    }
    free(g);
}

/* --- columns ------------------------------------------------------------------------------------ */

static struct column *column_new(struct appender *a, int64_t t)
{
    struct column *c = gen_alloc(a, sizeof *c);
    int64_t *times = gen_alloc(a, sizeof *times * COLUMN_FIRST);

    memset(c, 0, sizeof *c);
    times[0] = t;
    c->cap = COLUMN_FIRST;
    c->number = atomic_fetch_add_explicit(&a->head->ncolumns, 1, memory_order_relaxed) + 1;
    c->slice_day = INT32_MIN;
    atomic_store_explicit(&c->t, times, memory_order_release);
    atomic_store_explicit(&c->n, 1, memory_order_release);
    return c;
}

/* Puts t behind the last. The old array stays for its readers. */
static void column_push(struct appender *a, struct column *c, int64_t t)
{
    uint32_t n = atomic_load_explicit(&c->n, memory_order_relaxed);
    int64_t *times = atomic_load_explicit(&c->t, memory_order_relaxed);

    assert(t > times[n - 1]);
    if (n == c->cap) {
        int64_t *bigger = gen_alloc(a, sizeof *times * c->cap * 2);
        memcpy(bigger, times, sizeof *times * n);
        c->cap *= 2;
        atomic_store_explicit(&c->t, bigger, memory_order_release);
        times = bigger;
    }
    times[n] = t;
    atomic_store_explicit(&c->n, n + 1, memory_order_release);
}

/* Is t the column's time `at`, or can it become it? */
static bool column_take(struct appender *a, struct column *c, uint32_t at, int64_t t)
{
    uint32_t n = atomic_load_explicit(&c->n, memory_order_relaxed);

    if (at < n)
        return atomic_load_explicit(&c->t, memory_order_relaxed)[at] == t;
    if (at > n)
        return false;
    column_push(a, c, t);
    return true;
}

static struct hint *hint_at(struct appender *a, int64_t t)
{
    return &a->hints[(uint64_t)t * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}

_Static_assert(HINTS == 64, "hint_at takes 6 bits");

static void hint_set(struct appender *a, int64_t t, struct column *c, uint32_t at)
{
    a->hint = (struct hint){t, c, at};
    *hint_at(a, t) = a->hint;
}

/* A column for a sample that begins a chunk, and the place of its time there. */
static struct column *column_for(struct appender *a, int64_t t, bool own, uint32_t *at)
{
    struct hint *hint = a->hint.col && a->hint.t == t ? &a->hint : hint_at(a, t);
    struct column *c;

    if (!own && hint->col && hint->t == t) {
        a->hint = *hint;
        *at = hint->at;
        return hint->col;
    }
    c = column_new(a, t);
    *at = 0;
    if (!own)
        hint_set(a, t, c, 0);
    return c;
}

/* --- chunks ------------------------------------------------------------------------------------- */

static struct chunk *chunk_new(struct appender *a, struct chunk *prev, struct column *col, uint32_t at, int64_t st,
                               bool grow)
{
    uint32_t cap = CHUNK_FIRST_BYTES + (st ? 8 : 0);
    struct chunk *c;

    if (grow && prev)
        cap = MIN(prev->cap * 2u + CHUNK_HEADER, (uint32_t)CHUNK_BYTES_MAX);
    c = gen_alloc(a, MAX(CHUNK_HEADER + (size_t)cap, sizeof *c));
    memset(c, 0, CHUNK_HEADER);
    atomic_store_explicit(&c->prev, prev, memory_order_relaxed);
    c->col = col;
    c->start = at;
    c->gen = a->open->number;
    c->cap = (uint16_t)cap;
    c->has_st = st != 0;
    if (grow && prev)
        c->scale = c->state = prev->state & VALS_SCALE;
    if (st)
        memcpy(c->data, &st, 8);
    return c;
}

/* Repeats that are not in bytes yet, as ops. */
static uint8_t *put_repeats(uint8_t *p, uint32_t n)
{
    for (; n > 64; n -= 64)
        *p++ = 63 << 2;
    if (n)
        *p++ = (uint8_t)((n - 1) << 2);
    return p;
}

/* Room for a value at the worst, or for this value by the look of it: small chunks shall not end half empty. */
static bool chunk_put(struct chunk *c, double last, double v)
{
    uint32_t pub = atomic_load_explicit(&c->pub, memory_order_relaxed), n = pub_n(pub), used = pub_bytes(pub);
    uint32_t head = c->has_st ? 8 : 0;
    uint8_t bytes[ROOM], *p, state = c->state;
    uint32_t more;

    if (n >= CHUNK_SAMPLES_MAX)
        return false;
    if (n && f64_bits(last) == f64_bits(v)) {
        atomic_store_explicit(&c->pub, pub + (1u << 16), memory_order_release);
        return true;
    }
    p = put_repeats(bytes, n - c->encoded);
    p = vals_put(p, n ? last : 0, &state, v);
    more = (uint32_t)(p - bytes);
    if (head + used + more > c->cap)
        return false;
    memcpy(c->data + head + used, bytes, more);
    c->state = state;
    c->encoded = (uint16_t)(n + 1);
    atomic_store_explicit(&c->pub, (n + 1) << 16 | (used + more), memory_order_release);
    return true;
}

void chunk_look(const struct chunk *c, struct chunk_view *out)
{
    uint32_t pub = atomic_load_explicit(&c->pub, memory_order_acquire);

    out->c = c;
    out->n = pub_n(pub);
    out->bytes = pub_bytes(pub);
    out->column = c->col->number;
    out->t = atomic_load_explicit(&c->col->t, memory_order_acquire) + c->start;
}

void chunk_values(const struct chunk_view *v, uint32_t n, double *out)
{
    vals_decode(v->c->data + (v->c->has_st ? 8 : 0), v->bytes, v->c->scale, n, out);
}

uint32_t times_lower(const int64_t *t, uint32_t n, int64_t at)
{
    uint32_t lo = 0;

    while (n > 0) {
        uint32_t half = n / 2;
        if (t[lo + half] < at) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* --- late rows ---------------------------------------------------------------------------------- */

static enum head_found lookup_late(const struct series *s, uint32_t dropped, int64_t t, double v)
{
    for (const struct late *l = atomic_load_explicit(&s->late, memory_order_acquire); l && l->gen > dropped;
         l = atomic_load_explicit(&l->prev, memory_order_acquire)) {
        uint32_t n = atomic_load_explicit(&l->n, memory_order_acquire);
        for (uint32_t i = 0; i < n; i++)
            if (l->rows[i].t == t)
                return f64_bits(l->rows[i].v) == f64_bits(v) ? HEAD_EQUAL : HEAD_OTHER;
    }
    return HEAD_ABSENT;
}

static double mark_at(const struct chunk_view *w, uint32_t i)
{
    const struct histogram *hists[CHUNK_SAMPLES_MAX];
    struct arena a = {0};
    double mark;

    chunk_hists(w, i + 1, &a, hists);
    mark = hist_mark(hists[i]);
    arena_release(&a);
    return mark;
}

enum head_found head_lookup(const struct series *s, uint32_t dropped, int64_t t, double v)
{
    double values[CHUNK_SAMPLES_MAX];

    for (const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire); c && c->gen > dropped;
         c = atomic_load_explicit(&c->prev, memory_order_acquire)) {
        struct chunk_view w;
        uint32_t i;
        chunk_look(c, &w);
        i = times_lower(w.t, w.n, t);
        if (i < w.n && w.t[i] == t && c->has_hists)
            return f64_bits(mark_at(&w, i)) == f64_bits(v) ? HEAD_EQUAL : HEAD_OTHER;
        if (i < w.n && w.t[i] == t) {
            chunk_values(&w, i + 1, values);
            return f64_bits(values[i]) == f64_bits(v) ? HEAD_EQUAL : HEAD_OTHER;
        }
        if (w.n && w.t[0] < t)
            break; /* older chunks are older still */
    }
    return lookup_late(s, dropped, t, v);
}

static void append_late(struct appender *a, struct series *s, int64_t t, double v, int64_t st, const struct histogram *h)
{
    struct late *l = atomic_load_explicit(&s->late, memory_order_relaxed);
    uint32_t n = l ? atomic_load_explicit(&l->n, memory_order_relaxed) : 0;

    if (!l || l->gen != a->open->number || n == l->cap) {
        uint32_t cap = l && l->gen == a->open->number ? MIN(l->cap * 2, (uint32_t)LATE_MAX) : LATE_FIRST;
        struct late *more = gen_alloc(a, sizeof *more + sizeof(struct late_row) * cap);
        atomic_store_explicit(&more->prev, l, memory_order_relaxed);
        more->gen = a->open->number;
        more->cap = cap;
        n = 0;
        atomic_store_explicit(&more->n, 0, memory_order_relaxed);
        atomic_store_explicit(&s->late, more, memory_order_release);
        l = more;
    }
    l->rows[n] = (struct late_row){t, v, st, h ? late_put_hist(a, h) : NULL};
    atomic_store_explicit(&l->n, n + 1, memory_order_release);
    a->open->nlate++;
}

/* --- append ------------------------------------------------------------------------------------- */

static void set_last(struct series *s, int64_t t, double v)
{
    uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

    atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&s->last_t, (uint64_t)t, memory_order_release);
    atomic_store_explicit(&s->last_v, f64_bits(v), memory_order_release);
    atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

static void lower_to(_Atomic int64_t *min, int64_t t)
{
    int64_t now = atomic_load_explicit(min, memory_order_relaxed);

    while (t < now && !atomic_compare_exchange_weak_explicit(min, &now, t, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void raise_to(_Atomic int64_t *max, int64_t t)
{
    int64_t now = atomic_load_explicit(max, memory_order_relaxed);

    while (t > now && !atomic_compare_exchange_weak_explicit(max, &now, t, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void widen(struct appender *a, int64_t t)
{
    struct gen *g = a->open;
    struct head *h = a->head;

    if (t < g->mint)
        g->mint = t;
    if (t > g->maxt)
        g->maxt = t;
    lower_to(&h->mint, t);
    raise_to(&h->maxt, t);
}

/* The series' chunk, if it can take a sample at t: then its column has t at the chunk's next place. */
static inline struct chunk *chunk_at(struct appender *a, struct series *s, int64_t t, int64_t st, bool hists)
{
    struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_relaxed);

    if (!c || c->gen != a->open->number || c->has_hists != hists || chunk_st(c) != st)
        return NULL;
    if (!column_take(a, c->col, c->start + pub_n(atomic_load_explicit(&c->pub, memory_order_relaxed)), t))
        return NULL;
    return c;
}

static void append_new_chunk(struct appender *a, struct series *s, int64_t t, double v, int64_t st, const struct histogram *h)
{
    struct chunk *prev = atomic_load_explicit(&s->chunk, memory_order_relaxed), *c;
    bool same_gen = prev && prev->gen == a->open->number;
    uint32_t at, prev_n = prev ? pub_n(atomic_load_explicit(&prev->pub, memory_order_relaxed)) : 0;
    struct column *col;
    bool full = same_gen && chunk_st(prev) == st && column_take(a, prev->col, prev->start + prev_n, t);

    if (full) {
        col = prev->col;
        at = prev->start + prev_n;
    } else {
        col = column_for(a, t, same_gen && prev_n < CHUNK_STEADY && chunk_st(prev) == st, &at);
    }
    c = h ? chunk_new_hist(a, prev, col, at, st, h) : chunk_new(a, prev, col, at, st, full && !prev->has_hists);
    if (!h && !chunk_put(c, 0, v))
        assert(!"an empty chunk has room for a value");
    atomic_store_explicit(&s->chunk, c, memory_order_release);
}

/* h: the histogram whose mark v is, or NULL. */
static inline __attribute__((always_inline)) void append(struct appender *a, struct series *s, int64_t t, double v, int64_t st,
                                                         const struct histogram *h)
{
    int64_t last_t = (int64_t)atomic_load_explicit(&s->last_t, memory_order_relaxed);
    double last_v = f64_from_bits(atomic_load_explicit(&s->last_v, memory_order_relaxed));
    struct chunk *c;

    if (t <= last_t) {
        if (t == last_t || head_lookup(s, atomic_load_explicit(&a->head->dropped, memory_order_relaxed), t, v) != HEAD_ABSENT)
            return;
        append_late(a, s, t, v, st, h);
    } else {
        c = chunk_at(a, s, t, st, h != NULL);
        if (!c || !(h ? chunk_put_hist(a, c, h) : chunk_put(c, last_v, v)))
            append_new_chunk(a, s, t, v, st, h);
        c = atomic_load_explicit(&s->chunk, memory_order_relaxed);
        a->hint = (struct hint){t, c->col, c->start + pub_n(atomic_load_explicit(&c->pub, memory_order_relaxed)) - 1};
        set_last(s, t, v);
    }
    if (st || h)
        atomic_fetch_or_explicit(&s->flags, (uint8_t)((st ? SERIES_ST : 0) | (h ? SERIES_HISTS : 0)), memory_order_relaxed);
    widen(a, t);
    a->open->samples++;
}

void appender_append(struct appender *a, struct series *s, int64_t t, double v, int64_t st)
{
    append(a, s, t, v, st, NULL);
}

void appender_append_hist(struct appender *a, struct series *s, int64_t t, const struct histogram *h, double mark, int64_t st)
{
    append(a, s, t, mark, st, h);
}

void head_touch(struct series *s, int64_t t, double v)
{
    if (t > (int64_t)atomic_load_explicit(&s->last_t, memory_order_relaxed))
        set_last(s, t, v);
}

/* --- gens --------------------------------------------------------------------------------------- */

struct gen *gen_new(uint32_t number)
{
    struct gen *g = x_zalloc(sizeof *g);

    g->number = number;
    g->mint = INT64_MAX;
    g->maxt = INT64_MIN;
    return g;
}

void appender_init(struct appender *a, struct head *h)
{
    *a = (struct appender){.head = h, .open = gen_new(h->appender.open->number)};
}

void appender_release(struct appender *a)
{
    struct gen *from = a->open, *to;
    struct gen_run **end;

    if (!from)
        return;
    to = a->head->appender.open;
    assert(from->number == to->number);
    for (end = &to->runs; *end;)
        end = &(*end)->next;
    *end = from->runs;
    to->bytes += from->bytes;
    to->samples += from->samples;
    to->nlate += from->nlate;
    to->mint = MIN(to->mint, from->mint);
    to->maxt = MAX(to->maxt, from->maxt);
    free(from);
    arena_release(&a->hists);
    memset(a, 0, sizeof *a);
}

struct gen *head_cut(struct head *h, bool even_empty)
{
    struct gen *g = h->appender.open, *fresh;

    if (g->samples == 0 && !even_empty)
        return NULL;
    fresh = gen_new(g->number + 1);
    g->state = GEN_FROZEN;
    g->next = fresh;
    h->appender = (struct appender){.head = h, .open = fresh, .hists = h->appender.hists};
    atomic_fetch_add(&h->frozen_bytes, g->bytes);
    atomic_store(&h->open_bytes, 0);
    return g;
}

/* What the gens that still count have. Under apply_mu. */
static void refresh_bounds(struct head *h)
{
    int64_t mint = INT64_MAX, maxt = INT64_MIN;

    for (const struct gen *g = h->gens; g; g = g->next)
        if (g->state <= GEN_FROZEN) {
            mint = MIN(mint, g->mint);
            maxt = MAX(maxt, g->maxt);
        }
    atomic_store_explicit(&h->mint, mint, memory_order_relaxed);
    atomic_store_explicit(&h->maxt, maxt, memory_order_relaxed);
}

void head_drop(struct head *h, struct gen *g)
{
    pthread_mutex_lock(&h->apply_mu);
    assert(g->state == GEN_FROZEN);
    g->state = GEN_DROPPED;
    atomic_fetch_sub(&h->frozen_bytes, g->bytes);
    atomic_store_explicit(&h->dropped, g->number, memory_order_release);
    g->line = epoch_advance(&h->epoch);
    refresh_bounds(h);
    pthread_mutex_unlock(&h->apply_mu);
}

/* Cuts the chains of a series where they reach gens up to `number`. Under apply_mu. */
static void unlink_series(struct series *s, uint32_t number)
{
    _Atomic(struct chunk *) *at = &s->chunk;
    _Atomic(struct late *) *late = &s->late;

    for (struct chunk *c; (c = atomic_load_explicit(at, memory_order_relaxed)) && c->gen > number;)
        at = &c->prev;
    if (atomic_load_explicit(at, memory_order_relaxed))
        atomic_store_explicit(at, NULL, memory_order_release);
    for (struct late *l; (l = atomic_load_explicit(late, memory_order_relaxed)) && l->gen > number;)
        late = &l->prev;
    if (atomic_load_explicit(late, memory_order_relaxed))
        atomic_store_explicit(late, NULL, memory_order_release);
}

/* Bit by bit, so that the applier waits for one at most. Only the flush thread removes blocks, and it is we. */
static void unlink_gen(struct head *h, uint32_t number)
{
    uint32_t nrefs;

    pthread_rwlock_rdlock(&h->index_lock);
    nrefs = h->nrefs;
    pthread_rwlock_unlock(&h->index_lock);
    for (uint32_t ref = 0; ref < nrefs; ref += HEAD_BLOCK) {
        struct series *b = head_block(h, ref);
        for (uint32_t i = 0; b && i < HEAD_BLOCK && ref + i < nrefs; i += UNLINK_BATCH) {
            pthread_mutex_lock(&h->apply_mu);
            for (uint32_t k = i; k < i + UNLINK_BATCH && ref + k < nrefs; k++)
                unlink_series(b + k, number);
            pthread_mutex_unlock(&h->apply_mu);
        }
    }
}

void head_reclaim(struct head *h)
{
    struct gen *g;

    for (g = h->gens; g->state == GEN_DROPPED || g->state == GEN_UNLINKED; g = h->gens) {
        if (!epoch_passed(&h->epoch, g->line))
            return;
        if (g->state == GEN_DROPPED) {
            unlink_gen(h, g->number);
            g->state = GEN_UNLINKED;
            g->line = epoch_advance(&h->epoch);
            continue;
        }
        pthread_mutex_lock(&h->apply_mu);
        h->gens = g->next;
        pthread_mutex_unlock(&h->apply_mu);
        gen_free(g);
    }
    epoch_reclaim(&h->epoch);
}
