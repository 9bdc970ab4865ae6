/*
 * ast.h - the tree of a PromQL expression. Made by promql_parse; every node knows its span in the query text.
 */
#ifndef PROMQL_AST_H
#define PROMQL_AST_H

#include "base/base.h"

enum promql_type { PQ_NONE, PQ_SCALAR, PQ_VECTOR, PQ_MATRIX, PQ_STRING };
const char *promql_type_text(enum promql_type t); /* "instant vector", "range vector", "scalar", "string", as in error texts */

enum node_kind { N_NUMBER, N_STRING, N_SELECTOR, N_MATRIX, N_SUBQUERY, N_UNARY, N_BINARY, N_CALL, N_AGGREGATE, N_PAREN, N_STEP_INVARIANT };

enum promql_op {
    OP_NONE, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_POW, OP_ATAN2,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
    OP_AND, OP_OR, OP_UNLESS,
    OP_TRIM_UPPER, /* </ */
    OP_TRIM_LOWER, /* >/ */
};
const char *promql_op_text(enum promql_op op);
static inline bool op_is_comparison(enum promql_op op) { return op >= OP_EQ && op <= OP_GE; }
static inline bool op_is_set(enum promql_op op) { return op >= OP_AND && op <= OP_UNLESS; }

enum agg_op { AGG_SUM, AGG_AVG, AGG_COUNT, AGG_MIN, AGG_MAX, AGG_GROUP, AGG_STDDEV, AGG_STDVAR, AGG_TOPK, AGG_BOTTOMK, AGG_COUNT_VALUES,
              AGG_QUANTILE, AGG_LIMITK, AGG_LIMIT_RATIO };
const char *agg_op_text(enum agg_op op);

/* A duration as written: a number known at parse time (ms), or an expression evaluated before the query runs. */
enum dur_kind { DUR_NUMBER, DUR_STEP, DUR_RANGE, DUR_UNARY, DUR_BINARY, DUR_MIN_OF, DUR_MAX_OF, DUR_PAREN };
struct dur {
    enum dur_kind kind;
    double seconds;      /* DUR_NUMBER */
    bool as_duration;    /* DUR_NUMBER: written with units */
    enum promql_op op;   /* DUR_UNARY (ADD, SUB), DUR_BINARY */
    struct dur *l, *r;
    uint32_t start, end; /* span in the query */
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

/* Shared by selectors and subqueries. */
struct when {
    enum at_kind at;
    int64_t at_ms;          /* AT_TIME */
    int64_t offset_ms;      /* as written, sign included; of an expression after resolution */
    struct dur *offset_expr; /* or NULL */
};

struct node;
struct node_cost;

struct vector_matching {
    enum { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY } card;
    bool on;                 /* on(labels), else ignoring(labels) */
    struct str *labels;
    uint32_t nlabels;
    struct str *include;     /* group_left(include) */
    uint32_t ninclude;
    bool has_fill_left, has_fill_right;
    double fill_left, fill_right;
};

struct promql_function;

struct node {
    enum node_kind kind;
    enum promql_type type;
    uint32_t start, end;     /* bytes in the query text, end exclusive */
    struct node_cost *cost;  /* of a planned tree that is explained; else NULL */
    union {
        struct { double v; bool as_duration; } number;
        struct str string;
        struct {
            struct str name;           /* as written before {}, or from a bare string inside; empty if none */
            struct matcher *matchers;  /* in order of writing; the name's matcher last as upstream keeps it */
            uint32_t nmatchers;
            struct when when;
            bool anchored, smoothed;
            bool counts_only;          /* by the planner: of histograms only count and sum are looked at */
            int64_t id;                /* number of the selector in the query, by the planner */
        } selector;
        struct { struct node *selector; int64_t range_ms; struct dur *range_expr; } matrix;
        struct { struct node *expr; int64_t range_ms, step_ms /* 0: default */; struct dur *range_expr, *step_expr; struct when when; } subquery;
        struct { enum promql_op op; struct node *expr; } unary;
        struct { enum promql_op op; struct node *l, *r; bool return_bool; struct vector_matching *matching; /* NULL unless both are vectors */ } binary;
        struct { const struct promql_function *fn; struct node **args; uint32_t nargs; } call;
        struct { enum agg_op op; struct node *expr, *param; bool without; bool has_grouping; struct str *grouping; uint32_t ngrouping; } agg;
        struct node *child; /* N_PAREN, N_STEP_INVARIANT */
    };
};

/* A row of the function table: what parser and checker need; the evaluator finds its code by name at start. */
struct promql_function {
    const char *name;
    enum promql_type args[12];
    uint8_t nargs;
    int8_t variadic;          /* as upstream: 0 fixed, n>0: up to n more, -1: any number more */
    enum promql_type returns;
    bool experimental;
};
const struct promql_function *promql_function_find(struct str name);
const struct promql_function *promql_functions(uint32_t *n);

struct promql_parse_error {
    struct str msg;          /* what upstream says after "parse error: " */
    uint32_t start, end;
};

/*
 * Parses and checks types. Everything from a; matchers with regexes hold compiled ones: promql_release frees them (call it
 * before the arena goes). On failure ERR_INVALID with "LINE:COL: parse error: MSG" of the first error; *errors (may be
 * NULL) gets all.
 */
int promql_parse(struct arena *a, struct str text, struct node **out, struct promql_parse_error **errors, uint32_t *nerrors, struct err *e);
/* The text of q, into its arena; ends like query_check when q must stop meanwhile. */
struct query;
int promql_parse_query(struct query *q, struct node **out, struct err *e);
void promql_release(struct node *n);
/* Selector only, as match[] wants: matchers borrowed from the arena, to be released one by one. Empty-matching sets are ERR_INVALID. */
int promql_parse_matchers(struct arena *a, struct str text, struct matcher **out, uint32_t *n, struct err *e);
/* One line, as upstream's String(). */
void promql_print(struct buf *out, const struct node *n);
/* Many lines, as format_query. */
void promql_pretty(struct buf *out, const struct node *n);
/* JSON of parse_query. */
void promql_ast_json(struct buf *out, const struct node *n);
/* "LINE:COL" of a byte position, 1-based. */
void promql_position(struct str text, uint32_t at, unsigned *line, unsigned *col);
/* Calls fn on every node, parents first, until it returns non-zero; returns that. */
int promql_walk(struct node *n, int (*fn)(void *arg, struct node *n), void *arg);

#endif
