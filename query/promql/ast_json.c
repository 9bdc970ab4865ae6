/*
 * ast_json.c - the tree as /api/v1/parse_query shows it. Keys in alphabetical order, as upstream's come out. Each node
 * has a JSON writer of its own: a tree may be higher than one writer counts.
 */
#include "query/promql/ast.h"

#include <math.h>

static void put_node(struct buf *out, const struct node *n);

/* The value of the key just written comes from elsewhere. */
static void hand_over(struct json *j, const char *key)
{
    json_key(j, key);
    json_raw(j, STR(""));
}

static void put_child(struct json *j, const char *key, const struct node *n)
{
    hand_over(j, key);
    if (n)
        put_node(j->out, n);
    else
        buf_putz(j->out, "null");
}

static void put_strs(struct json *j, const char *key, const struct str *v, uint32_t n)
{
    json_key(j, key);
    json_arr(j);
    for (uint32_t i = 0; i < n; i++)
        json_str(j, v[i]);
    json_end_arr(j);
}

static void put_val(struct json *j, double v)
{
    char text[NUM_MAX];

    json_key(j, "val");
    json_str(j, str_n(text, num_fmt_f(v, text)));
}

/* --- durations -------------------------------------------------------------------------------------- */

static void put_dur(struct buf *out, const struct dur *d, bool wrapped)
{
    static const char *const names[] = {
        [DUR_STEP] = "step", [DUR_RANGE] = "range", [DUR_MIN_OF] = "min_of", [DUR_MAX_OF] = "max_of"};
    const struct dur *l = NULL, *r = NULL;
    const char *op = names[d->kind == DUR_NUMBER || d->kind > DUR_MAX_OF ? DUR_STEP : d->kind];
    struct json j;

    if (d->kind == DUR_PAREN && d->l->kind != DUR_NUMBER) {
        put_dur(out, d->l, true);
        return;
    }
    json_init(&j, out);
    json_obj(&j);
    if (d->kind == DUR_NUMBER) {
        json_key(&j, "duration");
        json_bool(&j, d->as_duration);
        json_key(&j, "type");
        json_strz(&j, "numberLiteral");
        put_val(&j, d->seconds);
        json_end_obj(&j);
        return;
    }
    if (d->kind == DUR_PAREN) { /* a bracketed number: upstream makes it a sum of one */
        op = "+";
        r = d->l;
        wrapped = true;
    } else if (d->kind == DUR_UNARY) {
        op = promql_op_text(d->op);
        r = d->l;
    } else {
        l = d->l;
        r = d->r;
        if (d->kind == DUR_BINARY)
            op = promql_op_text(d->op);
    }
    hand_over(&j, "lhs");
    l ? put_dur(out, l, false) : buf_putz(out, "null");
    json_key(&j, "op");
    json_strz(&j, op);
    hand_over(&j, "rhs");
    r ? put_dur(out, r, false) : buf_putz(out, "null");
    json_key(&j, "type");
    json_strz(&j, "durationExpr");
    json_key(&j, "wrapped");
    json_bool(&j, wrapped);
    json_end_obj(&j);
}

static void put_dur_key(struct json *j, const char *key, const struct dur *d)
{
    hand_over(j, key);
    d ? put_dur(j->out, d, false) : buf_putz(j->out, "null");
}

static void put_ms(struct json *j, const char *key, int64_t ms)
{
    json_key(j, key);
    json_i64(j, ms);
}

/* --- selectors --------------------------------------------------------------------------------------- */

static void put_start_or_end(struct json *j, const struct when *w)
{
    json_key(j, "startOrEnd");
    if (w->at == AT_START || w->at == AT_END)
        json_strz(j, w->at == AT_START ? "start" : "end");
    else
        json_null(j);
}

static void put_timestamp(struct json *j, const struct when *w)
{
    json_key(j, "timestamp");
    if (w->at == AT_TIME)
        json_i64(j, w->at_ms);
    else
        json_null(j);
}

static void put_selector(struct json *j, const struct node *s, const struct node *matrix)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};

    json_key(j, "anchored");
    json_bool(j, s->selector.anchored);
    json_key(j, "matchers");
    json_arr(j);
    for (uint32_t i = 0; i < s->selector.nmatchers; i++) {
        json_obj(j);
        json_key(j, "name");
        json_str(j, s->selector.matchers[i].name);
        json_key(j, "type");
        json_strz(j, ops[s->selector.matchers[i].op]);
        json_key(j, "value");
        json_str(j, s->selector.matchers[i].value);
        json_end_obj(j);
    }
    json_end_arr(j);
    json_key(j, "name");
    json_str(j, s->selector.name);
    put_ms(j, "offset", s->selector.when.offset_ms);
    put_dur_key(j, "offsetExpr", s->selector.when.offset_expr);
    if (matrix) {
        put_ms(j, "range", matrix->matrix.range_ms);
        put_dur_key(j, "rangeExpr", matrix->matrix.range_expr);
    }
    json_key(j, "smoothed");
    json_bool(j, s->selector.smoothed);
    put_start_or_end(j, &s->selector.when);
    put_timestamp(j, &s->selector.when);
    json_key(j, "type");
    json_strz(j, matrix ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(struct json *j, const struct node *n)
{
    put_child(j, "expr", n->subquery.expr);
    put_ms(j, "offset", n->subquery.when.offset_ms);
    put_dur_key(j, "offsetExpr", n->subquery.when.offset_expr);
    put_ms(j, "range", n->subquery.range_ms);
    put_dur_key(j, "rangeExpr", n->subquery.range_expr);
    put_start_or_end(j, &n->subquery.when);
    put_ms(j, "step", n->subquery.step_ms);
    put_dur_key(j, "stepExpr", n->subquery.step_expr);
    put_timestamp(j, &n->subquery.when);
    json_key(j, "type");
    json_strz(j, "subquery");
}

/* --- operators and calls ------------------------------------------------------------------------------ */

static void put_fill(struct json *j, const char *key, bool has, double v)
{
    json_key(j, key);
    if (has)
        json_f64(j, v);
    else
        json_null(j);
}

static void put_matching(struct json *j, const struct vector_matching *m)
{
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};

    json_key(j, "matching");
    if (!m) {
        json_null(j);
        return;
    }
    json_obj(j);
    json_key(j, "card");
    json_strz(j, cards[m->card]);
    json_key(j, "fillValues");
    json_obj(j);
    put_fill(j, "lhs", m->has_fill_left, m->fill_left);
    put_fill(j, "rhs", m->has_fill_right, m->fill_right);
    json_end_obj(j);
    put_strs(j, "include", m->include, m->ninclude);
    put_strs(j, "labels", m->labels, m->nlabels);
    json_key(j, "on");
    json_bool(j, m->on);
    json_end_obj(j);
}

static void put_call(struct json *j, const struct node *n)
{
    static const char *const plain[] = {"none", "scalar", "vector", "matrix", "string"};
    const struct promql_function *fn = n->call.fn;

    json_key(j, "args");
    json_arr(j);
    for (uint32_t i = 0; i < n->call.nargs; i++) {
        json_raw(j, STR(""));
        put_node(j->out, n->call.args[i]);
    }
    json_end_arr(j);
    json_key(j, "func");
    json_obj(j);
    json_key(j, "argTypes");
    json_arr(j);
    for (uint32_t i = 0; i < fn->nargs; i++)
        json_strz(j, plain[fn->args[i]]);
    json_end_arr(j);
    json_key(j, "name");
    json_strz(j, fn->name);
    json_key(j, "returnType");
    json_strz(j, plain[fn->returns]);
    json_key(j, "variadic");
    json_i64(j, fn->variadic);
    json_end_obj(j);
    json_key(j, "type");
    json_strz(j, "call");
}

static void put_binary(struct json *j, const struct node *n)
{
    json_key(j, "bool");
    json_bool(j, n->binary.return_bool);
    put_child(j, "lhs", n->binary.l);
    put_matching(j, n->binary.matching);
    json_key(j, "op");
    json_strz(j, promql_op_text(n->binary.op));
    put_child(j, "rhs", n->binary.r);
    json_key(j, "type");
    json_strz(j, "binaryExpr");
}

static void put_aggregate(struct json *j, const struct node *n)
{
    put_child(j, "expr", n->agg.expr);
    put_strs(j, "grouping", n->agg.grouping, n->agg.ngrouping);
    json_key(j, "op");
    json_strz(j, agg_op_text(n->agg.op));
    put_child(j, "param", n->agg.param);
    json_key(j, "type");
    json_strz(j, "aggregation");
    json_key(j, "without");
    json_bool(j, n->agg.without);
}

static void put_body(struct json *j, const struct node *n)
{
    switch (n->kind) {
    case N_NUMBER:
        json_key(j, "type");
        json_strz(j, "numberLiteral");
        put_val(j, n->number.v);
        break;
    case N_STRING:
        json_key(j, "type");
        json_strz(j, "stringLiteral");
        json_key(j, "val");
        json_str(j, n->string);
        break;
    case N_SELECTOR:
        put_selector(j, n, NULL);
        break;
    case N_MATRIX:
        put_selector(j, n->matrix.selector, n);
        break;
    case N_SUBQUERY:
        put_subquery(j, n);
        break;
    case N_UNARY:
        put_child(j, "expr", n->unary.expr);
        json_key(j, "op");
        json_strz(j, promql_op_text(n->unary.op));
        json_key(j, "type");
        json_strz(j, "unaryExpr");
        break;
    case N_BINARY:
        put_binary(j, n);
        break;
    case N_CALL:
        put_call(j, n);
        break;
    case N_AGGREGATE:
        put_aggregate(j, n);
        break;
    case N_PAREN:
    case N_STEP_INVARIANT:
        put_child(j, "expr", n->child);
        json_key(j, "type");
        json_strz(j, "parenExpr");
        break;
    }
}

static void put_node(struct buf *out, const struct node *n)
{
    struct json j;

    if (n->kind == N_STEP_INVARIANT) {
        put_node(out, n->child);
        return;
    }
    json_init(&j, out);
    json_obj(&j);
    put_body(&j, n);
    json_end_obj(&j);
}

void promql_ast_json(struct buf *out, const struct node *n)
{
    put_node(out, n);
}
