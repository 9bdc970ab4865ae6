/*
 * eval_match.c - arithmetic and comparison between two vectors.
 *
 * Rows are grouped by match key once, not per step. In a group the rows of the "one" side must not stand at the same
 * step; the rows of the other side may, when group_left or group_right says so. `many` is the left operand, or the
 * right one with group_right.
 *
 * (1) Errors of matching come before filters: a comparison that drops everything still fails on ambiguous rows.
 * (2) At a step where one of the vectors is empty nothing is matched, so nothing is ambiguous there, unless a fill
 *     is given.
 * (3) A fill stands exactly where a partner is missing: at steps where the group has rows of one side and none of
 *     the other.
 */
#include "query/promql/eval.h"
#include "query/promql/match.h"

#include <stdlib.h>

enum { WORK_A_ROW = 4, WORK_A_HISTOGRAM = 64, WORK_LABELS = 256 };

struct matcher_state {
    struct eval *ev;
    const struct node *n;
    const struct vector_matching *m;
    struct binop op;
    struct vec *many, *one, *out;
    const uint32_t *many_key, *one_key;
    bool swapped; /* many is the right operand */
    bool has_fill_one, has_fill_many;
    double fill_one, fill_many;
    uint32_t nsteps;
    uint32_t *many_first, *one_first; /* by key: first row + 1 */
    uint32_t *many_next, *one_next;   /* by row: next of the group + 1 */
    uint8_t *both;                    /* steps at which something is matched at all */
    uint8_t *missing;                 /* scratch: one per step */
    double *fill;                     /* scratch: a fill value at every step */
    struct elem_notes notes;
    struct query_pace pace;
    struct err *e;
};

static uint32_t *lists(const uint32_t *keys, uint32_t n, uint32_t nkeys, uint32_t **next)
{
    uint32_t *first = x_zalloc((nkeys + (size_t)1) * sizeof *first);

    *next = x_zalloc((n + (size_t)1) * sizeof **next);
    for (uint32_t i = n; i-- > 0;) {
        (*next)[i] = first[keys[i]];
        first[keys[i]] = i + 1;
    }
    return first;
}

static int any_present(struct matcher_state *x, const struct vec *v, uint8_t *any)
{
    for (uint32_t i = 0; i < v->n; i++) {
        for (uint32_t s = 0; s < v->nsteps; s++)
            any[s] |= v->rows[i].has[s] != 0;
        if (query_pace(&x->pace, v->nsteps, x->e) < 0)
            return x->e->code;
    }
    return 0;
}

/* --- ambiguity -------------------------------------------------------------------------------- */

static int duplicate_one(struct matcher_state *x, const struct row *a, const struct row *b)
{
    struct arena *ar = x->ev->arena;
    struct labels key = match_labels(ar, x->m, &a->labels);
    struct buf text = {0};
    int code;

    if (labels_cmp(&a->labels, &b->labels) > 0) {
        const struct row *t = a;

        a = b;
        b = t;
    }
    buf_putz(&text, "found duplicate series for the match group ");
    labels_text(&text, &key);
    buf_printf(&text, " on the %s hand-side of the operation: [", x->swapped ? "left" : "right");
    labels_text(&text, &a->labels);
    buf_putz(&text, ", ");
    labels_text(&text, &b->labels);
    buf_putz(&text, "];many-to-many matching not allowed: matching labels must be unique on one side");
    code = err_set(x->e, ERR_EXEC, "%.*s", (int)text.n, text.p);
    buf_release(&text);
    return code;
}

/* Two rows of the one side at one step. */
static int check_one_side(struct matcher_state *x, uint32_t key)
{
    for (uint32_t i = x->one_first[key]; i; i = x->one_next[i - 1])
        for (uint32_t j = x->one_next[i - 1]; j; j = x->one_next[j - 1]) {
            const struct row *a = &x->one->rows[i - 1], *b = &x->one->rows[j - 1];

            for (uint32_t s = 0; s < x->nsteps; s++)
                if (a->has[s] && b->has[s] && x->both[s])
                    return duplicate_one(x, a, b);
            if (query_pace(&x->pace, x->nsteps, x->e) < 0)
                return x->e->code;
        }
    return 0;
}

/* One to one: two rows of the many side that find a partner at one step. */
static int check_many_side(struct matcher_state *x, uint32_t key)
{
    for (uint32_t s = 0; s < x->nsteps; s++) {
        uint32_t many = 0, one = x->has_fill_one, nrows = 0;

        for (uint32_t i = x->many_first[key]; i; i = x->many_next[i - 1], nrows++)
            many += x->many->rows[i - 1].has[s] != 0;
        for (uint32_t i = x->one_first[key]; i; i = x->one_next[i - 1], nrows++)
            one += x->one->rows[i - 1].has[s] != 0;
        if (query_pace(&x->pace, nrows * WORK_A_ROW, x->e) < 0)
            return x->e->code;
        if (many > 1 && one)
            return err_set(
                x->e, ERR_EXEC,
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
    }
    return 0;
}

/* --- results ---------------------------------------------------------------------------------- */

static struct labels result_labels(struct matcher_state *x, const struct labels *many, const struct labels *one)
{
    struct arena *a = &x->out->pile.a;
    const struct vector_matching *m = x->m;
    struct labels ls = *many;

    if (x->n->binary.op <= OP_ATAN2)
        ls = labels_drop_name(a, &ls);
    if (!m)
        return ls;
    if (m->card == CARD_ONE_TO_ONE && (m->on || m->nlabels))
        ls = labels_pick(a, &ls, m->labels, m->nlabels, m->on, false);
    for (uint32_t i = 0; i < m->ninclude; i++)
        ls = labels_with(a, &ls, m->include[i], labels_get(one, m->include[i]));
    return ls;
}

/* Combines a row of each side into a new one. */
static int combine(struct matcher_state *x, const struct row *many, const struct row *one)
{
    struct vec *out = x->out;
    struct row *r = vec_add(out, promql_op_text(x->n->binary.op), x->e);
    bool h = many->h || one->h;

    if (!r)
        return ERR_LIMIT;
    if (query_pace(&x->pace, WORK_LABELS + x->nsteps * (h ? WORK_A_HISTOGRAM : 1), x->e) < 0)
        return x->e->code;
    r->labels = result_labels(x, &many->labels, &one->labels);
    r->drop_name = many->drop_name || x->n->binary.return_bool;
    if (h && row_want_h(out, r, "binary operator", x->e) < 0)
        return ERR_LIMIT;
    if (binop_rows(&x->op, x->swapped ? one : many, x->swapped ? many : one, r, x->nsteps, &out->pile, &x->notes,
                   x->e) < 0)
        return ERR_LIMIT;
    if (!row_any(r, x->nsteps))
        out->n--;
    return 0;
}

/* Where the group's rows of a side are missing. False when nowhere. */
static bool missing_steps(struct matcher_state *x, const struct vec *v, uint32_t first, const uint32_t *next)
{
    memset(x->missing, ROW_FLOAT, x->nsteps);
    for (uint32_t i = first; i; i = next[i - 1])
        for (uint32_t s = 0; s < x->nsteps; s++)
            if (v->rows[i - 1].has[s])
                x->missing[s] = ROW_NONE;
    return memchr(x->missing, ROW_FLOAT, x->nsteps);
}

static void fill_with(struct matcher_state *x, double v)
{
    for (uint32_t s = 0; s < x->nsteps; s++)
        x->fill[s] = v;
}

/* Every row of the group on one side against the value that stands for the other. */
static int fill_group(struct matcher_state *x, uint32_t key, bool fill_one)
{
    const struct vec *v = fill_one ? x->many : x->one;
    const uint32_t *next = fill_one ? x->many_next : x->one_next;
    uint32_t first = fill_one ? x->many_first[key] : x->one_first[key];

    if (!first)
        return 0;
    if (!(fill_one ? missing_steps(x, x->one, x->one_first[key], x->one_next)
                   : missing_steps(x, x->many, x->many_first[key], x->many_next)))
        return 0;
    fill_with(x, fill_one ? x->fill_one : x->fill_many);
    for (uint32_t i = first; i; i = next[i - 1]) {
        const struct row *r = &v->rows[i - 1];
        struct row f = {.labels = match_labels(&x->out->pile.a, x->m, &r->labels), .v = x->fill, .has = x->missing};

        if (combine(x, fill_one ? r : &f, fill_one ? &f : r) < 0)
            return x->e->code;
    }
    return 0;
}

static int one_group(struct matcher_state *x, uint32_t key)
{
    if (check_one_side(x, key) < 0)
        return x->e->code;
    if ((!x->m || x->m->card == CARD_ONE_TO_ONE) && x->many_first[key] && x->many_next[x->many_first[key] - 1] &&
        check_many_side(x, key) < 0)
        return x->e->code;
    for (uint32_t i = x->many_first[key]; i; i = x->many_next[i - 1])
        for (uint32_t j = x->one_first[key]; j; j = x->one_next[j - 1])
            if (combine(x, &x->many->rows[i - 1], &x->one->rows[j - 1]) < 0)
                return x->e->code;
    if (x->has_fill_one && fill_group(x, key, true) < 0)
        return x->e->code;
    if (x->has_fill_many && fill_group(x, key, false) < 0)
        return x->e->code;
    return 0;
}

static void set_sides(struct matcher_state *x, struct vec *l, struct vec *r, const struct match_keys *k)
{
    const struct vector_matching *m = x->m;

    x->swapped = m && m->card == CARD_ONE_TO_MANY;
    x->many = x->swapped ? r : l;
    x->one = x->swapped ? l : r;
    x->many_key = x->swapped ? k->right : k->left;
    x->one_key = x->swapped ? k->left : k->right;
    if (!m)
        return;
    /* With group_right upstream fills the many side by fill_left, the one side by fill_right: not what the words say,
     * but what it does. */
    x->has_fill_one = m->has_fill_right;
    x->has_fill_many = m->has_fill_left;
    x->fill_one = m->fill_right;
    x->fill_many = m->fill_left;
}

static int match_all(struct matcher_state *x, uint32_t nkeys)
{
    bool grouping = x->m && x->m->card != CARD_ONE_TO_ONE;
    uint8_t *other = x_zalloc(x->nsteps + 1);
    int code = any_present(x, x->many, x->both);

    if (code == 0)
        code = any_present(x, x->one, other);
    for (uint32_t s = 0; s < x->nsteps; s++)
        x->both[s] = (x->both[s] & other[s]) | (x->has_fill_one || x->has_fill_many);
    free(other);
    for (uint32_t key = 0; key < nkeys && code == 0; key++)
        code = one_group(x, key);
    if (code < 0)
        return code;
    if (pile_settle(&x->out->pile, "binary operator", x->e) < 0)
        return x->e->code;
    return grouping
               ? vec_unify_or(x->out, "multiple matches for labels: grouping labels must ensure unique matches", x->e)
               : vec_unify(x->out, x->e);
}

int eval_match(struct eval *ev, const struct node *n, const struct grid *g, struct vec *l, struct vec *r,
               struct vec *out, struct err *e)
{
    struct matcher_state x = {.ev = ev,
                              .n = n,
                              .m = n->binary.matching,
                              .op = {eval_op(n->binary.op), n->binary.return_bool},
                              .out = out,
                              .nsteps = g->n,
                              .pace = {ev->q, promql_op_text(n->binary.op), 0},
                              .e = e};
    struct match_keys k;
    int code;

    code = match_keys_make(&k, x.m, l, r, e);
    if (code < 0) {
        match_keys_release(&k);
        return code;
    }
    set_sides(&x, l, r, &k);
    x.many_first = lists(x.many_key, x.many->n, k.nkeys, &x.many_next);
    x.one_first = lists(x.one_key, x.one->n, k.nkeys, &x.one_next);
    x.both = x_zalloc(g->n + 1);
    x.missing = x_zalloc(g->n + 1);
    x.fill = x_alloc((g->n + (size_t)1) * sizeof *x.fill);
    code = match_all(&x, k.nkeys);
    eval_remark(ev, n, remark_of_elem(&x.notes), STR_NULL);
    pile_join(&out->pile, &l->pile);
    pile_join(&out->pile, &r->pile);
    free(x.many_first);
    free(x.many_next);
    free(x.one_first);
    free(x.one_next);
    free(x.both);
    free(x.missing);
    free(x.fill);
    match_keys_release(&k);
    return code;
}
