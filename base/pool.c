/*
 * pool.c - see pool.h.
 *
 * Two kinds of work: queued jobs, and loops (pool_for) that a caller is working on and others may join. A loop lives on
 * its caller's stack and is never queued, so nothing is left behind when it ends.
 *
 * (1) A caller of pool_for waits only for indexes that some thread is running right now, never for a thread to come: so
 *     loops may nest, and a full pool slows them down without stopping them.
 * (2) A loop is unlinked before its caller waits for the helpers, so no new helper can join after that.
 * (3) Idle threads join loops before they begin new jobs: what was begun ends first.
 */
#include "base/pool.h"

#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    /* Set before linking, then read by any thread. */
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    uint32_t n;

    _Atomic uint32_t next; /* the first index nobody has taken; may run past n */

    /* Under the pool's mu. */
    uint32_t helpers;
    pthread_cond_t left; /* helpers fell to 0 */
    struct loop *older, *newer;
};

struct pool {
    /* Set by pool_new, then read by any thread. */
    unsigned nthreads;
    uint32_t queue_max;
    pthread_t *threads;

    /* Under mu, held for a few instructions only. */
    pthread_mutex_t mu;
    pthread_cond_t work;
    struct job *ring;
    uint32_t head, waiting, ring_cap;
    struct loop *loops; /* newest first: inner loops end before outer ones */
    unsigned idle;
    bool closing;
};

static void run_indexes(struct loop *l)
{
    for (;;) {
        uint32_t i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);

        if (i >= l->n)
            break;
        l->fn(l->arg, i);
    }
}

/* The newest loop with an index left, or NULL. Under mu. */
static struct loop *open_loop(struct pool *p)
{
    for (struct loop *l = p->loops; l; l = l->older)
        if (atomic_load_explicit(&l->next, memory_order_relaxed) < l->n)
            return l;
    return NULL;
}

/* Helps l to its end. Enters and leaves with mu held. */
static void join_loop(struct pool *p, struct loop *l)
{
    l->helpers++;
    pthread_mutex_unlock(&p->mu);
    run_indexes(l);
    pthread_mutex_lock(&p->mu);
    if (--l->helpers == 0)
        pthread_cond_signal(&l->left);
}

static void run_job(struct pool *p)
{
    struct job job = p->ring[p->head];

    p->head = (p->head + 1) % p->ring_cap;
    p->waiting--;
    pthread_mutex_unlock(&p->mu);
    job.fn(job.arg);
    pthread_mutex_lock(&p->mu);
}

static void *worker(void *arg)
{
    struct pool *p = arg;

    pthread_mutex_lock(&p->mu);
    for (;;) {
        struct loop *l = open_loop(p);

        if (l) {
            join_loop(p, l);
        } else if (p->waiting) {
            run_job(p);
        } else if (p->closing) {
            break;
        } else {
            p->idle++;
            pthread_cond_wait(&p->work, &p->mu);
            p->idle--;
        }
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

struct pool *pool_new(const char *name, unsigned threads, uint32_t queue_max)
{
    struct pool *p = x_zalloc(sizeof *p);

    assert(threads > 0);
    p->queue_max = queue_max;
    p->threads = x_alloc(threads * sizeof *p->threads);
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->work, NULL);
    for (unsigned i = 0; i < threads; i++) {
        char label[16];

        if (pthread_create(&p->threads[i], NULL, worker, p) != 0) {
            fprintf(stderr, "%s: no thread %u of %u\n", name, i + 1, threads);
            if (i == 0)
                abort(); /* like memory: without one thread nothing can go on; with fewer it can */
            break;
        }
        snprintf(label, sizeof label, "%.11s/%u", name, i % 1000);
        pthread_setname_np(p->threads[i], label);
        p->nthreads = i + 1;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mu);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mu);
    for (unsigned i = 0; i < p->nthreads; i++)
        pthread_join(p->threads[i], NULL);
    assert(p->waiting == 0);
    assert(!p->loops);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->mu);
    free(p->threads);
    free(p->ring);
    free(p);
}

static void grow_ring(struct pool *p)
{
    uint32_t cap = p->ring_cap ? p->ring_cap * 2 : 64;
    struct job *ring = x_alloc(cap * sizeof *ring);

    for (uint32_t i = 0; i < p->waiting; i++)
        ring[i] = p->ring[(p->head + i) % p->ring_cap];
    free(p->ring);
    p->ring = ring;
    p->ring_cap = cap;
    p->head = 0;
}

int pool_run(struct pool *p, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&p->mu);
    if (p->queue_max && p->waiting >= p->queue_max) {
        pthread_mutex_unlock(&p->mu);
        return ERR_BUSY;
    }
    if (p->waiting == p->ring_cap)
        grow_ring(p);
    p->ring[(p->head + p->waiting++) % p->ring_cap] = (struct job){fn, arg};
    if (p->idle)
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->mu);
    return 0;
}

unsigned pool_threads(const struct pool *p)
{
    return p->nthreads;
}

uint32_t pool_waiting(struct pool *p)
{
    uint32_t n;

    pthread_mutex_lock(&p->mu);
    n = p->waiting;
    pthread_mutex_unlock(&p->mu);
    return n;
}

static void link_loop(struct pool *p, struct loop *l)
{
    l->newer = NULL;
    l->older = p->loops;
    if (p->loops)
        p->loops->newer = l;
    p->loops = l;
}

static void unlink_loop(struct pool *p, struct loop *l)
{
    if (l->newer)
        l->newer->older = l->older;
    else
        p->loops = l->older;
    if (l->older)
        l->older->newer = l->newer;
}

void pool_for(struct pool *p, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    struct loop l = {.fn = fn, .arg = arg, .n = n};

    if (n < 2 || !p) {
        for (uint32_t i = 0; i < n; i++)
            fn(arg, i);
        return;
    }
    assert(n < UINT32_MAX / 2); /* next runs past n by one per thread and must not wrap */
    pthread_cond_init(&l.left, NULL);
    pthread_mutex_lock(&p->mu);
    link_loop(p, &l);
    if (p->idle >= n - 1)
        for (uint32_t i = 0; i < n - 1; i++)
            pthread_cond_signal(&p->work);
    else if (p->idle)
        pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mu);
    run_indexes(&l);
    pthread_mutex_lock(&p->mu);
    unlink_loop(p, &l);
    while (l.helpers)
        pthread_cond_wait(&l.left, &p->mu);
    pthread_mutex_unlock(&p->mu);
    pthread_cond_destroy(&l.left);
}
