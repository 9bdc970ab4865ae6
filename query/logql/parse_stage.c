/*
 * parse_stage.c - the stages of a pipeline.
 */
#include "query/logql/parse.h"

#include "query/logql/expr_json.h"
#include "query/logql/pattern_text.h"

/* --- line filters ----------------------------------------------------------------------------- */

static void check_pattern(struct lq_parser *p, struct str text, bool filter)
{
    struct lq_pattern_part *parts;
    uint32_t n = lq_pattern_split(p->a, text, &parts);
    struct err e;

    if ((filter ? lq_pattern_check_filter(parts, n, &e) : lq_pattern_check(parts, n, &e)) < 0)
        lq_nonsense(p, "invalid pattern: %s", e.text);
}

static bool parse_alt(struct lq_parser *p, enum logql_line_op op, struct logql_line_alt *out)
{
    if (lq_accept(p, TOK_IP)) {
        out->ip = true;
        return lq_expect(p, TOK_LPAREN, "(") && lq_string(p, &out->text) && lq_expect(p, TOK_RPAREN, ")");
    }
    if (!lq_at(p, TOK_STRING))
        return lq_unexpected(p, "STRING or ip");
    out->text = lq_take(p).val;
    if (op == LINE_MATCH || op == LINE_NOT_MATCH)
        out->re = lq_regex(p, out->text, REGEX_DOTALL);
    else if (op == LINE_PATTERN || op == LINE_NOT_PATTERN)
        check_pattern(p, out->text, true);
    return !p->failed;
}

static enum logql_line_op line_op_of(enum lq_tok t)
{
    switch (t) {
    case TOK_NEQ:
        return LINE_NOT_CONTAINS;
    case TOK_PIPE_MATCH:
        return LINE_MATCH;
    case TOK_NRE:
        return LINE_NOT_MATCH;
    case TOK_PIPE_PATTERN:
        return LINE_PATTERN;
    case TOK_NPA:
        return LINE_NOT_PATTERN;
    default:
        return LINE_CONTAINS;
    }
}

bool lq_parse_line_filter(struct lq_parser *p, struct logql_stage *st)
{
    struct logql_line_alt *v = NULL;
    uint32_t n = 0;

    st->kind = LOGQL_LINE_FILTER;
    st->line.op = line_op_of(lq_take(p).type);
    do {
        v = lq_grow(p, v, n, sizeof *v);
        if (!parse_alt(p, st->line.op, &v[n]))
            return false;
        n++;
    } while (lq_accept(p, TOK_OR));
    st->line.alts = v;
    st->line.nalts = n;
    return !p->failed;
}

/* --- parsers ---------------------------------------------------------------------------------- */

/* A name before '=' may also be a keyword: fields are called `bool` and `offset`. */
static bool at_extract(struct lq_parser *p)
{
    return lq_at(p, TOK_IDENT) || (!p->failed && p->tok.type >= TOK_OR && lq_peek(p)->type == TOK_EQ);
}

static bool parse_extracts(struct lq_parser *p, struct logql_stage *st)
{
    struct logql_extract *v = NULL;
    uint32_t n = 0;

    if (!at_extract(p))
        return !p->failed;
    do {
        struct logql_extract *x;
        struct err e;
        int code;

        v = lq_grow(p, v, n, sizeof *v);
        x = &v[n];
        *x = (struct logql_extract){0};
        if (!at_extract(p))
            return lq_unexpected(p, "IDENTIFIER");
        x->expr = x->name = lq_take(p).text;
        if (lq_accept(p, TOK_EQ) && !lq_string(p, &x->expr))
            return false;
        code = st->kind == LOGQL_JSON ? lq_json_path(p->a, x->expr, &x->path, &x->npath, &e)
                                      : lq_logfmt_path(p->a, x->expr, &x->path, &x->npath, &e);
        if (code < 0)
            lq_nonsense(p, "cannot parse expression [%.*s]: %s", STR_ARG(str_head(x->expr, 200)), e.text);
        n++;
    } while (lq_accept(p, TOK_COMMA));
    st->parser.extracts = v;
    st->parser.nextracts = n;
    return !p->failed;
}

static bool parse_logfmt(struct lq_parser *p, struct logql_stage *st)
{
    while (lq_at(p, TOK_FLAG)) {
        if (lq_take(p).op == 0)
            st->parser.strict = true;
        else
            st->parser.keep_empty = true;
    }
    return parse_extracts(p, st);
}

static bool parse_regexp(struct lq_parser *p, struct logql_stage *st)
{
    if (!lq_string(p, &st->parser.text))
        return false;
    st->parser.re = lq_regex(p, st->parser.text, 0);
    if (st->parser.re)
        lq_check_captures(p, st->parser.re);
    return true;
}

/* --- formats, names, unwrap ------------------------------------------------------------------- */

static bool parse_formats(struct lq_parser *p, struct logql_stage *st)
{
    struct logql_label_fmt *v = NULL;
    uint32_t n = 0;

    do {
        v = lq_grow(p, v, n, sizeof *v);
        if (!lq_ident(p, &v[n].dst, "IDENTIFIER") || !lq_expect(p, TOK_EQ, "="))
            return false;
        v[n].rename = lq_at(p, TOK_IDENT);
        if (!v[n].rename && !lq_at(p, TOK_STRING))
            return lq_unexpected(p, "IDENTIFIER or STRING");
        if (!(v[n].rename ? lq_ident(p, &v[n].value, NULL) : lq_string(p, &v[n].value)))
            return false;
        n++;
    } while (lq_accept(p, TOK_COMMA));
    st->formats.v = v;
    st->formats.n = n;
    lq_check_formats(p, v, n);
    return !p->failed;
}

static bool parse_name_match(struct lq_parser *p, struct logql_name_match *out)
{
    static const struct {
        enum lq_tok tok;
        enum match_op op;
    } ops[] = {{TOK_EQ, MATCH_EQ}, {TOK_NEQ, MATCH_NE}, {TOK_RE, MATCH_RE}, {TOK_NRE, MATCH_NRE}};
    struct matcher *m;
    struct str value;

    if (!lq_ident(p, &out->name, "IDENTIFIER"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (!lq_accept(p, ops[i].tok))
            continue;
        if (!lq_string(p, &value))
            return false;
        out->matcher = m = arena_new(p->a, struct matcher);
        lq_matcher(p, ops[i].op, out->name, value, m);
        lq_own_matcher(p, m);
        break;
    }
    return !p->failed;
}

static bool parse_name_matches(struct lq_parser *p, struct logql_stage *st)
{
    struct logql_name_match *v = NULL;
    uint32_t n = 0;

    do {
        v = lq_grow(p, v, n, sizeof *v);
        v[n] = (struct logql_name_match){0};
        if (!parse_name_match(p, &v[n]))
            return false;
        n++;
    } while (lq_accept(p, TOK_COMMA));
    st->names.v = v;
    st->names.n = n;
    return !p->failed;
}

static bool parse_unwrap(struct lq_parser *p, struct logql_stage *st)
{
    st->unwrap.conv_text = STR("");
    if (lq_at(p, TOK_CONV)) {
        struct lq_token t = lq_take(p);

        st->unwrap.conv = (enum logql_unwrap_conv)t.op;
        st->unwrap.conv_text = str_of(t.op == UNWRAP_BYTES ? "bytes" : t.text.n == 8 ? "duration" : "duration_seconds");
        return lq_expect(p, TOK_LPAREN, "(") && lq_ident(p, &st->unwrap.label, "IDENTIFIER") && lq_expect(p, TOK_RPAREN, ")");
    }
    return lq_ident(p, &st->unwrap.label, "IDENTIFIER or bytes or duration or duration_seconds");
}

/* --- the table -------------------------------------------------------------------------------- */

static bool parse_pattern(struct lq_parser *p, struct logql_stage *st)
{
    if (!lq_string(p, &st->parser.text))
        return false;
    check_pattern(p, st->parser.text, false);
    return true;
}

static bool parse_template(struct lq_parser *p, struct logql_stage *st)
{
    return lq_string(p, &st->template);
}

static const struct {
    enum lq_tok tok;
    enum logql_stage_kind kind;
    bool (*parse)(struct lq_parser *p, struct logql_stage *st); /* NULL: the word is all there is */
} stages[] = {
    {TOK_JSON, LOGQL_JSON, parse_extracts},
    {TOK_LOGFMT, LOGQL_LOGFMT, parse_logfmt},
    {TOK_REGEXP, LOGQL_REGEXP, parse_regexp},
    {TOK_PATTERN, LOGQL_PATTERN, parse_pattern},
    {TOK_UNPACK, LOGQL_UNPACK, NULL},
    {TOK_LINE_FORMAT, LOGQL_LINE_FORMAT, parse_template},
    {TOK_LABEL_FORMAT, LOGQL_LABEL_FORMAT, parse_formats},
    {TOK_DECOLORIZE, LOGQL_DECOLORIZE, NULL},
    {TOK_DROP, LOGQL_DROP, parse_name_matches},
    {TOK_KEEP, LOGQL_KEEP, parse_name_matches},
    {TOK_UNWRAP, LOGQL_UNWRAP, parse_unwrap},
};

bool lq_parse_stage(struct lq_parser *p, struct logql_stage *st, bool metric)
{
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        if (!lq_at(p, stages[i].tok))
            continue;
        if (stages[i].kind == LOGQL_UNWRAP && !metric)
            return lq_unexpected(p, NULL);
        lq_take(p);
        st->kind = stages[i].kind;
        return stages[i].parse ? stages[i].parse(p, st) : !p->failed;
    }
    st->kind = LOGQL_LABEL_FILTER;
    st->filter = lq_parse_filter(p);
    return st->filter != NULL;
}
