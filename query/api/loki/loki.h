/*
 * loki.h - front door of api/loki/: the HTTP API of Loki over our log store, live tails included.
 *
 *   query.c     query, query_range           names.c     labels, label values, series
 *   result.c    streams, matrix, vector      index.c     stats, volume, volume_range, shards
 *   fields.c    detected fields and labels   patterns.c  patterns (drain.c, each.c)
 *   tail.c      live tails (WebSocket):      deletes.c   delete requests
 *   tail_run.c, tail_frame.c: what they do   openapi.c   the calls, for machines
 *   service.c   ready, buildinfo, config, services, log level, flush, rules
 *   params.c, answer.c, call.c               times, limits, errors in plain text, the query pool
 */
#ifndef QUERY_API_LOKI_H
#define QUERY_API_LOKI_H

#include "base/base.h"

struct http_server;
struct logstore;
struct loki_tails;
struct query_engine;

/* 0: no limit. */
struct loki_limits {
    uint32_t entries_max;      /* of one answer: a greater limit is refused (5000) */
    uint32_t series_max;       /* of one metric query (500) */
    int64_t range_ms_max;      /* of one query: end - start (30 d 1 h) */
    int64_t retention_ms;      /* told to clients */
    uint32_t tails_max;        /* at once (100) */
    uint64_t tail_queue_bytes; /* what waits for one tail's client (4 MiB) */
};
void loki_limits_default(struct loki_limits *l);

/* What the endpoints need of the house. Must outlive the server. */
struct loki_ctx {
    struct logstore *logs;
    struct query_engine *engine;
    struct http_server *server;
    struct loki_tails *tails; /* loki_tails_new */
    struct loki_limits limits;
    const char *version;
    bool deletes; /* delete requests are taken */
    /* Filled by cmd/; may be NULL. */
    bool (*ready)(void *arg);
    void (*config_yaml)(void *arg, struct buf *out);
    enum log_level (*log_level)(void *arg);
    void (*set_log_level)(void *arg, enum log_level level);
    void (*flush)(void *arg); /* asks for one, does not wait */
    void *arg;
};

/* Before the server starts. */
void loki_routes(struct http_server *s, struct loki_ctx *c);

/*
 * Live tails. stop says goodbye to all (before the server drains, else they would hold it up) and takes no more; free comes
 * after the server is gone.
 */
struct loki_tails *loki_tails_new(void);
void loki_tails_stop(struct loki_tails *ts);
void loki_tails_free(struct loki_tails *ts);

struct loki_tail_stats {
    uint64_t open, opened, refused, sent, dropped; /* sent, dropped: records, over all tails ever */
};
void loki_tail_stats(struct loki_tails *ts, struct loki_tail_stats *out);

#endif
