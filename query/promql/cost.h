/*
 * cost.h - what evaluating costs, node by node and step by step, for those who ask. Private to query/promql.
 *
 * Two things that are off unless asked for, and then cost no more than a test for NULL:
 *
 *   node.cost      of a planned tree that is explained: time, memory, series, samples and blocks of each node
 *   eval.samples   how many samples each step looks at, counted as Prometheus counts (stats=all)
 *
 * A chain is worked through series by series, so its nodes are timed by laps: on each reading thread the time since the last
 * lap belongs to the part that just ended.
 */
#ifndef PROMQL_COST_H
#define PROMQL_COST_H

#include "query/exec/exec.h"
#include "query/promql/ast.h"

struct buf;
struct eval;
struct histogram;
struct promql_series;
struct reader;
struct samples;
struct source;
struct windows;

struct node_cost {
    uint32_t runs; /* evaluations by itself; 0: only as part of a chain */
    uint32_t steps;
    uint64_t series;                               /* of the last evaluation */
    uint64_t samples, blocks_read, blocks_skipped; /* of selectors, all evaluations */
    uint64_t bytes;                                /* most memory at once, that of its children in it */
    int64_t ns;                                    /* wall, with its children */
    uint64_t chain_series;
    int64_t chain_ns; /* of all threads that read, with what stands below it in the chain */
    uint32_t threads; /* that read */
    unsigned reads;   /* of selectors: TSDB_READS_* of all evaluations */
};

/* --- nodes evaluated by themselves, on the evaluating thread ---------------------------------------- */

struct cost_mark {
    int64_t ns;
    uint64_t bytes, peak;
};
void cost_begin(struct query *q, struct cost_mark *m);
void cost_end(struct query *q, const struct node *n, const struct cost_mark *m, uint32_t steps, uint64_t series);

/* --- chains ----------------------------------------------------------------------------------------- */

struct lap {
    int64_t ns;
    uint64_t rows;
};
enum { LAP_READ, LAP_VALUES, LAP_STAGES /* the first of src->stages */ };

/* The reader's laps when its selector is explained, else NULL; free() it. */
struct lap *laps_new(const struct source *src);
void lap_end(struct reader *r, uint32_t lap, bool row);
/* Into the costs of the chain's nodes. On the evaluating thread. */
void laps_add(const struct source *src, const struct lap *laps, uint64_t samples);

/* --- samples ------------------------------------------------------------------------------------------ */

struct sample_counts {
    uint32_t nsteps;
    uint64_t total, read;   /* looked at by all steps; read once */
    uint64_t *at, *read_at; /* by step */
};
/* From a: counts for so many steps. */
struct sample_counts *sample_counts_new(struct arena *a, uint32_t nsteps);
/* One series whose row a reader has just made, or whose windows are w. read: its samples come from the store. */
void sample_counts_row(struct sample_counts *c, const struct reader *r);
void sample_counts_windows(struct sample_counts *c, const struct samples *s, const struct windows *w, bool read);
/* Samples that are handed out as they are: all at the one step there is. */
void sample_counts_points(struct sample_counts *c, const struct promql_series *s);
void sample_counts_add(struct sample_counts *c, const struct sample_counts *more);
/* A part that is worked out once and stands at every step. */
void sample_counts_invariant(struct sample_counts *c, const struct sample_counts *once);
/* What a subquery read, at times from + i * every, by the first step that needs it: its windows end at ends + k * step. */
void sample_counts_subquery(struct sample_counts *c, const struct sample_counts *inner, int64_t from, int64_t every,
                            int64_t ends, int64_t step);
/* How many samples one histogram is taken for. */
uint64_t samples_of_histogram(const struct histogram *h);

#endif
