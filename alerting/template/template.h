/*
 * template.h - Go's text/template language, in which labels, annotations and notifications are written: from text to tree.
 *
 * What names a function or a variable is checked while reading, so a text that parses can only fail on its data.
 */
#ifndef ALERTING_TEMPLATE_H
#define ALERTING_TEMPLATE_H

#include "base/base.h"

enum tmpl_kind {
    TMPL_LIST,     /* list: what follows each other */
    TMPL_TEXT,     /* text */
    TMPL_ACTION,   /* list[0]: the pipeline whose value is written */
    TMPL_IF,       /* list[0] the pipeline, list[1] the body, list[2] what else says, or NULL */
    TMPL_RANGE,    /* the same */
    TMPL_WITH,     /* the same */
    TMPL_TEMPLATE, /* text: a name; list[0] the pipeline, or NULL */
    TMPL_BREAK,
    TMPL_CONTINUE,
    TMPL_PIPE,     /* list: commands; names: variables that it declares, or (assigns) sets */
    TMPL_COMMAND,  /* list: a function and its arguments, or one value */
    TMPL_CHAIN,    /* list[0] and the fields of it, in names */
    TMPL_FIELD,    /* names: .a.b of dot */
    TMPL_VARIABLE, /* text: with its $; names: fields of it */
    TMPL_IDENT,    /* text: a function */
    TMPL_DOT,
    TMPL_NIL,
    TMPL_BOOL,   /* text */
    TMPL_NUMBER, /* text, as written */
    TMPL_STRING, /* text, unquoted */
};

struct tmpl_node {
    enum tmpl_kind kind;
    uint32_t pos, line;
    struct str text;
    struct tmpl_node **list;
    uint32_t n;
    struct str *names;
    uint32_t nnames;
    bool assigns;
};

/* {{define}} and {{block}}. */
struct tmpl_define {
    struct str name;
    struct tmpl_node *body;
};

struct tmpl {
    struct tmpl_node *body;
    struct tmpl_define *defines;
    uint32_t ndefines;
};

/* What a text may name, besides the functions that every template has. */
struct tmpl_scope {
    const char *const *functions; /* up to a NULL */
    const char *const *variables; /* with their $, up to a NULL; only outside of {{define}} */
};

/* name: in messages. Everything from a, the text is borrowed. ERR_INVALID: "template: NAME:LINE: ...". */
int tmpl_parse(struct arena *a, const char *name, struct str text, const struct tmpl_scope *scope, struct tmpl *out,
               struct err *e);

/* Those of alerting rules and consoles, as Prometheus has them. */
extern const struct tmpl_scope tmpl_scope_alert;

#endif
