/*
 * walk.h - long walks over an index ask now and then whether anybody still waits for them.
 *
 * Those that hold locks of others do not wait for anything here: they only stop (walk_must_end), and leave it to who called them
 * to let go of the locks and ask the limits why. All others give way while they ask (walk_pace).
 */
#ifndef TSDB_WALK_H
#define TSDB_WALK_H

#include "tsdb/tsdb.h"

struct walk {
    const struct tsdb_limits *limits; /* NULL: walks on to the end */
    uint32_t work;
    bool ended;
};
enum { WALK_WORK = 8192, WALK_A_VALUE = 512 /* asked of a regex, which may be slow */ };

/* True from when the walk must end. work: entries passed, or the like. */
static inline bool walk_must_end(struct walk *w, uint32_t work)
{
    w->work += work;
    if (w->ended || w->work < WALK_WORK || !w->limits)
        return w->ended;
    w->work = 0;
    return w->ended = w->limits->must_stop && w->limits->must_stop(w->limits->arg);
}

/* What the limits say. */
static inline int walk_ask(const struct tsdb_limits *limits, struct err *e)
{
    return limits && limits->check ? limits->check(limits->arg, 0, 0, e) : 0;
}

/* Why a walk has ended, once its locks are let go: <0. */
static inline int walk_stopped(const struct walk *w, struct err *e)
{
    int code = walk_ask(w->limits, e);

    return code < 0 ? code : err_set(e, ERR_CANCELED, "the select was stopped");
}

/* <0 when the limits say that the walk must end. */
static inline int walk_pace(struct walk *w, uint32_t work, struct err *e)
{
    w->work += work;
    if (w->work < WALK_WORK)
        return 0;
    w->work = 0;
    return walk_ask(w->limits, e);
}

#endif
