/*
 * files.c - the thread that follows everything.
 *
 *     turn: answers of the store ─▶ a new configuration ─▶ look for files ─▶ held records, late files ─▶ read what is queued ─▶ wait
 *
 * Order of locks: files.mu, then answers_mu or the discovery's own.
 */
#include "collector/files/tailer.h"

#include "collector/logs/logs.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 250, SCAN_AGAIN_MS = 100, GC_MS = 10 * 60000, BATCHES_A_TURN = 8, SLEEP_MS_MAX = 10000 };

void files_wake(struct files *f)
{
    uint64_t one = 1;

    if (write(f->wake_fd, &one, sizeof(one)) < 0)
        assert(errno == EAGAIN); /* it is awake */
}

void files_queue(struct files *f, struct followed *w)
{
    if (!w || w->queued || w->busy)
        return;
    w->queued = true;
    w->queue_next = NULL;
    *f->queue_end = w;
    f->queue_end = &w->queue_next;
}

static struct followed *take_queued(struct files *f)
{
    struct followed *w = f->queue;

    if (!w)
        return NULL;
    f->queue = w->queue_next;
    if (!f->queue)
        f->queue_end = &f->queue;
    w->queued = false;
    return w;
}

/* --- configuration ---------------------------------------------------------------------------------------------- */

static struct job *same_job(struct files *f, const struct files_config *c, const struct files_job *job)
{
    for (uint32_t i = 0; i < f->njobs; i++) {
        struct job *j = f->jobs[i];

        if (str_eq(j->config->name, job->name) && str_eq(j->config->text, job->text) &&
            labels_eq(&j->owner->external_labels, &c->external_labels))
            return j;
    }
    return NULL;
}

/* Nothing is under way: files of jobs that go are closed, the others go on. */
static void put_in_force(struct files *f)
{
    struct files_config *c = f->pending, *old = f->config;
    struct job **jobs = x_zalloc(sizeof(struct job *) * (c->n + 1));

    for (uint32_t i = 0; i < c->n; i++) {
        jobs[i] = same_job(f, c, &c->v[i]);
        if (jobs[i])
            jobs[i]->stays = true;
    }
    for (uint32_t i = 0; i < f->njobs; i++) {
        if (!f->jobs[i]->stays)
            job_free(f->jobs[i]);
    }
    free(f->jobs);
    f->jobs = NULL;
    f->njobs = 0;
    f->config = c;
    f->pending = NULL;
    positions_load(f);
    for (uint32_t i = 0; i < c->n; i++) {
        if (!jobs[i])
            jobs[i] = job_new(f, &c->v[i], c);
        jobs[i]->stays = false;
    }
    f->jobs = jobs;
    f->njobs = c->n;
    f->scan_now = true;
    f->scan_ms = 0;
    f->docker_asked = f->docker_root.p != NULL;
    files_config_unref(old);
}

/* --- a turn -------------------------------------------------------------------------------------------------------- */

static void finish_lingering(struct files *f, struct followed *w)
{
    struct batch *b = batch_take(f);

    if (!b)
        return;
    followed_finish(w, b);
    batch_send(b);
}

static void flush_held(struct files *f, struct followed *w)
{
    struct batch *b = batch_take(f);

    if (!b)
        return;
    followed_flush(w, b);
    batch_send(b);
}

static void tick_file(struct files *f, struct followed *w, int64_t now)
{
    if (w->busy || w->closing)
        return;
    if (w->flush_ms <= now)
        flush_held(f, w);
    else if (w->poll_ms <= now || w->size > w->read_to)
        files_queue(f, w);
}

static void tick(struct files *f)
{
    int64_t now = clock_mono_ms();

    if (now - f->tick_ms < TICK_MS)
        return;
    f->tick_ms = now;
    for (uint32_t i = 0; i < f->njobs; i++) {
        struct map_entry *en;
        uint32_t at = 0;

        while ((en = map_next(&f->jobs[i]->targets, &at))) {
            struct target *t = en->value;
            struct followed *next;

            if (t->first)
                tick_file(f, t->first, now);
            for (struct followed *w = t->lingering; w; w = next) {
                next = w->next;
                if (!w->busy && !w->closing && now - w->idle_since_ms >= LINGER_MS)
                    finish_lingering(f, w);
                else
                    tick_file(f, w, now);
            }
        }
    }
}

/* Reads queued files into one batch. Those whose job must wait are left for later: *due_ms. */
static void read_some(struct files *f, struct batch *b, int64_t *due_ms)
{
    struct followed *later = NULL, *w;
    int64_t now = clock_mono_ms();

    while (!batch_full(b) && (w = take_queued(f))) {
        int64_t wait = target_pipeline(w->t)->wait_until_ms;

        if (wait > now) {
            *due_ms = MIN(*due_ms, wait);
            w->queue_next = later;
            later = w;
            continue;
        }
        followed_read(w, b);
    }
    while ((w = later)) {
        later = w->queue_next;
        files_queue(f, w);
    }
}

/* Whether a queued file can be read now. */
static bool work_left(struct files *f)
{
    int64_t now = clock_mono_ms();

    for (struct followed *w = f->queue; w; w = w->queue_next) {
        if (target_pipeline(w->t)->wait_until_ms <= now)
            return true;
    }
    return false;
}

static void read_queue(struct files *f, int64_t *due_ms)
{
    for (int i = 0; i < BATCHES_A_TURN && work_left(f); i++) {
        struct batch *b = batch_take(f);

        if (!b)
            return; /* an answer will wake us */
        read_some(f, b, due_ms);
        batch_send(b);
    }
    if (work_left(f) && f->nbusy < BATCHES)
        *due_ms = 0;
    for (struct followed *w = f->queue; w; w = w->queue_next)
        *due_ms = MIN(*due_ms, MAX(target_pipeline(w->t)->wait_until_ms, f->nbusy < BATCHES ? INT64_C(0) : INT64_MAX));
}

static void sweep(struct files *f, int64_t now)
{
    struct batch *b;

    if (now < f->gc_ms || !(b = batch_take(f)))
        return;
    f->gc_ms = now + GC_MS;
    positions_sweep(f, b);
    batch_send(b);
}

static void look_for_files(struct files *f, int64_t now, int64_t *due_ms)
{
    int64_t since = now - f->scan_ms;

    if (f->scan_ms == 0 || since >= f->config->sync_ms || (f->scan_now && since >= SCAN_AGAIN_MS)) {
        f->scan_now = false;
        targets_scan(f);
        f->scan_ms = MAX(now, (int64_t)1);
    }
    *due_ms = MIN(*due_ms, f->scan_ms + (f->scan_now ? SCAN_AGAIN_MS : f->config->sync_ms));
}

/* Under mu. false: it is over. *due_ms: when to come again. */
static bool turn(struct files *f, int64_t *due_ms)
{
    int64_t now = clock_mono_ms();

    *due_ms = now + SLEEP_MS_MAX;
    batches_settle(f, due_ms);
    if (f->stopping) {
        batches_give_up(f);
        return f->nbusy > 0;
    }
    if (f->pending) {
        batches_give_up(f);
        if (f->nbusy > 0)
            return true;
        put_in_force(f);
    }
    *due_ms = MIN(*due_ms, discovery_run(f->discovery));
    look_for_files(f, now, due_ms);
    tick(f);
    *due_ms = MIN(*due_ms, now + (f->nopen ? TICK_MS : SLEEP_MS_MAX));
    for (uint32_t i = 0; i < f->njobs; i++) {
        if (f->jobs[i]->journald)
            journald_run(f->jobs[i]->journald, due_ms);
    }
    read_queue(f, due_ms);
    sweep(f, now);
    return true;
}

/* Under mu: what to wait for. Malloc'ed. */
static struct pollfd *poll_list(struct files *f, nfds_t *n)
{
    struct pollfd *fds = x_zalloc(sizeof(*fds) * (f->njobs + 3));

    fds[0] = (struct pollfd){.fd = f->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = f->inotify, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = discovery_fd(f->discovery), .events = POLLIN};
    *n = 3;
    for (uint32_t i = 0; i < f->njobs; i++) {
        int fd = f->jobs[i]->journald ? journald_fd(f->jobs[i]->journald) : -1;

        if (fd >= 0)
            fds[(*n)++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return fds;
}

static void *run(void *arg)
{
    struct files *f = arg;
    int64_t due_ms;

    pthread_setname_np(pthread_self(), "files");
    pthread_mutex_lock(&f->mu);
    while (turn(f, &due_ms)) {
        nfds_t n;
        struct pollfd *fds = poll_list(f, &n);
        int64_t left = MAX(due_ms - clock_mono_ms(), INT64_C(0));
        uint64_t woken;

        pthread_mutex_unlock(&f->mu);
        if (poll(fds, n, (int)MIN(left, (int64_t)SLEEP_MS_MAX)) < 0 && errno != EINTR)
            log_error("files", "poll: %s", strerror(errno));
        pthread_mutex_lock(&f->mu);
        if (fds[0].revents && read(f->wake_fd, &woken, sizeof(woken)) < 0 && errno != EAGAIN)
            log_error("files", "eventfd: %s", strerror(errno));
        if (fds[1].revents)
            watch_read(f);
        if (fds[2].revents)
            discovery_files_changed(f->discovery);
        free(fds);
    }
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void lists_changed(void *arg, bool lists)
{
    struct files *f = arg;

    if (!lists)
        return;
    pthread_mutex_lock(&f->mu);
    f->scan_now = true;
    pthread_mutex_unlock(&f->mu);
    files_wake(f);
}

struct files *files_new(const struct files_opts *o)
{
    struct files *f = x_zalloc(sizeof(*f));

    f->opts = *o;
    f->queue_end = &f->queue;
    f->gc_ms = clock_mono_ms() + GC_MS / 10;
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(f->wake_fd >= 0);
    pthread_mutex_init(&f->mu, NULL);
    pthread_mutex_init(&f->answers_mu, NULL);
    watch_open(f);
    f->discovery = discovery_new(o->client, lists_changed, f);
    return f;
}

void files_set_syslog(struct files *f, struct logs *l, struct http_server *s)
{
    assert(!f->started);
    f->logs = l;
    f->server = s;
}

int files_apply(struct files *f, struct files_config *c, struct err *e)
{
    int code = 0;

    pthread_mutex_lock(&f->mu);
    if (!f->started && !c->n) { /* nothing to follow and nothing followed: no thread */
        pthread_mutex_unlock(&f->mu);
        return 0;
    }
    files_config_unref(f->pending);
    f->pending = files_config_ref(c);
    if (!f->started) {
        code = pthread_create(&f->thread, NULL, run, f);
        f->started = code == 0;
        if (code) {
            files_config_unref(f->pending);
            f->pending = NULL;
            pthread_mutex_unlock(&f->mu);
            return err_sys(e, code, "cannot start the thread that follows files");
        }
    }
    files_wake(f);
    pthread_mutex_unlock(&f->mu);
    return 0;
}

void files_stop(struct files *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->mu);
    f->stopping = true;
    pthread_mutex_unlock(&f->mu);
    files_wake(f);
    if (f->started)
        pthread_join(f->thread, NULL);
    discovery_stop(f->discovery);
    for (uint32_t i = 0; i < f->njobs; i++)
        job_free(f->jobs[i]);
    free(f->jobs);
    f->jobs = NULL;
    f->njobs = 0;
}

void files_free(struct files *f)
{
    if (!f)
        return;
    assert(f->njobs == 0);
    discovery_free(f->discovery);
    batches_free(f);
    positions_free(f);
    watch_close(f);
    files_config_unref(f->config);
    files_config_unref(f->pending);
    free((char *)(uintptr_t)f->docker_root.p);
    close(f->wake_fd);
    pthread_mutex_destroy(&f->mu);
    pthread_mutex_destroy(&f->answers_mu);
    free(f);
}
