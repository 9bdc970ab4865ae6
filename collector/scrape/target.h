/* target.h - private to scrape/: one thing that is scraped, and how it comes from what was discovered. */
#ifndef COLLECTOR_SCRAPE_TARGET_H
#define COLLECTOR_SCRAPE_TARGET_H

#include "collector/scrape/config_types.h"
#include "collector/scrape/discovery.h"
#include "collector/scrape/scraper.h"
#include "collector/scrape/series_cache.h"
#include "tsdb/tsdb.h"

#include <pthread.h>

enum target_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* The outcome of the pipeline: everything a target needs to be made or brought up to date. Memory of the caller's
 * arena. */
struct target_plan {
    struct labels discovered; /* with the defaults filled in, before relabelling */
    struct labels labels;     /* what its series get */
    struct str url, unix_socket;
    int64_t interval_ms, timeout_ms;
    bool native, to_nhcb, always_classic; /* what of histograms is stored */
    struct hash128 id;                    /* of labels, URL and socket: the same id is the same target */
};

enum { TARGET_OK, TARGET_DROPPED }; /* and ERR_INVALID */

/* Runs the pipeline over group labels and one target of it. */
int target_plan(const struct scrape_config *c, const struct target_group *g, const struct labels *own, struct arena *a,
                struct target_plan *out, struct err *e);

/* What HELP, TYPE and UNIT said of a family. family, help and unit are malloc'ed. */
struct family {
    struct tsdb_metadata m;
    uint32_t seen; /* number of the last scrape that named it */
    bool stored;   /* as it is now */
};
void family_free(struct family *f);

struct scrape_pool;

struct target {
    /* Set when it is made. */
    struct arena arena;
    struct labels labels;
    struct str url, unix_socket;
    struct hash128 id;
    const struct scrape_builtin *builtin; /* or NULL */

    /* Under scraper.mu. */
    struct scrape_pool *pool;
    struct arena discovered_arena;
    struct labels discovered;
    int64_t interval_ms, timeout_ms, offset_ms;
    bool native, to_nhcb, always_classic;
    struct hash128 series_id; /* mixed into the key of each series: changes when the same text would get other labels */
    int64_t due_mono_ns, due_wall_ms; /* the next tick: when we wake, and the time it ideally has */
    uint32_t heap_at;                 /* index + 1, 0: not in the heap */
    bool busy;                        /* a scrape runs: it owns the fields below */
    bool ending;                      /* gone from the configuration; due is when its series are marked stale */
    bool present;                     /* used while a pool is synchronised */
    enum target_health health;
    int64_t last_scrape_ms, last_duration_ns; /* 0: never */
    struct str last_error;                    /* malloc'ed */
    int64_t stale_ms;                         /* ending: the time of the markers */
    struct target *next_old;                  /* in scraper.ending */

    /* The running scrape's, else untouched. */
    struct series_cache cache;
    struct hash128 cache_id; /* series_id the cache was filled under */
    bool reported;           /* up and its companions were stored at least once */
    uint32_t batch_hint;

    bool dropping; /* the last scrape had samples refused: said once */

    /* Changed by the running scrape under meta_mu, which it need not take to read; the API reads under it. */
    pthread_mutex_t meta_mu;
    struct map meta; /* family -> struct family */
};

struct target *target_new(const struct target_plan *p);
void target_free(struct target *t);
/* New discovered labels, interval, timeout: what may change while it stays the same target. */
void target_update(struct target *t, const struct target_plan *p);
/* The first time >= now at which the target is due, by its offset inside the interval. */
int64_t target_next_ms(const struct target *t, int64_t now_ms);
/* The time to stamp on a tick that ideally was at ideal_ms and happened at now_ns. */
int64_t target_stamp_ms(int64_t interval_ms, int64_t ideal_ms, int64_t now_ns);
/* Accept header of a job for targets with native histograms or without. */
void accept_header(const struct scrape_config *c, bool native, struct buf *out);

#endif
