/*
 * line_time.h - when a line of a log file was written, by what stands in it.
 *
 * Known are RFC 3339 and its relatives (with a blank, a comma or no zone), nginx and Apache, syslog, ctime, Go's log package, and Unix
 * times told apart by their size; in JSON under the usual names (time, ts, timestamp, @timestamp, ...), in logfmt as ts= or time=,
 * else wherever one begins near the start of the line. Without a zone it is the local one; without a year the one that lies
 * nearest before now. A time more than ten minutes ahead of the clock is none of when a line was written (an expiry date, a schedule).
 */
#ifndef CMD_LINE_TIME_H
#define CMD_LINE_TIME_H

#include "base/base.h"

struct line_time {
    int64_t now_ns;
    const char *field; /* the name to look under, first of all; or NULL */

    /* The offset of the local zone is worked out once an hour of the day. */
    int64_t hour;
    int64_t offset_s;
    bool known;
};

void line_time_init(struct line_time *t, const char *field, int64_t now_ns);
/* ns since the epoch; false: the line has none. */
bool line_time(struct line_time *t, struct str line, int64_t *ns);
/* One time, at the very start of s; *n: how many bytes it takes. */
bool line_time_at(struct line_time *t, struct str s, int64_t *ns, size_t *n);

#endif
