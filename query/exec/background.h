/*
 * background.h - threads of long queries run behind everything else for a while. Private to exec.
 *
 * A thread in the background is in the scheduling class SCHED_IDLE: whoever wakes up, in this process or another, has the
 * processor at once instead of at the end of a time slice. Where the process may not bring a thread back from there
 * (neither CAP_SYS_NICE nor RLIMIT_NICE 20 or more, Linux sched(7)) none is sent, and everything else works as well.
 *
 * (1) A thread goes to the background and comes back by itself; it has come back before it ends.
 * (2) A thread in the background that wants a processor and gets an eighth of one or less for BACKGROUND_STILL_MS is brought
 *     back by a watcher, and all may stay in front for BACKGROUND_PARDON_MS: on a host that is busy with other things long
 *     queries get their share, and a lock held in the background is not held for long.
 */
#ifndef QUERY_BACKGROUND_H
#define QUERY_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BACKGROUND_STILL_MS = 20, BACKGROUND_PARDON_MS = 200 };

struct background_thread;

/* One per engine. */
struct background {
    bool usable; /* set by background_init */

    _Atomic int64_t pardon_until_ns;

    pthread_mutex_t mu; /* for the condition, and: */
    pthread_cond_t changed;
    struct background_thread *first;
    bool probed, ends;
    pthread_t watcher;
};

void background_init(struct background *b);
/* No thread may be in the background. */
void background_release(struct background *b);
/* This thread goes to the background, or stays where it is if it may not or was just brought back. */
void background_enter(struct background *b, int64_t now_ns);
/* This thread comes back, if it is there. */
void background_leave(struct background *b);

#endif
