/* layout.h - Go's time layouts, cut into parts. Private to base/template. */
#ifndef TEMPLATE_LAYOUT_H
#define TEMPLATE_LAYOUT_H

#include "base/str.h"

enum layout_part {
    LAYOUT_NONE, /* the end: what is left is text */
    LAYOUT_LONG_MONTH,
    LAYOUT_MONTH,
    LAYOUT_NUM_MONTH,
    LAYOUT_ZERO_MONTH,
    LAYOUT_LONG_WEEKDAY,
    LAYOUT_WEEKDAY,
    LAYOUT_DAY,
    LAYOUT_UNDER_DAY,
    LAYOUT_ZERO_DAY,
    LAYOUT_UNDER_YEARDAY,
    LAYOUT_ZERO_YEARDAY,
    LAYOUT_HOUR,
    LAYOUT_HOUR12,
    LAYOUT_ZERO_HOUR12,
    LAYOUT_MINUTE,
    LAYOUT_ZERO_MINUTE,
    LAYOUT_SECOND,
    LAYOUT_ZERO_SECOND,
    LAYOUT_LONG_YEAR,
    LAYOUT_YEAR,
    LAYOUT_UPPER_PM,
    LAYOUT_PM,
    LAYOUT_ZONE_NAME,
    LAYOUT_ZONE,     /* by text: Z0700 Z070000 Z07 Z07:00 Z07:00:00 and the same with - */
    LAYOUT_FRACTION0, /* .000 */
    LAYOUT_FRACTION9, /* .999 */
};

/* The first part of layout; *before: text in front of it, *text: itself; layout is left behind it. */
enum layout_part layout_next(struct str *layout, struct str *before, struct str *text);

extern const char *const layout_months[12], *const layout_weekdays[7];

#endif
