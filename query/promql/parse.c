/* parse.c - see parse.h. Tokens, errors, and expressions by precedence (Pratt). */
#include "query/promql/parse.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* --- errors ---------------------------------------------------------------------------------------- */

void pq_error_str(struct parser *p, uint32_t start, uint32_t end, struct str msg)
{
    if (p->nerrors == p->errors_cap) {
        uint32_t cap = p->errors_cap ? p->errors_cap * 2 : 8;
        struct promql_parse_error *v = arena_array(p->a, struct promql_parse_error, cap);

        if (p->nerrors)
            memcpy(v, p->errors, p->nerrors * sizeof *v);
        p->errors = v;
        p->errors_cap = cap;
    }
    p->errors[p->nerrors++] = (struct promql_parse_error){msg, start, end};
}

void pq_error(struct parser *p, uint32_t start, uint32_t end, const char *fmt, ...)
{
    char small[512];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if ((size_t)n >= sizeof small) {
        char *big = arena_alloc(p->a, (size_t)n + 1);

        va_start(ap, fmt);
        vsnprintf(big, (size_t)n + 1, fmt, ap);
        va_end(ap);
        pq_error_str(p, start, end, str_n(big, (size_t)n));
        return;
    }
    pq_error_str(p, start, end, arena_dup(p->a, str_n(small, (size_t)n)));
}

const char *pq_quoted(struct parser *p, struct str s)
{
    struct buf b = {0};
    struct str out;

    buf_put_quoted(&b, s);
    out = arena_dup(p->a, buf_str(&b));
    buf_release(&b);
    return out.p;
}

/* --- tokens ---------------------------------------------------------------------------------------- */

struct token *pq_cur(struct parser *p)
{
    if (!p->have) {
        p->tok = pq_lex_next(&p->lex);
        p->have = true;
        if (p->tok.type == T_ERROR)
            pq_error_str(p, p->lex.start, (uint32_t)p->text.n, p->tok.val);
    }
    return &p->tok;
}

struct token pq_shift(struct parser *p)
{
    struct token t = *pq_cur(p);

    assert(t.type != T_ERROR && t.type != T_EOF);
    p->have = false;
    if (p->errflag > 0)
        p->errflag--;
    p->last_end = t.pos + (uint32_t)t.val.n;
    if (t.type == T_RPAREN || t.type == T_RBRACE || t.type == T_RBRACKET || t.type == T_NUMBER || t.type == T_DURATION)
        p->last_closing = p->last_end;
    return t;
}

bool pq_take(struct parser *p, enum tok t)
{
    if (!at(p, t))
        return false;
    pq_shift(p);
    return true;
}

bool pq_stuck(struct parser *p)
{
    if (p->unwinding)
        return false;
    if (p->errflag < 3) {
        p->errflag = 3;
        p->unwinding = true;
        return false;
    }
    if (pq_cur(p)->type == T_EOF || pq_cur(p)->type == T_ERROR) {
        p->aborted = p->unwinding = true;
        return false;
    }
    p->have = false;
    return true;
}

bool pq_expect(struct parser *p, enum tok t)
{
    while (!at(p, t))
        if (!pq_stuck(p))
            return false;
    pq_shift(p);
    return true;
}

bool pq_caught(struct parser *p, const char *context, const char *expected)
{
    const struct token *t;
    struct buf b = {0};

    if (!p->unwinding || p->aborted)
        return false;
    p->unwinding = false;
    t = pq_cur(p);
    if (t->type == T_ERROR) /* said already */
        return true;
    buf_putz(&b, "unexpected ");
    pq_describe(&b, t);
    if (context)
        buf_printf(&b, " in %s", context);
    if (expected)
        buf_printf(&b, ", expected %s", expected);
    pq_error_str(p, t->pos, t->pos + (uint32_t)t->val.n, arena_dup(p->a, buf_str(&b)));
    buf_release(&b);
    return true;
}

bool pq_enter(struct parser *p)
{
    if (p->unwinding)
        return false;
    if (++p->depth <= PQ_NEST_MAX)
        return true;
    p->depth--;
    pq_too_deep(p);
    return false;
}

struct node *pq_too_deep(struct parser *p)
{
    pq_error(p, p->last_end, p->last_end, "expression is nested deeper than %d levels", PQ_NEST_MAX);
    p->aborted = p->unwinding = true;
    return NULL;
}

void pq_leave(struct parser *p)
{
    p->depth--;
}

struct node *pq_node_new(struct parser *p, enum node_kind kind, enum promql_type type, uint32_t start, uint32_t end)
{
    struct node *n = arena_new(p->a, struct node);

    n->kind = kind;
    n->type = type;
    n->start = start;
    n->end = end;
    return n;
}

/* --- operands -------------------------------------------------------------------------------------- */

/* The worth of a T_NUMBER or T_DURATION; faults are reported and give what Go would give. */
double pq_token_number(struct parser *p, const struct token *t, bool *as_duration)
{
    struct str why;
    double v = 0;

    *as_duration = t->type == T_DURATION;
    if (!(*as_duration ? pq_duration(p->a, t->val, &v, &why) : pq_number(p->a, t->val, &v, &why)))
        pq_error_str(p, t->pos, t->pos + (uint32_t)t->val.n, why);
    return v;
}

static struct node *parse_number(struct parser *p)
{
    struct token t = pq_shift(p);
    struct node *n = pq_node_new(p, N_NUMBER, PQ_SCALAR, t.pos, p->last_end);

    n->number.v = pq_token_number(p, &t, &n->number.as_duration);
    return n;
}

static struct node *parse_string(struct parser *p)
{
    struct token t = pq_shift(p);
    struct node *n = pq_node_new(p, N_STRING, PQ_STRING, t.pos, p->last_end);

    n->string = pq_unquote(p->a, t.val);
    return n;
}

static struct node *parse_paren(struct parser *p)
{
    struct token open = pq_shift(p);
    struct node *n, *child;

    if (!pq_enter(p))
        return NULL;
    child = pq_parse_expr(p);
    while (child && !at(p, T_RPAREN)) /* (2): what was dropped may have stood before an operator */
        child = pq_stuck(p) ? pq_parse_more(p, child) : NULL;
    pq_leave(p);
    if (!child)
        return NULL;
    pq_shift(p);
    n = pq_node_new(p, N_PAREN, child->type, open.pos, p->last_end);
    n->child = child;
    return n;
}

/* Words that may stand for a metric where an operand is expected. */
static bool names_metric(enum tok t)
{
    if (t == T_IDENT || t == T_METRIC_IDENT || tok_is_aggregator(t) || (t > T_PREPROCESSORS && t < T_MAX_TOKEN))
        return true;
    if (tok_is_keyword(t))
        return t != T_BOOL && t != T_ON && t != T_IGNORING && t != T_GROUP_LEFT && t != T_GROUP_RIGHT;
    return t == T_LAND || t == T_LOR || t == T_LUNLESS;
}

static struct node *parse_word(struct parser *p)
{
    struct token t = pq_shift(p);

    if (tok_is_aggregator(t.type) && (at(p, T_LPAREN) || at(p, T_BY) || at(p, T_WITHOUT)))
        return pq_parse_aggregate(p, t);
    if ((t.type == T_IDENT || (t.type > T_PREPROCESSORS && t.type < T_MAX_TOKEN)) && at(p, T_LPAREN))
        return pq_parse_call(p, t);
    return pq_parse_selector(p, &t);
}

static struct node *parse_operand(struct parser *p)
{
    do {
        switch (pq_cur(p)->type) {
        case T_NUMBER:
        case T_DURATION:
            return parse_number(p);
        case T_STRING:
            return parse_string(p);
        case T_LPAREN:
            return parse_paren(p);
        case T_LBRACE:
            return pq_parse_selector(p, NULL);
        default:
            if (names_metric(pq_cur(p)->type))
                return parse_word(p);
        }
    } while (pq_stuck(p));
    return NULL;
}

/* --- operators ------------------------------------------------------------------------------------- */

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MUL, LEVEL_POW };

static const struct {
    enum promql_op op;
    int level;
} binary[T_MAX_TOKEN] = {
    [T_LOR] = {OP_OR, LEVEL_OR},
    [T_LAND] = {OP_AND, LEVEL_AND},
    [T_LUNLESS] = {OP_UNLESS, LEVEL_AND},
    [T_EQLC] = {OP_EQ, LEVEL_COMPARE},
    [T_NEQ] = {OP_NE, LEVEL_COMPARE},
    [T_LSS] = {OP_LT, LEVEL_COMPARE},
    [T_LTE] = {OP_LE, LEVEL_COMPARE},
    [T_GTR] = {OP_GT, LEVEL_COMPARE},
    [T_GTE] = {OP_GE, LEVEL_COMPARE},
    [T_TRIM_UPPER] = {OP_TRIM_UPPER, LEVEL_COMPARE},
    [T_TRIM_LOWER] = {OP_TRIM_LOWER, LEVEL_COMPARE},
    [T_ADD] = {OP_ADD, LEVEL_ADD},
    [T_SUB] = {OP_SUB, LEVEL_ADD},
    [T_MUL] = {OP_MUL, LEVEL_MUL},
    [T_DIV] = {OP_DIV, LEVEL_MUL},
    [T_MOD] = {OP_MOD, LEVEL_MUL},
    [T_ATAN2] = {OP_ATAN2, LEVEL_MUL},
    [T_POW] = {OP_POW, LEVEL_POW},
};

static struct node *parse_level(struct parser *p, int level);
static struct node *parse_binaries(struct parser *p, struct node *lhs, int level);

/* A sign binds like '*': tighter than '+', looser than '^'. Before a number it becomes part of it. */
static struct node *parse_unary(struct parser *p)
{
    struct token sign = pq_shift(p);
    struct node *e = NULL, *n;

    if (pq_enter(p)) {
        e = parse_level(p, LEVEL_POW);
        pq_leave(p);
    }
    if (!e)
        return NULL;
    if (e->kind == N_NUMBER) {
        if (sign.type == T_SUB)
            e->number.v = -e->number.v;
        e->start = sign.pos;
        return e;
    }
    n = pq_node_new(p, N_UNARY, e->type, sign.pos, e->end);
    n->unary.op = sign.type == T_SUB ? OP_SUB : OP_ADD;
    n->unary.expr = e;
    return n;
}

static struct node *parse_binary(struct parser *p, struct node *lhs)
{
    struct token op = pq_shift(p);
    struct vector_matching *m = arena_new(p->a, struct vector_matching);
    int level = binary[op.type].level;
    bool return_bool = false;
    struct node *rhs = NULL, *n;

    if (pq_parse_matching(p, m, &return_bool) && pq_enter(p)) {
        rhs = parse_level(p, op.type == T_POW ? level : level + 1);
        pq_leave(p);
    }
    if (!rhs)
        return NULL;
    n = pq_node_new(p, N_BINARY, PQ_VECTOR, lhs->start, rhs->end);
    if (lhs->type == PQ_SCALAR && rhs->type == PQ_SCALAR)
        n->type = PQ_SCALAR;
    n->binary.op = binary[op.type].op;
    n->binary.l = lhs;
    n->binary.r = rhs;
    n->binary.return_bool = return_bool;
    n->binary.matching = m;
    return n;
}

static struct node *parse_binaries(struct parser *p, struct node *lhs, int level)
{
    while (lhs && !p->unwinding && binary[pq_cur(p)->type].level >= level && binary[pq_cur(p)->type].level > 0)
        lhs = parse_binary(p, lhs);
    return p->unwinding ? NULL : lhs;
}

static struct node *parse_level(struct parser *p, int level)
{
    struct node *lhs;

    if (at(p, T_ADD) || at(p, T_SUB)) {
        lhs = parse_unary(p);
    } else {
        lhs = parse_operand(p);
        lhs = lhs ? pq_parse_postfix(p, lhs) : NULL;
    }
    return parse_binaries(p, lhs, level);
}

struct node *pq_parse_expr(struct parser *p)
{
    return parse_level(p, LEVEL_OR);
}

/* After a token was dropped behind lhs: whatever now can follow it. */
struct node *pq_parse_more(struct parser *p, struct node *lhs)
{
    lhs = pq_parse_postfix(p, lhs);
    return parse_binaries(p, lhs, LEVEL_OR);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static struct node *parse_query(struct parser *p)
{
    struct node *n;

    if (at(p, T_EOF)) {
        pq_error(p, 0, 0, "no expression found in input");
        return NULL;
    }
    n = pq_parse_expr(p);
    while (n && !at(p, T_EOF) && pq_stuck(p))
        ;
    if (pq_caught(p, NULL, NULL))
        while (pq_cur(p)->type != T_EOF &&
               pq_cur(p)->type != T_ERROR) /* what the lexer still finds wrong is told too */
            p->have = false;
    return n;
}

static void release_selectors(struct parser *p)
{
    for (uint32_t i = 0; i < p->nselectors; i++) {
        struct node *n = p->selectors[i];

        for (uint32_t k = 0; k < n->selector.nmatchers; k++)
            matcher_release(&n->selector.matchers[k]);
        n->selector.nmatchers = 0;
    }
}

static int first_error(const struct parser *p, struct err *e)
{
    const struct promql_parse_error *first = &p->errors[0];
    unsigned line, col;

    if (p->text.n == 0)
        return err_set(e, ERR_INVALID, "unknown position: parse error: %.*s", STR_ARG(first->msg));
    promql_position(p->text, first->start, &line, &col);
    return err_set(e, ERR_INVALID, "%u:%u: parse error: %.*s", line, col, STR_ARG(first->msg));
}

static int parse_text(struct query *q, struct arena *a, struct str text, struct node **out, struct promql_parse_error **errors,
                      uint32_t *nerrors, struct err *e)
{
    struct parser p = {.a = a, .text = text, .q = q};
    struct node *n = NULL;

    if (text.n > PQ_TEXT_MAX) {
        pq_error(&p, 0, 0, "query of %zu bytes is longer than the limit of %d bytes", text.n, PQ_TEXT_MAX);
    } else {
        pq_lex_init(&p.lex, a, text);
        n = parse_query(&p);
        if (p.nerrors == 0)
            pq_check(&p, n);
    }
    if (errors) {
        *errors = p.errors;
        *nerrors = p.nerrors;
    }
    if (p.nerrors) {
        release_selectors(&p);
        if (p.stopped.code == 0 && q)
            (void)query_check(q, "parsing", &p.stopped); /* a pattern may have been given up for that reason */
        if (p.stopped.code < 0) {
            *e = p.stopped;
            return e->code;
        }
        return first_error(&p, e);
    }
    assert(n && !p.unwinding);
    *out = n;
    return 0;
}

int promql_parse(struct arena *a, struct str text, struct node **out, struct promql_parse_error **errors, uint32_t *nerrors, struct err *e)
{
    return parse_text(NULL, a, text, out, errors, nerrors, e);
}

int promql_parse_query(struct query *q, struct node **out, struct err *e)
{
    return parse_text(q, &q->arena, q->text, out, NULL, NULL, e);
}

int promql_parse_matchers(struct arena *a, struct str text, struct matcher **out, uint32_t *n, struct err *e)
{
    struct parser p = {.a = a, .text = text};
    struct node *s = NULL;

    if (text.n > PQ_TEXT_MAX) {
        pq_error(&p, 0, 0, "selector of %zu bytes is longer than the limit of %d bytes", text.n, PQ_TEXT_MAX);
    } else {
        pq_lex_init(&p.lex, a, text);
        if (at(&p, T_LBRACE)) {
            s = pq_parse_selector(&p, NULL);
        } else if (names_metric(pq_cur(&p)->type)) {
            struct token name = pq_shift(&p);

            s = pq_parse_selector(&p, &name);
        } else {
            pq_stuck(&p);
        }
        while (s && !at(&p, T_EOF) && pq_stuck(&p))
            ;
        pq_caught(&p, NULL, NULL);
    }
    if (p.nerrors) {
        release_selectors(&p);
        return first_error(&p, e);
    }
    for (uint32_t i = 0; i < s->selector.nmatchers; i++)
        if (!matcher_matches(&s->selector.matchers[i], STR(""))) {
            *out = s->selector.matchers;
            *n = s->selector.nmatchers;
            return 0;
        }
    release_selectors(&p);
    return err_set(e, ERR_INVALID, "match[] must contain at least one non-empty matcher");
}
