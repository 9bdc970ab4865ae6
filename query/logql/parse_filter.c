/*
 * parse_filter.c - label filters: comparisons joined by and (also a comma, or nothing) and by or, which binds less.
 */
#include "query/logql/parse.h"

static struct logql_label_filter *parse_or(struct lq_parser *p);

static struct logql_label_filter *filter_new(struct lq_parser *p, enum logql_filter_kind kind, uint32_t start)
{
    struct logql_label_filter *f = arena_new(p->a, struct logql_label_filter);

    f->kind = kind;
    f->span = (struct logql_span){start, p->last_end};
    return f;
}

static bool cmp_of(enum lq_tok t, enum logql_cmp *out)
{
    static const struct {
        enum lq_tok tok;
        enum logql_cmp cmp;
    } ops[] = {{TOK_EQ, CMP_EQ}, {TOK_CMP_EQ, CMP_EQ}, {TOK_NEQ, CMP_NE}, {TOK_LT, CMP_LT},
               {TOK_LTE, CMP_LE}, {TOK_GT, CMP_GT},    {TOK_GTE, CMP_GE}};

    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (ops[i].tok == t) {
            *out = ops[i].cmp;
            return true;
        }
    return false;
}

static bool string_filter(struct lq_parser *p, struct logql_label_filter *f, enum lq_tok op)
{
    enum match_op mop = op == TOK_EQ ? MATCH_EQ : op == TOK_NEQ ? MATCH_NE : op == TOK_RE ? MATCH_RE : MATCH_NRE;
    struct matcher *m = arena_new(p->a, struct matcher);
    struct str value;

    if (!lq_string(p, &value))
        return false;
    f->kind = FILTER_STRING;
    lq_matcher(p, mop, f->name, value, m);
    lq_own_matcher(p, m);
    f->matcher = m;
    return true;
}

/* What follows the operator tells what is compared. */
static bool filter_value(struct lq_parser *p, struct logql_label_filter *f, enum lq_tok op)
{
    bool equality = op == TOK_EQ || op == TOK_NEQ;
    struct lq_token t = p->tok;

    if (op == TOK_RE || op == TOK_NRE || (equality && t.type == TOK_STRING))
        return string_filter(p, f, op);
    if (equality && lq_accept(p, TOK_IP)) {
        f->kind = FILTER_IP;
        return lq_expect(p, TOK_LPAREN, "(") && lq_string(p, &f->ip) && lq_expect(p, TOK_RPAREN, ")");
    }
    if (lq_accept(p, TOK_DURATION)) {
        f->kind = FILTER_DURATION;
        f->duration_ns = t.ns;
        return true;
    }
    if (lq_accept(p, TOK_BYTES)) {
        f->kind = FILTER_BYTES;
        f->bytes = t.bytes;
        return true;
    }
    f->kind = FILTER_NUMBER;
    if (t.type != TOK_NUMBER && t.type != TOK_ADD && t.type != TOK_SUB)
        return lq_unexpected(p, NULL);
    return lq_number(p, &f->number);
}

static struct logql_label_filter *parse_comparison(struct lq_parser *p)
{
    struct logql_label_filter *f = filter_new(p, FILTER_STRING, p->tok.start);
    enum lq_tok op;

    if (!lq_ident(p, &f->name, NULL))
        return NULL;
    op = p->tok.type;
    if (!cmp_of(op, &f->cmp) && op != TOK_RE && op != TOK_NRE) {
        lq_unexpected(p, NULL);
        return NULL;
    }
    lq_take(p);
    if (p->failed || !filter_value(p, f, op) || p->failed)
        return NULL;
    f->span.end = p->last_end;
    return f;
}

static struct logql_label_filter *parse_one(struct lq_parser *p)
{
    struct logql_label_filter *f;

    if (!lq_at(p, TOK_LPAREN))
        return parse_comparison(p);
    if (!lq_enter(p))
        return NULL;
    lq_take(p);
    f = parse_or(p);
    lq_leave(p);
    return f && lq_expect(p, TOK_RPAREN, NULL) ? f : NULL;
}

static struct logql_label_filter *join(struct lq_parser *p, enum logql_filter_kind kind, struct logql_label_filter *l,
                                       struct logql_label_filter *r)
{
    struct logql_label_filter *f;

    if (!r)
        return NULL;
    if (++p->filters > LQ_CHAIN_MAX) {
        lq_unexpected(p, "fewer label filters");
        return NULL;
    }
    f = filter_new(p, kind, l->span.start);
    f->l = l;
    f->r = r;
    return f;
}

static struct logql_label_filter *parse_and(struct lq_parser *p)
{
    struct logql_label_filter *f = parse_one(p);

    while (f && !p->failed) {
        bool joined = lq_at(p, TOK_AND) || lq_at(p, TOK_COMMA);

        if (!joined && !lq_at(p, TOK_IDENT) && !lq_at(p, TOK_LPAREN))
            break;
        if (joined)
            lq_take(p);
        f = join(p, FILTER_AND, f, p->failed ? NULL : parse_one(p));
    }
    return p->failed ? NULL : f;
}

static struct logql_label_filter *parse_or(struct lq_parser *p)
{
    struct logql_label_filter *f = parse_and(p);

    while (f && lq_accept(p, TOK_OR))
        f = join(p, FILTER_OR, f, p->failed ? NULL : parse_and(p));
    return p->failed ? NULL : f;
}

struct logql_label_filter *lq_parse_filter(struct lq_parser *p)
{
    return parse_or(p);
}
