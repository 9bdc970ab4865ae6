/*
 * search.c - search/metric_names, label_names, label_values: names for somebody who types, as lines of JSON.
 *
 *   {"results":[{"name":"up"},...]}      batches, the first one also when it is empty
 *   {"status":"success","has_more":false}
 *
 * (1) Mistakes are answered as everywhere, before the first line.
 */
#include "query/api/inside.h"
#include "query/api/search_match.h"

#include "tsdb/tsdb.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000, BATCH_DEFAULT = 100, CHECK_VALUES = 1024 };
enum search_kind { SEARCH_METRICS, SEARCH_NAMES, SEARCH_VALUES };

struct search_call {
    struct api_call k; /* first */
    enum search_kind kind;
    struct search search;
    bool by_score, descending, include_score, include_metadata;
    uint32_t limit, batch;
};

struct hit {
    struct str value;
    double score;
};

/* --- answering ------------------------------------------------------------------------------------------ */

static void put_metadata(struct json *j, struct search_call *sc, struct query *q, struct str family)
{
    struct tsdb_metadata *v;
    uint32_t n;
    struct err e;

    if (tsdb_metadata(sc->k.c->db, family, &q->arena, &v, &n, &e) < 0 || n == 0)
        return; /* a name without its help is still a name */
    json_key(j, "type");
    json_strz(j, metric_type_name(v[0].type));
    if (v[0].help.n) {
        json_key(j, "help");
        json_str(j, v[0].help);
    }
    if (v[0].unit.n) {
        json_key(j, "unit");
        json_str(j, v[0].unit);
    }
}

static void put_batch(struct api_stream *s, struct search_call *sc, struct query *q, const struct hit *v, uint32_t n)
{
    struct json j;

    json_init(&j, &s->b);
    json_obj(&j);
    json_key(&j, "results");
    json_arr(&j);
    for (uint32_t i = 0; i < n; i++) {
        json_obj(&j);
        json_key(&j, sc->kind == SEARCH_VALUES ? "value" : "name");
        json_str(&j, v[i].value);
        if (sc->include_score) {
            json_key(&j, "score");
            json_f64(&j, v[i].score);
        }
        if (sc->include_metadata)
            put_metadata(&j, sc, q, v[i].value);
        json_end_obj(&j);
    }
    json_end_arr(&j);
    json_end_obj(&j);
    buf_putc(&s->b, '\n');
}

/* Best first; equal ones by value. */
static int by_score(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    return x->score != y->score ? (x->score < y->score) - (x->score > y->score) : str_cmp(x->value, y->value);
}

/* What fits of the sorted names, in the order asked for; no more than needed to know that there is more. */
static int find_hits(struct search_call *sc, struct query *q, const struct api_names *all, struct hit **out,
                     uint32_t *n, struct err *e)
{
    struct arena scratch = {0};
    int code = 0;

    *out = arena_alloc(&q->arena, (all->n + (size_t)1) * sizeof **out);
    *n = 0;
    for (uint32_t i = 0; i < all->n && (sc->by_score || *n <= sc->limit); i++) {
        struct hit h = {.value = all->v[sc->descending ? all->n - 1 - i : i]};

        if (i % CHECK_VALUES == 0 && (code = query_check(q, "search", e)) < 0)
            break;
        if (search_fits(&sc->search, &scratch, h.value, &h.score))
            (*out)[(*n)++] = h;
    }
    arena_release(&scratch);
    if (sc->by_score && *n > 1)
        qsort(*out, *n, sizeof **out, by_score);
    return code;
}

static void run_search(struct api_call *k, struct query *q)
{
    struct search_call *sc = (struct search_call *)k;
    struct api_names all;
    struct hit *v;
    struct api_stream s;
    uint32_t n, put = 0, batch;
    bool more;
    struct err e;

    if (api_collect_names(k, q, &all, &e) < 0 || find_hits(sc, q, &all, &v, &n, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    api_match_sets_release(k->sets, k->nsets);
    more = n > sc->limit;
    n = MIN(n, sc->limit);
    api_stream_init(&s, k->r, q, "application/x-ndjson; charset=utf-8");
    do {
        batch = MIN(n - put, sc->batch);
        put_batch(&s, sc, q, v + put, batch);
        put += batch;
    } while (put < n && api_stream_flush(&s) == 0);
    buf_printf(&s.b, "{\"status\":\"success\",\"has_more\":%s}\n", more ? "true" : "false");
    query_end(q);
    api_stream_end(&s);
}

/* --- parameters ------------------------------------------------------------------------------------------ */

static int bad(struct err *e, const char *fmt, struct str value, const char *tail)
{
    struct buf b = {0};
    int code;

    buf_put_quoted(&b, str_head(value, 200));
    code = err_set(e, ERR_INVALID, "%s %s%s", fmt, buf_z(&b), tail);
    buf_release(&b);
    return code;
}

static int positive(const struct http_request *r, const char *name, uint32_t *v, struct err *e)
{
    struct str s = api_param(r, name);
    char what[64];
    int64_t n;

    if (s.n == 0)
        return 0;
    snprintf(what, sizeof what, "invalid %s", name);
    if (!str_to_i64(s, &n) || n <= 0)
        return bad(e, what, s, ": must be a positive integer");
    *v = (uint32_t)MIN(n, (int64_t)UINT32_MAX);
    return 0;
}

static int boolean(const struct http_request *r, const char *name, bool *v, struct err *e)
{
    struct str s = api_param(r, name);
    char what[64];

    snprintf(what, sizeof what, "invalid %s", name);
    return s.n == 0 || api_parse_bool(s, v) == 0 ? 0 : bad(e, what, s, ": must be boolean");
}

static int read_terms(struct search_call *sc, struct err *e)
{
    const struct params *ps = &sc->k.r->params;
    uint32_t n = 0;

    for (uint32_t i = 0; i < ps->n; i++)
        n += str_eqz(ps->v[i].name, "search[]");
    if (n > SEARCH_TERMS_MAX)
        return err_set(e, ERR_INVALID, "too many search[] terms: got %u, maximum is %d", n, SEARCH_TERMS_MAX);
    for (uint32_t i = 0; i < ps->n; i++)
        if (str_eqz(ps->v[i].name, "search[]"))
            search_add(&sc->search, sc->k.r->arena, ps->v[i].value);
    return 0;
}

static int read_fuzz(struct search_call *sc, struct err *e)
{
    struct str threshold = api_param(sc->k.r, "fuzz_threshold"), alg = api_param(sc->k.r, "fuzz_alg");
    bool case_sensitive = true;
    int64_t percent = 0;

    if (threshold.n && (!str_to_i64(threshold, &percent) || percent < 0 || percent > 100))
        return bad(e, "invalid fuzz_threshold", threshold, ": must be 0-100");
    if (alg.n && !str_eqz(alg, "subsequence") && !str_eqz(alg, "jarowinkler"))
        return bad(e, "unsupported fuzz_alg", alg, ": must be one of [subsequence jarowinkler]");
    if (boolean(sc->k.r, "case_sensitive", &case_sensitive, e) < 0)
        return e->code;
    sc->search.threshold = (double)percent / 100;
    sc->search.jaro_winkler = str_eqz(alg, "jarowinkler");
    sc->search.fold = !case_sensitive;
    return 0;
}

static bool any_term(const struct http_request *r)
{
    for (uint32_t i = 0; i < r->params.n; i++)
        if (str_eqz(r->params.v[i].name, "search[]"))
            return true;
    return false;
}

static int read_order(struct search_call *sc, struct err *e)
{
    static const char *const endpoints[] = {"metric_names", "label_names", "label_values"};
    struct str by = api_param(sc->k.r, "sort_by"), dir = api_param(sc->k.r, "sort_dir");
    char tail[80];

    sc->by_score = str_eqz(by, "score");
    if (dir.n && by.n == 0)
        return err_set(e, ERR_INVALID, "sort_dir is only valid when sort_by is set");
    if (dir.n && sc->by_score)
        return err_set(e, ERR_INVALID, "sort_dir is not supported for sort_by=score");
    if (dir.n && !str_eqz(dir, "asc") && !str_eqz(dir, "dsc"))
        return bad(e, "invalid sort_dir", dir, ": must be \"asc\" or \"dsc\"");
    if (sc->by_score && !any_term(sc->k.r))
        return err_set(e, ERR_INVALID, "sort_by=score requires search[] to be set");
    snprintf(tail, sizeof tail, " for %s: must be \"alpha\" or \"score\"", endpoints[sc->kind]);
    if (by.n && !sc->by_score && !str_eqz(by, "alpha"))
        return bad(e, "invalid sort_by", by, tail);
    sc->descending = str_eqz(dir, "dsc");
    return 0;
}

static int read_window(struct search_call *sc, struct err *e)
{
    int64_t now = clock_wall_ms();

    sc->k.mint = now - 3600000;
    sc->k.maxt = now;
    if (api_time_param_plain(sc->k.r, "start", &sc->k.mint, e) < 0 ||
        api_time_param_plain(sc->k.r, "end", &sc->k.maxt, e) < 0)
        return e->code;
    if (sc->k.maxt < sc->k.mint)
        return err_set(e, ERR_INVALID, "end timestamp must not be before start timestamp");
    return 0;
}

static int read_search(struct search_call *sc, struct err *e)
{
    struct http_request *r = sc->k.r;

    if (read_window(sc, e) < 0 || read_fuzz(sc, e) < 0 || read_terms(sc, e) < 0 ||
        boolean(r, "include_score", &sc->include_score, e) < 0 || read_order(sc, e) < 0 ||
        positive(r, "limit", &sc->limit, e) < 0 || positive(r, "batch_size", &sc->batch, e) < 0)
        return e->code;
    if (sc->limit > LIMIT_MAX)
        return err_set(e, ERR_INVALID, "limit %u exceeds the maximum (%d)", sc->limit, LIMIT_MAX);
    if (sc->kind == SEARCH_METRICS && boolean(r, "include_metadata", &sc->include_metadata, e) < 0)
        return e->code;
    if (sc->kind == SEARCH_METRICS)
        sc->k.name = STR(LABEL_NAME);
    if (sc->kind == SEARCH_VALUES) {
        sc->k.name = api_param(r, "label");
        if (sc->k.name.n == 0)
            return err_set(e, ERR_INVALID, "missing required parameter \"label\"");
    }
    sc->k.wants_sets = API_SETS;
    return 0;
}

static void handle(struct http_request *r, void *arg, enum search_kind kind)
{
    static const struct str texts[] = {STR("search metric names"), STR("search label names"),
                                       STR("search label values")};
    struct search_call *sc = arena_new(r->arena, struct search_call);
    struct err e;

    sc->k = *api_call_new(arg, r, run_search);
    sc->kind = kind;
    sc->limit = LIMIT_DEFAULT;
    sc->batch = BATCH_DEFAULT;
    if (read_search(sc, &e) < 0)
        api_answer_error(r, &e);
    else
        api_call_start(&sc->k, texts[kind], 0);
}

static void handle_metrics(struct http_request *r, void *arg)
{
    handle(r, arg, SEARCH_METRICS);
}

static void handle_names(struct http_request *r, void *arg)
{
    handle(r, arg, SEARCH_NAMES);
}

static void handle_values(struct http_request *r, void *arg)
{
    handle(r, arg, SEARCH_VALUES);
}

void api_routes_search(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/search/metric_names", PERM_READ, 0, handle_metrics, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/search/label_names", PERM_READ, 0, handle_names, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/search/label_values", PERM_READ, 0, handle_values, c);
}
