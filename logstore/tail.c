/*
 * tail.c - see tail.h: who follows what is committed.
 *
 * (1) Feeding copies, up to the queue's bound, and never waits for a reader: the lock of a tail is held by either side for a
 * copy. (2) What did not fit is counted, and the count goes out with the next take. (3) wake() runs under the list's lock: when
 * log_tail_close returns it does not run and will not.
 *
 * Order of locks: log_tails.mu, log_tail.mu.
 */
#include "logstore/tail.h"

#include "logstore/db.h"

#include <stdlib.h>

enum { KNOWN_MAX = 1 << 16, COMPACT_BYTES = 64 * 1024 };

/* In the queue, followed by the line, then { u32 name, u32 value, bytes, bytes }* of the metadata; each record padded to 8. */
struct queued {
    struct log_stream *stream; /* a reference */
    int64_t t_ns;
    uint32_t line_bytes, nmeta;
    uint32_t bytes; /* of all of it */
    uint32_t unused;
};

/* Does the stream match? By identity, so that each is asked once. */
struct known {
    struct hash128 id;
    uint8_t state; /* 0 free, 1 no, 2 yes */
};

struct log_tail {
    struct log_tails *tails;
    struct log_tail *next;
    void (*wake)(void *arg);
    void *wake_arg;
    size_t queue_bytes;

    /* Journal thread. */
    struct matcher *matchers;
    uint32_t nmatchers;
    struct arena arena; /* of the matchers */
    struct known *known;
    uint32_t nknown, known_mask;

    pthread_mutex_t mu;
    /* Under mu. */
    struct buf q;
    size_t at; /* what lies before it was taken */
    uint64_t dropped;
};

struct log_tails {
    pthread_mutex_t mu;
    struct log_tail *first; /* under mu */
    _Atomic uint32_t n;
    _Atomic uint64_t *dropped;
};

struct log_tails *log_tails_new(_Atomic uint64_t *dropped)
{
    struct log_tails *t = x_zalloc(sizeof *t);

    pthread_mutex_init(&t->mu, NULL);
    t->dropped = dropped;
    return t;
}

void log_tails_free(struct log_tails *t)
{
    if (!t)
        return;
    while (t->first)
        log_tail_close(t->first);
    pthread_mutex_destroy(&t->mu);
    free(t);
}

uint32_t log_tails_n(struct log_tails *t)
{
    return atomic_load(&t->n);
}

bool log_tails_any(const struct log_tails *t)
{
    return atomic_load_explicit(&t->n, memory_order_relaxed) > 0;
}

/* --- life ------------------------------------------------------------------------------------------- */

static int copy_matchers(struct log_tail *t, const struct matcher *m, uint32_t nm, struct err *e)
{
    t->matchers = arena_array(&t->arena, struct matcher, nm);
    for (uint32_t i = 0; i < nm; i++) {
        int rc = matcher_init(&t->matchers[i], m[i].op, arena_dup(&t->arena, m[i].name), arena_dup(&t->arena, m[i].value), e);
        if (rc < 0)
            return rc;
        t->nmatchers++;
    }
    return 0;
}

static void tail_free(struct log_tail *t)
{
    while (t->at < t->q.n) {
        const struct queued *x = (const struct queued *)(t->q.p + t->at);
        log_stream_unref(x->stream);
        t->at += x->bytes;
    }
    for (uint32_t i = 0; i < t->nmatchers; i++)
        matcher_release(&t->matchers[i]);
    arena_release(&t->arena);
    buf_release(&t->q);
    free(t->known);
    pthread_mutex_destroy(&t->mu);
    free(t);
}

int logstore_tail_open(struct logstore *ls, const struct matcher *m, uint32_t nm, size_t queue_bytes, void (*wake)(void *arg), void *arg,
                       struct log_tail **out, struct err *e)
{
    struct log_tail *t = x_zalloc(sizeof *t);
    int rc;

    pthread_mutex_init(&t->mu, NULL);
    t->tails = ls->tails;
    t->wake = wake;
    t->wake_arg = arg;
    t->queue_bytes = queue_bytes;
    if ((rc = copy_matchers(t, m, nm, e)) < 0) {
        tail_free(t);
        return rc;
    }
    pthread_mutex_lock(&ls->tails->mu);
    t->next = ls->tails->first;
    ls->tails->first = t;
    atomic_fetch_add(&ls->tails->n, 1);
    pthread_mutex_unlock(&ls->tails->mu);
    *out = t;
    return 0;
}

void log_tail_close(struct log_tail *t)
{
    struct log_tails *all;

    if (!t)
        return;
    all = t->tails;
    pthread_mutex_lock(&all->mu);
    for (struct log_tail **at = &all->first; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    atomic_fetch_sub(&all->n, 1);
    pthread_mutex_unlock(&all->mu);
    tail_free(t);
}

/* --- feeding ------------------------------------------------------------------------------------------ */

static void forget_known(struct log_tail *t, uint32_t size)
{
    free(t->known);
    t->known = x_zalloc(size * sizeof *t->known);
    t->known_mask = size - 1;
    t->nknown = 0;
}

static bool wants(struct log_tail *t, const struct log_stream *s)
{
    struct known *k;

    if (!t->known || t->nknown * 2 > t->known_mask)
        forget_known(t, t->known && t->known_mask < KNOWN_MAX ? (t->known_mask + 1) * 2 : t->known ? KNOWN_MAX : 64);
    for (uint32_t at = (uint32_t)s->id.lo & t->known_mask;; at = (at + 1) & t->known_mask) {
        k = &t->known[at];
        if (!k->state)
            break;
        if (hash128_eq(k->id, s->id))
            return k->state == 2;
    }
    *k = (struct known){s->id, matchers_match(t->matchers, t->nmatchers, &s->labels) ? 2 : 1};
    t->nknown++;
    return k->state == 2;
}

static size_t queued_bytes(const struct log_head_row *r)
{
    size_t n = sizeof(struct queued) + r->line_bytes;

    for (uint32_t i = 0; i < r->nmeta; i++)
        n += 8 + r->meta[i].name.n + r->meta[i].value.n;
    return (n + 7) & ~(size_t)7;
}

/* Under tail.mu. */
static bool push(struct log_tail *t, const struct log_head_row *r)
{
    size_t n = queued_bytes(r);
    struct queued *x;
    char *at;

    if (t->q.n - t->at + n > t->queue_bytes || n > UINT32_MAX)
        return false;
    x = (struct queued *)buf_reserve(&t->q, n);
    *x = (struct queued){log_stream_ref(r->stream), r->t_ns, r->line_bytes, r->nmeta, (uint32_t)n, 0};
    at = (char *)(x + 1);
    if (r->line_bytes)
        memcpy(at, r->line, r->line_bytes);
    at += r->line_bytes;
    for (uint32_t i = 0; i < r->nmeta; i++) {
        struct str name = r->meta[i].name, value = r->meta[i].value;
        put_u32le(at, (uint32_t)name.n);
        put_u32le(at + 4, (uint32_t)value.n);
        memcpy(at + 8, name.p, name.n);
        memcpy(at + 8 + name.n, value.p, value.n);
        at += 8 + name.n + value.n;
    }
    t->q.n += n;
    return true;
}

/* Returns how many did not fit. */
static uint64_t feed_one(struct log_tail *t, const struct log_head_row *rows, uint32_t n)
{
    const struct log_stream *last = NULL;
    bool wanted = false, was_empty;
    uint64_t dropped = 0;

    pthread_mutex_lock(&t->mu);
    was_empty = t->at == t->q.n;
    if (was_empty || (t->at > COMPACT_BYTES && t->at > t->q.n / 2)) {
        if (t->at < t->q.n)
            memmove(t->q.p, t->q.p + t->at, t->q.n - t->at);
        t->q.n -= t->at;
        t->at = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].stream != last)
            wanted = wants(t, last = rows[i].stream);
        if (wanted && rows[i].state != ROW_DEAD && !rows[i].again)
            dropped += !push(t, &rows[i]);
    }
    t->dropped += dropped;
    was_empty = was_empty && (t->at < t->q.n || dropped);
    pthread_mutex_unlock(&t->mu);
    if (was_empty && t->wake)
        t->wake(t->wake_arg);
    return dropped;
}

void log_tails_feed(struct log_tails *ts, const struct log_head_row *rows, uint32_t n)
{
    uint64_t dropped = 0;

    pthread_mutex_lock(&ts->mu);
    for (struct log_tail *t = ts->first; t; t = t->next)
        dropped += feed_one(t, rows, n);
    pthread_mutex_unlock(&ts->mu);
    if (dropped)
        atomic_fetch_add(ts->dropped, dropped);
}

/* --- taking ------------------------------------------------------------------------------------------- */

/* The labels of a record: often those of the one before. */
static struct labels labels_of(const struct queued *x, struct hash128 *last_id, const struct log_tailed *last, struct arena *a)
{
    if (last && hash128_eq(x->stream->id, *last_id))
        return last->labels;
    *last_id = x->stream->id;
    return labels_dup(a, &x->stream->labels);
}

static void unpack(const struct queued *x, struct labels labels, struct arena *a, struct log_tailed *out)
{
    const char *at = (const char *)(x + 1);
    struct label *meta = arena_array(a, struct label, x->nmeta);

    *out = (struct log_tailed){
        .labels = labels, .t_ns = x->t_ns, .line = arena_dup(a, str_n(at, x->line_bytes)), .meta = meta, .nmeta = x->nmeta};
    at += x->line_bytes;
    for (uint32_t i = 0; i < x->nmeta; i++) {
        uint32_t name = get_u32le(at), value = get_u32le(at + 4);
        meta[i].name = arena_dup(a, str_n(at + 8, name));
        meta[i].value = arena_dup(a, str_n(at + 8 + name, value));
        at += 8 + name + value;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct log_tailed *x = a, *y = b;

    return (x->t_ns > y->t_ns) - (x->t_ns < y->t_ns);
}

/* In place and stable: what comes is mostly in order already. */
static void sort_by_time(struct log_tailed *v, uint32_t n)
{
    struct log_tailed *tmp;
    uint32_t i = 1;

    while (i < n && by_time(&v[i - 1], &v[i]) <= 0)
        i++;
    if (i >= n)
        return;
    tmp = x_alloc(n * sizeof *tmp);
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = MIN(lo + width, n), hi = MIN(lo + 2 * width, n), l = lo, r = mid;
            for (uint32_t k = lo; k < hi; k++)
                tmp[k] = l < mid && (r >= hi || by_time(&v[l], &v[r]) <= 0) ? v[l++] : v[r++];
        }
        memcpy(v, tmp, n * sizeof *tmp);
    }
    free(tmp);
}

uint32_t log_tail_take(struct log_tail *t, struct arena *a, struct log_tailed *out, uint32_t max, uint64_t *dropped)
{
    struct hash128 id = {0, 0};
    uint32_t n = 0;

    pthread_mutex_lock(&t->mu);
    while (n < max && t->at < t->q.n) {
        const struct queued *x = (const struct queued *)(t->q.p + t->at);
        unpack(x, labels_of(x, &id, n ? &out[n - 1] : NULL, a), a, &out[n]);
        n++;
        log_stream_unref(x->stream);
        t->at += x->bytes;
    }
    *dropped = t->dropped;
    t->dropped = 0;
    pthread_mutex_unlock(&t->mu);
    sort_by_time(out, n);
    return n;
}
