/* state.h - data/state.mdb: small durable facts. A put that returned 0 is on disk. Keys <= 200 bytes, by convention "ROOM/what". */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "base/base.h"

struct state;

int state_put(struct state *s, struct str key, struct str value, struct err *e);
int state_del(struct state *s, struct str key, struct err *e); /* 0 also when it was not there */
/* A copy in a. ERR_NOT_FOUND. */
int state_get(struct state *s, struct arena *a, struct str key, struct str *value, struct err *e);
/* Calls fn for each key with the prefix, in order, until it returns non-zero; returns that. */
int state_each(struct state *s, struct str prefix, int (*fn)(void *arg, struct str key, struct str value), void *arg, struct err *e);

#endif
