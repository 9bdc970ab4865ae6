/*
 * eval_topk.c - topk and bottomk over a chain: nothing is held but the best of each group at each step, and the labels
 * of series that were among them.
 *
 * (1) A series gets a number when it first is among the best; numbers rise in the order of reading, and parts are
 *     merged in order, so which of equal values wins does not depend on the number of threads.
 */
#include "query/promql/eval.h"
#include "query/promql/groups.h"
#include "query/vector/ranked.h"

#include <stdlib.h>

enum { GROUP_WORK = 256 };

/* The heaps of one group, one per step, each with room for k. */
struct best {
    uint32_t *n; /* how many, per step */
    struct ranked *items;
};

struct kept_series {
    struct labels labels;
    bool drop_name;
};

/* One thread's. */
struct part {
    struct group_table table;
    struct pile pile; /* heaps, labels */
    struct kept_series *kept;
    uint32_t nkept, cap;
    bool histograms;
};

struct topk {
    struct eval *ev;
    const struct node *n;
    struct grouping by;
    const double *k;
    uint32_t widest; /* the largest k */
    uint32_t nsteps;
    bool top;
    struct part all;
};

static struct best *best_new(const struct topk *x, struct pile *p, struct err *e)
{
    size_t items = (size_t)x->widest * x->nsteps;
    char *m =
        pile_alloc(p, sizeof(struct best) + items * sizeof(struct ranked) + x->nsteps * sizeof(uint32_t), "topk", e);
    struct best *b = (struct best *)(void *)m;

    if (!m)
        return NULL;
    b->items = (struct ranked *)(void *)(m + sizeof *b);
    b->n = (uint32_t *)(void *)(b->items + items);
    memset(b->n, 0, x->nsteps * sizeof *b->n);
    return b;
}

static uint32_t k_at(const struct topk *x, uint32_t s)
{
    return x->k[s] >= 1 ? (uint32_t)x->k[s] : 0;
}

static bool offer_at(const struct topk *x, struct best *b, uint32_t s, struct ranked r)
{
    return ranked_offer(b->items + (size_t)s * x->widest, &b->n[s], k_at(x, s), r, x->top);
}

static struct kept_series *keep(struct part *p)
{
    if (p->nkept == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->kept = x_realloc(p->kept, p->cap * sizeof *p->kept);
    }
    return &p->kept[p->nkept++];
}

/* --- reading ---------------------------------------------------------------------------------- */

static int topk_begin(struct reader *r, void *arg)
{
    const struct topk *x = arg;
    struct part *p = x_zalloc(sizeof *p);

    p->table.by = &x->by;
    pile_init(&p->pile, r->ev->q);
    r->sink = p;
    return 0;
}

static int offer_row(const struct topk *x, struct part *p, struct reader *r, struct best *b, struct err *e)
{
    bool in = false;

    for (uint32_t s = 0; s < x->nsteps; s++) {
        if (r->row.has[s] == ROW_FLOAT)
            in |= offer_at(x, b, s, (struct ranked){r->row.v[s], p->nkept});
        p->histograms |= r->row.has[s] == ROW_HIST;
    }
    if (!in)
        return 0;
    struct kept_series *k = keep(p);

    k->drop_name = r->row.drop_name;
    if (reader_labels(r, &p->pile.a, &k->labels, e) < 0)
        return e->code;
    return pile_settle(&p->pile, "topk", e);
}

static int topk_row(struct reader *r, struct err *e)
{
    const struct topk *x = r->sink_arg;
    struct part *p = r->sink;
    struct group *g;
    bool added;

    if (group_of_reader(&p->table, r, &g, &added, e) < 0)
        return e->code;
    if (added) {
        g->state = best_new(x, &p->pile, e);
        if (!g->state)
            return ERR_LIMIT;
    }
    return offer_row(x, p, r, g->state, e);
}

/* --- merging ---------------------------------------------------------------------------------- */

static void part_free(struct part *p)
{
    group_table_release(&p->table);
    pile_release(&p->pile);
    free(p->kept);
}

static int topk_end(struct reader *r, void *arg, struct err *e)
{
    struct topk *x = arg;
    struct part *p = r->sink;
    struct query_pace pace = {x->ev->q, agg_op_text(x->n->agg.op), 0};
    uint32_t base = x->all.nkept;
    int code = 0;

    for (uint32_t i = 0; i < p->nkept; i++)
        *keep(&x->all) = p->kept[i];
    for (uint32_t i = 0; i < p->table.n && code == 0; i++) {
        struct best *from = p->table.groups[i].state, *to;
        bool added;
        struct group *g = group_of_key(&x->all.table, &p->table.groups[i], &added);

        code = query_pace(&pace, GROUP_WORK + (uint64_t)x->nsteps * x->widest * 8, e);
        for (uint32_t s = 0; s < x->nsteps && from; s++)
            for (uint32_t k = 0; k < from->n[s]; k++)
                from->items[(size_t)s * x->widest + k].row += base;
        if (added || !g->state) {
            g->state = from;
            continue;
        }
        to = g->state;
        for (uint32_t s = 0; s < x->nsteps && from; s++)
            for (uint32_t k = 0; k < from->n[s]; k++)
                offer_at(x, to, s, from->items[(size_t)s * x->widest + k]);
    }
    x->all.histograms |= p->histograms;
    pile_join(&x->all.pile, &p->pile);
    part_free(p);
    free(p);
    return code;
}

/* --- the result ------------------------------------------------------------------------------- */

static __thread bool sort_top; /* of the sort that runs on this thread */

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return ranked_worse(*y, *x, sort_top) ? -1 : ranked_worse(*x, *y, sort_top);
}

/* Rows in order of groups, within an instant best first. */
static int make_rows(struct topk *x, struct vec *out, struct err *e)
{
    struct query_pace pace = {x->ev->q, agg_op_text(x->n->agg.op), 0};
    uint32_t *row_of = x_zalloc((x->all.nkept + (size_t)1) * sizeof *row_of);
    int code = 0;

    sort_top = x->top;
    for (uint32_t i = 0; i < x->all.table.n && code == 0; i++) {
        struct best *b = x->all.table.groups[i].state;

        for (uint32_t s = 0; s < x->nsteps && code == 0; s++) {
            struct ranked *items = b->items + (size_t)s * x->widest;

            if (x->nsteps == 1 && b->n[s] > 1)
                qsort(items, b->n[s], sizeof *items, best_first);
            for (uint32_t k = 0; k < b->n[s] && code == 0; k++) {
                uint32_t id = items[k].row;
                struct row *r;

                if (!row_of[id]) {
                    r = vec_add(out, "topk", e);
                    if (!r) {
                        code = ERR_LIMIT;
                        break;
                    }
                    r->labels = x->all.kept[id].labels;
                    r->drop_name = x->all.kept[id].drop_name;
                    row_of[id] = out->n;
                }
                r = &out->rows[row_of[id] - 1];
                r->v[s] = items[k].v;
                r->has[s] = ROW_FLOAT;
            }
            if (code == 0)
                code = query_pace(&pace, b->n[s] * 8, e);
        }
    }
    free(row_of);
    return code;
}

enum { WIDEST = 256 };

int eval_topk_chain(struct eval *ev, const struct node *n, const struct grid *g, const double *k, struct vec *out,
                    struct err *e)
{
    struct topk x = {
        .ev = ev, .n = n, .by = grouping_of(ev->arena, n), .k = k, .nsteps = g->n, .top = n->agg.op == AGG_TOPK};
    struct sink sink = {.arg = &x, .begin = topk_begin, .row = topk_row, .end = topk_end};
    struct source src;
    int code;

    for (uint32_t i = 0; i < g->n; i++)
        if (k[i] > WIDEST)
            return 1;
        else if (k_at(&x, i) > x.widest)
            x.widest = k_at(&x, i);
    code = eval_fused(ev, n->agg.expr, g, &src, e);
    if (code != 0)
        return code;
    x.all.table.by = &x.by;
    pile_init(&x.all.pile, ev->q);
    code = source_run(ev, &src, &sink, e);
    if (code == 0)
        code = make_rows(&x, out, e);
    if (x.all.histograms)
        note_info(&ev->notes, n->agg.expr->start, "ignored histogram in %s aggregation", agg_op_text(n->agg.op));
    pile_join(&out->pile, &x.all.pile);
    part_free(&x.all);
    return code;
}
