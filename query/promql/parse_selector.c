/* parse_selector.c - {matchers}, and what binds to the expression before it: [range], [range:step], offset, @,
 * anchored, smoothed. */
#include "query/promql/parse.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* --- matchers -------------------------------------------------------------------------------------- */

static void keep_selector(struct parser *p, struct node *n)
{
    if (p->nselectors == p->selectors_cap) {
        uint32_t cap = p->selectors_cap ? p->selectors_cap * 2 : 8;
        struct node **v = arena_array(p->a, struct node *, cap);

        if (p->nselectors)
            memcpy(v, p->selectors, p->nselectors * sizeof *v);
        p->selectors = v;
        p->selectors_cap = cap;
    }
    p->selectors[p->nselectors++] = n;
}

static void add_matcher(struct parser *p, struct node *n, uint32_t *cap, enum match_op op, struct str name,
                        struct str value, uint32_t start, uint32_t end)
{
    struct err e;

    if (n->selector.nmatchers == *cap) {
        struct matcher *v = arena_array(p->a, struct matcher, *cap ? *cap * 2 : 4);

        if (*cap)
            memcpy(v, n->selector.matchers, *cap * sizeof *v);
        *cap = *cap ? *cap * 2 : 4;
        n->selector.matchers = v;
    }
    if (matcher_init(&n->selector.matchers[n->selector.nmatchers], op, name, value, &e) < 0)
        pq_error_str(p, start, end, arena_dup(p->a, str_of(e.text)));
    else
        n->selector.nmatchers++;
    if (p->q && (op == MATCH_RE || op == MATCH_NRE) && query_check(p->q, "parsing", &p->stopped) < 0) { /* long ones take long */
        pq_error_str(p, start, end, STR("stopped"));
        p->aborted = p->unwinding = true;
    }
}

static bool match_op_of(enum tok t, enum match_op *op)
{
    *op = t == T_NEQ ? MATCH_NE : t == T_EQL_REGEX ? MATCH_RE : t == T_NEQ_REGEX ? MATCH_NRE : MATCH_EQ;
    return t == T_EQL || *op != MATCH_EQ;
}

/* One matcher, or a bare string, which is the metric's name. Errors are taken here. */
static void parse_matcher(struct parser *p, struct node *n, uint32_t *cap)
{
    struct token name;
    struct str label;
    enum match_op op;

    while (!at(p, T_IDENT) && !at(p, T_STRING))
        if (!pq_stuck(p)) {
            pq_caught(p, "label matching", "identifier or \"}\"");
            return;
        }
    name = pq_shift(p);
    label = name.type == T_STRING ? pq_unquote(p->a, name.val) : name.val;
    while (!match_op_of(pq_cur(p)->type, &op)) {
        if (name.type == T_STRING) {
            add_matcher(p, n, cap, MATCH_EQ, STR(LABEL_NAME), label, name.pos, p->last_end);
            return;
        }
        if (!pq_stuck(p)) {
            pq_caught(p, "label matching", "label matching operator");
            return;
        }
    }
    pq_shift(p);
    while (!at(p, T_STRING))
        if (!pq_stuck(p)) {
            pq_caught(p, "label matching", "string");
            return;
        }
    pq_shift(p);
    add_matcher(p, n, cap, op, label, pq_unquote(p->a, p->tok.val), name.pos, p->last_end);
}

/* "{" matchers "}" */
static bool parse_braces(struct parser *p, struct node *n, uint32_t *cap)
{
    pq_shift(p);
    if (!at(p, T_RBRACE))
        parse_matcher(p, n, cap);
    while (!p->unwinding && !at(p, T_RBRACE)) {
        if (pq_take(p, T_COMMA)) {
            if (!at(p, T_RBRACE))
                parse_matcher(p, n, cap);
        } else if (!pq_stuck(p)) {
            pq_caught(p, "label matching", "\",\" or \"}\"");
        }
    }
    if (p->unwinding)
        return false;
    pq_shift(p);
    n->end = p->last_end;
    return true;
}

struct node *pq_parse_selector(struct parser *p, const struct token *name)
{
    uint32_t start = name ? name->pos : pq_cur(p)->pos, cap = 0;
    struct node *n = pq_node_new(p, N_SELECTOR, PQ_VECTOR, start, p->last_end);

    keep_selector(p, n);
    n->selector.name = name ? name->val : STR("");
    if ((!name || at(p, T_LBRACE)) && !parse_braces(p, n, &cap))
        return NULL;
    if (name)
        add_matcher(p, n, &cap, MATCH_EQ, STR(LABEL_NAME), name->val, n->start, n->end);
    return n;
}

/* --- [range] and [range:step] ---------------------------------------------------------------------- */

/* A range or step: must not be a number that is not above 0. NULL when unwinding. */
static struct dur *parse_positive(struct parser *p)
{
    struct dur *d;

    while (!p->unwinding && !pq_starts_dur(pq_cur(p)->type))
        if (!pq_stuck(p))
            return NULL;
    d = pq_parse_dur(p);
    if (d && d->kind == DUR_NUMBER && !(d->seconds > 0)) {
        pq_error(p, d->start, d->end, "duration must be greater than 0");
        d->seconds = 0;
    }
    return d;
}

static int64_t dur_ms(double seconds)
{
    double ms = round(seconds * 1000);

    return ms >= 9.2e18 ? INT64_MAX : ms <= -9.2e18 ? INT64_MIN : (int64_t)ms;
}

static void set_dur(struct dur *d, int64_t *ms, struct dur **expr)
{
    if (d->kind == DUR_NUMBER)
        *ms = dur_ms(d->seconds);
    else
        *expr = d;
}

static struct node *make_matrix(struct parser *p, struct node *e, struct dur *range, uint32_t bracket)
{
    struct node *n = pq_node_new(p, N_MATRIX, PQ_MATRIX, e->start, p->last_end);
    const char *fault = NULL;

    if (e->kind != N_SELECTOR)
        fault = "ranges only allowed for vector selectors";
    else if (e->selector.when.offset_ms || e->selector.when.offset_expr)
        fault = "no offset modifiers allowed before range";
    else if (e->selector.when.at == AT_TIME) /* start() and end() are let through, as upstream does */
        fault = "no @ modifiers allowed before range";
    if (fault)
        pq_error(p, bracket, p->last_end, "%s", fault);
    n->matrix.selector = e;
    set_dur(range, &n->matrix.range_ms, &n->matrix.range_expr);
    return n;
}

static struct node *make_subquery(struct parser *p, struct node *e, struct dur *range, struct dur *step)
{
    struct node *n = pq_node_new(p, N_SUBQUERY, PQ_MATRIX, e->start, p->last_end);

    n->subquery.expr = e;
    set_dur(range, &n->subquery.range_ms, &n->subquery.range_expr);
    if (step)
        set_dur(step, &n->subquery.step_ms, &n->subquery.step_expr);
    return n;
}

static struct node *parse_bracket(struct parser *p, struct node *e)
{
    uint32_t bracket = pq_shift(p).pos;
    struct dur *range = parse_positive(p), *step = NULL;

    if (!range)
        return pq_caught(p, "subquery or range selector", "number, duration, step(), or range()") ? e : NULL;
    while (!at(p, T_COLON) && !at(p, T_RBRACKET))
        if (!pq_stuck(p))
            return pq_caught(p, "subquery or range", "\":\" or \"]\"") ? e : NULL;
    if (pq_shift(p).type == T_RBRACKET)
        return make_matrix(p, e, range, bracket);
    if (pq_take(p, T_RBRACKET))
        return make_subquery(p, e, range, NULL);
    step = parse_positive(p);
    if (!step)
        return pq_caught(p, "subquery selector", "number, duration, step(), range(), or \"]\"") ? e : NULL;
    if (!pq_expect(p, T_RBRACKET))
        return pq_caught(p, "subquery selector", "\"]\"") ? e : NULL;
    return make_subquery(p, e, range, step);
}

/* --- offset and @ ----------------------------------------------------------------------------------- */

/* The when of what e is; NULL after reporting that e cannot have one. */
static struct when *when_of(struct parser *p, struct node *e, const char *fault)
{
    switch (e->kind) {
    case N_SELECTOR:
        return &e->selector.when;
    case N_SUBQUERY:
        return &e->subquery.when;
    case N_MATRIX:
        if (e->matrix.selector->kind == N_SELECTOR)
            return &e->matrix.selector->selector.when;
        pq_error(p, e->start, e->end, "ranges only allowed for vector selectors");
        return NULL;
    default:
        pq_error(p, e->start, e->end,
                 "%s must be preceded by an instant vector selector or range vector selector or a subquery", fault);
        return NULL;
    }
}

static struct node *parse_offset(struct parser *p, struct node *e)
{
    struct dur *d;
    struct when *w;

    pq_shift(p);
    while (!p->unwinding && !pq_starts_dur(pq_cur(p)->type))
        if (!pq_stuck(p))
            break;
    d = p->unwinding ? NULL : pq_parse_dur_offset(p);
    if (!d)
        return pq_caught(p, "offset", "number, duration, step(), or range()") ? e : NULL;
    w = when_of(p, e, "offset modifier");
    if (!w)
        return e;
    if (w->offset_ms || w->offset_expr)
        pq_error(p, e->start, e->end, "offset may not be set multiple times");
    else
        set_dur(d, &w->offset_ms, &w->offset_expr);
    e->end = p->last_closing;
    return e;
}

/* [sign] number, or start() / end(). false when unwinding. */
static bool parse_at_value(struct parser *p, enum at_kind *kind, double *seconds)
{
    bool negative = false, as_duration;
    struct token t;

    if (at(p, T_ADD) || at(p, T_SUB))
        negative = pq_shift(p).type == T_SUB;
    else
        for (;;) {
            if (at(p, T_START) || at(p, T_END)) {
                *kind = pq_shift(p).type == T_START ? AT_START : AT_END;
                return pq_expect(p, T_LPAREN) && pq_expect(p, T_RPAREN);
            }
            if (at(p, T_NUMBER) || at(p, T_DURATION))
                break;
            if (!pq_stuck(p))
                return false;
        }
    while (!at(p, T_NUMBER) && !at(p, T_DURATION))
        if (!pq_stuck(p))
            return false;
    t = pq_shift(p);
    *kind = AT_TIME;
    *seconds = pq_token_number(p, &t, &as_duration);
    if (negative)
        *seconds = -*seconds;
    return true;
}

static struct node *parse_at(struct parser *p, struct node *e)
{
    enum at_kind kind = AT_NONE;
    double seconds = 0;
    struct when *w;

    pq_shift(p);
    if (!parse_at_value(p, &kind, &seconds))
        return pq_caught(p, "@", "timestamp") ? e : NULL;
    if (isnan(seconds))
        pq_error(p, e->start, e->end, "timestamp out of bounds for @ modifier: NaN");
    else if (isinf(seconds))
        pq_error(p, e->start, e->end, "timestamp out of bounds for @ modifier: %cInf", seconds > 0 ? '+' : '-');
    else if (seconds >= 0x1p63 || seconds <= -0x1p63)
        pq_error(p, e->start, e->end, "timestamp out of bounds for @ modifier: %f", seconds);
    w = when_of(p, e, "@ modifier");
    if (!w)
        return e;
    if (w->at != AT_NONE) {
        pq_error(p, e->start, e->end, "@ <timestamp> may not be set multiple times");
        return e;
    }
    w->at = kind;
    w->at_ms = isfinite(seconds) ? dur_ms(seconds) : 0;
    e->end = p->last_closing;
    return e;
}

/* --- anchored and smoothed -------------------------------------------------------------------------- */

static void set_extended(struct parser *p, struct node *e, bool anchored)
{
    struct node *s = e->kind == N_MATRIX ? e->matrix.selector : e;

    if (e->kind == N_SUBQUERY) {
        pq_error(p, e->start, e->end, "%s modifier is not supported for subqueries",
                 anchored ? "anchored" : "smoothed");
        return;
    }
    if (e->kind == N_MATRIX && s->kind != N_SELECTOR)
        return; /* said already */
    if (s->kind != N_SELECTOR) { /* the text is upstream's */
        pq_error(p, e->start, e->end, "%s modifier not implemented", anchored ? "anchored" : "smoothed");
        return;
    }
    if (anchored)
        s->selector.anchored = true;
    else
        s->selector.smoothed = true;
    if (s->selector.anchored && s->selector.smoothed)
        pq_error(p, e->start, e->end, "anchored and smoothed modifiers cannot be used together");
}

struct node *pq_parse_postfix(struct parser *p, struct node *e)
{
    unsigned brackets = 0;

    while (e && !p->unwinding) {
        switch (pq_cur(p)->type) {
        case T_LBRACKET:
            if (++brackets > PQ_NEST_MAX)
                return pq_too_deep(p);
            e = parse_bracket(p, e);
            break;
        case T_OFFSET:
            e = parse_offset(p, e);
            break;
        case T_AT:
            e = parse_at(p, e);
            break;
        case T_ANCHORED:
        case T_SMOOTHED:
            set_extended(p, e, pq_shift(p).type == T_ANCHORED);
            break;
        default:
            return e;
        }
    }
    return p->unwinding ? NULL : e;
}
