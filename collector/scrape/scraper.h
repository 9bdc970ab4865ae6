/* scraper.h - the scrape loop: discovers, schedules, fetches, parses, relabels, stores. */
#ifndef COLLECTOR_SCRAPER_H
#define COLLECTOR_SCRAPER_H

#include "collector/scrape/config.h"

struct http_client;
struct http_server;
struct tsdb;
struct scraper;

/* A target inside this process (own host, own metrics): fetched by a call instead of over the wire, else a target like
 * any other. */
struct scrape_builtin {
    const char *job;
    const char *instance;
    int64_t interval_ms;
    /* Appends text 0.0.4. Runs on a worker thread, not on an I/O thread. */
    int (*collect)(void *arg, struct buf *out, struct err *e);
    void *arg;
};

struct scraper *scraper_new(struct tsdb *db, struct http_client *client);
void scraper_add_builtin(struct scraper *s, const struct scrape_builtin *b); /* before scraper_apply */
/* Takes a new configuration (its own reference): targets that stay keep their state, those that go get staleness
 * markers. */
int scraper_apply(struct scraper *s, struct scrape_configs *c, struct err *e);
void scraper_free(struct scraper *s);

/* For the API: JSON values. */
void scraper_targets_json(struct scraper *s, struct buf *out, struct str state, struct str pool);
void scraper_pools_json(struct scraper *s, struct buf *out);
/* {"yaml":TEXT} of a pool; {"steps":[{rule,output,keep}]} of its relabel_configs over ls. ERR_INVALID: no such pool. */
int scraper_pool_config_json(struct scraper *s, struct buf *out, struct str pool, struct err *e);
int scraper_relabel_steps_json(struct scraper *s, struct buf *out, struct str pool, const struct labels *ls,
                               struct err *e);
/* limit <= 0: none. A match_target that is no selector matches nothing. */
void scraper_targets_metadata_json(struct scraper *s, struct buf *out, struct str match_target, struct str metric,
                                   int64_t limit);

struct scraper_stats {
    uint64_t targets, up, scrapes, failures, samples, dropped_out_of_order, dropped_duplicate, dropped_bounds;
};
void scraper_stats(struct scraper *s, struct scraper_stats *out);

#endif
