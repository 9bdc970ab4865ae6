/*
 * groups.c - finds groups by the values of a few labels, without making label sets.
 *
 * A key is the values of the `by` labels with their lengths, or with `without` the label pairs that remain.
 */
#include "query/promql/groups.h"

#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct grouping grouping_of(struct arena *a, const struct node *agg)
{
    struct str *names = arena_array(a, struct str, agg->agg.ngrouping + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < agg->agg.ngrouping; i++)
        names[i] = agg->agg.grouping[i];
    qsort(names, agg->agg.ngrouping, sizeof *names, by_name);
    for (uint32_t i = 0; i < agg->agg.ngrouping; i++)
        if (n == 0 || !str_eq(names[n - 1], names[i]))
            names[n++] = names[i];
    return (struct grouping){names, n, agg->agg.without};
}

void group_table_release(struct group_table *t)
{
    map_release(&t->map);
    free(t->groups);
    arena_release(&t->arena);
    arena_release(&t->scratch);
    buf_release(&t->key);
    *t = (struct group_table){.by = t->by};
}

static void put(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static struct group *find(struct group_table *t, struct str key, bool *added)
{
    void **at;

    if (t->last && str_eq(t->last->key, key)) {
        *added = false;
        return t->last;
    }
    at = map_put(&t->map, key, added);
    if (!*added)
        return t->last = &t->groups[(uintptr_t)*at - 1];
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->groups = x_realloc(t->groups, t->cap * sizeof *t->groups);
    }
    *at = (void *)(uintptr_t)(t->n + 1);
    t->last = &t->groups[t->n++];
    *t->last = (struct group){.key = key};
    return t->last;
}

/* The group of t->key; made with its labels if it is new. map_put keeps the key's bytes by reference, so they are
 * copied before. */
static struct group *find_or_make(struct group_table *t, const struct labels *labels, bool *added)
{
    struct group *g;
    struct str key = buf_str(&t->key);

    *added = false;
    if (t->last && str_eq(t->last->key, key))
        return t->last;
    if (map_get(&t->map, key))
        return find(t, key, added);
    g = find(t, arena_dup(&t->arena, key), added);
    g->labels = labels_dup(&t->arena, labels);
    return g;
}

/* by: the labels that have a value, into the scratch arena. */
static struct labels by_labels(struct group_table *t, const struct str *values)
{
    struct labels ls = {.v = arena_alloc(&t->scratch, (t->by->n + (size_t)1) * sizeof *ls.v)};

    for (uint32_t i = 0; i < t->by->n; i++)
        if (values[i].n)
            ls.v[ls.n++] = (struct label){t->by->names[i], values[i]};
    return ls;
}

static struct group *group_by(struct group_table *t, const struct str *values, bool *added)
{
    struct labels ls;

    buf_reset(&t->key);
    for (uint32_t i = 0; i < t->by->n; i++)
        put(&t->key, values[i]);
    if (t->last && str_eq(t->last->key, buf_str(&t->key))) {
        *added = false;
        return t->last;
    }
    ls = by_labels(t, values);
    return find_or_make(t, &ls, added);
}

static struct group *group_without(struct group_table *t, const struct labels *all, bool *added)
{
    struct labels ls = labels_pick(&t->scratch, all, t->by->names, t->by->n, false, true);

    buf_reset(&t->key);
    for (uint32_t i = 0; i < ls.n; i++) {
        put(&t->key, ls.v[i].name);
        put(&t->key, ls.v[i].value);
    }
    return find_or_make(t, &ls, added);
}

int group_of_labels(struct group_table *t, const struct labels *ls, struct group **out, bool *added)
{
    struct str *values;

    arena_reset(&t->scratch);
    if (t->by->without) {
        *out = group_without(t, ls, added);
        return 0;
    }
    values = arena_alloc(&t->scratch, (t->by->n + (size_t)1) * sizeof *values);
    for (uint32_t i = 0; i < t->by->n; i++)
        values[i] = labels_get(ls, t->by->names[i]);
    *out = group_by(t, values, added);
    return 0;
}

int group_of_reader(struct group_table *t, struct reader *r, struct group **out, bool *added, struct err *e)
{
    struct str few[8], *values = few;

    if (t->by->without) {
        struct labels ls;

        arena_reset(&t->scratch);
        if (reader_labels(r, &t->scratch, &ls, e) < 0)
            return e->code;
        *out = group_without(t, &ls, added);
        return 0;
    }
    if (t->scratch.bytes > 1 << 16 || t->by->n > ARRAY_LEN(few))
        arena_reset(&t->scratch);
    if (t->by->n > ARRAY_LEN(few))
        values = arena_alloc(&t->scratch, t->by->n * sizeof *values);
    for (uint32_t i = 0; i < t->by->n; i++) {
        values[i] = STR_NULL;
        if (reader_label(r, t->by->names[i], &values[i], e) < 0)
            return e->code;
    }
    *out = group_by(t, values, added);
    return 0;
}

struct group *group_of_key(struct group_table *t, const struct group *g, bool *added)
{
    buf_reset(&t->key);
    buf_puts(&t->key, g->key);
    return find_or_make(t, &g->labels, added);
}
