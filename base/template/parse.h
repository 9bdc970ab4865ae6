/* parse.h - what the two halves of the parser share. Private to base/template. */
#ifndef TEMPLATE_PARSE_H
#define TEMPLATE_PARSE_H

#include "base/template/lex.h"
#include "base/template/template.h"
#include "base/template/unquote.h"

enum { TMPL_PARSE_DEPTH_MAX = 500, TMPL_PUSHED_MAX = 3 };

/* A variable in scope. */
struct tmpl_var {
    struct str name;
    uint32_t slot; /* TMPL_NO_SLOT: it was set without having been declared */
};

#define TMPL_NO_SLOT UINT32_MAX

struct tmpl_parser {
    struct arena *a;
    const char *name;
    const struct tmpl_scope *scope;
    struct tmpl *out;
    struct tmpl_lexer lex;
    struct tmpl_token pushed[TMPL_PUSHED_MAX];
    unsigned npushed;
    struct tmpl_var *vars; /* in scope, innermost last */
    uint32_t nvars, vars_cap;
    uint32_t nslots, slots_max; /* of this body: in use, and at most */
    bool in_define;
    unsigned ranges, depth;
    uint32_t line; /* of the token taken last */
    struct err *e;
    bool failed;
};

/* All return NULL, having said what is wrong if nothing was said before. */
__attribute__((format(printf, 2, 3))) struct tmpl_node *tmpl_fault(struct tmpl_parser *p, const char *fmt, ...);
struct tmpl_node *tmpl_unexpected(struct tmpl_parser *p, const struct tmpl_token *t, const char *context);

const char *tmpl_quoted(struct tmpl_parser *p, struct str s);
struct tmpl_token tmpl_next(struct tmpl_parser *p);
void tmpl_back(struct tmpl_parser *p, struct tmpl_token t);
/* The same, without white space. */
struct tmpl_token tmpl_next_word(struct tmpl_parser *p);
struct tmpl_token tmpl_peek_word(struct tmpl_parser *p);

struct tmpl_node *tmpl_node_new(struct tmpl_parser *p, enum tmpl_kind kind, const struct tmpl_token *t);
void tmpl_append(struct tmpl_parser *p, struct tmpl_node *n, struct tmpl_node *child);
/* One level deeper; false after a fault. Whoever entered takes the level back. */
bool tmpl_enter(struct tmpl_parser *p);

/* A variable with a slot of its own, which is returned. */
uint32_t tmpl_declare(struct tmpl_parser *p, struct str name);
void tmpl_push_var(struct tmpl_parser *p, struct str name, uint32_t slot);

/* parse_pipe.c: commands up to `end`, which is taken. */
struct tmpl_node *tmpl_parse_pipeline(struct tmpl_parser *p, const char *context, enum tmpl_token_type end);

#endif
