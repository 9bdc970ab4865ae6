/*
 * ticker.c - see ticker.h.
 *
 * (1) Pauses are measured on the monotonic clock: one that is set while we sleep neither wakes us nor keeps us asleep.
 */
#include "store/ticker.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void ticker_init(struct ticker *t)
{
    pthread_condattr_t a;

    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->mu, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &a);
    pthread_condattr_destroy(&a);
}

int ticker_start(struct ticker *t, const char *name, void *(*run)(void *arg), void *arg, struct err *e)
{
    int rc = pthread_create(&t->thread, NULL, run, arg);

    if (rc)
        return err_sys(e, rc, "cannot start the %s thread", name);
    pthread_setname_np(t->thread, name);
    t->started = true;
    return 0;
}

int ticker_pause(struct ticker *t, int64_t ms)
{
    struct timespec until;
    int rc = 0;
    bool stop;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->mu);
    while (!t->stop && !t->woken && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&t->wake, &t->mu, &until);
    t->woken = false;
    stop = t->stop;
    pthread_mutex_unlock(&t->mu);
    return stop ? ERR_CANCELED : 0;
}

static void signal_flag(struct ticker *t, bool *flag)
{
    pthread_mutex_lock(&t->mu);
    *flag = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mu);
}

void ticker_wake(struct ticker *t)
{
    signal_flag(t, &t->woken);
}

void ticker_release(struct ticker *t)
{
    if (t->started) {
        signal_flag(t, &t->stop);
        pthread_join(t->thread, NULL);
    }
    pthread_mutex_destroy(&t->mu);
    pthread_cond_destroy(&t->wake);
    memset(t, 0, sizeof *t);
}
