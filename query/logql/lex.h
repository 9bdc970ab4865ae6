/*
 * lex.h - LogQL text to tokens. Private to logql/.
 */
#ifndef LOGQL_LEX_H
#define LOGQL_LEX_H

#include "query/logql/ast.h"

enum lq_tok {
    TOK_EOF,
    TOK_ERROR, /* lexer.error says what; nothing follows */
    TOK_IDENT,
    TOK_OTHER, /* a character that means nothing */
    TOK_STRING, /* val: unquoted */
    TOK_NUMBER,
    TOK_DURATION, /* ns */
    TOK_BYTES,    /* bytes */
    TOK_RANGE,    /* [5m]: ns */
    TOK_FLAG,     /* --strict, --keep-empty */

    /* Functions: words that a bracket follows, or by/without and a bracket. op is the enum. */
    TOK_RANGE_OP,
    TOK_VECTOR_OP,
    TOK_CONV, /* enum logql_unwrap_conv */
    TOK_VECTOR,
    TOK_IP,

    TOK_LBRACE,
    TOK_RBRACE,
    TOK_LPAREN,
    TOK_RPAREN,
    TOK_RBRACKET,
    TOK_COMMA,
    TOK_DOT,
    TOK_EQ,           /* = */
    TOK_NEQ,          /* != */
    TOK_RE,           /* =~ */
    TOK_NRE,          /* !~ */
    TOK_NPA,          /* !> */
    TOK_PIPE,         /* | */
    TOK_PIPE_EXACT,   /* |= */
    TOK_PIPE_MATCH,   /* |~ */
    TOK_PIPE_PATTERN, /* |> */
    TOK_ADD,
    TOK_SUB,
    TOK_MUL,
    TOK_DIV,
    TOK_MOD,
    TOK_POW,
    TOK_CMP_EQ, /* == */
    TOK_GT,
    TOK_GTE,
    TOK_LT,
    TOK_LTE,

    TOK_OR,
    TOK_AND,
    TOK_UNLESS,
    TOK_BY,
    TOK_WITHOUT,
    TOK_BOOL,
    TOK_ON,
    TOK_IGNORING,
    TOK_GROUP_LEFT,
    TOK_GROUP_RIGHT,
    TOK_OFFSET,
    TOK_UNWRAP,
    TOK_LABEL_REPLACE,
    TOK_JSON,
    TOK_LOGFMT,
    TOK_REGEXP,
    TOK_PATTERN,
    TOK_UNPACK,
    TOK_LINE_FORMAT,
    TOK_LABEL_FORMAT,
    TOK_DECOLORIZE,
    TOK_DROP,
    TOK_KEEP,
};

struct lq_token {
    enum lq_tok type;
    uint32_t start, end; /* bytes */
    uint32_t line, col;  /* 1-based, in runes. line 0: of tokens upstream's scanner has lost the line of */
    struct str text;     /* as written */
    struct str val;      /* STRING */
    int op;
    int64_t ns;
    uint64_t bytes;
};

struct lq_lexer {
    struct arena *a; /* of strings and messages */
    struct str text;
    uint32_t pos, line, col;
    struct str error;
};

void lq_lex_init(struct lq_lexer *l, struct arena *a, struct str text);
/* TOK_EOF for ever at the end. Comments are skipped. */
struct lq_token lq_lex_next(struct lq_lexer *l);
/* As error texts name a token: STRING, $end, ), RATE. From a. */
struct str lq_token_name(struct arena *a, const struct lq_token *t);
/* The value of a token's text as a Go float. */
bool lq_token_number(const struct lq_token *t, double *v);

#endif
