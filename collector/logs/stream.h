/*
 * stream.h - the label sets of streams: from their text, with the service_name that belongs to them. Private to collector/logs.
 */
#ifndef COLLECTOR_LOGS_STREAM_H
#define COLLECTOR_LOGS_STREAM_H

#include "collector/logs/logs.h"
#include "collector/logs/rules.h"

struct stream {
    struct labels labels; /* normalised */
    struct str level;     /* what its labels tell of its level; p NULL: nothing */
};

/* Takes apart `{a="b", c="d"}` as LogQL reads it. Labels as they stand, in order, from a where they had escapes. */
int stream_parse(struct arena *a, struct str text, struct labels *out, struct err *e);
/* The stream of a label set whose array has room for one more; sorts it in place. *reason says what kind of fault it is. */
int stream_of(const struct logs_rules *r, struct labels *ls, struct stream *out, enum logs_reason *reason, struct err *e);

/* Texts that were seen lately and what they mean: a known one costs a hash and a copy. Any thread. */
struct stream_cache;
struct stream_cache *stream_cache_new(void);
void stream_cache_free(struct stream_cache *c);
/* parse and of, through the cache; c may be NULL. From a. The sentences are Loki's. */
int stream_of_text(struct stream_cache *c, const struct logs_rules *r, struct arena *a, struct str text, struct stream *out,
                   enum logs_reason *reason, struct err *e);

/* As OTLP and Prometheus agree on: [a-zA-Z0-9_], runs become one '_', a leading digit gets "key_" before it. From a if changed. */
struct str name_sanitise(struct arena *a, struct str name);
/* Invalid UTF-8 and U+FFFD become blanks. From a if changed. */
struct str meta_value_clean(struct arena *a, struct str value);

#endif
