/*
 * foreign.h - vectors that come from another language: logs(...) and spans(...) stand wherever an instant vector may, and
 * what is between the brackets is a metric query in the language of that store.
 *
 *     sum by (job) (logs(sum by (job) (count_over_time({app="api"} |= "error" [5m])))) / sum by (job) (rate(requests_total[5m]))
 *
 * The text ends at the bracket that closes the first one; brackets in strings ("", ``) and comments (#) do not count. A
 * string literal between the brackets is the same as the text in it, and what is printed.
 *
 * Who knows the language registers here, once, before the first query; without it the text parses and fails when it is run.
 */
#ifndef PROMQL_FOREIGN_H
#define PROMQL_FOREIGN_H

#include "base/base.h"

struct query;

enum promql_foreign { PROMQL_LOGS, PROMQL_SPANS, PROMQL_FOREIGN_N };

/* Where rows go, and the times they are wanted for: start_ms + i * step_ms, i < nsteps. */
struct promql_foreign_call {
    int64_t start_ms, step_ms;
    uint32_t nsteps;
    /*
     * One series, once. labels are sorted and copied, as are v and has: has[i] is 1 where v[i] stands at step i, else 0. ERR_LIMIT
     * or another code when the query has to end: return it.
     */
    int (*row)(void *arg, const struct labels *labels, const double *v, const uint8_t *has, struct err *e);
    void *arg;
};

struct promql_foreign_source {
    /* ERR_INVALID with a sentence when the text cannot be such a query. Called while parsing: any thread, no query. */
    int (*check)(void *arg, struct str text, struct err *e);
    /* Runs text within q's budget: query_check and query_charge are its business. On q's thread. */
    int (*run)(void *arg, struct query *q, struct str text, const struct promql_foreign_call *call, struct err *e);
    void *arg;
};

/* Copies *s; NULL takes the language away (tests). Not while queries run. */
void promql_foreign_register(enum promql_foreign lang, const struct promql_foreign_source *s);
/* The language of a function of that name, or PROMQL_FOREIGN_N. */
enum promql_foreign promql_foreign_find(struct str name);
/* NULL when nobody registered. */
const struct promql_foreign_source *promql_foreign_source(enum promql_foreign lang);

#endif
