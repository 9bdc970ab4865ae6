/* dump.h - prints what lies in our files, for people: `tripod dump`. Reads only; never maps what does not hang together. */
#ifndef STORE_DUMP_H
#define STORE_DUMP_H

#include "base/base.h"

typedef void dump_print(void *arg, const char *line);

/* A line an entry: seq, signal tag, bytes. `bytes`: a hex dump of each as well. */
int dump_journal(const char *path, bool bytes, dump_print *print, void *arg, struct err *e);
/* A line a key with the size of its value. */
int dump_state(const char *path, bool bytes, dump_print *print, void *arg, struct err *e);
/* The manifest, and a line a key with the size of its value; damaged ones say so. */
int dump_partition(const char *path, bool bytes, dump_print *print, void *arg, struct err *e);
/* The right one of the above, by where the file lies. */
int dump_file(const char *path, bool bytes, dump_print *print, void *arg, struct err *e);

#endif
