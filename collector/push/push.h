/* push.h - what senders push to us as metrics: remote write 1.0 and 2.0, and exposition text. */
#ifndef COLLECTOR_PUSH_H
#define COLLECTOR_PUSH_H

#include "base/base.h"

struct http_server;
struct tsdb;
struct store;

struct push_ctx {
    struct store *store;
    struct tsdb *db;
    bool remote_write; /* receiver on */
};

/* POST /api/v1/write, /api/v1/push (remote write), /api/v1/import/prometheus (text, with ?extra_label=, ?timestamp=).
 */
void push_routes(struct http_server *s, struct push_ctx *c);

struct push_stats {
    uint64_t requests, samples, series, refused_requests, refused_samples, bytes_wire, bytes_raw;
};
void push_stats(struct push_stats *out);

#endif
