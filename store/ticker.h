/* ticker.h - a thread that does something every now and then and can be told to stop meanwhile. Private to store/. */
#ifndef STORE_TICKER_H
#define STORE_TICKER_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ticker {
    pthread_t thread;
    bool started;

    /* Under mu, held for these two and nothing else. */
    pthread_mutex_t mu;
    pthread_cond_t wake;
    bool stop, woken;
};

void ticker_init(struct ticker *t);
/* Runs run(arg) on a thread of that name; run returns when ticker_pause says so. */
int ticker_start(struct ticker *t, const char *name, void *(*run)(void *arg), void *arg, struct err *e);
/* Sleeps, on the thread of t. ERR_CANCELED when it is time to stop, 0 else. */
int ticker_pause(struct ticker *t, int64_t ms);
/* Ends the pause under way, or the next one, early. From any thread. */
void ticker_wake(struct ticker *t);
/* Stops the thread, if it was started, and waits for it. */
void ticker_release(struct ticker *t);

#endif
