/*
 * epoch.h - who may still be reading. A reader enters and leaves; memory taken out of reach is freed once all who
 * entered before have left. Entering costs a short lock: it is done once a select, not once a sample.
 */
#ifndef TSDB_EPOCH_H
#define TSDB_EPOCH_H

#include "base/base.h"

#include <pthread.h>

struct epoch_reader {
    struct epoch_reader *prev, *next;
    uint64_t at;
};

struct epoch_item;

struct epoch {
    /* All under mu. Readers stand in the order they entered, so the first has the oldest epoch. */
    pthread_mutex_t mu;
    uint64_t now;
    struct epoch_reader *first, *last;
    struct epoch_item *items, **items_end;
};

void epoch_init(struct epoch *e);
/* No reader may be inside. Frees all that was retired. */
void epoch_release(struct epoch *e);
void epoch_enter(struct epoch *e, struct epoch_reader *r);
void epoch_leave(struct epoch *e, struct epoch_reader *r);
/* Draws a line: epoch_passed(e, the result) becomes true when everyone who is inside now has left. */
uint64_t epoch_advance(struct epoch *e);
bool epoch_passed(struct epoch *e, uint64_t line);
/* p is out of reach for readers who enter from now on: fn(arg, p) once nobody else is left. Run by epoch_reclaim. */
void epoch_retire(struct epoch *e, void (*fn)(void *arg, void *p), void *arg, void *p);
void epoch_reclaim(struct epoch *e);

#endif
