/*
 * aggregate.h - many rows into one: the sums, means and extremes of a group, all steps at once.
 *
 * A group is filled by one thread and merged with the same group of other threads. Sums are compensated, so that how
 * rows were spread over threads shows in the last bits at most.
 */
#ifndef VECTOR_AGGREGATE_H
#define VECTOR_AGGREGATE_H

#include "query/vector/row.h"

enum aggr_op {
    AGGR_SUM,
    AGGR_AVG,
    AGGR_COUNT,
    AGGR_MIN,
    AGGR_MAX,
    AGGR_GROUP,
    AGGR_STDDEV,
    AGGR_STDVAR,
    AGGR_QUANTILE
};

enum aggr_note {
    AGGR_MIXED = 1, /* floats and histograms in one group at one step: dropped */
    AGGR_IGNORED_HISTOGRAM = 2,
    AGGR_RESET_CONFLICT = 4,
    AGGR_BOUNDS = 8,
    AGGR_MIXED_SCHEMAS = 16,
};

struct aggr {
    enum aggr_op op;
    uint32_t nsteps;
    unsigned notes;         /* enum aggr_note */
    const double *quantile; /* per step, of AGGR_QUANTILE */
    const char *where;
};

struct aggr_group;

/* From p; NULL over budget. */
struct aggr_group *aggr_group_new(struct aggr *a, struct pile *p, struct err *e);
/* The row may be reused after. */
int aggr_add(struct aggr *a, struct aggr_group *g, const struct row *r, struct pile *p, struct err *e);
/* src is spent. Both of aggregations with the same op and steps; src's notes are the caller's to or. */
int aggr_merge(struct aggr *a, struct aggr_group *dst, struct aggr_group *src, struct pile *p, struct err *e);
/* Puts the group's values into the row of v (made by vec_add). */
int aggr_finish(struct aggr *a, struct aggr_group *g, struct vec *v, struct row *out, struct err *e);

#endif
