/*
 * parse.h - the parser's inside. Private to promql/.
 *
 * Upstream's parser is generated from an LALR grammar with error productions, and its error texts are part of the
 * language people know. Ours descends by hand, and follows the same rules after a mistake:
 *
 * (1) A token that fits nowhere in the present state makes the parser unwind to the nearest place that has an error
 *     production (a list of labels, an offset, an aggregation, at last the whole query). That place reports and goes
 * on. (2) Until three tokens have been taken after that, a token that does not fit is dropped in silence. (3) Types are
 * checked only when the text was without fault.
 */
#ifndef PROMQL_PARSE_H
#define PROMQL_PARSE_H

#include "query/exec/exec.h"
#include "query/promql/ast.h"
#include "query/promql/lex.h"

enum {
    PQ_TEXT_MAX = 1024 * 1024, /* bytes of a query */
    PQ_NEST_MAX = 1000,        /* brackets, calls, unary operators within each other */
    PQ_TREE_MAX = 3000,        /* levels of the tree: everything after us may recurse */
};

struct parser {
    struct arena *a;
    struct str text;
    struct lexer lex;
    struct token tok; /* read by pq_cur() when have is set */
    bool have;
    uint32_t last_closing; /* end of the last closing bracket, number or duration taken */
    uint32_t last_end;     /* end of the last token taken */
    int errflag;           /* tokens to take until an error counts as new */
    bool unwinding, aborted;
    unsigned depth;
    struct promql_parse_error *errors;
    uint32_t nerrors, errors_cap;
    struct query *q;         /* whose text it is, or NULL */
    struct err stopped;      /* why q had to stop; code 0: it had not */
    struct node **selectors; /* all made, for release */
    uint32_t nselectors, selectors_cap;
};

/* parse.c: tokens and errors */
struct token *pq_cur(struct parser *p);
static inline bool at(struct parser *p, enum tok t)
{
    return !p->unwinding && pq_cur(p)->type == t;
}
struct token pq_shift(struct parser *p);
/* Takes t if it is there. */
bool pq_take(struct parser *p, enum tok t);
/* The current token does not fit: true when it was dropped (try again), false when the parser unwinds now. */
bool pq_stuck(struct parser *p);
/* Takes t, or unwinds. */
bool pq_expect(struct parser *p, enum tok t);
/* In a place with an error production: true when it takes the error, which is then reported. */
bool pq_caught(struct parser *p, const char *context, const char *expected);
void pq_error(struct parser *p, uint32_t start, uint32_t end, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void pq_error_str(struct parser *p, uint32_t start, uint32_t end, struct str msg);
/* "q" of s, in the arena, for add_error's %s. */
const char *pq_quoted(struct parser *p, struct str s);
/* false (and unwinding) when brackets go too deep. Pair it with pq_leave(). */
bool pq_enter(struct parser *p);
void pq_leave(struct parser *p);
/* Reports it and unwinds for good; NULL. */
struct node *pq_too_deep(struct parser *p);
struct node *pq_node_new(struct parser *p, enum node_kind kind, enum promql_type type, uint32_t start, uint32_t end);

/* parse.c: expressions. NULL when unwinding. */
struct node *pq_parse_expr(struct parser *p); /* with everything that may follow, up to a token that ends it */
struct node *pq_parse_more(struct parser *p, struct node *lhs);
double pq_token_number(struct parser *p, const struct token *t, bool *as_duration);

/* parse_call.c */
struct node *pq_parse_call(struct parser *p, struct token name);
struct node *pq_parse_aggregate(struct parser *p, struct token op);
void pq_parse_grouping(struct parser *p, struct str **out, uint32_t *n);
bool pq_parse_matching(struct parser *p, struct vector_matching *m, bool *return_bool);

/* parse_selector.c */
struct node *pq_parse_selector(struct parser *p, const struct token *name); /* name NULL: braces come */
struct node *pq_parse_postfix(struct parser *p, struct node *e);

/* parse_dur.c */
struct dur *pq_parse_dur(struct parser *p);
struct dur *pq_parse_dur_offset(struct parser *p);
bool pq_starts_dur(enum tok t);

/* check.c */
void pq_check(struct parser *p, struct node *n);

#endif
