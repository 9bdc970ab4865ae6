/*
 * promql.h - evaluate a PromQL query. One instant is a range of one step.
 */
#ifndef PROMQL_H
#define PROMQL_H

#include "query/exec/exec.h"
#include "query/promql/ast.h"

struct tsdb;
struct histogram; /* native histograms: base/histogram.h */

struct promql_opts {
    struct tsdb *db;
    int64_t start_ms, end_ms, step_ms; /* instant: start == end, step 0 */
    int64_t lookback_ms;               /* 0: the engine's */
    bool instant;
    bool use_start_timestamps;
    bool delayed_name_removal;         /* always on in the product */
};

/* One series of the answer: points[i] at t[i]. Everything lives in the query's arena. */
struct promql_point {
    int64_t t;
    double v;
    const struct histogram *h;         /* or NULL: then v */
};
struct promql_series {
    struct labels labels;
    struct promql_point *points;
    uint32_t npoints;
};

struct promql_result {
    enum promql_type type;             /* PQ_MATRIX for range queries */
    struct promql_series *series;      /* vector: one point each; ordered as upstream orders */
    uint32_t nseries;
    double scalar;
    struct str string;
    int64_t t;                         /* of scalar and string */
    struct str *warnings, *infos;      /* texts with positions, as the API shows them */
    uint32_t nwarnings, ninfos;
    uint64_t *samples_per_step;        /* for stats=all, or NULL */
    uint32_t nsteps;
};

/* Parses, plans and runs. ERR_INVALID: parse (bad_data); ERR_EXEC, ERR_LIMIT: execution; ERR_TIMEOUT; ERR_CANCELED. */
int promql_run(struct query *q, const struct promql_opts *o, struct promql_result *out, struct err *e);
/* The same for a tree that was parsed before (rules). The tree is not changed. */
int promql_eval(struct query *q, const struct node *expr, struct str text, const struct promql_opts *o, struct promql_result *out, struct err *e);

#endif
