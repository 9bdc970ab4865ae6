/*
 * parse.c - from tokens to a tree: the parser's frame, and expressions by binding power.
 *
 * (1) Whatever is compiled on the way hangs on the tree's list at once, so a parse that fails frees it as one that
 *     succeeds does.
 */
#include "query/logql/parse.h"

#include "query/logql/logql.h"
#include "query/logql/units.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- tokens ----------------------------------------------------------------------------------- */

static void set_error(struct lq_parser *p, uint32_t line, uint32_t col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void set_error(struct lq_parser *p, uint32_t line, uint32_t col, const char *fmt, ...)
{
    char text[900];
    va_list ap;

    if (p->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->failed = true;
    if (line || col)
        err_set(&p->error, ERR_INVALID, "parse error at line %u, col %u: %s", line, col, text);
    else
        err_set(&p->error, ERR_INVALID, "parse error : %s", text);
}

static void note_lexer_error(struct lq_parser *p, const struct lq_token *t)
{
    if (t->type == TOK_ERROR)
        set_error(p, t->line, t->col, "%.*s", STR_ARG(p->lex.error));
}

struct lq_token lq_take(struct lq_parser *p)
{
    struct lq_token t = p->tok;

    p->last_end = t.end;
    p->tok = p->have_after ? p->after : lq_lex_next(&p->lex);
    p->have_after = false;
    note_lexer_error(p, &p->tok);
    return t;
}

const struct lq_token *lq_peek(struct lq_parser *p)
{
    if (!p->have_after)
        p->after = lq_lex_next(&p->lex);
    p->have_after = true;
    return &p->after;
}

bool lq_accept(struct lq_parser *p, enum lq_tok t)
{
    if (!lq_at(p, t))
        return false;
    lq_take(p);
    return true;
}

bool lq_unexpected(struct lq_parser *p, const char *what)
{
    struct str name = lq_token_name(p->a, &p->tok);

    set_error(p, p->tok.line, p->tok.col, "syntax error: unexpected %.*s%s%s", STR_ARG(name), what ? ", expecting " : "",
              what ? what : "");
    return false;
}

bool lq_expect(struct lq_parser *p, enum lq_tok t, const char *what)
{
    return lq_accept(p, t) || lq_unexpected(p, what);
}

void lq_nonsense(struct lq_parser *p, const char *fmt, ...)
{
    char text[900];
    va_list ap;

    if (p->sense.code)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(&p->sense, ERR_INVALID, "parse error : %s", text);
}

bool lq_enter(struct lq_parser *p)
{
    if (++p->depth > LQ_NEST_MAX)
        set_error(p, p->tok.line, p->tok.col, "nested deeper than %d", LQ_NEST_MAX);
    return !p->failed;
}

void lq_leave(struct lq_parser *p)
{
    p->depth--;
}

void *lq_grow(struct lq_parser *p, void *v, uint32_t n, size_t size)
{
    void *more;

    if (n & (n - 1))
        return v;
    more = arena_zalloc(p->a, (n ? 2 * (size_t)n : 1) * size);
    if (n)
        memcpy(more, v, n * size);
    return more;
}

bool lq_ident(struct lq_parser *p, struct str *out, const char *what)
{
    if (!lq_at(p, TOK_IDENT))
        return lq_unexpected(p, what);
    *out = lq_take(p).text;
    return true;
}

bool lq_string(struct lq_parser *p, struct str *out)
{
    if (!lq_at(p, TOK_STRING))
        return lq_unexpected(p, "STRING");
    *out = lq_take(p).val;
    return true;
}

bool lq_number(struct lq_parser *p, double *v)
{
    bool minus = lq_at(p, TOK_SUB);
    struct lq_token t;

    if (minus || lq_at(p, TOK_ADD))
        lq_take(p);
    if (!lq_at(p, TOK_NUMBER))
        return lq_unexpected(p, "NUMBER");
    t = lq_take(p);
    *v = 0;
    if (!lq_token_number(&t, v))
        lq_nonsense(p, "unable to parse literal as a float: strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
                    STR_ARG(str_head(t.text, 100)));
    if (minus)
        *v = -*v;
    return true;
}

/* --- what is compiled ------------------------------------------------------------------------- */

static struct logql_owned *own(struct lq_parser *p)
{
    struct logql_owned *o = arena_new(p->a, struct logql_owned);

    *p->owned_tail = o;
    p->owned_tail = &o->next;
    return o;
}

struct regex *lq_try_regex(struct lq_parser *p, struct str pattern, unsigned flags, struct err *e)
{
    struct regex *re = NULL;

    if (regex_new(pattern, flags, &re, e) < 0)
        return NULL;
    own(p)->re = re;
    return re;
}

struct regex *lq_regex(struct lq_parser *p, struct str pattern, unsigned flags)
{
    struct err e;
    struct regex *re = lq_try_regex(p, pattern, flags, &e);

    if (!re)
        lq_nonsense(p, "%s", e.text);
    return re;
}

bool lq_matcher(struct lq_parser *p, enum match_op op, struct str name, struct str value, struct matcher *out)
{
    struct err e;

    *out = (struct matcher){.op = op, .name = name, .value = value};
    if (matcher_init(out, op, name, value, &e) == 0)
        return true;
    *out = (struct matcher){.op = op == MATCH_RE ? MATCH_EQ : MATCH_NE, .name = name, .value = value};
    lq_nonsense(p, "%s", e.text);
    return false;
}

void lq_own_matcher(struct lq_parser *p, struct matcher *m)
{
    own(p)->matcher = m;
}

void logql_release(struct logql_tree *t)
{
    if (!t)
        return;
    for (struct logql_owned *o = t->owned; o; o = o->next) {
        regex_free(o->re);
        if (o->matcher)
            matcher_release(o->matcher);
    }
    *t = (struct logql_tree){0};
}

/* --- expressions ------------------------------------------------------------------------------ */

struct logql_expr *lq_expr_new(struct lq_parser *p, enum logql_kind kind, uint32_t start)
{
    struct logql_expr *n = arena_new(p->a, struct logql_expr);

    n->kind = kind;
    n->span = (struct logql_span){start, p->last_end};
    return n;
}

struct operator {
    enum lq_tok tok;
    enum logql_binop op;
    unsigned power;
};

static const struct operator operators[] = {
    {TOK_OR, BINOP_OR, 1},     {TOK_AND, BINOP_AND, 2}, {TOK_UNLESS, BINOP_UNLESS, 2}, {TOK_CMP_EQ, BINOP_EQ, 3}, {TOK_NEQ, BINOP_NE, 3},
    {TOK_LT, BINOP_LT, 3},     {TOK_LTE, BINOP_LE, 3},  {TOK_GT, BINOP_GT, 3},         {TOK_GTE, BINOP_GE, 3},    {TOK_ADD, BINOP_ADD, 4},
    {TOK_SUB, BINOP_SUB, 4},   {TOK_MUL, BINOP_MUL, 5}, {TOK_DIV, BINOP_DIV, 5},       {TOK_MOD, BINOP_MOD, 5},   {TOK_POW, BINOP_POW, 6},
};

static const struct operator *operator_at(const struct lq_parser *p)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (lq_at(p, operators[i].tok))
            return &operators[i];
    return NULL;
}

/* bool, on(...), ignoring(...), group_left(...) behind an operator. */
static bool parse_modifier(struct lq_parser *p, struct logql_expr *n)
{
    struct logql_matching *m = &n->binary.matching;

    n->binary.return_bool = lq_accept(p, TOK_BOOL);
    if (!lq_at(p, TOK_ON) && !lq_at(p, TOK_IGNORING))
        return !p->failed;
    m->present = true;
    m->on = lq_take(p).type == TOK_ON;
    if (!lq_parse_names(p, &m->names, &m->n))
        return false;
    if (!lq_at(p, TOK_GROUP_LEFT) && !lq_at(p, TOK_GROUP_RIGHT))
        return !p->failed;
    m->card = lq_take(p).type == TOK_GROUP_LEFT ? LOGQL_MANY_TO_ONE : LOGQL_ONE_TO_MANY;
    /* A bracket here may also open the right operand: names in it, or nothing, make it the clause. */
    if (lq_at(p, TOK_LPAREN)) {
        enum lq_tok next = lq_peek(p)->type;

        if (next == TOK_IDENT || next == TOK_RPAREN)
            return lq_parse_names(p, &m->include, &m->ninclude);
    }
    return !p->failed;
}

double logql_fold(enum logql_binop op, double l, double r)
{
    switch (op) {
    case BINOP_ADD:
        return l + r;
    case BINOP_SUB:
        return l - r;
    case BINOP_MUL:
        return l * r;
    case BINOP_DIV:
        return r == 0 ? NAN : l / r;
    case BINOP_MOD:
        return r == 0 ? NAN : fmod(l, r);
    case BINOP_POW:
        return pow(l, r);
    case BINOP_EQ:
        return l == r;
    case BINOP_NE:
        return l != r;
    case BINOP_GT:
        return l > r;
    case BINOP_GE:
        return l >= r;
    case BINOP_LT:
        return l < r;
    case BINOP_LE:
        return l <= r;
    default:
        return NAN;
    }
}

static const char *type_name(const struct logql_expr *n)
{
    return n->log.nstages ? "*syntax.PipelineExpr" : "*syntax.MatchersExpr";
}

/* Both sides have to be samples, of set operators vectors. Two literals become one. */
static struct logql_expr *make_binary(struct lq_parser *p, struct logql_expr *n)
{
    const char *op = logql_binop_text(n->binary.op);
    struct logql_expr *l = n->binary.l, *r = n->binary.r;

    n->span.end = p->last_end;
    if (l->kind == LOGQL_LOG)
        lq_nonsense(p, "unexpected type for left leg of binary operation (%s): %s", op, type_name(l));
    else if (r->kind == LOGQL_LOG)
        lq_nonsense(p, "unexpected type for right leg of binary operation (%s): %s", op, type_name(r));
    else if (logql_binop_is_set(n->binary.op) && l->kind == LOGQL_NUMBER)
        lq_nonsense(p, "unexpected literal for left leg of logical/set binary operation (%s): %f", op, l->number);
    else if (logql_binop_is_set(n->binary.op) && r->kind == LOGQL_NUMBER)
        lq_nonsense(p, "unexpected literal for right leg of logical/set binary operation (%s): %f", op, r->number);
    else if (l->kind == LOGQL_NUMBER && r->kind == LOGQL_NUMBER) {
        struct logql_expr *lit = lq_expr_new(p, LOGQL_NUMBER, n->span.start);

        lit->number = logql_fold(n->binary.op, l->number, r->number);
        return lit;
    }
    return n;
}

static struct logql_expr *parse_log(struct lq_parser *p)
{
    struct logql_expr *n = lq_expr_new(p, LOGQL_LOG, p->tok.start);

    if (!lq_parse_selector(p, &n->log) || !lq_parse_stages(p, &n->log, false))
        return NULL;
    n->span.end = n->log.span.end = p->last_end;
    return n;
}

static struct logql_expr *parse_vector(struct lq_parser *p)
{
    struct logql_expr *n = lq_expr_new(p, LOGQL_VECTOR, p->tok.start);

    lq_take(p);
    if (!lq_expect(p, TOK_LPAREN, "("))
        return NULL;
    if (!lq_at(p, TOK_NUMBER)) {
        lq_unexpected(p, "NUMBER");
        return NULL;
    }
    if (!lq_number(p, &n->number) || !lq_expect(p, TOK_RPAREN, ")"))
        return NULL;
    n->span.end = p->last_end;
    return n;
}

static struct logql_expr *parse_parens(struct lq_parser *p)
{
    struct logql_expr *n;

    lq_take(p);
    if (!lq_enter(p))
        return NULL;
    n = lq_parse_expr(p, 1);
    lq_leave(p);
    return n && lq_expect(p, TOK_RPAREN, NULL) ? n : NULL;
}

static struct logql_expr *parse_primary(struct lq_parser *p)
{
    struct logql_expr *n;

    switch (p->tok.type) {
    case TOK_LBRACE:
        return parse_log(p);
    case TOK_LPAREN:
        return parse_parens(p);
    case TOK_NUMBER:
    case TOK_ADD:
    case TOK_SUB:
        n = lq_expr_new(p, LOGQL_NUMBER, p->tok.start);
        if (!lq_number(p, &n->number))
            return NULL;
        n->span.end = p->last_end;
        return n;
    case TOK_RANGE_OP:
        return lq_parse_range(p);
    case TOK_VECTOR_OP:
        return lq_parse_aggregate(p);
    case TOK_LABEL_REPLACE:
        return lq_parse_replace(p);
    case TOK_VECTOR:
        return parse_vector(p);
    default:
        lq_unexpected(p, NULL);
        return NULL;
    }
}

struct logql_expr *lq_parse_expr(struct lq_parser *p, unsigned min_power)
{
    struct logql_expr *l = p->failed || !lq_enter(p) ? NULL : parse_primary(p);
    const struct operator *o;

    while (l && (o = operator_at(p)) && o->power >= min_power) {
        struct logql_expr *n = lq_expr_new(p, LOGQL_BINARY, l->span.start);

        if (++p->operators > LQ_CHAIN_MAX) {
            set_error(p, p->tok.line, p->tok.col, "more than %d operators", LQ_CHAIN_MAX);
            l = NULL;
            break;
        }
        lq_take(p);
        n->binary.op = o->op;
        n->binary.l = l;
        if (!parse_modifier(p, n)) {
            l = NULL;
            break;
        }
        n->binary.r = lq_parse_expr(p, o->op == BINOP_POW ? o->power : o->power + 1);
        l = n->binary.r ? make_binary(p, n) : NULL;
    }
    lq_leave(p);
    return p->failed ? NULL : l;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int begin(struct lq_parser *p, struct arena *a, struct str text, struct logql_tree *out, struct err *e)
{
    *out = (struct logql_tree){0};
    if (text.n > LQ_TEXT_MAX)
        return err_set(e, ERR_INVALID, "parse error : input size too long (%zu > %d)", text.n, LQ_TEXT_MAX);
    text = arena_dup(a, text);
    *out = (struct logql_tree){.text = text};
    *p = (struct lq_parser){.a = a, .text = text, .tree = out, .owned_tail = &out->owned};
    lq_lex_init(&p->lex, a, text);
    p->tok = lq_lex_next(&p->lex);
    note_lexer_error(p, &p->tok);
    return 0;
}

/* What went wrong, the token that does not fit before what means nothing. */
static int finish(struct lq_parser *p, struct err *e)
{
    const struct err *why = p->failed ? &p->error : p->sense.code ? &p->sense : NULL;

    if (!why)
        return 0;
    logql_release(p->tree);
    return err_set(e, ERR_INVALID, "%s", why->text);
}

int logql_parse(struct arena *a, struct str text, struct logql_tree *out, struct err *e)
{
    struct lq_parser p;
    struct logql_expr *n;

    if (begin(&p, a, text, out, e) < 0)
        return ERR_INVALID;
    n = lq_parse_expr(&p, 1);
    if (n && p.tok.type != TOK_EOF)
        lq_unexpected(&p, NULL);
    if (n && !p.failed)
        lq_check(&p, n);
    out->root = n;
    return finish(&p, e);
}

int logql_parse_selector(struct arena *a, struct str text, bool any, struct logql_tree *out, struct err *e)
{
    struct lq_parser p;
    struct logql_expr *n;

    if (begin(&p, a, text, out, e) < 0)
        return ERR_INVALID;
    n = lq_expr_new(&p, LOGQL_LOG, 0);
    if (!p.failed && lq_parse_selector(&p, &n->log) && p.tok.type != TOK_EOF)
        lq_unexpected(&p, NULL);
    n->span.end = n->log.span.end = p.last_end;
    if (!p.failed && !any && !lq_check_matchers(n->log.matchers, n->log.nmatchers))
        lq_nonsense(&p, "%s", lq_empty_matchers);
    out->root = n;
    return finish(&p, e);
}
