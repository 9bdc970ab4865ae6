/*
 * lex.h - tokens of a template in Go's text/template language. Private to base/template.
 *
 * White space inside an action is a token: `$x .f` and `$x.f` are different things.
 */
#ifndef TEMPLATE_LEX_H
#define TEMPLATE_LEX_H

#include "base/base.h"

enum tmpl_token_type {
    TT_ERROR, /* val is the sentence */
    TT_EOF,
    TT_TEXT,  /* between actions, trimmed as the markers beside it say */
    TT_LEFT,
    TT_RIGHT,
    TT_SPACE,
    TT_ASSIGN,
    TT_DECLARE,
    TT_PIPE,
    TT_CHAR,   /* any other printable sign: , */
    TT_STRING, /* with its quotes */
    TT_RAW_STRING,
    TT_CHAR_CONSTANT,
    TT_NUMBER,
    TT_BOOL,
    TT_VARIABLE, /* $ or $name */
    TT_FIELD,    /* .name */
    TT_DOT,
    TT_IDENTIFIER,
    TT_LPAREN,
    TT_RPAREN,
    /* Words with a meaning; all from here on are. */
    TT_BLOCK,
    TT_BREAK,
    TT_CONTINUE,
    TT_DEFINE,
    TT_ELSE,
    TT_END,
    TT_IF,
    TT_NIL,
    TT_RANGE,
    TT_TEMPLATE,
    TT_WITH,
};

struct tmpl_token {
    enum tmpl_token_type type;
    struct str val; /* borrowed from the text; of errors from the arena */
    uint32_t pos, line;
};

struct tmpl_lexer {
    struct arena *a;
    struct str text;
    size_t at;
    uint32_t line;
    unsigned parens;
    bool inside;    /* an action */
    bool trim_left; /* the action before ended in a trim marker */
};

struct tmpl_token tmpl_lex_next(struct tmpl_lexer *x);

#endif
