/* waiter.c - see waiter.h. The last touch of the waker is its unlock, so the waiter may let go of everything when it has the mutex. */
#include "store/waiter.h"

void waiter_init(struct waiter *w, struct err *e)
{
    *w = (struct waiter){.e = e};
    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->cond, NULL);
}

void waiter_wake(struct waiter *w, int code, const struct err *e)
{
    pthread_mutex_lock(&w->mu);
    w->code = code;
    if (code < 0 && w->e && e)
        *w->e = *e;
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

int waiter_wait(struct waiter *w)
{
    pthread_mutex_lock(&w->mu);
    while (!w->done)
        pthread_cond_wait(&w->cond, &w->mu);
    pthread_mutex_unlock(&w->mu);
    return w->code;
}

void waiter_release(struct waiter *w)
{
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->mu);
}
