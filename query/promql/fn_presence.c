/*
 * fn_presence.c - absent, absent_over_time, vector, timestamp, start_timestamp: functions that ask where something
 * stands.
 */
#include "query/promql/eval.h"
#include "query/promql/plan.h"

#include <stdlib.h>

static int presence_begin(struct reader *r, void *arg)
{
    (void)arg;
    r->sink = x_zalloc(r->src->grid.n + 1);
    return 0;
}

static int presence_row(struct reader *r, struct err *e)
{
    uint8_t *seen = r->sink;

    (void)e;
    for (uint32_t i = 0; i < r->src->grid.n; i++)
        seen[i] |= r->row.has[i];
    return 0;
}

static int presence_end(struct reader *r, void *arg, struct err *e)
{
    uint8_t *seen = arg, *part = r->sink;

    (void)e;
    for (uint32_t i = 0; i < r->src->grid.n; i++)
        seen[i] |= part[i];
    free(part);
    return 0;
}

static int source_presence(struct eval *ev, const struct source *src, uint8_t *seen, struct err *e)
{
    struct sink sink = {.arg = seen, .begin = presence_begin, .row = presence_row, .end = presence_end};

    return source_run(ev, src, &sink, e);
}

static int vec_presence(const struct vec *v, uint8_t *seen, struct err *e)
{
    struct query_pace pace = {v->pile.q, "absent", 0};

    for (uint32_t i = 0; i < v->n; i++) {
        for (uint32_t s = 0; s < v->nsteps; s++)
            seen[s] |= v->rows[i].has[s];
        if (query_pace(&pace, v->nsteps, e) < 0)
            return e->code;
    }
    return 0;
}

/* --- absent ----------------------------------------------------------------------------------- */

/* The labels that equality matchers name, each at most once and by no other matcher. */
static struct labels absent_labels(struct arena *a, const struct node *arg)
{
    const struct node *sel = plan_unwrap(arg);
    struct labels ls = {0};

    if (sel->kind == N_MATRIX)
        sel = plan_unwrap(sel->matrix.selector);
    if (sel->kind != N_SELECTOR)
        return ls;
    for (uint32_t i = 0; i < sel->selector.nmatchers; i++) {
        const struct matcher *m = &sel->selector.matchers[i];
        bool before = false;

        if (str_eqz(m->name, LABEL_NAME))
            continue;
        for (uint32_t k = 0; k < i; k++)
            before |= str_eq(sel->selector.matchers[k].name, m->name) && sel->selector.matchers[k].op == MATCH_EQ;
        ls = labels_with(a, &ls, m->name, m->op == MATCH_EQ && !before ? m->value : STR_NULL);
    }
    return ls;
}

static int absent_row(const struct node *arg, const uint8_t *seen, struct vec *out, struct err *e)
{
    struct row *r = vec_add(out, "absent", e);

    if (!r)
        return ERR_LIMIT;
    r->labels = absent_labels(&out->pile.a, arg);
    for (uint32_t i = 0; i < out->nsteps; i++) {
        r->has[i] = seen[i] ? ROW_NONE : ROW_FLOAT;
        r->v[i] = 1;
    }
    vec_compact(out);
    return 0;
}

int fn_absent(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    const struct node *arg = call->call.args[0];
    uint8_t *seen = x_zalloc(g->n + 1);
    struct source src;
    struct vec v;
    int code = eval_fused(ev, arg, g, &src, e);

    vec_init(&v, ev->q, g->n);
    if (code == 0) {
        code = source_presence(ev, &src, seen, e);
    } else if (code > 0) {
        code = eval_vector(ev, arg, g, &v, e);
        if (code == 0)
            code = vec_presence(&v, seen, e);
    }
    if (code == 0)
        code = absent_row(arg, seen, out, e);
    vec_release(&v);
    free(seen);
    return code;
}

int fn_absent_over_time(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    const struct node *arg = plan_unwrap(call->call.args[0]);
    uint8_t *seen = x_zalloc(g->n + 1);
    struct source src = {.grid = *g};
    struct vec v;
    int code;

    vec_init(&v, ev->q, g->n);
    if (arg->kind == N_MATRIX) {
        code = eval_range_source(ev, call, g, &src, e);
        if (code == 0)
            code = source_presence(ev, &src, seen, e);
    } else {
        code = eval_range_subquery(ev, call, arg, g, &v, e);
        if (code == 0)
            code = vec_presence(&v, seen, e);
    }
    if (code == 0)
        code = absent_row(arg, seen, out, e);
    vec_release(&v);
    free(seen);
    return code;
}

/* --- vector, timestamp ------------------------------------------------------------------------ */

int fn_vector(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct row *r;
    double *s;

    if (eval_scalar(ev, call->call.args[0], g, &s, e) < 0)
        return e->code;
    r = vec_add(out, "vector", e);
    if (!r)
        return ERR_LIMIT;
    memcpy(r->v, s, g->n * sizeof *s);
    memset(r->has, ROW_FLOAT, g->n);
    return 0;
}

/* Of an expression: the evaluation time. Plain selectors are chains. */
int fn_timestamp(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct query_pace pace = {ev->q, "timestamp", 0};

    if (eval_vector(ev, call->call.args[0], g, out, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < out->n; i++) {
        struct row *r = &out->rows[i];

        if (query_pace(&pace, g->n, e) < 0)
            return e->code;
        for (uint32_t s = 0; s < g->n; s++) {
            r->has[s] = r->has[s] ? ROW_FLOAT : ROW_NONE;
            r->v[s] = (double)grid_time(g, s) / 1000;
        }
        r->h = NULL;
        r->drop_name = true;
    }
    return 0;
}

/* Of an expression: start times are lost in it. */
int fn_start_timestamp(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    int code = eval_vector(ev, call->call.args[0], g, out, e);

    out->n = 0;
    return code;
}
