/*
 * check.c - what fits the grammar and still means nothing.
 */
#include "query/logql/logql.h"
#include "query/logql/parse.h"
#include "query/logql/pipeline.h"

const char lq_empty_matchers[] =
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, "
    "app=~\".*\" does not meet this requirement, but app=~\".+\" will";

bool lq_check_matchers(const struct matcher *m, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if ((m[i].op == MATCH_EQ || m[i].op == MATCH_RE) && !matcher_matches(&m[i], STR("")))
            return true;
    return false;
}

/* --- range aggregations ----------------------------------------------------------------------- */

enum { WITH_UNWRAP = 1, WITHOUT_UNWRAP = 2, GROUPS = 4 };

static const uint8_t range_rules[RANGE_OPS] = {
    [RANGE_COUNT] = WITHOUT_UNWRAP,
    [RANGE_RATE] = WITH_UNWRAP | WITHOUT_UNWRAP,
    [RANGE_RATE_COUNTER] = WITH_UNWRAP,
    [RANGE_BYTES] = WITHOUT_UNWRAP,
    [RANGE_BYTES_RATE] = WITHOUT_UNWRAP,
    [RANGE_ABSENT] = WITH_UNWRAP | WITHOUT_UNWRAP,
    [RANGE_AVG] = WITH_UNWRAP | GROUPS,
    [RANGE_SUM] = WITH_UNWRAP,
    [RANGE_MIN] = WITH_UNWRAP | GROUPS,
    [RANGE_MAX] = WITH_UNWRAP | GROUPS,
    [RANGE_STDVAR] = WITH_UNWRAP | GROUPS,
    [RANGE_STDDEV] = WITH_UNWRAP | GROUPS,
    [RANGE_QUANTILE] = WITH_UNWRAP | GROUPS,
    [RANGE_FIRST] = WITH_UNWRAP | GROUPS,
    [RANGE_LAST] = WITH_UNWRAP | GROUPS,
};

void lq_check_range(struct lq_parser *p, const struct logql_expr *n, const struct lq_token *param)
{
    const char *op = logql_range_op_text(n->range.op);
    unsigned rules = range_rules[n->range.op];

    if (param && n->range.op != RANGE_QUANTILE)
        lq_nonsense(p, "parameter %.*s not supported for operation %s", STR_ARG(str_head(param->text, 100)), op);
    else if (!param && n->range.op == RANGE_QUANTILE)
        lq_nonsense(p, "parameter required for operation %s", op);
    if (n->range.grouping.present && !(rules & GROUPS))
        lq_nonsense(p, "grouping not allowed for %s aggregation", op);
    else if (n->range.log.unwrap && !(rules & WITH_UNWRAP))
        lq_nonsense(p, "invalid aggregation %s with unwrap", op);
    else if (!n->range.log.unwrap && !(rules & WITHOUT_UNWRAP))
        lq_nonsense(p, "invalid aggregation %s without unwrap", op);
}

/* --- vector aggregations ---------------------------------------------------------------------- */

static bool wants_k(enum logql_vector_op op)
{
    return op == VECTOR_TOPK || op == VECTOR_BOTTOMK || op == VECTOR_APPROX_TOPK;
}

static void check_k(struct lq_parser *p, struct logql_expr *n, const struct lq_token *param)
{
    const char *op = logql_vector_op_text(n->agg.op);

    if (!param)
        lq_nonsense(p, "parameter required for operation %s", op);
    else if (!str_to_i64(param->text, &n->agg.k))
        lq_nonsense(p, "invalid parameter %s(%.*s,", op, STR_ARG(str_head(param->text, 100)));
    else if (n->agg.k <= 0)
        lq_nonsense(p, "invalid parameter (must be greater than 0) %s(%.*s,", op, STR_ARG(str_head(param->text, 100)));
    else if (n->agg.op == VECTOR_APPROX_TOPK && n->agg.grouping.present)
        lq_nonsense(p, "grouping not allowed for %s aggregation", op);
}

void lq_check_aggregate(struct lq_parser *p, struct logql_expr *n, const struct lq_token *param)
{
    if (wants_k(n->agg.op))
        check_k(p, n, param);
    else if (param)
        lq_nonsense(p, "unsupported parameter for operation %s(%.*s,", logql_vector_op_text(n->agg.op),
                    STR_ARG(str_head(param->text, 100)));
    if ((n->agg.op == VECTOR_SORT || n->agg.op == VECTOR_SORT_DESC) && n->agg.grouping.present)
        lq_nonsense(p, "sort and sort_desc doesn't allow grouping by");
}

/* --- stages ----------------------------------------------------------------------------------- */

void lq_check_formats(struct lq_parser *p, const struct logql_label_fmt *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eqz(v[i].dst, "__error__"))
            lq_nonsense(p, "%.*s cannot be formatted", STR_ARG(v[i].dst));
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(v[i].dst, v[k].dst))
                lq_nonsense(p, "multiple label name '%.*s' not allowed in a single format operation",
                            STR_ARG(str_head(v[i].dst, 200)));
    }
}

void lq_check_captures(struct lq_parser *p, const struct regex *re)
{
    unsigned n = regex_ngroups(re), named = 0;

    for (unsigned i = 1; i < n; i++) {
        struct str name = regex_group_name(re, i);

        if (!name.n)
            continue;
        named++;
        if (!label_name_legacy(name))
            lq_nonsense(p, "invalid extracted label name '%.*s'", STR_ARG(str_head(name, 200)));
        for (unsigned k = 1; k < i; k++)
            if (str_eq(name, regex_group_name(re, k)))
                lq_nonsense(p, "duplicate extracted label name '%.*s'", STR_ARG(str_head(name, 200)));
    }
    if (!named)
        lq_nonsense(p, "at least one named capture must be supplied");
}

/* --- the tree --------------------------------------------------------------------------------- */

void lq_check(struct lq_parser *p, const struct logql_expr *n)
{
    const struct logql_log *log = n->kind == LOGQL_LOG ? &n->log : n->kind == LOGQL_RANGE ? &n->range.log : NULL;

    if (log && !lq_check_matchers(log->matchers, log->nmatchers))
        lq_nonsense(p, "%s", lq_empty_matchers);
    switch (n->kind) {
    case LOGQL_AGGREGATE:
        lq_check(p, n->agg.expr);
        break;
    case LOGQL_BINARY:
        lq_check(p, n->binary.l);
        lq_check(p, n->binary.r);
        break;
    case LOGQL_LABEL_REPLACE:
        lq_check(p, n->replace.expr);
        break;
    default:
        break;
    }
}

/* --- what is left open ------------------------------------------------------------------------- */

static int check_stages(const struct logql_log *log, struct err *e)
{
    struct pipeline_opts o = {0};
    struct pipeline *p = NULL;
    int code = pipeline_of_query(log, &o, &p, e);

    pipeline_free(p);
    return code;
}

static int check_tree(const struct logql_expr *n, struct err *e)
{
    switch (n->kind) {
    case LOGQL_LOG:
        return check_stages(&n->log, e);
    case LOGQL_RANGE:
        return check_stages(&n->range.log, e);
    case LOGQL_AGGREGATE:
        return check_tree(n->agg.expr, e);
    case LOGQL_BINARY:
        return check_tree(n->binary.l, e) < 0 ? ERR_INVALID : check_tree(n->binary.r, e);
    case LOGQL_LABEL_REPLACE:
        return check_tree(n->replace.expr, e);
    default:
        return 0;
    }
}

int logql_check(const struct logql_tree *t, struct err *e)
{
    return check_tree(t->root, e);
}
