/* rewrite.h - slices of a day written anew; the rest is in day.h. Private to logstore/. */
#ifndef LOGSTORE_REWRITE_H
#define LOGSTORE_REWRITE_H

#include "logstore/day.h"

/* Rewrites those slices of a live day that hold deleted rows. */
int log_day_clean(struct partition *p, const struct log_day_filter *f, bool *did, struct err *e);
/* Has the day rows that are deleted? */
int log_day_holds_deleted(struct partition *p, const struct log_day_filter *f, bool *holds, struct err *e);

#endif
