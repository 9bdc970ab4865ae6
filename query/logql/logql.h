/*
 * logql.h - front door of logql/: the language of the log store.
 *
 *   ast.h       the tree               pipeline.h   what a pipeline does to one record
 *
 * A query is parsed once and evaluated with a budget (query/exec). Results live in the query's arena.
 */
#ifndef LOGQL_LOGQL_H
#define LOGQL_LOGQL_H

#include "logstore/logstore.h"
#include "query/exec/exec.h"
#include "query/logql/ast.h"

/* --- the language ------------------------------------------------------------------------------ */

/*
 * Everything from a; logql_release frees what is compiled, before the arena goes. On failure ERR_INVALID with "parse error at
 * line L, col C: ..." or "parse error : ...", and nothing is left to release.
 */
int logql_parse(struct arena *a, struct str text, struct logql_tree *out, struct err *e);
/* {...} alone, as series and labels take it: root is a LOGQL_LOG without stages. any: selectors that match everything too. */
int logql_parse_selector(struct arena *a, struct str text, bool any, struct logql_tree *out, struct err *e);
/* What a parse leaves open: templates and addresses. For queries that are kept before they run. */
int logql_check(const struct logql_tree *t, struct err *e);

/* One line, as upstream's String(). */
void logql_print(struct buf *out, const struct logql_expr *n);
/* Many lines, as format_query; what fits into width (upstream: 100) stays on one. */
void logql_pretty(struct buf *out, const struct logql_expr *n, size_t width);
/* l op r of two numbers; comparisons give 1 or 0, division by zero NaN. */
double logql_fold(enum logql_binop op, double l, double r);

static inline bool logql_is_log(const struct logql_tree *t)
{
    return t->root && t->root->kind == LOGQL_LOG;
}

/* --- evaluation -------------------------------------------------------------------------------- */

struct logql_opts {
    struct logstore *ls;
    /* Metric queries: at start, start + step, ... up to end; instant: at end. Log queries: records with start <= t < end. */
    int64_t start_ns, end_ns, step_ns;
    bool instant;
    uint32_t limit;      /* log queries: at most so many records */
    bool backward;       /* ... newest first */
    int64_t interval_ns; /* ... at most one in such a time; 0: all */
    bool categorize;     /* ... streams are told apart by stream labels only; records carry the others */
    bool plain;          /* tests: every record is read as a line: no hints, no columns, no counts by minute */
};

/* What was looked at. */
struct logql_stats {
    uint64_t streams, blocks_read, blocks_skipped;
    uint64_t rows, bytes_raw /* of their lines */, bytes_read /* compressed */;
    uint64_t kept;    /* records that passed the stages */
    uint64_t minutes; /* counts by minute taken instead of records */
};

struct logql_entry {
    int64_t t_ns;
    struct str line;
    const struct label *meta, *parsed; /* by name; only when categorized */
    uint32_t nmeta, nparsed;
};

struct logql_stream {
    struct labels labels; /* values may be empty */
    struct logql_entry *entries;
    uint32_t n;
};

/* Values at the steps where has is set. */
struct logql_series {
    struct labels labels; /* sorted; values may be empty */
    const double *v;
    const uint8_t *has;
};

enum logql_result_type {
    LOGQL_RESULT_STREAMS, /* streams, by labels; records in the direction asked for */
    LOGQL_RESULT_SCALAR,  /* scalar: an instant query for a number */
    LOGQL_RESULT_VECTOR,  /* series, one step, by labels or as sort left them */
    LOGQL_RESULT_MATRIX,  /* series, by labels */
};

/* In the query's arena. */
struct logql_result {
    enum logql_result_type type;
    struct logql_stream *streams;
    uint32_t nstreams;
    uint64_t entries; /* of all streams */
    struct logql_series *series;
    uint32_t nseries;
    int64_t start_ns, step_ns; /* step i is at start + i * step */
    uint32_t nsteps;
    double scalar;
    struct str *warnings; /* what could not be read */
    uint32_t nwarnings;
    struct logql_stats stats;
};

/*
 * The tree is not changed. ERR_INVALID: an instant log query, a template that is none, samples with an error ("pipeline error: ...");
 * ERR_EXEC: vectors that do not match; ERR_LIMIT, ERR_TIMEOUT, ERR_CANCELED. On q's thread.
 */
int logql_query(struct query *q, const struct logql_tree *t, const struct logql_opts *o, struct logql_result *out, struct err *e);

/* --- one record at a time ------------------------------------------------------------------------ */

/* A log query over records as they come: tails, rules of the file collector. One thread at a time. */
struct logql_match;
/* The tree must outlive it. ERR_INVALID: not a log query, or a stage that cannot be built. */
int logql_match_new(const struct logql_tree *t, struct logql_match **out, struct err *e);
void logql_match_free(struct logql_match *m);
/* What comes out of the stages, valid until the next record. */
struct logql_matched {
    struct str line;
    struct labels labels; /* all, sorted; values may be empty */
};
/* meta sorted by name. False: the selector or a stage drops it. out may be NULL. */
bool logql_match_record(struct logql_match *m, const struct labels *stream, int64_t t_ns, struct str line, const struct label *meta,
                        uint32_t nmeta, struct logql_matched *out);

/* --- for other rooms ------------------------------------------------------------------------------- */

/* Who takes the texts of deletes apart: selectors with stages that drop lines. */
struct log_delete_filter logql_delete_filter(void);
/* logs(...) of PromQL asks ls from now on; NULL: nothing. Not while queries run. */
void logql_register_foreign(struct logstore *ls);

#endif
