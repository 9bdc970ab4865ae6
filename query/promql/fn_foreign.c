/* fn_foreign.c - logs(...) and spans(...): asks the store of another language, and takes its rows. */
#include "query/promql/eval.h"
#include "query/promql/foreign.h"

static const char *const stores[PROMQL_FOREIGN_N] = {[PROMQL_LOGS] = "a log store", [PROMQL_SPANS] = "a trace store"};

struct taking {
    struct vec *out;
    const char *where;
};

static int take_row(void *arg, const struct labels *labels, const double *v, const uint8_t *has, struct err *e)
{
    struct taking *x = arg;
    struct row *r = vec_add(x->out, x->where, e);

    if (!r)
        return ERR_LIMIT;
    r->labels = labels_dup(&x->out->pile.a, labels);
    for (uint32_t i = 0; i < x->out->nsteps; i++) {
        r->has[i] = has[i] ? ROW_FLOAT : ROW_NONE;
        r->v[i] = v[i];
    }
    return pile_settle(&x->out->pile, x->where, e);
}

int fn_foreign(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    enum promql_foreign lang = promql_foreign_find(str_of(call->call.fn->name));
    const struct promql_foreign_source *s = promql_foreign_source(lang);
    struct taking x = {out, call->call.fn->name};
    struct promql_foreign_call c = {g->start, g->step, g->n, take_row, &x};
    int code;

    if (!s)
        return err_set(e, ERR_EXEC, "%s(...) asks %s, and this server has none", x.where, stores[lang]);
    code = s->run(s->arg, ev->q, eval_string(call->call.args[0]), &c, e);
    if (code < 0)
        return err_ctx(e, "%s(...)", x.where);
    vec_compact(out);
    return vec_unify(out, e);
}
