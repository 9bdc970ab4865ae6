/*
 * flush.c - when a head goes to disk. One thread a signal.
 *
 *   head over its memory budget, or holding as many rows as the signal finds enough (they bound the next replay)
 *   journal over its own budget, or the last flush too long ago
 *   a burst is over: many rows, and for some seconds hardly any more. An import is on disk and out of the journal soon
 *   after its end. Scraping has pauses too; so this reason counts once in a while only, or its slices would be thin
 *   somebody asked
 *
 * (1) The journal forgets only what flush said is contained, after that was written down in state.mdb.
 * (2) A failed flush changes nothing that matters: the head keeps its rows, the journal its entries; it is tried again.
 */
#include "store/inside.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { LOOK_MS = 200, RETRY_MS = 5000, AGAIN_MAX = 10 };

/* The end of a burst: QUIET_MS in which the rows grew by less than a QUIET_PART; and so long until the next one counts. */
enum { QUIET_MS = 3000, QUIET_PART = 256, QUIET_ROWS_MIN = 1 << 20, QUIET_AGAIN_MS = 15 * 60 * 1000 };

static void contained_key(const struct sig *g, char out[64])
{
    snprintf(out, 64, "store/contained/%s", g->ops->name);
}

void flush_load(struct sig *g)
{
    struct arena a = {0};
    char key[64];
    struct str v;
    struct err e;
    int rc;

    contained_key(g, key);
    rc = state_get(g->store->state, &a, str_of(key), &v, &e);
    if (rc == 0 && v.n == 8)
        atomic_store(&g->contained, get_u64le(v.p));
    else if (rc != ERR_NOT_FOUND)
        log_error("store", "%s", e.text); /* 0: more is replayed than needed, and skipped row by row */
    arena_release(&a);
}

static bool tag_contained(void *arg, uint8_t tag, uint64_t seq)
{
    struct store *s = arg;

    for (uint32_t i = 0; i < s->nsigs; i++)
        if (s->sigs[i].ops->tag == tag)
            return seq <= atomic_load(&s->sigs[i].contained);
    return false; /* a signal this program does not know: kept for one that does */
}

bool flush_contained(struct store *s, uint8_t tag, uint64_t seq)
{
    return tag_contained(s, tag, seq);
}

void flush_forget(struct store *s)
{
    journal_roll_spent(s->journal, tag_contained, s);
    journal_forget(s->journal, tag_contained, s);
}

static int note_contained(struct sig *g, uint64_t seq, struct err *e)
{
    char key[64], value[8];
    int rc;

    if (seq <= atomic_load(&g->contained))
        return 0;
    contained_key(g, key);
    put_u64le(value, seq);
    rc = state_put(g->store->state, str_of(key), str_n(value, sizeof value), e);
    if (rc == 0)
        atomic_store(&g->contained, seq);
    return rc;
}

/* Runs the signal's flush; the ground may move under it (a day sealed meanwhile), then it is simply run again. */
static int run_flush(struct sig *g, uint64_t *contained, struct err *e)
{
    int rc = ERR_AGAIN;

    for (int i = 0; rc == ERR_AGAIN && i < AGAIN_MAX; i++) {
        *contained = 0;
        pthread_mutex_lock(&g->change_mu);
        rc = g->ops->flush(g->self, contained, e);
        pthread_mutex_unlock(&g->change_mu);
    }
    return rc;
}

static int flush(struct sig *g, struct err *e)
{
    struct store *s = g->store;
    uint64_t contained;
    int rc = run_flush(g, &contained, e);

    crash_point("flushed, not noted");
    if (rc == 0)
        rc = note_contained(g, contained, e);
    if (rc < 0) {
        s->flush_errors++;
        log_error("store", "%s: flush failed: %s", g->ops->name, e->text);
        if (rc == ERR_FULL)
            disk_met_full(s->disk);
        return rc;
    }
    crash_point("flush noted, journal not dropped");
    flush_forget(s);
    s->flushes++;
    s->last_flush_ms = clock_wall_ms();
    return 0;
}

static bool burst_is_over(struct flusher *f, uint64_t rows, int64_t now_ms)
{
    if (rows < f->quiet_rows || rows - f->quiet_rows > rows / QUIET_PART) {
        f->quiet_rows = rows;
        f->quiet_ms = now_ms;
    }
    if (rows < QUIET_ROWS_MIN || now_ms - f->quiet_ms < QUIET_MS || now_ms < f->quiet_again_ms)
        return false;
    f->quiet_again_ms = now_ms + QUIET_AGAIN_MS;
    return true;
}

static bool has_rows_enough(struct sig *g, int64_t now_ms)
{
    uint64_t enough, rows;

    if (!g->ops->head_rows)
        return false;
    rows = g->ops->head_rows(g->self, &enough);
    return rows >= enough || burst_is_over(&g->flusher, rows, now_ms);
}

static bool is_due(struct sig *g, int64_t now_ms)
{
    const struct store_opts *o = &g->store->opts;
    uint64_t held, last_seq;

    if (g->ops->head_bytes && o->head_budget_bytes && g->ops->head_bytes(g->self) > o->head_budget_bytes)
        return true;
    if (has_rows_enough(g, now_ms))
        return true;
    held = journal_held_bytes(g->store->journal, g->ops->tag, atomic_load(&g->contained), &last_seq);
    if (held == 0)
        return false; /* a flush would free nothing */
    return held > o->journal_budget_bytes || now_ms - atomic_load(&g->flusher.last_ms) >= o->flush_interval_ms;
}

static void wait_ms(struct flusher *f, int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&f->wake, &f->mu, &t);
}

static void *run(void *arg)
{
    struct sig *g = arg;
    struct flusher *f = &g->flusher;
    int64_t retry_ms = 0;
    char name[16];

    snprintf(name, sizeof name, "fl-%.11s", g->ops->name);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&f->mu);
    while (!f->stop) {
        uint64_t wish = f->asked;
        struct err e = {0};
        int rc;

        if (wish == f->finished && (clock_mono_ms() < retry_ms || !is_due(g, clock_mono_ms()))) {
            wait_ms(f, LOOK_MS);
            continue;
        }
        pthread_mutex_unlock(&f->mu);
        rc = flush(g, &e);
        pthread_mutex_lock(&f->mu);
        retry_ms = rc < 0 ? clock_mono_ms() + RETRY_MS : 0;
        if (rc == 0)
            atomic_store(&f->last_ms, clock_mono_ms());
        f->finished = wish;
        f->result = rc;
        f->err = e;
        pthread_cond_broadcast(&f->done);
    }
    f->result = ERR_UNAVAILABLE;
    err_set(&f->err, ERR_UNAVAILABLE, "the store is closing");
    f->finished = UINT64_MAX;
    pthread_cond_broadcast(&f->done);
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

void flush_soon(struct sig *g)
{
    pthread_mutex_lock(&g->flusher.mu);
    g->flusher.asked++;
    pthread_cond_signal(&g->flusher.wake);
    pthread_mutex_unlock(&g->flusher.mu);
}

int flush_wait(struct sig *g, struct err *e)
{
    struct flusher *f = &g->flusher;
    uint64_t wish;
    int rc;

    pthread_mutex_lock(&f->mu);
    if (!f->running) {
        pthread_mutex_unlock(&f->mu);
        return flush(g, e); /* before store_start, or after the threads stopped: the caller does it */
    }
    wish = ++f->asked;
    pthread_cond_signal(&f->wake);
    while (f->finished < wish)
        pthread_cond_wait(&f->done, &f->mu);
    rc = f->result;
    if (rc < 0 && e)
        *e = f->err;
    pthread_mutex_unlock(&f->mu);
    return rc;
}

int flush_start(struct sig *g, struct err *e)
{
    struct flusher *f = &g->flusher;
    int rc;

    atomic_store(&f->last_ms, clock_mono_ms());
    f->stop = false;
    rc = pthread_create(&f->thread, NULL, run, g);
    if (rc)
        return err_sys(e, rc, "cannot start the flush thread of %s", g->ops->name);
    f->running = true;
    return 0;
}

void flush_stop(struct sig *g)
{
    struct flusher *f = &g->flusher;

    if (!f->running)
        return;
    pthread_mutex_lock(&f->mu);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->mu);
    pthread_join(f->thread, NULL);
    f->running = false;
}
