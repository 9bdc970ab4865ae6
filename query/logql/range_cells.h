/*
 * range_cells.h - what a range aggregation remembers of the records of one series in one bucket: a cell of a few numbers,
 * and what a run of cells is worth.
 *
 * Cells side by side are merged into one, earlier ones first. Aggregations that need every value (quantiles, counters) have
 * no cells but lists of samples.
 */
#ifndef LOGQL_RANGE_CELLS_H
#define LOGQL_RANGE_CELLS_H

#include "query/logql/ast.h"
#include "query/logql/range_windows.h"

struct lq_sample {
    int64_t t;
    double v;
};

struct lq_cell_kind;
/* NULL: the operation wants samples. */
const struct lq_cell_kind *lq_cell_kind_of(enum logql_range_op op, bool unwrapped);
/* Numbers of a cell. All zero is empty; the first is how many records are in it. */
unsigned lq_cell_size(const struct lq_cell_kind *k);
void lq_cell_add(const struct lq_cell_kind *k, double *cell, int64_t t, double v);
/* n records that together have v: of kinds that only count and add. */
void lq_cell_add_many(double *cell, double n, double v, unsigned size);
/* l and then r, into l. */
void lq_cell_merge(const struct lq_cell_kind *k, double *l, const double *r);

/* Scratch of whoever turns series into rows. Zeroed is empty. */
struct lq_scratch {
    double *v;
    size_t nv;
};
void lq_scratch_release(struct lq_scratch *s);

/*
 * The row of a series: v and has for each window. cells: one per bucket, side by side.
 */
void lq_cells_row(const struct lq_cell_kind *k, enum logql_range_op op, const struct lq_windows *w, const double *cells, double *v,
                  uint8_t *has, struct lq_scratch *s);
/* The same of samples, which are put in order. Each window is worked out from all that is in it, so the query is asked on the way. */
int lq_samples_row(enum logql_range_op op, double quantile, const struct lq_windows *w, struct lq_sample *samples, uint32_t n, double *v,
                   uint8_t *has, struct lq_scratch *s, struct query_pace *pace, struct err *e);

#endif
