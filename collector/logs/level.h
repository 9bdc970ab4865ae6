/*
 * level.h - how grave a line is: the structured metadata detected_level. Private to collector/logs.
 *
 * Runs on every line that arrives, so a line is looked at once and mostly sixteen bytes at a time.
 */
#ifndef COLLECTOR_LOGS_LEVEL_H
#define COLLECTOR_LOGS_LEVEL_H

#include "base/base.h"

/* One of trace debug info warn error critical fatal when the word means it (any case); else STR_NULL. Static. */
struct str level_word(struct str word);
/* The rank of a field name among those that tell a level (lowest wins), or -1. */
int level_field_rank(struct str name);
/* The level that an OTLP severity number means. */
struct str level_of_severity(struct str number);
/* What the line itself says: its fields when it is a JSON object or logfmt, else the first word that is a level. "unknown" at last. */
struct str level_of_line(struct str line);

#endif
