/*
 * series_cache.h - private to scrape/: what a target exposed lately, by the text of the series as written in its body.
 * It spares labels and relabelling for known series, and knows which ones are gone. One owner at a time: the running
 * scrape.
 */
#ifndef COLLECTOR_SCRAPE_SERIES_CACHE_H
#define COLLECTOR_SCRAPE_SERIES_CACHE_H

#include "base/base.h"

enum {
    SERIES_DROPPED = 1, /* metric_relabel_configs drops it */
    SERIES_LE = 2,      /* le is normalised: a histogram by the TYPE in force */
    SERIES_QUANTILE = 4,
    SERIES_LIVE = 8,     /* stored by the last successful scrape: a staleness marker is owed when it vanishes */
    SERIES_TRACKED = 16, /* its sample in this scrape makes it live */
    SERIES_NEW = 32,     /* its labels have not been worked out yet */
};
enum { SERIES_FORM = SERIES_LE | SERIES_QUANTILE };

struct cached_series {
    struct hash128 hash; /* of the text, mixed with SERIES_FORM; lo 0 and hi 0: a free slot */
    uint32_t text_at, text_n;
    uint32_t seen; /* number of the last scrape that had it */
    uint8_t flags;
};

/* Zero-initialised is empty and valid. */
struct series_cache {
    struct cached_series *slots;
    uint32_t n, mask; /* mask 0: no slots yet */
    uint32_t scrape;  /* number of the running scrape */
    struct buf text;
    uint32_t nold; /* entries not seen for long, found by the last series_cache_end */
};

void series_cache_release(struct series_cache *c);
/* Begins a scrape: numbers it and throws out what has not been seen for long. */
void series_cache_begin(struct series_cache *c);
struct hash128 series_hash(struct str text, uint8_t form);
/* The entry, or NULL. */
struct cached_series *series_cache_find(const struct series_cache *c, struct hash128 hash);
/* Found, or made (SERIES_NEW); valid until the next put. */
struct cached_series *series_cache_put(struct series_cache *c, struct hash128 hash, struct str text, uint8_t form);
struct str series_cache_text(const struct series_cache *c, const struct cached_series *s);

/*
 * Ends a scrape: gone(arg, s) for each series that was live and is no more. stored false: nothing of this scrape was
 * kept, so all that was live is gone.
 */
void series_cache_end(struct series_cache *c, bool stored, void (*gone)(void *arg, const struct cached_series *s),
                      void *arg);

#endif
