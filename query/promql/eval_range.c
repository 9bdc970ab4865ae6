/*
 * eval_range.c - functions of range vectors: over selectors as sources, over subqueries row by row; and bare range
 * vectors.
 */
#include "query/promql/eval.h"
#include "query/promql/plan.h"
#include "query/vector/histogram.h"
#include "query/vector/plain.h"
#include "query/vector/sort.h"

#include <stdlib.h>

/* --- the call --------------------------------------------------------------------------------- */

/* Names of the functions that may stand on such a range, for the sentence. */
static int not_extended(const struct node *call, const struct node *sel, struct err *e)
{
    return err_set(e, ERR_EXEC, "%s modifier can only be used with: %s - not with %s",
                   sel->selector.anchored ? "anchored" : "smoothed",
                   sel->selector.anchored ? "changes, delta, increase, rate, resets" : "delta, increase, rate",
                   call->call.fn->name);
}

/* Scalar arguments, in order; which of them is a quantile. */
static int scalar_args(struct eval *ev, const struct node *call, const struct grid *g, struct source *src,
                       struct err *e)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < call->call.nargs; i++) {
        double *s;

        if (call->call.args[i]->type != PQ_SCALAR || n == 2)
            continue;
        if (eval_scalar(ev, call->call.args[i], g, &s, e) < 0)
            return e->code;
        src->param[n++] = s;
        if (strcmp(call->call.fn->name, "quantile_over_time") == 0)
            src->quantile = call->call.args[i];
    }
    return 0;
}

static const struct node *range_of(const struct node *call)
{
    for (uint32_t i = 0; i < call->call.nargs; i++)
        if (call->call.args[i]->type == PQ_MATRIX)
            return plan_unwrap(call->call.args[i]);
    return NULL;
}

int eval_range_source(struct eval *ev, const struct node *call, const struct grid *g, struct source *src, struct err *e)
{
    const struct node *m = range_of(call), *sel = m->matrix.selector;
    const struct range_function *fn = range_function_find(str_of(call->call.fn->name));

    sel = plan_unwrap(sel);
    if (sel->selector.anchored && !(fn->flags & RANGE_ANCHORED))
        return not_extended(call, sel, e);
    if (sel->selector.smoothed && !(fn->flags & RANGE_SMOOTHED))
        return not_extended(call, sel, e);
    src->kind = SOURCE_RANGE;
    src->selector = sel;
    src->range = m;
    src->call = call;
    src->fn = fn;
    src->grid = *g;
    src->steps = eval_steps(g, &sel->selector.when, m->matrix.range_ms);
    src->where = fn->name;
    src->drop_name = !(fn->flags & RANGE_KEEPS_NAME);
    return scalar_args(ev, call, g, src, e);
}

/* --- subqueries ------------------------------------------------------------------------------- */

/* The grid of a subquery: multiples of its step inside all windows of st. */
static struct grid subquery_grid(const struct eval *ev, const struct node *sub, const struct steps *st)
{
    int64_t step = sub->subquery.step_ms ? sub->subquery.step_ms : ev->default_step;
    int64_t after = step_end(st, 0) - st->range, end = step_end(st, st->n - 1), first;

    /* The first multiple that is later than `after`. */
    first = (after >= 0 ? after / step : -((-after + step - 1) / step)) * step;
    if (first <= after)
        first += step;
    return (struct grid){first, step, first > end ? 0 : (uint32_t)((end - first) / step) + 1};
}

/* Memory for the samples of one inner row. */
struct inner {
    int64_t *t;
    double *v;
    const struct histogram **h;
    struct windows_mem {
        struct window_cache cache;
    } mem;
    struct range_scratch scratch;
};

/* What a store knew of resets was about the samples in a row, not about the few a subquery looks at. */
static const struct histogram *forget_hint(struct arena *a, const struct histogram *h)
{
    struct histogram *c;

    if (h->hint == HIST_GAUGE || h->hint == HIST_UNKNOWN)
        return h;
    c = arena_new(a, struct histogram);
    *c = *h;
    c->hint = HIST_UNKNOWN;
    return c;
}

static struct samples samples_of(const struct row *r, const struct grid *g, struct inner *in, struct arena *a)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n; i++) {
        if (r->has[i] == ROW_NONE)
            continue;
        in->t[n] = grid_time(g, i);
        in->v[n] = r->v[i];
        in->h[n++] = r->has[i] == ROW_HIST ? forget_hint(a, r->h[i]) : NULL;
    }
    return (struct samples){in->t, in->v, NULL, r->h ? in->h : NULL, n};
}

bool eval_must_stop(void *arg)
{
    return query_check(arg, "range function", NULL) < 0;
}

static void remark_row(struct eval *ev, const struct source *src, unsigned bits, const struct row *r)
{
    struct str metric = labels_get(&r->labels, STR(LABEL_NAME));
    struct str type = labels_get(&r->labels, STR("__type__"));

    if (bits & NOTE_POINTS) {
        bool counter = type.n ? str_eqz(type, "counter") || str_eqz(type, "histogram")
                              : !metric.n || str_ends(metric, STR("_total")) || str_ends(metric, STR("_sum")) ||
                                    str_ends(metric, STR("_count")) || str_ends(metric, STR("_bucket"));

        if (counter)
            bits &= ~(unsigned)NOTE_POINTS;
    }
    eval_remark(ev, src->range, bits, metric);
    if (bits & NOTE_BAD_QUANTILE)
        eval_quantile_warnings(ev, src->quantile, src->param[0], src->grid.n);
}

static int check_factors(const struct range_call *c, struct err *e)
{
    if (c->notes & NOTE_BAD_FACTOR)
        return err_set(e, ERR_EXEC, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", c->bad);
    if (c->notes & NOTE_BAD_TREND)
        return err_set(e, ERR_EXEC, "invalid trend factor. Expected: 0 < tf < 1, got: %f", c->bad);
    return 0;
}

static int range_row(struct eval *ev, struct source *src, const struct row *from, const struct grid *ig,
                     struct inner *in, struct vec *out, struct err *e)
{
    struct samples s = samples_of(from, ig, in, &out->pile.a);
    struct row *r;
    struct range_call c;
    uint32_t filled;
    bool made;

    if (s.n == 0)
        return 0;
    r = vec_add(out, src->where, e);
    if (!r || (from->h && row_want_h(out, r, src->where, e) < 0))
        return ERR_LIMIT;
    c = (struct range_call){.steps = &src->steps,
                            .param = {src->param[0], src->param[1]},
                            .scratch = &in->scratch,
                            .pile = &out->pile,
                            .must_stop = eval_must_stop,
                            .must_stop_arg = ev->q,
                            .s = s,
                            .v = r->v,
                            .has = r->has,
                            .h = r->h};
    c.w = window_cache_get(&in->mem.cache, 0, &src->steps, s.t, s.n, true, &made);
    if (ev->samples)
        sample_counts_windows(ev->samples, &s, c.w, false);
    if (src->fn->flags & RANGE_EXTRAPOLATES)
        rate_prepare(c.w, &src->steps, s.t, src->fn->flags & RANGE_PER_SECOND, src->fn->flags & RANGE_COUNTER);
    filled = range_eval(src->fn, &c);
    if (c.stopped && query_check(ev->q, src->where, e) < 0)
        return e->code;
    if (check_factors(&c, e) < 0)
        return e->code;
    if (filled && (src->fn->flags & RANGE_COUNTER) && (src->fn->flags & RANGE_EXTRAPOLATES) &&
        memchr(r->has, ROW_FLOAT, src->grid.n))
        c.notes |= NOTE_POINTS;
    if (c.notes)
        remark_row(ev, src, c.notes, from);
    r->labels = from->labels;
    r->drop_name = from->drop_name || src->drop_name;
    if (!filled)
        out->n--;
    return 0;
}

int eval_range_subquery(struct eval *ev, const struct node *call, const struct node *sub, const struct grid *g,
                        struct vec *out, struct err *e)
{
    struct source src = {
        .kind = SOURCE_RANGE, .fn = range_function_find(str_of(call->call.fn->name)), .range = sub, .grid = *g};
    struct sample_counts *outer;
    struct grid ig;
    struct inner in = {0};
    struct vec v;
    int code;

    src.steps = eval_steps(g, &sub->subquery.when, sub->subquery.range_ms);
    src.where = src.fn->name;
    src.drop_name = !(src.fn->flags & RANGE_KEEPS_NAME);
    if (scalar_args(ev, call, g, &src, e) < 0)
        return e->code;
    ig = subquery_grid(ev, sub, &src.steps);
    if (eval_samples_push(ev, ig.n, &outer, e) < 0)
        return e->code;
    code = eval_vector(ev, sub->subquery.expr, &ig, &v, e);
    if (outer)
        sample_counts_subquery(outer, ev->samples, ig.start, ig.step, src.steps.first, src.steps.every);
    ev->samples = outer;
    if (code == 0)
        code = vec_unify_nameless(&v, e);
    in.t = x_alloc((ig.n + (size_t)1) * sizeof *in.t);
    in.v = x_alloc((ig.n + (size_t)1) * sizeof *in.v);
    in.h = x_alloc((ig.n + (size_t)1) * sizeof *in.h);
    for (uint32_t i = 0; i < v.n && code == 0; i++) {
        code = query_check(ev->q, src.where, e);
        if (code == 0)
            code = range_row(ev, &src, &v.rows[i], &ig, &in, out, e);
    }
    free(in.t);
    free(in.v);
    free(in.h);
    window_cache_release(&in.mem.cache);
    range_scratch_release(&in.scratch);
    pile_join(&out->pile, &v.pile); /* labels and histograms of the inner rows go on */
    vec_release(&v);
    return code;
}

/* --- a bare range vector ---------------------------------------------------------------------- */

static struct promql_series *push_series(struct eval *ev, struct promql_result *out, uint32_t max)
{
    if (!out->series)
        out->series = arena_array(ev->arena, struct promql_series, max + 1);
    return &out->series[out->nseries++];
}

static int matrix_of_subquery(struct eval *ev, const struct node *sub, int64_t at, struct promql_result *out,
                              struct err *e)
{
    struct grid g = {at, 0, 1}, ig;
    struct steps st = eval_steps(&g, &sub->subquery.when, sub->subquery.range_ms);
    struct query_pace pace = {ev->q, "subquery", 0};
    struct sample_counts *outer;
    struct vec v;
    int code;

    ig = subquery_grid(ev, sub, &st);
    if (eval_samples_push(ev, ig.n, &outer, e) < 0)
        return e->code;
    code = eval_vector(ev, sub->subquery.expr, &ig, &v, e);
    if (outer)
        sample_counts_invariant(outer, ev->samples);
    ev->samples = outer;
    if (code == 0)
        code = eval_drop_names(&v, e);
    for (uint32_t i = 0; i < v.n && code == 0; i++) {
        const struct row *r = &v.rows[i];
        struct promql_series *s = push_series(ev, out, v.n);

        code = query_pace(&pace, ig.n + 256, e);
        if (code == 0)
            code = query_charge(ev->q, (int64_t)(ig.n * sizeof *s->points), "subquery", e);
        if (code < 0)
            break;
        s->labels = labels_dup(ev->arena, &r->labels);
        s->points = arena_array(ev->arena, struct promql_point, ig.n);
        for (uint32_t k = 0; k < ig.n; k++)
            if (r->has[k] != ROW_NONE)
                s->points[s->npoints++] = (struct promql_point){
                    grid_time(&ig, k), r->v[k], r->has[k] == ROW_HIST ? hist_dup(ev->arena, r->h[k]) : NULL};
        if (!s->npoints)
            out->nseries--;
    }
    vec_release(&v);
    return code;
}

static int copy_samples(struct eval *ev, const struct tsdb_samples *in, struct promql_series *s, struct err *e)
{
    if (query_charge(ev->q, (int64_t)(in->n * sizeof *s->points), "range vector", e) < 0 ||
        query_samples(ev->q, in->n, in->n, "range vector", e) < 0)
        return e->code;
    s->points = arena_array(ev->arena, struct promql_point, in->n);
    for (uint32_t i = 0; i < in->n; i++)
        if (in->h && in->h[i] && !hist_stale(in->h[i]))
            s->points[s->npoints++] = (struct promql_point){in->t[i], 0, hist_dup(ev->arena, in->h[i])};
        else if (!(in->h && in->h[i]) && !is_stale(in->v[i]))
            s->points[s->npoints++] = (struct promql_point){in->t[i], in->v[i], NULL};
    return 0;
}

static int matrix_part(struct eval *ev, struct tsdb_select *sel, uint32_t part, struct promql_result *out,
                       struct err *e)
{
    struct tsdb_cursor *c = NULL;
    struct tsdb_samples in = {0};
    int code = tsdb_cursor_open(sel, part, &c, e);

    while (code == 0 && (code = tsdb_cursor_next(c, &in, e)) == 0) {
        struct promql_series *s = push_series(ev, out, tsdb_select_series(sel));
        struct labels ls;

        code = query_check(ev->q, "range vector", e);
        if (code == 0)
            code = copy_samples(ev, &in, s, e);
        if (code == 0)
            code = tsdb_cursor_labels(c, ev->arena, &ls, e);
        if (code == 0)
            s->labels = labels_dup(ev->arena, &ls);
        if (ev->samples)
            sample_counts_points(ev->samples, s);
        if (!s->npoints)
            out->nseries--;
    }
    tsdb_cursor_close(c);
    return code < 0 ? code : 0;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct promql_series *)a)->labels, &((const struct promql_series *)b)->labels);
}

/* For those who ask what it cost. */
static void keep_books(const struct node *sel, const struct tsdb_select *select, const struct promql_result *out)
{
    uint64_t read, skipped;

    if (!sel->cost || !select)
        return;
    tsdb_select_blocks(select, &read, &skipped);
    sel->cost->blocks_read += read;
    sel->cost->blocks_skipped += skipped;
    sel->cost->chain_series = out->nseries;
    for (uint32_t i = 0; i < out->nseries; i++)
        sel->cost->samples += out->series[i].npoints;
}

int eval_matrix(struct eval *ev, const struct node *n, int64_t at, struct promql_result *out, struct err *e)
{
    struct cost_mark mark;
    const struct node *m = plan_unwrap(n), *sel;
    struct grid g = {at, 0, 1};
    struct tsdb_select *select = NULL;
    struct tsdb_select_opts o = {.parts_hint = 1, .want = TSDB_SAMPLES};
    struct steps st;
    int code;

    if (n->cost)
        cost_begin(ev->q, &mark);
    if (m->kind == N_SUBQUERY) {
        code = matrix_of_subquery(ev, m, at, out, e);
    } else {
        sel = plan_unwrap(m->matrix.selector);
        st = eval_steps(&g, &sel->selector.when, m->matrix.range_ms);
        o.matchers = sel->selector.matchers;
        o.nmatchers = sel->selector.nmatchers;
        o.mint = st.first - st.range + 1;
        o.maxt = st.first;
        o.limits = eval_limits(ev);
        o.no_index = vector_plain();
        o.rollup = ev->o->samples_only ? TSDB_ROLLUP_NONE : TSDB_ROLLUP_THIN;
        code = tsdb_select_open(ev->o->db, &o, &select, e);
        if (code == 0) {
            struct tsdb_rollup_used used;

            tsdb_select_rollup(select, &used);
            rollup_say(ev, sel, &used, false);
            if (sel->cost)
                sel->cost->reads |= used.reads;
            query_expect(ev->q, (uint64_t)tsdb_select_series(select) * QUERY_A_SERIES);
        }
        for (uint32_t i = 0; code == 0 && i < tsdb_select_parts(select); i++)
            code = matrix_part(ev, select, i, out, e);
        keep_books(sel, select, out);
        tsdb_select_close(select);
    }
    if (n->cost)
        cost_end(ev->q, n, &mark, 1, out->nseries);
    return code < 0 ? code : sort_items(out->series, out->nseries, sizeof *out->series, by_labels, ev->q, "range vector", e);
}
