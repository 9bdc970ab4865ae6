/*
 * parse_log.c - stream selectors, and the row of stages behind them.
 */
#include "query/logql/parse.h"

static bool match_op_of(enum lq_tok t, enum match_op *out)
{
    switch (t) {
    case TOK_EQ:
        *out = MATCH_EQ;
        return true;
    case TOK_NEQ:
        *out = MATCH_NE;
        return true;
    case TOK_RE:
        *out = MATCH_RE;
        return true;
    case TOK_NRE:
        *out = MATCH_NRE;
        return true;
    default:
        return false;
    }
}

static bool parse_matcher(struct lq_parser *p, struct matcher *out)
{
    struct str name, value;
    enum match_op op;

    if (!lq_ident(p, &name, "IDENTIFIER"))
        return false;
    if (!match_op_of(p->tok.type, &op))
        return lq_unexpected(p, "= or != or =~ or !~");
    lq_take(p);
    if (!lq_string(p, &value))
        return false;
    lq_matcher(p, op, name, value, out);
    return true;
}

bool lq_parse_selector(struct lq_parser *p, struct logql_log *out)
{
    uint32_t start = p->tok.start, n = 0;
    struct matcher *v = NULL;
    bool ok = true;

    if (!lq_expect(p, TOK_LBRACE, "{"))
        return false;
    if (!lq_accept(p, TOK_RBRACE)) {
        do {
            v = lq_grow(p, v, n, sizeof *v);
            ok = parse_matcher(p, &v[n]);
            n += ok;
        } while (ok && lq_accept(p, TOK_COMMA));
        ok = ok && lq_expect(p, TOK_RBRACE, "} or ,");
    }
    /* The array has found its place: now its regexes have owners. */
    for (uint32_t i = 0; i < n; i++)
        lq_own_matcher(p, &v[i]);
    out->matchers = v;
    out->nmatchers = n;
    out->span = (struct logql_span){start, p->last_end};
    return ok && !p->failed;
}

bool lq_starts_stage(const struct lq_parser *p)
{
    switch (p->failed ? TOK_EOF : p->tok.type) {
    case TOK_PIPE:
    case TOK_PIPE_EXACT:
    case TOK_PIPE_MATCH:
    case TOK_PIPE_PATTERN:
    case TOK_NEQ:
    case TOK_NRE:
    case TOK_NPA:
        return true;
    default:
        return false;
    }
}

bool lq_parse_stages(struct lq_parser *p, struct logql_log *log, bool metric)
{
    struct logql_stage *v = log->stages;
    uint32_t n = log->nstages;
    bool unwrapped = log->unwrap != NULL;

    while (lq_starts_stage(p)) {
        struct logql_stage st = {.span.start = p->tok.start};

        if (p->tok.type != TOK_PIPE) {
            if (unwrapped)
                return lq_unexpected(p, NULL);
            if (!lq_parse_line_filter(p, &st))
                return false;
        } else {
            lq_take(p);
            if (unwrapped && !lq_at(p, TOK_IDENT) && !lq_at(p, TOK_LPAREN))
                return lq_unexpected(p, "IDENTIFIER or (");
            if (!lq_parse_stage(p, &st, metric))
                return false;
        }
        st.span.end = p->last_end;
        unwrapped |= st.kind == LOGQL_UNWRAP;
        v = lq_grow(p, v, n, sizeof *v);
        v[n++] = st;
    }
    log->stages = v;
    log->nstages = n;
    for (uint32_t i = 0; i < n; i++)
        if (v[i].kind == LOGQL_UNWRAP)
            log->unwrap = &v[i];
    return !p->failed;
}
