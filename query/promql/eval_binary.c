/*
 * eval_binary.c - operators: vector with scalar here, sets here, vector with vector in eval_match.c.
 */
#include "query/promql/eval.h"
#include "query/promql/match.h"

#include <stdlib.h>

enum vector_op eval_op(enum promql_op op)
{
    static const uint8_t map[] = {
        [OP_ADD] = VOP_ADD,
        [OP_SUB] = VOP_SUB,
        [OP_MUL] = VOP_MUL,
        [OP_DIV] = VOP_DIV,
        [OP_MOD] = VOP_MOD,
        [OP_POW] = VOP_POW,
        [OP_ATAN2] = VOP_ATAN2,
        [OP_EQ] = VOP_EQ,
        [OP_NE] = VOP_NE,
        [OP_LT] = VOP_LT,
        [OP_LE] = VOP_LE,
        [OP_GT] = VOP_GT,
        [OP_GE] = VOP_GE,
        [OP_TRIM_UPPER] = VOP_TRIM_UPPER,
        [OP_TRIM_LOWER] = VOP_TRIM_LOWER,
    };

    return (enum vector_op)map[op];
}

static int with_scalar(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    bool swap = n->binary.l->type == PQ_SCALAR;
    struct stage st = {
        .kind = STAGE_BINOP, .node = n, .op = {eval_op(n->binary.op), n->binary.return_bool}, .swap = swap};
    struct query_pace pace = {ev->q, promql_op_text(n->binary.op), 0};
    double *s;

    if (eval_scalar(ev, swap ? n->binary.l : n->binary.r, g, &s, e) < 0 ||
        eval_vector(ev, swap ? n->binary.r : n->binary.l, g, out, e) < 0)
        return e->code;
    st.param[0] = s;
    for (uint32_t i = 0; i < out->n; i++) {
        struct elem_notes notes = {0};

        if (stages_apply(&st, &out->rows[i], g->n, &out->pile, &notes, e) < 0)
            return e->code;
        eval_remark(ev, n, remark_of_elem(&notes), STR_NULL);
        out->rows[i].drop_name |= n->binary.return_bool || n->binary.op <= OP_ATAN2;
        if (query_pace(&pace, g->n, e) < 0)
            return e->code;
    }
    return vec_compact_many(out, e);
}

/* --- sets ------------------------------------------------------------------------------------- */

/* seen[key * nsteps + step]: an element with this key stands there. */
static int mark_presence(struct eval *ev, const struct vec *v, const uint32_t *keys, uint32_t nkeys, uint8_t **seen,
                         struct err *e)
{
    struct query_pace pace = {ev->q, "set operator", 0};
    size_t bytes = (size_t)nkeys * v->nsteps + 1;

    *seen = NULL;
    if (query_charge(ev->q, (int64_t)bytes, "set operator", e) < 0)
        return e->code;
    *seen = x_zalloc(bytes);
    for (uint32_t i = 0; i < v->n; i++) {
        for (uint32_t s = 0; s < v->nsteps; s++)
            (*seen)[(size_t)keys[i] * v->nsteps + s] |= v->rows[i].has[s];
        if (query_pace(&pace, v->nsteps, e) < 0)
            return e->code;
    }
    return 0;
}

/* Drops what has (or, for `and`, has no) partner. */
static int filter(struct vec *v, const uint32_t *keys, const uint8_t *seen, bool keep_matched, struct err *e)
{
    struct query_pace pace = {v->pile.q, "set operator", 0};

    for (uint32_t i = 0; i < v->n; i++) {
        const uint8_t *m = seen + (size_t)keys[i] * v->nsteps;
        uint8_t *has = v->rows[i].has;

        for (uint32_t s = 0; s < v->nsteps; s++)
            has[s] = (m[s] != 0) == keep_matched ? has[s] : ROW_NONE;
        if (query_pace(&pace, v->nsteps, e) < 0)
            return e->code;
    }
    return 0;
}

static int set_operator(struct eval *ev, const struct node *n, struct vec *l, struct vec *r, struct vec *out,
                        struct err *e)
{
    struct match_keys k;
    uint8_t *seen = NULL;
    bool is_or = n->binary.op == OP_OR;
    int code;

    code = match_keys_make(&k, n->binary.matching, l, r, e);
    if (code == 0)
        code = mark_presence(ev, is_or ? l : r, is_or ? k.left : k.right, k.nkeys, &seen, e);
    if (code == 0)
        code = is_or ? filter(r, k.right, seen, false, e) : filter(l, k.left, seen, n->binary.op == OP_AND, e);
    if (code == 0) {
        vec_join(out, l);
        if (is_or)
            vec_join(out, r);
        code = vec_compact_many(out, e);
        if (code == 0 && is_or)
            code = vec_unify(out, e);
    }
    if (seen)
        query_charge(ev->q, -(int64_t)((size_t)k.nkeys * out->nsteps + 1), "set operator", NULL);
    free(seen);
    match_keys_release(&k);
    return code;
}

int eval_binary(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct vec l, r;
    int code;

    if (n->binary.l->type == PQ_SCALAR || n->binary.r->type == PQ_SCALAR)
        return with_scalar(ev, n, g, out, e);
    vec_init(&r, ev->q, g->n);
    code = eval_vector(ev, n->binary.l, g, &l, e);
    if (code == 0)
        code = eval_vector(ev, n->binary.r, g, &r, e);
    if (code == 0)
        code = op_is_set(n->binary.op) ? set_operator(ev, n, &l, &r, out, e) : eval_match(ev, n, g, &l, &r, out, e);
    vec_release(&l);
    vec_release(&r);
    return code;
}
