/*
 * binop.c - operators between elements: floats in plain loops, rows with histograms step by step.
 */
#include "query/vector/elem.h"
#include "query/vector/histogram.h"

#include <math.h>

double vop_floats(enum vector_op op, double l, double r)
{
    switch (op) {
    case VOP_ADD:
        return l + r;
    case VOP_SUB:
        return l - r;
    case VOP_MUL:
        return l * r;
    case VOP_DIV:
        return l / r;
    case VOP_MOD:
        return fmod(l, r);
    case VOP_POW:
        return pow(l, r);
    case VOP_ATAN2:
        return atan2(l, r);
    case VOP_EQ:
        return l == r;
    case VOP_NE:
        return l != r;
    case VOP_LT:
        return l < r;
    case VOP_LE:
        return l <= r;
    case VOP_GT:
        return l > r;
    case VOP_GE:
        return l >= r;
    case VOP_TRIM_UPPER:
    case VOP_TRIM_LOWER:
        break;
    }
    return NAN;
}

/* --- floats only -------------------------------------------------------------------------------------------------- */

/* out[i] = l OP r with the same stride of 0 or 1 for both: the compiler makes vectors of it. */
#define ARITH(EXPR)                                                                                                    \
    for (uint32_t i = 0; i < n; i++) {                                                                                 \
        double l = lv[i], r = rv[i];                                                                                   \
        out[i] = (EXPR);                                                                                               \
    }                                                                                                                  \
    break
/* Places without an element may hold anything; these are not worth working out there. */
#define ARITH_SLOW(EXPR)                                                                                               \
    for (uint32_t i = 0; i < n; i++)                                                                                   \
        if (has[i]) {                                                                                                  \
            double l = lv[i], r = rv[i];                                                                               \
            out[i] = (EXPR);                                                                                           \
        }                                                                                                              \
    break
#define FILTER(EXPR)                                                                                                   \
    for (uint32_t i = 0; i < n; i++) {                                                                                 \
        double l = lv[i], r = rv[i], kept = keep[i];                                                                   \
        bool is = (EXPR);                                                                                              \
        if (return_bool)                                                                                               \
            kept = is;                                                                                                 \
        else                                                                                                           \
            has[i] = is ? has[i] : ROW_NONE;                                                                           \
        out[i] = kept;                                                                                                 \
    }                                                                                                                  \
    break

/* keep: whose value a filter passes on. */
static void floats(const struct binop *b, const double *lv, const double *rv, const double *keep, double *out,
                   uint8_t *has, uint32_t n)
{
    bool return_bool = b->return_bool;

    switch (b->op) {
    case VOP_ADD:
        ARITH(l + r);
    case VOP_SUB:
        ARITH(l - r);
    case VOP_MUL:
        ARITH(l * r);
    case VOP_DIV:
        ARITH(l / r);
    case VOP_MOD:
        ARITH_SLOW(fmod(l, r));
    case VOP_POW:
        ARITH_SLOW(pow(l, r));
    case VOP_ATAN2:
        ARITH_SLOW(atan2(l, r));
    case VOP_EQ:
        FILTER(l == r);
    case VOP_NE:
        FILTER(l != r);
    case VOP_LT:
        FILTER(l < r);
    case VOP_LE:
        FILTER(l <= r);
    case VOP_GT:
        FILTER(l > r);
    case VOP_GE:
        FILTER(l >= r);
    case VOP_TRIM_UPPER:
    case VOP_TRIM_LOWER:
        break;
    }
}

static unsigned any_pair(const uint8_t *has, uint32_t n)
{
    return memchr(has, ROW_FLOAT, n) ? PAIR_FLOAT_FLOAT : 0;
}

/* --- elements of either kind ------------------------------------------------------------------ */

struct element {
    uint8_t kind;
    double v;
    const struct histogram *h;
};

static unsigned pair_bit(const struct element *l, const struct element *r)
{
    return 1u << ((l->kind == ROW_HIST) * 2 + (r->kind == ROW_HIST));
}

/* Histogram with histogram. kind ROW_NONE: dropped, with a remark. */
static struct element hist_hist(const struct binop *b, const struct element *l, const struct element *r,
                                struct arena *a, struct elem_notes *notes)
{
    struct element out = {.kind = ROW_HIST};
    struct histogram *h = NULL;
    int code;

    switch (b->op) {
    case VOP_ADD:
    case VOP_SUB:
        code = b->op == VOP_ADD ? hist_add(a, l->h, r->h, &h, &notes->hist) : hist_sub(a, l->h, r->h, &h, &notes->hist);
        if (code < 0) {
            notes->schemas = true;
            return (struct element){ROW_NONE, 0, NULL};
        }
        out.h = hist_compact(a, h);
        return out;
    case VOP_EQ:
    case VOP_NE: {
        bool is = hist_equal(l->h, r->h) == (b->op == VOP_EQ);

        if (b->return_bool)
            return (struct element){ROW_FLOAT, is, NULL};
        return is ? *l : (struct element){ROW_NONE, 0, NULL};
    }
    default:
        notes->incompatible |= PAIR_HIST_HIST;
        return (struct element){ROW_NONE, 0, NULL};
    }
}

static struct element mixed(const struct binop *b, const struct element *l, const struct element *r, struct arena *a,
                            struct elem_notes *notes)
{
    const struct element *h = l->kind == ROW_HIST ? l : r, *f = h == l ? r : l;

    if (b->op == VOP_MUL)
        return (struct element){ROW_HIST, 0, hist_mul(a, h->h, f->v)};
    if (b->op == VOP_DIV && h == l)
        return (struct element){ROW_HIST, 0, hist_div(a, h->h, f->v)};
    if ((b->op == VOP_TRIM_UPPER || b->op == VOP_TRIM_LOWER) && h == l)
        return (struct element){ROW_HIST, 0, hist_trim(a, h->h, f->v, b->op == VOP_TRIM_UPPER)};
    notes->incompatible |= pair_bit(l, r);
    return (struct element){ROW_NONE, 0, NULL};
}

static struct element combine(const struct binop *b, const struct element *l, const struct element *r,
                              const struct element *keep, struct arena *a, struct elem_notes *notes)
{
    struct element out = {.kind = ROW_FLOAT};

    if (l->kind == ROW_HIST && r->kind == ROW_HIST)
        return hist_hist(b, l, r, a, notes);
    if (l->kind != r->kind)
        return mixed(b, l, r, a, notes);
    if (b->op == VOP_TRIM_UPPER || b->op == VOP_TRIM_LOWER) {
        notes->incompatible |= PAIR_FLOAT_FLOAT;
        return (struct element){ROW_NONE, 0, NULL};
    }
    out.v = vop_floats(b->op, l->v, r->v);
    if (vop_compares(b->op) && !b->return_bool)
        return out.v != 0 ? *keep : (struct element){ROW_NONE, 0, NULL};
    return out;
}

static struct element at(const struct row *r, uint32_t i)
{
    return (struct element){r->has[i], r->v[i], r->h ? r->h[i] : NULL};
}

static void put(struct row *r, uint32_t i, const struct element *x)
{
    r->has[i] = x->kind;
    r->v[i] = x->v;
    if (r->h)
        r->h[i] = x->h;
}

int binop_scalar(const struct binop *b, struct row *r, const double *scalar, bool swap, uint32_t nsteps, struct pile *p,
                 struct elem_notes *notes, struct err *e)
{
    if (!r->h) {
        if (b->op == VOP_TRIM_UPPER || b->op == VOP_TRIM_LOWER) {
            notes->incompatible |= any_pair(r->has, nsteps);
            memset(r->has, ROW_NONE, nsteps);
        }
        floats(b, swap ? scalar : r->v, swap ? r->v : scalar, r->v, r->v, r->has, nsteps);
        return 0;
    }
    for (uint32_t i = 0; i < nsteps; i++) {
        struct element x = at(r, i), s = {ROW_FLOAT, scalar[i], NULL}, out;

        if (x.kind == ROW_NONE)
            continue;
        out = swap ? combine(b, &s, &x, &x, &p->a, notes) : combine(b, &x, &s, &x, &p->a, notes);
        put(r, i, &out);
    }
    return pile_settle(p, "binary operator", e);
}

int binop_rows(const struct binop *b, const struct row *l, const struct row *r, struct row *out, uint32_t nsteps,
               struct pile *p, struct elem_notes *notes, struct err *e)
{
    if (!l->h && !r->h) {
        for (uint32_t i = 0; i < nsteps; i++)
            out->has[i] = l->has[i] & r->has[i];
        if (b->op == VOP_TRIM_UPPER || b->op == VOP_TRIM_LOWER) {
            notes->incompatible |= any_pair(out->has, nsteps);
            memset(out->has, ROW_NONE, nsteps);
            return 0;
        }
        floats(b, l->v, r->v, l->v, out->v, out->has, nsteps);
        return 0;
    }
    for (uint32_t i = 0; i < nsteps; i++) {
        struct element x = at(l, i), y = at(r, i), z = {ROW_NONE, 0, NULL};

        if (x.kind && y.kind)
            z = combine(b, &x, &y, &x, &p->a, notes);
        put(out, i, &z);
    }
    return pile_settle(p, "binary operator", e);
}

int row_negate(struct row *r, uint32_t nsteps, struct pile *p, struct err *e)
{
    for (uint32_t i = 0; i < nsteps; i++)
        r->v[i] = -r->v[i];
    if (!r->h)
        return 0;
    for (uint32_t i = 0; i < nsteps; i++)
        if (r->has[i] == ROW_HIST)
            r->h[i] = hist_mul(&p->a, r->h[i], -1);
    return pile_settle(p, "negation", e);
}
