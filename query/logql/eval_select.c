/*
 * eval_select.c - opens a select with all that the pipeline knows about the rows it wants, and reads it on the query pool,
 * a cursor and a runner for each thread.
 *
 * (1) Parts are ended in order, so what is made of them does not depend on which thread was faster.
 */
#include "query/logql/eval.h"

#include <stdlib.h>

enum { ROW_WORK = 100, LOOK_ROWS = 16, SLOW_NS = 1000000 };

/* --- records ---------------------------------------------------------------------------------- */

int lq_reader_run(struct lq_reader *r, const struct log_row *row, struct err *e)
{
    struct log_row with_line;

    /* Fields were asked for instead of lines, and the store has no columns of this one. */
    if (r->wants_fields && !row->fields && !row->line.p) {
        with_line = *row;
        if (log_rows_line(r->cur, (uint32_t)(row - r->rows), &with_line.line, e) < 0)
            return e->code;
        row = &with_line;
    }
    if (r->stream != row->stream + 1) {
        runner_stream(r->runner, log_select_labels(r->read->select, row->stream));
        r->stream = row->stream + 1;
    }
    if (!runner_run(r->runner, row))
        return 0;
    r->kept++;
    return 1;
}

struct labels lq_runner_labels(struct runner *r, struct arena *a)
{
    const struct logql_label *v;
    uint32_t n = runner_labels(r, &v);
    struct labels ls = {.v = arena_alloc(a, (n + (size_t)1) * sizeof *ls.v), .n = n};
    size_t bytes = 0;
    char *p;

    for (uint32_t i = 0; i < n; i++)
        bytes += v[i].name.n + v[i].value.n;
    p = arena_alloc(a, bytes + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].name.n)
            memcpy(p, v[i].name.p, v[i].name.n);
        ls.v[i].name = str_n(p, v[i].name.n);
        p += v[i].name.n;
        if (v[i].value.n)
            memcpy(p, v[i].value.p, v[i].value.n);
        ls.v[i].value = str_n(p, v[i].value.n);
        p += v[i].value.n;
    }
    return ls;
}

int lq_pipeline_error(struct runner *r, struct err *e)
{
    struct arena a = {0};
    struct labels ls = lq_runner_labels(r, &a);
    struct str error = runner_error(r);
    struct buf text = {0};
    int code;

    labels_text(&text, &ls);
    code = err_set(e, ERR_INVALID,
                   "pipeline error: '%.*s' for series: '%.*s'.\nUse a label filter to intentionally skip this error. (e.g | "
                   "__error__!=\"%.*s\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter "
                   "can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n",
                   STR_ARG(error), STR_ARG(str_head(buf_str(&text), 500)), STR_ARG(error));
    buf_release(&text);
    arena_release(&a);
    return code;
}

/* --- one thread ------------------------------------------------------------------------------- */

/* When the clock was looked at, and after how many rows to look again. */
struct look {
    int64_t ns;
    uint32_t left;
};

/*
 * A row takes a fraction of a microsecond, or (giant regular expressions, templates with loops) milliseconds: too long to count to a
 * thousand. So the clock is looked at every few rows, and after each where they are slow. True: it is time to look up.
 */
static bool rows_are_slow(struct look *l)
{
    int64_t now;
    bool slow;

    if (--l->left > 0)
        return false;
    now = clock_mono_ns();
    slow = now - l->ns > SLOW_NS;
    *l = (struct look){.ns = now, .left = slow ? 1 : LOOK_ROWS};
    return slow;
}

static int read_portions(struct lq_reader *r, struct err *e)
{
    struct query *q = r->read->ev->q;
    const char *where = r->read->where;
    struct look look = {.ns = clock_mono_ns(), .left = 1};
    struct log_rows rows = {0};
    int code, done = 0;

    while (!done && (code = log_cursor_next(r->cur, &rows, e)) == 0) {
        r->rows = rows.v;
        r->order = rows.order;
        for (uint32_t i = 0; i < rows.n; i++) {
            if ((i % (QUERY_PACE_WORK / ROW_WORK) == 0 || rows_are_slow(&look)) && query_check(q, where, e) < 0)
                return e->code;
            if (r->read->row(r, &rows.v[i], e) < 0)
                return e->code;
        }
        if (query_samples(q, rows.n, 0, where, e) < 0)
            return e->code;
        done = r->read->rows_done ? r->read->rows_done(r) : 0;
    }
    return done ? 0 : MIN(code, 0);
}

static void read_part(void *arg, uint32_t i)
{
    struct lq_read *x = arg;
    struct lq_reader *r = &x->readers[i];
    struct query *before = query_work_for(x->ev->q);
    const struct str *names;
    uint32_t n;

    r->read = x;
    r->part = i;
    r->wants_fields = pipeline_fields(x->pipeline, &names, &n) != LOG_PARSER_NONE;
    r->code = x->begin(r, &r->err);
    if (r->code == 0)
        r->code = query_check(x->ev->q, x->where, &r->err);
    if (r->code == 0)
        r->code = log_cursor_open(x->select, &r->cur, &r->err);
    if (r->code == 0) {
        r->runner = runner_new(x->pipeline);
        r->code = read_portions(r, &r->err);
        runner_free(r->runner);
    }
    log_cursor_free(r->cur);
    query_work_for(before);
    query_leave(x->ev->q);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int check_select(void *arg, uint64_t rows_more, uint64_t bytes_more, struct err *e)
{
    struct lq_read *x = arg;

    (void)rows_more;
    if (x->ev->q->limits.bytes_max && bytes_more > x->ev->q->limits.bytes_max)
        return query_charge(x->ev->q, (int64_t)bytes_more, "select", e);
    return query_check(x->ev->q, "select", e);
}

static struct log_select_opts select_opts(struct lq_read *x)
{
    struct log_select_opts o = {
        .matchers = x->log->matchers,
        .nmatchers = x->log->nmatchers,
        .mint_ns = x->mint_ns,
        .maxt_ns = x->maxt_ns,
        .backward = x->backward,
        .lines = pipeline_needs_line(x->pipeline),
        .meta = pipeline_needs_meta(x->pipeline),
        .limits = {check_select, x},
    };

    if (x->ev->o->plain) {
        o.lines = o.meta = o.whole = true;
        return o;
    }
    o.parser = pipeline_fields(x->pipeline, &o.fields, &o.nfields);
    o.nhints = pipeline_hints(x->pipeline, &o.hints);
    if (!pipeline_meta_names(x->pipeline, &o.meta_names, &o.nmeta_names))
        o.meta_names = NULL;
    return o;
}

static void keep_books(struct lq_read *x)
{
    struct lq_eval *ev = x->ev;
    struct log_select_stats st;
    struct str *w;
    uint32_t n = log_select_warnings(x->select, &ev->q->arena, &w);

    log_select_stats(x->select, &st);
    ev->stats.streams += st.streams;
    ev->stats.blocks_read += st.blocks_read;
    ev->stats.blocks_skipped += st.blocks_skipped;
    ev->stats.rows += st.rows;
    ev->stats.bytes_raw += st.bytes_raw;
    ev->stats.bytes_read += st.bytes_read;
    ev->q->blocks_read += st.blocks_read;
    ev->q->blocks_skipped += st.blocks_skipped;
    for (uint32_t i = 0; i < n; i++) {
        struct str *more = arena_array(&ev->q->arena, struct str, ev->nwarnings + (size_t)1);

        if (ev->nwarnings)
            memcpy(more, ev->warnings, ev->nwarnings * sizeof *more);
        more[ev->nwarnings++] = w[i];
        ev->warnings = more;
    }
}

static int check_streams(struct lq_read *x, struct err *e)
{
    uint64_t max = x->ev->q->limits.series_max, n = log_select_nstreams(x->select);

    x->ev->q->series += n;
    if (max && n > max)
        return err_set(e, ERR_LIMIT, "selector matches too many streams: %llu, allowed are %llu (query.max-series), in %s",
                       (unsigned long long)n, (unsigned long long)max, x->where);
    return 0;
}

static int finish(struct lq_read *x, uint32_t parts, struct err *e)
{
    int code = 0;

    for (uint32_t i = 0; i < parts; i++)
        if (x->readers[i].code < 0 && code == 0) {
            code = x->readers[i].code;
            *e = x->readers[i].err;
        }
    for (uint32_t i = 0; i < parts; i++) {
        struct err ignored;
        int ended = x->end(&x->readers[i], code, code < 0 ? &ignored : e);

        if (code == 0)
            code = ended;
        x->ev->stats.kept += x->readers[i].kept;
    }
    return code;
}

int lq_read_run(struct lq_read *x, struct err *e)
{
    struct query *q = x->ev->q;
    struct log_select_opts o = select_opts(x);
    uint32_t parts = x->ev->threads;
    int code;

    if (x->mint_ns > x->maxt_ns)
        return 0;
    code = logstore_select(x->ev->o->ls, &o, &x->select, e);
    if (code < 0)
        return code;
    code = check_streams(x, e);
    if (code == 0) {
        x->readers = x_zalloc(parts * sizeof *x->readers);
        query_expect(q, (uint64_t)log_select_nstreams(x->select) * ROW_WORK);
        query_leave(q); /* helpers may need the turn, and we may wait for them */
        pool_for(query_engine_pool(q->engine), parts, read_part, x);
        code = finish(x, parts, e);
        keep_books(x);
        free(x->readers);
        x->readers = NULL;
    }
    log_select_free(x->select);
    x->select = NULL;
    return code;
}
