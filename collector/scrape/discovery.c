/*
 * discovery.c - the providers, when each is asked again, and its last good list.
 *
 * (1) A list is replaced only by a whole new one; a failed refresh leaves the last one in force and is logged once.
 * (2) At most one refresh of a provider runs at a time.
 * (3) A provider lives until it is removed and its refresh, if one runs, has ended.
 */
#include "collector/scrape/discovery.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { SD_THREADS = 2, FILE_SETTLE_MS = 50 };

struct sd_provider {
    /* Set at add. */
    struct discovery *d;
    const struct sd_config *config;
    struct scrape_configs *owner;

    /* Under discovery.mu. */
    struct sd_provider *next;
    struct sd_result *result;
    int64_t due_ms;
    bool busy, removed, failing;
    int *watches; /* of the folders of SD_FILE, -1 where it could not be watched yet */
};

struct discovery {
    struct http_client *client;
    void (*changed)(void *arg, bool lists);
    void *arg;
    struct pool *pool;
    int inotify;
    _Atomic bool stop;

    pthread_mutex_t mu;
    struct sd_provider *list;
};

/* --- results ---------------------------------------------------------------------------------------- */

struct sd_result *sd_result_new(void)
{
    struct sd_result *r = x_zalloc(sizeof(*r));

    r->refs = 1;
    return r;
}

struct sd_result *sd_result_ref(struct sd_result *r)
{
    __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
    return r;
}

void sd_result_unref(struct sd_result *r)
{
    if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    arena_release(&r->arena);
    free(r);
}

struct target_group *sd_result_group(struct sd_result *r, struct str source)
{
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 8;
        struct target_group *v = arena_array(&r->arena, struct target_group, cap);

        if (r->n)
            memcpy(v, r->groups, sizeof(*v) * r->n);
        r->groups = v;
        r->cap = cap;
    }
    r->groups[r->n] = (struct target_group){.source = source};
    return &r->groups[r->n++];
}

void sd_result_copy_group(struct sd_result *r, const struct target_group *g)
{
    struct target_group *out = sd_result_group(r, arena_dup(&r->arena, g->source));

    out->labels = labels_dup(&r->arena, &g->labels);
    out->targets = arena_array(&r->arena, struct labels, g->n + 1);
    out->n = g->n;
    for (uint32_t i = 0; i < g->n; i++)
        out->targets[i] = labels_dup(&r->arena, &g->targets[i]);
}

struct labels *sd_target(struct sd_result *r, struct target_group *g, uint32_t *cap, uint32_t nlabels)
{
    if (g->n == *cap) {
        struct labels *v = arena_array(&r->arena, struct labels, *cap * 2 + 8);

        if (g->n)
            memcpy(v, g->targets, sizeof(*v) * g->n);
        g->targets = v;
        *cap = *cap * 2 + 8;
    }
    g->targets[g->n] = (struct labels){arena_array(&r->arena, struct label, nlabels), 0};
    return &g->targets[g->n++];
}

void sd_label(struct labels *ls, const char *name, struct str value)
{
    ls->v[ls->n++] = (struct label){str_of(name), value};
}

/* --- life ------------------------------------------------------------------------------------------- */

struct discovery *discovery_new(struct http_client *client, void (*changed)(void *arg, bool lists), void *arg)
{
    struct discovery *d = x_zalloc(sizeof(*d));

    d->client = client;
    d->changed = changed;
    d->arg = arg;
    d->pool = pool_new("discovery", SD_THREADS, 0);
    d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (d->inotify < 0)
        log_warn("scrape", "cannot watch files, file_sd relies on refresh_interval alone: %s", strerror(errno));
    pthread_mutex_init(&d->mu, NULL);
    return d;
}

static void provider_free(struct sd_provider *p)
{
    sd_result_unref(p->result);
    scrape_configs_unref(p->owner);
    free(p->watches);
    free(p);
}

void discovery_stop(struct discovery *d)
{
    atomic_store(&d->stop, true);
    pool_free(d->pool);
    d->pool = NULL;
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    assert(!d->pool);
    while (d->list) {
        struct sd_provider *p = d->list;

        d->list = p->next;
        provider_free(p);
    }
    if (d->inotify >= 0)
        close(d->inotify);
    pthread_mutex_destroy(&d->mu);
    free(d);
}

int discovery_fd(const struct discovery *d)
{
    return d->inotify;
}

struct sd_provider *discovery_add(struct discovery *d, const struct sd_config *c, struct scrape_configs *owner)
{
    struct sd_provider *p = x_zalloc(sizeof(*p));

    p->d = d;
    p->config = c;
    p->owner = owner ? scrape_configs_ref(owner) : NULL;
    p->due_ms = c->kind == SD_STATIC ? INT64_MAX : 0;
    if (c->kind == SD_STATIC) {
        p->result = sd_result_new();
        sd_result_copy_group(p->result, &c->group);
    }
    if (c->kind == SD_FILE) {
        p->watches = x_alloc(sizeof(int) * (c->nnames + 1));
        for (uint32_t i = 0; i < c->nnames; i++)
            p->watches[i] = -1;
    }
    pthread_mutex_lock(&d->mu);
    p->next = d->list;
    d->list = p;
    pthread_mutex_unlock(&d->mu);
    return p;
}

void discovery_remove(struct discovery *d, struct sd_provider *p)
{
    bool busy;

    pthread_mutex_lock(&d->mu);
    for (struct sd_provider **at = &d->list; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    p->removed = true;
    busy = p->busy;
    pthread_mutex_unlock(&d->mu);
    if (!busy)
        provider_free(p); /* else its refresh does, (3) */
}

struct sd_result *discovery_result(struct discovery *d, struct sd_provider *p)
{
    struct sd_result *r;

    pthread_mutex_lock(&d->mu);
    r = p->result ? sd_result_ref(p->result) : NULL;
    pthread_mutex_unlock(&d->mu);
    return r;
}

void discovery_hurry(struct discovery *d, enum sd_kind kind, int64_t within_ms)
{
    pthread_mutex_lock(&d->mu);
    for (struct sd_provider *p = d->list; p; p = p->next)
        if (p->config->kind == kind)
            p->due_ms = MIN(p->due_ms, clock_mono_ms() + within_ms); /* one that is being asked is asked once more */
    pthread_mutex_unlock(&d->mu);
}

/* --- files -------------------------------------------------------------------------------------------- */

static void watch_folders(struct sd_provider *p)
{
    for (uint32_t i = 0; i < p->config->nnames && p->d->inotify >= 0; i++) {
        struct str name = p->config->names[i];
        size_t slash = name.n;
        char *dir;

        if (p->watches[i] >= 0)
            continue;
        while (slash > 0 && name.p[slash - 1] != '/')
            slash--;
        dir = slash ? x_strdup(str_head(name, slash)) : x_strdup(STR("."));
        p->watches[i] = inotify_add_watch(p->d->inotify, dir, IN_CREATE | IN_CLOSE_WRITE | IN_MOVE | IN_DELETE);
        free(dir);
    }
}

static void folder_changed(struct discovery *d, int watch)
{
    for (struct sd_provider *p = d->list; p; p = p->next) {
        for (uint32_t i = 0; p->watches && i < p->config->nnames; i++) {
            if (p->watches[i] == watch)
                p->due_ms = MIN(p->due_ms, clock_mono_ms() + FILE_SETTLE_MS);
        }
    }
}

void discovery_files_changed(struct discovery *d)
{
    char events[4096] __attribute__((aligned(8)));
    ssize_t n;

    pthread_mutex_lock(&d->mu);
    while ((n = read(d->inotify, events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
            struct inotify_event ev;

            memcpy(&ev, events + at, sizeof(ev));
            folder_changed(d, ev.wd);
            at += (ssize_t)(sizeof(ev) + ev.len);
        }
    }
    pthread_mutex_unlock(&d->mu);
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static int ask_provider(struct sd_provider *p, const struct sd_result *previous, struct sd_result *out, struct err *e)
{
    struct sd_ask ask = {p->config, previous, p->d->client, &p->d->stop};

    switch (p->config->kind) {
    case SD_FILE:
        return sd_file_refresh(&ask, out, e);
    case SD_HTTP:
        return sd_http_refresh(&ask, out, e);
    case SD_DNS:
        return sd_dns_refresh(&ask, out, e);
    case SD_DOCKER:
        return sd_docker_refresh(&ask, out, e);
    case SD_STATIC:
        break;
    }
    return 0;
}

static bool same_list(const struct sd_result *a, const struct sd_result *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct target_group *x = &a->groups[i], *y = &b->groups[i];

        if (x->n != y->n || !labels_eq(&x->labels, &y->labels))
            return false;
        for (uint32_t k = 0; k < x->n; k++) {
            if (!labels_eq(&x->targets[k], &y->targets[k]))
                return false;
        }
    }
    return true;
}

static void refresh(void *arg)
{
    struct sd_provider *p = arg;
    struct discovery *d = p->d;
    struct sd_result *out = sd_result_new(), *previous = discovery_result(d, p);
    struct err e = {0};
    int code = ask_provider(p, previous, out, &e);
    bool fresh = code == 0 && !(previous && same_list(previous, out)), was_failing, removed;

    pthread_mutex_lock(&d->mu);
    was_failing = p->failing;
    p->failing = code < 0;
    p->busy = false;
    p->due_ms = MIN(p->due_ms, clock_mono_ms() + p->config->refresh_ms);
    removed = p->removed;
    if (fresh && !removed) {
        struct sd_result *old = p->result;
        p->result = out;
        out = old;
    }
    pthread_mutex_unlock(&d->mu);
    sd_result_unref(out);
    sd_result_unref(previous);
    if (code < 0 && code != ERR_CANCELED && !was_failing)
        log_warn("scrape", "%s: %s; keeping the last list", sd_kind_names[p->config->kind], e.text);
    if (removed)
        provider_free(p);
    d->changed(d->arg, fresh && !removed);
}

int64_t discovery_run(struct discovery *d)
{
    int64_t now = clock_mono_ms(), next = INT64_MAX;

    pthread_mutex_lock(&d->mu);
    for (struct sd_provider *p = d->list; p; p = p->next) {
        if (p->busy || p->config->kind == SD_STATIC)
            continue;
        if (p->due_ms <= now) {
            if (p->config->kind == SD_FILE)
                watch_folders(p);
            p->busy = true;
            p->due_ms = INT64_MAX;
            (void)pool_run(d->pool, refresh, p); /* the queue has no limit */
            continue;
        }
        next = MIN(next, p->due_ms);
    }
    pthread_mutex_unlock(&d->mu);
    return next;
}
