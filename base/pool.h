/*
 * pool.h - a fixed set of threads that run jobs in order of arrival.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;

/* name (≤ 11 bytes) names the threads in ps and perf. queue_max: jobs that may wait; 0 = no limit. */
struct pool *pool_new(const char *name, unsigned threads, uint32_t queue_max);
/* Waits for running jobs; jobs still waiting are run too. NULL is fine. */
void pool_free(struct pool *p);
/* ERR_BUSY when queue_max jobs wait already. Any thread. */
int pool_run(struct pool *p, void (*fn)(void *arg), void *arg);
unsigned pool_threads(const struct pool *p);
uint32_t pool_waiting(struct pool *p);

/*
 * Runs fn(arg, i) for i in [0, n) on the pool's idle threads and on the caller, returns when all are done. A job may
 * call it: the caller always works itself, so it never waits for a thread that cannot come. n < 2 or p NULL: all here.
 */
void pool_for(struct pool *p, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);

#endif
