/*
 * eval_binary.c - operators between vectors, and between a vector and a number.
 *
 * Rows find each other by a key made of the labels that count; the rules are then applied step by step, as upstream does,
 * since what stands at a step decides what is ambiguous there.
 *
 * (1) The order of the left rows is kept: sort(...) + 1 is still sorted.
 */
#include "query/logql/eval.h"

#include <stdlib.h>

/* --- with a number ---------------------------------------------------------------------------- */

/* A comparison without bool keeps the vector's value, or nothing. False: nothing. */
static bool combine(const struct logql_expr *n, double l, double r, double keep, double *out)
{
    *out = logql_fold(n->binary.op, l, r);
    if (!logql_binop_compares(n->binary.op) || n->binary.return_bool)
        return true;
    if (*out == 0)
        return false;
    *out = keep;
    return true;
}

static void with_number(const struct logql_expr *n, struct vec *v, double number, bool number_left)
{
    for (uint32_t i = 0; i < v->n; i++) {
        struct row *r = &v->rows[i];

        for (uint32_t s = 0; s < v->nsteps; s++)
            if (r->has[s])
                r->has[s] = combine(n, number_left ? number : r->v[s], number_left ? r->v[s] : number, r->v[s], &r->v[s]) ? ROW_FLOAT
                                                                                                                        : ROW_NONE;
    }
    vec_compact(v);
}

/* --- keys ------------------------------------------------------------------------------------- */

struct keys {
    struct map map;
    struct arena arena;
    struct buf text;
    uint32_t n;
};

static bool listed(const struct logql_matching *m, struct str name)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (str_eq(m->names[i], name))
            return true;
    return false;
}

static uint32_t key_of(struct keys *k, const struct logql_matching *m, const struct labels *ls)
{
    void *at;

    buf_reset(&k->text);
    for (uint32_t i = 0; i < ls->n; i++) {
        if (listed(m, ls->v[i].name) != m->on)
            continue;
        buf_put_varint(&k->text, ls->v[i].name.n);
        buf_puts(&k->text, ls->v[i].name);
        buf_put_varint(&k->text, ls->v[i].value.n);
        buf_puts(&k->text, ls->v[i].value);
    }
    at = map_get(&k->map, buf_str(&k->text));
    if (at)
        return (uint32_t)((uintptr_t)at - 1);
    *map_put(&k->map, arena_dup(&k->arena, buf_str(&k->text)), NULL) = (void *)(uintptr_t)(k->n + 1);
    return k->n++;
}

static uint32_t *keys_of(struct keys *k, const struct logql_matching *m, const struct vec *v)
{
    uint32_t *out = x_alloc((v->n + (size_t)1) * sizeof *out);

    for (uint32_t i = 0; i < v->n; i++)
        out[i] = key_of(k, m, &v->rows[i].labels);
    return out;
}

static void keys_release(struct keys *k)
{
    map_release(&k->map);
    arena_release(&k->arena);
    buf_release(&k->text);
}

/* --- sets ------------------------------------------------------------------------------------- */

/* Keeps of v what has (wanted) or has not a partner among seen. */
static void keep_where(struct vec *v, const uint32_t *key, uint32_t step, const uint8_t *seen, bool wanted)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->rows[i].has[step] && (seen[key[i]] != 0) != wanted)
            v->rows[i].has[step] = ROW_NONE;
}

static void mark(const struct vec *v, const uint32_t *key, uint32_t step, uint8_t *seen)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->rows[i].has[step])
            seen[key[i]] = 1;
}

static int sets(struct lq_eval *ev, const struct logql_expr *n, struct vec *l, struct vec *r, struct vec *out, struct err *e)
{
    struct keys k = {0};
    uint32_t *lk = keys_of(&k, &n->binary.matching, l), *rk = keys_of(&k, &n->binary.matching, r);
    uint8_t *seen = x_alloc(k.n + (size_t)1);
    int code = 0;

    for (uint32_t s = 0; s < ev->grid.n && code == 0; s++) {
        memset(seen, 0, k.n);
        if (n->binary.op == BINOP_OR) {
            mark(l, lk, s, seen);
            keep_where(r, rk, s, seen, false);
        } else {
            mark(r, rk, s, seen);
            keep_where(l, lk, s, seen, n->binary.op == BINOP_AND);
        }
        code = query_check(ev->q, logql_binop_text(n->binary.op), e);
    }
    vec_join(out, l);
    if (n->binary.op == BINOP_OR)
        vec_join(out, r);
    vec_compact(out);
    free(lk);
    free(rk);
    free(seen);
    keys_release(&k);
    /* A series may stand on the left at one step and on the right at another. */
    return code < 0 || n->binary.op != BINOP_OR ? code : vec_unify(out, e);
}

/* --- vector with vector ----------------------------------------------------------------------- */

struct matching {
    struct lq_eval *ev;
    const struct logql_expr *n;
    struct vec *many, *one, *out;
    uint32_t *many_key, *one_key;
    bool swapped; /* many is the right operand */
    uint32_t *partner; /* by key: row of the one side at this step, + 1 */
    uint32_t *taken;   /* by key: a row of the many side that found it, + 1 */
    uint32_t **rows;   /* by row of many: rows of out (+ 1) by row of one; made when needed */
    struct err *e;
};

static struct labels result_labels(const struct matching *x, const struct labels *many, const struct labels *one)
{
    const struct logql_matching *m = &x->n->binary.matching;
    struct arena *a = &x->out->pile.a;
    struct labels ls = *many;

    if (m->present && m->card == LOGQL_ONE_TO_ONE)
        ls = labels_pick(a, &ls, m->names, m->n, m->on, false);
    for (uint32_t i = 0; i < m->ninclude; i++)
        ls = labels_with(a, &ls, m->include[i], labels_get(one, m->include[i]));
    return ls;
}

/* The row that a pair of rows fills. */
static struct row *row_of(struct matching *x, uint32_t many, uint32_t one)
{
    struct row *r;

    if (!x->rows[many]) {
        x->rows[many] = pile_alloc(&x->out->pile, x->one->n * sizeof **x->rows, "binary operator", x->e);
        if (!x->rows[many])
            return NULL;
        memset(x->rows[many], 0, x->one->n * sizeof **x->rows);
    }
    if (x->rows[many][one])
        return &x->out->rows[x->rows[many][one] - 1];
    r = vec_add(x->out, "binary operator", x->e);
    if (!r)
        return NULL;
    r->labels = result_labels(x, &x->many->rows[many].labels, &x->one->rows[one].labels);
    x->rows[many][one] = x->out->n;
    return pile_settle(&x->out->pile, "binary operator", x->e) < 0 ? NULL : r;
}

static int find_partners(struct matching *x, uint32_t step)
{
    for (uint32_t i = 0; i < x->one->n; i++) {
        uint32_t *p = &x->partner[x->one_key[i]];

        if (!x->one->rows[i].has[step])
            continue;
        if (*p)
            return err_set(x->e, ERR_EXEC,
                           "found duplicate series on the %s hand-side;many-to-many matching not allowed: matching labels must be unique "
                           "on one side",
                           x->swapped ? "left" : "right");
        *p = i + 1;
    }
    return 0;
}

static int match_step(struct matching *x, uint32_t step)
{
    bool one_to_one = x->n->binary.matching.card == LOGQL_ONE_TO_ONE;

    if (find_partners(x, step) < 0)
        return x->e->code;
    for (uint32_t i = 0; i < x->many->n; i++) {
        uint32_t key = x->many_key[i], one = x->partner[key];
        double m = x->many->rows[i].v[step], o, v;
        struct row *r;

        if (!x->many->rows[i].has[step] || !one)
            continue;
        if (one_to_one && x->taken[key])
            return err_set(x->e, ERR_EXEC, "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
        x->taken[key] = i + 1;
        o = x->one->rows[one - 1].v[step];
        if (!combine(x->n, x->swapped ? o : m, x->swapped ? m : o, x->swapped ? o : m, &v))
            continue;
        r = row_of(x, i, one - 1);
        if (!r)
            return x->e->code;
        r->v[step] = v;
        r->has[step] = ROW_FLOAT;
    }
    return 0;
}

int lq_eval_match(struct lq_eval *ev, const struct logql_expr *n, struct vec *l, struct vec *r, struct vec *out, struct err *e)
{
    struct matching x = {.ev = ev, .n = n, .out = out, .swapped = n->binary.matching.card == LOGQL_ONE_TO_MANY, .e = e};
    struct keys k = {0};
    int code = 0;

    x.many = x.swapped ? r : l;
    x.one = x.swapped ? l : r;
    x.many_key = keys_of(&k, &n->binary.matching, x.many);
    x.one_key = keys_of(&k, &n->binary.matching, x.one);
    x.partner = x_alloc((k.n + (size_t)1) * sizeof *x.partner);
    x.taken = x_alloc((k.n + (size_t)1) * sizeof *x.taken);
    x.rows = x_zalloc((x.many->n + (size_t)1) * sizeof *x.rows);
    for (uint32_t s = 0; s < ev->grid.n && code == 0; s++) {
        memset(x.partner, 0, k.n * sizeof *x.partner);
        memset(x.taken, 0, k.n * sizeof *x.taken);
        code = match_step(&x, s);
        if (code == 0)
            code = query_check(ev->q, "binary operator", e);
    }
    pile_join(&out->pile, &l->pile);
    pile_join(&out->pile, &r->pile);
    free(x.many_key);
    free(x.one_key);
    free(x.partner);
    free(x.taken);
    free(x.rows);
    keys_release(&k);
    if (code == 0 && n->binary.matching.card != LOGQL_ONE_TO_ONE)
        code = vec_unify_or(out, "multiple matches for labels: grouping labels must ensure unique matches", e);
    return code < 0 || n->binary.matching.card != LOGQL_ONE_TO_ONE ? code : vec_unify(out, e);
}

/* --- the whole -------------------------------------------------------------------------------- */

int lq_eval_binary(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e)
{
    const struct logql_expr *ln = n->binary.l, *rn = n->binary.r;
    struct vec l, r;
    int code;

    if (ln->kind == LOGQL_NUMBER || rn->kind == LOGQL_NUMBER) {
        bool left = ln->kind == LOGQL_NUMBER;

        code = lq_eval_vector(ev, left ? rn : ln, out, e);
        if (code == 0)
            with_number(n, out, left ? ln->number : rn->number, left);
        return code;
    }
    vec_init(out, ev->q, ev->grid.n);
    vec_init(&r, ev->q, ev->grid.n);
    code = lq_eval_vector(ev, ln, &l, e);
    if (code == 0)
        code = lq_eval_vector(ev, rn, &r, e);
    if (code == 0)
        code = logql_binop_is_set(n->binary.op) ? sets(ev, n, &l, &r, out, e) : lq_eval_match(ev, n, &l, &r, out, e);
    vec_release(&l);
    vec_release(&r);
    return code;
}
