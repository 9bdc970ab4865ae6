/*
 * timer.c - timers on the loops.
 *
 * A timer lives on one loop and is touched only there. Periods are kept on the grid of the first due time: a late run
 * does not push the next ones.
 */
#include "net/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

struct http_timer {
    struct loop *loop;
    int64_t delay_ms, period_ms;
    void (*fn)(void *arg);
    void *arg;

    /* Loop thread only. */
    struct event *ev;
    int64_t due_ns;
    bool running, freed;
};

static int64_t now_ns(void) /* never a test's clock: libevent does not know that one */
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void arm(struct http_timer *t)
{
    int64_t us = MAX((t->due_ns - now_ns() + 999) / 1000, (int64_t)0);
    struct timeval tv = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

    event_add(t->ev, &tv);
}

static void destroy(struct http_timer *t)
{
    event_free(t->ev);
    free(t);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct http_timer *t = arg;

    (void)fd;
    (void)what;
    t->running = true;
    t->fn(t->arg);
    t->running = false;
    if (t->freed) {
        destroy(t);
    } else if (t->period_ms > 0) {
        int64_t period_ns = t->period_ms * 1000000, now = now_ns();

        t->due_ns += period_ns;
        if (t->due_ns < now) /* slept through some: they are not made up for */
            t->due_ns += (now - t->due_ns + period_ns - 1) / period_ns * period_ns;
        arm(t);
    }
}

static void begin(void *arg)
{
    struct http_timer *t = arg;

    t->ev = event_new(t->loop->base, -1, 0, on_due, t);
    arm(t);
}

struct http_timer *http_timer_new(struct http_server *s, int64_t delay_ms, int64_t period_ms, void (*fn)(void *arg),
                                  void *arg)
{
    struct http_timer *t = x_zalloc(sizeof *t);

    t->loop = &s->loops[atomic_fetch_add_explicit(&s->next_loop, 1, memory_order_relaxed) % s->nloops];
    t->delay_ms = delay_ms;
    t->period_ms = period_ms;
    t->fn = fn;
    t->arg = arg;
    t->due_ns = now_ns() + delay_ms * 1000000;
    loop_call(t->loop, begin, t, false);
    return t;
}

static void end(void *arg)
{
    struct http_timer *t = arg;

    assert(t->ev); /* messages keep their order: begin has run */
    event_del(t->ev);
    t->freed = true;
    if (!t->running) /* else on_due, which called us, frees it */
        destroy(t);
}

void http_timer_free(struct http_timer *t)
{
    if (t)
        loop_call(t->loop, end, t, true);
}
