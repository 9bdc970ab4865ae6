/*
 * parse.h - the parser's inside. Private to logql/.
 *
 * (1) A token that does not fit ends the parse at once, with its place. What fits the grammar and means nothing (a quantile
 *     of a sum, two literals joined by `or`) is noted, the first such, and reported when the whole text has been read
 *     without the other kind; so do upstream's texts come out.
 * (2) No recursion is deeper than LQ_NEST_MAX, and no chain of operators or filters longer than LQ_CHAIN_MAX: everything
 *     after the parser may recurse over the tree.
 */
#ifndef LOGQL_PARSE_H
#define LOGQL_PARSE_H

#include "query/logql/lex.h"

enum {
    LQ_TEXT_MAX = 128 * 1024, /* bytes of a query */
    LQ_NEST_MAX = 250,        /* brackets, aggregations, right operands within each other */
    LQ_CHAIN_MAX = 2000,      /* binary operators of a query, and as many of its label filters */
};

struct lq_parser {
    struct arena *a;
    struct str text;
    struct lq_lexer lex;
    struct lq_token tok, after; /* the one at hand and, if have_after, the next */
    bool have_after;
    uint32_t last_end; /* of the token taken last */
    struct logql_tree *tree;
    struct logql_owned **owned_tail;
    bool failed;
    struct err error; /* of a token that does not fit */
    struct err sense; /* of what means nothing; code 0: none yet */
    unsigned depth, operators, filters;
};

/* parse.c: tokens, errors, things owned */
static inline bool lq_at(const struct lq_parser *p, enum lq_tok t)
{
    return !p->failed && p->tok.type == t;
}
struct lq_token lq_take(struct lq_parser *p);
bool lq_accept(struct lq_parser *p, enum lq_tok t);
/* Takes t or fails with "unexpected X, expecting WHAT". */
bool lq_expect(struct lq_parser *p, enum lq_tok t, const char *what);
/* The token behind the one at hand. */
const struct lq_token *lq_peek(struct lq_parser *p);
/* The token at hand does not fit. what may be NULL. False. */
bool lq_unexpected(struct lq_parser *p, const char *what);
void lq_nonsense(struct lq_parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool lq_enter(struct lq_parser *p);
void lq_leave(struct lq_parser *p);
/* Makes room for one more in an array of n, in the arena. */
void *lq_grow(struct lq_parser *p, void *v, uint32_t n, size_t size);
/* Compiles; a fault is nonsense and gives NULL. Owned by the tree. */
struct regex *lq_regex(struct lq_parser *p, struct str pattern, unsigned flags);
/* The same, and a fault is the caller's to word. */
struct regex *lq_try_regex(struct lq_parser *p, struct str pattern, unsigned flags, struct err *e);
bool lq_matcher(struct lq_parser *p, enum match_op op, struct str name, struct str value, struct matcher *out);
void lq_own_matcher(struct lq_parser *p, struct matcher *m);
/* A word or, of a sign and a number, its value. */
bool lq_ident(struct lq_parser *p, struct str *out, const char *what);
bool lq_string(struct lq_parser *p, struct str *out);
bool lq_number(struct lq_parser *p, double *v);

/* parse.c: expressions. NULL when failed. */
struct logql_expr *lq_parse_expr(struct lq_parser *p, unsigned min_power);
struct logql_expr *lq_expr_new(struct lq_parser *p, enum logql_kind kind, uint32_t start);

/* parse_metric.c */
struct logql_expr *lq_parse_range(struct lq_parser *p);
struct logql_expr *lq_parse_aggregate(struct lq_parser *p);
struct logql_expr *lq_parse_replace(struct lq_parser *p);
bool lq_parse_names(struct lq_parser *p, struct str **names, uint32_t *n);

/* parse_log.c */
bool lq_parse_selector(struct lq_parser *p, struct logql_log *out);
/* Stages up to a token that begins none; unwrap where metric. */
bool lq_parse_stages(struct lq_parser *p, struct logql_log *log, bool metric);
bool lq_starts_stage(const struct lq_parser *p);

/* parse_stage.c: behind the bar, the word at hand */
bool lq_parse_stage(struct lq_parser *p, struct logql_stage *st, bool metric);
bool lq_parse_line_filter(struct lq_parser *p, struct logql_stage *st);

/* check.c */
/* Some = or =~ has to refuse the empty string. */
bool lq_check_matchers(const struct matcher *m, uint32_t n);
extern const char lq_empty_matchers[];
/* Which parameters, groupings and unwraps go with which operation. */
void lq_check_range(struct lq_parser *p, const struct logql_expr *n, const struct lq_token *param);
void lq_check_aggregate(struct lq_parser *p, struct logql_expr *n, const struct lq_token *param);
void lq_check_formats(struct lq_parser *p, const struct logql_label_fmt *v, uint32_t n);
void lq_check_captures(struct lq_parser *p, const struct regex *re);
/* What has to hold for the tree as a whole. */
void lq_check(struct lq_parser *p, const struct logql_expr *n);

/* parse_filter.c */
struct logql_label_filter *lq_parse_filter(struct lq_parser *p);

#endif
