/*
 * foreign.c - logs(...) in PromQL: a metric query of ours, at the steps of theirs.
 */
#include "query/promql/foreign.h"

#include "query/logql/logql.h"

static int check(void *arg, struct str text, struct err *e)
{
    struct arena a = {0};
    struct logql_tree t;
    int code = logql_parse(&a, text, &t, e);

    (void)arg;
    if (code == 0 && logql_is_log(&t))
        code = err_set(e, ERR_INVALID, "a metric query is wanted, such as count_over_time({...}[5m])");
    if (code == 0)
        code = logql_check(&t, e);
    logql_release(&t);
    arena_release(&a);
    return code;
}

/* A label that is there and empty is to PromQL a label that is not there. */
static struct labels without_empty(struct arena *a, const struct labels *ls)
{
    struct labels out = {.v = arena_alloc(a, (ls->n + (size_t)1) * sizeof *out.v)};

    for (uint32_t i = 0; i < ls->n; i++)
        if (ls->v[i].value.n)
            out.v[out.n++] = ls->v[i];
    return out;
}

static int give_rows(struct query *q, const struct logql_result *r, const struct promql_foreign_call *call, struct err *e)
{
    for (uint32_t i = 0; i < r->nseries; i++) {
        struct labels ls = without_empty(&q->arena, &r->series[i].labels);

        if (call->row(call->arg, &ls, r->series[i].v, r->series[i].has, e) < 0)
            return e->code;
    }
    return 0;
}

static int run(void *arg, struct query *q, struct str text, const struct promql_foreign_call *call, struct err *e)
{
    struct logql_opts o = {
        .ls = arg,
        .start_ns = call->start_ms * 1000000,
        .end_ns = (call->start_ms + (int64_t)(call->nsteps ? call->nsteps - 1 : 0) * call->step_ms) * 1000000,
        .step_ns = call->step_ms * 1000000,
    };
    struct logql_result r;
    struct logql_tree t;
    int code;

    if (call->nsteps == 0)
        return 0;
    code = logql_parse(&q->arena, text, &t, e);
    if (code < 0) {
        struct err stop; /* patterns of a query that must stop are not compiled: then that is the reason to tell */

        if (query_check(q, "logs()", &stop) < 0)
            *e = stop;
        return e->code;
    }
    code = logql_query(q, &t, &o, &r, e);
    logql_release(&t);
    return code < 0 ? code : give_rows(q, &r, call, e);
}

void logql_register_foreign(struct logstore *ls)
{
    struct promql_foreign_source s = {check, run, ls};

    promql_foreign_register(PROMQL_LOGS, ls ? &s : NULL);
}
