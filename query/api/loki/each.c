/*
 * each.c - each record of a window through a pipeline, on the query's own thread.
 */
#include "query/api/loki/inside.h"

struct reading {
    struct pipeline *p;
    struct runner *r;
    struct log_select *sel;
    struct log_cursor *cur;
    const struct labels *stream;
};

static void close_reading(struct reading *rd)
{
    log_cursor_free(rd->cur);
    log_select_free(rd->sel);
    runner_free(rd->r);
    pipeline_free(rd->p);
    memset(rd, 0, sizeof *rd);
}

static int open_reading(struct reading *rd, const struct loki_each *s, struct err *e)
{
    struct pipeline_opts po = {0};
    struct log_select_opts o = {.matchers = s->log->matchers,
                                .nmatchers = s->log->nmatchers,
                                .mint_ns = s->mint_ns,
                                .maxt_ns = s->maxt_ns,
                                .backward = true,
                                .lines = true,
                                .meta = true,
                                .limits = loki_limits_of(s->q)};

    memset(rd, 0, sizeof *rd);
    if (pipeline_new(s->log, &po, &rd->p, e) < 0)
        return e->code;
    rd->r = runner_new(rd->p);
    o.parser = pipeline_fields(rd->p, &o.fields, &o.nfields);
    o.nhints = pipeline_hints(rd->p, &o.hints);
    if (logstore_select(s->logs, &o, &rd->sel, e) < 0 || log_cursor_open(rd->sel, &rd->cur, e) < 0) {
        close_reading(rd);
        return e->code;
    }
    return 0;
}

static bool run_row(struct reading *rd, const struct log_row *row)
{
    const struct labels *stream = log_select_labels(rd->sel, row->stream);

    if (stream != rd->stream) {
        rd->stream = stream;
        runner_stream(rd->r, stream);
    }
    return runner_run(rd->r, row);
}

static int each_of(struct loki_each *s, struct reading *rd, struct err *e)
{
    struct log_rows rows;
    uint32_t skip = 0;
    int code;

    while ((code = log_cursor_next(rd->cur, &rows, e)) == 0) {
        for (uint32_t i = 0; i < rows.n && code == 0; i++) {
            if (++skip < s->every)
                continue;
            skip = 0;
            if (run_row(rd, &rows.v[i]))
                code = s->fn(s->arg, &rows.v[i], rd->r, e);
        }
        if (code != 0 || (code = query_check(s->q, "the pipeline", e)) < 0)
            break;
    }
    return MIN(code, 0);
}

int loki_each(struct loki_each *s, struct err *e)
{
    struct reading rd;
    int code;

    if (open_reading(&rd, s, e) < 0)
        return e->code;
    code = each_of(s, &rd, e);
    close_reading(&rd);
    return code;
}
