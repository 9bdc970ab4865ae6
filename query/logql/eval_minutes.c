/*
 * eval_minutes.c - counts and bytes of records without reading records.
 *
 * The store counts by stream, level and minute. That is all there is to know where what is asked for is told by labels that
 * every stream has, or by the level, and every edge between windows is the edge of a minute.
 *
 * (1) A record like those that were counted goes through the pipeline, once for each stream and level: what filters and
 *     grouping make of it is what they make of all of them.
 */
#include "query/logql/eval.h"
#include "query/logql/range_table.h"

#define MINUTE INT64_C(60000000000)
#define LEVEL "detected_level"

/* A record has this label from its stream, or is of this level: nothing else of it matters. */
static bool told(const struct log_minutes *m, struct str name)
{
    if (str_eqz(name, LEVEL))
        return true;
    for (uint32_t i = 0; i < m->nstreams; i++)
        if (!labels_get(&m->streams[i], name).n)
            return false;
    return true;
}

static bool filter_told(const struct log_minutes *m, const struct logql_label_filter *f)
{
    if (f->kind == FILTER_AND || f->kind == FILTER_OR)
        return filter_told(m, f->l) && filter_told(m, f->r);
    return told(m, f->name);
}

static bool all_told(const struct log_minutes *m, const struct logql_log *log, const struct lq_push *push)
{
    for (uint32_t i = 0; i < log->nstages; i++)
        if (!filter_told(m, log->stages[i].filter))
            return false;
    for (uint32_t i = 0; i < push->n; i++)
        if (!told(m, push->names[i]))
            return false;
    return true;
}

static bool asks_for_counts(const struct logql_expr *n, const struct lq_push *push)
{
    if (n->range.op == RANGE_ABSENT) {
        /* any record will do */
    } else if (n->range.op != RANGE_COUNT && n->range.op != RANGE_RATE && n->range.op != RANGE_BYTES && n->range.op != RANGE_BYTES_RATE) {
        return false;
    } else if (!push || !push->group || push->without) {
        return false;
    }
    if (n->range.log.unwrap)
        return false;
    for (uint32_t i = 0; i < n->range.log.nstages; i++)
        if (n->range.log.stages[i].kind != LOGQL_LABEL_FILTER)
            return false;
    return true;
}

/* The counts v[0..n-1] are of one stream and level. */
static int add_run(struct runner *r, const struct log_minutes *m, const struct log_minute *v, size_t n, const struct lq_windows *w,
                   struct lq_table *t, uint64_t *kept, struct err *e)
{
    struct label level = {STR(LEVEL), v->level};
    struct log_row row = {.t_ns = v->end_ns, .nmeta = v->level.n > 0, .line = STR(""), .meta = &level};
    struct lq_place place = {0};
    struct lq_series *s;
    bool added;

    runner_stream(r, &m->streams[v->stream]);
    if (!runner_run(r, &row))
        return 0;
    if (runner_error(r).n)
        return lq_pipeline_error(r, e);
    s = lq_table_find(t, runner_hash(r), &added, e);
    if (!s)
        return e->code;
    if (added)
        s->labels = lq_runner_labels(r, &t->pile.a);
    for (size_t i = 0; i < n; i++) {
        uint32_t bucket = lq_windows_find(w, &place, v[i].end_ns);
        double *cell;

        if (bucket == LQ_NO_BUCKET || v[i].rows == 0)
            continue;
        cell = lq_table_cell(t, s, bucket, e);
        if (!cell)
            return e->code;
        lq_cell_add_many(cell, (double)v[i].rows, (double)v[i].bytes, lq_cell_size(t->kind));
        *kept += v[i].rows;
    }
    return pile_settle(&t->pile, t->where, e);
}

/* Counts stay in the query's arena, as several times their size in the making; records that had to be read are let go. */
static int check_minutes(void *arg, uint64_t rows_more, uint64_t bytes_more, struct err *e)
{
    if (rows_more == 0 && bytes_more && query_charge(arg, (int64_t)bytes_more * 3, "counts by minute", e) < 0)
        return e->code;
    return query_check(arg, "counts by minute", e);
}

static int add_all(struct lq_eval *ev, const struct pipeline *p, const struct log_minutes *m, const struct lq_windows *w,
                   struct lq_table *t, struct err *e)
{
    struct runner *r = runner_new(p);
    int code = 0;

    for (size_t i = 0, n; i < m->n && code == 0; i += n) {
        const struct log_minute *v = &m->v[i];

        for (n = 1; i + n < m->n && v[n].stream == v->stream && str_eq(v[n].level, v->level);)
            n++;
        code = query_check(ev->q, t->where, e);
        if (code == 0)
            code = add_run(r, m, v, n, w, t, &ev->stats.kept, e);
    }
    ev->stats.minutes += m->n;
    runner_free(r);
    return code;
}

int lq_eval_minutes(struct lq_eval *ev, const struct logql_expr *n, const struct lq_push *push, const struct pipeline *p,
                    const struct lq_windows *w, struct lq_table *t, int64_t *from, int64_t *to, struct err *e)
{
    static const struct lq_push nothing = {.group = true};
    struct log_limits limits = {check_minutes, ev->q};
    const struct logql_log *log = &n->range.log;
    int64_t after = lq_windows_after(w), last = lq_windows_last(w);
    struct log_minutes m = {0};
    int code;

    if (!asks_for_counts(n, push) || !lq_windows_aligned(w, MINUTE) || last - after < 2 * MINUTE)
        return 1;
    code = logstore_minutes(ev->o->ls, log->matchers, log->nmatchers, after, last, &ev->q->arena, &limits, &m, e);
    if (code < 0)
        return code;
    if (!all_told(&m, log, n->range.op == RANGE_ABSENT ? &nothing : push) || m.to_ns < m.from_ns)
        return 1;
    *from = m.from_ns;
    *to = m.to_ns;
    return add_all(ev, p, &m, w, t, e);
}
