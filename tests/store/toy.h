/*
 * toy.h - the smallest signal there is, to drive store/ in tests: rows (time, id, value), kept in memory until a flush.
 *
 * A row goes under a key of its own with the number of the flush behind it, so a row that was written twice shows.
 *
 *   entry      n x { i64 t | u64 id | u64 value }
 *   partition  'r' u64be id u32be flush -> i64 t | u64 value | value % 5000 bytes of padding that depend on id
 */
#ifndef TESTS_STORE_TOY_H
#define TESTS_STORE_TOY_H

#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct toy_row {
    int64_t t;
    uint64_t id, value, seq;
};

struct toy {
    struct store *store;
    pthread_mutex_t mu;
    struct toy_row *rows; /* under mu, in the order of seq */
    uint32_t nrows, cap;
    uint64_t applied_seq;
    uint32_t flush_no;
    _Atomic uint32_t attached; /* partitions attached and not yet detached */
};

enum { TOY_ROW_BYTES = 24, TOY_DAY_MS = 86400000 };

static inline uint64_t toy_be64(uint64_t v)
{
    return __builtin_bswap64(v);
}

static inline void toy_add(struct toy *y, struct toy_row r)
{
    if (y->nrows == y->cap) {
        y->cap = y->cap ? y->cap * 2 : 256;
        y->rows = x_realloc(y->rows, y->cap * sizeof *y->rows);
    }
    y->rows[y->nrows++] = r;
}

static inline void toy_encode(struct buf *b, const struct toy_row *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_put_u64(b, (uint64_t)v[i].t);
        buf_put_u64(b, v[i].id);
        buf_put_u64(b, v[i].value);
    }
}

static inline struct toy_row toy_decode(const char *p, uint64_t seq)
{
    return (struct toy_row){(int64_t)get_u64le(p), get_u64le(p + 8), get_u64le(p + 16), seq};
}

static inline uint64_t toy_contained(struct toy *y, int64_t t)
{
    struct partition_list l;
    uint64_t c = 0;

    store_partitions(y->store, "toy", t, t, &l);
    if (l.n > 0)
        c = partition_contained(l.v[0]);
    partition_list_release(&l);
    return c;
}

static inline int toy_replay(void *self, uint64_t seq, struct str entry, struct err *e)
{
    struct toy *y = self;

    if (entry.n % TOY_ROW_BYTES)
        return err_set(e, ERR_CORRUPT, "toy entry of %zu bytes", entry.n);
    for (size_t at = 0; at < entry.n; at += TOY_ROW_BYTES) {
        struct toy_row r = toy_decode(entry.p + at, seq);

        if (seq > toy_contained(y, r.t))
            toy_add(y, r);
    }
    y->applied_seq = seq;
    return 0;
}

static inline uint64_t toy_head_bytes(void *self)
{
    struct toy *y = self;
    uint64_t n;

    pthread_mutex_lock(&y->mu);
    n = y->nrows * sizeof *y->rows;
    pthread_mutex_unlock(&y->mu);
    return n;
}

static inline int toy_put_row(struct txn *t, const struct toy_row *r, uint32_t flush_no, struct err *e)
{
    char key[13], head[16], pad[5000];
    struct str parts[2] = {{head, sizeof head}, {pad, r->value % sizeof pad}};
    uint64_t id = toy_be64(r->id);
    uint32_t no = __builtin_bswap32(flush_no);

    key[0] = 'r';
    memcpy(key + 1, &id, 8);
    memcpy(key + 9, &no, 4);
    put_u64le(head, (uint64_t)r->t);
    put_u64le(head + 8, r->value);
    memset(pad, (int)(r->id & 255), sizeof pad);
    return txn_put(t, str_n(key, sizeof key), parts, 2, e);
}

static inline int toy_flush_day(struct toy *y, int32_t day, const struct toy_row *v, uint32_t n, uint64_t contained, struct err *e)
{
    struct partition *p;
    struct txn *t;
    int rc = store_partition_get(y->store, "toy", day, &p, e);

    if (rc < 0)
        return rc;
    rc = txn_write(p, &t, e);
    if (rc == 0) {
        uint64_t had = partition_contained(p);

        for (uint32_t i = 0; rc == 0 && i < n; i++)
            if (day_of_ms(v[i].t) == day && v[i].seq > had)
                rc = toy_put_row(t, &v[i], y->flush_no, e);
        if (rc == 0)
            rc = txn_commit(t, contained, e);
        else
            txn_end(t);
    }
    partition_unref(p);
    return rc;
}

static inline int toy_flush(void *self, uint64_t *contained, struct err *e)
{
    struct toy *y = self;
    struct toy_row *v;
    uint32_t n;
    int rc = 0;

    pthread_mutex_lock(&y->mu);
    n = y->nrows;
    v = x_alloc((n + 1) * sizeof *v);
    if (n)
        memcpy(v, y->rows, n * sizeof *v);
    *contained = y->applied_seq;
    y->flush_no++;
    pthread_mutex_unlock(&y->mu);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        bool first = true;

        for (uint32_t k = 0; k < i && first; k++)
            first = day_of_ms(v[k].t) != day_of_ms(v[i].t);
        if (first)
            rc = toy_flush_day(y, day_of_ms(v[i].t), v, n, *contained, e);
    }
    if (rc == 0) {
        pthread_mutex_lock(&y->mu);
        y->nrows -= n;
        if (y->nrows > 0)
            memmove(y->rows, y->rows + n, y->nrows * sizeof *y->rows);
        pthread_mutex_unlock(&y->mu);
    }
    free(v);
    return rc;
}

static inline int toy_attach(void *self, struct partition *p, void **user, struct err *e)
{
    struct toy *y = self;

    (void)p;
    (void)e;
    y->attached++;
    *user = x_zalloc(8);
    return 0;
}

static inline void toy_detach(void *self, struct partition *p, void *user)
{
    struct toy *y = self;

    (void)p;
    y->attached--;
    free(user);
}

static inline int toy_seal(void *self, struct partition *from, struct partition *to, struct err *e)
{
    struct txn *r = NULL, *w = NULL;
    struct txn_iter it = {0};
    struct str key, value;
    int rc = txn_read(from, &r, e);

    (void)self;
    if (rc == 0)
        rc = txn_write(to, &w, e);
    while (rc == 0 && (rc = txn_iter_next(r, &it, STR_NULL, STR_NULL, &key, &value, e)) == 0)
        rc = txn_put(w, key, &value, 1, e);
    txn_iter_end(&it);
    txn_end(r);
    if (rc < 0) {
        txn_end(w);
        return rc;
    }
    return txn_commit(w, 0, e);
}

static const struct signal_ops toy_ops = {
    .name = "toy",
    .tag = 'T',
    .format = 1,
    .replay = toy_replay,
    .head_bytes = toy_head_bytes,
    .flush = toy_flush,
    .attach = toy_attach,
    .detach = toy_detach,
    .seal = toy_seal,
};

/* --- use ---------------------------------------------------------------------------------------- */

struct toy_batch {
    struct toy *y;
    struct toy_row *v;
    uint32_t n;
    void (*done)(void *arg, int code);
    void *arg;
};

static inline void toy_done(void *arg, int code, uint64_t seq, const struct err *e)
{
    struct toy_batch *b = arg;
    struct toy *y = b->y;

    (void)e;
    if (code == 0) {
        pthread_mutex_lock(&y->mu);
        for (uint32_t i = 0; i < b->n; i++) {
            b->v[i].seq = seq;
            toy_add(y, b->v[i]);
        }
        y->applied_seq = seq;
        pthread_mutex_unlock(&y->mu);
    }
    if (b->done)
        b->done(b->arg, code);
    free(b->v);
    free(b);
}

/* Takes a copy of the rows. done may be NULL. */
static inline int toy_ingest(struct toy *y, const struct toy_row *v, uint32_t n, void (*done)(void *arg, int code), void *arg,
                             struct err *e)
{
    struct toy_batch *b = x_zalloc(sizeof *b);
    struct buf bytes = {0};
    int rc;

    b->y = y;
    b->n = n;
    b->v = x_alloc(n * sizeof *v);
    memcpy(b->v, v, n * sizeof *v);
    b->done = done;
    b->arg = arg;
    toy_encode(&bytes, v, n);
    do
        rc = journal_push(store_journal(y->store), journal_file(store_journal(y->store)), toy_ops.tag, &bytes, toy_done, b, e);
    while (rc == ERR_AGAIN);
    if (rc < 0) {
        buf_release(&bytes);
        free(b->v);
        free(b);
    }
    return rc;
}

struct toy_wait {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int code, left;
};

static inline void toy_woken(void *arg, int code)
{
    struct toy_wait *w = arg;

    pthread_mutex_lock(&w->mu);
    w->code = code;
    w->left = 0;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

static inline int toy_ingest_wait(struct toy *y, const struct toy_row *v, uint32_t n, struct err *e)
{
    struct toy_wait w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 1};
    int rc = toy_ingest(y, v, n, toy_woken, &w, e);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&w.mu);
    while (w.left)
        pthread_cond_wait(&w.cond, &w.mu);
    pthread_mutex_unlock(&w.mu);
    return w.code;
}

/* Opens, recovers and (start) starts. Small budgets, so that everything happens soon. */
static inline void toy_opts(struct store_opts *o, const char *dir)
{
    store_opts_default(o);
    o->dir = dir;
    o->journal_file_bytes = 64 << 10;
    o->journal_budget_bytes = 256 << 10;
    o->head_budget_bytes = 1 << 20;
    o->disk_reserve_bytes = 1 << 20;
    o->seal_grace_ms = 0;
    o->retention_ms = (int64_t)100 * 365 * TOY_DAY_MS;
}

static inline int toy_open(struct toy *y, const struct store_opts *o, bool start, struct err *e)
{
    int rc;

    memset(y, 0, sizeof *y);
    pthread_mutex_init(&y->mu, NULL);
    y->flush_no = (uint32_t)clock_mono_ns();
    rc = store_open(o, &y->store, e);
    if (rc < 0)
        return rc;
    store_signal_add(y->store, &toy_ops, y);
    rc = store_recover(y->store, e);
    if (rc == 0 && start)
        rc = store_start(y->store, e);
    if (rc < 0) {
        store_close(y->store);
        y->store = NULL;
    }
    return rc;
}

static inline void toy_close(struct toy *y)
{
    store_close(y->store);
    free(y->rows);
    pthread_mutex_destroy(&y->mu);
    memset(y, 0, sizeof *y);
}

/*
 * Calls fn for each row, head and disk; returns the number, or <0. A row that is in head and disk at once (a flush has
 * committed and not yet dropped it) is given once. *damaged (may be NULL) counts values that could not be read.
 */
static inline int64_t toy_each(struct toy *y, void (*fn)(void *arg, const struct toy_row *r), void *arg, uint32_t *damaged)
{
    struct partition_list l;
    uint64_t *contained;
    int64_t n = 0;
    struct err e;

    pthread_mutex_lock(&y->mu);
    store_partitions(y->store, "toy", (int64_t)-40000 * TOY_DAY_MS, (int64_t)40000 * TOY_DAY_MS, &l);
    contained = x_zalloc((l.n + 1) * sizeof *contained);
    for (uint32_t i = 0; i < l.n; i++) {
        struct txn_iter it = {0};
        struct str key, value;
        struct txn *t;
        int rc = txn_read(l.v[i], &t, &e);

        if (rc < 0) {
            if (damaged)
                (*damaged)++;
            continue;
        }
        contained[i] = txn_contained(t);
        while ((rc = txn_iter_next(t, &it, STR("r"), STR_NULL, &key, &value, &e)) <= 0) {
            uint64_t id;
            struct toy_row r;

            if (rc < 0) {
                if (damaged)
                    (*damaged)++;
                if (rc != ERR_CORRUPT || !it.started || (damaged && *damaged > 100000))
                    break;
                continue;
            }
            memcpy(&id, key.p + 1, 8);
            r = (struct toy_row){(int64_t)get_u64le(value.p), toy_be64(id), get_u64le(value.p + 8), 0};
            fn(arg, &r);
            n++;
        }
        txn_iter_end(&it);
        txn_end(t);
    }
    for (uint32_t i = 0; i < y->nrows; i++) {
        bool on_disk = false;

        for (uint32_t k = 0; k < l.n; k++)
            if (partition_day(l.v[k]) == day_of_ms(y->rows[i].t))
                on_disk = y->rows[i].seq <= contained[k];
        if (!on_disk) {
            fn(arg, &y->rows[i]);
            n++;
        }
    }
    partition_list_release(&l);
    free(contained);
    pthread_mutex_unlock(&y->mu);
    return n;
}

/* --- helpers of tests --------------------------------------------------------------------------- */

static inline uint64_t toy_rand(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Empties and makes DIR under $TMPDIR. */
static inline char *toy_dir(const char *name)
{
    static char path[256];
    char cmd[600];

    snprintf(path, sizeof path, "%s/tripod-%s-%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp", name, (long)getpid());
    snprintf(cmd, sizeof cmd, "rm -rf '%s' && mkdir -p '%s'", path, path);
    if (system(cmd) != 0)
        abort();
    return path;
}

static inline void toy_rmdir(const char *path)
{
    char cmd[600];

    snprintf(cmd, sizeof cmd, "rm -rf '%s'", path);
    if (system(cmd) != 0)
        abort();
}

static inline bool toy_long(void)
{
    const char *z = getenv("TRIPOD_LONG");

    return z && *z == '1';
}

#endif
