/*
 * head.c - see head.h.
 *
 *   log_head_piece ─▶ filled by its batch ─▶ journal ─▶ log_head_apply ─▶ open gen ──log_head_cut──▶ frozen gen ──log_head_drop──▶ freed with the
 *        └──────── log_head_drop_piece (nothing was committed)                                            last view of it
 *
 * (1) Of rows equal in stream, time, line and metadata one is visible in the head: the first that was committed. Both gens
 * are asked (same.h), so this holds across a cut. (2) A row that is not newer than what its stream has in partitions is ROW_LATE
 * from the moment it becomes visible; streams learn of a flush (disk_maxt) before the flushed gen's table goes. So a row that is
 * neither dead nor late is nowhere else. (3) Pieces of a view do not change: appending makes a new newest one.
 */
#include "logstore/head.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = 4 << 20, CHUNK_SHARE_MAX = 1 << 20, SPARES_MAX = 16 /* about what a flush gives back: the next lines take it */, PROBES = 32 };

/* --- memory ----------------------------------------------------------------------------------------- */

struct log_chunk {
    struct log_chunk *next; /* among the spare ones */
    _Atomic uint32_t refs;
    size_t size, used;
};

static struct log_chunk *chunk_map(size_t size)
{
    struct log_chunk *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (c == MAP_FAILED) {
        log_error("logstore", "no memory for %zu bytes of log lines", size);
        abort();
    }
    c->size = size;
    return c;
}

static struct log_chunk *chunk_new(struct log_head *h, size_t bytes)
{
    size_t size = (sizeof(struct log_chunk) + bytes + 4095) & ~(size_t)4095;
    struct log_chunk *c = NULL;

    if (size <= CHUNK_BYTES) {
        size = CHUNK_BYTES;
        pthread_mutex_lock(&h->chunk_mu);
        if ((c = h->spare)) {
            h->spare = c->next;
            h->nspare--;
        }
        pthread_mutex_unlock(&h->chunk_mu);
    }
    if (!c)
        c = chunk_map(size);
    c->next = NULL;
    c->refs = 1;
    c->used = sizeof *c;
    return c;
}

static void chunk_unref(struct log_head *h, struct log_chunk *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (c->size == CHUNK_BYTES) {
        pthread_mutex_lock(&h->chunk_mu);
        if (h->nspare < SPARES_MAX) {
            c->next = h->spare;
            h->spare = c;
            h->nspare++;
            c = NULL;
        }
        pthread_mutex_unlock(&h->chunk_mu);
    }
    if (c)
        munmap(c, c->size);
}

static void *cut(struct log_chunk *c, size_t n)
{
    void *p = (char *)c + c->used;

    if (c->size - c->used < n)
        return NULL;
    c->used += n;
    return p;
}

/* n bytes, and the chunk they are in with a reference. */
static void *reserve(struct log_head *h, size_t n, struct log_chunk **in)
{
    struct log_chunk *fresh, *old = NULL;
    void *p = NULL;

    n = (n + 15) & ~(size_t)15;
    if (n > CHUNK_SHARE_MAX) {
        *in = chunk_new(h, n);
        return cut(*in, n);
    }
    pthread_mutex_lock(&h->chunk_mu);
    if (h->chunk && (p = cut(h->chunk, n)))
        atomic_fetch_add_explicit(&h->chunk->refs, 1, memory_order_relaxed);
    *in = h->chunk;
    pthread_mutex_unlock(&h->chunk_mu);
    if (p)
        return p;
    fresh = chunk_new(h, n);
    p = cut(fresh, n);
    atomic_fetch_add_explicit(&fresh->refs, 1, memory_order_relaxed);
    *in = fresh;
    pthread_mutex_lock(&h->chunk_mu);
    old = h->chunk;
    h->chunk = fresh;
    pthread_mutex_unlock(&h->chunk_mu);
    chunk_unref(h, old);
    return p;
}

struct log_piece *log_head_piece(struct log_head *h, uint32_t nrows, size_t nlabels, size_t nbytes, struct label **labels, char **bytes)
{
    size_t rows_bytes = nrows * sizeof(struct log_head_row), labels_bytes = nlabels * sizeof(struct label);
    struct log_chunk *c;
    char *at = reserve(h, sizeof(struct log_piece) + 16 + rows_bytes + labels_bytes + nbytes, &c);
    struct log_piece *p = (struct log_piece *)at;

    _Static_assert(sizeof(struct log_piece) % 16 == 0 || sizeof(struct log_piece) % 8 == 0, "rows are aligned behind it");
    *p = (struct log_piece){.chunk = c, .nrows = nrows, .mint = INT64_MAX, .maxt = INT64_MIN};
    p->bytes = sizeof *p + rows_bytes + labels_bytes + nbytes;
    p->rows = (struct log_head_row *)(p + 1);
    *labels = (struct label *)(p->rows + nrows);
    *bytes = (char *)(*labels + nlabels);
    atomic_fetch_add_explicit(&h->bytes, p->bytes, memory_order_relaxed);
    return p;
}

void log_head_drop_piece(struct log_head *h, struct log_piece *p)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&h->bytes, p->bytes, memory_order_relaxed);
    chunk_unref(h, p->chunk); /* p lies in it */
}

struct log_chunk *log_head_hold(struct log_piece *p)
{
    atomic_fetch_add_explicit(&p->chunk->refs, 1, memory_order_relaxed);
    return p->chunk;
}

void log_head_let_go(struct log_head *h, struct log_chunk *c)
{
    chunk_unref(h, c);
}

/* While nothing is coming memory goes back to the system. */
static void drop_spares(struct log_head *h)
{
    struct log_chunk *c;

    pthread_mutex_lock(&h->chunk_mu);
    c = h->spare;
    h->spare = NULL;
    h->nspare = 0;
    pthread_mutex_unlock(&h->chunk_mu);
    for (struct log_chunk *next; c; c = next) {
        next = c->next;
        munmap(c, c->size);
    }
}

/* --- gens ------------------------------------------------------------------------------------------- */

static struct log_gen *gen_new(struct log_head *h, const struct log_gen *before)
{
    struct log_gen *g = x_zalloc(sizeof *g);

    g->refs = 1;
    g->number = before ? before->number + 1 : 1;
    g->mint = INT64_MAX;
    g->maxt = INT64_MIN;
    log_same_init(&g->same, &h->bytes);
    return g;
}

struct log_gen *log_gen_ref(struct log_gen *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void log_gen_unref(struct log_head *h, struct log_gen *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) > 1)
        return;
    log_same_release(&g->same);
    for (struct log_piece *p = g->newest, *prev; p; p = prev) {
        prev = p->prev;
        log_head_drop_piece(h, p);
    }
    for (uint32_t i = 0; i < g->nstreams; i++)
        log_stream_unref(g->streams[i]);
    free(g->streams);
    free(g);
}

void log_head_init(struct log_head *h)
{
    memset(h, 0, sizeof *h);
    log_streams_init(&h->streams);
    pthread_mutex_init(&h->mu, NULL);
    pthread_mutex_init(&h->chunk_mu, NULL);
    h->open = gen_new(h, NULL);
}

void log_head_release(struct log_head *h)
{
    if (!h->open)
        return;
    log_gen_unref(h, h->open);
    log_gen_unref(h, h->frozen);
    chunk_unref(h, h->chunk);
    drop_spares(h);
    log_past_release(&h->past);
    log_streams_release(&h->streams);
    pthread_mutex_destroy(&h->mu);
    pthread_mutex_destroy(&h->chunk_mu);
    memset(h, 0, sizeof *h);
}

/* --- equal rows --------------------------------------------------------------------------------------- */

uint64_t log_head_row_hash(const struct log_stream *s, int64_t t_ns, uint64_t line_hash, uint64_t meta_hash)
{
    uint64_t x = (line_hash ^ s->id.lo) * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 32;
    x = (x + (uint64_t)t_ns) * UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x = (x ^ meta_hash) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

bool log_row_equals(const struct log_head_row *a, struct str line, const struct label *meta, uint32_t nmeta)
{
    if (a->line_bytes != line.n || a->nmeta != nmeta || (line.n && memcmp(a->line, line.p, line.n) != 0))
        return false;
    for (uint32_t i = 0; a->meta != meta && i < nmeta; i++)
        if (!str_eq(a->meta[i].name, meta[i].name) || !str_eq(a->meta[i].value, meta[i].value))
            return false;
    return true;
}

bool log_head_rows_equal(const struct log_head_row *a, const struct log_head_row *b)
{
    return a->hash == b->hash && a->t_ns == b->t_ns && a->stream == b->stream &&
           log_row_equals(a, str_n(b->line, b->line_bytes), b->meta, b->nmeta);
}

/* Under mu. */
static bool is_same(struct log_head *h, const struct log_head_row *r)
{
    return log_same_has(&h->open->same, r) || (h->frozen && log_same_has(&h->frozen->same, r));
}

/* Under mu. Is one of a few rows there? What is sent again comes as the batches that it was. */
static bool any_same(struct log_head *h, const struct log_piece *p)
{
    uint32_t step = p->nrows / PROBES + 1;
    bool any = false;

    for (uint32_t i = 0; i < p->nrows && !any; i += step)
        any = p->rows[i].t_ns <= p->rows[i].stream->head_maxt && is_same(h, &p->rows[i]);
    return any;
}

uint32_t log_head_find_same(struct log_head *h, struct log_piece *p)
{
    uint32_t n = 0;

    pthread_mutex_lock(&h->mu);
    for (uint32_t i = 0, end = any_same(h, p) ? p->nrows : 0; i < end; i++) {
        struct log_head_row *r = &p->rows[i];
        if (r->t_ns > r->stream->head_maxt || !is_same(h, r))
            continue;
        r->state = ROW_DEAD;
        n++;
    }
    pthread_mutex_unlock(&h->mu);
    return n;
}

/* --- committed rows ------------------------------------------------------------------------------------- */

/* Under mu. */
static void meet_stream(struct log_gen *g, struct log_stream *s)
{
    if (s->gen == g->number)
        return;
    s->gen = g->number;
    if (g->nstreams == g->streams_cap) {
        g->streams_cap = g->streams_cap ? g->streams_cap * 2 : 16;
        g->streams = x_realloc(g->streams, g->streams_cap * sizeof(struct log_stream *));
    }
    g->streams[g->nstreams++] = log_stream_ref(s);
}

/* Under mu. */
static void add_piece(struct log_head *h, struct log_gen *g, struct log_piece *p, uint32_t live)
{
    p->prev = g->newest;
    p->number = ++g->npieces;
    g->newest = p;
    g->rows += live;
    g->bytes += p->bytes;
    g->mint = MIN(g->mint, p->mint);
    g->maxt = MAX(g->maxt, p->maxt);
    atomic_fetch_add_explicit(&h->rows, live, memory_order_relaxed);
}

void log_head_apply(struct log_head *h, struct log_piece *p, uint64_t seq, uint32_t *same, uint64_t *same_bytes)
{
    uint32_t live = 0;
    bool late = false;
    struct same_piece within = {0};
    struct log_gen *g;

    *same = 0;
    *same_bytes = 0;
    pthread_mutex_lock(&h->mu);
    g = h->open;
    if (p)
        log_same_begin(&g->same, p, &within);
    for (uint32_t i = 0; p && i < p->nrows; i++) {
        struct log_head_row *r = &p->rows[i];
        struct log_stream *s = r->stream;
        uint8_t state = r->state;

        if (state == ROW_DEAD)
            continue;
        if (r->t_ns <= s->head_maxt && (is_same(h, r) || log_same_within(&g->same, &within, i))) {
            r->state = ROW_DEAD;
            ++*same;
            *same_bytes += r->line_bytes;
            continue;
        }
        r->state = r->t_ns <= s->disk_maxt ? ROW_LATE : ROW_FRESH;
        r->again = r->t_ns <= s->disk_maxt && log_past_had(&h->past, r->t_ns, r->hash);
        if (r->again) {
            ++*same;
            *same_bytes += r->line_bytes;
        }
        late |= r->t_ns <= s->disk_maxt;
        s->head_maxt = MAX(s->head_maxt, r->t_ns);
        meet_stream(g, s);
        p->mint = MIN(p->mint, r->t_ns);
        p->maxt = MAX(p->maxt, r->t_ns);
        live++;
    }
    if (live) {
        atomic_store_explicit(&p->any_late, late, memory_order_relaxed);
        if (late)
            atomic_store_explicit(&g->any_late, true, memory_order_relaxed);
        add_piece(h, g, p, live);
        log_same_end(&g->same, &within, live);
    }
    h->seq_applied = seq;
    pthread_mutex_unlock(&h->mu);
    if (!live)
        log_head_drop_piece(h, p);
}

/* --- flushing ------------------------------------------------------------------------------------------- */

struct log_gen *log_head_cut(struct log_head *h, uint64_t done_seq)
{
    struct log_gen *g = NULL;

    pthread_mutex_lock(&h->mu);
    assert(!h->frozen);
    if (h->open->npieces) {
        g = h->frozen = h->open;
        h->open = gen_new(h, g);
        atomic_store(&g->seq, MAX(h->seq_applied, done_seq));
    }
    pthread_mutex_unlock(&h->mu);
    return g;
}

void log_head_drop(struct log_head *h, struct log_gen *g)
{
    uint32_t npast;
    struct past_group *past = log_past_of(g, &npast);
    bool quiet;

    pthread_mutex_lock(&h->mu);
    assert(h->frozen == g);
    log_past_add(&h->past, past, npast);
    /* What is in the open gen already came while the frozen one's table was there: it is not in what is flushed now. */
    for (uint32_t i = 0; i < g->nstreams; i++)
        g->streams[i]->disk_maxt = MAX(g->streams[i]->disk_maxt, MIN(g->streams[i]->head_maxt, g->maxt));
    h->frozen = NULL;
    log_same_release(&g->same);
    quiet = h->open->bytes < CHUNK_BYTES;
    pthread_mutex_unlock(&h->mu);
    atomic_fetch_sub_explicit(&h->rows, g->rows, memory_order_relaxed);
    log_gen_unref(h, g);
    if (quiet)
        drop_spares(h);
}

/* --- views ------------------------------------------------------------------------------------------------ */

/* Under mu. */
static void view_gen(struct log_head_view *v, struct log_gen *g)
{
    struct log_head_part *p = &v->v[v->n];

    if (!g || !g->npieces)
        return;
    v->n++;
    *p = (struct log_head_part){log_gen_ref(g), g->newest, g->npieces, g->nstreams, g->mint, g->maxt, NULL};
    p->streams = x_alloc((g->nstreams + 1) * sizeof(struct log_stream *));
    memcpy(p->streams, g->streams, g->nstreams * sizeof(struct log_stream *));
}

void log_head_view_open(struct log_head *h, struct log_head_view *v)
{
    v->n = 0;
    pthread_mutex_lock(&h->mu);
    view_gen(v, h->frozen);
    view_gen(v, h->open);
    pthread_mutex_unlock(&h->mu);
    pthread_mutex_lock(&h->streams.mu);
    v->nslots = h->streams.nslots;
    pthread_mutex_unlock(&h->streams.mu);
}

void log_head_view_close(struct log_head *h, struct log_head_view *v)
{
    for (uint32_t i = 0; i < v->n; i++) {
        free(v->v[i].streams);
        log_gen_unref(h, v->v[i].gen);
    }
    v->n = 0;
}
