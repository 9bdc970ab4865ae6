/*
 * streams.c - see streams.h.
 *
 * (1) A stream leaves the table only when the table's reference is the only one, and references are only made from the table
 * under mu or from another reference: so nobody has a stream that is not in the table while another of its identity is made.
 * (2) So a stream that leaves the table is freed at once, and its slot may be given out again.
 */
#include "logstore/streams.h"

#include <assert.h>
#include <stdlib.h>

void log_streams_init(struct log_streams *s)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->mu, NULL);
    s->mask = 63;
    s->table = x_zalloc((s->mask + 1) * sizeof(struct log_stream *));
    s->disk_maxt = INT64_MIN;
}

void log_streams_release(struct log_streams *s)
{
    if (!s->table)
        return;
    for (uint32_t i = 0; i <= s->mask; i++)
        if (s->table[i]) {
            assert(s->table[i]->refs == 1);
            free(s->table[i]);
        }
    free(s->table);
    free(s->free_slots);
    pthread_mutex_destroy(&s->mu);
    memset(s, 0, sizeof *s);
}

/* The place of id: where it stands, or the free one where it would. */
static uint32_t place(const struct log_streams *s, struct hash128 id)
{
    uint32_t at = (uint32_t)id.lo & s->mask;

    while (s->table[at] && !hash128_eq(s->table[at]->id, id))
        at = (at + 1) & s->mask;
    return at;
}

static void grow(struct log_streams *s)
{
    struct log_stream **old = s->table;
    uint32_t n = s->mask + 1;

    s->mask = n * 2 - 1;
    s->table = x_zalloc((size_t)n * 2 * sizeof(struct log_stream *));
    for (uint32_t i = 0; i < n; i++)
        if (old[i])
            s->table[place(s, old[i]->id)] = old[i];
    free(old);
}

/* One piece of memory: the struct, the array, the bytes. */
static struct log_stream *stream_new(struct log_streams *table, struct hash128 id, const struct labels *labels)
{
    size_t bytes = 0;
    struct log_stream *s;
    char *at;

    for (uint32_t i = 0; i < labels->n; i++)
        bytes += labels->v[i].name.n + labels->v[i].value.n;
    s = x_zalloc(sizeof *s + labels->n * sizeof(struct label) + bytes);
    s->table = table;
    s->id = id;
    s->labels = (struct labels){(struct label *)(s + 1), labels->n};
    at = (char *)(s->labels.v + labels->n);
    for (uint32_t i = 0; i < labels->n; i++) {
        struct label l = labels->v[i];
        memcpy(at, l.name.p, l.name.n);
        memcpy(at + l.name.n, l.value.p, l.value.n);
        s->labels.v[i] = (struct label){str_n(at, l.name.n), str_n(at + l.name.n, l.value.n)};
        at += l.name.n + l.value.n;
    }
    s->head_maxt = INT64_MIN;
    return s;
}

struct log_stream *log_streams_get(struct log_streams *s, struct hash128 id, const struct labels *labels, uint32_t max)
{
    struct log_stream *st;
    uint32_t at;

    pthread_mutex_lock(&s->mu);
    at = place(s, id);
    st = s->table[at];
    if (!st && !(max && s->n >= max)) {
        st = stream_new(s, id, labels);
        st->refs = 1;
        st->slot = s->nfree ? s->free_slots[--s->nfree] : s->nslots++;
        st->disk_maxt = s->disk_maxt;
        s->table[at] = st;
        s->created++;
        if (++s->n * 2 > s->mask)
            grow(s);
    }
    if (st) {
        atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed);
        atomic_store_explicit(&st->seen_ms, clock_mono_ms(), memory_order_relaxed);
    }
    pthread_mutex_unlock(&s->mu);
    return st;
}

struct log_stream *log_stream_ref(struct log_stream *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

/* Under mu. */
static void give_back_slot(struct log_streams *t, uint32_t slot)
{
    if (t->nfree == t->free_cap) {
        t->free_cap = t->free_cap ? t->free_cap * 2 : 64;
        t->free_slots = x_realloc(t->free_slots, t->free_cap * sizeof *t->free_slots);
    }
    t->free_slots[t->nfree++] = slot;
}

void log_stream_unref(struct log_stream *s)
{
    /* The table's own reference goes in log_streams_let_go only. */
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        assert(!"a stream lost the reference of its table");
}

/* Takes the stream at place i out; those behind it move up, as open addressing wants it. Under mu. */
static void take_out(struct log_streams *s, uint32_t i)
{
    uint32_t at = i;

    s->table[i] = NULL;
    s->n--;
    for (;;) {
        struct log_stream *st;
        at = (at + 1) & s->mask;
        st = s->table[at];
        if (!st)
            return;
        s->table[at] = NULL;
        s->table[place(s, st->id)] = st;
    }
}

uint32_t log_streams_let_go(struct log_streams *s, int64_t idle_ms)
{
    int64_t before = clock_mono_ms() - idle_ms;
    uint32_t n = 0;

    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i <= s->mask;) {
        struct log_stream *st = s->table[i];
        if (!st || atomic_load_explicit(&st->refs, memory_order_acquire) > 1 || st->seen_ms > before) {
            i++;
            continue;
        }
        take_out(s, i); /* another may stand here now */
        give_back_slot(s, st->slot);
        s->disk_maxt = MAX(s->disk_maxt, st->disk_maxt); /* it may come back */
        free(st);
        n++;
    }
    pthread_mutex_unlock(&s->mu);
    return n;
}

int log_stream_cmp(const struct log_stream *a, const struct log_stream *b)
{
    return a == b ? 0 : labels_cmp(&a->labels, &b->labels);
}
