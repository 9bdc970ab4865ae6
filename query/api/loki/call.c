/* call.c - from the I/O thread to the query pool and back to the client. */
#include "query/api/loki/inside.h"

struct loki_call *loki_call_new(const struct loki_ctx *c, struct http_request *r,
                                void (*run)(struct loki_call *k, struct query *q))
{
    struct loki_call *k = arena_new(r->arena, struct loki_call);

    k->c = c;
    k->r = r;
    k->run = run;
    k->asked_ns = clock_mono_ns();
    return k;
}

static bool client_left(void *arg)
{
    return http_canceled(arg);
}

static void run(struct query *q, void *arg)
{
    struct loki_call *k = arg;
    struct err e;

    q->canceled = client_left;
    q->canceled_arg = k->r;
    k->began_ns = clock_mono_ns();
    if (query_check(q, "the queue", &e) < 0) /* it may have waited for long */
        loki_call_fail(k, q, &e);
    else
        k->run(k, q);
}

void loki_call_start(struct loki_call *k, struct str text)
{
    struct query_limits limits = query_engine_opts_of(k->c->engine)->limits;
    struct err e;

    if (query_start(k->c->engine, "logql", text, &limits, run, k, &e) < 0)
        loki_answer_error(k->r, &e);
}

void loki_call_fail(struct loki_call *k, struct query *q, const struct err *e)
{
    query_end(q);
    loki_answer_error(k->r, e);
}

static int check_select(void *arg, uint64_t rows_more, uint64_t bytes_more, struct err *e)
{
    struct query *q = arg;
    int code = query_check(q, "the selector", e);

    if (code == 0 && rows_more)
        code = query_samples(q, rows_more, 0, "the selector", e);
    if (code == 0 && bytes_more)
        code = query_charge(q, (int64_t)bytes_more, "the selector", e);
    return code;
}

struct log_limits loki_limits_of(struct query *q)
{
    return (struct log_limits){.check = check_select, .arg = q};
}

static void release_tree(void *arg)
{
    logql_release(arg);
}

/* Patterns of a query that must stop are not compiled: then that is the reason to tell. */
static int not_parsed(struct query *q, struct err *e)
{
    struct err stop;

    if (query_check(q, "parsing", &stop) < 0)
        *e = stop;
    return e->code;
}

int loki_parse(struct query *q, struct str text, struct logql_tree **out, struct err *e)
{
    *out = arena_new(&q->arena, struct logql_tree);
    if (logql_parse(&q->arena, text, *out, e) < 0)
        return not_parsed(q, e);
    query_defer(q, release_tree, *out);
    return 0;
}

int loki_parse_selector(struct query *q, struct str text, struct logql_tree **out, struct err *e)
{
    *out = arena_new(&q->arena, struct logql_tree);
    if (logql_parse_selector(&q->arena, text, true, *out, e) < 0)
        return not_parsed(q, e);
    query_defer(q, release_tree, *out);
    return 0;
}

int loki_streams(struct loki_call *k, struct query *q, struct str text, struct labels **out, uint32_t *n, struct err *e)
{
    const struct matcher *m = NULL;
    struct logql_tree *t;
    uint32_t nm = 0;

    if (text.n) {
        if (loki_parse_selector(q, text, &t, e) < 0)
            return e->code;
        m = t->root->log.matchers;
        nm = t->root->log.nmatchers;
    }
    return logstore_series(k->c->logs, m, nm, k->w.start_ns, k->w.end_ns, &q->arena, out, n, e);
}
