/*
 * series_cache.c - open addressing by the 128-bit hash of the text; the texts lie end to end in one buffer.
 *
 * (1) An entry is live exactly when a staleness marker is owed for it.
 * (2) Entries are only thrown out by series_cache_begin, so pointers into the text stay good through a scrape and its
 * ingest as long as nothing is put; callers that keep texts longer point into the body instead.
 */
#include "collector/scrape/series_cache.h"

#include <assert.h>
#include <stdlib.h>

enum { KEEP_SCRAPES = 10, TEXT_BYTES_HIGH = 512 << 20 };

void series_cache_release(struct series_cache *c)
{
    free(c->slots);
    buf_release(&c->text);
    *c = (struct series_cache){0};
}

struct hash128 series_hash(struct str text, uint8_t form)
{
    struct hash128 h = hash128(text.p, text.n);

    h.hi ^= (uint64_t)form * UINT64_C(0x9e3779b97f4a7c15);
    h.lo |= h.hi == 0 && h.lo == 0;
    return h;
}

static bool is_free(const struct cached_series *s)
{
    return s->hash.lo == 0 && s->hash.hi == 0;
}

static struct cached_series *slot_of(const struct series_cache *c, struct hash128 hash)
{
    for (uint32_t i = (uint32_t)hash.lo & c->mask;; i = (i + 1) & c->mask) {
        if (is_free(&c->slots[i]) || hash128_eq(c->slots[i].hash, hash))
            return &c->slots[i];
    }
}

struct cached_series *series_cache_find(const struct series_cache *c, struct hash128 hash)
{
    struct cached_series *s = c->mask ? slot_of(c, hash) : NULL;

    return s && !is_free(s) ? s : NULL;
}

struct str series_cache_text(const struct series_cache *c, const struct cached_series *s)
{
    return str_n(c->text.p + s->text_at, s->text_n);
}

/* A table of nslots slots with those entries that were seen in the last `keep` scrapes or are live. */
static void rebuild(struct series_cache *c, uint32_t nslots, uint32_t keep)
{
    struct series_cache old = *c;

    c->slots = x_zalloc(sizeof(*c->slots) * nslots);
    c->mask = nslots - 1;
    c->n = 0;
    c->text = (struct buf){0};
    if (old.text.n)
        buf_reserve(&c->text, old.text.n);
    for (uint32_t i = 0; old.mask && i <= old.mask; i++) {
        struct cached_series *s = &old.slots[i], *to;
        struct str text;

        if (is_free(s) || (c->scrape - s->seen > keep && !(s->flags & SERIES_LIVE)))
            continue;
        text = series_cache_text(&old, s);
        to = slot_of(c, s->hash);
        *to = *s;
        to->text_at = (uint32_t)c->text.n;
        buf_puts(&c->text, text);
        c->n++;
    }
    free(old.slots);
    buf_release(&old.text);
}

void series_cache_begin(struct series_cache *c)
{
    c->scrape++;
    if (c->text.n > TEXT_BYTES_HIGH) {
        rebuild(c, c->mask + 1, 0);
    } else if (c->nold > 64 && c->nold > c->n / 4) {
        uint32_t nslots = 64;

        while (nslots / 2 < c->n - c->nold)
            nslots *= 2;
        rebuild(c, nslots, KEEP_SCRAPES);
    }
    c->nold = 0;
}

struct cached_series *series_cache_put(struct series_cache *c, struct hash128 hash, struct str text, uint8_t form)
{
    struct cached_series *s = c->mask ? slot_of(c, hash) : NULL;

    if (s && !is_free(s))
        return s;
    assert(c->text.n + text.n <=
           UINT32_MAX); /* a body is at most 2 GiB, and old texts are thrown out above TEXT_BYTES_HIGH */
    if ((c->n + 1) * 4 > (c->mask + 1) * 3 || !c->mask)
        rebuild(c, c->mask ? (c->mask + 1) * 2 : 64, KEEP_SCRAPES);
    s = slot_of(c, hash);
    *s = (struct cached_series){
        .hash = hash, .text_at = (uint32_t)c->text.n, .text_n = (uint32_t)text.n, .flags = form | SERIES_NEW};
    buf_puts(&c->text, text);
    c->n++;
    return s;
}

void series_cache_end(struct series_cache *c, bool stored, void (*gone)(void *arg, const struct cached_series *s),
                      void *arg)
{
    for (uint32_t i = 0; c->mask && i <= c->mask; i++) {
        struct cached_series *s = &c->slots[i];
        bool seen = stored && s->seen == c->scrape;

        if (is_free(s))
            continue;
        if (!seen && s->flags & SERIES_LIVE)
            gone(arg, s);
        s->flags &= (uint8_t)~SERIES_LIVE;
        if (seen && s->flags & SERIES_TRACKED)
            s->flags |= SERIES_LIVE;
        if (c->scrape - s->seen > KEEP_SCRAPES && !(s->flags & SERIES_LIVE))
            c->nold++;
    }
}
