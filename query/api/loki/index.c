/*
 * index.c - index/stats, index/volume, index/volume_range, index/shards: how much there is, without reading records.
 *
 * Volumes come from the counts that are kept by stream and minute, so the minutes at the edges of a window count whole, and steps are
 * whole minutes.
 */
#include "query/api/loki/inside.h"

#include <stdlib.h>

#define SINCE_NS  (3600 * NS_PER_S)
#define MINUTE_NS (60 * NS_PER_S)

/* --- stats and shards ------------------------------------------------------------------------------------------- */

static int count_volume(struct loki_call *k, struct query *q, struct log_volume *v, struct err *e)
{
    const struct matcher *m = NULL;
    struct logql_tree *t;
    uint32_t nm = 0;

    if (q->text.n) {
        if (loki_parse_selector(q, q->text, &t, e) < 0)
            return e->code;
        m = t->root->log.matchers;
        nm = t->root->log.nmatchers;
    }
    return logstore_volume(k->c->logs, m, nm, k->w.start_ns, k->w.end_ns, v, e);
}

static void put_stats(struct buf *b, const struct log_volume *v)
{
    buf_printf(b, "{\"streams\":%llu,\"chunks\":%llu,\"bytes\":%llu,\"entries\":%llu}", (unsigned long long)v->streams,
               (unsigned long long)v->blocks, (unsigned long long)v->bytes, (unsigned long long)v->rows);
}

static void run_stats(struct loki_call *k, struct query *q)
{
    struct http_request *r = k->r;
    bool shards = k->ranged;
    struct log_volume v;
    struct buf b = {0};
    struct err e;

    if (count_volume(k, q, &v, &e) < 0) {
        loki_call_fail(k, q, &e);
        return;
    }
    query_end(q);
    if (shards) /* all of it is one: there is nothing to be gained by asking in parts */
        buf_putz(&b, "{\"shards\":[{\"bounds\":{\"min\":0,\"max\":18446744073709551615},\"stats\":");
    put_stats(&b, &v);
    if (shards)
        buf_putz(&b, "}],\"statistics\":{},\"chunkGroups\":[]}");
    loki_answer_json(r, &b);
}

static void start_stats(struct http_request *r, const struct loki_ctx *c, bool shards)
{
    struct loki_call *k = loki_call_new(c, r, run_stats);
    struct err e;

    k->ranged = shards;
    if (loki_window_params(r, SINCE_NS, &k->w, &e) < 0)
        loki_answer_error(r, &e);
    else
        loki_call_start(k, api_param(r, "query"));
}

static void handle_stats(struct http_request *r, void *arg)
{
    start_stats(r, arg, false);
}

static void handle_shards(struct http_request *r, void *arg)
{
    start_stats(r, arg, true);
}

/* --- volumes ------------------------------------------------------------------------------------------------------ */

/* What the bytes are counted for: a set of labels, or the name of one. */
struct group {
    struct labels labels;
    uint64_t total;
    uint64_t *steps; /* ranged */
};

struct volumes {
    struct loki_call *k;
    struct query *q;
    struct log_minutes minutes;
    const struct str *names; /* labels that tell groups apart; NULL: all */
    uint32_t nnames, nsteps;
    struct map by_key;
    struct group **groups; /* in order of appearance; in the end sorted */
    uint32_t ngroups, cap;
};

static bool wanted(const struct volumes *v, struct str name)
{
    for (uint32_t i = 0; i < v->nnames; i++)
        if (str_eq(v->names[i], name))
            return true;
    return v->names == NULL;
}

/* The names: those of targetLabels, else of the selector's matchers. A target label has to be there, so it becomes a matcher. */
static int choose_names(struct volumes *v, struct str targets, struct matcher **m, uint32_t *nm, struct err *e)
{
    struct arena *a = &v->q->arena;
    uint32_t most = *nm + 1, had = *nm;
    struct matcher *all;
    struct str *names, rest = targets, name;

    for (size_t i = 0; i < targets.n; i++)
        most += targets.p[i] == ',';
    all = arena_array(a, struct matcher, most + 1);
    names = arena_array(a, struct str, most + 1);
    if (had)
        memcpy(all, *m, had * sizeof *all);
    for (uint32_t i = 0; i < had && !targets.n; i++)
        names[v->nnames++] = all[i].name;
    while (rest.n) {
        str_cut(&rest, ',', &name);
        name = str_trim(name);
        if (name.n == 0)
            continue;
        names[v->nnames++] = name;
        if (matcher_init(&all[*nm], MATCH_NE, name, STR(""), e) < 0)
            return e->code;
        ++*nm;
    }
    *m = all;
    v->names = v->nnames ? names : NULL;
    return 0;
}

static struct group *group_of(struct volumes *v, struct labels ls)
{
    struct buf key = {0};
    struct group *g;
    bool added;
    void **place;

    labels_canonical(&key, &ls);
    place = map_put(&v->by_key, arena_dup(&v->q->arena, buf_str(&key)), &added);
    buf_release(&key);
    if (!added)
        return *place;
    *place = g = arena_new(&v->q->arena, struct group);
    g->labels = ls;
    if (v->nsteps)
        g->steps = arena_array(&v->q->arena, uint64_t, v->nsteps);
    if (v->ngroups == v->cap) {
        struct group **more;

        v->cap = v->cap ? v->cap * 2 : 64;
        more = arena_array(&v->q->arena, struct group *, v->cap);
        if (v->ngroups)
            memcpy(more, v->groups, v->ngroups * sizeof *more);
        v->groups = more;
    }
    return v->groups[v->ngroups++] = g;
}

/* The groups a stream counts in: one by its labels, or one for each of their names. From the query's arena. */
static struct group **groups_of_stream(struct volumes *v, const struct labels *ls, uint32_t *n)
{
    struct group **out = arena_array(&v->q->arena, struct group *, ls->n + 1);
    struct labels part = {.v = arena_array(&v->q->arena, struct label, ls->n + 1)};

    *n = 0;
    for (uint32_t i = 0; i < ls->n; i++) {
        if (!wanted(v, ls->v[i].name))
            continue;
        part.v[part.n++] = ls->v[i];
        if (v->k->by_labels) {
            part.v[0].value = STR("");
            out[(*n)++] = group_of(v, labels_dup(&v->q->arena, &part));
            part.n = 0;
        }
    }
    if (!v->k->by_labels)
        out[(*n)++] = group_of(v, part);
    return out;
}

static int add_minutes(struct volumes *v, struct err *e)
{
    const struct log_minutes *ms = &v->minutes;
    struct group **groups = NULL;
    uint32_t ngroups = 0, stream = UINT32_MAX;
    uint64_t charged = v->q->arena.bytes;

    for (size_t i = 0; i < ms->n; i++) {
        const struct log_minute *one = &ms->v[i];

        if (one->stream != stream) {
            stream = one->stream;
            groups = groups_of_stream(v, &ms->streams[stream], &ngroups);
            if (api_charge_arena(v->q, &charged, "volumes", e) < 0 || query_check(v->q, "volumes", e) < 0)
                return e->code;
        }
        for (uint32_t g = 0; g < ngroups; g++) {
            groups[g]->total += one->bytes;
            if (v->nsteps) {
                int64_t at = (one->end_ns - MINUTE_NS - v->k->w.start_ns) / v->k->step_ns;

                groups[g]->steps[MIN(MAX(at, (int64_t)0), (int64_t)v->nsteps - 1)] += one->bytes;
            }
        }
    }
    return 0;
}

static int by_volume(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    int c = (x->total < y->total) - (x->total > y->total);

    return c ? c : labels_cmp(&x->labels, &y->labels);
}

static int64_t floor_minute(int64_t t)
{
    return t - ((t % MINUTE_NS) + MINUTE_NS) % MINUTE_NS;
}

static int collect(struct volumes *v, struct err *e)
{
    struct loki_call *k = v->k;
    struct log_limits limits = loki_limits_of(v->q);
    struct matcher *m = NULL;
    struct logql_tree *t;
    uint32_t nm = 0;

    if (v->q->text.n) {
        if (loki_parse_selector(v->q, v->q->text, &t, e) < 0)
            return e->code;
        m = t->root->log.matchers;
        nm = t->root->log.nmatchers;
    }
    if (choose_names(v, api_param(k->r, "targetLabels"), &m, &nm, e) < 0)
        return e->code;
    k->w.start_ns = floor_minute(k->w.start_ns);
    k->w.end_ns = floor_minute(k->w.end_ns + MINUTE_NS - 1);
    if (k->ranged) {
        k->step_ns = MAX(floor_minute(k->step_ns + MINUTE_NS - 1), MINUTE_NS);
        v->nsteps = (uint32_t)((k->w.end_ns - k->w.start_ns + k->step_ns - 1) / k->step_ns);
        v->nsteps = MAX(v->nsteps, 1);
    }
    if (logstore_minutes(k->c->logs, m, nm, k->w.start_ns, k->w.end_ns, &v->q->arena, &limits, &v->minutes, e) < 0 ||
        add_minutes(v, e) < 0)
        return e->code;
    if (v->ngroups > 1)
        qsort(v->groups, v->ngroups, sizeof *v->groups, by_volume);
    v->ngroups = MIN(v->ngroups, k->limit);
    return 0;
}

static void put_group(struct buf *b, const struct volumes *v, const struct group *g)
{
    bool first = true;

    buf_putz(b, "{\"metric\":");
    loki_put_labels(b, &g->labels); /* of a name alone the value is empty */
    if (!v->k->ranged) {
        buf_putz(b, ",\"value\":[");
        loki_put_time(b, v->k->w.end_ns);
        buf_printf(b, ",\"%llu\"]}", (unsigned long long)g->total);
        return;
    }
    buf_putz(b, ",\"values\":[");
    for (uint32_t i = 0; i < v->nsteps; i++) {
        if (g->steps[i] == 0)
            continue;
        buf_putz(b, first ? "[" : ",[");
        first = false;
        loki_put_time(b, v->k->w.start_ns + i * v->k->step_ns);
        buf_printf(b, ",\"%llu\"]", (unsigned long long)g->steps[i]);
    }
    buf_putz(b, "]}");
}

static void run_volume(struct loki_call *k, struct query *q)
{
    struct volumes v = {.k = k, .q = q};
    struct api_stream s;
    struct err e;

    if (collect(&v, &e) < 0) {
        map_release(&v.by_key);
        loki_call_fail(k, q, &e);
        return;
    }
    api_stream_init(&s, k->r, q, NULL);
    buf_printf(&s.b, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[", k->ranged ? "matrix" : "vector");
    for (uint32_t i = 0; i < v.ngroups && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        put_group(&s.b, &v, v.groups[i]);
    }
    buf_putz(&s.b, "],\"stats\":");
    loki_put_stats(&s.b, k, NULL, 0);
    buf_putz(&s.b, "}}");
    map_release(&v.by_key);
    query_end(q);
    loki_stream_end(&s);
}

static void start_volume(struct http_request *r, const struct loki_ctx *c, bool ranged)
{
    struct loki_call *k = loki_call_new(c, r, run_volume);
    struct str by = api_param(r, "aggregateBy");
    struct err e;

    k->ranged = ranged;
    k->by_labels = str_eqz(by, "labels");
    if (by.n && !k->by_labels && !str_eqz(by, "series"))
        err_set(&e, ERR_INVALID, "invalid aggregation option");
    else if (loki_window_params(r, SINCE_NS, &k->w, &e) == 0 && loki_count_param(r, "limit", 100, &k->limit, &e) == 0 &&
             (!ranged || loki_step_param(r, &k->w, &k->step_ns, &e) == 0)) {
        loki_call_start(k, api_param(r, "query"));
        return;
    }
    loki_answer_error(r, &e);
}

static void handle_volume(struct http_request *r, void *arg)
{
    start_volume(r, arg, false);
}

static void handle_volume_range(struct http_request *r, void *arg)
{
    start_volume(r, arg, true);
}

void loki_routes_index(struct http_server *s, struct loki_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/index/stats", PERM_READ, 0, handle_stats, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/index/shards", PERM_READ, 0, handle_shards, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/index/volume", PERM_READ, 0, handle_volume, c);
    http_route(s, HTTP_GET | HTTP_POST, "/loki/api/v1/index/volume_range", PERM_READ, 0, handle_volume_range, c);
}
