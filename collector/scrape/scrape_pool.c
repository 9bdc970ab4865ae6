/*
 * scrape_pool.c - a job: takes its configuration, runs what discovery found through the pipeline, keeps the targets
 * that stay.
 *
 * Everything here runs under scraper.mu.
 */
#include "collector/scrape/scraper_private.h"

#include <stdlib.h>

struct scrape_pool *scrape_pool_new(struct str name)
{
    struct scrape_pool *p = x_zalloc(sizeof(*p));

    p->name = (struct str){x_strdup(name), name.n};
    p->dirty = true;
    return p;
}

void scrape_pool_free(struct scraper *s, struct scrape_pool *p)
{
    for (uint32_t i = 0; i < p->ntargets; i++)
        target_end(s, p->targets[i]);
    for (uint32_t i = 0; i < p->nproviders; i++)
        discovery_remove(s->discovery, p->providers[i]);
    free(p->providers);
    free(p->targets);
    arena_release(&p->dropped_arena);
    scrape_configs_unref(p->owner);
    free((void *)(uintptr_t)p->name.p);
    free(p);
}

/* --- configuration ----------------------------------------------------------------------------------------- */

/* Providers whose configuration reads the same go on with what they have found. */
static void take_providers(struct scraper *s, struct scrape_pool *p, const struct scrape_config *c,
                           struct scrape_configs *owner)
{
    struct sd_provider **v = x_zalloc(sizeof(struct sd_provider *) * (c->nsd + 1));

    for (uint32_t i = 0; i < c->nsd; i++) {
        for (uint32_t k = 0; p->config && k < p->nproviders && !v[i]; k++) {
            if (p->providers[k] && p->config->sd[k].kind == c->sd[i].kind &&
                str_eq(p->config->sd[k].text, c->sd[i].text)) {
                v[i] = p->providers[k];
                p->providers[k] = NULL;
            }
        }
        if (!v[i])
            v[i] = discovery_add(s->discovery, &c->sd[i], owner);
    }
    for (uint32_t k = 0; k < p->nproviders; k++) {
        if (p->providers[k])
            discovery_remove(s->discovery, p->providers[k]);
    }
    free(p->providers);
    p->providers = v;
    p->nproviders = c->nsd;
}

static void set_series_id(const struct scrape_pool *p, struct target *t)
{
    struct hash128 h = hash128(p->config->series_text.p, p->config->series_text.n);

    t->series_id = (struct hash128){h.lo + t->id.lo * UINT64_C(0x9e3779b97f4a7c15), h.hi ^ t->id.hi};
}

void scrape_pool_configure(struct scraper *s, struct scrape_pool *p, const struct scrape_config *c,
                           struct scrape_configs *owner)
{
    struct scrape_configs *old = p->owner;
    bool same = p->config && str_eq(p->config->text, c->text);

    take_providers(s, p, c, owner);
    p->config = c;
    p->owner = owner ? scrape_configs_ref(owner) : NULL;
    scrape_configs_unref(old);
    for (uint32_t i = 0; i < p->ntargets; i++)
        set_series_id(p, p->targets[i]);
    if (same)
        return;
    p->dirty = true;
    p->synced_ms = 0; /* at once */
}

/* --- targets ---------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct target *x = *(struct target *const *)a, *y = *(struct target *const *)b;

    return x->id.lo != y->id.lo ? (x->id.lo > y->id.lo) - (x->id.lo < y->id.lo)
                                : (x->id.hi > y->id.hi) - (x->id.hi < y->id.hi);
}

static void sort_targets(struct scrape_pool *p, uint32_t n)
{
    if (n)
        qsort(p->targets, n, sizeof(struct target *), by_id);
}

/* Among the first n, which are sorted. */
static struct target *target_of(const struct scrape_pool *p, uint32_t n, struct hash128 id)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        const struct target *t = p->targets[mid];

        if (t->id.lo < id.lo || (t->id.lo == id.lo && t->id.hi < id.hi))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && hash128_eq(p->targets[lo]->id, id) ? p->targets[lo] : NULL;
}

static void add_target(struct scraper *s, struct scrape_pool *p, const struct target_plan *plan)
{
    struct target *t = target_revive(s, plan->id);

    if (!t)
        t = target_new(plan);
    else
        target_update(t, plan);
    t->pool = p;
    t->builtin = p->builtin;
    t->present = true;
    set_series_id(p, t);
    if (p->ntargets == p->targets_cap) {
        p->targets_cap = p->targets_cap * 2 + 8;
        p->targets = x_realloc(p->targets, sizeof(struct target *) * p->targets_cap);
    }
    p->targets[p->ntargets++] = t;
    schedule_next_tick(s, t);
}

static void drop_target(struct scrape_pool *p, const struct target_plan *plan)
{
    uint64_t keep = p->config->common.keep_dropped_targets;

    p->ndropped++;
    if (keep && p->dropped_kept >= keep)
        return;
    if ((p->dropped_kept & (p->dropped_kept + 1)) == 0) { /* full at 0, 1, 3, 7, ... */
        struct labels *v = arena_array(&p->dropped_arena, struct labels, p->dropped_kept * 2 + 1);

        if (p->dropped_kept)
            memcpy(v, p->dropped, sizeof(*v) * p->dropped_kept);
        p->dropped = v;
    }
    p->dropped[p->dropped_kept++] = labels_dup(&p->dropped_arena, &plan->discovered);
}

struct sync {
    uint32_t nsorted; /* targets that were there before, sorted by id */
    uint32_t failed;
    struct err first; /* why the first failed */
};

static void sync_one(struct scraper *s, struct scrape_pool *p, const struct target_group *g, const struct labels *own,
                     struct arena *a, struct sync *y)
{
    struct target_plan plan;
    struct target *t;
    struct err e = {0};
    int64_t interval;

    switch (target_plan(p->config, g, own, a, &plan, &e)) {
    case TARGET_OK:
        break;
    case TARGET_DROPPED:
        drop_target(p, &plan);
        return;
    default:
        if (!y->failed++)
            y->first = e;
        return;
    }
    t = target_of(p, y->nsorted, plan.id);
    for (uint32_t i = y->nsorted; !t && i < p->ntargets && p->ntargets - y->nsorted < 64; i++)
        t = hash128_eq(p->targets[i]->id, plan.id) ? p->targets[i] : NULL;
    if (!t) {
        add_target(s, p, &plan);
        return;
    }
    t->present = true;
    interval = t->interval_ms;
    target_update(t, &plan);
    if (t->interval_ms != interval)
        schedule_next_tick(s, t);
}

/* Ends those that were not found any more. Among the new ones, doubles that slipped in are ended too: sorted, they are
 * neighbours. */
static void sweep(struct scraper *s, struct scrape_pool *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->ntargets; i++) {
        struct target *t = p->targets[i];

        if (t->present)
            p->targets[n++] = t;
        else
            target_end(s, t);
    }
    p->ntargets = n;
    sort_targets(p, n);
    p->ntargets = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (p->ntargets && hash128_eq(p->targets[p->ntargets - 1]->id, p->targets[i]->id))
            target_end(s, p->targets[i]);
        else
            p->targets[p->ntargets++] = p->targets[i];
    }
}

static void sync_result(struct scraper *s, struct scrape_pool *p, const struct sd_result *r, struct sync *y)
{
    struct arena a = {0};

    for (uint32_t i = 0; i < r->n; i++) {
        for (uint32_t k = 0; k < r->groups[i].n; k++) {
            sync_one(s, p, &r->groups[i], &r->groups[i].targets[k], &a, y);
            arena_reset(&a);
        }
    }
    arena_release(&a);
}

void scrape_pool_sync(struct scraper *s, struct scrape_pool *p)
{
    uint64_t limit = p->config->common.target_limit;
    struct sync y = {0};
    bool waiting = false;

    sort_targets(p, p->ntargets);
    y.nsorted = p->ntargets;
    for (uint32_t i = 0; i < p->ntargets; i++)
        p->targets[i]->present = false;
    arena_release(&p->dropped_arena);
    p->dropped = NULL;
    p->ndropped = p->dropped_kept = 0;
    for (uint32_t i = 0; i < p->nproviders; i++) {
        struct sd_result *r = discovery_result(s->discovery, p->providers[i]);

        if (r)
            sync_result(s, p, r, &y);
        else
            waiting = true;
        sd_result_unref(r);
    }
    sweep(s, p);
    p->over_limit = limit && p->ntargets > limit;
    p->dirty = false;
    p->synced_ms = waiting ? 0 : clock_mono_ms(); /* a first list does not wait */
    if (y.failed)
        log_warn("scrape", "%.*s: %u targets cannot be made; the first: %s", STR_ARG(p->name), y.failed, y.first.text);
}
