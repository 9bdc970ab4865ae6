/* dump.h - what a day of logs holds, for people: streams, slices, blocks and their columns. Reads only. */
#ifndef LOGSTORE_DUMP_H
#define LOGSTORE_DUMP_H

#include "base/base.h"

struct logstore;

/* A line each. columns: those of every block too. ERR_NOT_FOUND: the day has no partition. What is damaged says so. */
int logstore_dump(struct logstore *ls, int32_t day, bool columns, void (*print)(void *arg, const char *line), void *arg, struct err *e);

#endif
