/*
 * waiter.h - a thread that sits in an ingest call until the journal has committed what it brought, or could not.
 *
 *     waiter_init(&w, e);
 *     rc = ingest(..., &w, &later, e);      the journal's callback calls waiter_wake
 *     if (later)
 *         rc = waiter_wait(&w);
 *     waiter_release(&w);
 */
#ifndef STORE_WAITER_H
#define STORE_WAITER_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>

struct waiter {
    struct err *e; /* set at init; the waker's while it holds mu */

    /* Under mu. */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    int code;
};

/* e (may be NULL) gets the sentence of a wake with an error. */
void waiter_init(struct waiter *w, struct err *e);
/* Once, from any thread; w may be gone when it returns. */
void waiter_wake(struct waiter *w, int code, const struct err *e);
/* The code it was woken with. */
int waiter_wait(struct waiter *w);
/* Nobody may wake it any more. */
void waiter_release(struct waiter *w);

#endif
