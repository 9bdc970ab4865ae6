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
    struct api_notices *notices;
    /* Filled by cmd/: the parts of the house that query/ does not include. */
    void (*targets_json)(void *arg, struct buf *out, struct str state, struct str pool); /* value of "data" */
    void (*scrape_pools_json)(void *arg, struct buf *out);
    /* {"yaml":...} of a job; {"steps":[...]} of its target relabelling over these labels. ERR_INVALID: what is wrong. */
    int (*scrape_pool_config_json)(void *arg, struct buf *out, struct str pool, struct err *e);
    int (*relabel_steps_json)(void *arg, struct buf *out, struct str pool, const struct labels *ls, struct err *e);
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

/*
 * What whoever looks at the pages should know now; readers may follow it live. Any thread. close ends the readers' streams
 * (before the server drains: they would hold it up) and takes no more.
 */
struct api_notices;
#define API_RELOAD_FAILED "Configuration reload has failed."
#define API_STOPPING "Tripod is shutting down."
struct api_notices *api_notices_new(void);
void api_notices_free(struct api_notices *ns);
void api_notices_set(struct api_notices *ns, const char *text, bool active);
void api_notices_close(struct api_notices *ns);

void api_prometheus_routes(struct http_server *s, struct api_ctx *c);

#endif
