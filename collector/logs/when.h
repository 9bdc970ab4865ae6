/* when.h - times to the nanosecond, out of what senders write. Private to collector/logs. */
#ifndef COLLECTOR_LOGS_WHEN_H
#define COLLECTOR_LOGS_WHEN_H

#include "base/base.h"

/* Seconds and nanoseconds; what does not fit into 64 bits is the end of time on that side. */
int64_t when_of(int64_t s, int64_t ns);
/* RFC 3339, also with a blank for the T, without a zone (UTC) and without seconds' fraction. */
bool when_rfc3339(struct str s, int64_t *t_ns);
/* A number since the epoch, its unit told by its size: seconds (may have a fraction), ms, us or ns. */
bool when_unix(struct str s, int64_t *t_ns);
/* Days since the epoch of a date. */
int64_t when_days(int64_t y, unsigned m, unsigned d);

#endif
