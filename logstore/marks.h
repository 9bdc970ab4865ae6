/*
 * marks.h - small facts that become durable together with rows: how far a file was read. Private to logstore/.
 *
 * In memory, in the journal entry of their batch, and in state.mdb once a flush has come by (marks_flush, before the flush
 * commits its partitions: what the journal forgets is in the state).
 */
#ifndef LOGSTORE_MARKS_H
#define LOGSTORE_MARKS_H

#include "logstore/logstore.h"
#include "store/state.h"

struct log_marks;

enum { LOG_MARK_KEY_MAX = 200, LOG_MARK_VALUE_MAX = 64 * 1024 };

struct log_marks *log_marks_new(void);
void log_marks_free(struct log_marks *m);
/* Reads what the state has. */
int log_marks_load(struct log_marks *m, struct state *s, struct err *e);
/* What entry seq says. In the order of the entries; those that the state knew already change nothing. */
void log_marks_apply(struct log_marks *m, uint64_t seq, const struct log_mark *v, uint32_t n);
/* Writes what changed since the last time. */
int log_marks_flush(struct log_marks *m, struct state *s, struct err *e);
bool log_marks_get(struct log_marks *m, struct str key, struct buf *out);
void log_marks_each(struct log_marks *m, struct str prefix, void (*fn)(void *arg, struct str key, struct str value), void *arg);

#endif
