/*
 * eval_aggregate.c - sum, avg, count, min, max, group, stddev, stdvar, quantile.
 *
 * Over a chain nothing but the groups is held: each reading thread adds the rows it makes to its own groups, and these
 * are merged in order of parts at the end. Over other vectors the rows are added one by one.
 */
#include "query/promql/eval.h"
#include "query/promql/groups.h"
#include "query/promql/plan.h"
#include "query/vector/aggregate.h"

#include <math.h>
#include <stdlib.h>

enum { GROUP_WORK = 256, FINISH_WORK = 8, HISTOGRAM_WORK = 64 };

/* What the parts share, and where they are merged. */
struct aggregation {
    struct eval *ev;
    const struct node *n;
    struct grouping by;
    struct aggr spec;      /* notes are merged into it */
    struct str bad_metric; /* of NOTE schemas */
    struct group_table all;
    struct pile pile; /* of the groups' sums */
};

/* One thread's. */
struct part {
    struct aggr aggr;
    struct group_table table;
    struct pile pile;
    struct str bad_metric;
};

static int add_row(struct part *p, struct group *g, bool added, const struct row *r, struct err *e)
{
    if (added) {
        g->state = aggr_group_new(&p->aggr, &p->pile, e);
        if (!g->state)
            return ERR_LIMIT;
    }
    return aggr_add(&p->aggr, g->state, r, &p->pile, e);
}

static struct part *part_new(const struct aggregation *x)
{
    struct part *p = x_zalloc(sizeof *p);

    p->aggr = x->spec;
    p->table.by = &x->by;
    pile_init(&p->pile, x->ev->q);
    return p;
}

static void part_free(struct part *p)
{
    group_table_release(&p->table);
    pile_release(&p->pile);
    free(p);
}

/* Takes the groups of a part over, or merges them into those that are there. */
static int merge_part(struct aggregation *x, struct part *p, struct err *e)
{
    struct query_pace pace = {x->ev->q, x->spec.where, 0};
    int code = 0;

    for (uint32_t i = 0; i < p->table.n && code == 0; i++) {
        bool added;
        struct group *g = group_of_key(&x->all, &p->table.groups[i], &added);

        if (added)
            g->state = p->table.groups[i].state;
        else
            code = aggr_merge(&x->spec, g->state, p->table.groups[i].state, &x->pile, e);
        if (code == 0)
            code = query_pace(&pace, GROUP_WORK + (added ? 0 : x->spec.nsteps), e);
    }
    x->spec.notes |= p->aggr.notes;
    if (!x->bad_metric.n)
        x->bad_metric = p->bad_metric;
    pile_join(&x->pile, &p->pile);
    part_free(p);
    return code;
}

/* --- over a chain ----------------------------------------------------------------------------- */

static int sink_begin(struct reader *r, void *arg)
{
    r->sink = part_new(arg);
    return 0;
}

static int sink_row(struct reader *r, struct err *e)
{
    struct part *p = r->sink;
    unsigned before = p->aggr.notes;
    struct group *g;
    bool added;

    if (group_of_reader(&p->table, r, &g, &added, e) < 0 || add_row(p, g, added, &r->row, e) < 0)
        return e->code;
    if ((p->aggr.notes & ~before & AGGR_MIXED_SCHEMAS) && reader_label(r, STR(LABEL_NAME), &p->bad_metric, e) < 0)
        return e->code;
    return 0;
}

static int sink_end(struct reader *r, void *arg, struct err *e)
{
    return merge_part(arg, r->sink, e);
}

static int over_chain(struct aggregation *x, const struct source *src, struct err *e)
{
    struct sink sink = {.arg = x, .begin = sink_begin, .row = sink_row, .end = sink_end};

    return source_run(x->ev, src, &sink, e);
}

/* --- over a vector ---------------------------------------------------------------------------- */

static int over_vector(struct aggregation *x, const struct vec *v, struct err *e)
{
    struct query_pace pace = {x->ev->q, x->spec.where, 0};
    struct part *p = part_new(x);
    int code = 0;

    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        unsigned before = p->aggr.notes;
        struct group *g;
        bool added;

        code = group_of_labels(&p->table, &v->rows[i].labels, &g, &added);
        if (code == 0)
            code = add_row(p, g, added, &v->rows[i], e);
        if (p->aggr.notes & ~before & AGGR_MIXED_SCHEMAS)
            p->bad_metric = labels_get(&v->rows[i].labels, STR(LABEL_NAME));
        if (code == 0)
            code = query_pace(&pace, GROUP_WORK + v->nsteps * (v->rows[i].h ? HISTOGRAM_WORK : 1), e);
    }
    if (code == 0)
        return merge_part(x, p, e);
    part_free(p);
    return code;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void say_notes(struct aggregation *x)
{
    struct notes *ns = &x->ev->notes;
    uint32_t at = x->n->agg.expr->start;
    unsigned bits = x->spec.notes;

    if (bits & AGGR_MIXED)
        note_warn(ns, at, "encountered a mix of histograms and floats for aggregation");
    if (bits & AGGR_MIXED_SCHEMAS)
        note_warn(
            ns, at,
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"%.*s\"",
            STR_ARG(x->bad_metric));
    if (bits & AGGR_RESET_CONFLICT)
        note_warn(ns, at, "conflicting counter resets during histogram aggregation");
    if (bits & AGGR_BOUNDS)
        note_info(ns, at, "mismatched custom buckets were reconciled during aggregation");
    if (bits & AGGR_IGNORED_HISTOGRAM)
        note_info(ns, at, "ignored histogram in %s aggregation", agg_op_text(x->n->agg.op));
}

static int finish(struct aggregation *x, struct vec *out, struct err *e)
{
    struct query_pace pace = {x->ev->q, x->spec.where, 0};

    for (uint32_t i = 0; i < x->all.n; i++) {
        struct group *g = &x->all.groups[i];
        struct row *r = vec_add(out, x->spec.where, e);

        if (!r)
            return ERR_LIMIT;
        r->labels = labels_dup(&out->pile.a, &g->labels);
        if (aggr_finish(&x->spec, g->state, out, r, e) < 0 || query_pace(&pace, GROUP_WORK + out->nsteps * FINISH_WORK, e) < 0)
            return e->code;
    }
    if (vec_compact_many(out, e) < 0)
        return e->code;
    say_notes(x);
    return pile_settle(&out->pile, x->spec.where, e);
}

/* As upstream: once for NaN, the largest and the smallest that are out of range, whatever they are used for. */
static void warn_quantile(struct eval *ev, const struct node *param, const double *q, uint32_t n)
{
    double extremes[3] = {0.5, 0.5, 0.5};

    for (uint32_t i = 0; i < n; i++) {
        if (isnan(q[i]))
            extremes[0] = NAN;
        extremes[1] = fmax(extremes[1], q[i]);
        extremes[2] = fmin(extremes[2], q[i]);
    }
    eval_quantile_warnings(ev, param, extremes, 3);
}

static bool simple_op(enum agg_op op, enum aggr_op *out)
{
    switch (op) {
    case AGG_SUM:
        *out = AGGR_SUM;
        return true;
    case AGG_AVG:
        *out = AGGR_AVG;
        return true;
    case AGG_COUNT:
        *out = AGGR_COUNT;
        return true;
    case AGG_MIN:
        *out = AGGR_MIN;
        return true;
    case AGG_MAX:
        *out = AGGR_MAX;
        return true;
    case AGG_GROUP:
        *out = AGGR_GROUP;
        return true;
    case AGG_STDDEV:
        *out = AGGR_STDDEV;
        return true;
    case AGG_STDVAR:
        *out = AGGR_STDVAR;
        return true;
    case AGG_QUANTILE:
        *out = AGGR_QUANTILE;
        return true;
    default:
        return false;
    }
}

int eval_aggregate(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct aggregation x = {.ev = ev, .n = n, .spec = {.nsteps = g->n, .where = agg_op_text(n->agg.op)}};
    struct source src;
    struct vec v;
    int code;

    if (!simple_op(n->agg.op, &x.spec.op))
        return eval_rank(ev, n, g, out, e);
    if (x.spec.op == AGGR_QUANTILE) {
        double *q;

        if (eval_scalar(ev, n->agg.param, g, &q, e) < 0)
            return e->code;
        x.spec.quantile = q;
        warn_quantile(ev, n->agg.param, q, g->n);
    }
    x.by = grouping_of(ev->arena, n);
    x.all.by = &x.by;
    pile_init(&x.pile, ev->q);
    vec_init(&v, ev->q, g->n);
    code = eval_fused(ev, n->agg.expr, g, &src, e);
    if (code == 0) {
        code = over_chain(&x, &src, e);
    } else if (code > 0) {
        code = eval_vector(ev, n->agg.expr, g, &v, e);
        if (code == 0)
            code = over_vector(&x, &v, e);
    }
    if (code == 0)
        code = finish(&x, out, e);
    vec_release(&v);
    group_table_release(&x.all);
    pile_release(&x.pile);
    return code;
}
