/*
 * exec.c - the list of queries, the queue in front of the pool, and the budget of each.
 *
 * (1) A query is in the engine's list from query_start or query_begin until query_end has returned.
 * (2) At most concurrent_max queries hold a place; the others wait in order of arrival. query_end hands its place on.
 * (3) query.stop is set once and never cleared: the first reason to stop is the one reported.
 * (4) Who holds a place runs: every place has a thread, so that neither long queries nor clients that take their
 *     answer slowly keep a short one from starting. Threads that help queries read (pool) are others.
 *
 * engine.mu protects the list and the queue and is held for a few pointer moves only.
 */
#include "query/exec/exec.h"

#include "base/chunks.h"
#include "query/exec/compiler.h"
#include "query/exec/turn.h"
#include "query/exec/watch.h"

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TRIM_BYTES = 64 << 20, /* given back by queries: the allocator is told to return what it keeps */
    TRIM_STEP_BYTES = 8 << 20,
    TRIM_MS = 60,   /* between two steps */
    LOOK_MS = 1000, /* while there is nothing to return */
    LONG_WORK = 2000000
};

struct deferred {
    void (*fn)(void *arg);
    void *arg;
    struct deferred *next;
};

/* What the engine keeps of a query besides what everybody sees. */
struct entry {
    struct query q; /* first: a struct query * is a struct entry * */
    struct entry *next, *prev;
    struct entry *next_waiting;
    void (*fn)(struct query *q, void *arg);
    void *arg;
    bool waiting, holds_place;
    struct turn turn;
    struct deferred *deferred;
    struct err why; /* under the engine's mu: the sentence that goes with q.stop */
};

struct query_engine {
    /* Set at start. */
    struct query_engine_opts opts;
    struct pool *pool, *runners;
    pthread_t returner;

    struct turns turns; /* these have their own locks */
    struct compiler compiler;

    /* Under mu. */
    pthread_mutex_t mu;
    struct entry *first, *last;                 /* all, oldest first */
    struct entry *waiting_first, *waiting_last; /* those that have no place */
    uint32_t running, waiting;
    uint64_t next_id, refused, canceled, timed_out, limited;
    bool closing;
    pthread_cond_t closed;

    /* Any thread. */
    _Atomic uint64_t bytes;      /* charged by all queries */
    _Atomic uint64_t given_back; /* by queries that ended since the allocator was last told to return memory */
};

void query_limits_default(struct query_limits *l)
{
    *l = (struct query_limits){.timeout_ms = 120000, .samples_max = 50000000, .bytes_max = UINT64_C(256) << 20};
}

void query_engine_opts_default(struct query_engine_opts *o)
{
    *o = (struct query_engine_opts){.concurrent_max = 20,
                                    .waiting_max = 1000,
                                    .bytes_max = UINT64_C(1) << 30,
                                    .lookback_ms = 300000,
                                    .default_step_ms = 60000};
    query_limits_default(&o->limits);
}

/* More threads than cores: the helpers of one long query do not keep those of a short one waiting. */
static unsigned default_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 4 : (unsigned)cores * 2;
}

/*
 * Memory that queries took lies ready for the next ones, and goes back in small steps once nobody has needed it for a while:
 * returning hundreds of MiB at once would hold up every thread that asks for memory.
 */
static void *return_memory(void *arg)
{
    struct query_engine *en = arg;
    struct timespec until;
    bool closing = false, idle;

    while (!closing) {
        int64_t ms = chunks_idle() ? TRIM_MS : LOOK_MS;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ms / 1000;
        until.tv_nsec += ms % 1000 * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&en->mu);
        if (!en->closing)
            pthread_cond_timedwait(&en->closed, &en->mu, &until);
        closing = en->closing;
        idle = en->first == NULL;
        pthread_mutex_unlock(&en->mu);
        background_enter(&en->turns.background, clock_mono_ns());
        chunks_trim(TRIM_STEP_BYTES);
        if (idle && atomic_load(&en->given_back) >= TRIM_BYTES) {
            atomic_store(&en->given_back, 0);
            malloc_trim(0); /* else the allocator keeps what many threads took in pieces */
        }
        background_leave(&en->turns.background);
    }
    return NULL;
}

static void start_returner(struct query_engine *en)
{
    pthread_condattr_t attr;
    int code;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&en->closed, &attr);
    pthread_condattr_destroy(&attr);
    code = pthread_create(&en->returner, NULL, return_memory, en);
    assert(code == 0);
    (void)code;
    pthread_setname_np(en->returner, "query/memory");
}

struct query_engine *query_engine_new(const struct query_engine_opts *o)
{
    struct query_engine *en = x_zalloc(sizeof *en);

    en->opts = *o;
    if (en->opts.threads == 0)
        en->opts.threads = default_threads();
    if (en->opts.processors == 0)
        en->opts.processors = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
    pthread_mutex_init(&en->mu, NULL);
    turns_init(&en->turns, en->opts.processors);
    compiler_init(&en->compiler, &en->turns.background);
    en->next_id = 1;
    if (en->opts.concurrent_max == 0)
        en->opts.concurrent_max = 1;
    en->pool = pool_new("query", en->opts.threads, 0);
    en->runners = pool_new("run", en->opts.concurrent_max, 0);
    start_returner(en);
    return en;
}

void query_engine_free(struct query_engine *en)
{
    if (!en)
        return;
    pthread_mutex_lock(&en->mu);
    for (struct entry *x = en->first; x; x = x->next)
        if (!x->q.stop)
            atomic_store(&x->q.stop, ERR_CANCELED);
    pthread_mutex_unlock(&en->mu);
    pool_free(en->runners);
    pool_free(en->pool);
    compiler_release(&en->compiler);
    pthread_mutex_lock(&en->mu);
    en->closing = true;
    pthread_cond_signal(&en->closed);
    pthread_mutex_unlock(&en->mu);
    pthread_join(en->returner, NULL);
    pthread_cond_destroy(&en->closed);
    assert(!en->first && !en->waiting_first);
    pthread_mutex_destroy(&en->mu);
    turns_release(&en->turns);
    free(en);
}

const struct query_engine_opts *query_engine_opts_of(const struct query_engine *en)
{
    return &en->opts;
}

struct compiler *compiler_of(struct query *q)
{
    return &q->engine->compiler;
}

struct pool *query_engine_pool(struct query_engine *en)
{
    return en->pool;
}

void query_expect(struct query *q, uint64_t work)
{
    if (work > LONG_WORK)
        turn_is_long(&q->engine->turns, &((struct entry *)q)->turn);
}

struct query *query_work_for(struct query *q)
{
    return compiler_turn_to(q);
}

void query_leave(struct query *q)
{
    watch_leave("a pause");
    turn_leave(&q->engine->turns);
}

/* --- the list ----------------------------------------------------------------------------------- */

static struct entry *entry_new(struct query_engine *en, const char *lang, struct str text,
                               const struct query_limits *limits)
{
    struct entry *x = x_zalloc(sizeof *x);

    x->q.engine = en;
    x->q.lang = lang;
    x->q.limits = limits ? *limits : en->opts.limits;
    x->q.text = arena_dup(&x->q.arena, text);
    x->q.started_ms = clock_wall_ms();
    x->q.deadline_ns = x->q.limits.timeout_ms ? clock_mono_ns() + x->q.limits.timeout_ms * 1000000 : INT64_MAX;
    return x;
}

static void list_add(struct query_engine *en, struct entry *x)
{
    x->q.id = en->next_id++;
    x->prev = en->last;
    if (en->last)
        en->last->next = x;
    else
        en->first = x;
    en->last = x;
}

static void list_remove(struct query_engine *en, struct entry *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        en->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        en->last = x->prev;
}

static void run_entry(void *arg)
{
    struct entry *x = arg;

    turn_run(&x->turn);
    watch_begin("the start");
    compiler_turn_to(&x->q);
    x->fn(&x->q, x->arg); /* x is gone */
    compiler_turn_to(NULL);
}

static void give_place(struct query_engine *en, struct entry *x)
{
    int code;

    x->waiting = false;
    x->holds_place = true;
    en->running++;
    turn_begin(&en->turns, &x->turn);
    code = pool_run(en->runners, run_entry, x);
    assert(code == 0); /* the pool's own queue has no bound; ours has */
    (void)code;
}

int query_start(struct query_engine *en, const char *lang, struct str text, const struct query_limits *limits,
                void (*fn)(struct query *q, void *arg), void *arg, struct err *e)
{
    struct entry *x = entry_new(en, lang, text, limits);
    int code = 0;

    x->fn = fn;
    x->arg = arg;
    pthread_mutex_lock(&en->mu);
    if (en->running < en->opts.concurrent_max) {
        list_add(en, x);
        give_place(en, x);
    } else if (en->waiting < en->opts.waiting_max) {
        list_add(en, x);
        x->waiting = true;
        if (en->waiting_last)
            en->waiting_last->next_waiting = x;
        else
            en->waiting_first = x;
        en->waiting_last = x;
        en->waiting++;
    } else {
        en->refused++;
        code = err_set(e, ERR_BUSY, "%u queries run and %u wait already (query.max-concurrency %u)", en->running,
                       en->waiting, en->opts.concurrent_max);
    }
    pthread_mutex_unlock(&en->mu);
    if (code < 0) {
        arena_release(&x->q.arena);
        free(x);
    }
    return code;
}

struct query *query_begin(struct query_engine *en, const char *lang, struct str text, const struct query_limits *limits)
{
    struct entry *x = entry_new(en, lang, text, limits);

    pthread_mutex_lock(&en->mu);
    list_add(en, x);
    pthread_mutex_unlock(&en->mu);
    turn_begin(&en->turns, &x->turn);
    turn_run(&x->turn);
    watch_begin("the start");
    return &x->q;
}

void query_defer(struct query *q, void (*fn)(void *arg), void *arg)
{
    struct entry *x = (struct entry *)q;
    struct deferred *d = arena_new(&q->arena, struct deferred);

    *d = (struct deferred){fn, arg, x->deferred};
    x->deferred = d;
}

void query_end(struct query *q)
{
    struct entry *x = (struct entry *)q;
    struct query_engine *en = q->engine;

    for (struct deferred *d = x->deferred; d; d = d->next)
        d->fn(d->arg);
    compiler_turn_to(NULL);
    turn_end(&en->turns, &x->turn);
    atomic_fetch_sub(&en->bytes, q->bytes);
    pthread_mutex_lock(&en->mu);
    list_remove(en, x);
    en->canceled += q->stop == ERR_CANCELED;
    en->timed_out += q->stop == ERR_TIMEOUT;
    en->limited += q->stop == ERR_LIMIT;
    if (x->holds_place) {
        struct entry *next = en->waiting_first;

        en->running--;
        if (next) {
            en->waiting_first = next->next_waiting;
            if (!en->waiting_first)
                en->waiting_last = NULL;
            en->waiting--;
            give_place(en, next);
        }
    }
    pthread_mutex_unlock(&en->mu);
    atomic_fetch_add(&en->given_back, q->bytes_peak);
    arena_release(&x->q.arena);
    free(x);
    watch_leave("the end");
}

/* --- the budget --------------------------------------------------------------------------------- */

/* Raises *peak to at least v. */
static void raise_peak(_Atomic uint64_t *peak, uint64_t v)
{
    uint64_t old = atomic_load_explicit(peak, memory_order_relaxed);

    while (old < v && !atomic_compare_exchange_weak_explicit(peak, &old, v, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* The first reason ends the query, and its sentence is what every part of it says (3). A kill leaves no sentence. */
static int stop_for(struct query *q, const struct err *why, struct err *e)
{
    struct entry *x = (struct entry *)q;
    int code;

    pthread_mutex_lock(&q->engine->mu);
    if (!q->stop) {
        x->why = *why;
        atomic_store(&q->stop, why->code);
    }
    if (x->why.code)
        why = &x->why;
    code = why->code;
    if (e)
        *e = *why;
    pthread_mutex_unlock(&q->engine->mu);
    return code;
}

static int stopped(struct query *q, int code, const char *where, struct err *e)
{
    struct err why;

    if (code == ERR_TIMEOUT)
        err_set(&why, code, "query timed out in expression evaluation: %lld ms are over (query.timeout), in %s",
                (long long)q->limits.timeout_ms, where);
    else
        err_set(&why, ERR_CANCELED, "query was canceled in expression evaluation, in %s", where);
    return stop_for(q, &why, e);
}

int query_check(struct query *q, const char *where, struct err *e)
{
    struct entry *x = (struct entry *)q;
    int64_t now = clock_mono_ns();
    int stop;

    watch_check(where);
    turn_check(&q->engine->turns, &x->turn, now, &q->stop);
    stop = atomic_load_explicit(&q->stop, memory_order_relaxed);
    if (stop)
        return stopped(q, stop, where, e);
    if (now > q->deadline_ns)
        return stopped(q, ERR_TIMEOUT, where, e);
    if (q->canceled && q->canceled(q->canceled_arg))
        return stopped(q, ERR_CANCELED, where, e);
    return 0;
}

bool query_must_stop(struct query *q)
{
    watch_check("an index");
    return atomic_load_explicit(&q->stop, memory_order_relaxed) || clock_mono_ns() > q->deadline_ns ||
           (q->canceled && q->canceled(q->canceled_arg));
}

int query_give_way(struct query *q, const char *where)
{
    struct entry *x = (struct entry *)q;
    int stop;

    watch_check(where);
    turn_check(&q->engine->turns, &x->turn, clock_mono_ns(), &q->stop);
    stop = atomic_load_explicit(&q->stop, memory_order_relaxed);
    return stop ? stop : q->canceled && q->canceled(q->canceled_arg) ? ERR_CANCELED : 0;
}

static int over_memory(struct query *q, uint64_t now, uint64_t all, bool own, const char *where, struct err *e)
{
    struct err why;

    if (own)
        err_set(&why, ERR_LIMIT, "query needs more memory than query.max-bytes allows: %llu of %llu bytes, in %s",
                (unsigned long long)now, (unsigned long long)q->limits.bytes_max, where);
    else
        err_set(
            &why, ERR_BUSY,
            "all queries together need more memory than query.max-bytes-total allows: %llu of %llu bytes, %llu of them for "
            "this one, in %s",
            (unsigned long long)all, (unsigned long long)q->engine->opts.bytes_max, (unsigned long long)now, where);
    return stop_for(q, &why, e);
}

int query_charge(struct query *q, int64_t bytes, const char *where, struct err *e)
{
    struct query_engine *en = q->engine;
    uint64_t now = atomic_fetch_add(&q->bytes, (uint64_t)bytes) + (uint64_t)bytes;
    uint64_t all = atomic_fetch_add(&en->bytes, (uint64_t)bytes) + (uint64_t)bytes;
    bool over = q->limits.bytes_max && now > q->limits.bytes_max,
         over_all = en->opts.bytes_max && all > en->opts.bytes_max;

    if (bytes <= 0)
        return 0;
    if (over || over_all) {
        atomic_fetch_sub(&q->bytes, (uint64_t)bytes);
        atomic_fetch_sub(&en->bytes, (uint64_t)bytes);
        return over_memory(q, now, all, over, where, e);
    }
    raise_peak(&q->bytes_peak, now);
    return 0;
}

int query_samples(struct query *q, uint64_t read, int64_t held, const char *where, struct err *e)
{
    uint64_t now = atomic_fetch_add(&q->samples, (uint64_t)held) + (uint64_t)held;
    struct err why;

    if (read)
        atomic_fetch_add_explicit(&q->samples_total, read, memory_order_relaxed);
    if (held <= 0)
        return 0;
    if (q->limits.samples_max && now > q->limits.samples_max) {
        atomic_fetch_sub(&q->samples, (uint64_t)held);
        err_set(&why, ERR_LIMIT,
                "query processing would load too many samples into memory in query execution: more than %llu "
                "(query.max-samples), in %s",
                (unsigned long long)q->limits.samples_max, where);
        return stop_for(q, &why, e);
    }
    raise_peak(&q->samples_peak, now);
    return 0;
}

/* --- seen from outside ---------------------------------------------------------------------------- */

void query_stats(struct query_engine *en, struct query_stats *out)
{
    pthread_mutex_lock(&en->mu);
    *out = (struct query_stats){
        .waiting = en->waiting,
        .started = en->next_id - 1,
        .refused = en->refused,
        .canceled = en->canceled,
        .timed_out = en->timed_out,
        .limited = en->limited,
        .bytes = atomic_load(&en->bytes),
    };
    for (struct entry *x = en->first; x; x = x->next)
        out->running += !x->waiting;
    pthread_mutex_unlock(&en->mu);
}

uint32_t query_list(struct query_engine *en, struct arena *a, struct query_info **out)
{
    uint32_t n = 0, cap;
    int64_t now = clock_wall_ms();

    pthread_mutex_lock(&en->mu);
    cap = 0;
    for (struct entry *x = en->first; x; x = x->next)
        cap++;
    *out = arena_array(a, struct query_info, cap);
    for (struct entry *x = en->first; x; x = x->next)
        (*out)[n++] = (struct query_info){
            .id = x->q.id,
            .text = arena_dup(a, x->q.text),
            .lang = x->q.lang,
            .started_ms = x->q.started_ms,
            .running_ms = now - x->q.started_ms,
            .bytes = x->q.bytes,
            .samples = x->q.samples_total,
            .waiting = x->waiting,
        };
    pthread_mutex_unlock(&en->mu);
    return n;
}

int query_kill(struct query_engine *en, uint64_t id, struct err *e)
{
    int code = err_set(e, ERR_NOT_FOUND, "no query %llu runs or waits", (unsigned long long)id);

    pthread_mutex_lock(&en->mu);
    for (struct entry *x = en->first; x; x = x->next)
        if (x->q.id == id) {
            if (!x->q.stop)
                atomic_store(&x->q.stop, ERR_CANCELED);
            code = 0;
        }
    pthread_mutex_unlock(&en->mu);
    return code;
}
