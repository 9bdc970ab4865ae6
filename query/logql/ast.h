/*
 * ast.h - the tree of a LogQL query. Made by logql_parse; every node knows its span in the query text.
 *
 * (1) Nodes, arrays and strings lie in the arena given to logql_parse; strings are unquoted. The tree never changes after
 *     parsing, so any number of threads may read it.
 * (2) What is compiled (regexes, those in matchers too) belongs to the tree: logql_release frees it all, once, and must come
 *     before the arena goes. Nobody else frees a regex or matcher found here, nor keeps one longer than the tree.
 * (3) Checked when parsed: regexes compile, paths of `json x="..."` and `logfmt x="..."` are taken apart, patterns and the
 *     captures of `regexp` are what their stage wants. Not checked: templates and addresses of ip(""), which whoever builds
 *     the pipeline does (and refuses `|~ ip("")`, which parses).
 */
#ifndef LOGQL_AST_H
#define LOGQL_AST_H

#include "base/base.h"

/* Bytes in the query text, end exclusive. */
struct logql_span {
    uint32_t start, end;
};

/* --- stages of a pipeline, in the order they run -------------------------------------------------------------- */

enum logql_line_op {
    LINE_CONTAINS,     /* |=  */
    LINE_NOT_CONTAINS, /* !=  */
    LINE_MATCH,        /* |~  */
    LINE_NOT_MATCH,    /* !~  */
    LINE_PATTERN,      /* |>  */
    LINE_NOT_PATTERN,  /* !>  */
};
static inline bool logql_line_op_negative(enum logql_line_op op)
{
    return op == LINE_NOT_CONTAINS || op == LINE_NOT_MATCH || op == LINE_NOT_PATTERN;
}

/* One alternative of a line filter: a text, or an address. */
struct logql_line_alt {
    bool ip;          /* ip("text"): address, range a-b or CIDR */
    struct str text;  /* the literal, the regex, the pattern or the address */
    struct regex *re; /* LINE_MATCH, LINE_NOT_MATCH and not ip: unanchored, . matches newline; of the tree */
};

/* |= "a" or "b" or ip("c"): all alternatives have the same operator; negative: none may match. An empty text is in every line. */
struct logql_line_filter {
    enum logql_line_op op;
    struct logql_line_alt *alts;
    uint32_t nalts; /* >= 1 */
};

/* A step of a JSON path: an object's key, or an array's index. */
struct logql_path_part {
    bool is_index;
    struct str key;
    uint64_t index;
};

/* name="expr" behind json or logfmt; `name` alone is name="name". */
struct logql_extract {
    struct str name;             /* the label it becomes */
    struct str expr;             /* as written */
    struct logql_path_part *path; /* of expr; of logfmt one key. Empty for expr "" */
    uint32_t npath;
};

/* dst=src (rename) or dst="template". */
struct logql_label_fmt {
    struct str dst;
    bool rename;
    struct str value; /* the source label, or the template's text */
};

/* drop a, b="v": by name, or by name where the value matches. */
struct logql_name_match {
    struct str name;
    const struct matcher *matcher; /* NULL: by name alone; of the tree */
};

enum logql_cmp { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

enum logql_filter_kind {
    FILTER_AND,      /* both; both are looked at, since either may set an error */
    FILTER_OR,       /* either, left first */
    FILTER_STRING,   /* matcher: = != =~ !~ */
    FILTER_NUMBER,   /* name cmp number */
    FILTER_DURATION, /* name cmp duration_ns */
    FILTER_BYTES,    /* name cmp bytes */
    FILTER_IP,       /* name = ip("") or name != ip(""): cmp is CMP_EQ or CMP_NE */
};

/* A label filter: a tree of comparisons. */
struct logql_label_filter {
    enum logql_filter_kind kind;
    struct logql_span span;
    struct logql_label_filter *l, *r; /* AND, OR */
    struct str name;                  /* the label; of STRING too */
    enum logql_cmp cmp;
    const struct matcher *matcher; /* STRING; of the tree */
    double number;
    int64_t duration_ns;
    uint64_t bytes;
    struct str ip;
};

enum logql_unwrap_conv { UNWRAP_NUMBER, UNWRAP_DURATION /* also duration_seconds: both give seconds */, UNWRAP_BYTES };

enum logql_stage_kind {
    LOGQL_LINE_FILTER,  /* line */
    LOGQL_JSON,         /* parser.extracts; none: all properties */
    LOGQL_LOGFMT,       /* parser.extracts, strict, keep_empty */
    LOGQL_REGEXP,       /* parser.text, parser.re */
    LOGQL_PATTERN,      /* parser.text */
    LOGQL_UNPACK,
    LOGQL_LABEL_FILTER, /* filter */
    LOGQL_LINE_FORMAT,  /* template */
    LOGQL_LABEL_FORMAT, /* formats */
    LOGQL_DECOLORIZE,
    LOGQL_DROP,         /* names */
    LOGQL_KEEP,         /* names */
    LOGQL_UNWRAP,       /* unwrap: once at most, only label filters behind it; only in metric queries */
};

struct logql_stage {
    enum logql_stage_kind kind;
    struct logql_span span;
    union {
        struct logql_line_filter line;
        struct {
            struct logql_extract *extracts; /* JSON, LOGFMT */
            uint32_t nextracts;
            bool strict, keep_empty; /* LOGFMT */
            struct str text;         /* REGEXP, PATTERN: as written */
            struct regex *re;        /* REGEXP: unanchored, with named groups; of the tree */
        } parser;
        struct logql_label_filter *filter;
        struct str template;
        struct {
            struct logql_label_fmt *v;
            uint32_t n;
        } formats;
        struct {
            struct logql_name_match *v;
            uint32_t n;
        } names;
        struct {
            struct str label;
            enum logql_unwrap_conv conv;
            struct str conv_text; /* "", "bytes", "duration", "duration_seconds" */
        } unwrap;
    };
};

/* A log query, or what a range aggregation looks at: {selector} | stage | stage. */
struct logql_log {
    struct logql_span span;
    struct matcher *matchers; /* in the order written; of the tree */
    uint32_t nmatchers;
    struct logql_stage *stages;
    uint32_t nstages;
    const struct logql_stage *unwrap; /* one of stages, or NULL */
};

/* --- expressions ---------------------------------------------------------------------------------------------- */

enum logql_range_op {
    RANGE_COUNT,      /* count_over_time */
    RANGE_RATE,       /* rate: of lines, or of unwrapped values */
    RANGE_RATE_COUNTER,
    RANGE_BYTES,      /* bytes_over_time */
    RANGE_BYTES_RATE,
    RANGE_ABSENT,
    RANGE_AVG,
    RANGE_SUM,
    RANGE_MIN,
    RANGE_MAX,
    RANGE_STDVAR,
    RANGE_STDDEV,
    RANGE_QUANTILE,
    RANGE_FIRST,
    RANGE_LAST,
    RANGE_OPS,
};

enum logql_vector_op {
    VECTOR_SUM,
    VECTOR_AVG,
    VECTOR_MAX,
    VECTOR_MIN,
    VECTOR_COUNT,
    VECTOR_STDDEV,
    VECTOR_STDVAR,
    VECTOR_BOTTOMK,
    VECTOR_TOPK,
    VECTOR_APPROX_TOPK,
    VECTOR_SORT,
    VECTOR_SORT_DESC,
    VECTOR_OPS,
};

enum logql_binop {
    BINOP_OR, BINOP_AND, BINOP_UNLESS,
    BINOP_ADD, BINOP_SUB, BINOP_MUL, BINOP_DIV, BINOP_MOD, BINOP_POW,
    BINOP_EQ, BINOP_NE, BINOP_GT, BINOP_GE, BINOP_LT, BINOP_LE,
    BINOPS,
};
static inline bool logql_binop_is_set(enum logql_binop op) { return op <= BINOP_UNLESS; }
static inline bool logql_binop_compares(enum logql_binop op) { return op >= BINOP_EQ; }

/* As written in a query. Static. */
const char *logql_line_op_text(enum logql_line_op op);
const char *logql_cmp_text(enum logql_cmp cmp);
const char *logql_range_op_text(enum logql_range_op op);
const char *logql_vector_op_text(enum logql_vector_op op);
const char *logql_binop_text(enum logql_binop op);

/* by (...) or without (...); present false: none was written. */
struct logql_grouping {
    bool present, without;
    struct str *names;
    uint32_t n;
};

enum logql_card { LOGQL_ONE_TO_ONE, LOGQL_MANY_TO_ONE /* group_left */, LOGQL_ONE_TO_MANY /* group_right */ };

/* How the series of two vectors find each other. */
struct logql_matching {
    bool present; /* on or ignoring was written */
    bool on;      /* on(names), else ignoring(names) */
    struct str *names;
    uint32_t n;
    enum logql_card card;
    struct str *include; /* group_left(include) */
    uint32_t ninclude;
};

enum logql_kind {
    LOGQL_LOG,           /* streams; everything else is a vector or a number */
    LOGQL_RANGE,         /* rate({...}[5m]) */
    LOGQL_AGGREGATE,     /* sum by (a) (expr) */
    LOGQL_BINARY,        /* l op r; never of two numbers: those are folded */
    LOGQL_NUMBER,
    LOGQL_VECTOR,        /* vector(number) */
    LOGQL_LABEL_REPLACE,
};

struct logql_expr {
    enum logql_kind kind;
    struct logql_span span;
    union {
        struct logql_log log;
        struct {
            enum logql_range_op op;
            struct logql_log log;
            int64_t range_ns, offset_ns; /* the window is (t - offset - range, t - offset] */
            bool has_param;
            double param; /* the quantile */
            struct logql_grouping grouping;
        } range;
        struct {
            enum logql_vector_op op;
            struct logql_expr *expr;
            int64_t k; /* topk and its like; else 0 */
            struct logql_grouping grouping;
        } agg;
        struct {
            enum logql_binop op;
            bool return_bool;
            struct logql_expr *l, *r;
            struct logql_matching matching;
        } binary;
        double number; /* NUMBER, VECTOR */
        struct {
            struct logql_expr *expr;
            struct str dst, replacement, src, pattern;
            struct regex *re; /* of pattern, anchored; of the tree */
        } replace;
    };
};

/* Compiled things of a tree, in the order they were made. */
struct logql_owned {
    struct regex *re;        /* one of the two */
    struct matcher *matcher;
    struct logql_owned *next;
};

struct logql_tree {
    struct str text; /* of the query, in the arena */
    struct logql_expr *root;
    struct logql_owned *owned;
};

/* Frees what is compiled; the rest is the arena's. Leaves it zeroed. NULL is fine. */
void logql_release(struct logql_tree *t);

#endif
