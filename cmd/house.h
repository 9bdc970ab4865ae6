/* house.h - the running appliance: every room opened, in one struct. Private to cmd/. */
#ifndef CMD_HOUSE_H
#define CMD_HOUSE_H

#include "cmd/options.h"
#include "query/api/loki/loki.h"
#include "query/query.h"

#include <pthread.h>
#include <stdatomic.h>

struct house {
    /* Set before the server starts. */
    struct options opts;
    int argc;
    char **argv;
    struct store *store;
    struct tsdb *db;
    struct logstore *logs;
    struct query_engine *engine;
    struct http_server *server;
    struct http_client *client;
    struct scraper *scraper;
    struct files *files;
    struct host *host, *containers; /* two: each serves one caller at a time, and they are scraped at once */
    struct api_ctx api;
    struct push_ctx push;
    struct loki_ctx loki;
    struct logs *log_push; /* what arrives as log records */
    char instance[320]; /* of our own targets: "HOST:PORT" */
    uint16_t port;
    int64_t start_ms;   /* wall */
    int64_t start_mono_ms;

    pthread_mutex_t reload_mu; /* held while a configuration is read and applied: one at a time. Before config_mu */

    /* Under config_mu; config is swapped by the holder of reload_mu, who may read it without. */
    pthread_mutex_t config_mu;
    struct config *config;
    int64_t config_loaded_ms;
    bool config_ok;

    _Atomic bool ready;
};

/* Loki's API; after set-up of h->api. */
void house_loki_routes(struct house *h);
/* Also listens where the programs that are replaced did. */
void house_listen_compat(struct house *h);
/* Our own metrics, text 0.0.4. Any thread. */
void house_metrics(struct house *h, struct buf *out);
/* Reads the configuration file again and applies it; the old one stays when it is wrong. Any thread. */
int house_reload(struct house *h, struct err *e);

#endif
