/*
 * walk.h - long walks over an index ask now and then whether anybody still waits for them.
 *
 * They hold locks, so they do not wait for anything here: they only stop, and leave it to who called them to let go of the
 * locks and ask the limits why.
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

#endif
