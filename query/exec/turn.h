/*
 * turn.h - long queries step aside for short ones, and for each other. Private to exec.
 *
 * Every query begins as a short one, and is long once its thread has worked on it for TURN_SHORT_MS. The threads of long
 * ones share as many seats as there are processors, and give way wherever they call query_check: they wait while short
 * queries run, hand their seat on after a while, and let threads run that were woken meanwhile. While queries come in they
 * run in the background (background.h), so that what wakes up for a short one does not wait for their next check.
 *
 * (1) A wait for short ones is paid for by time that the same thread ran: a stream of short queries slows long ones down to
 *     a quarter and does not stop them.
 * (2) Who waits looks up every few milliseconds: a deadline or a kill is not late by more.
 * (3) A short query that holds its place for long without working (a client that reads slowly) is not waited for.
 * (4) A seat whose thread has not checked for a while is free: it may wait for a disk, or be gone. Nothing has to be given
 *     back for others to go on, but who knows that it stops working says so (turn_leave).
 * (5) Seats are taken in the order of asking: who waits for one sits down before anybody who asks after him.
 */
#ifndef QUERY_TURN_H
#define QUERY_TURN_H

#include "query/exec/background.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TURN_SHORT_MS = 5, TURN_SEATS_MAX = 64 };

struct seat {
    _Atomic uintptr_t owner; /* a thread, or 0 */
    _Atomic int64_t seen_ns; /* when it checked last */
};

struct stander; /* a thread that waits for a seat */

/* One per engine. */
struct turns {
    /* Set by turns_init. */
    uint32_t nseats;

    /* Any thread. */
    _Atomic uint32_t nshort;
    _Atomic int64_t newest_ns; /* when the newest short one began */
    _Atomic uint32_t nwaiting, nstanding; /* for short ones to end; for a seat */
    struct seat seats[TURN_SEATS_MAX];
    struct background background;

    pthread_mutex_t mu; /* for the condition, and: */
    pthread_cond_t quiet;
    struct stander *first, *last; /* by order of asking */
};

/* One per query. */
struct turn {
    _Atomic bool is_short;
    int64_t began_ns, began_cpu_ns; /* set by turn_run */
    pthread_t thread;
};

void turns_init(struct turns *ts, unsigned processors);
void turns_release(struct turns *ts);
/* The query is about to run: from now on long ones wait for it. */
void turn_begin(struct turns *ts, struct turn *t);
/* On the thread that runs it, first thing. */
void turn_run(struct turn *t);
void turn_end(struct turns *ts, struct turn *t);
/* It is known to be long before it has worked for long. */
void turn_is_long(struct turns *ts, struct turn *t);
/* On any thread that works for the query, often. stop: non-zero when the query is to end anyway. */
void turn_check(struct turns *ts, struct turn *t, int64_t now_ns, const _Atomic int *stop);
/* This thread stops working for a query, or is about to wait for something. */
void turn_leave(struct turns *ts);

#endif
