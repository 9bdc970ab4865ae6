/*
 * eval.c - evaluates a planned tree: entry, dispatch by type, and the result.
 *
 * (1) Everything that outlives the evaluation is copied into the query's arena by make_result; selects are closed
 *     after.
 * (2) Metric names that functions drop are only marked until then (delayed name removal), so `by (__name__)` and
 *     label functions see them.
 * (3) Recursion is as deep as the tree, which the parser bounds.
 */
#include "query/promql/eval.h"

#include "query/promql/plan.h"
#include "query/vector/histogram.h"
#include "query/vector/sort.h"

#include <assert.h>
#include <stdlib.h>

enum { DEPTH_MAX = 2000, LABELS_WORK = 256 };

/* --- scalars ---------------------------------------------------------------------------------- */

struct str eval_string(const struct node *n)
{
    while (n->kind == N_PAREN || n->kind == N_STEP_INVARIANT)
        n = n->child;
    return n->kind == N_STRING ? n->string : STR_NULL;
}

static int scalar_binary(struct eval *ev, const struct node *n, const struct grid *g, double *out, struct err *e)
{
    double *l, *r;

    if (eval_scalar(ev, n->binary.l, g, &l, e) < 0 || eval_scalar(ev, n->binary.r, g, &r, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < g->n; i++)
        out[i] = vop_floats(eval_op(n->binary.op), l[i], r[i]);
    return 0;
}

static int scalar_into(struct eval *ev, const struct node *n, const struct grid *g, double **out, struct err *e)
{
    double *x = *out;

    switch (n->kind) {
    case N_NUMBER:
        for (uint32_t i = 0; i < g->n; i++)
            x[i] = n->number.v;
        return 0;
    case N_PAREN:
        return scalar_into(ev, n->child, g, out, e);
    case N_STEP_INVARIANT: {
        struct grid one = {g->start, g->step, g->n ? 1 : 0};
        struct sample_counts *outer;
        int code = eval_samples_push(ev, one.n, &outer, e);

        if (code < 0)
            return code;
        code = scalar_into(ev, n->child, &one, out, e);
        if (outer)
            sample_counts_invariant(outer, ev->samples);
        ev->samples = outer;
        if (code < 0)
            return code;
        for (uint32_t i = 1; i < g->n; i++)
            (*out)[i] = (*out)[0];
        return 0;
    }
    case N_UNARY:
        if (scalar_into(ev, n->unary.expr, g, out, e) < 0)
            return e->code;
        for (uint32_t i = 0; i < g->n && n->unary.op == OP_SUB; i++)
            x[i] = -x[i];
        return 0;
    case N_BINARY:
        return scalar_binary(ev, n, g, x, e);
    case N_CALL:
        return eval_scalar_call(ev, n, g, out, e);
    default:
        return err_set(e, ERR_EXEC, "not a scalar expression");
    }
}

int eval_scalar(struct eval *ev, const struct node *n, const struct grid *g, double **out, struct err *e)
{
    size_t bytes = (g->n ? g->n : 1) * sizeof **out;
    struct cost_mark m;
    int code;

    if (query_charge(ev->q, (int64_t)bytes, "scalar", e) < 0)
        return e->code;
    *out = arena_alloc(ev->arena, bytes);
    if (++ev->depth > DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "expression is nested deeper than %d", DEPTH_MAX);
    if (n->cost)
        cost_begin(ev->q, &m);
    code = scalar_into(ev, n, g, out, e);
    if (n->cost)
        cost_end(ev->q, n, &m, g->n, 1);
    ev->depth--;
    return code;
}

/* --- vectors ---------------------------------------------------------------------------------- */

/* What was worked out for one step stands at all. */
static int broadcast(struct vec *one, uint32_t nsteps, struct vec *out, struct err *e)
{
    struct query_pace pace = {out->pile.q, "step invariant", 0};

    for (uint32_t i = 0; i < one->n; i++) {
        const struct row *from = &one->rows[i];
        struct row *r = vec_add(out, "step invariant", e);

        if (!r || (from->h && row_want_h(out, r, "step invariant", e) < 0))
            return ERR_LIMIT;
        r->labels = from->labels;
        r->drop_name = from->drop_name;
        memset(r->has, from->has[0], nsteps);
        for (uint32_t k = 0; k < nsteps; k++)
            r->v[k] = from->v[0];
        for (uint32_t k = 0; k < nsteps && from->h; k++)
            r->h[k] = from->h[0];
        if (query_pace(&pace, nsteps, e) < 0)
            return e->code;
    }
    return 0;
}

static int eval_invariant(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct grid one = {g->start, g->step, 1};
    struct sample_counts *outer;
    struct vec v;
    int code;

    if (g->n <= 1)
        return eval_vector(ev, n->child, g, out, e);
    vec_init(out, ev->q, g->n);
    if (eval_samples_push(ev, 1, &outer, e) < 0)
        return e->code;
    code = eval_vector(ev, n->child, &one, &v, e);
    if (outer)
        sample_counts_invariant(outer, ev->samples);
    ev->samples = outer;
    if (code == 0) {
        code = broadcast(&v, g->n, out, e);
        pile_join(&out->pile, &v.pile);
    }
    vec_release(&v);
    return code;
}

/* A scalar where a vector is asked for: one row without labels. */
static int vector_of_scalar(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    double *s;
    struct row *r;

    if (eval_scalar(ev, n, g, &s, e) < 0)
        return e->code;
    r = vec_add(out, "scalar", e);
    if (!r)
        return ERR_LIMIT;
    memcpy(r->v, s, g->n * sizeof *s);
    memset(r->has, ROW_FLOAT, g->n);
    return 0;
}

static int eval_negation(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct stage st = {.kind = STAGE_NEGATE, .node = n};
    struct query_pace pace = {ev->q, "-", 0};
    struct elem_notes notes = {0};
    int code = eval_vector(ev, n->unary.expr, g, out, e);

    for (uint32_t i = 0; i < out->n && code == 0 && n->unary.op == OP_SUB; i++) {
        code = stages_apply(&st, &out->rows[i], g->n, &out->pile, &notes, e);
        out->rows[i].drop_name = true;
        if (code == 0)
            code = query_pace(&pace, g->n, e);
    }
    return code;
}

static int dispatch(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    switch (n->kind) {
    case N_PAREN:
        return eval_vector(ev, n->child, g, out, e);
    case N_STEP_INVARIANT:
        return eval_invariant(ev, n, g, out, e);
    case N_UNARY:
        return eval_negation(ev, n, g, out, e);
    case N_BINARY:
        return eval_binary(ev, n, g, out, e);
    case N_CALL:
        return eval_call(ev, n, g, out, e);
    case N_AGGREGATE:
        return eval_aggregate(ev, n, g, out, e);
    default:
        return err_set(e, ERR_EXEC, "not an instant vector expression");
    }
}

static int vector_of(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct source src;
    int code;

    vec_init(out, ev->q, g->n);
    if (query_check(ev->q, "expression evaluation", e) < 0)
        return e->code;
    if (g->n == 0)
        return 0;
    if (n->type == PQ_SCALAR)
        return vector_of_scalar(ev, n, g, out, e);
    if (++ev->depth > DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "expression is nested deeper than %d", DEPTH_MAX);
    code = eval_chain(ev, n, g, &src, e);
    if (code == 0)
        code = source_collect(ev, &src, out, e);
    else if (code > 0)
        code = dispatch(ev, n, g, out, e);
    ev->depth--;
    return code;
}

int eval_vector(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct cost_mark m;
    int code;

    if (!n->cost)
        return vector_of(ev, n, g, out, e);
    cost_begin(ev->q, &m);
    code = vector_of(ev, n, g, out, e);
    cost_end(ev->q, n, &m, g->n, code == 0 ? out->n : 0);
    return code;
}

/* --- the result ------------------------------------------------------------------------------- */

int eval_drop_names(struct vec *v, struct err *e)
{
    struct query_pace pace = {v->pile.q, "names", 0};
    bool any = false;

    for (uint32_t i = 0; i < v->n; i++) {
        struct row *r = &v->rows[i];

        if (!r->drop_name)
            continue;
        if (query_pace(&pace, LABELS_WORK, e) < 0)
            return e->code;
        r->labels = labels_drop_name(&v->pile.a, &r->labels);
        r->drop_name = false;
        any = true;
    }
    return any ? vec_unify(v, e) : 0;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct promql_series *)a)->labels, &((const struct promql_series *)b)->labels);
}

static uint32_t count_points(const struct row *r, uint32_t nsteps)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < nsteps; i++)
        n += r->has[i] != ROW_NONE;
    return n;
}

/* Histograms may lie in a select, which is closed before long; floats lie in the row. */
static void make_points(struct promql_series *s, const struct row *r, int64_t start, int64_t step, uint32_t nsteps,
                        struct arena *a)
{
    uint32_t k = 0;

    s->points = arena_alloc(a, s->npoints * sizeof *s->points);
    for (uint32_t i = 0; i < nsteps; i++)
        if (r->has[i] != ROW_NONE)
            s->points[k++] = (struct promql_point){start + (int64_t)i * step, r->has[i] == ROW_HIST ? 0 : r->v[i],
                                                   r->has[i] == ROW_HIST ? hist_dup(a, r->h[i]) : NULL};
}

void promql_unfold(const struct promql_result *r, struct promql_series *s, struct arena *a)
{
    if (s->row)
        make_points(s, s->row, r->t, r->step_ms, r->nsteps, a);
}

static bool is_folded(const struct eval *ev)
{
    return ev->o->folded && !ev->o->instant;
}

static void put_series(struct eval *ev, const struct row *r, const struct grid *g, struct promql_result *out)
{
    uint32_t n = count_points(r, g->n);
    struct promql_series *s;

    if (!n)
        return;
    s = &out->series[out->nseries++];
    *s = (struct promql_series){.labels = labels_dup(ev->arena, &r->labels), .npoints = n};
    if (is_folded(ev) && !r->h)
        s->row = r;
    else
        make_points(s, r, g->start, g->step, g->n, ev->arena);
}

static uint64_t points_to_make(const struct eval *ev, const struct vec *v, uint64_t all)
{
    uint64_t n = 0;

    if (!is_folded(ev))
        return all;
    for (uint32_t i = 0; i < v->n; i++)
        if (v->rows[i].h)
            n += count_points(&v->rows[i], v->nsteps);
    return n;
}

static int make_result(struct eval *ev, struct vec *v, const struct grid *g, struct promql_result *out, struct err *e)
{
    struct query_pace pace = {ev->q, "result", 0};
    uint64_t points;

    if (eval_drop_names(v, e) < 0)
        return e->code;
    if (vec_points(v, &points, e) < 0 || query_samples(ev->q, 0, (int64_t)points, "result", e) < 0 ||
        query_charge(ev->q,
                     (int64_t)(points_to_make(ev, v, points) * sizeof(struct promql_point) +
                               v->n * sizeof(struct promql_series)),
                     "result", e) < 0)
        return e->code;
    out->series = arena_alloc(ev->arena, (v->n + (size_t)1) * sizeof *out->series);
    for (uint32_t i = 0; i < v->n; i++) {
        put_series(ev, &v->rows[i], g, out);
        if (query_pace(&pace, LABELS_WORK + g->n, e) < 0)
            return e->code;
    }
    if (ev->o->instant)
        return 0;
    return sort_items(out->series, out->nseries, sizeof *out->series, by_labels, ev->q, "result", e);
}

/* --- books --------------------------------------------------------------------------------------- */

static int start_counting(struct eval *ev, uint32_t nsteps, struct err *e)
{
    if (query_charge(ev->q, (int64_t)nsteps * 2 * (int64_t)sizeof(uint64_t), "stats", e) < 0)
        return e->code;
    ev->samples = sample_counts_new(ev->arena, nsteps);
    return 0;
}

int eval_samples_push(struct eval *ev, uint32_t nsteps, struct sample_counts **outer, struct err *e)
{
    *outer = ev->samples;
    return ev->samples ? start_counting(ev, nsteps, e) : 0;
}

static void tell_counts(const struct sample_counts *c, struct promql_result *out)
{
    if (!c)
        return;
    out->samples = c->total;
    out->samples_read = c->read;
    out->samples_per_step = c->at;
    out->samples_read_per_step = c->read_at;
}

/* --- entry ------------------------------------------------------------------------------------ */

static void release_rows(void *arg)
{
    vec_release(arg);
}

/* For as long as the query lives: a folded result points there. */
static void keep_rows(struct eval *ev, const struct vec *v)
{
    struct vec *kept = arena_new(ev->arena, struct vec);

    *kept = *v;
    query_defer(ev->q, release_rows, kept);
}

static int eval_root(struct eval *ev, const struct node *n, const struct grid *g, struct promql_result *out,
                     struct err *e)
{
    struct vec v;
    double *s;
    int code;

    out->t = g->start;
    if (n->type == PQ_STRING) {
        out->type = PQ_STRING;
        out->string = arena_dup(ev->arena, eval_string(n));
        return ev->o->instant
                   ? 0
                   : err_set(e, ERR_INVALID,
                             "invalid expression type \"string\" for range query, must be Scalar or instant Vector");
    }
    if (n->type == PQ_MATRIX) {
        out->type = PQ_MATRIX;
        return ev->o->instant
                   ? eval_matrix(ev, n, g->start, out, e)
                   : err_set(
                         e, ERR_INVALID,
                         "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector");
    }
    if (n->type == PQ_SCALAR && ev->o->instant) {
        out->type = PQ_SCALAR;
        code = eval_scalar(ev, n, g, &s, e);
        out->scalar = code == 0 ? s[0] : 0;
        return code;
    }
    out->type = ev->o->instant ? PQ_VECTOR : PQ_MATRIX;
    code = eval_vector(ev, n, g, &v, e);
    if (code == 0)
        code = make_result(ev, &v, g, out, e);
    if (code == 0 && is_folded(ev))
        keep_rows(ev, &v);
    else
        vec_release(&v);
    return code;
}

static int check_times(const struct promql_opts *o, struct grid *g, struct err *e)
{
    if (o->instant) {
        *g = (struct grid){o->start_ms, 0, 1};
        return 0;
    }
    if (o->step_ms <= 0)
        return err_set(e, ERR_INVALID,
                       "zero or negative query resolution step widths are not accepted. Try a positive integer");
    if (o->end_ms < o->start_ms)
        return err_set(e, ERR_INVALID, "end timestamp must not be before start time");
    if ((uint64_t)(o->end_ms - o->start_ms) / (uint64_t)o->step_ms >= 100000000)
        return err_set(e, ERR_LIMIT, "query asks for more than 100000000 steps");
    *g = (struct grid){o->start_ms, o->step_ms, (uint32_t)((o->end_ms - o->start_ms) / o->step_ms) + 1};
    return 0;
}

static void close_selects(struct eval *ev)
{
    for (uint32_t i = 0; i < ev->nselects; i++)
        tsdb_select_close(ev->selects[i]);
    free(ev->selects);
}

int promql_eval(struct query *q, const struct node *expr, struct str text, const struct promql_opts *o,
                struct promql_result *out, struct err *e)
{
    const struct query_engine_opts *eo = query_engine_opts_of(q->engine);
    struct eval ev = {
        .q = q,
        .o = o,
        .text = text,
        .arena = &q->arena,
        .notes = {.arena = &q->arena},
        .lookback = o->lookback_ms > 0 ? o->lookback_ms : eo->lookback_ms,
        .default_step = eo->default_step_ms,
        .use_st = o->use_start_timestamps,
        .threads = MAX(1, pool_threads(query_engine_pool(q->engine))),
    };
    struct plan_times times = {o->start_ms, o->end_ms, o->instant ? 0 : o->step_ms, o->instant, o->explain};
    struct node *tree = NULL;
    struct grid g;
    int code;

    *out = (struct promql_result){0};
    code = check_times(o, &g, e);
    if (code == 0)
        code = plan_make(&q->arena, expr, &times, &tree, e);
    if (code == 0 && o->stats)
        code = start_counting(&ev, g.n, e);
    if (code == 0)
        code = eval_root(&ev, tree, &g, out, e);
    tell_counts(ev.samples, out);
    out->plan = o->explain ? tree : NULL;
    close_selects(&ev);
    notes_texts(&ev.notes, text, false, &out->warnings, &out->nwarnings);
    notes_texts(&ev.notes, text, true, &out->infos, &out->ninfos);
    out->nsteps = g.n;
    out->step_ms = g.step;
    return code;
}

int promql_run(struct query *q, const struct promql_opts *o, struct promql_result *out, struct err *e)
{
    struct node *tree;
    int code = promql_parse_query(q, &tree, e);

    if (code < 0)
        return code;
    code = promql_eval(q, tree, q->text, o, out, e);
    promql_release(tree);
    return code;
}
