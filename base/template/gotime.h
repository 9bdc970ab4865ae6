/*
 * gotime.h - points in time with a zone, written and read by Go's layouts ("2006-01-02T15:04:05Z07:00"), and zones by name from
 * the system's zoneinfo. Years 1 to 9999 are exact; the time zone of the process does not matter.
 */
#ifndef BASE_TEMPLATE_GOTIME_H
#define BASE_TEMPLATE_GOTIME_H

#include "base/buf.h"
#include "base/err.h"

struct zone;

/* sec: since the epoch. zone NULL: UTC. All zero is 1970; Go's zero time is gotime_zero. */
struct gotime {
    int64_t sec;
    int32_t ns;
    int32_t fixed;            /* seconds east where zone is &zone_fixed */
    const struct zone *zone;
};

extern const struct zone zone_fixed;
extern const struct gotime gotime_zero; /* 0001-01-01 00:00:00 UTC */

/*
 * "UTC", "", "Local" (UTC here) or a name such as "Europe/Berlin". Loaded once and kept until the process ends; any thread.
 * ERR_NOT_FOUND: "unknown time zone X".
 */
int zone_find(struct str name, const struct zone **out, struct err *e);
/* Offset east and abbreviation (valid forever) at an instant. */
int32_t zone_at(const struct gotime *t, const char **abbreviation);

struct gotime_civil {
    int64_t year;
    int month, day, hour, minute, second; /* from 1, 1, 0, 0, 0 */
    int weekday, yearday;                 /* Sunday 0; from 1 */
    int32_t offset;
    const char *abbreviation;
};
void gotime_civil(const struct gotime *t, struct gotime_civil *out);
/* Seconds since the epoch of a day at midnight UTC; month and day may lie outside of their ranges. */
int64_t gotime_date(int64_t year, int64_t month, int64_t day);

static inline struct gotime gotime_ns(int64_t ns)
{
    int64_t sec = ns / 1000000000, rest = ns % 1000000000;

    return (struct gotime){.sec = rest < 0 ? sec - 1 : sec, .ns = (int32_t)(rest < 0 ? rest + 1000000000 : rest)};
}

void gotime_format(const struct gotime *t, struct str layout, struct buf *out);
/* Times without a zone are of `zone` (NULL: UTC). ERR_INVALID as Go says: parsing time "x" as "2006": cannot parse ... */
int gotime_parse(struct str layout, struct str text, const struct zone *zone, struct gotime *out, struct err *e);

/* "1h30m0.5s": a duration as Go prints it. */
void goduration_print(int64_t ns, struct buf *out);

#endif
