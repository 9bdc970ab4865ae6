/* query_logs.h - records on a terminal: what `tripod query` prints of a LogQL answer, and `tripod tail`. */
#ifndef CMD_QUERY_LOGS_H
#define CMD_QUERY_LOGS_H

#include "base/base.h"

#include <cjson/cJSON.h>
#include <stdio.h>

enum log_output { LOG_OUT_TABLE, LOG_OUT_RAW, LOG_OUT_CSV };

/*
 * The "streams" of an answer, merged by time, oldest first: terminals are read downwards. TABLE: time, the labels that differ
 * between streams, the line; those that all have in common are said once on stderr. RAW: the lines and nothing else.
 */
void print_streams(cJSON *streams, enum log_output out, bool colours);
/* The same of one frame of a tail, labels of every row in full; names what was left out. */
void print_tail_frame(cJSON *frame, enum log_output out, bool colours);

#endif
