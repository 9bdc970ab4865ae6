/*
 * tail.c - live tails: records as they are committed, over a WebSocket.
 *
 *     handle_tail ─▶ run_tail, on the query pool: parse, open the source, history ─▶ websocket_accept ─▶ in the list
 *     journal thread: wake ─┐
 *     I/O: on_gone, tick ───┴▶ tail_ask ─▶ run_job, on the tails' own threads: tail_work ─▶ ... ─▶ end_tail
 *
 * (1) At most one job of a tail is queued or running (tail.asked), so its insides need no lock. The job alone ends it.
 * (2) The source is opened before the history is read: nothing falls between. What stands in both is sent once.
 * (3) Nobody but the tails' own threads works for a client; ingest only fills bounded queues.
 */
#include "query/api/loki/tail.h"

#include <stdlib.h>

#define SINCE_NS (3600 * NS_PER_S)

enum { TICK_MS = 200, DELAY_MAX_S = 5, LIMIT = 100, THREADS = 2, OVERLAP_S = 10 };

/* --- all of them ------------------------------------------------------------------------------------------------ */

struct loki_tails *loki_tails_new(void)
{
    struct loki_tails *ts = x_zalloc(sizeof *ts);

    pthread_mutex_init(&ts->mu, NULL);
    pthread_cond_init(&ts->gone, NULL);
    ts->pool = pool_new("tail", THREADS, 0);
    ts->slow_pool = pool_new("tail-slow", 1, 0);
    return ts;
}

void loki_tails_stop(struct loki_tails *ts)
{
    struct http_timer *timer;

    if (!ts)
        return;
    pthread_mutex_lock(&ts->mu);
    atomic_store(&ts->stopping, true);
    timer = ts->timer;
    ts->timer = NULL;
    for (struct tail *t = ts->first; t; t = t->next)
        tail_ask(t);
    while (ts->first)
        pthread_cond_wait(&ts->gone, &ts->mu);
    pthread_mutex_unlock(&ts->mu);
    if (timer)
        http_timer_free(timer);
}

void loki_tails_free(struct loki_tails *ts)
{
    if (!ts)
        return;
    loki_tails_stop(ts);
    pool_free(ts->pool);
    pool_free(ts->slow_pool);
    pthread_cond_destroy(&ts->gone);
    pthread_mutex_destroy(&ts->mu);
    free(ts);
}

void loki_tail_stats(struct loki_tails *ts, struct loki_tail_stats *out)
{
    pthread_mutex_lock(&ts->mu);
    out->open = ts->n;
    pthread_mutex_unlock(&ts->mu);
    out->opened = atomic_load(&ts->opened);
    out->refused = atomic_load(&ts->refused);
    out->sent = atomic_load(&ts->sent);
    out->dropped = atomic_load(&ts->dropped);
}

/* I/O thread: those that wait for time to pass or for their client. */
static void tick(void *arg)
{
    struct loki_tails *ts = arg;

    pthread_mutex_lock(&ts->mu);
    for (struct tail *t = ts->first; t; t = t->next)
        if (atomic_load(&t->ticks))
            tail_ask(t);
    pthread_mutex_unlock(&ts->mu);
}

/* --- one -------------------------------------------------------------------------------------------------------- */

static void tail_free(struct tail *t)
{
    log_tail_close(t->source);
    logql_match_free(t->match);
    logql_release(&t->tree);
    tail_release(t);
    arena_release(&t->arena);
    free(t);
}

/* After it is out of the list nobody but the source and the socket can ask for it, and both are closed here. */
static void end_tail(struct tail *t, int code, struct str reason)
{
    struct loki_tails *ts = t->all;
    struct tail **at = &ts->first;

    pthread_mutex_lock(&ts->mu);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    ts->n--;
    pthread_mutex_unlock(&ts->mu);
    log_tail_close(t->source);
    t->source = NULL;
    websocket_close(t->ws, code, reason);
    tail_free(t);
    pthread_mutex_lock(&ts->mu);
    pthread_cond_broadcast(&ts->gone);
    pthread_mutex_unlock(&ts->mu);
}

static void run_job(void *arg);

/* Behind the others: those whose stages are slow have a thread of their own, which is all they can take from the rest. */
static void run_later(struct tail *t)
{
    pool_run(atomic_load(&t->slow) ? t->all->slow_pool : t->all->pool, run_job, t);
}

static void run_job(void *arg)
{
    struct tail *t = arg;
    uint32_t asked = atomic_load(&t->asked);
    bool more;

    if (websocket_gone(t->ws)) {
        end_tail(t, WEBSOCKET_NORMAL, STR(""));
        return;
    }
    more = tail_work(t);
    if (atomic_load(&t->all->stopping)) {
        end_tail(t, WEBSOCKET_GOING_AWAY, STR("the server stops"));
        return;
    }
    if (more || atomic_fetch_sub(&t->asked, asked) != asked) {
        if (more)
            atomic_store(&t->asked, 1); /* > 0 all along: the job stays ours */
        run_later(t);
    }
}

void tail_ask(struct tail *t)
{
    if (atomic_fetch_add(&t->asked, 1) == 0)
        run_later(t);
}

static void on_wake(void *arg)
{
    tail_ask(arg);
}

/* --- history ------------------------------------------------------------------------------------------------------ */

/* The newest of what is there, oldest first, as a frame; nothing when there is none. */
static int put_history(struct tail *t, struct loki_call *k, struct query *q, struct buf *frame, struct err *e)
{
    struct logql_opts o = {.ls = k->c->logs, .start_ns = k->w.start_ns, .end_ns = k->w.end_ns, .limit = k->limit, .backward = true};
    struct logql_result res;
    struct tail_drops none = {.n = 0};

    if (logql_query(q, &t->tree, &o, &res, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < res.nstreams; i++) {
        struct logql_stream *s = &res.streams[i];

        for (uint32_t n = 0; n < s->n / 2; n++) {
            struct logql_entry swap = s->entries[n];

            s->entries[n] = s->entries[s->n - 1 - n];
            s->entries[s->n - 1 - n] = swap;
        }
        for (uint32_t n = 0; n < s->n; n++)
            tail_note_shown(t, s->entries[n].t_ns, s->entries[n].line, &s->labels);
    }
    if (res.entries) {
        buf_putz(frame, "{\"streams\":");
        loki_put_streams(frame, NULL, res.streams, res.nstreams, false);
        tail_put_drops(frame, &none);
        buf_putc(frame, '}');
        atomic_fetch_add(&t->all->sent, res.entries);
    }
    t->shown_until_ns = clock_mono_ns() + OVERLAP_S * NS_PER_S;
    return 0;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

/* Takes the query apart and opens the source; the tail's own arena, since it outlives the call. */
static int prepare(struct tail *t, struct loki_call *k, struct err *e)
{
    const struct loki_limits *m = &k->c->limits;
    uint32_t n;

    if (logql_parse(&t->arena, arena_dup(&t->arena, api_param(k->r, "query")), &t->tree, e) < 0)
        return e->code;
    if (!logql_is_log(&t->tree))
        return err_set(e, ERR_INVALID, "only log queries can be followed: this one gives numbers");
    if (logql_match_new(&t->tree, &t->match, e) < 0)
        return e->code;
    pthread_mutex_lock(&t->all->mu);
    n = t->all->n;
    pthread_mutex_unlock(&t->all->mu);
    if (m->tails_max && n >= m->tails_max) {
        atomic_fetch_add(&t->all->refused, 1);
        return err_set(e, ERR_LIMIT, "max concurrent tail requests limit exceeded, count > limit (%u > %u)", n + 1, m->tails_max);
    }
    return logstore_tail_open(k->c->logs, t->tree.root->log.matchers, t->tree.root->log.nmatchers, (size_t)m->tail_queue_bytes, on_wake, t,
                              &t->source, e);
}

/* Into the list, from where it runs by itself. */
static void begin(struct tail *t, const struct loki_ctx *c)
{
    struct loki_tails *ts = t->all;

    pthread_mutex_lock(&ts->mu);
    if (!ts->timer && !atomic_load(&ts->stopping))
        ts->timer = http_timer_new(c->server, TICK_MS, TICK_MS, tick, ts);
    t->next = ts->first;
    ts->first = t;
    ts->n++;
    pthread_mutex_unlock(&ts->mu);
    atomic_fetch_add(&ts->opened, 1);
    run_later(t); /* what came meanwhile has asked, and waits for this */
}

static void on_gone(void *arg)
{
    tail_ask(arg);
}

static void run_tail(struct loki_call *k, struct query *q)
{
    struct tail *t = x_zalloc(sizeof *t);
    struct websocket_opts o;
    struct http_request *r = k->r;
    const struct loki_ctx *c = k->c;
    struct buf history = {0};
    struct err e;

    t->all = c->tails;
    t->delay_ns = k->interval_ns;
    atomic_store(&t->asked, 1); /* the job is ours until begin */
    atomic_store(&t->slow, true); /* until it has shown otherwise */
    if (prepare(t, k, &e) < 0 || put_history(t, k, q, &history, &e) < 0) {
        tail_free(t);
        buf_release(&history);
        loki_call_fail(k, q, &e);
        return;
    }
    query_end(q);
    websocket_opts_default(&o);
    o.queue_bytes = (size_t)c->limits.tail_queue_bytes;
    o.on_gone = on_gone;
    o.arg = t;
    if (websocket_accept(r, &o, &t->ws, &e) < 0) {
        tail_free(t);
    } else {
        if (history.n && websocket_send(t->ws, buf_str(&history)) < 0)
            log_debug("tail", "a client left at once");
        begin(t, c);
    }
    buf_release(&history);
}

static int read_params(struct loki_call *k, struct err *e)
{
    struct str delay = api_param(k->r, "delay_for");
    int64_t now = clock_wall_ns(), seconds = 0;

    if (delay.n && !str_to_i64(delay, &seconds))
        return err_set(e, ERR_INVALID, "delay_for is not a whole number of seconds");
    if (seconds < 0 || seconds > DELAY_MAX_S)
        return err_set(e, ERR_INVALID, "delay_for can't be greater than %d", DELAY_MAX_S);
    k->interval_ns = seconds * NS_PER_S;
    k->w.start_ns = now - SINCE_NS;
    k->w.end_ns = now + SINCE_NS; /* what was accepted with a time ahead is there, too */
    if (loki_time_param(k->r, "start", &k->w.start_ns, e) < 0 || loki_count_param(k->r, "limit", LIMIT, &k->limit, e) < 0)
        return e->code;
    if (k->c->limits.entries_max && k->limit > k->c->limits.entries_max)
        return err_set(e, ERR_LIMIT, "max entries limit per query exceeded, limit > max_entries_limit_per_query (%u > %u)", k->limit,
                       k->c->limits.entries_max);
    k->w.start_ns = MIN(k->w.start_ns, k->w.end_ns);
    return 0;
}

static void handle_tail(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_tail);
    struct err e;

    if (!k->c->tails || atomic_load(&k->c->tails->stopping))
        err_set(&e, ERR_UNAVAILABLE, "live tails have ended: the server stops");
    else if (read_params(k, &e) == 0) {
        loki_call_start(k, api_param(r, "query"));
        return;
    }
    loki_answer_error(r, &e);
}

void loki_routes_tail(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET, "/loki/api/v1/tail", PERM_READ, 0, handle_tail, c);
    http_route(s, HTTP_GET, "/api/prom/tail", PERM_READ, 0, handle_tail, c);
}
