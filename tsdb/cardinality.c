/* cardinality.c - who has many: the biggest metrics, labels and pairs of the head, out of the counts that the index
 * keeps anyway. */
#include "tsdb/db.h"

#include <stdlib.h>

/* The biggest so far, biggest first. */
struct top {
    struct tsdb_count *v;
    uint32_t n, max;
};

static void top_add(struct top *t, struct str name, uint64_t n)
{
    uint32_t i;

    if (t->max == 0 || n == 0 || (t->n == t->max && t->v[t->n - 1].n >= n))
        return;
    i = t->n < t->max ? t->n++ : t->n - 1;
    for (; i > 0 && t->v[i - 1].n < n; i--)
        t->v[i] = t->v[i - 1];
    t->v[i] = (struct tsdb_count){name, n};
}

static struct top top_new(struct arena *a, uint32_t limit)
{
    return (struct top){arena_array(a, struct tsdb_count, limit), 0, limit};
}

static void top_copy(struct arena *a, struct top *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        t->v[i].name = arena_dup(a, t->v[i].name);
}

/* Pairs are kept by id while they are sorted; only the winners get a text. */
static void name_pairs(const struct symbols *sy, struct arena *a, struct top *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const struct head_pair *p = pair_get(sy, (uint32_t)t->v[i].name.n);
        struct str name = name_get(sy, p->name)->text, value = pair_value(p);
        t->v[i].name = arena_printf(a, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    }
}

int tsdb_cardinality(struct tsdb *db, uint32_t limit, struct arena *a, struct tsdb_cardinality *out, struct err *e)
{
    struct head *h = &db->head;
    const struct symbols *sy = &h->symbols;
    struct top metrics = top_new(a, limit), values = top_new(a, limit), bytes = top_new(a, limit),
               pairs = top_new(a, limit);

    (void)e;
    *out = (struct tsdb_cardinality){0};
    pthread_rwlock_rdlock(&h->index_lock);
    for (uint32_t i = 0; i < sy->nnames; i++) {
        const struct head_name *name = name_get(sy, i);
        bool is_metric = str_eqz(name->text, LABEL_NAME);
        uint64_t label_bytes = 0;
        for (uint32_t k = 0; k < name->npairs; k++) {
            const struct head_pair *p = pair_get(sy, name->pairs[k]);
            label_bytes += p->value_n;
            if (is_metric)
                top_add(&metrics, pair_value(p), p->postings.n);
            top_add(&pairs, (struct str){NULL, name->pairs[k]}, p->postings.n);
        }
        top_add(&values, name->text, name->npairs);
        top_add(&bytes, name->text, label_bytes);
    }
    top_copy(a, &metrics);
    top_copy(a, &values);
    top_copy(a, &bytes);
    name_pairs(sy, a, &pairs);
    out->label_pairs = sy->live;
    pthread_rwlock_unlock(&h->index_lock);
    out->series_by_metric = metrics.v;
    out->nseries_by_metric = metrics.n;
    out->values_by_label = values.v;
    out->nvalues_by_label = values.n;
    out->bytes_by_label = bytes.v;
    out->nbytes_by_label = bytes.n;
    out->series_by_pair = pairs.v;
    out->nseries_by_pair = pairs.n;
    return 0;
}
