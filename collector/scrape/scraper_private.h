/*
 * scraper_private.h - what the files of the scrape loop share.
 *
 *   scraper.c       life, threads, the scheduler        scrape_pool.c   configuration and discovery -> targets
 *   scrape_run.c    one scrape from tick to ingest      scrape_parse.c  a body -> rows
 *   scraper_json.c  what the API shows
 */
#ifndef COLLECTOR_SCRAPE_SCRAPER_PRIVATE_H
#define COLLECTOR_SCRAPE_SCRAPER_PRIVATE_H

#include "collector/scrape/expo.h"
#include "collector/scrape/nhcb.h"
#include "collector/scrape/target.h"

#include <stdatomic.h>

enum { SYNC_EVERY_MS = 5000, EXEMPLAR_RUNES_MAX = 128 };

/* A job: its targets and where they come from. All under scraper.mu. */
struct scrape_pool {
    struct str name; /* malloc'ed */
    const struct scrape_config *config;
    struct scrape_configs *owner; /* keeps config alive; NULL for a builtin */
    const struct scrape_builtin *builtin;
    struct sd_provider **providers; /* beside config->sd */
    uint32_t nproviders;
    struct target **targets;
    uint32_t ntargets, targets_cap;
    struct arena dropped_arena;
    struct labels *dropped; /* discovered labels of those relabelling dropped, at most keep_dropped_targets */
    uint32_t ndropped, dropped_kept;
    bool over_limit; /* more targets than target_limit: all fail unscraped */
    bool dirty, present;
    int64_t synced_ms; /* clock_mono_ms of the last synchronisation */
};

struct scraper {
    /* Set at scraper_new. */
    struct tsdb *db;
    struct http_client *client;
    struct pool *workers;
    struct discovery *discovery;
    pthread_t thread;
    int wake_fd;

    /* One for the owner, one for each scrape under way: the last one out frees. */
    _Atomic uint32_t refs;

    pthread_mutex_t mu;
    struct scrape_builtin *builtins;
    struct scrape_config *builtin_configs;
    uint32_t nbuiltins;
    struct scrape_pool **pools;
    uint32_t npools;
    struct target *ending;
    struct target **heap; /* by due_mono_ns, the earliest first */
    uint32_t nheap, heap_cap;
    bool started, stopped;

    /* Counters. */
    _Atomic uint64_t scrapes, failures, samples, dropped_duplicate, dropped_bounds, dropped_old, exemplars_dropped;
};

/* --- one scrape --------------------------------------------------------------------------------------------- */

struct fresh_labels {
    uint32_t i; /* of the batch's series */
    struct labels labels;
};

struct scrape_run {
    struct scraper *s;
    struct target *t; /* busy until this run is over, so its cache and families are ours */
    const struct scrape_config *config;
    struct scrape_configs *owner;
    bool end;          /* no scrape: mark everything stale, the target is gone */
    bool over_limit;   /* fail unscraped */
    bool skip_markers; /* end: another target carries the same labels now */
    uint64_t target_limit, ntargets;
    int64_t time_ms, timeout_ms, start_ns;
    struct hash128 series_id;
    struct str accept;
    bool native, to_nhcb, always_classic; /* the target's */

    struct arena arena;
    struct buf body;
    enum expo_format format;
    int64_t body_bytes; /* -1: the limit was hit */
    struct err err;     /* code 0: the scrape succeeded */

    struct tsdb_batch batch;
    uint32_t series_cap, exemplars_cap, metadata_cap;
    struct fresh_labels *fresh;
    uint32_t nfresh, fresh_cap;
    uint32_t first_report; /* series from here on are our own */
    uint32_t nexemplars;
    uint64_t scraped, post_relabel, added, duplicates;
    struct nhcb nhcb;
};

/* Scheduler: the target is marked busy and the run filled by the caller. Fetches, then the rest happens elsewhere. */
void scrape_start(struct scrape_run *run);
/* Under scraper.mu: the run of a target whose time has come. */
struct scrape_run *scrape_run_new(struct scraper *s, struct target *t, int64_t time_ms);

/* A worker: reads the body into the batch; run->err tells if it failed. Then the markers and our own series. */
void scrape_parse(struct scrape_run *run);
void scrape_finish_batch(struct scrape_run *run);
int scrape_batch_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e);

/* --- scraper.c ---------------------------------------------------------------------------------------------------- */

void scraper_unref(struct scraper *s);
void scraper_wake(struct scraper *s);
/* Under mu. Puts the target in its place in the heap, or takes it out. */
void schedule(struct scraper *s, struct target *t);
void unschedule(struct scraper *s, struct target *t);
/* Under mu. Its next tick after now, on both clocks. */
void schedule_next_tick(struct scraper *s, struct target *t);
/* Under mu. The target is gone from the configuration: markers follow when its time has come. Takes it over. */
void target_end(struct scraper *s, struct target *t);
/* Under mu. A target of that identity that is ending and can be taken back, or NULL; removed from the list. */
struct target *target_revive(struct scraper *s, struct hash128 id);

/* --- scrape_pool.c: all under mu ------------------------------------------------------------------------------------
 */

struct scrape_pool *scrape_pool_new(struct str name);
/* Its targets are ended, its providers removed. */
void scrape_pool_free(struct scraper *s, struct scrape_pool *p);
void scrape_pool_configure(struct scraper *s, struct scrape_pool *p, const struct scrape_config *c,
                           struct scrape_configs *owner);
/* Runs discovery's lists through the pipeline and brings the targets in line. */
void scrape_pool_sync(struct scraper *s, struct scrape_pool *p);

#endif
