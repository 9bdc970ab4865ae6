/* turn.c - see turn.h. */
#include "query/exec/turn.h"

#include "base/base.h"

#include <assert.h>
#include <sched.h>
#include <time.h>

enum {
    MS = 1000000,
    SHORT_NS = TURN_SHORT_MS * MS,
    CREDIT_MAX = 30 * MS, /* of waiting, saved up by running */
    CREDIT_LEAST = 5 * MS,
    CREDIT_A_RUN = 3, /* ns of waiting for each that the thread ran */
    LOOK_UP_NS = 5 * MS,
    YIELD_NS = 200000,
    FRESH_NS = 50 * MS,
    CALM_NS = 1000 * MS, /* without a new query: nobody to run behind */
    SLICE_NS = 10 * MS, /* in a seat while others stand */
    GONE_NS = 20 * MS,
};

/* Of the thread that works, whichever query it works for. Its address is the thread's name. */
static __thread struct {
    int64_t credit, checked_ns, yielded_ns, seated_ns;
    struct seat *seat;
} mine = {.credit = CREDIT_MAX};

/* On the stack of the thread that waits. */
struct stander {
    struct stander *next;
    pthread_cond_t called;
};

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void turns_init(struct turns *ts, unsigned processors)
{
    *ts = (struct turns){.nseats = MIN(MAX(processors, 1), TURN_SEATS_MAX)};
    pthread_mutex_init(&ts->mu, NULL);
    cond_init(&ts->quiet);
    background_init(&ts->background);
}

void turns_release(struct turns *ts)
{
    assert(!ts->first);
    background_release(&ts->background);
    pthread_cond_destroy(&ts->quiet);
    pthread_mutex_destroy(&ts->mu);
}

void turn_begin(struct turns *ts, struct turn *t)
{
    atomic_store_explicit(&ts->newest_ns, clock_mono_ns(), memory_order_relaxed);
    atomic_store(&t->is_short, true);
    atomic_fetch_add(&ts->nshort, 1);
}

void turn_run(struct turn *t)
{
    t->thread = pthread_self();
    t->began_ns = clock_mono_ns();
    t->began_cpu_ns = clock_thread_cpu_ns();
}

/* The query is no longer short, or no longer there. */
static void end_short(struct turns *ts, struct turn *t)
{
    if (!atomic_exchange(&t->is_short, false) || atomic_fetch_sub(&ts->nshort, 1) > 1)
        return;
    if (atomic_load(&ts->nwaiting) == 0)
        return;
    pthread_mutex_lock(&ts->mu);
    pthread_cond_broadcast(&ts->quiet);
    pthread_mutex_unlock(&ts->mu);
}

void turn_is_long(struct turns *ts, struct turn *t)
{
    end_short(ts, t);
}

void turn_end(struct turns *ts, struct turn *t)
{
    end_short(ts, t);
    turn_leave(ts);
}

/* Long by the work of its own thread: one that waited for the processor is still short. */
static bool has_grown_long(const struct turn *t, int64_t now_ns)
{
    int64_t wall = now_ns - t->began_ns;

    if (wall < SHORT_NS || !pthread_equal(t->thread, pthread_self()))
        return false;
    return clock_thread_cpu_ns() - t->began_cpu_ns >= SHORT_NS || wall >= 10 * (int64_t)SHORT_NS;
}

/* --- waiting --------------------------------------------------------------------------------------------- */

/* Under mu, until the condition is signalled or ns are over. */
static void wait_on(struct turns *ts, pthread_cond_t *cond, int64_t ns)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ns;
    until.tv_sec += until.tv_nsec / (1000 * MS);
    until.tv_nsec %= 1000 * MS;
    pthread_cond_timedwait(cond, &ts->mu, &until);
}

static bool short_ones_run(const struct turns *ts, int64_t now_ns)
{
    return atomic_load_explicit(&ts->nshort, memory_order_relaxed) &&
           now_ns - atomic_load_explicit(&ts->newest_ns, memory_order_relaxed) < FRESH_NS;
}

static bool stopped(const _Atomic int *stop)
{
    return atomic_load_explicit(stop, memory_order_relaxed) != 0;
}

static int64_t wait_for_short_ones(struct turns *ts, int64_t now_ns, const _Atomic int *stop)
{
    if (mine.credit < CREDIT_LEAST)
        return now_ns;
    turn_leave(ts);
    /* Counted before looking: who ends the last short one either sees us or has ended it before we look. */
    atomic_fetch_add(&ts->nwaiting, 1);
    pthread_mutex_lock(&ts->mu);
    while (mine.credit > 0 && short_ones_run(ts, now_ns) && !stopped(stop)) {
        int64_t before = now_ns;

        wait_on(ts, &ts->quiet, MIN(mine.credit, LOOK_UP_NS));
        now_ns = clock_mono_ns();
        mine.credit -= now_ns - before;
    }
    pthread_mutex_unlock(&ts->mu);
    atomic_fetch_sub(&ts->nwaiting, 1);
    return now_ns;
}

/* --- seats ----------------------------------------------------------------------------------------------- */

static bool sits(int64_t now_ns)
{
    if (!mine.seat || atomic_load_explicit(&mine.seat->owner, memory_order_relaxed) != (uintptr_t)&mine)
        return false;
    atomic_store_explicit(&mine.seat->seen_ns, now_ns, memory_order_relaxed);
    return true;
}

static bool take_seat(struct turns *ts, int64_t now_ns)
{
    for (uint32_t i = 0; i < ts->nseats; i++) {
        struct seat *s = &ts->seats[i];
        uintptr_t owner = atomic_load(&s->owner);

        if (owner && now_ns - atomic_load_explicit(&s->seen_ns, memory_order_relaxed) < GONE_NS)
            continue;
        if (!atomic_compare_exchange_strong(&s->owner, &owner, (uintptr_t)&mine))
            continue;
        atomic_store_explicit(&s->seen_ns, now_ns, memory_order_relaxed);
        mine.seat = s;
        mine.seated_ns = now_ns;
        return true;
    }
    return false;
}

/* Under mu. */
static void call_first(struct turns *ts)
{
    if (ts->first)
        pthread_cond_signal(&ts->first->called);
}

static void leave_seat(struct turns *ts)
{
    uintptr_t me = (uintptr_t)&mine;

    if (!mine.seat)
        return;
    if (mine.seat >= ts->seats && mine.seat < ts->seats + ts->nseats &&
        atomic_compare_exchange_strong(&mine.seat->owner, &me, 0) && atomic_load(&ts->nstanding)) {
        pthread_mutex_lock(&ts->mu);
        call_first(ts);
        pthread_mutex_unlock(&ts->mu);
    }
    mine.seat = NULL;
}

void turn_leave(struct turns *ts)
{
    background_leave(&ts->background);
    leave_seat(ts);
}

/* Under mu. */
static void stand_last(struct turns *ts, struct stander *me)
{
    if (ts->last)
        ts->last->next = me;
    else
        ts->first = me;
    ts->last = me;
}

/* Under mu. Whoever is first now may find another free seat. */
static void stand_no_more(struct turns *ts, struct stander *me)
{
    struct stander **at = &ts->first, *before = NULL;

    for (; *at != me; at = &(*at)->next)
        before = *at;
    *at = me->next;
    if (ts->last == me)
        ts->last = before;
    call_first(ts);
}

/* (5) */
static int64_t stand(struct turns *ts, const _Atomic int *stop)
{
    struct stander me = {0};
    int64_t now_ns;

    cond_init(&me.called);
    /* Counted before looking, as above. */
    atomic_fetch_add(&ts->nstanding, 1);
    pthread_mutex_lock(&ts->mu);
    stand_last(ts, &me);
    for (now_ns = clock_mono_ns(); !stopped(stop); now_ns = clock_mono_ns()) {
        if (ts->first == &me && take_seat(ts, now_ns))
            break;
        wait_on(ts, &me.called, LOOK_UP_NS);
    }
    stand_no_more(ts, &me);
    pthread_mutex_unlock(&ts->mu);
    atomic_fetch_sub(&ts->nstanding, 1);
    pthread_cond_destroy(&me.called);
    return now_ns;
}

static int64_t wait_for_seat(struct turns *ts, int64_t now_ns, const _Atomic int *stop)
{
    bool alone = atomic_load(&ts->nstanding) == 0;

    if (sits(now_ns) ? alone || now_ns - mine.seated_ns < SLICE_NS : alone && take_seat(ts, now_ns))
        return now_ns;
    turn_leave(ts);
    return stand(ts, stop);
}

/* --- the check ------------------------------------------------------------------------------------------- */

void turn_check(struct turns *ts, struct turn *t, int64_t now_ns, const _Atomic int *stop)
{
    int64_t then = now_ns, ran = now_ns - mine.checked_ns;

    mine.checked_ns = now_ns;
    if (atomic_load_explicit(&t->is_short, memory_order_relaxed)) {
        if (!has_grown_long(t, now_ns))
            return;
        end_short(ts, t);
    }
    /* A thread that last checked long ago did something else since. */
    mine.credit = MIN(CREDIT_MAX, mine.credit + MIN(ran, MS) * CREDIT_A_RUN);
    if (short_ones_run(ts, now_ns))
        now_ns = wait_for_short_ones(ts, now_ns, stop);
    now_ns = wait_for_seat(ts, now_ns, stop);
    if (now_ns - atomic_load_explicit(&ts->newest_ns, memory_order_relaxed) < CALM_NS)
        background_enter(&ts->background, now_ns);
    else
        background_leave(&ts->background);
    if (now_ns != then) {
        mine.checked_ns = mine.yielded_ns = now_ns;
    } else if (now_ns - mine.yielded_ns >= YIELD_NS) {
        sched_yield();
        mine.yielded_ns = now_ns;
    }
}
