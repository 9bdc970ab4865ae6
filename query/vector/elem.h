/*
 * elem.h - functions of one element: a row in, the same row out, in place.
 */
#ifndef VECTOR_ELEM_H
#define VECTOR_ELEM_H

#include "query/vector/row.h"

enum vector_op {
    VOP_ADD,
    VOP_SUB,
    VOP_MUL,
    VOP_DIV,
    VOP_MOD,
    VOP_POW,
    VOP_ATAN2,
    VOP_EQ,
    VOP_NE,
    VOP_LT,
    VOP_LE,
    VOP_GT,
    VOP_GE,
    VOP_TRIM_UPPER,
    VOP_TRIM_LOWER,
};
static inline bool vop_compares(enum vector_op op)
{
    return op >= VOP_EQ && op <= VOP_GE;
}
/* One pair of floats. Comparisons give 1 or 0. */
double vop_floats(enum vector_op op, double l, double r);

/* What did not fit together, by kinds: bit (left kind * 3 + right kind) of ROW_FLOAT, ROW_HIST. */
enum { PAIR_FLOAT_FLOAT = 1, PAIR_FLOAT_HIST = 2, PAIR_HIST_FLOAT = 4, PAIR_HIST_HIST = 8 };

/* Remarks of operators on elements. */
struct elem_notes {
    unsigned incompatible; /* PAIR_* */
    unsigned hist;         /* enum hist_note */
    bool schemas;          /* exponential and custom buckets met */
};

/*
 * One operator between a row and per-step scalars, or between two rows. Filters keep the left value (the row's, with
 * scalars); return_bool makes 0 and 1. Steps where either side is missing get nothing.
 */
struct binop {
    enum vector_op op;
    bool return_bool;
};
/* row op scalar, or scalar op row when swap; v, has (and h) of r change in place. */
int binop_scalar(const struct binop *b, struct row *r, const double *scalar, bool swap, uint32_t nsteps, struct pile *p,
                 struct elem_notes *notes, struct err *e);
/* out = l op r; out may be l or r. out->h is made when histograms come out and l->h or r->h is set: it must then be
 * there. */
int binop_rows(const struct binop *b, const struct row *l, const struct row *r, struct row *out, uint32_t nsteps,
               struct pile *p, struct elem_notes *notes, struct err *e);
/* -x; histograms become gauges. */
int row_negate(struct row *r, uint32_t nsteps, struct pile *p, struct err *e);

/* A function of the table: f(v, p0[i], p1[i]); histograms are dropped. */
struct elem_function {
    const char *name;
    uint8_t nparams; /* scalar arguments behind the vector */
    void (*run)(double *v, uint8_t *has, uint32_t n, const double *const *param);
};
const struct elem_function *elem_function_find(struct str name);
void elem_eval(const struct elem_function *fn, struct row *r, uint32_t nsteps, const double *const *param);

#endif
