/*
 * names.c - series, labels, label/NAME/values: what there is, without its samples.
 *
 * Several match[] are a union. Answers are sorted; a limit cuts after sorting, with a warning.
 */
#include "query/api/inside.h"
#include "query/vector/sort.h"

#include "tsdb/tsdb.h"

#include <assert.h>
#include <stdlib.h>

static const struct str truncated_text = STR("results truncated due to limit");

/* --- labels and values ----------------------------------------------------------------------------------- */

static int fetch_names(struct api_call *k, struct query *q, const struct match_set *set, struct api_names *out,
                       struct err *e)
{
    const struct matcher *m = set ? set->m : NULL;
    uint32_t nm = set ? set->n : 0;

    /* The union of several sets is cut only when it is whole. */
    uint32_t limit = k->nsets > 1 ? 0 : k->limit;

    if (k->name.n)
        return tsdb_label_values(k->c->db, k->name, m, nm, k->mint, k->maxt, limit, &q->arena, &out->v, &out->n,
                                 &out->truncated, e);
    return tsdb_label_names(k->c->db, m, nm, k->mint, k->maxt, limit, &q->arena, &out->v, &out->n, &out->truncated, e);
}

/* Both sorted and without doubles; so is the result. */
static void merge_names(struct arena *a, struct api_names *into, const struct api_names *more)
{
    struct str *v = arena_array(a, struct str, into->n + more->n + 1);
    uint32_t i = 0, k = 0, n = 0;

    while (i < into->n || k < more->n) {
        int c = i == into->n ? 1 : k == more->n ? -1 : str_cmp(into->v[i], more->v[k]);

        v[n++] = c <= 0 ? into->v[i] : more->v[k];
        i += c <= 0;
        k += c >= 0;
    }
    into->v = v;
    into->n = n;
}

int api_collect_names(struct api_call *k, struct query *q, struct api_names *out, struct err *e)
{
    for (uint32_t i = 0; i < MAX(k->nsets, 1); i++) {
        struct api_names one = {0};

        if (query_check(q, "label names", e) < 0 || fetch_names(k, q, k->nsets ? &k->sets[i] : NULL, &one, e) < 0)
            return e->code;
        if (i == 0)
            *out = one;
        else
            merge_names(&q->arena, out, &one);
    }
    if (k->limit && out->n > k->limit) {
        out->n = k->limit;
        out->truncated = true;
    }
    return 0;
}

static void run_names(struct api_call *k, struct query *q)
{
    struct api_names all;
    struct api_stream s;
    struct err e;

    if (api_collect_names(k, q, &all, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    api_match_sets_release(k->sets, k->nsets);
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":[");
    for (uint32_t i = 0; i < all.n && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        json_put_string(&s.b, all.v[i]);
    }
    buf_putc(&s.b, ']');
    api_put_envelope_end(&s.b, &truncated_text, all.truncated, NULL, 0);
    query_end(q);
    api_stream_end(&s);
}

/* --- series ------------------------------------------------------------------------------------------------ */

struct found {
    struct labels *v;
    uint32_t n, cap;
    uint64_t charged;
};

static int add_found(struct query *q, struct found *f, const struct labels *ls, struct err *e)
{
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 1024;
        struct labels *v = arena_alloc(&q->arena, cap * sizeof *v);

        if (f->n)
            memcpy(v, f->v, f->n * sizeof *v);
        f->v = v;
        f->cap = cap;
    }
    f->v[f->n++] = labels_dup(&q->arena, ls);
    return api_charge_arena(q, &f->charged, "series", e);
}

static int collect_part(struct query *q, struct tsdb_select *sel, uint32_t part, struct found *f, struct err *e)
{
    struct tsdb_cursor *cur;
    struct tsdb_samples got;
    struct arena one = {0};
    int code = tsdb_cursor_open(sel, part, &cur, e);

    if (code < 0)
        return code;
    while ((code = tsdb_cursor_next(cur, &got, e)) == 0) {
        struct labels ls;

        arena_reset(&one);
        if ((code = tsdb_cursor_labels(cur, &one, &ls, e)) < 0 || (code = add_found(q, f, &ls, e)) < 0)
            break;
        if (f->n % 1024 == 0 && (code = query_check(q, "series", e)) < 0)
            break;
    }
    arena_release(&one);
    tsdb_cursor_close(cur);
    return code < 0 ? code : 0;
}

static int collect_set(struct api_call *k, struct query *q, const struct match_set *set, struct found *f,
                       struct str **warnings, uint32_t *nwarnings, struct err *e)
{
    struct tsdb_select_opts o = {.matchers = set->m,
                                 .nmatchers = set->n,
                                 .mint = k->mint,
                                 .maxt = k->maxt,
                                 .want = TSDB_NO_DATA,
                                 .parts_hint = 1,
                                 .limits = api_limits_of(q)};
    struct tsdb_select *sel;
    const struct str *w;
    int code = tsdb_select_open(k->c->db, &o, &sel, e);

    if (code < 0)
        return code;
    query_expect(q, (uint64_t)tsdb_select_series(sel) * QUERY_A_SERIES);
    for (uint32_t i = 0; code == 0 && i < tsdb_select_parts(sel); i++)
        code = collect_part(q, sel, i, f, e);
    *nwarnings = tsdb_select_warnings(sel, &w);
    *warnings = arena_array(&q->arena, struct str, *nwarnings + 1);
    for (uint32_t i = 0; i < *nwarnings; i++)
        (*warnings)[i] = arena_dup(&q->arena, w[i]);
    tsdb_select_close(sel);
    return code;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(a, b);
}

static int sort_found(struct query *q, struct found *f, struct err *e)
{
    uint32_t n = 0;

    if (f->n < 2)
        return 0;
    if (sort_items(f->v, f->n, sizeof *f->v, by_labels, q, "series", e) < 0)
        return e->code;
    for (uint32_t i = 1; i < f->n; i++)
        if (!labels_eq(&f->v[n], &f->v[i]))
            f->v[++n] = f->v[i];
    f->n = n + 1;
    return 0;
}

static void run_series(struct api_call *k, struct query *q)
{
    struct str *warnings = NULL;
    uint32_t nwarnings = 0;
    struct found f = {0};
    struct api_stream s;
    struct err e;

    for (uint32_t i = 0; i < k->nsets; i++)
        if (collect_set(k, q, &k->sets[i], &f, &warnings, &nwarnings, &e) < 0) {
            api_call_fail(k, q, &e);
            return;
        }
    if (sort_found(q, &f, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    api_match_sets_release(k->sets, k->nsets);
    if (k->limit && f.n > k->limit) {
        f.n = k->limit;
        warnings[nwarnings++] = truncated_text; /* there is room for one more */
    }
    api_stream_init(&s, k->r, q, NULL);
    buf_putz(&s.b, "{\"status\":\"success\",\"data\":[");
    for (uint32_t i = 0; i < f.n && api_stream_flush(&s) == 0; i++) {
        if (i)
            buf_putc(&s.b, ',');
        api_put_metric(&s.b, &f.v[i]);
    }
    buf_putc(&s.b, ']');
    api_put_envelope_end(&s.b, warnings, nwarnings, NULL, 0);
    query_end(q);
    api_stream_end(&s);
}

/* --- requests ------------------------------------------------------------------------------------------------ */

/* Window and limit; false when answered. */
static bool read_params(struct api_call *k, enum api_sets sets)
{
    struct err e;

    if (api_limit_param(k->r, &k->limit, &e) < 0 || api_time_param(k->r, "start", &k->mint, &e) < 0 ||
        api_time_param(k->r, "end", &k->maxt, &e) < 0) {
        api_answer_error(k->r, &e);
        return false;
    }
    k->wants_sets = sets;
    return true;
}

static void handle_labels(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_names);

    if (read_params(k, API_SETS))
        api_call_start(k, STR("label names"), 0);
}

static void handle_values(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_names);
    struct err e;

    k->name = api_unescape_name(r->arena, r->vars[0]);
    if (k->name.n == 0 || !utf8_valid(k->name)) {
        struct buf b = {0};

        buf_put_quoted(&b, str_head(r->vars[0], 200));
        err_set(&e, ERR_INVALID, "invalid label name: %s", buf_z(&b));
        buf_release(&b);
        api_answer_error(r, &e);
        return;
    }
    if (read_params(k, API_SETS))
        api_call_start(k, arena_printf(r->arena, "values of label %.*s", STR_ARG(str_head(k->name, 200))), 0);
}

static void handle_series(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_series);
    struct err e;

    if (!read_params(k, API_SETS_NAMED))
        return;
    if (!api_has_param(r, "match[]")) {
        err_set(&e, ERR_INVALID, "no match[] parameter provided");
        api_answer_error(r, &e);
        return;
    }
    api_call_start(k, arena_printf(r->arena, "series %.*s", STR_ARG(str_head(api_param(r, "match[]"), 1000))), 0);
}

void api_routes_names(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/labels", PERM_READ, 0, handle_labels, c);
    http_route(s, HTTP_GET, "/api/v1/label/{name}/values", PERM_READ, 0, handle_values, c);
    http_route(s, HTTP_GET | HTTP_POST, "/api/v1/series", PERM_READ, 0, handle_series, c);
}
