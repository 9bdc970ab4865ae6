/* background.c - see background.h. */
#include "query/exec/background.h"

#include "base/base.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000000, TICK_NS = BACKGROUND_STILL_MS * MS / 2, STILL_TICKS = 2, SHARE_NS = TICK_NS / 8 };

/* Of a thread in the background, linked under mu. */
struct background_thread {
    struct background *where; /* NULL: in front. The thread's own */
    struct background_thread *next;
    pid_t tid;
    clockid_t cpu;
    _Atomic bool pardoned;

    /* The watcher's. */
    int64_t ran_ns;
    int still;
};

static __thread struct background_thread mine;

static bool set_class(pid_t tid, int policy)
{
    return sched_setscheduler(tid, policy, &(struct sched_param){0}) == 0;
}

static int64_t cpu_ns(clockid_t clock)
{
    struct timespec t;

    return clock_gettime(clock, &t) == 0 ? t.tv_sec * INT64_C(1000000000) + t.tv_nsec : 0;
}

/* --- the watcher ----------------------------------------------------------------------------------------- */

/* Does it want a processor, or wait for something else? proc(5): the state stands behind the name in brackets. */
static bool wants_processor(pid_t tid)
{
    char path[64], text[256], *state;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[MAX(n, 0)] = 0;
    state = strrchr(text, ')');
    return !state || str_starts(str_of(state), STR(") R"));
}

static bool is_starved(struct background_thread *t)
{
    int64_t ran_ns = cpu_ns(t->cpu);

    t->still = ran_ns - t->ran_ns <= SHARE_NS && wants_processor(t->tid) ? t->still + 1 : 0;
    t->ran_ns = ran_ns;
    return t->still >= STILL_TICKS;
}

/* Under mu. Who is pardoned is brought back at every tick until it knows: it may just have been on its way to the background. */
static void look_after(struct background *b)
{
    for (struct background_thread *t = b->first; t; t = t->next) {
        if (!atomic_load(&t->pardoned) && is_starved(t)) {
            atomic_store(&t->pardoned, true);
            atomic_store(&b->pardon_until_ns, clock_mono_ns() + BACKGROUND_PARDON_MS * (int64_t)MS);
        }
        if (atomic_load(&t->pardoned))
            set_class(t->tid, SCHED_OTHER);
    }
}

static void wait_tick(struct background *b)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / (1000 * MS);
    until.tv_nsec %= 1000 * MS;
    pthread_cond_timedwait(&b->changed, &b->mu, &until);
}

static void *watch(void *arg)
{
    struct background *b = arg;
    bool usable = sched_getscheduler(0) == SCHED_OTHER && set_class(0, SCHED_IDLE) && set_class(0, SCHED_OTHER);

    pthread_mutex_lock(&b->mu);
    b->usable = usable;
    b->probed = true;
    pthread_cond_broadcast(&b->changed);
    while (usable && !b->ends) {
        if (b->first)
            wait_tick(b);
        else
            pthread_cond_wait(&b->changed, &b->mu);
        look_after(b);
    }
    pthread_mutex_unlock(&b->mu);
    return NULL;
}

void background_init(struct background *b)
{
    pthread_condattr_t attr;

    *b = (struct background){0};
    pthread_mutex_init(&b->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&b->watcher, NULL, watch, b) != 0) {
        b->ends = true;
        return;
    }
    pthread_mutex_lock(&b->mu);
    while (!b->probed)
        pthread_cond_wait(&b->changed, &b->mu);
    pthread_mutex_unlock(&b->mu);
}

void background_release(struct background *b)
{
    assert(!b->first); /* (1) */
    if (b->probed) {
        pthread_mutex_lock(&b->mu);
        b->ends = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->mu);
        pthread_join(b->watcher, NULL);
    }
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mu);
}

/* --- the thread itself ----------------------------------------------------------------------------------- */

void background_leave(struct background *b)
{
    struct background_thread **at = &b->first;

    if (mine.where != b)
        return;
    set_class(0, SCHED_OTHER); /* first: the watcher does not wait for a lock held in the background */
    pthread_mutex_lock(&b->mu);
    while (*at != &mine)
        at = &(*at)->next;
    *at = mine.next;
    pthread_mutex_unlock(&b->mu);
    mine.where = NULL;
}

void background_enter(struct background *b, int64_t now_ns)
{
    if (mine.where) {
        if (atomic_load_explicit(&mine.pardoned, memory_order_relaxed))
            background_leave(mine.where);
        return;
    }
    if (!b->usable || now_ns < atomic_load_explicit(&b->pardon_until_ns, memory_order_relaxed))
        return;
    mine.where = b;
    mine.tid = gettid();
    mine.still = 0;
    mine.ran_ns = 0;
    atomic_store(&mine.pardoned, false);
    if (pthread_getcpuclockid(pthread_self(), &mine.cpu) != 0)
        mine.cpu = CLOCK_REALTIME; /* never still */
    pthread_mutex_lock(&b->mu);
    mine.next = b->first;
    b->first = &mine;
    if (!mine.next)
        pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mu);
    set_class(0, SCHED_IDLE); /* last, as above */
}
