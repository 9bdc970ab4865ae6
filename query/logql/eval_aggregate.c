/*
 * eval_aggregate.c - sum, avg, min, max, count, stddev, stdvar over groups; topk and bottomk, which choose; sort.
 *
 * (1) A sum of counts is the count of all: where the vector below is a range aggregation that adds up, its records are put
 *     into the groups at once (lq_push), and series are never told apart.
 */
#include "query/logql/eval.h"
#include "query/vector/aggregate.h"
#include "query/vector/ranked.h"

#include <math.h>
#include <stdlib.h>

/* --- groups ----------------------------------------------------------------------------------- */

struct group {
    struct labels labels;
    struct aggr_group *state;
};

struct groups {
    const struct logql_grouping *by;
    struct map map;
    struct arena arena;
    struct buf key;
    struct group *v;
    uint32_t n, cap;
};

static bool listed(const struct logql_grouping *by, struct str name)
{
    for (uint32_t i = 0; i < by->n; i++)
        if (str_eq(by->names[i], name))
            return true;
    return false;
}

/* The labels that make the group; labels that are there and empty count as they are. */
static struct labels group_labels(struct arena *a, const struct logql_grouping *by, const struct labels *ls)
{
    struct labels out = {.v = arena_alloc(a, (ls->n + (size_t)1) * sizeof *out.v)};

    for (uint32_t i = 0; i < ls->n; i++)
        if (listed(by, ls->v[i].name) != by->without)
            out.v[out.n++] = ls->v[i];
    return out;
}

static uint32_t group_of(struct groups *g, const struct labels *ls)
{
    struct labels mine = group_labels(&g->arena, g->by, ls);
    void **at;
    bool added;

    buf_reset(&g->key);
    labels_canonical(&g->key, &mine);
    at = map_get(&g->map, buf_str(&g->key)) ? map_put(&g->map, buf_str(&g->key), &added) : NULL;
    if (at)
        return (uint32_t)((uintptr_t)*at - 1);
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 16;
        g->v = x_realloc(g->v, g->cap * sizeof *g->v);
    }
    g->v[g->n] = (struct group){.labels = mine};
    *map_put(&g->map, arena_dup(&g->arena, buf_str(&g->key)), NULL) = (void *)(uintptr_t)(g->n + 1);
    return g->n++;
}

static void groups_release(struct groups *g)
{
    map_release(&g->map);
    arena_release(&g->arena);
    buf_release(&g->key);
    free(g->v);
}

/* --- adding up -------------------------------------------------------------------------------- */

static enum aggr_op aggr_of(enum logql_vector_op op)
{
    switch (op) {
    case VECTOR_AVG:
        return AGGR_AVG;
    case VECTOR_MAX:
        return AGGR_MAX;
    case VECTOR_MIN:
        return AGGR_MIN;
    case VECTOR_COUNT:
        return AGGR_COUNT;
    case VECTOR_STDDEV:
        return AGGR_STDDEV;
    case VECTOR_STDVAR:
        return AGGR_STDVAR;
    default:
        return AGGR_SUM;
    }
}

static int add_rows_of(struct lq_eval *ev, struct aggr *spec, struct groups *g, struct vec *v, struct pile *p, struct err *e)
{
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t index = group_of(g, &v->rows[i].labels);
        struct group *at = &g->v[index];

        if (i % 256 == 0 && query_check(ev->q, spec->where, e) < 0)
            return e->code;
        if (!at->state)
            at->state = aggr_group_new(spec, p, e);
        if (!at->state || aggr_add(spec, at->state, &v->rows[i], p, e) < 0)
            return e->code;
    }
    return 0;
}

static int aggregate(struct lq_eval *ev, const struct logql_expr *n, struct vec *v, struct vec *out, struct err *e)
{
    struct aggr spec = {.op = aggr_of(n->agg.op), .nsteps = ev->grid.n, .where = logql_vector_op_text(n->agg.op)};
    struct groups g = {.by = &n->agg.grouping};
    struct pile pile;
    int code;

    pile_init(&pile, ev->q);
    code = add_rows_of(ev, &spec, &g, v, &pile, e);
    for (uint32_t i = 0; i < g.n && code == 0; i++) {
        struct row *r = vec_add(out, spec.where, e);

        if (!r) {
            code = e->code;
            break;
        }
        r->labels = labels_dup(&out->pile.a, &g.v[i].labels);
        code = aggr_finish(&spec, g.v[i].state, out, r, e);
    }
    if (code == 0)
        code = pile_settle(&out->pile, spec.where, e);
    groups_release(&g);
    pile_release(&pile);
    return code;
}

/* --- choosing --------------------------------------------------------------------------------- */

struct heaps {
    struct ranked *items;
    uint32_t *begin, *size, *group;
    uint32_t n;
};

static void heaps_init(struct heaps *h, struct groups *g, const struct vec *v)
{
    h->group = x_alloc((v->n + (size_t)1) * sizeof *h->group);
    for (uint32_t i = 0; i < v->n; i++)
        h->group[i] = group_of(g, &v->rows[i].labels);
    h->n = g->n;
    h->items = x_alloc((v->n + (size_t)1) * sizeof *h->items);
    h->begin = x_zalloc((g->n + (size_t)1) * sizeof *h->begin);
    h->size = x_zalloc((g->n + (size_t)1) * sizeof *h->size);
    for (uint32_t i = 0; i < v->n; i++)
        h->begin[h->group[i] + 1]++;
    for (uint32_t i = 0; i < g->n; i++)
        h->begin[i + 1] += h->begin[i];
}

static void heaps_release(struct heaps *h)
{
    free(h->items);
    free(h->begin);
    free(h->size);
    free(h->group);
}

static void choose_at(struct heaps *h, struct vec *v, uint32_t step, uint32_t k, bool top)
{
    memset(h->size, 0, h->n * sizeof *h->size);
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t g = h->group[i];

        if (v->rows[i].has[step])
            ranked_offer(h->items + h->begin[g], &h->size[g], k, (struct ranked){v->rows[i].v[step], i}, top);
        v->rows[i].has[step] = ROW_NONE;
    }
    for (uint32_t g = 0; g < h->n; g++)
        for (uint32_t i = 0; i < h->size[g]; i++)
            v->rows[h->items[h->begin[g] + i].row].has[step] = ROW_FLOAT;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct row *)a)->labels, &((const struct row *)b)->labels);
}

/* Among equal values those of smaller labels are chosen, however the rows came. */
static int choose(struct lq_eval *ev, const struct logql_expr *n, struct vec *v, struct err *e)
{
    uint32_t k = n->agg.k < v->n ? (uint32_t)n->agg.k : v->n;
    struct groups g = {.by = &n->agg.grouping};
    struct heaps h;
    int code = 0;

    if (v->n > 1)
        qsort(v->rows, v->n, sizeof *v->rows, by_labels);
    heaps_init(&h, &g, v);
    for (uint32_t s = 0; s < v->nsteps && code == 0; s++) {
        code = query_check(ev->q, logql_vector_op_text(n->agg.op), e);
        if (code == 0)
            choose_at(&h, v, s, k, n->agg.op != VECTOR_BOTTOMK);
    }
    heaps_release(&h);
    groups_release(&g);
    vec_compact(v);
    return code;
}

/* NaN last, whichever the direction; equal values by labels. */
static int by_value(const struct row *x, const struct row *y, bool desc)
{
    double v = x->v[0], w = y->v[0];

    if (isnan(v) || isnan(w))
        return isnan(v) != isnan(w) ? isnan(v) - isnan(w) : labels_cmp(&x->labels, &y->labels);
    if (v == w)
        return labels_cmp(&x->labels, &y->labels);
    return (v < w) == desc ? 1 : -1;
}
static int ascending(const void *a, const void *b)
{
    return by_value(a, b, false);
}
static int descending(const void *a, const void *b)
{
    return by_value(a, b, true);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Whether groups may be made of the records themselves. */
static bool adds_up(enum logql_vector_op op, const struct logql_expr *below)
{
    if (below->kind != LOGQL_RANGE || below->range.grouping.present)
        return false;
    switch (below->range.op) {
    case RANGE_COUNT:
    case RANGE_RATE:
    case RANGE_BYTES:
    case RANGE_BYTES_RATE:
    case RANGE_SUM:
        return op == VECTOR_SUM;
    case RANGE_MIN:
        return op == VECTOR_MIN;
    case RANGE_MAX:
        return op == VECTOR_MAX;
    default:
        return false;
    }
}

int lq_eval_aggregate(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e)
{
    const struct logql_grouping *by = &n->agg.grouping;
    struct vec v;
    int code;

    if (adds_up(n->agg.op, n->agg.expr) && !ev->o->plain) {
        struct lq_push push = {true, by->without, by->names, by->n};

        return lq_eval_range(ev, n->agg.expr, &push, out, e);
    }
    if (n->agg.op == VECTOR_APPROX_TOPK && !ev->o->instant) {
        vec_init(out, ev->q, ev->grid.n);
        return err_set(e, ERR_INVALID, "approx_topk is only supported on instant queries");
    }
    if (n->agg.op >= VECTOR_BOTTOMK) {
        code = lq_eval_vector(ev, n->agg.expr, out, e);
        if (code == 0 && n->agg.op < VECTOR_SORT)
            return choose(ev, n, out, e);
        if (code == 0 && ev->o->instant && out->n > 1)
            qsort(out->rows, out->n, sizeof *out->rows, n->agg.op == VECTOR_SORT ? ascending : descending);
        return code;
    }
    vec_init(out, ev->q, ev->grid.n);
    code = lq_eval_vector(ev, n->agg.expr, &v, e);
    if (code == 0)
        code = aggregate(ev, n, &v, out, e);
    vec_release(&v);
    return code;
}
