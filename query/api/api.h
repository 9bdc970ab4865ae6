/* api.h - the HTTP endpoints of the query languages: routes and their set-up. */
#ifndef QUERY_API_H
#define QUERY_API_H

#include "base/base.h"

struct http_server;
struct query_engine;
struct store;
struct tsdb;
struct scraper;

/* What the endpoints need of the house. Pointers may be NULL where a part is not there (then: 503 or an empty answer).
 */
struct api_ctx {
    struct store *store;
    struct tsdb *db;
    struct query_engine *engine;
    struct http_server *server;
    bool admin_api, lifecycle, write_receiver;
    int64_t start_ms;
    const char *version;
    /* Filled by cmd/: the parts of the house that query/ does not include. */
    void (*targets_json)(void *arg, struct buf *out, struct str state, struct str pool); /* value of "data" */
    void (*scrape_pools_json)(void *arg, struct buf *out);
    void (*targets_metadata_json)(void *arg, struct buf *out, struct str match_target, struct str metric,
                                  int64_t limit);
    void (*config_yaml)(void *arg, struct buf *out);
    void (*flags_json)(void *arg, struct buf *out);
    void (*metrics_text)(void *arg, struct buf *out); /* /metrics */
    int (*reload)(void *arg, struct err *e);
    void (*quit)(void *arg);
    bool (*ready)(void *arg);
    bool (*config_status)(void *arg, int64_t *loaded_ms); /* did the last load succeed, and when; may be NULL */
    void (*external_labels)(void *arg, struct arena *a, struct labels *out);
    void *arg;
};

void api_prometheus_routes(struct http_server *s, struct api_ctx *c);

#endif
