/*
 * range_table.h - the series of a range aggregation while records are read: from a hash of labels to cells or samples.
 *
 * One per reading thread; at the end they are merged into one. Cells come in pages, made when a record falls on them: a
 * series that lives shortly takes little, however many buckets there are.
 */
#ifndef LOGQL_RANGE_TABLE_H
#define LOGQL_RANGE_TABLE_H

#include "query/logql/range_cells.h"
#include "query/vector/pile.h"

struct lq_series {
    struct hash128 hash;
    struct labels labels; /* sorted; values may be empty. In the pile */
    double **pages;       /* LQ_PAGE buckets each, NULL where nothing is */
    struct lq_sample *samples;
    uint32_t nsamples, cap;
};

enum { LQ_PAGE = 16 };

struct lq_table {
    const struct lq_windows *w;
    const struct lq_cell_kind *kind; /* NULL: samples */
    const char *where;
    struct pile pile;
    struct lq_series *series; /* in order of appearance */
    uint32_t n, cap;
    uint32_t *slots; /* index + 1 */
    uint32_t mask;
    uint32_t last; /* index + 1 of the one found last */
};

void lq_table_init(struct lq_table *t, struct query *q, const struct lq_windows *w, const struct lq_cell_kind *kind, const char *where);
void lq_table_release(struct lq_table *t);
/* *added: it is new and has no labels yet: the caller sets them, from t->pile. NULL over budget. */
struct lq_series *lq_table_find(struct lq_table *t, struct hash128 hash, bool *added, struct err *e);
/* The cell of a bucket, made empty if it is not there. */
double *lq_table_cell(struct lq_table *t, struct lq_series *s, uint32_t bucket, struct err *e);
int lq_table_sample(struct lq_table *t, struct lq_series *s, struct lq_sample x, struct err *e);
/* src is empty after. */
int lq_table_merge(struct lq_table *dst, struct lq_table *src, struct err *e);
/* All cells of a series side by side, into out (nbuckets cells). */
void lq_table_spread(const struct lq_table *t, const struct lq_series *s, double *out);

#endif
