/*
 * eval.h - one evaluation, and what its files ask of each other. Private to query/logql.
 *
 *   eval.c            entry, dispatch, the result     eval_range.c     range aggregations: records -> rows
 *   eval_aggregate.c  groups, topk, sort              eval_minutes.c   counts by minute instead of records
 *   eval_binary.c     operators, vector matching      eval_log.c       log queries
 *   eval_select.c     selects as a pipeline wants them, and the threads that read
 *
 * Every value is worked out for all steps at once (query/vector). A vector that lq_eval_vector fills is the caller's to
 * vec_release, also when it fails.
 */
#ifndef LOGQL_EVAL_H
#define LOGQL_EVAL_H

#include "query/logql/logql.h"
#include "query/logql/pipeline.h"
#include "query/vector/row.h"

/* Step i is at start + i * step. */
struct lq_grid {
    int64_t start, step;
    uint32_t n;
};

struct lq_eval {
    struct query *q;
    const struct logql_opts *o;
    struct lq_grid grid;
    unsigned threads;
    struct logql_stats stats;
    struct str *warnings;
    uint32_t nwarnings;
    bool sorted; /* a sort stands in the query: the order of an instant vector is its */
    unsigned depth;
};

/* Which labels of a range aggregation's series are of interest: what stands above it looks at no others. */
struct lq_push {
    bool group, without; /* as pipeline_opts */
    const struct str *names;
    uint32_t n;
};

/* --- eval_select.c ---------------------------------------------------------------------------- */

struct lq_read;

/* One reading thread. */
struct lq_reader {
    struct lq_read *read;
    uint32_t part;
    struct log_cursor *cur;
    struct runner *runner;
    uint32_t stream; /* the runner's, + 1 */
    const struct log_row *rows; /* the portion at hand */
    uint64_t order;             /* of it (log_rows) */
    bool wants_fields;
    uint64_t kept;
    void *state; /* of who reads */
    int code;
    struct err err;
};

/* Reads what a pipeline wants of [mint, maxt], on the query's threads, into who asks. */
struct lq_read {
    /* Set by the caller. */
    struct lq_eval *ev;
    const struct logql_log *log;
    const struct pipeline *pipeline;
    const char *where;
    int64_t mint_ns, maxt_ns;
    bool backward;
    void *arg;
    /* On the reading thread. row: one record, before the stages (lq_reader_run). >0 of rows_done: no more are wanted. */
    int (*begin)(struct lq_reader *r, struct err *e);
    int (*row)(struct lq_reader *r, const struct log_row *row, struct err *e);
    int (*rows_done)(struct lq_reader *r); /* after each portion; may be NULL */
    /* On the evaluating thread, in order of parts, for each that began; code is that of the whole. */
    int (*end)(struct lq_reader *r, int code, struct err *e);

    /* Made on the way. */
    struct log_select *select;
    struct lq_reader *readers;
};

int lq_read_run(struct lq_read *x, struct err *e);
/* Runs the stages: 1 kept, 0 dropped, <0 the line could not be read. */
int lq_reader_run(struct lq_reader *r, const struct log_row *row, struct err *e);
/* The error of a sample that still carries one. */
int lq_pipeline_error(struct runner *r, struct err *e);
/* Labels of the runner's record, into a. */
struct labels lq_runner_labels(struct runner *r, struct arena *a);

/* --- values ----------------------------------------------------------------------------------- */

int lq_eval_vector(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e);
/* push may be NULL: all labels. */
int lq_eval_range(struct lq_eval *ev, const struct logql_expr *n, const struct lq_push *push, struct vec *out, struct err *e);
int lq_eval_aggregate(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e);
int lq_eval_binary(struct lq_eval *ev, const struct logql_expr *n, struct vec *out, struct err *e);
/* Two vectors, matched by labels. */
int lq_eval_match(struct lq_eval *ev, const struct logql_expr *n, struct vec *l, struct vec *r, struct vec *out, struct err *e);
int lq_eval_log(struct lq_eval *ev, const struct logql_log *log, struct logql_result *out, struct err *e);

/* --- eval_minutes.c --------------------------------------------------------------------------- */

struct lq_table;
struct lq_windows;
/*
 * Fills t from counts by minute where they say all there is to say. 0: records outside of (*from, *to] are still to be read;
 * 1: not such an aggregation.
 */
int lq_eval_minutes(struct lq_eval *ev, const struct logql_expr *n, const struct lq_push *push, const struct pipeline *p,
                    const struct lq_windows *w, struct lq_table *t, int64_t *from, int64_t *to, struct err *e);

#endif
