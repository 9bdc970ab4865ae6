/*
 * head.h - what the last hours brought, in memory: the table of active series and their newest samples.
 *
 *   series ── chunk ── chunk ── ...  newest first; a chunk is encoded values and a range of a shared time column
 *          └─ late ── late ── ...    samples older than the series' newest when they came, as plain rows
 *   column: the times of one scrape target, ascending; many series point into it
 *   gen:    all chunks, late rows and columns between two flushes, in one arena, given back at once
 *
 * Three parties touch it:
 *   the writer   whoever holds writer_mu: finds and makes series, checks samples against what was journalled (line 1 of
 * a series) the applier  whoever holds apply_mu, in the order of the journal: appends samples (line 2 of a series)
 *   readers      inside the epoch, no lock: chunks and columns by their published lengths; index_lock (shared) to match
 * labels Locks are taken in the order flush_mu, writer_mu, apply_mu, index_lock.
 *
 * (1) Bytes of a chunk and times of a column below the published length never change.
 * (2) A chunk of gen g is appended to only while g is the current gen; a flush first makes a new gen, then reads the
 * old one at leisure. (3) A reader takes from the head exactly the chunks of gens above the `dropped` it saw before it
 * opened partitions, and those stay reachable until it leaves. So a sample is seen in the head or in a partition, or in
 * both, never in neither. (4) Refs only grow: a ref is never used for another series.
 */
#ifndef TSDB_HEAD_H
#define TSDB_HEAD_H

#include "tsdb/epoch.h"
#include "tsdb/hist.h"
#include "tsdb/huge.h"
#include "tsdb/symbols.h"
#include "tsdb/vals.h"

/* A block of series is a huge page. */
enum { HEAD_BLOCK = 16384, HEAD_BLOCKS_MAX = 1 << 18, HEAD_NO_REF = 0xffffffff };
#define HEAD_NO_TIME INT64_MIN

/* Times of a target. `t` and `n` are stored with release; older arrays stay valid while their gen lives. */
struct column {
    _Atomic(int64_t *) t;
    _Atomic uint32_t n;
    uint32_t cap;
    uint32_t number; /* unique in the head's life: for times_id */
    /* Flush thread: the last (start, n) written and its number in the slice. */
    uint32_t slice_start, slice_n, slice_column;
    int32_t slice_day;
    uint32_t slice_tag;
};

/* With the header the sizes are 64, 128, 256, 512. */
enum { CHUNK_HEADER = 35, CHUNK_FIRST_BYTES = 29, CHUNK_BYTES_MAX = 477, CHUNK_SAMPLES_MAX = 2048 };

struct chunk {
    _Atomic(struct chunk *) prev; /* older, or NULL */
    struct column *col;
    uint32_t start; /* our first time in col */
    uint32_t gen;
    /* Published: samples << 16 | bytes. Samples beyond those in bytes repeat the last. */
    _Atomic uint32_t pub;
    uint16_t cap;
    uint16_t encoded; /* applier: samples that are in bytes */
    uint8_t state;    /* applier: vals.h */
    uint8_t scale;    /* of the first value */
    bool has_st : 1;    /* the first 8 bytes of data are the start timestamp of all its samples */
    bool has_hists : 1; /* its samples are histograms: samples_hist.c */
    uint8_t data[];
};
_Static_assert(offsetof(struct chunk, data) == CHUNK_HEADER, "a chunk's sizes are powers of two");

struct late_row {
    int64_t t;
    double v;
    int64_t st;
    const uint8_t *h; /* a histogram: late_hist; v is its mark */
};
struct late {
    _Atomic(struct late *) prev;
    uint32_t gen;
    uint32_t cap;
    _Atomic uint32_t n;
    struct late_row rows[];
};

enum { SERIES_LIVE = 1, SERIES_ST = 2 /* some sample had a start timestamp */, SERIES_HISTS = 4 /* was a histogram */ };

struct series {
    /* Line 1. Written by the writer; id, pairs and npairs are set before the ref is shown to anyone. */
    struct hash128 id;
    int64_t jt; /* newest time accepted, HEAD_NO_TIME when none */
    double jv;
    uint32_t file, local; /* journal file it is defined in, and its id there */
    double ev;            /* last value encoded in that file */
    uint8_t estate;       /* vals.h */
    _Atomic uint8_t flags;
    uint16_t npairs;
    uint32_t batch;   /* the last batch that touched it */
    uint32_t stretch; /* of the file, that ev is of */

    /* Line 2. Written by the applier; read by readers. seq is odd while t and v change. */
    _Atomic uint64_t last_t; /* int64_t bits */
    _Atomic uint64_t last_v; /* double bits */
    _Atomic(struct chunk *) chunk;
    _Atomic(struct late *) late;
    _Atomic uint32_t seq;
    uint32_t minute;       /* wall minutes of the last append */
    _Atomic uint64_t sid;  /* day << 32 | sid in its partition: series_set_sid. Flush thread; read by selects */
    const uint32_t *pairs; /* ids, in the order of labels */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct series) == 128, "two cache lines");

_Static_assert(sizeof(struct series) * HEAD_BLOCK == HUGE_PAGE, "a block of series is a huge page");

/* What a block of series has beside them. */
struct head_block {
    struct arena labels; /* pair lists */
    uint32_t ndead;
};

/* Memory of a gen: handed out from the front, given back all at once. */
struct gen_run {
    struct gen_run *next;
    size_t bytes;
};

struct gen {
    uint32_t number;
    struct gen_run *runs;
    char *at, *end;
    uint64_t bytes;
    int64_t mint, maxt; /* of its samples; mint > maxt when empty. Applier, until it is frozen */
    uint64_t samples, nlate;
    uint64_t line; /* epoch line, once dropped or unlinked */
    enum { GEN_OPEN, GEN_FROZEN, GEN_DROPPED, GEN_UNLINKED } state;
    struct gen *next;
};

struct ref_slot {
    uint32_t tag, ref1; /* ref + 1, 0 free */
};
struct alias_slot {
    struct hash128 key;
    uint32_t ref1;
};

enum { HINTS = 64 };
struct hint {
    int64_t t;
    struct column *col;
    uint32_t at;
};

/* Where samples are appended: the gen they go to, and the columns met last. */
struct appender {
    struct head *head;
    struct gen *open;
    struct hint hints[HINTS];
    struct hint hint;   /* of the series before */
    struct arena hists; /* of the histogram at hand */
};

struct head {
    struct epoch epoch;

    /* writer_mu: identities. The table may also be read under index_lock. */
    pthread_mutex_t writer_mu;
    struct ref_slot *slots;
    uint32_t slot_mask;
    struct alias_slot *aliases;
    uint32_t alias_mask, naliases;

    /* index_lock: exclusive (by the writer) to add or remove series, shared to look. */
    pthread_rwlock_t index_lock;
    struct symbols symbols;
    uint32_t nrefs;  /* refs given out */
    uint32_t *dying; /* pairs taken out, to be recycled once dying_line has passed */
    uint32_t ndying, dying_cap;
    uint64_t dying_line;

    /* Appear with release and stay until all of their series are gone. */
    _Atomic(struct series *) *blocks;
    struct head_block **block_infos; /* index_lock, exclusive */
    _Atomic(struct series *) spare;  /* the next block, or NULL: see head_make_spare */

    /* apply_mu */
    pthread_mutex_t apply_mu;
    struct gen *gens; /* oldest first; the last is the appender's */
    struct appender appender;

    /* Any thread. */
    _Atomic uint32_t dropped; /* gens up to this are in partitions */
    _Atomic uint32_t ncolumns;
    _Atomic uint64_t nlive, created, removed, index_bytes;
    _Atomic uint64_t open_bytes, frozen_bytes; /* of arenas that a flush would free */
    _Atomic int64_t mint, maxt;                /* of all samples in memory; mint > maxt when none */
};

void head_init(struct head *h);
void head_release(struct head *h);

/* The series of a block, NULL when all of them are gone. */
static inline struct series *head_block(const struct head *h, uint32_t ref)
{
    return atomic_load_explicit(&h->blocks[ref / HEAD_BLOCK], memory_order_acquire);
}
/* Any ref that was given out and not removed before the caller's epoch began. */
static inline struct series *head_series(const struct head *h, uint32_t ref)
{
    return head_block(h, ref) + ref % HEAD_BLOCK;
}
static inline bool series_live(const struct series *s)
{
    return atomic_load_explicit(&s->flags, memory_order_acquire) & SERIES_LIVE;
}

/* --- series: under writer_mu ------------------------------------------------------------------ */

static inline void head_prefetch_key(const struct head *h, struct hash128 key)
{
    __builtin_prefetch(&h->slots[(uint32_t)key.lo & h->slot_mask]);
}
/* By identity; also under index_lock alone. HEAD_NO_REF when unknown. */
uint32_t head_find(const struct head *h, struct hash128 id);
/* A good guess, from the table alone: the caller must compare the identity. HEAD_NO_REF: surely unknown. */
static inline uint32_t head_guess(const struct head *h, struct hash128 id)
{
    for (uint32_t i = (uint32_t)id.lo & h->slot_mask;; i = (i + 1) & h->slot_mask)
        if (!h->slots[i].ref1 || h->slots[i].tag == (uint32_t)(id.lo >> 32))
            return h->slots[i].ref1 - 1;
}
/* By another key that was given before. */
uint32_t head_find_alias(const struct head *h, struct hash128 key);
void head_add_alias(struct head *h, struct hash128 key, uint32_t ref);
/* A new series. Exclusive index_lock held. Pair ids in label order are copied. */
uint32_t head_add(struct head *h, struct hash128 id, const uint32_t *pairs, uint32_t npairs);
/*
 * Many at once, where the cache would miss on each: the refs of n series with these identities, made when unknown. Their pair
 * ids stand one series behind the other; one without pairs is none and gets HEAD_NO_REF. As head_add.
 */
void head_meet(struct head *h, uint32_t n, const struct hash128 *ids, const uint32_t *pairs, const uint32_t *npairs,
               uint32_t *refs);
/* Makes the next block of series beforehand: what costs is that its memory is new. Any thread. */
void head_make_spare(struct head *h);
/*
 * Removes the series for which idle(arg, ref, s), which is asked under writer_mu and apply_mu. Takes the locks itself;
 * returns how many went.
 */
uint32_t head_gc(struct head *h, bool (*idle)(void *arg, uint32_t ref, const struct series *s), void *arg);
/* Label set of a series; bytes borrowed while the epoch holds the series. */
void head_labels(const struct head *h, const struct series *s, struct arena *a, struct labels *out);
struct str head_label(const struct head *h, const struct series *s, struct str name);

/* --- samples: under apply_mu ------------------------------------------------------------------ */

static inline void head_prefetch_series(const struct head *h, uint32_t ref)
{
    const struct series *s = head_series(h, ref);

    __builtin_prefetch(s);
    __builtin_prefetch((const char *)s + 64);
}
/* Once the series itself is there: the head of its chunk, and where the next value goes. */
static inline void head_prefetch_chunk(const struct series *s)
{
    const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_relaxed);

    __builtin_prefetch(c, 1);
}
static inline void head_prefetch_tail(const struct series *s)
{
    const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_relaxed);

    if (c)
        __builtin_prefetch(c->data + (atomic_load_explicit(&c->pub, memory_order_relaxed) & 0xffff), 1);
}
/* Appends a sample in journal order. A time that is there already is left as it is. st 0: none. */
void appender_append(struct appender *a, struct series *s, int64_t t, double v, int64_t st);
static inline void head_append(struct head *h, struct series *s, int64_t t, double v, int64_t st)
{
    appender_append(&h->appender, s, t, v, st);
}
/* The same for a histogram that passed hist_check; mark is hist_mark's, which stands for it as the newest value. */
void appender_append_hist(struct appender *a, struct series *s, int64_t t, const struct histogram *h, double mark, int64_t st);
/*
 * A second thread appends at the same time, to series the others leave alone: with an appender of its own, whose gen is part
 * of the head's open one when it is released. No cut meanwhile. Release takes the half-built; under apply_mu.
 */
void appender_init(struct appender *a, struct head *h);
void appender_release(struct appender *a);
/* Remembers a sample that is on disk already as the newest, without storing it (replay). Of a histogram, v is the mark, and
 * the caller sets SERIES_HISTS. */
void head_touch(struct series *s, int64_t t, double v);
struct gen *gen_new(uint32_t number);
void gen_free(struct gen *g);
/* Begins a new gen and returns the one that was open, frozen: the flush owns writing it. NULL when it is empty (unless
 * asked for). */
struct gen *head_cut(struct head *h, bool even_empty);
/* All rows of g are in partitions. Takes apply_mu itself. */
void head_drop(struct head *h, struct gen *g);
/* Moves dropped gens on: unlink once no reader needs them, free once none can see them. Takes apply_mu itself. */
void head_reclaim(struct head *h);

/* --- reading: inside the epoch ----------------------------------------------------------------- */

/* The newest sample of a series, consistent; false when it has none. */
static inline bool series_last(const struct series *s, int64_t *t, double *v)
{
    for (;;) {
        uint32_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);
        int64_t lt = (int64_t)atomic_load_explicit(&s->last_t, memory_order_acquire);
        uint64_t lv = atomic_load_explicit(&s->last_v, memory_order_acquire);
        if (seq & 1 || atomic_load_explicit(&s->seq, memory_order_relaxed) != seq)
            continue;
        *t = lt;
        *v = f64_from_bits(lv);
        return lt != HEAD_NO_TIME;
    }
}

/* What the last flush noted: the day (INT32_MIN: none) and the sid there. */
static inline int32_t series_sid(const struct series *s, uint32_t *sid)
{
    uint64_t both = atomic_load_explicit(&s->sid, memory_order_relaxed);

    *sid = (uint32_t)both;
    return (int32_t)(uint32_t)(both >> 32);
}
static inline void series_set_sid(struct series *s, int32_t day, uint32_t sid)
{
    atomic_store_explicit(&s->sid, (uint64_t)(uint32_t)day << 32 | sid, memory_order_relaxed);
}

/* A published state of a chunk. */
struct chunk_view {
    const struct chunk *c;
    const int64_t *t; /* of its first sample */
    uint32_t n, bytes;
    uint32_t column; /* number */
};
void chunk_look(const struct chunk *c, struct chunk_view *out);
static inline int64_t chunk_st(const struct chunk *c)
{
    int64_t st = 0;

    if (c->has_st)
        memcpy(&st, c->data, 8);
    return st;
}
/* The first n values of the chunk. */
void chunk_values(const struct chunk_view *v, uint32_t n, double *out);
/* The first n samples of a chunk that has_hists, from a; their hints are those they came with. */
void chunk_hists(const struct chunk_view *v, uint32_t n, struct arena *a, const struct histogram **out);
/* The histogram of a row that is one. */
struct histogram *late_hist(const struct late_row *row, struct arena *a);
/* Index of the first t[i] >= at. */
uint32_t times_lower(const int64_t *t, uint32_t n, int64_t at);

enum head_found { HEAD_ABSENT, HEAD_EQUAL, HEAD_OTHER };
/* Whether the head holds a sample of s at t, and whether it has the same bits (a histogram: mark). Under apply_mu or in the epoch. */
enum head_found head_lookup(const struct series *s, uint32_t dropped, int64_t t, double v);

/* Checks the structure; asserts. For tests. */
void head_check(struct head *h);

#endif
