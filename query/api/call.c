/* call.c - from the I/O thread to the query pool and back to the client. */
#include "query/api/inside.h"

#include "tsdb/tsdb.h"

#include <assert.h>

struct api_call *api_call_new(const struct api_ctx *c, struct http_request *r,
                              void (*run)(struct api_call *k, struct query *q))
{
    struct api_call *k = arena_new(r->arena, struct api_call);

    k->c = c;
    k->r = r;
    k->run = run;
    k->asked_ns = clock_mono_ns();
    k->mint = API_TIME_MIN;
    k->maxt = API_TIME_MAX;
    return k;
}

static bool client_left(void *arg)
{
    return http_canceled(arg);
}

/* False when it was answered. */
static bool read_sets(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct err e, stop;

    if (k->wants_sets == API_SETS_NONE || api_match_sets(r, r->arena, &k->sets, &k->nsets, &e) == 0)
        return true;
    if (query_check(q, "match[]", &stop) < 0)
        e = stop;
    else if (k->wants_sets == API_SETS_NAMED)
        api_invalid_param(&e, "match[]");
    if (k->wants_sets != API_SETS_TEXT) {
        api_call_fail(k, q, &e);
        return false;
    }
    query_end(q);
    http_replyf(r, http_status_of(e.code), "text/plain; charset=utf-8", "%s\n", e.text);
    return false;
}

static void run(struct query *q, void *arg)
{
    struct api_call *k = arg;
    struct err e;

    q->canceled = client_left;
    q->canceled_arg = k->r;
    if (query_check(q, "the queue", &e) < 0) /* it may have waited for long */
        api_call_fail(k, q, &e);
    else if (read_sets(k, q))
        k->run(k, q);
}

void api_call_start(struct api_call *k, struct str text, int64_t timeout_ms)
{
    struct query_limits limits;
    struct err e;

    if (!k->c->engine || !k->c->db) {
        err_set(&e, ERR_BUSY, "the query engine is not there yet");
        api_answer_error(k->r, &e);
        return;
    }
    limits = query_engine_opts_of(k->c->engine)->limits;
    if (timeout_ms > 0 && (limits.timeout_ms == 0 || timeout_ms < limits.timeout_ms))
        limits.timeout_ms = timeout_ms;
    if (query_start(k->c->engine, "promql", text, &limits, run, k, &e) < 0)
        api_answer_error(k->r, &e);
}

void api_call_fail(struct api_call *k, struct query *q, const struct err *e)
{
    struct http_request *r = k->r;

    api_match_sets_release(k->sets, k->nsets);
    query_end(q);
    api_answer_error(r, e);
}

static int check_select(void *arg, uint64_t samples_more, uint64_t bytes_more, struct err *e)
{
    struct query *q = arg;
    int code = query_check(q, "the selector", e);

    if (code == 0 && samples_more)
        code = query_samples(q, samples_more, 0, "the selector", e);
    if (code == 0 && bytes_more)
        code = query_charge(q, (int64_t)bytes_more, "the selector", e);
    return code;
}

static bool must_stop(void *arg)
{
    return query_must_stop(arg);
}

int api_charge_arena(struct query *q, uint64_t *charged, const char *where, struct err *e)
{
    uint64_t more = q->arena.bytes - *charged;

    *charged = q->arena.bytes;
    return more ? query_charge(q, (int64_t)more, where, e) : 0;
}

struct tsdb_limits api_limits_of(struct query *q)
{
    return (struct tsdb_limits){.check = check_select, .arg = q, .must_stop = must_stop};
}
