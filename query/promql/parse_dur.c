/* parse_dur.c - durations: a number, or arithmetic with numbers, step() and range(), worked out before a query runs. */
#include "query/promql/parse.h"

#include <math.h>

bool pq_starts_dur(enum tok t)
{
    return t == T_NUMBER || t == T_DURATION || t == T_ADD || t == T_SUB || t == T_LPAREN || t == T_STEP ||
           t == T_RANGE || t == T_MIN_OF || t == T_MAX_OF;
}

static struct dur *dur_new(struct parser *p, enum dur_kind kind, uint32_t start)
{
    struct dur *d = arena_new(p->a, struct dur);

    d->kind = kind;
    d->start = start;
    d->end = p->last_end;
    return d;
}

/* Stands where an error was reported. Has no place in the text. */
static struct dur *dur_zero(struct parser *p)
{
    struct dur *d = dur_new(p, DUR_NUMBER, 0);

    d->end = 0;
    return d;
}

static bool in_range(double seconds)
{
    return !(seconds > 0x1p63 / 1e9) && !(seconds < -0x1p63 / 1e9);
}

static struct dur *dur_literal(struct parser *p)
{
    struct token t = pq_shift(p);
    struct dur *d = dur_new(p, DUR_NUMBER, t.pos);

    d->seconds = pq_token_number(p, &t, &d->as_duration);
    if (in_range(d->seconds))
        return d;
    pq_error(p, d->start, d->end, "duration out of range");
    return dur_zero(p);
}

/* step() range() min_of(a, b) max_of(a, b) */
static struct dur *dur_call(struct parser *p)
{
    struct token name = pq_shift(p);
    enum dur_kind kind = name.type == T_STEP     ? DUR_STEP
                         : name.type == T_RANGE  ? DUR_RANGE
                         : name.type == T_MIN_OF ? DUR_MIN_OF
                                                 : DUR_MAX_OF;
    struct dur *l = NULL, *r = NULL, *d;

    if (!pq_expect(p, T_LPAREN) || !pq_enter(p))
        return NULL;
    if (kind == DUR_MIN_OF || kind == DUR_MAX_OF) {
        l = pq_parse_dur(p);
        r = l && pq_expect(p, T_COMMA) ? pq_parse_dur(p) : NULL;
    }
    pq_leave(p);
    if (p->unwinding || !pq_expect(p, T_RPAREN))
        return NULL;
    d = dur_new(p, kind, name.pos);
    d->l = l;
    d->r = r;
    return d;
}

static struct dur *dur_paren(struct parser *p)
{
    uint32_t start = pq_shift(p).pos;
    struct dur *inner = NULL, *d;

    if (pq_enter(p)) {
        inner = pq_parse_dur(p);
        pq_leave(p);
    }
    if (!inner || !pq_expect(p, T_RPAREN))
        return NULL;
    if (inner->kind == DUR_PAREN) /* brackets within brackets say nothing more */
        return inner;
    d = dur_new(p, DUR_PAREN, start);
    d->l = inner;
    return d;
}

static struct dur *dur_negate(struct parser *p, struct token sign, struct dur *d)
{
    struct dur *n;

    if (d->kind == DUR_NUMBER) {
        if (sign.type == T_SUB)
            d->seconds = -d->seconds;
        d->start = sign.pos;
        return d;
    }
    if (sign.type == T_ADD)
        return d;
    n = dur_new(p, DUR_UNARY, sign.pos);
    n->op = OP_SUB;
    n->l = d;
    return n;
}

static struct dur *dur_primary(struct parser *p)
{
    do {
        switch (p->unwinding ? T_EOF : pq_cur(p)->type) {
        case T_NUMBER:
        case T_DURATION:
            return dur_literal(p);
        case T_STEP:
        case T_RANGE:
        case T_MIN_OF:
        case T_MAX_OF:
            return dur_call(p);
        case T_LPAREN:
            return dur_paren(p);
        default:
            break;
        }
    } while (pq_stuck(p));
    return NULL;
}

static int level_of(enum tok t)
{
    return t == T_ADD || t == T_SUB ? 1 : t == T_MUL || t == T_DIV || t == T_MOD ? 2 : t == T_POW ? 3 : 0;
}

static enum promql_op op_of(enum tok t)
{
    return t == T_ADD   ? OP_ADD
           : t == T_SUB ? OP_SUB
           : t == T_MUL ? OP_MUL
           : t == T_DIV ? OP_DIV
           : t == T_MOD ? OP_MOD
                        : OP_POW;
}

static struct dur *dur_level(struct parser *p, int level);

static struct dur *dur_binary(struct parser *p, struct dur *l)
{
    struct token op = pq_shift(p);
    int level = level_of(op.type);
    struct dur *r = NULL, *d;

    if (pq_enter(p)) {
        r = dur_level(p, op.type == T_POW ? level : level + 1);
        pq_leave(p);
    }
    if (!r)
        return NULL;
    if ((op.type == T_DIV || op.type == T_MOD) && r->kind == DUR_NUMBER && r->seconds == 0) {
        pq_error(p, op.pos, op.pos + 1, "%s by zero", op.type == T_DIV ? "division" : "modulo");
        return dur_zero(p);
    }
    d = dur_new(p, DUR_BINARY, l->start);
    d->op = op_of(op.type);
    d->l = l;
    d->r = r;
    d->end = r->end;
    return d;
}

static struct dur *dur_level(struct parser *p, int level)
{
    unsigned operators = 0;
    struct dur *d;

    if (at(p, T_ADD) || at(p, T_SUB)) {
        struct token sign = pq_shift(p);

        d = NULL;
        if (pq_enter(p)) {
            d = dur_level(p, 3);
            pq_leave(p);
        }
        d = d ? dur_negate(p, sign, d) : NULL;
    } else {
        d = dur_primary(p);
    }
    while (d && !p->unwinding && level_of(pq_cur(p)->type) >= level) {
        if (++operators > PQ_NEST_MAX) /* they lean to the left: as high a tree */
            pq_too_deep(p);
        else
            d = dur_binary(p, d);
    }
    return p->unwinding ? NULL : d;
}

struct dur *pq_parse_dur(struct parser *p)
{
    return dur_level(p, 1);
}

/* After `offset`: one operand with at most one sign, so that what follows is arithmetic with the selector's values. */
struct dur *pq_parse_dur_offset(struct parser *p)
{
    struct dur *d;

    if (at(p, T_ADD) || at(p, T_SUB)) {
        struct token sign = pq_shift(p);

        d = dur_primary(p);
        return d ? dur_negate(p, sign, d) : NULL;
    }
    return dur_primary(p);
}
