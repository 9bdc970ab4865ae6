/* late.h - rows of the head that may be in partitions already (ROW_LATE). Private to logstore/. */
#ifndef LOGSTORE_LATE_H
#define LOGSTORE_LATE_H

#include "logstore/day.h"
#include "logstore/head.h"

struct log_late {
    struct log_head_row *row;
    uint32_t sid; /* of its stream in the day; LOG_NO_SID: the day has none of it */
};
/* Looks in the day, and makes each of the rows ROW_FRESH or ROW_DEAD. All are of that day. Changes the order of v. */
int log_late_settle(struct log_day_view *day, struct log_late *v, uint32_t n, struct err *e);

#endif
