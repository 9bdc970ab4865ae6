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
    bool samples_only;                 /* no aggregates: samples, and nothing where they are gone */
    bool delayed_name_removal;         /* always on in the product */
    bool stats;                        /* count samples: the last fields of the result */
    bool folded;                       /* range queries: points are not made before promql_unfold */
    bool explain;                      /* keep books of every node: result.plan */
};

/* One series of the answer: points[i] at t[i]. Everything lives in the query's arena. */
struct promql_point {
    int64_t t;
    double v;
    const struct histogram *h;         /* or NULL: then v */
};
struct promql_series {
    struct labels labels;
    struct promql_point *points;       /* NULL when folded */
    uint32_t npoints;
    const struct row *row;             /* folded: where the points are */
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
    uint32_t nsteps;
    int64_t step_ms;
    const struct node *plan;           /* with explain: for promql_explain, as long as the query lives */
    /* With stats: samples that steps looked at, and those of them that had to be read. By step, too. */
    uint64_t samples, samples_read;
    const uint64_t *samples_per_step, *samples_read_per_step;
};

/* Parses, plans and runs. ERR_INVALID: parse (bad_data); ERR_EXEC, ERR_LIMIT: execution; ERR_TIMEOUT; ERR_CANCELED. */
int promql_run(struct query *q, const struct promql_opts *o, struct promql_result *out, struct err *e);
/* The same for a tree that was parsed before (rules). The tree is not changed. */
int promql_eval(struct query *q, const struct node *expr, struct str text, const struct promql_opts *o, struct promql_result *out, struct err *e);

/*
 * Makes the points of one folded series, from a; others have theirs. A point takes 24 bytes and a third of that folded, so an
 * answer with many is best unfolded series by series, the arena reset in between.
 */
void promql_unfold(const struct promql_result *r, struct promql_series *s, struct arena *a);
/* The plan as JSON: a tree of what each node is and cost. text: the query's. */
void promql_explain(struct buf *out, const struct node *plan, struct str text);

#endif
