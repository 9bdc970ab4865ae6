/*
 * federate.c - /federate: the newest sample of each series asked for, as a scrape of us would bring it.
 *
 * Text format, or OpenMetrics or protobuf when the client prefers it; only protobuf has native histograms. Labels of
 * ours (external labels) are added where the series has none of that name; a series without `instance` gets an empty
 * one, so that the scraper does not put its own there.
 */
#include "query/api/federate.h"
#include "query/api/inside.h"

#include "tsdb/tsdb.h"

#include <stdlib.h>

struct rows {
    struct federate_row *v;
    uint32_t n, cap;
    uint64_t charged;
    bool histograms;
};

static int add_row(struct query *q, struct rows *rows, const struct federate_row *one, struct err *e)
{
    if (rows->n == rows->cap) {
        uint32_t cap = rows->cap ? rows->cap * 2 : 1024;
        struct federate_row *v = arena_alloc(&q->arena, cap * sizeof *v);

        if (rows->n)
            memcpy(v, rows->v, rows->n * sizeof *v);
        rows->v = v;
        rows->cap = cap;
    }
    rows->v[rows->n] = *one;
    rows->v[rows->n].labels = labels_dup(&q->arena, &one->labels);
    if (one->h)
        rows->v[rows->n].h = hist_dup(&q->arena, one->h);
    rows->n++;
    return api_charge_arena(q, &rows->charged, "federation", e);
}

/* --- selecting ---------------------------------------------------------------------------------------- */

static int collect_part(struct query *q, struct tsdb_select *sel, uint32_t part, struct rows *rows, struct err *e)
{
    struct tsdb_cursor *cur;
    struct tsdb_samples got;
    struct arena a = {0};
    int code = tsdb_cursor_open(sel, part, &cur, e);

    if (code < 0)
        return code;
    while ((code = tsdb_cursor_next(cur, &got, e)) == 0) {
        struct federate_row one = {0};

        one.h = got.h && got.n ? got.h[got.n - 1] : NULL;
        if (got.n == 0 || is_stale(got.v[got.n - 1]) || (one.h && (!rows->histograms || hist_stale(one.h))))
            continue;
        arena_reset(&a);
        one.t = got.t[got.n - 1];
        one.v = got.v[got.n - 1];
        if ((code = tsdb_cursor_labels(cur, &a, &one.labels, e)) < 0 || (code = add_row(q, rows, &one, e)) < 0)
            break;
    }
    arena_release(&a);
    tsdb_cursor_close(cur);
    return code < 0 ? code : 0;
}

static int collect(struct api_call *k, struct query *q, const struct match_set *set, struct rows *rows, struct err *e)
{
    struct tsdb_select_opts o = {.matchers = set->m,
                                 .nmatchers = set->n,
                                 .mint = k->mint,
                                 .maxt = k->maxt,
                                 .want = TSDB_NEWEST,
                                 .parts_hint = 1,
                                 .limits = api_limits_of(q)};
    struct tsdb_select *sel;
    int code = tsdb_select_open(k->c->db, &o, &sel, e);

    if (code < 0)
        return code;
    query_expect(q, (uint64_t)tsdb_select_series(sel) * QUERY_A_SERIES);
    for (uint32_t i = 0; code == 0 && i < tsdb_select_parts(sel); i++)
        code = collect_part(q, sel, i, rows, e);
    tsdb_select_close(sel);
    return code;
}

static int by_name(const void *a, const void *b)
{
    const struct federate_row *x = a, *y = b;
    int c = str_cmp(labels_get(&x->labels, STR(LABEL_NAME)), labels_get(&y->labels, STR(LABEL_NAME)));

    return c ? c : labels_cmp(&x->labels, &y->labels);
}

/* --- writing ------------------------------------------------------------------------------------------- */

static void put_text(struct buf *b, struct str s)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_putz(b, "\\n");
        else {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buf_putc(b, '\\');
            buf_putc(b, s.p[i]);
        }
    }
    buf_putc(b, '"');
}

static void put_label(struct buf *b, bool *first, struct str name, struct str value)
{
    buf_putc(b, *first ? '{' : ',');
    *first = false;
    if (label_name_legacy(name))
        buf_puts(b, name);
    else
        put_text(b, name);
    buf_putc(b, '=');
    put_text(b, value);
}

static void put_row(struct buf *b, const struct federate_row *one, const struct labels *external, bool openmetrics, struct arena *a)
{
    struct str name = labels_get(&one->labels, STR(LABEL_NAME));
    bool first = true, plain = metric_name_legacy(name);
    char num[NUM_MAX];

    if (plain) {
        buf_puts(b, name);
    } else {
        buf_putc(b, '{');
        put_text(b, name);
        first = false;
    }
    struct labels ls = federate_labels(one, external, a);
    for (uint32_t i = 0; i < ls.n; i++)
        if (!str_eqz(ls.v[i].name, LABEL_NAME))
            put_label(b, &first, ls.v[i].name, ls.v[i].value);
    buf_putz(b, first ? " " : "} ");
    buf_put(b, num, num_fmt_g(one->v, num));
    buf_putc(b, ' ');
    buf_put(b, num, openmetrics ? num_fmt_ms(one->t, num) : num_fmt_i64(one->t, num));
    buf_putc(b, '\n');
}

static void put_type(struct buf *b, struct str name, bool openmetrics)
{
    buf_putz(b, "# TYPE ");
    if (metric_name_legacy(name))
        buf_puts(b, name);
    else
        put_text(b, name);
    buf_putz(b, openmetrics ? " unknown\n" : " untyped\n");
}

static const char *const media_types[] = {
    [FEDERATE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
    [FEDERATE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    [FEDERATE_PROTOBUF] = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
};

static void put_rows(struct api_stream *s, const struct rows *rows, const struct labels *external, enum federate_format format)
{
    bool openmetrics = format == FEDERATE_OPENMETRICS;
    struct str last = STR_NULL;
    struct arena a = {0};

    for (uint32_t i = 0; i < rows->n && api_stream_flush(s) == 0; i++) {
        struct str name = labels_get(&rows->v[i].labels, STR(LABEL_NAME));

        if (name.n == 0 || (i && labels_eq(&rows->v[i - 1].labels, &rows->v[i].labels)))
            continue;
        if (format == FEDERATE_PROTOBUF) {
            i += federate_put_family(&s->b, rows->v + i, rows->n - i, external) - 1;
            continue;
        }
        if (!str_eq(name, last))
            put_type(&s->b, name, openmetrics);
        last = name;
        arena_reset(&a);
        put_row(&s->b, &rows->v[i], external, openmetrics, &a);
    }
    arena_release(&a);
    if (openmetrics)
        buf_putz(&s->b, "# EOF\n");
}

static void run_federate(struct api_call *k, struct query *q)
{
    enum federate_format format = federate_format_of(http_header(k->r, "Accept"));
    struct labels external = {0};
    struct rows rows = {.histograms = format == FEDERATE_PROTOBUF};
    struct api_stream s;
    struct err e;

    for (uint32_t i = 0; i < k->nsets; i++)
        if (collect(k, q, &k->sets[i], &rows, &e) < 0) {
            struct http_request *r = k->r;

            api_match_sets_release(k->sets, k->nsets);
            query_end(q);
            http_replyf(r, http_status_of(e.code), "text/plain; charset=utf-8", "%s\n", e.text);
            return;
        }
    api_match_sets_release(k->sets, k->nsets);
    if (k->c->external_labels)
        k->c->external_labels(k->c->arg, &q->arena, &external);
    if (rows.n > 1)
        qsort(rows.v, rows.n, sizeof *rows.v, by_name);
    api_stream_init(&s, k->r, q, media_types[format]);
    put_rows(&s, &rows, &external, format);
    query_end(q);
    api_stream_end(&s);
}

static void handle_federate(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct api_call *k = api_call_new(c, r, run_federate);

    k->wants_sets = API_SETS_TEXT;
    k->maxt = clock_wall_ms();
    k->mint = k->maxt - (c->engine ? query_engine_opts_of(c->engine)->lookback_ms : 300000) + 1;
    api_call_start(k, arena_printf(r->arena, "federate %.*s", STR_ARG(str_head(api_param(r, "match[]"), 1000))), 0);
}

void api_routes_federate(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/federate", PERM_READ, 0, handle_federate, c);
}
