/*
 * admin.c - calls that change the data: delete_series, clean_tombstones, snapshot; and killing a query. POST or PUT
 * only, and switched off unless the admin API is on.
 */
#include "query/api/inside.h"

#include "store/store.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static bool admin_on(const struct api_ctx *c, struct http_request *r)
{
    struct err e;

    if (c->admin_api)
        return true;
    err_set(&e, ERR_UNAVAILABLE, "admin APIs disabled");
    api_answer_error(r, &e);
    return false;
}

/* --- tsdb ---------------------------------------------------------------------------------------------- */

static void run_delete(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct err e;

    for (uint32_t i = 0; i < k->nsets; i++)
        if (tsdb_delete(k->c->db, k->sets[i].m, k->sets[i].n, k->mint, k->maxt, &e) < 0) {
            api_call_fail(k, q, &e);
            return;
        }
    api_match_sets_release(k->sets, k->nsets);
    query_end(q);
    http_reply(r, 204, NULL, STR(""));
}

static void handle_delete(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_delete);
    struct err e;

    if (!admin_on(arg, r))
        return;
    if (api_param(r, "match[]").n == 0)
        err_set(&e, ERR_INVALID, "no match[] parameter provided");
    else if (api_time_param(r, "start", &k->mint, &e) == 0 && api_time_param(r, "end", &k->maxt, &e) == 0) {
        k->wants_sets = API_SETS_NAMED;
        api_call_start(k, arena_printf(r->arena, "delete series %.*s", STR_ARG(str_head(api_param(r, "match[]"), 1000))), 0);
        return;
    }
    api_answer_error(r, &e);
}

static void run_clean(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct err e;

    if (tsdb_clean_tombstones(k->c->db, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    query_end(q);
    http_reply(r, 204, NULL, STR(""));
}

static void handle_clean(struct http_request *r, void *arg)
{
    if (admin_on(arg, r))
        api_call_start(api_call_new(arg, r, run_clean), STR("clean tombstones"), 0);
}

/* 20261122T145943Z-37d77b89349a71a2 */
static struct str snapshot_name(struct arena *a)
{
    int64_t ns = clock_wall_ns();
    time_t t = (time_t)(ns / 1000000000);
    char text[32];
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm);
    return arena_printf(a, "%s-%016llx", text, (unsigned long long)hash64(&ns, sizeof ns));
}

/* The folder of all snapshots; each makes its own in it. */
static int make_snapshots_dir(const char *data_dir, struct arena *a, struct err *e)
{
    struct str dir = arena_printf(a, "%s/snapshots", data_dir);

    if (mkdir(dir.p, 0750) == 0 || errno == EEXIST)
        return 0;
    return err_sys(e, errno, "%s", dir.p);
}

static void run_snapshot(struct api_call *k, struct query *q)
{
    struct str name = snapshot_name(&q->arena);
    struct str path = arena_printf(&q->arena, "%s/snapshots/%s", store_opts_of(k->c->store)->dir, name.p);
    struct http_request *r = k->r;
    struct buf b = {0};
    struct err e;

    if (make_snapshots_dir(store_opts_of(k->c->store)->dir, &q->arena, &e) < 0 ||
        store_backup(k->c->store, path.p, k->limit == 0, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    buf_printf(&b, "{\"name\":\"%s\"}", name.p);
    query_end(q);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_snapshot(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_snapshot);
    struct str skip = api_param(r, "skip_head");
    bool skip_head = false;
    struct err e;

    if (!admin_on(arg, r))
        return;
    if (skip.n && api_parse_bool(skip, &skip_head) < 0) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(skip, 200));
        err_set(&e, ERR_INVALID, "unable to parse boolean: strconv.ParseBool: parsing %s: invalid syntax", buf_z(&b));
        buf_release(&b);
        api_invalid_param(&e, "skip_head");
        api_answer_error(r, &e);
        return;
    }
    if (!k->c->store) {
        err_set(&e, ERR_BUSY, "the store is not there yet");
        api_answer_error(r, &e);
        return;
    }
    k->limit = skip_head; /* 1: do not flush first */
    api_call_start(k, STR("snapshot"), 0);
}

/* Writes what the head holds into the day files now, for whoever wants to measure or copy them. Ours, not Prometheus'. */
static void run_flush(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct err e;

    if (store_flush(k->c->store, NULL, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    query_end(q);
    api_answer_data(r, STR("null"));
}

static void handle_flush(struct http_request *r, void *arg)
{
    if (admin_on(arg, r))
        api_call_start(api_call_new(arg, r, run_flush), STR("flush"), 0);
}

/* --- queries --------------------------------------------------------------------------------------------- */

static void handle_kill(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    uint64_t id;
    struct err e;

    if (!str_to_u64(r->vars[0], &id))
        err_set(&e, ERR_INVALID, "\"%.*s\" is not the id of a query", STR_ARG(str_head(r->vars[0], 100)));
    else if (!c->engine)
        err_set(&e, ERR_NOT_FOUND, "no query runs");
    else if (query_kill(c->engine, id, &e) == 0) {
        http_reply(r, 204, NULL, STR(""));
        return;
    }
    api_answer_error(r, &e);
}

void api_routes_admin(struct http_server *s, struct api_ctx *c)
{
    unsigned methods = HTTP_POST | HTTP_PUT;

    http_route(s, methods, "/api/v1/admin/tsdb/delete_series", PERM_ADMIN, 0, handle_delete, c);
    http_route(s, methods, "/api/v1/admin/tsdb/clean_tombstones", PERM_ADMIN, 0, handle_clean, c);
    http_route(s, methods, "/api/v1/admin/tsdb/snapshot", PERM_ADMIN, 0, handle_snapshot, c);
    http_route(s, methods, "/api/v1/admin/tsdb/flush", PERM_ADMIN, 0, handle_flush, c);
    http_route(s, HTTP_POST, "/api/v1/admin/queries/{id}/kill", PERM_ADMIN, 0, handle_kill, c);
}
