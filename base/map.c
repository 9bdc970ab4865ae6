/*
 * map.c - see map.h. Entries stand densely in order of insertion; slots is an open-addressed index over them.
 *
 * (1) used counts the entries written, n the live ones among them; used <= cap and cap <= 3/4 of the slots, so every
 *     probe meets a free slot.
 * (2) A deleted entry keeps its slot until the next rebuild, so probes that ran over it still do.
 */
#include "base/map.h"

#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 16 };

void map_release(struct map *m)
{
    free(m->entries);
    free(m->slots);
    memset(m, 0, sizeof *m);
}

void map_reset(struct map *m)
{
    if (m->slots)
        memset(m->slots, 0, ((size_t)m->mask + 1) * sizeof *m->slots);
    m->n = m->used = 0;
}

/* The entry of key, or NULL. */
static struct map_entry *find(const struct map *m, struct str key, uint64_t hash)
{
    if (!m->slots)
        return NULL;
    for (uint32_t i = (uint32_t)hash & m->mask;; i = (i + 1) & m->mask) {
        struct map_entry *t;

        if (m->slots[i] == 0)
            return NULL;
        t = &m->entries[m->slots[i] - 1];
        if (t->hash == hash && t->key.p && str_eq(t->key, key))
            return t;
    }
}

static void link_entry(struct map *m, uint32_t index)
{
    uint32_t i = (uint32_t)m->entries[index].hash & m->mask;

    while (m->slots[i])
        i = (i + 1) & m->mask;
    m->slots[i] = index + 1;
}

/* Makes room for one more entry: squeezes deleted ones out, doubles when the live ones fill half. */
static void rebuild(struct map *m)
{
    uint64_t nslots = (uint64_t)m->mask + 1;
    uint32_t at = 0;

    if (!m->slots)
        nslots = SLOTS_MIN;
    else if (m->n >= nslots / 2)
        nslots *= 2;
    assert(nslots <= UINT64_C(1) << 31);
    for (uint32_t i = 0; i < m->used; i++)
        if (m->entries[i].key.p)
            m->entries[at++] = m->entries[i];
    assert(at == m->n);
    m->used = at;
    m->cap = (uint32_t)(nslots / 4 * 3);
    m->mask = (uint32_t)(nslots - 1);
    m->entries = x_realloc(m->entries, (size_t)m->cap * sizeof *m->entries);
    free(m->slots);
    m->slots = x_zalloc(nslots * sizeof *m->slots);
    for (uint32_t i = 0; i < m->used; i++)
        link_entry(m, i);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_entry *t = m->n ? find(m, key, hash64(key.p, key.n)) : NULL;

    return t ? t->value : NULL;
}

void **map_put(struct map *m, struct str key, bool *added)
{
    uint64_t hash = hash64(key.p, key.n);
    struct map_entry *t = find(m, key, hash);

    if (added)
        *added = !t;
    if (t)
        return &t->value;
    if (m->used == m->cap)
        rebuild(m);
    t = &m->entries[m->used];
    t->key = key.p ? key : STR(""); /* NULL would read as deleted */
    t->hash = hash;
    t->value = NULL;
    link_entry(m, m->used++);
    m->n++;
    return &t->value;
}

void *map_del(struct map *m, struct str key)
{
    struct map_entry *t = m->n ? find(m, key, hash64(key.p, key.n)) : NULL;
    void *value;

    if (!t)
        return NULL;
    value = t->value;
    t->key = STR_NULL;
    t->value = NULL;
    m->n--;
    return value;
}

struct map_entry *map_next(const struct map *m, uint32_t *i)
{
    while (*i < m->used) {
        struct map_entry *t = &m->entries[(*i)++];

        if (t->key.p)
            return t;
    }
    return NULL;
}
