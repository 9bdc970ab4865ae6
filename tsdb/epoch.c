/* epoch.c - see epoch.h. */
#include "tsdb/epoch.h"

#include <assert.h>
#include <stdlib.h>

struct epoch_item {
    struct epoch_item *next;
    uint64_t line;
    void (*fn)(void *arg, void *p);
    void *arg, *p;
};

void epoch_init(struct epoch *e)
{
    memset(e, 0, sizeof *e);
    pthread_mutex_init(&e->mu, NULL);
    e->now = 1;
    e->items_end = &e->items;
}

void epoch_release(struct epoch *e)
{
    assert(!e->first);
    epoch_reclaim(e);
    assert(!e->items);
    pthread_mutex_destroy(&e->mu);
}

void epoch_enter(struct epoch *e, struct epoch_reader *r)
{
    pthread_mutex_lock(&e->mu);
    r->at = e->now;
    r->next = NULL;
    r->prev = e->last;
    *(e->last ? &e->last->next : &e->first) = r;
    e->last = r;
    pthread_mutex_unlock(&e->mu);
}

void epoch_leave(struct epoch *e, struct epoch_reader *r)
{
    pthread_mutex_lock(&e->mu);
    *(r->prev ? &r->prev->next : &e->first) = r->next;
    *(r->next ? &r->next->prev : &e->last) = r->prev;
    pthread_mutex_unlock(&e->mu);
}

uint64_t epoch_advance(struct epoch *e)
{
    uint64_t line;

    pthread_mutex_lock(&e->mu);
    line = ++e->now;
    pthread_mutex_unlock(&e->mu);
    return line;
}

/* Under mu. */
static bool passed(const struct epoch *e, uint64_t line)
{
    return !e->first || e->first->at >= line;
}

bool epoch_passed(struct epoch *e, uint64_t line)
{
    bool r;

    pthread_mutex_lock(&e->mu);
    r = passed(e, line);
    pthread_mutex_unlock(&e->mu);
    return r;
}

void epoch_retire(struct epoch *e, void (*fn)(void *arg, void *p), void *arg, void *p)
{
    struct epoch_item *it = x_alloc(sizeof *it);

    *it = (struct epoch_item){.fn = fn, .arg = arg, .p = p};
    pthread_mutex_lock(&e->mu);
    it->line = ++e->now;
    *e->items_end = it;
    e->items_end = &it->next;
    pthread_mutex_unlock(&e->mu);
}

void epoch_reclaim(struct epoch *e)
{
    struct epoch_item *list, **end = &list, *next;

    pthread_mutex_lock(&e->mu);
    while (e->items && passed(e, e->items->line)) {
        *end = e->items;
        end = &(*end)->next;
        e->items = e->items->next;
    }
    *end = NULL;
    if (!e->items)
        e->items_end = &e->items;
    pthread_mutex_unlock(&e->mu);
    for (; list; list = next) {
        next = list->next;
        list->fn(list->arg, list->p);
        free(list);
    }
}
