/* push.h - the two forms of Loki's push, into an intake. Private to collector/logs. */
#ifndef COLLECTOR_LOGS_PUSH_H
#define COLLECTOR_LOGS_PUSH_H

#include "collector/logs/intake.h"

struct push_reader {
    struct intake *in;
    struct stream_cache *cache; /* may be NULL */
    uint64_t nstreams; /* named in the body, with or without entries */
};

/* Rows point into the body. ERR_INVALID: the body is not what it should be; ERR_LIMIT. */
int push_read_proto(struct push_reader *p, struct str body, struct err *e);
int push_read_json(struct push_reader *p, struct str body, struct err *e);

#endif
