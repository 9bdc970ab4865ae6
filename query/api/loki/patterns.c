/*
 * patterns.c - patterns: what the lines of a query look like, and when.
 *
 * Where there are more than SAMPLE records only each n-th is looked at, and counts for n.
 */
#include "query/api/loki/drain.h"
#include "query/api/loki/inside.h"

#define SINCE_NS (3600 * NS_PER_S)

enum { SAMPLE = 250000, SHOWN_MAX = 300, STEP_MIN_S = 10 };

struct mining {
    struct loki_call *k;
    struct query *q;
    struct drain *d;
    uint64_t charged;
    uint32_t every;
};

static int add_row(void *arg, const struct log_row *row, struct runner *r, struct err *e)
{
    struct mining *m = arg;
    struct str level = STR("");
    size_t bytes;

    if (!runner_label(r, STR("detected_level"), &level))
        runner_label(r, STR("level"), &level);
    drain_add(m->d, runner_line(r), level, (row->t_ns - m->k->w.start_ns) / m->k->step_ns, m->every);
    bytes = drain_bytes(m->d);
    if (bytes > m->charged + 65536) {
        if (query_charge(m->q, (int64_t)(bytes - m->charged), "patterns", e) < 0)
            return e->code;
        m->charged = bytes;
    }
    return 0;
}

static int mine(struct mining *m, struct err *e)
{
    struct loki_call *k = m->k;
    struct loki_each each = {.logs = k->c->logs,
                             .q = m->q,
                             .mint_ns = k->w.start_ns,
                             .maxt_ns = k->w.end_ns - 1,
                             .fn = add_row,
                             .arg = m};
    struct log_volume about;
    struct logql_tree *t;

    if (loki_parse(m->q, m->q->text, &t, e) < 0)
        return e->code;
    if (!logql_is_log(t))
        return err_set(e, ERR_INVALID, "only log queries have patterns: this one gives numbers");
    each.log = &t->root->log;
    if (logstore_volume(k->c->logs, each.log->matchers, each.log->nmatchers, each.mint_ns, each.maxt_ns, &about, e) < 0)
        return e->code;
    m->every = each.every = (uint32_t)MIN(about.rows / SAMPLE + 1, (uint64_t)UINT32_MAX);
    return loki_each(&each, e);
}

static void put_pattern(struct buf *b, const struct loki_call *k, const struct drain_pattern *p)
{
    buf_putz(b, "{\"pattern\":");
    json_put_string(b, p->text);
    if (p->level.n) {
        buf_putz(b, ",\"level\":");
        json_put_string(b, p->level);
    }
    buf_putz(b, ",\"samples\":[");
    for (uint32_t i = 0; i < p->ncounts; i++)
        buf_printf(b, "%s[%lld,%llu]", i ? "," : "", (long long)((k->w.start_ns + p->counts[i].bucket * k->step_ns) / NS_PER_S),
                   (unsigned long long)p->counts[i].n);
    buf_putz(b, "]}");
}

static void run_patterns(struct loki_call *k, struct query *q)
{
    struct mining m = {.k = k, .q = q};
    struct drain_pattern *v;
    struct drain_opts o;
    struct api_stream s;
    struct err e;
    uint32_t n;

    drain_opts_default(&o);
    m.d = drain_new(&o);
    if (mine(&m, &e) < 0) {
        drain_free(m.d);
        loki_call_fail(k, q, &e);
        return;
    }
    n = MIN(drain_patterns(m.d, &q->arena, &v), (uint32_t)SHOWN_MAX);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":[");
    for (uint32_t i = 0; i < n && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        put_pattern(&s.b, k, &v[i]);
    }
    buf_putz(&s.b, "]}");
    drain_free(m.d);
    query_end(q);
    loki_stream_end(&s);
}

static void handle_patterns(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_patterns);
    struct err e;

    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0 || loki_step_param(r, &k->w, &k->step_ns, &e) < 0) {
        loki_answer_error(r, &e);
        return;
    }
    k->step_ns = MAX(k->step_ns, STEP_MIN_S * NS_PER_S);
    k->w.start_ns -= ((k->w.start_ns % k->step_ns) + k->step_ns) % k->step_ns; /* samples stand on whole steps */
    loki_call_start(k, api_param(r, "query"));
}

void loki_routes_patterns(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/patterns", PERM_READ, 0, handle_patterns, c);
}
