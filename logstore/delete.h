/*
 * delete.h - what is deleted and not yet gone; the rest is in logstore.h. Private to logstore/.
 */
#ifndef LOGSTORE_DELETE_H
#define LOGSTORE_DELETE_H

#include "logstore/day.h"
#include "logstore/logstore.h"
#include "store/state.h"

struct log_deletes;
struct log_deletes *log_deletes_new(void);
void log_deletes_free(struct log_deletes *d);
int log_deletes_load(struct log_deletes *d, struct state *s, struct err *e);
uint32_t log_deletes_n(struct log_deletes *d); /* in force */
struct logstore;
/* Is one in force that was asked for before then? */
bool log_deletes_due(struct logstore *ls, int64_t before_ns);

/* Those in force that touch a window, at one moment; counted. NULL: none. */
struct log_delete_set;
struct log_delete_set *log_deletes_in(struct log_deletes *d, int64_t mint_ns, int64_t maxt_ns);
void log_delete_set_unref(struct log_delete_set *s); /* NULL is fine */
/* Does one of them touch records of the stream in the window? */
bool log_delete_touches(const struct log_delete_set *s, const struct labels *ls, int64_t mint_ns, int64_t maxt_ns);
/* Is the record deleted? Asked after log_delete_touches. */
bool log_delete_has(const struct log_delete_set *s, const struct labels *ls, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta);
/* For those who rewrite days; lives as long as s. NULL for NULL. */
const struct log_day_filter *log_delete_set_filter(const struct log_delete_set *s);

#endif
