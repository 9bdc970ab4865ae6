/*
 * explain.c - a planned tree as JSON: what each node is and what it cost.
 *
 * Parentheses do not show. What is worked out once for all steps has "once" where the planner put that. A node that was
 * evaluated as part of a chain over one selector is "fused": its time is that of all threads that read, with what stands below
 * it; the others have wall time, with all that stands below.
 */
#include "query/promql/promql.h"

#include "query/promql/cost.h"
#include "query/promql/print.h"
#include "tsdb/tsdb.h"

enum { TEXT_MAX = 400 };

static void put_children(struct buf *out, const struct node *n, struct str text);

/* --- what it is --------------------------------------------------------------------------------- */

static void put_duration(struct buf *b, int64_t ms)
{
    char text[NUM_MAX];

    buf_put(b, text, duration_fmt(ms, text));
}

static void put_operator(struct buf *b, const struct node *n)
{
    switch (n->kind) {
    case N_UNARY:
        buf_putz(b, promql_op_text(n->unary.op));
        break;
    case N_BINARY:
        pq_print_op(b, n);
        break;
    case N_CALL:
        buf_putz(b, n->call.fn->name);
        break;
    case N_AGGREGATE:
        pq_print_agg_head(b, n);
        break;
    case N_MATRIX:
        buf_putz(b, "range ");
        put_duration(b, n->matrix.range_ms);
        break;
    case N_SUBQUERY:
        buf_putz(b, "subquery ");
        pq_print_subquery_tail(b, n);
        break;
    case N_SELECTOR:
        promql_print(b, n);
        break;
    case N_NUMBER:
    case N_STRING:
    case N_PAREN:
    case N_STEP_INVARIANT:
        promql_print(b, n);
        break;
    }
}

static const char *kind_of(enum node_kind k)
{
    static const char *const names[] = {
        [N_NUMBER] = "number",         [N_STRING] = "string",     [N_SELECTOR] = "selector",  [N_MATRIX] = "range",
        [N_SUBQUERY] = "subquery",     [N_UNARY] = "unary",       [N_BINARY] = "binary",      [N_CALL] = "call",
        [N_AGGREGATE] = "aggregation", [N_PAREN] = "parentheses", [N_STEP_INVARIANT] = "once"};

    return names[k];
}

/* --- what it cost --------------------------------------------------------------------------------- */

static void put_u64(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

/* What a selector was answered from. */
static const char *resolution_of(const struct node_cost *c)
{
    switch (c->reads) {
    case TSDB_READS_SAMPLES:
        return "raw";
    case TSDB_READS_5M:
        return "5m";
    case TSDB_READS_1H:
        return "1h";
    default:
        return c->reads ? "mixed" : NULL;
    }
}

static void put_cost(struct json *j, const struct node *n)
{
    const struct node_cost *c = n->cost;
    bool fused = c->runs == 0;

    put_u64(j, "series", fused ? c->chain_series : c->series);
    if (n->kind == N_SELECTOR) {
        put_u64(j, "samples", c->samples);
        put_u64(j, "blocksRead", c->blocks_read);
        put_u64(j, "blocksSkipped", c->blocks_skipped);
    }
    if (n->kind == N_SELECTOR && resolution_of(c)) {
        json_key(j, "resolution");
        json_strz(j, resolution_of(c));
    }
    json_key(j, "fused");
    json_bool(j, fused);
    json_key(j, "seconds");
    json_f64(j, (double)(fused ? c->chain_ns : c->ns) / 1e9);
    if (fused)
        return;
    put_u64(j, "steps", c->steps);
    put_u64(j, "bytes", c->bytes);
    put_u64(j, "runs", c->runs);
}

static void put_node(struct buf *out, const struct node *n, struct str text)
{
    bool once = false;
    struct buf op = {0};
    struct json json, *j = &json; /* one a node: a tree may be deeper than a writer goes */

    while (n->kind == N_PAREN || n->kind == N_STEP_INVARIANT) {
        once |= n->kind == N_STEP_INVARIANT;
        n = n->child;
    }
    put_operator(&op, n);
    op.n -= op.n > 0 && op.p[op.n - 1] == ' ';
    json_init(j, out);
    json_obj(j);
    json_key(j, "kind");
    json_strz(j, kind_of(n->kind));
    json_key(j, "operator");
    json_str(j, op.n ? str_head(buf_str(&op), TEXT_MAX) : STR(""));
    put_u64(j, "start", n->start);
    put_u64(j, "end", n->end);
    json_key(j, "text");
    json_str(j, n->start < n->end && n->end <= text.n ? str_head(str_from(str_head(text, n->end), n->start), TEXT_MAX)
                                                      : STR(""));
    if (once) {
        json_key(j, "once");
        json_bool(j, true);
    }
    if (n->cost && (n->cost->runs || n->cost->threads || n->kind == N_SELECTOR))
        put_cost(j, n);
    json_key(j, "children");
    json_raw(j, STR("["));
    put_children(out, n, text);
    buf_putc(out, ']');
    json_end_obj(j);
    buf_release(&op);
}

static void put_children(struct buf *out, const struct node *n, struct str text)
{
    const struct node *pair[2] = {NULL, NULL}, *const *v = pair;
    uint32_t put = 0, many = 2;

    if (n->kind == N_MATRIX) {
        pair[0] = n->matrix.selector;
    } else if (n->kind == N_SUBQUERY) {
        pair[0] = n->subquery.expr;
    } else if (n->kind == N_UNARY) {
        pair[0] = n->unary.expr;
    } else if (n->kind == N_BINARY) {
        pair[0] = n->binary.l;
        pair[1] = n->binary.r;
    } else if (n->kind == N_AGGREGATE) {
        pair[0] = n->agg.param;
        pair[1] = n->agg.expr;
    } else if (n->kind == N_CALL) {
        v = (const struct node *const *)n->call.args;
        many = n->call.nargs;
    }
    for (uint32_t i = 0; i < many; i++) {
        if (!v[i])
            continue;
        if (put++)
            buf_putc(out, ',');
        put_node(out, v[i], text);
    }
}

void promql_explain(struct buf *out, const struct node *plan, struct str text)
{
    put_node(out, plan, text);
}
