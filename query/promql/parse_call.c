/* parse_call.c - what has a list in brackets: calls, aggregations, groupings, and the matching clause of an operator.
 */
#include "query/promql/foreign.h"
#include "query/promql/parse.h"

#include <assert.h>
#include <string.h>

/* --- lists of labels ------------------------------------------------------------------------------- */

struct strs {
    struct str *v;
    uint32_t n, cap;
};

static void strs_add(struct parser *p, struct strs *s, struct str one)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        struct str *v = arena_array(p->a, struct str, cap);

        if (s->n)
            memcpy(v, s->v, s->n * sizeof *v);
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = one;
}

/* Any word may be a label, keywords too. */
static bool is_word(enum tok t)
{
    return t == T_IDENT || t == T_METRIC_IDENT || tok_is_aggregator(t) || tok_is_keyword(t) || t == T_LAND ||
           t == T_LOR || t == T_LUNLESS || t == T_ATAN2 || (t > T_PREPROCESSORS && t < T_MAX_TOKEN);
}

static void parse_label(struct parser *p, struct strs *out)
{
    while (!p->unwinding) {
        struct token *t = pq_cur(p);

        if (t->type == T_STRING) {
            struct str name = pq_unquote(p->a, t->val);

            if (name.n == 0 || !utf8_valid(name))
                pq_error(p, t->pos, t->pos + (uint32_t)t->val.n, "invalid label name for grouping: %s",
                         pq_quoted(p, name));
            pq_shift(p);
            strs_add(p, out, name);
            return;
        }
        if (is_word(t->type)) {
            if (!label_name_legacy(t->val)) { /* a:b */
                p->unwinding = true;
                pq_caught(p, "grouping opts", "label");
            }
            strs_add(p, out, pq_shift(p).val);
            return;
        }
        if (!pq_stuck(p))
            break;
    }
    pq_caught(p, "grouping opts", "label");
}

/* "(" labels ")". On return the parser may be unwinding. */
void pq_parse_grouping(struct parser *p, struct str **out, uint32_t *n)
{
    struct strs labels = {0};

    *out = NULL;
    *n = 0;
    if (!pq_expect(p, T_LPAREN)) {
        pq_caught(p, "grouping opts", "\"(\"");
        return;
    }
    if (!at(p, T_RPAREN))
        parse_label(p, &labels);
    while (!p->unwinding && !at(p, T_RPAREN)) {
        if (pq_take(p, T_COMMA)) {
            if (!at(p, T_RPAREN))
                parse_label(p, &labels);
        } else if (!pq_stuck(p)) {
            pq_caught(p, "grouping opts", "\",\" or \")\"");
        }
    }
    if (p->unwinding)
        return;
    pq_shift(p);
    *out = labels.v;
    *n = labels.n;
}

/* --- bool, on, group_left, fill --------------------------------------------------------------------- */

/* "(" [sign] number ")" */
static bool parse_fill_value(struct parser *p, double *v)
{
    bool negative = false, as_duration;
    struct token t;

    if (!pq_expect(p, T_LPAREN))
        return false;
    if (at(p, T_SUB) || at(p, T_ADD))
        negative = pq_shift(p).type == T_SUB;
    while (!at(p, T_NUMBER) && !at(p, T_DURATION))
        if (!pq_stuck(p))
            return false;
    t = pq_shift(p);
    *v = pq_token_number(p, &t, &as_duration);
    if (negative)
        *v = -*v;
    return pq_expect(p, T_RPAREN);
}

/* fill is a modifier only before "(": else it is a metric of that name. */
static bool at_fill(struct parser *p)
{
    struct str rest;

    if (!at(p, T_FILL) && !at(p, T_FILL_LEFT) && !at(p, T_FILL_RIGHT))
        return false;
    rest = str_trim(str_from(p->text, p->lex.pos));
    return rest.n && rest.p[0] == '(';
}

static bool parse_fills(struct parser *p, struct vector_matching *m)
{
    while (at_fill(p)) {
        enum tok which = pq_cur(p)->type;
        bool both = which == T_FILL;
        double v = 0;

        if (((both || which == T_FILL_LEFT) && m->has_fill_left) ||
            ((both || which == T_FILL_RIGHT) && m->has_fill_right))
            break;
        pq_shift(p);
        if (!parse_fill_value(p, &v))
            return false;
        if (which != T_FILL_RIGHT) {
            m->has_fill_left = true;
            m->fill_left = v;
        }
        if (which != T_FILL_LEFT) {
            m->has_fill_right = true;
            m->fill_right = v;
        }
    }
    return !p->unwinding;
}

bool pq_parse_matching(struct parser *p, struct vector_matching *m, bool *return_bool)
{
    *return_bool = pq_take(p, T_BOOL);
    if (at(p, T_ON) || at(p, T_IGNORING)) {
        m->on = pq_shift(p).type == T_ON;
        pq_parse_grouping(p, &m->labels, &m->nlabels);
        if (at(p, T_GROUP_LEFT) || at(p, T_GROUP_RIGHT)) {
            m->card = pq_shift(p).type == T_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
            if (at(p, T_LPAREN))
                pq_parse_grouping(p, &m->include, &m->ninclude);
        }
    }
    return parse_fills(p, m);
}

/* --- arguments -------------------------------------------------------------------------------------- */

struct args {
    struct node **v;
    uint32_t n, cap;
};

static void args_add(struct parser *p, struct args *args, struct node *one)
{
    if (args->n == args->cap) {
        uint32_t cap = args->cap ? args->cap * 2 : 4;
        struct node **v = arena_array(p->a, struct node *, cap);

        if (args->n)
            memcpy(v, args->v, args->n * sizeof *v);
        args->v = v;
        args->cap = cap;
    }
    args->v[args->n++] = one;
}

/* Can an argument begin here? After a comma it must, or the comma is one too many. */
static bool ends_args(struct parser *p)
{
    return at(p, T_RPAREN) || at(p, T_COMMA);
}

/* "(" args ")". false when unwinding. */
static bool parse_args(struct parser *p, struct args *args)
{
    struct node *e = NULL;
    bool ok = false;

    if (!pq_expect(p, T_LPAREN) || !pq_enter(p))
        return false;
    if (pq_take(p, T_RPAREN)) {
        pq_leave(p);
        return true;
    }
    e = pq_parse_expr(p);
    while (e) {
        if (at(p, T_RPAREN)) {
            if (e)
                args_add(p, args, e);
            pq_shift(p);
            ok = true;
            break;
        }
        if (at(p, T_COMMA)) {
            struct token comma = pq_shift(p);

            args_add(p, args, e);
            while (ends_args(p)) {
                pq_error(p, comma.pos, comma.pos + 1, "trailing commas not allowed in function call args");
                if (pq_take(p, T_RPAREN)) {
                    pq_leave(p);
                    return true;
                }
                comma = pq_shift(p);
            }
            e = pq_parse_expr(p);
        } else {
            e = pq_stuck(p) ? pq_parse_more(p, e) : NULL;
        }
    }
    pq_leave(p);
    return ok && !p->unwinding;
}

/* --- another language in brackets -------------------------------------------------------------------- */

/* Behind the string or comment that begins at `at`; the text's end where it does not end. */
static size_t skip_quoted(struct str s, size_t at)
{
    char open = s.p[at++], close = open == '#' ? '\n' : open;

    while (at < s.n && s.p[at] != close)
        at += open == '"' && s.p[at] == '\\' ? 2 : 1;
    return MIN(at + 1, s.n);
}

/* The bracket that closes the one before `at`, or the text's end. */
static size_t closing_bracket(struct str s, size_t at)
{
    unsigned depth = 1;

    while (at < s.n) {
        char ch = s.p[at];

        if (ch == '"' || ch == '`' || ch == '#') {
            at = skip_quoted(s, at);
            continue;
        }
        if (ch == '(')
            depth++;
        else if (ch == ')' && --depth == 0)
            break;
        at++;
    }
    return at;
}

/*
 * logs( or spans( with something else than a string in it, the bracket not yet taken: all up to the closing bracket is the
 * argument. False: it is a call like others.
 */
static bool parse_foreign(struct parser *p, struct str name, struct args *args)
{
    uint32_t from = p->lex.pos, to;
    struct str inside;
    struct node *n;

    if (promql_foreign_find(name) == PROMQL_FOREIGN_N)
        return false;
    inside = str_trim(str_from(p->text, from));
    if (!inside.n || strchr("\"'`)", inside.p[0]))
        return false;
    to = (uint32_t)closing_bracket(p->text, from);
    if (to == p->text.n)
        return false; /* the lexer will say that a bracket is missing, or what else it minds */
    inside = str_trim(str_n(p->text.p + from, to - from));
    n = pq_node_new(p, N_STRING, PQ_STRING, (uint32_t)(inside.p - p->text.p), (uint32_t)(inside.p - p->text.p + (ptrdiff_t)inside.n));
    n->string = inside;
    args_add(p, args, n);
    pq_shift(p);
    p->lex.pos = p->lex.start = to; /* the closing bracket is the lexer's next token */
    return pq_expect(p, T_RPAREN);
}

struct node *pq_parse_call(struct parser *p, struct token name)
{
    const struct promql_function *fn;
    struct args args = {0};
    struct node *n;

    if (!parse_foreign(p, name.val, &args) && !parse_args(p, &args))
        return NULL;
    fn = promql_function_find(name.val);
    if (!fn)
        pq_error(p, name.pos, name.pos + (uint32_t)name.val.n, "unknown function with name %s", pq_quoted(p, name.val));
    n = pq_node_new(p, N_CALL, fn ? fn->returns : PQ_VECTOR, name.pos, p->last_end);
    n->call.fn = fn;
    n->call.args = args.v;
    n->call.nargs = args.n;
    return n;
}

/* --- aggregations ------------------------------------------------------------------------------------ */

static void parse_modifier(struct parser *p, struct node *n)
{
    n->agg.without = pq_shift(p).type == T_WITHOUT;
    n->agg.has_grouping = true;
    pq_parse_grouping(p, &n->agg.grouping, &n->agg.ngrouping);
}

static bool has_param(enum agg_op op)
{
    return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_COUNT_VALUES || op == AGG_QUANTILE || op == AGG_LIMITK ||
           op == AGG_LIMIT_RATIO;
}

static void give_args(struct parser *p, struct node *n, const struct args *args)
{
    uint32_t want = has_param(n->agg.op) ? 2 : 1;

    if (args->n == 0) {
        pq_error(p, n->start, n->end, "no arguments for aggregate expression provided");
        return;
    }
    if (want == 2)
        n->agg.param = args->v[0];
    if (args->n != want) {
        pq_error(p, n->start, n->end,
                 "wrong number of arguments for aggregate expression provided, expected %u, got %u", want, args->n);
        return;
    }
    n->agg.expr = args->v[want - 1];
}

struct node *pq_parse_aggregate(struct parser *p, struct token op)
{
    struct node *n = pq_node_new(p, N_AGGREGATE, PQ_VECTOR, op.pos, 0);
    struct args args = {0};

    n->agg.op = (enum agg_op)(op.type - T_AGGREGATORS - 1);
    if (!at(p, T_LPAREN))
        parse_modifier(p, n);
    if (!p->unwinding && parse_args(p, &args) && !n->agg.has_grouping && (at(p, T_BY) || at(p, T_WITHOUT)))
        parse_modifier(p, n);
    if (p->unwinding) {
        if (!pq_caught(p, "aggregation", NULL))
            return NULL;
        args.n = 0;
    }
    n->end = MAX(p->last_closing, op.pos + (uint32_t)op.val.n);
    give_args(p, n, &args);
    return n;
}
