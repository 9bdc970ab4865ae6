/*
 * eval.h - one evaluation, and what its files ask of each other. Private to query/promql.
 *
 *   eval.c            entry, dispatch by type, the result   source.c       selectors: cursors -> rows, on the pool
 *   eval_stream.c     chains over one selector              eval_range.c   range functions, bare range vectors
 *   eval_aggregate.c  groups                                eval_topk.c    topk and bottomk over chains
 *   eval_rank.c       topk, limitk, count_values, ...       remarks.c      the words of warnings
 *   eval_binary.c     operators, sets                       eval_match.c   vector with vector
 *   fn_*.c            functions of whole vectors
 *
 * Every value is worked out for all steps of a grid at once. A vector that eval_vector returns is the caller's to
 * vec_release.
 */
#ifndef PROMQL_EVAL_H
#define PROMQL_EVAL_H

#include "query/promql/annotations.h"
#include "query/promql/cost.h"
#include "query/promql/promql.h"
#include "query/vector/elem.h"
#include "query/vector/range.h"
#include "query/vector/row.h"
#include "tsdb/tsdb.h"

/* The times a node is evaluated at: start + i * step, i < n. n may be 0 in a subquery. */
struct grid {
    int64_t start, step;
    uint32_t n;
};
static inline int64_t grid_time(const struct grid *g, uint32_t i)
{
    return g->start + (int64_t)i * g->step;
}

struct eval {
    struct query *q;
    const struct promql_opts *o;
    struct str text;     /* the query, for positions */
    struct arena *arena; /* q->arena: only the thread that evaluates takes from it */
    struct notes notes;
    int64_t lookback, default_step;
    bool use_st;
    unsigned threads;
    struct tsdb_select **selects; /* stay open to the end: labels borrow their bytes */
    uint32_t nselects;
    unsigned depth;
    struct sample_counts *samples; /* of the grid at hand; NULL: nobody asked */
};

/* --- values ----------------------------------------------------------------------------------- */

int eval_vector(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e);
/* n of type scalar; g->n doubles, from the query arena. */
int eval_scalar(struct eval *ev, const struct node *n, const struct grid *g, double **out, struct err *e);
/* A string literal's bytes, through parentheses. */
struct str eval_string(const struct node *n);
/*
 * Counts of samples for another grid than the one at hand, while a part of the tree is evaluated on it. *outer gets those at
 * hand, which the caller puts back; NULL when nobody counts.
 */
int eval_samples_push(struct eval *ev, uint32_t nsteps, struct sample_counts **outer, struct err *e);
/* A selector's raw samples as rows cannot say them: for an instant query whose root is a range vector. */
int eval_matrix(struct eval *ev, const struct node *n, int64_t at, struct promql_result *out, struct err *e);

/* Takes the names away that functions dropped, and unifies what is then the same. */
int eval_drop_names(struct vec *v, struct err *e);

/* --- sources: what reads a selector ----------------------------------------------------------- */

enum source_kind {
    SOURCE_LAST,            /* newest value within the lookback */
    SOURCE_TIMESTAMP,       /* its time, in seconds */
    SOURCE_START_TIMESTAMP, /* its start time */
    SOURCE_SMOOTHED,        /* interpolated between neighbours */
    SOURCE_RANGE,           /* fn over windows */
};

/* How a select answered a source that may be read from aggregates. */
struct bucket_function;
struct rollup_read {
    const struct bucket_function *fn; /* what buckets are for; NULL: none can come */
    struct tsdb_rollup_used used;
    bool nearest; /* some windows are not whole buckets of what is read */
};

/* A step of a chain over a source: changes a row in place. */
struct stage {
    enum { STAGE_ELEM, STAGE_BINOP, STAGE_NEGATE } kind;
    const struct node *node;
    const struct elem_function *fn;
    const double *param[2];
    struct binop op;
    bool swap; /* the scalar stands on the left */
    struct stage *next;
};

struct source {
    enum source_kind kind;
    const struct node *selector;
    const struct node *range; /* the N_MATRIX or N_SUBQUERY */
    const struct node *call;  /* that makes values of it; NULL: the selector itself does */
    const struct range_function *fn;
    const double *param[2];
    const struct node *quantile; /* the argument φ, where param[0] is one */
    struct grid grid;
    struct steps steps;
    struct stage *stages;
    bool drop_name;
    const char *where;
};

/* A remark about a metric, collected by a reading thread. */
struct remark {
    const struct node *node; /* whose place it names */
    unsigned bits;           /* enum range_note, or REMARK_* of elem_notes */
    struct str metric;
};

/* Remarks of elementwise operators, behind those of range functions. */
enum { REMARK_PAIRS = 1 << 16, REMARK_HIST = 1 << 20, REMARK_SCHEMAS = 1 << 22, REMARK_SMOOTHED_MIX = 1 << 23 };

/* One reading thread's part of a source. */
struct reader {
    struct eval *ev;
    const struct source *src;
    const struct rollup_read *rollup;
    bool newest; /* nothing but the sample that stands at the only step is read of a series */
    uint32_t part;
    struct tsdb_cursor *cur;
    struct window_cache cache;
    struct range_scratch scratch;
    struct pile pile; /* of histograms that rows hold */
    struct row row;
    uint32_t index;   /* of the series in the select */
    uint64_t samples, samples_all; /* read: not yet counted, and since the beginning */
    double *floats;   /* compacted samples of a series with stale markers */
    int64_t *times, *starts;
    const struct histogram **hists;
    uint32_t ncompact;
    const struct histogram **row_h;
    struct remark *remarks;
    uint32_t nremarks;
    struct lap *laps; /* by stage, when the query is explained */
    int64_t lap_ns;   /* end of the last one */
    struct sample_counts *counts; /* when samples are counted; in counts_arena */
    struct arena counts_arena;
    void *sink; /* the sink's state of this part */
    void *sink_arg;
    int code;
    struct err err;
};

/* Where rows go. begin and row run on the reading thread, end on the evaluating one, in order of parts. */
struct sink {
    void *arg;
    bool keeps_pile; /* histograms of rows live in the reader's pile, which end takes over; else they go with their row
                      */
    int (*begin)(struct reader *r, void *arg);
    int (*row)(struct reader *r, struct err *e);
    int (*end)(struct reader *r, void *arg, struct err *e); /* always called for a part that began; takes r->sink */
};

/* What a select of this evaluation is held to. */
struct tsdb_limits eval_limits(struct eval *ev);
/* Reads all parts. Rows in which nothing stands are not passed on. */
int source_run(struct eval *ev, const struct source *src, const struct sink *sink, struct err *e);
/* Labels of the series at hand: the array from a. */
int reader_labels(struct reader *r, struct arena *a, struct labels *out, struct err *e);
int reader_label(struct reader *r, struct str name, struct str *out, struct err *e);
/* Rows become a vector. */
int source_collect(struct eval *ev, const struct source *src, struct vec *out, struct err *e);

/* Notes a remark once per metric and place. */
int reader_remark(struct reader *r, const struct node *node, unsigned bits, struct err *e);
/* Words them. node is the call, the operator or the selector they are about. */
void eval_remark(struct eval *ev, const struct node *node, unsigned bits, struct str metric);
unsigned remark_of_elem(const struct elem_notes *notes);
/* Warns of each quantile outside [0, 1]. */
void eval_quantile_warnings(struct eval *ev, const struct node *arg, const double *q, uint32_t n);

/*
 * A chain: a selector or a range function over one, under any number of elementwise functions and operators with
 * scalars. 0: src is set; 1: n is no chain.
 */
int eval_chain(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e);
/* The same, for who puts something on top of a chain: 1 also when tests want vectors in between. */
int eval_fused(struct eval *ev, const struct node *n, const struct grid *g, struct source *src, struct err *e);
/* Applies a chain's stages to a row that was made otherwise. */
int stages_apply(const struct stage *s, struct row *r, uint32_t nsteps, struct pile *p, struct elem_notes *notes,
                 struct err *e);

/* eval_rollup.c: aggregates. ask fills what is asked of the select, got looks at what it does and says so. */
void rollup_ask(const struct eval *ev, const struct source *src, struct rollup_read *r, struct tsdb_select_opts *o);
void rollup_got(struct eval *ev, const struct source *src, struct rollup_read *r, const struct tsdb_select *s);
/* The info about windows of sel that aggregates did not answer exactly. stretched: in proportion; else by last samples. */
void rollup_say(struct eval *ev, const struct node *sel, const struct tsdb_rollup_used *u, bool stretched);
uint32_t rollup_values(struct reader *r, struct range_call *c, const struct tsdb_buckets *b, uint64_t times_id);
const struct windows *rollup_windows(struct reader *r, const struct samples *s, uint64_t times_id);

/* For range_call.must_stop; arg is the query. The query_check behind it says why. */
bool eval_must_stop(void *arg);

/* Windows of a selector or subquery with its modifiers, over a grid. */
struct steps eval_steps(const struct grid *g, const struct when *when, int64_t range);

/* --- operators -------------------------------------------------------------------------------- */

int eval_aggregate(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e);
/* topk and bottomk over a chain. 1: not a chain, or k is too large for this. */
int eval_topk_chain(struct eval *ev, const struct node *n, const struct grid *g, const double *k, struct vec *out,
                    struct err *e);
int eval_rank(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e);
int eval_binary(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e);
int eval_match(struct eval *ev, const struct node *n, const struct grid *g, struct vec *l, struct vec *r,
               struct vec *out, struct err *e);
enum vector_op eval_op(enum promql_op op);
/* A range function over a subquery. */
int eval_range_subquery(struct eval *ev, const struct node *call, const struct node *sub, const struct grid *g,
                        struct vec *out, struct err *e);
/* Prepares fn, params and windows of a call whose argument `range` is a range vector. */
int eval_range_source(struct eval *ev, const struct node *call, const struct grid *g, struct source *src,
                      struct err *e);

/* --- functions -------------------------------------------------------------------------------- */

/* A function of whole vectors, or of none. */
struct vector_function {
    const char *name;
    int (*run)(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
};
int eval_call(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e);
int eval_scalar_call(struct eval *ev, const struct node *n, const struct grid *g, double **out, struct err *e);

int fn_absent(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_absent_over_time(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_vector(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_timestamp(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_start_timestamp(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_label_replace(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_label_join(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_sort(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_sort_by_label(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_histogram_quantile(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                          struct err *e);
int fn_histogram_quantiles(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                           struct err *e);
int fn_histogram_fraction(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                          struct err *e);
int fn_histogram_part(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_foreign(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);
int fn_info(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e);

#endif
