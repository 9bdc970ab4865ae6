/*
 * scraper.c - the loop: one scheduler thread, a heap of targets by their next tick, workers for everything that takes
 * time.
 *
 *     the owner ──scraper_apply──▶ pools ◀──discovery (its own threads)
 *                                    │
 *     scheduler: sync pools (at most every 5 s each), start scrapes that are due, sleep until the next
 *
 * (1) mu guards pools, targets and the heap. It is held for look-ups and relabelling of targets, never for network,
 * disk or the body of a scrape. (2) A target is in exactly one place: its pool, or the list of ending ones, or (its
 * last run under way) none. (3) A tick that comes while the scrape before it still runs is left out: timestamps stay on
 * the grid, nothing queues up.
 */
#include "collector/scrape/scraper_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS_MAX = 4, SLEEP_MS_MAX = 60000 };

/* --- heap --------------------------------------------------------------------------------------------------- */

static void heap_put(struct scraper *s, uint32_t i, struct target *t)
{
    s->heap[i] = t;
    t->heap_at = i + 1;
}

static void sift(struct scraper *s, uint32_t i)
{
    struct target *t = s->heap[i];

    for (; i > 0 && s->heap[(i - 1) / 2]->due_mono_ns > t->due_mono_ns; i = (i - 1) / 2)
        heap_put(s, i, s->heap[(i - 1) / 2]);
    for (;;) {
        uint32_t child = i * 2 + 1;

        if (child + 1 < s->nheap && s->heap[child + 1]->due_mono_ns < s->heap[child]->due_mono_ns)
            child++;
        if (child >= s->nheap || s->heap[child]->due_mono_ns >= t->due_mono_ns)
            break;
        heap_put(s, i, s->heap[child]);
        i = child;
    }
    heap_put(s, i, t);
}

void unschedule(struct scraper *s, struct target *t)
{
    uint32_t at = t->heap_at;
    struct target *last;

    if (!at)
        return;
    t->heap_at = 0;
    last = s->heap[--s->nheap];
    if (last == t)
        return;
    heap_put(s, at - 1, last);
    sift(s, at - 1);
}

void schedule(struct scraper *s, struct target *t)
{
    if (t->heap_at) {
        sift(s, t->heap_at - 1);
        return;
    }
    if (s->nheap == s->heap_cap) {
        s->heap_cap = s->heap_cap * 2 + 64;
        s->heap = x_realloc(s->heap, sizeof(struct target *) * s->heap_cap);
    }
    s->nheap++;
    heap_put(s, s->nheap - 1, t);
    sift(s, s->nheap - 1);
}

static void schedule_at(struct scraper *s, struct target *t, int64_t wall_ms)
{
    t->due_wall_ms = wall_ms;
    t->due_mono_ns = clock_mono_ns() + wall_ms * 1000000 - clock_wall_ns();
    schedule(s, t);
}

/* A builtin's first scrape does not wait for its tick: whoever has just started us wants to see something. */
void schedule_next_tick(struct scraper *s, struct target *t)
{
    if (t->builtin && t->last_scrape_ms == 0)
        schedule_at(s, t, clock_wall_ms());
    else
        schedule_at(s, t, target_next_ms(t, clock_wall_ms() + 1));
}

/* --- targets that go ------------------------------------------------------------------------------------------ */

/*
 * The markers carry the time of the next tick, and are written one interval and a tenth after it: whoever scrapes the
 * same thing under another configuration has shown up by then.
 */
void target_end(struct scraper *s, struct target *t)
{
    struct scrape_pool *rest = scrape_pool_new(t->pool->name); /* outlives its job: only what the last run needs */

    rest->config = t->pool->config;
    rest->owner = t->pool->owner ? scrape_configs_ref(t->pool->owner) : NULL;
    t->pool = rest;
    t->ending = true;
    t->stale_ms = target_next_ms(t, clock_wall_ms() + 1);
    t->next_old = s->ending;
    s->ending = t;
    schedule_at(s, t, t->stale_ms + t->interval_ms + t->interval_ms / 10);
}

static void free_rest(struct scraper *s, struct target *t)
{
    struct scrape_pool *rest = t->pool;

    t->pool = NULL;
    scrape_pool_free(s, rest);
}

static void leave_ending(struct scraper *s, struct target *t)
{
    for (struct target **at = &s->ending; *at; at = &(*at)->next_old) {
        if (*at == t) {
            *at = t->next_old;
            return;
        }
    }
}

struct target *target_revive(struct scraper *s, struct hash128 id)
{
    for (struct target *t = s->ending; t; t = t->next_old) {
        if (!hash128_eq(t->id, id))
            continue;
        leave_ending(s, t);
        unschedule(s, t);
        free_rest(s, t);
        t->ending = false;
        return t;
    }
    return NULL;
}

static bool carried_on(const struct scraper *s, const struct target *gone)
{
    for (uint32_t i = 0; i < s->npools; i++) {
        for (uint32_t k = 0; k < s->pools[i]->ntargets; k++) {
            const struct target *t = s->pools[i]->targets[k];

            if (t->last_scrape_ms > gone->stale_ms && labels_eq(&t->labels, &gone->labels))
                return true;
        }
    }
    return false;
}

/* --- scheduler ------------------------------------------------------------------------------------------------- */

/* Under mu: the run of the target that is due, or NULL when its tick is left out. */
static struct scrape_run *take_due(struct scraper *s, struct target *t)
{
    struct scrape_run *run;
    int64_t now_ns = clock_wall_ns(), now_ms = now_ns / 1000000;
    bool near = t->due_wall_ms < now_ms + t->interval_ms; /* else the wall clock was set back */

    unschedule(s, t);
    if (t->ending) {
        if (t->busy) { /* its last scrape still runs */
            schedule_at(s, t, now_ms + 100);
            return NULL;
        }
        leave_ending(s, t);
        run = scrape_run_new(s, t, t->stale_ms);
        run->skip_markers = carried_on(s, t);
        free_rest(s, t);
        return run;
    }
    run = t->busy ? NULL : scrape_run_new(s, t, target_stamp_ms(t->interval_ms, t->due_wall_ms, now_ns));
    schedule_at(s, t, target_next_ms(t, (near ? MAX(t->due_wall_ms, now_ms) : now_ms) + t->interval_ms / 2));
    return run;
}

/* Under mu. Returns when the next pool may be synchronised (clock_mono_ms). */
static int64_t sync_pools(struct scraper *s)
{
    int64_t now = clock_mono_ms(), next = INT64_MAX;

    for (uint32_t i = 0; i < s->npools; i++) {
        struct scrape_pool *p = s->pools[i];

        if (!p->dirty)
            continue;
        if (p->synced_ms == 0 || now - p->synced_ms >= SYNC_EVERY_MS)
            scrape_pool_sync(s, p);
        else
            next = MIN(next, p->synced_ms + SYNC_EVERY_MS);
    }
    return next;
}

/* Everything that is due now; *next_ns becomes when to look again (clock_mono_ns). false: stopped. */
static bool turn(struct scraper *s, int64_t *next_ns)
{
    int64_t discovery_ms = discovery_run(s->discovery), sync_ms, now = clock_mono_ns();
    struct scrape_run **due = NULL;
    uint32_t ndue = 0, cap = 0;
    bool stopped;

    pthread_mutex_lock(&s->mu);
    stopped = s->stopped;
    sync_ms = sync_pools(s);
    while (!stopped && s->nheap && s->heap[0]->due_mono_ns <= now) {
        struct scrape_run *run = take_due(s, s->heap[0]);

        if (!run)
            continue;
        if (ndue == cap) {
            cap = cap * 2 + 16;
            due = x_realloc(due, sizeof(struct scrape_run *) * cap);
        }
        due[ndue++] = run;
    }
    *next_ns = now + INT64_C(1000000) * SLEEP_MS_MAX;
    if (s->nheap)
        *next_ns = MIN(*next_ns, s->heap[0]->due_mono_ns);
    pthread_mutex_unlock(&s->mu);
    if (MIN(discovery_ms, sync_ms) < INT64_MAX / 1000000)
        *next_ns = MIN(*next_ns, MIN(discovery_ms, sync_ms) * 1000000);
    for (uint32_t i = 0; i < ndue; i++)
        scrape_start(due[i]);
    free(due);
    return !stopped;
}

static void *scheduler(void *arg)
{
    struct scraper *s = arg;
    int64_t next_ns = 0;

    while (turn(s, &next_ns)) {
        struct pollfd fds[2] = {{.fd = s->wake_fd, .events = POLLIN},
                                {.fd = discovery_fd(s->discovery), .events = POLLIN}};
        int64_t left = MAX(next_ns - clock_mono_ns(), INT64_C(0));
        struct timespec ts = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        uint64_t woken;

        if (ppoll(fds, 2, &ts, NULL) < 0 && errno != EINTR)
            log_error("scrape", "scheduler: poll failed: %s", strerror(errno));
        if (fds[0].revents && read(s->wake_fd, &woken, sizeof(woken)) < 0 && errno != EAGAIN)
            log_error("scrape", "scheduler: %s", strerror(errno));
        if (fds[1].revents)
            discovery_files_changed(s->discovery);
    }
    return NULL;
}

void scraper_wake(struct scraper *s)
{
    uint64_t one = 1;

    if (write(s->wake_fd, &one, sizeof(one)) < 0)
        assert(errno == EAGAIN); /* the counter is full: it is awake */
}

static void lists_changed(void *arg, bool lists)
{
    struct scraper *s = arg;

    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; lists && i < s->npools; i++)
        s->pools[i]->dirty |= s->pools[i]->nproviders > 0;
    pthread_mutex_unlock(&s->mu);
    scraper_wake(s);
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

void scraper_add_builtin(struct scraper *s, const struct scrape_builtin *b)
{
    assert(!s->started);
    s->builtins = x_realloc(s->builtins, sizeof(*s->builtins) * (s->nbuiltins + 1));
    s->builtins[s->nbuiltins++] = *b;
}

/* The same form as a job with one static target, so that nothing downstream tells the difference. */
static void start_builtin(struct scraper *s, const struct scrape_builtin *b, struct scrape_config *c,
                          struct scrape_pool *p)
{
    struct label address = {STR("__address__"), str_of(b->instance)};
    struct labels own = {&address, 1};
    struct sd_config *sd = x_zalloc(sizeof(*sd));

    *c = (struct scrape_config){.job = str_of(b->job),
                                .metrics_path = STR("/metrics"),
                                .scheme = STR("builtin"),
                                .honor_timestamps = true,
                                .fallback_protocol = PROTO_TEXT_0_0_4,
                                .text = STR("builtin"),
                                .series_text = STR("builtin")};
    c->common.interval_ms = b->interval_ms;
    c->common.timeout_ms = b->interval_ms;
    *sd = (struct sd_config){
        .kind = SD_STATIC, .group = {.source = STR("0"), .targets = &own, .n = 1}, .text = STR("builtin")};
    c->sd = sd;
    c->nsd = 1;
    p->builtin = b;
    scrape_pool_configure(s, p, c, NULL); /* copies the group */
    sd->group = (struct target_group){0};
}

static void add_pool(struct scraper *s, struct scrape_pool *p)
{
    s->pools = x_realloc(s->pools, sizeof(struct scrape_pool *) * (s->npools + 1));
    s->pools[s->npools++] = p;
}

static void start(struct scraper *s)
{
    s->started = true;
    s->builtin_configs = x_zalloc(sizeof(*s->builtin_configs) * (s->nbuiltins + 1));
    for (uint32_t i = 0; i < s->nbuiltins; i++) {
        struct scrape_pool *p = scrape_pool_new(str_of(s->builtins[i].job));

        start_builtin(s, &s->builtins[i], &s->builtin_configs[i], p);
        add_pool(s, p);
    }
}

static struct scrape_pool *pool_of(const struct scraper *s, struct str job)
{
    for (uint32_t i = 0; i < s->npools; i++) {
        if (!s->pools[i]->builtin && str_eq(s->pools[i]->name, job))
            return s->pools[i];
    }
    return NULL;
}

static void remove_absent_pools(struct scraper *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->npools; i++) {
        struct scrape_pool *p = s->pools[i];

        if (p->present || p->builtin)
            s->pools[n++] = p;
        else
            scrape_pool_free(s, p);
    }
    s->npools = n;
}

int scraper_apply(struct scraper *s, struct scrape_configs *c, struct err *e)
{
    bool first;
    int code = 0;

    pthread_mutex_lock(&s->mu);
    first = !s->started;
    if (first)
        start(s);
    for (uint32_t i = 0; i < s->npools; i++)
        s->pools[i]->present = false;
    for (uint32_t i = 0; c && i < c->n; i++) {
        struct scrape_pool *p = pool_of(s, c->v[i].job);

        if (!p)
            add_pool(s, p = scrape_pool_new(c->v[i].job));
        p->present = true;
        scrape_pool_configure(s, p, &c->v[i], c);
    }
    remove_absent_pools(s);
    (void)sync_pools(s);
    pthread_mutex_unlock(&s->mu);
    if (first && (code = pthread_create(&s->thread, NULL, scheduler, s)) != 0) {
        s->started = false;
        return err_sys(e, code, "cannot start the scrape scheduler");
    }
    scraper_wake(s);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------------
 */

struct scraper *scraper_new(struct tsdb *db, struct http_client *client)
{
    struct scraper *s = x_zalloc(sizeof(*s));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    s->db = db;
    s->client = client;
    s->refs = 1;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(s->wake_fd >= 0);
    pthread_mutex_init(&s->mu, NULL);
    s->workers = pool_new("scrape", (unsigned)MAX(1, MIN(cores, (long)WORKERS_MAX)), 0);
    s->discovery = discovery_new(client, lists_changed, s);
    return s;
}

static void release(struct scraper *s)
{
    struct target *t;

    for (uint32_t i = 0; i < s->npools; i++)
        scrape_pool_free(s, s->pools[i]); /* its targets join the ending ones */
    while ((t = s->ending)) {
        s->ending = t->next_old;
        free_rest(s, t);
        target_free(t);
    }
    discovery_free(s->discovery);
    for (uint32_t i = 0; i < s->nbuiltins && s->builtin_configs; i++)
        free(s->builtin_configs[i].sd);
    free(s->builtin_configs);
    free(s->builtins);
    free(s->pools);
    free(s->heap);
    close(s->wake_fd);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

void scraper_unref(struct scraper *s)
{
    if (atomic_fetch_sub(&s->refs, 1) == 1)
        release(s);
}

void scraper_free(struct scraper *s)
{
    struct pool *workers;

    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    s->stopped = true;
    workers = s->workers;
    pthread_mutex_unlock(&s->mu);
    if (s->started) {
        scraper_wake(s);
        pthread_join(s->thread, NULL);
    }
    pool_free(workers); /* no new job comes since stopped */
    discovery_stop(s->discovery);
    scraper_unref(s);
}

void scraper_stats(struct scraper *s, struct scraper_stats *out)
{
    *out = (struct scraper_stats){0};
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i < s->npools; i++) {
        for (uint32_t k = 0; k < s->pools[i]->ntargets; k++) {
            out->targets++;
            out->up += s->pools[i]->targets[k]->health == HEALTH_UP;
        }
    }
    pthread_mutex_unlock(&s->mu);
    out->scrapes = atomic_load(&s->scrapes);
    out->failures = atomic_load(&s->failures);
    out->samples = atomic_load(&s->samples);
    out->dropped_out_of_order = atomic_load(&s->dropped_old);
    out->dropped_duplicate = atomic_load(&s->dropped_duplicate);
    out->dropped_bounds = atomic_load(&s->dropped_bounds);
}
