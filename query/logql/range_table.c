/*
 * range_table.c - series by hash. Equal hashes are equal label sets: 128 bits of XXH3.
 */
#include "query/logql/range_table.h"

#include <stdlib.h>

void lq_table_init(struct lq_table *t, struct query *q, const struct lq_windows *w, const struct lq_cell_kind *kind, const char *where)
{
    *t = (struct lq_table){.w = w, .kind = kind, .where = where};
    pile_init(&t->pile, q);
}

static int64_t table_bytes(uint32_t cap)
{
    return (int64_t)cap * (int64_t)sizeof(struct lq_series) + 2 * (int64_t)cap * (int64_t)sizeof(uint32_t);
}

void lq_table_release(struct lq_table *t)
{
    if (t->cap)
        query_charge(t->pile.q, -table_bytes(t->cap), t->where, NULL);
    free(t->series);
    free(t->slots);
    pile_release(&t->pile);
    *t = (struct lq_table){0};
}

static void place(struct lq_table *t, uint32_t index)
{
    uint32_t at = (uint32_t)t->series[index].hash.lo & t->mask;

    while (t->slots[at])
        at = (at + 1) & t->mask;
    t->slots[at] = index + 1;
}

static int grow(struct lq_table *t, struct err *e)
{
    uint32_t cap = t->cap ? t->cap * 2 : 16;

    if (query_charge(t->pile.q, table_bytes(cap) - (t->cap ? table_bytes(t->cap) : 0), t->where, e) < 0)
        return e->code;
    t->cap = cap;
    t->series = x_realloc(t->series, cap * sizeof *t->series);
    free(t->slots);
    t->slots = x_zalloc(2 * (size_t)cap * sizeof *t->slots);
    t->mask = 2 * cap - 1;
    for (uint32_t i = 0; i < t->n; i++)
        place(t, i);
    return 0;
}

struct lq_series *lq_table_find(struct lq_table *t, struct hash128 hash, bool *added, struct err *e)
{
    *added = false;
    if (t->last && hash128_eq(t->series[t->last - 1].hash, hash))
        return &t->series[t->last - 1];
    for (uint32_t at = (uint32_t)hash.lo & t->mask; t->n && t->slots[at]; at = (at + 1) & t->mask)
        if (hash128_eq(t->series[t->slots[at] - 1].hash, hash)) {
            t->last = t->slots[at];
            return &t->series[t->last - 1];
        }
    if (t->n == t->cap && grow(t, e) < 0)
        return NULL;
    t->series[t->n] = (struct lq_series){.hash = hash};
    place(t, t->n);
    t->last = ++t->n;
    *added = true;
    return &t->series[t->n - 1];
}

static uint32_t npages(const struct lq_table *t)
{
    return (t->w->nbuckets + LQ_PAGE - 1) / LQ_PAGE;
}

/* Cells on a page: all there are, where that is less than a page. */
static uint32_t page_cells(const struct lq_table *t)
{
    return MIN(t->w->nbuckets, (uint32_t)LQ_PAGE);
}

double *lq_table_cell(struct lq_table *t, struct lq_series *s, uint32_t bucket, struct err *e)
{
    unsigned size = lq_cell_size(t->kind);
    double **page;

    if (!s->pages) {
        s->pages = pile_alloc(&t->pile, npages(t) * sizeof *s->pages, t->where, e);
        if (!s->pages)
            return NULL;
        memset(s->pages, 0, npages(t) * sizeof *s->pages);
    }
    page = &s->pages[bucket / LQ_PAGE];
    if (!*page) {
        size_t bytes = page_cells(t) * size * sizeof **page;

        *page = pile_alloc(&t->pile, bytes, t->where, e);
        if (!*page)
            return NULL;
        memset(*page, 0, bytes);
    }
    return *page + (size_t)(bucket % LQ_PAGE) * size;
}

int lq_table_sample(struct lq_table *t, struct lq_series *s, struct lq_sample x, struct err *e)
{
    if (s->nsamples == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 8;
        struct lq_sample *more = pile_alloc(&t->pile, cap * sizeof *more, t->where, e);

        if (!more)
            return e->code;
        if (s->nsamples)
            memcpy(more, s->samples, s->nsamples * sizeof *more);
        s->samples = more;
        s->cap = cap;
    }
    s->samples[s->nsamples++] = x;
    return 0;
}

static int merge_cells(struct lq_table *dst, struct lq_series *d, const struct lq_series *s, struct err *e)
{
    unsigned size = lq_cell_size(dst->kind);

    for (uint32_t p = 0; s->pages && p < npages(dst); p++)
        for (uint32_t i = 0; s->pages[p] && i < page_cells(dst); i++) {
            const double *from = s->pages[p] + (size_t)i * size;
            double *to;

            if (from[0] == 0)
                continue;
            to = lq_table_cell(dst, d, p * LQ_PAGE + i, e);
            if (!to)
                return e->code;
            lq_cell_merge(dst->kind, to, from);
        }
    return 0;
}

static int merge_samples(struct lq_table *dst, struct lq_series *d, const struct lq_series *s, struct err *e)
{
    for (uint32_t i = 0; i < s->nsamples; i++)
        if (lq_table_sample(dst, d, s->samples[i], e) < 0)
            return e->code;
    return 0;
}

int lq_table_merge(struct lq_table *dst, struct lq_table *src, struct err *e)
{
    struct query_pace pace = {dst->pile.q, dst->where, 0};
    int code = 0;

    for (uint32_t i = 0; i < src->n && code == 0; i++) {
        const struct lq_series *s = &src->series[i];
        struct lq_series *d;
        bool added;

        code = query_pace(&pace, 300 + s->nsamples, e);
        if (code < 0)
            break;
        d = lq_table_find(dst, s->hash, &added, e);
        if (!d)
            code = e->code;
        else if (added)
            *d = *s;
        else
            code = dst->kind ? merge_cells(dst, d, s, e) : merge_samples(dst, d, s, e);
    }
    pile_join(&dst->pile, &src->pile);
    lq_table_release(src);
    return code;
}

void lq_table_spread(const struct lq_table *t, const struct lq_series *s, double *out)
{
    unsigned size = lq_cell_size(t->kind);
    uint32_t left = t->w->nbuckets;

    for (uint32_t p = 0; p < npages(t); p++, left -= MIN(left, (uint32_t)LQ_PAGE)) {
        size_t bytes = MIN(left, (uint32_t)LQ_PAGE) * size * sizeof *out;

        if (s->pages && s->pages[p])
            memcpy(out + (size_t)p * LQ_PAGE * size, s->pages[p], bytes);
        else
            memset(out + (size_t)p * LQ_PAGE * size, 0, bytes);
    }
}
