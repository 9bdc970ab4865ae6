/* script.h - a .test script being run. Between the files of the promql mode. */
#ifndef CONFORMANCE_SCRIPT_H
#define CONFORMANCE_SCRIPT_H

#include "query/promql/promql.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/script_db.h"
#include "tests/conformance/series_desc.h"

/* The lines under a command. */
struct block {
    struct str *lines;
    uint32_t n, cap, first;
};

struct script {
    struct conf_report *report;
    struct str rest;
    unsigned line, command_line;
    struct script_db *db;
    struct query_engine *engine;
    struct arena arena; /* of the command being run */
};

/* load STEP, load_with_nhcb STEP */
int script_load(struct script *s, struct str line, struct block *b, struct err *e);
/* eval instant at T QUERY, eval range from A to B step S QUERY */
int script_eval(struct script *s, struct str line, struct block *b, struct err *e);

/* Histograms with custom bounds from the classic ones among in; to *out. From a. */
void nhcb_make(struct arena *a, const struct script_series *in, uint32_t n, struct script_series **out, uint32_t *nout);
struct histogram *histogram_of_desc(struct arena *a, const struct sd_histogram *d);

/* What is expected of one series. */
struct expected {
    struct labels labels;
    struct sd_value *values;
    uint32_t n;
    bool seen;
};
/* NULL when result and expectation agree, else a sentence (from a). Point i of an expectation stands at start + i *
 * step. */
const char *compare_series(struct arena *a, const struct promql_series *got, uint32_t ngot, struct expected *want,
                           uint32_t nwant, int64_t start, int64_t step, bool ordered);
bool same_float(double got, double want);

#endif
