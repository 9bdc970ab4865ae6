/*
 * fn_call.c - calls: the table of functions of whole vectors, functions of scalars, and elementwise ones over vectors
 * that are no chain.
 */
#include "query/promql/eval.h"
#include "query/promql/plan.h"

#include <math.h>

enum { WORK_A_VALUE = 4 };

static const struct vector_function table[] = {
    {"absent", fn_absent},
    {"absent_over_time", fn_absent_over_time},
    {"histogram_avg", fn_histogram_part},
    {"histogram_count", fn_histogram_part},
    {"histogram_fraction", fn_histogram_fraction},
    {"histogram_quantile", fn_histogram_quantile},
    {"histogram_quantiles", fn_histogram_quantiles},
    {"histogram_stddev", fn_histogram_part},
    {"histogram_stdvar", fn_histogram_part},
    {"histogram_sum", fn_histogram_part},
    {"info", fn_info},
    {"label_join", fn_label_join},
    {"label_replace", fn_label_replace},
    {"logs", fn_foreign},
    {"sort", fn_sort},
    {"sort_by_label", fn_sort_by_label},
    {"sort_by_label_desc", fn_sort_by_label},
    {"sort_desc", fn_sort},
    {"spans", fn_foreign},
    {"start_timestamp", fn_start_timestamp},
    {"timestamp", fn_timestamp},
    {"vector", fn_vector},
};

/* --- elementwise over any vector -------------------------------------------------------------- */

/* What dates are asked of when no argument is given. */
static int vector_of_time(const struct grid *g, struct vec *out, struct err *e)
{
    struct row *r = vec_add(out, "time", e);

    if (!r)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < g->n; i++)
        r->v[i] = (double)grid_time(g, i) / 1000;
    memset(r->has, ROW_FLOAT, g->n);
    return 0;
}

static int elementwise(struct eval *ev, const struct node *n, const struct elem_function *fn, const struct grid *g,
                       struct vec *out, struct err *e)
{
    struct query_pace pace = {ev->q, n->call.fn->name, 0};
    const double *param[2] = {0};

    for (uint32_t i = 1; i < n->call.nargs && i < 3; i++) {
        double *s;

        if (eval_scalar(ev, n->call.args[i], g, &s, e) < 0)
            return e->code;
        param[i - 1] = s;
    }
    if (n->call.nargs == 0 ? vector_of_time(g, out, e) < 0 : eval_vector(ev, n->call.args[0], g, out, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < out->n; i++) {
        elem_eval(fn, &out->rows[i], g->n, param);
        out->rows[i].drop_name = true;
        if (query_pace(&pace, g->n * WORK_A_VALUE, e) < 0)
            return e->code;
    }
    vec_compact(out);
    return 0;
}

int eval_call(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct str name = str_of(n->call.fn->name);
    const struct elem_function *elem = elem_function_find(name);
    const struct range_function *range = range_function_find(name);

    if (elem)
        return elementwise(ev, n, elem, g, out, e);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eqz(name, table[i].name))
            return table[i].run(ev, n, g, out, e);
    for (uint32_t i = 0; range && i < n->call.nargs; i++)
        if (n->call.args[i]->type == PQ_MATRIX)
            return eval_range_subquery(ev, n, plan_unwrap(n->call.args[i]), g, out, e);
    return err_set(e, ERR_EXEC, "unknown function with name \"%s\"", n->call.fn->name);
}

/* --- scalars ---------------------------------------------------------------------------------- */

/* The one float of a vector at each step; NaN where there is none or more. */
static int scalar_of_vector(struct eval *ev, const struct node *arg, const struct grid *g, double *out, struct err *e)
{
    struct query_pace pace = {ev->q, "scalar", 0};
    struct vec v;
    int code = eval_vector(ev, arg, g, &v, e);

    for (uint32_t s = 0; s < g->n && code == 0; s++) {
        uint32_t n = 0, i = 0;

        for (; i < v.n && n < 2; i++)
            if (v.rows[i].has[s] == ROW_FLOAT) {
                n++;
                out[s] = v.rows[i].v[s];
            }
        code = query_pace(&pace, i, e);
        if (n != 1)
            out[s] = NAN;
    }
    vec_release(&v);
    return code;
}

/* As Go's math.Max and math.Min. */
static double extreme(double a, double b, bool max)
{
    if (a == (max ? INFINITY : -INFINITY) || b == (max ? INFINITY : -INFINITY))
        return max ? INFINITY : -INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) == max ? b : a;
    return (a > b) == max ? a : b;
}

static int extreme_of(struct eval *ev, const struct node *n, const struct grid *g, bool max, double *out, struct err *e)
{
    double *a, *b;

    if (eval_scalar(ev, n->call.args[0], g, &a, e) < 0 || eval_scalar(ev, n->call.args[1], g, &b, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < g->n; i++)
        out[i] = extreme(a[i], b[i], max);
    return 0;
}

static int constant(const struct grid *g, double x, double *out)
{
    for (uint32_t i = 0; i < g->n; i++)
        out[i] = x;
    return 0;
}

int eval_scalar_call(struct eval *ev, const struct node *n, const struct grid *g, double **out, struct err *e)
{
    const struct promql_opts *o = ev->o;
    struct str name = str_of(n->call.fn->name);

    if (str_eqz(name, "time")) {
        for (uint32_t i = 0; i < g->n; i++)
            (*out)[i] = (double)grid_time(g, i) / 1000;
        return 0;
    }
    if (str_eqz(name, "scalar"))
        return scalar_of_vector(ev, n->call.args[0], g, *out, e);
    if (str_eqz(name, "pi"))
        return constant(g, M_PI, *out);
    if (str_eqz(name, "start"))
        return constant(g, (double)o->start_ms / 1000, *out);
    if (str_eqz(name, "end"))
        return constant(g, (double)o->end_ms / 1000, *out);
    if (str_eqz(name, "step"))
        return constant(g, o->instant ? 0 : (double)o->step_ms / 1000, *out);
    if (str_eqz(name, "range"))
        return constant(g, o->instant ? 0 : (double)(o->end_ms - o->start_ms) / 1000, *out);
    if (str_eqz(name, "max_of") || str_eqz(name, "min_of"))
        return extreme_of(ev, n, g, str_eqz(name, "max_of"), *out, e);
    return err_set(e, ERR_EXEC, "unknown function with name \"%s\"", n->call.fn->name);
}
