/*
 * deletes.c - requests to delete records: made, listed, taken back. From the moment one is made no read shows what it means.
 */
#include "query/api/loki/inside.h"

#include <stdio.h>

static bool deletes_on(const struct loki_ctx *c, struct http_request *r)
{
    if (!c->deletes) {
        http_reply(r, 403, "text/plain; charset=utf-8", STR("deletion is not enabled\n"));
        return false;
    }
    return true;
}

/* --- making: on the pool, since it waits for the disk ---------------------------------------------------------- */

static int make(struct loki_call *k, struct query *q, struct err *e)
{
    struct logql_tree *t;
    uint64_t id;

    if (loki_parse(q, q->text, &t, e) < 0)
        return e->code;
    if (!logql_is_log(t))
        return err_set(e, ERR_INVALID, "a delete request takes a log query: a selector and filters of lines and labels");
    if (logql_check(t, e) < 0)
        return e->code;
    return logstore_delete(k->c->logs, q->text, k->w.start_ns, k->w.end_ns, &id, e);
}

static void run_make(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct err e;

    if (make(k, q, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    query_end(q);
    http_reply(r, 204, NULL, STR(""));
}

/* Loki takes seconds and RFC 3339 here; ns are understood, too. */
static int window(struct loki_call *k, struct err *e)
{
    int64_t now = clock_wall_ns();

    k->w.end_ns = now;
    if (api_param(k->r, "start").n == 0)
        return err_set(e, ERR_INVALID, "start time not set");
    if (loki_time_param(k->r, "start", &k->w.start_ns, e) < 0 || loki_time_param(k->r, "end", &k->w.end_ns, e) < 0)
        return e->code;
    if (k->w.end_ns > now)
        return err_set(e, ERR_INVALID, "deletes in the future are not allowed");
    if (k->w.start_ns > k->w.end_ns)
        return err_set(e, ERR_INVALID, "start time can't be greater than end time");
    return 0;
}

static void handle_make(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_make);
    struct str query = api_param(r, "query");
    struct err e;

    if (!deletes_on(k->c, r))
        return;
    if (query.n == 0)
        err_set(&e, ERR_INVALID, "query not set");
    else if (window(k, &e) == 0) {
        loki_call_start(k, query);
        return;
    }
    loki_answer_error(r, &e);
}

/* --- listing ------------------------------------------------------------------------------------------------------ */

static void put_seconds(struct json *j, const char *key, int64_t ns)
{
    char text[NUM_MAX];

    json_key(j, key);
    json_raw(j, str_n(text, num_fmt_ms(ns / NS_PER_MS, text)));
}

static void handle_list(struct http_request *r, void *arg)
{
    const struct loki_ctx *c = arg;
    struct log_delete *v;
    struct buf b = {0};
    struct json j;
    uint32_t n;

    if (!deletes_on(c, r))
        return;
    n = logstore_deletes(c->logs, r->arena, &v);
    json_init(&j, &b);
    json_arr(&j);
    for (uint32_t i = 0; i < n; i++) {
        char id[32];

        json_obj(&j);
        json_key(&j, "request_id");
        json_str(&j, str_n(id, (size_t)snprintf(id, sizeof id, "%llu", (unsigned long long)v[i].id)));
        put_seconds(&j, "start_time", v[i].mint_ns);
        put_seconds(&j, "end_time", v[i].maxt_ns);
        json_key(&j, "query");
        json_str(&j, v[i].query);
        json_key(&j, "status");
        json_strz(&j, v[i].done ? "processed" : "received");
        put_seconds(&j, "created_at", v[i].created_ns);
        json_end_obj(&j);
    }
    json_end_arr(&j);
    loki_answer_json(r, &b);
}

/* --- taking back ---------------------------------------------------------------------------------------------------- */

static void run_cancel(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    uint64_t id;
    struct err e;

    if (!str_to_u64(k->name, &id))
        err_set(&e, ERR_NOT_FOUND, "could not find delete request with given id");
    else if (logstore_delete_cancel(k->c->logs, id, &e) == 0) {
        query_end(q);
        http_reply(r, 204, NULL, STR(""));
        return;
    }
    loki_call_fail(k, q, &e);
}

static void handle_cancel(struct http_request *r, void *arg)
{
    struct loki_call *k = loki_call_new(arg, r, run_cancel);

    if (!deletes_on(k->c, r))
        return;
    k->name = api_param(r, "request_id");
    if (k->name.n == 0)
        http_reply(r, 400, "text/plain; charset=utf-8", STR("request_id not set\n"));
    else
        loki_call_start(k, STR("cancel a delete request"));
}

void loki_routes_deletes(struct http_server *s, struct loki_ctx *c)
{
    static const char path[] = "/loki/api/v1/delete";

    http_route(s, HTTP_POST | HTTP_PUT, path, PERM_ADMIN, 0, handle_make, c);
    http_route(s, HTTP_GET, path, PERM_ADMIN, 0, handle_list, c);
    http_route(s, HTTP_DELETE, path, PERM_ADMIN, 0, handle_cancel, c);
}
