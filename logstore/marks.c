/*
 * marks.c - see marks.h.
 *
 *   state "logs/marks/XX"   version u8 | varint seq | { varint n key  varint n value }*     one of 16, by the hash of the key
 *
 * (1) A value in the state is what the entries up to its seq left. A replay that meets those entries again changes nothing: it
 * may not have all of them any more. (2) So many tail positions cost a flush at most 16 small commits.
 */
#include "logstore/marks.h"

#include "base/map.h"
#include "logstore/pack.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STATE_PREFIX "logs/marks/"
enum { BUCKETS = 16, VERSION = 1 };

struct mark {
    struct str key; /* behind the struct */
    char *value;
    size_t n;
};

struct bucket {
    struct map marks; /* key -> struct mark */
    uint64_t seq;     /* newest entry that said something */
    uint64_t loaded_seq;
    bool dirty;
};

struct log_marks {
    pthread_mutex_t mu;
    struct bucket v[BUCKETS]; /* under mu */
};

struct log_marks *log_marks_new(void)
{
    struct log_marks *m = x_zalloc(sizeof *m);

    pthread_mutex_init(&m->mu, NULL);
    return m;
}

static void mark_free(struct mark *x)
{
    if (x)
        free(x->value);
    free(x);
}

void log_marks_free(struct log_marks *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct map_entry *en;
        for (uint32_t k = 0; (en = map_next(&m->v[i].marks, &k));)
            mark_free(en->value);
        map_release(&m->v[i].marks);
    }
    pthread_mutex_destroy(&m->mu);
    free(m);
}

static struct bucket *bucket_of(struct log_marks *m, struct str key)
{
    return &m->v[hash64(key.p, key.n) % BUCKETS];
}

static void set(struct bucket *b, struct str key, struct str value)
{
    struct mark *x = map_get(&b->marks, key);

    if (value.n == 0) {
        map_del(&b->marks, key);
        mark_free(x);
        return;
    }
    if (!x) {
        x = x_zalloc(sizeof *x + key.n);
        memcpy(x + 1, key.p, key.n);
        x->key = str_n(x + 1, key.n);
        *map_put(&b->marks, x->key, NULL) = x;
    }
    if (x->n != value.n || !x->value)
        x->value = x_realloc(x->value, value.n);
    memcpy(x->value, value.p, value.n);
    x->n = value.n;
}

void log_marks_apply(struct log_marks *m, uint64_t seq, const struct log_mark *v, uint32_t n)
{
    if (n == 0)
        return;
    pthread_mutex_lock(&m->mu);
    for (uint32_t i = 0; i < n; i++) {
        struct bucket *b = bucket_of(m, v[i].key);
        if (seq <= b->loaded_seq)
            continue;
        set(b, v[i].key, v[i].value);
        b->seq = seq;
        b->dirty = true;
    }
    pthread_mutex_unlock(&m->mu);
}

/* --- state --------------------------------------------------------------------------------------- */

static int load_one(void *arg, struct str key, struct str value)
{
    struct log_marks *m = arg;
    struct rd r = rd_of(value);
    struct str hex = str_from(key, sizeof STATE_PREFIX - 1), version = rd_bytes(&r, 1);
    unsigned long i = hex.n == 1 ? strtoul((char[]){hex.p[0], '\0'}, NULL, 16) : BUCKETS;
    uint64_t seq = rd_varint(&r);

    if (r.bad || version.p[0] != VERSION || i >= BUCKETS) {
        log_error("logstore", "%.*s in the state is unreadable: files may be read again from their beginning", STR_ARG(key));
        return 0;
    }
    m->v[i].seq = m->v[i].loaded_seq = seq;
    while (rd_left(&r) && !r.bad) {
        struct str k = rd_text(&r), v = rd_text(&r);
        if (!r.bad && k.n)
            set(&m->v[i], k, v);
    }
    return 0;
}

int log_marks_load(struct log_marks *m, struct state *s, struct err *e)
{
    return state_each(s, STR(STATE_PREFIX), load_one, m, e);
}

static void encode(const struct bucket *b, struct buf *out)
{
    struct map_entry *en;

    buf_reset(out);
    buf_putc(out, VERSION);
    buf_put_varint(out, b->seq);
    for (uint32_t i = 0; (en = map_next(&b->marks, &i));) {
        const struct mark *x = en->value;
        buf_put_varint(out, x->key.n);
        buf_puts(out, x->key);
        buf_put_varint(out, x->n);
        buf_put(out, x->value, x->n);
    }
}

int log_marks_flush(struct log_marks *m, struct state *s, struct err *e)
{
    struct buf value = {0};
    int rc = 0;

    for (unsigned i = 0; i < BUCKETS && rc == 0; i++) {
        char key[64];
        bool dirty;
        pthread_mutex_lock(&m->mu);
        dirty = m->v[i].dirty;
        if (dirty)
            encode(&m->v[i], &value);
        m->v[i].dirty = false;
        pthread_mutex_unlock(&m->mu);
        if (!dirty)
            continue;
        snprintf(key, sizeof key, STATE_PREFIX "%x", i);
        rc = state_put(s, str_of(key), buf_str(&value), e);
        if (rc < 0) {
            pthread_mutex_lock(&m->mu);
            m->v[i].dirty = true;
            pthread_mutex_unlock(&m->mu);
        }
    }
    buf_release(&value);
    return rc;
}

/* --- asking --------------------------------------------------------------------------------------- */

bool log_marks_get(struct log_marks *m, struct str key, struct buf *out)
{
    struct mark *x;

    pthread_mutex_lock(&m->mu);
    x = map_get(&bucket_of(m, key)->marks, key);
    if (x)
        buf_put(out, x->value, x->n);
    pthread_mutex_unlock(&m->mu);
    return x != NULL;
}

void log_marks_each(struct log_marks *m, struct str prefix, void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
    struct map_entry *en;

    pthread_mutex_lock(&m->mu);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (uint32_t k = 0; (en = map_next(&m->v[i].marks, &k));) {
            const struct mark *x = en->value;
            if (str_starts(x->key, prefix))
                fn(arg, x->key, str_n(x->value, x->n));
        }
    pthread_mutex_unlock(&m->mu);
}
