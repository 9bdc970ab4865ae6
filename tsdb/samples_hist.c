/*
 * samples_hist.c - histograms in the head's chunks. A chunk has one layout; its samples follow each other as in hist.h,
 * each as what differs from the one before.
 *
 *   data of such a chunk    [8 bytes start timestamp]  8 bytes: its track  samples
 *   late row                4 bytes length, layout, sample
 *
 * A histogram with a bucket that the layout lacks begins a new chunk, whose layout has the buckets of both; so series
 * whose buckets appear one after another soon need no more.
 */
#include "tsdb/samples.h"

#include <assert.h>

enum { FIRST_BYTES = 192, BYTES_MAX = 4096, PUB_BYTES_MAX = 60000 };

/* What the samples of a chunk lean on. The layout never changes; `last` is the applier's. */
struct track {
    struct hist_layout l;
    int64_t last[];
};

static uint32_t track_at(const struct chunk *c)
{
    return c->has_st ? 8 : 0;
}

static struct track *chunk_track(const struct chunk *c)
{
    struct track *t;

    memcpy(&t, c->data + track_at(c), sizeof t);
    return t;
}

/* The ops begin behind it. */
static uint32_t head_bytes(const struct chunk *c)
{
    return track_at(c) + (uint32_t)sizeof(struct track *);
}

/* In a: bytes of h, as a chunk of that layout goes on with it. */
static struct str encode(struct arena *a, const struct hist_layout *l, int64_t *last, const struct histogram *h)
{
    uint32_t n = hist_layout_cells(l);
    double *cells = arena_alloc(a, n * sizeof *cells);
    uint8_t *p = arena_alloc(a, hist_put_max(n));

    return str_n((const char *)p, (size_t)(hist_put(p, l, h, last, cells) - p));
}

bool chunk_put_hist(struct appender *a, struct chunk *c, const struct histogram *h)
{
    uint32_t pub = atomic_load_explicit(&c->pub, memory_order_relaxed), n = pub >> 16, used = pub & 0xffff;
    struct track *t = chunk_track(c);
    struct str bytes;

    if (n >= CHUNK_SAMPLES_MAX || (!hist_stale(h) && !hist_layout_holds(&t->l, h)))
        return false;
    arena_reset(&a->hists);
    bytes = encode(&a->hists, &t->l, t->last, h);
    if (head_bytes(c) + used + bytes.n > c->cap)
        return false; /* and `last` is of no more use */
    memcpy(c->data + head_bytes(c) + used, bytes.p, bytes.n);
    atomic_store_explicit(&c->pub, (n + 1) << 16 | (uint32_t)(used + bytes.n), memory_order_release);
    return true;
}

/* --- new chunks ----------------------------------------------------------------------------------- */

/* A track of the layout, its arrays those of `from` (may be NULL) where they are the same. */
static struct track *track_new(struct appender *a, const struct hist_layout *l, const struct track *from)
{
    uint32_t n = hist_layout_cells(l), nat = n - 1;
    struct track *t = gen_alloc(a, sizeof *t + n * sizeof t->last[0]);

    t->l = *l;
    memset(t->last, 0, n * sizeof t->last[0]);
    if (!from || l->at != from->l.at) {
        int32_t *at = gen_alloc(a, (nat + (size_t)1) * sizeof *at);
        memcpy(at, l->at, nat * sizeof *at);
        t->l.at = at;
    }
    if (from && hist_layout_bounds_equal(l, &from->l)) {
        t->l.bounds = from->l.bounds;
    } else {
        double *bounds = gen_alloc(a, (l->nbounds + (size_t)1) * sizeof *bounds);
        if (l->nbounds)
            memcpy(bounds, l->bounds, l->nbounds * sizeof *bounds);
        t->l.bounds = bounds;
    }
    return t;
}

/* A layout for what comes after the track's samples and begins with h. */
static void next_layout(struct appender *a, const struct track *from, const struct histogram *h, struct hist_layout *l)
{
    static const int32_t nowhere[1];

    if (from && (hist_stale(h) || hist_layout_holds(&from->l, h)))
        *l = from->l;
    else if (hist_stale(h))
        *l = (struct hist_layout){.at = nowhere};
    else if (!from || !hist_layout_alike(&from->l, h) || !hist_layout_join(&from->l, h, &a->hists, l))
        hist_layout_of(h, &a->hists, l);
}

struct chunk *chunk_new_hist(struct appender *a, struct chunk *prev, struct column *col, uint32_t at, int64_t st,
                             const struct histogram *h)
{
    bool goes_on = prev && prev->gen == a->open->number && prev->has_hists;
    struct track *from = goes_on ? chunk_track(prev) : NULL, *t;
    uint32_t cap = goes_on ? MIN(prev->cap * 2u, (uint32_t)BYTES_MAX) : FIRST_BYTES;
    struct hist_layout l;
    struct chunk *c;
    struct str bytes;

    arena_reset(&a->hists);
    next_layout(a, from, h, &l);
    t = track_new(a, &l, from);
    bytes = encode(&a->hists, &t->l, t->last, h);
    if (bytes.n > PUB_BYTES_MAX) { /* of its own buckets alone it is less */
        hist_layout_of(h, &a->hists, &l);
        t = track_new(a, &l, from);
        bytes = encode(&a->hists, &t->l, t->last, h);
    }
    assert(bytes.n <= PUB_BYTES_MAX);
    cap = MAX(cap, (uint32_t)bytes.n + 16);
    c = gen_alloc(a, CHUNK_HEADER + cap);
    memset(c, 0, CHUNK_HEADER);
    atomic_store_explicit(&c->prev, prev, memory_order_relaxed);
    c->col = col;
    c->start = at;
    c->gen = a->open->number;
    c->cap = (uint16_t)cap;
    c->has_st = st != 0;
    c->has_hists = true;
    if (st)
        memcpy(c->data, &st, sizeof st);
    memcpy(c->data + track_at(c), &t, sizeof t);
    memcpy(c->data + head_bytes(c), bytes.p, bytes.n);
    atomic_store_explicit(&c->pub, 1u << 16 | (uint32_t)bytes.n, memory_order_release);
    return c;
}

/* --- reading -------------------------------------------------------------------------------------- */

void chunk_hists(const struct chunk_view *v, uint32_t n, struct arena *a, const struct histogram **out)
{
    const struct hist_layout *l = &chunk_track(v->c)->l;
    const uint8_t *p = v->c->data + head_bytes(v->c), *end = p + v->bytes;
    int64_t *last = arena_array(a, int64_t, hist_layout_cells(l));
    double *cells = arena_alloc(a, hist_layout_cells(l) * sizeof *cells);

    for (uint32_t i = 0; i < n; i++) {
        struct histogram *h;
        p = hist_get(p, end, l, last, cells, a, &h);
        assert(p); /* the bytes are our own */
        out[i] = h;
    }
}

/* --- late rows ------------------------------------------------------------------------------------ */

const uint8_t *late_put_hist(struct appender *a, const struct histogram *h)
{
    static const int32_t nowhere[1];
    struct hist_layout l = {.at = nowhere};
    struct buf layout = {0};
    struct str bytes;
    uint8_t *p;

    arena_reset(&a->hists);
    if (!hist_stale(h))
        hist_layout_of(h, &a->hists, &l);
    hist_layout_put(&layout, &l);
    bytes = encode(&a->hists, &l, NULL, h);
    p = gen_alloc(a, 4 + layout.n + bytes.n);
    put_u32le(p, (uint32_t)(layout.n + bytes.n));
    memcpy(p + 4, layout.p, layout.n);
    memcpy(p + 4 + layout.n, bytes.p, bytes.n);
    buf_release(&layout);
    return p;
}

struct histogram *late_hist(const struct late_row *row, struct arena *a)
{
    const uint8_t *p = row->h, *end;
    struct hist_layout l;
    struct histogram *h;

    if (!p)
        return NULL;
    end = p + 4 + get_u32le(p);
    p += 4;
    if (!hist_layout_get(&p, end, a, &l) ||
        !hist_get(p, end, &l, NULL, arena_alloc(a, hist_layout_cells(&l) * sizeof(double)), a, &h))
        assert(!"the bytes are our own");
    return h;
}
