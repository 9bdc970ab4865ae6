/*
 * eval.c - evaluates a tree: entry, dispatch by kind, label_replace, the result.
 *
 * (1) What outlives the evaluation is copied into the query's arena at the end.
 * (2) Recursion is as deep as the tree, which the parser bounds.
 */
#include "query/logql/eval.h"

#include <stdlib.h>

enum { STEPS_MAX = 1000000, DEPTH_MAX = 3000 };

/* --- vectors ---------------------------------------------------------------------------------- */

/* One row that has a number at every step. */
static int eval_number(struct lq_eval *ev, double v, struct vec *out, struct err *e)
{
    struct row *r;

    vec_init(out, ev->q, ev->grid.n);
    r = vec_add(out, "vector", e);
    if (!r)
        return e->code;
    memset(r->has, ROW_FLOAT, ev->grid.n);
    for (uint32_t i = 0; i < ev->grid.n; i++)
        r->v[i] = v;
    return 0;
}

static int eval_replace(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e)
{
    unsigned ngroups = regex_ngroups(n->replace.re);
    struct str *g = x_alloc((ngroups + 1) * sizeof *g);
    struct buf b = {0};
    int code = lq_eval_vector(ev, n->replace.expr, out, e);

    for (uint32_t i = 0; i < out->n && code == 0; i++) {
        struct str value = labels_get(&out->rows[i].labels, n->replace.src);

        if (!regex_groups(n->replace.re, value.p ? value : STR(""), 0, g, ngroups))
            continue;
        buf_reset(&b);
        regex_expand(n->replace.re, n->replace.replacement, g, ngroups, &b);
        out->rows[i].labels =
            labels_with(&out->pile.a, &out->rows[i].labels, n->replace.dst, arena_dup(&out->pile.a, buf_str(&b)));
        code = pile_settle(&out->pile, "label_replace", e);
    }
    buf_release(&b);
    free(g);
    return code < 0 ? code : vec_unify(out, e);
}

static int dispatch(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e)
{
    switch (n->kind) {
    case LOGQL_RANGE:
        return lq_eval_range(ev, n, NULL, out, e);
    case LOGQL_AGGREGATE:
        return lq_eval_aggregate(ev, n, out, e);
    case LOGQL_BINARY:
        return lq_eval_binary(ev, n, out, e);
    case LOGQL_LABEL_REPLACE:
        return eval_replace(ev, n, out, e);
    case LOGQL_NUMBER:
    case LOGQL_VECTOR:
        return eval_number(ev, n->number, out, e);
    default:
        vec_init(out, ev->q, ev->grid.n);
        return err_set(e, ERR_INVALID, "streams stand where a vector is wanted");
    }
}

int lq_eval_vector(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e)
{
    int code;

    if (++ev->depth > DEPTH_MAX) {
        vec_init(out, ev->q, ev->grid.n);
        return err_set(e, ERR_LIMIT, "expression is nested deeper than %d", DEPTH_MAX);
    }
    code = dispatch(ev, n, out, e);
    ev->depth--;
    return code;
}

/* --- results ---------------------------------------------------------------------------------- */

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct logql_series *)a)->labels, &((const struct logql_series *)b)->labels);
}

static int make_result(struct lq_eval *ev, struct vec *v, struct logql_result *out, struct err *e)
{
    struct arena *a = &ev->q->arena;
    size_t row_bytes = (size_t)v->nsteps * (sizeof(double) + 1) + sizeof *out->series;

    vec_compact(v);
    if (query_charge(ev->q, (int64_t)(row_bytes * v->n), "result", e) < 0)
        return e->code;
    out->series = arena_array(a, struct logql_series, v->n + (size_t)1);
    out->nseries = v->n;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct row *r = &v->rows[i];
        double *values = arena_alloc(a, v->nsteps * sizeof *values);
        uint8_t *has = arena_alloc(a, v->nsteps);

        memcpy(values, r->v, v->nsteps * sizeof *values);
        memcpy(has, r->has, v->nsteps);
        out->series[i] = (struct logql_series){labels_dup(a, &r->labels), values, has};
    }
    if (v->n > 1 && !(ev->o->instant && ev->sorted))
        qsort(out->series, out->nseries, sizeof *out->series, by_labels);
    return 0;
}

static bool has_sort(const struct logql_expr *n)
{
    switch (n->kind) {
    case LOGQL_AGGREGATE:
        return n->agg.op == VECTOR_SORT || n->agg.op == VECTOR_SORT_DESC || has_sort(n->agg.expr);
    case LOGQL_BINARY:
        return has_sort(n->binary.l) || has_sort(n->binary.r);
    case LOGQL_LABEL_REPLACE:
        return has_sort(n->replace.expr);
    default:
        return false;
    }
}

static int make_grid(struct lq_eval *ev, struct err *e)
{
    const struct logql_opts *o = ev->o;
    int64_t n;

    ev->grid = (struct lq_grid){.start = o->end_ns, .step = 0, .n = 1};
    if (o->instant)
        return 0;
    if (o->end_ns < o->start_ns)
        return err_set(e, ERR_INVALID, "end timestamp must not be before or equal to start time");
    if (o->step_ns <= 0 && o->end_ns > o->start_ns)
        return err_set(e, ERR_INVALID, "zero or negative query resolution step widths are not accepted. Try a positive integer");
    n = o->step_ns > 0 ? (o->end_ns - o->start_ns) / o->step_ns + 1 : 1;
    if (n > STEPS_MAX)
        return err_set(e, ERR_LIMIT, "%lld steps, %d are allowed", (long long)n, STEPS_MAX);
    ev->grid = (struct lq_grid){.start = o->start_ns, .step = o->step_ns, .n = (uint32_t)n};
    return 0;
}

static int eval_metric(struct lq_eval *ev, const struct logql_expr *root, struct logql_result *out, struct err *e)
{
    struct vec v;
    int code = make_grid(ev, e);

    if (code < 0)
        return code;
    out->type = ev->o->instant ? LOGQL_RESULT_VECTOR : LOGQL_RESULT_MATRIX;
    out->start_ns = ev->grid.start;
    out->step_ns = ev->grid.step;
    out->nsteps = ev->grid.n;
    if (root->kind == LOGQL_NUMBER && ev->o->instant) {
        out->type = LOGQL_RESULT_SCALAR;
        out->scalar = root->number;
        return 0;
    }
    ev->sorted = has_sort(root);
    code = lq_eval_vector(ev, root, &v, e);
    if (code == 0)
        code = make_result(ev, &v, out, e);
    vec_release(&v);
    return code;
}

int logql_query(struct query *q, const struct logql_tree *t, const struct logql_opts *o, struct logql_result *out, struct err *e)
{
    struct lq_eval ev = {.q = q, .o = o, .threads = MAX(1, pool_threads(query_engine_pool(q->engine)))};
    int code;

    *out = (struct logql_result){0};
    if (o->plain)
        ev.threads = 1;
    if (!logql_is_log(t))
        code = eval_metric(&ev, t->root, out, e);
    else if (o->instant)
        code = err_set(e, ERR_INVALID,
                       "log queries are not supported as an instant query type, please change your query to a range query type");
    else
        code = lq_eval_log(&ev, &t->root->log, out, e);
    out->warnings = ev.warnings;
    out->nwarnings = ev.nwarnings;
    out->stats = ev.stats;
    return code;
}
