/*
 * lex.h - PromQL text to tokens. Private to promql/.
 */
#ifndef PROMQL_LEX_H
#define PROMQL_LEX_H

#include "query/promql/ast.h"

enum tok {
    T_EOF,
    T_ERROR, /* val is the message; nothing follows */
    T_IDENT,
    T_METRIC_IDENT,
    T_STRING, /* with its quotes */
    T_NUMBER,
    T_DURATION,
    T_LPAREN,
    T_RPAREN,
    T_LBRACE,
    T_RBRACE,
    T_LBRACKET,
    T_RBRACKET,
    T_COMMA,
    T_EQL,
    T_COLON,

    T_OPERATORS, /* --- operators, and shown as such */
    T_ADD,
    T_SUB,
    T_MUL,
    T_DIV,
    T_MOD,
    T_POW,
    T_EQLC,
    T_NEQ,
    T_LSS,
    T_LTE,
    T_GTR,
    T_GTE,
    T_TRIM_UPPER,
    T_TRIM_LOWER,
    T_EQL_REGEX,
    T_NEQ_REGEX,
    T_LAND,
    T_LOR,
    T_LUNLESS,
    T_ATAN2,
    T_AT,

    T_AGGREGATORS, /* --- in the order of enum agg_op */
    T_SUM,
    T_AVG,
    T_COUNT,
    T_MIN,
    T_MAX,
    T_GROUP,
    T_STDDEV,
    T_STDVAR,
    T_TOPK,
    T_BOTTOMK,
    T_COUNT_VALUES,
    T_QUANTILE,
    T_LIMITK,
    T_LIMIT_RATIO,

    T_KEYWORDS, /* --- */
    T_OFFSET,
    T_SMOOTHED,
    T_ANCHORED,
    T_BY,
    T_WITHOUT,
    T_ON,
    T_IGNORING,
    T_GROUP_LEFT,
    T_GROUP_RIGHT,
    T_FILL,
    T_FILL_LEFT,
    T_FILL_RIGHT,
    T_BOOL,

    T_PREPROCESSORS, /* --- words that may stand before "()" */
    T_START,
    T_END,
    T_STEP,
    T_RANGE,
    T_MAX_OF,
    T_MIN_OF,
    T_MAX_TOKEN
};

struct token {
    enum tok type;
    uint32_t pos;
    struct str val;
};

enum lex_state { LEX_STATEMENTS, LEX_BRACES, LEX_DURATION, LEX_STRING, LEX_RAW_STRING, LEX_DONE };

struct lexer {
    struct arena *a; /* of messages */
    struct str text;
    uint32_t start, pos, width; /* of the token; of the last rune */
    enum lex_state state;
    int64_t paren_depth;
    bool brace_open, bracket_open, got_colon, got_duration, scanned;
    uint32_t string_open;
    struct token out;
};

void pq_lex_init(struct lexer *l, struct arena *a, struct str text);
/* The next token; T_EOF for ever at the end. Comments are skipped. */
struct token pq_lex_next(struct lexer *l);

static inline bool tok_is_operator(enum tok t)
{
    return t > T_OPERATORS && t < T_AGGREGATORS;
}
static inline bool tok_is_aggregator(enum tok t)
{
    return t > T_AGGREGATORS && t < T_KEYWORDS;
}
static inline bool tok_is_keyword(enum tok t)
{
    return t > T_KEYWORDS && t < T_PREPROCESSORS;
}

/* As error texts name a token: identifier "x", <op:+>, ")", end of input. */
void pq_describe(struct buf *out, const struct token *t);

/*
 * The value of a T_NUMBER's text. false, and *why in Go's words, when it is not one (then *v is what Go gives back).
 * From a.
 */
bool pq_number(struct arena *a, struct str text, double *v, struct str *why);
/* Seconds of a T_DURATION's text, or false and *why. From a. */
bool pq_duration(struct arena *a, struct str text, double *seconds, struct str *why);
/* The bytes of a T_STRING's text. From a. */
struct str pq_unquote(struct arena *a, struct str text);

#endif
