/* tail.h - one live tail, from its request to its last frame. Private to loki/. */
#ifndef LOKI_TAIL_H
#define LOKI_TAIL_H

#include "net/websocket.h"
#include "query/api/loki/tail_frame.h"

#include <pthread.h>
#include <stdatomic.h>

/* A record that waits for its delay to pass. */
struct delayed;

struct tail {
    /* Set before it is in the list. */
    struct loki_tails *all;
    struct websocket *ws;
    struct arena arena; /* of the tree */
    struct logql_tree tree;
    struct logql_match *match;
    struct log_tail *source;
    int64_t delay_ns;

    /* The thread that works for it: one at a time. */
    struct log_tailed *taken; /* from the source; those before taken_at are done */
    uint32_t taken_at, ntaken;
    struct arena taken_arena;
    struct tail_batch batch;
    struct tail_drops drops;
    struct buf frame;
    struct map shown; /* keys of records of the history, until shown_until_ns */
    struct arena shown_arena;
    int64_t shown_until_ns;
    struct delayed *delayed; /* in the order of arrival */
    uint32_t ndelayed, delayed_cap;
    size_t delayed_bytes;

    /* Any thread. */
    _Atomic uint32_t asked; /* > 0: a job is queued or runs */
    _Atomic bool ticks;     /* it wants to be asked now and then */
    _Atomic bool slow;      /* its last turn was over after few records */

    struct tail *next; /* under all->mu */
};

struct loki_tails {
    struct pool *pool, *slow_pool;
    _Atomic bool stopping;
    _Atomic uint64_t opened, refused, sent, dropped;

    pthread_mutex_t mu;
    pthread_cond_t gone;
    /* Under mu. */
    struct tail *first;
    uint32_t n;
    struct http_timer *timer;
};

/* tail.c: looks after t soon. Any thread, cheap. */
void tail_ask(struct tail *t);

/* tail_run.c */
/* What there is to do: takes records, sends frames. false: nothing is left for now. */
bool tail_work(struct tail *t);
/* A record of the history went out: it is not sent again. */
void tail_note_shown(struct tail *t, int64_t t_ns, struct str line, const struct labels *ls);
void tail_release(struct tail *t); /* what tail_run.c keeps */

#endif
