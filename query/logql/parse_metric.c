/*
 * parse_metric.c - range aggregations, vector aggregations, label_replace.
 */
#include "query/logql/parse.h"

bool lq_parse_names(struct lq_parser *p, struct str **names, uint32_t *n)
{
    *names = NULL;
    *n = 0;
    if (!lq_expect(p, TOK_LPAREN, "("))
        return false;
    if (lq_accept(p, TOK_RPAREN))
        return true;
    do {
        *names = lq_grow(p, *names, *n, sizeof **names);
        if (!lq_ident(p, &(*names)[*n], *n ? "IDENTIFIER" : "IDENTIFIER or )"))
            return false;
        ++*n;
    } while (lq_accept(p, TOK_COMMA));
    return lq_expect(p, TOK_RPAREN, ", or )");
}

static bool at_grouping(const struct lq_parser *p)
{
    return lq_at(p, TOK_BY) || lq_at(p, TOK_WITHOUT);
}

static bool parse_grouping(struct lq_parser *p, struct logql_grouping *g)
{
    g->present = true;
    g->without = lq_take(p).type == TOK_WITHOUT;
    return lq_parse_names(p, &g->names, &g->n);
}

/* --- range aggregations ----------------------------------------------------------------------- */

/* [5m] offset 1m */
static bool parse_range(struct lq_parser *p, struct logql_expr *n)
{
    struct lq_token t;

    if (!lq_at(p, TOK_RANGE))
        return lq_unexpected(p, "RANGE");
    t = lq_take(p);
    n->range.range_ns = t.ns;
    if (!lq_accept(p, TOK_OFFSET))
        return !p->failed;
    if (!lq_at(p, TOK_DURATION))
        return lq_unexpected(p, "DURATION");
    t = lq_take(p);
    n->range.offset_ns = t.ns;
    return !p->failed;
}

/* {...} | stages [5m], {...} [5m] | stages, ({...} | stages) [5m], and brackets around any of these. */
static bool parse_ranged(struct lq_parser *p, struct logql_expr *n, bool *ranged)
{
    struct logql_log *log = &n->range.log;
    uint32_t start = p->tok.start;

    *ranged = false;
    if (lq_at(p, TOK_LPAREN)) {
        if (!lq_enter(p))
            return false;
        lq_take(p);
        if (!parse_ranged(p, n, ranged))
            return false;
        lq_leave(p);
        if (!lq_expect(p, TOK_RPAREN, *ranged ? ")" : NULL))
            return false;
        if (*ranged)
            return true;
    } else {
        if (!lq_at(p, TOK_LBRACE))
            return lq_unexpected(p, "NUMBER or { or (");
        if (!lq_parse_selector(p, log) || !lq_parse_stages(p, log, true))
            return false;
        if (!lq_at(p, TOK_RANGE)) {
            log->span = (struct logql_span){start, p->last_end};
            return !p->failed;
        }
    }
    if (!lq_at(p, TOK_RANGE))
        return !p->failed;
    *ranged = true;
    if (!parse_range(p, n))
        return false;
    if (lq_starts_stage(p) && log->nstages)
        return lq_unexpected(p, NULL);
    if (!lq_parse_stages(p, log, true))
        return false;
    log->span = (struct logql_span){start, p->last_end};
    return true;
}

struct logql_expr *lq_parse_range(struct lq_parser *p)
{
    struct logql_expr *n = lq_expr_new(p, LOGQL_RANGE, p->tok.start);
    struct lq_token param;
    bool has_param, ranged;

    n->range.op = (enum logql_range_op)lq_take(p).op;
    if (!lq_expect(p, TOK_LPAREN, "("))
        return NULL;
    has_param = n->range.has_param = lq_at(p, TOK_NUMBER);
    param = p->tok;
    if (has_param && (!lq_number(p, &n->range.param) || !lq_expect(p, TOK_COMMA, ",")))
        return NULL;
    if (!parse_ranged(p, n, &ranged))
        return NULL;
    if (!ranged) {
        lq_unexpected(p, NULL);
        return NULL;
    }
    if (!lq_expect(p, TOK_RPAREN, NULL))
        return NULL;
    if (at_grouping(p) && !parse_grouping(p, &n->range.grouping))
        return NULL;
    n->span.end = p->last_end;
    lq_check_range(p, n, has_param ? &param : NULL);
    return n;
}

/* --- vector aggregations ---------------------------------------------------------------------- */

/* A vector between brackets or commas: streams are none, whatever follows them. */
static struct logql_expr *parse_metric(struct lq_parser *p)
{
    struct logql_expr *n = lq_parse_expr(p, 1);

    if (n && n->kind == LOGQL_LOG) {
        lq_unexpected(p, NULL);
        return NULL;
    }
    return n;
}

struct logql_expr *lq_parse_aggregate(struct lq_parser *p)
{
    struct logql_expr *n = lq_expr_new(p, LOGQL_AGGREGATE, p->tok.start);
    struct lq_token param;
    bool has_param;
    double ignored;

    n->agg.op = (enum logql_vector_op)lq_take(p).op;
    if (at_grouping(p) && !parse_grouping(p, &n->agg.grouping))
        return NULL;
    if (!lq_expect(p, TOK_LPAREN, "("))
        return NULL;
    /* A number is a parameter only before a comma: sum(2 * rate(...)) has none. */
    has_param = lq_at(p, TOK_NUMBER) && lq_peek(p)->type == TOK_COMMA;
    param = p->tok;
    if (has_param && (!lq_number(p, &ignored) || !lq_expect(p, TOK_COMMA, ",")))
        return NULL;
    n->agg.expr = parse_metric(p);
    if (!n->agg.expr || !lq_expect(p, TOK_RPAREN, NULL))
        return NULL;
    if (at_grouping(p)) {
        if (n->agg.grouping.present) {
            lq_unexpected(p, NULL);
            return NULL;
        }
        if (!parse_grouping(p, &n->agg.grouping))
            return NULL;
    }
    n->span.end = p->last_end;
    lq_check_aggregate(p, n, has_param ? &param : NULL);
    return n;
}

/* --- label_replace ---------------------------------------------------------------------------- */

struct logql_expr *lq_parse_replace(struct lq_parser *p)
{
    struct logql_expr *n = lq_expr_new(p, LOGQL_LABEL_REPLACE, p->tok.start);
    struct str *args[] = {&n->replace.dst, &n->replace.replacement, &n->replace.src, &n->replace.pattern};
    struct err e;

    lq_take(p);
    if (!lq_expect(p, TOK_LPAREN, "("))
        return NULL;
    n->replace.expr = parse_metric(p);
    if (!n->replace.expr)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        if (!lq_expect(p, TOK_COMMA, ",") || !lq_string(p, args[i]))
            return NULL;
    if (!lq_expect(p, TOK_RPAREN, ")"))
        return NULL;
    n->span.end = p->last_end;
    n->replace.re = lq_try_regex(p, n->replace.pattern, REGEX_ANCHORED, &e);
    if (!n->replace.re)
        lq_nonsense(p, "invalid regex in label_replace: %s", e.text);
    return n;
}
