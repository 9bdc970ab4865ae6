/*
 * eval_range.c - range aggregations: each record goes into the cell of its series and bucket, then series become rows.
 *
 * (1) No record is kept, but where an operation needs every value (quantile, rate_counter).
 * (2) A sample with an error fails the query, if a window sees it at all.
 */
#include "query/logql/eval.h"
#include "query/logql/range_table.h"

#include <stdlib.h>

/* About 150 years: sums of three such lengths and a time of day fit. */
#define LENGTH_MAX (INT64_MAX / 2 - INT64_C(86400000000000) * 366 * 3)

struct range_eval {
    struct lq_eval *ev;
    const struct logql_expr *n;
    const char *where;
    struct lq_windows w;
    struct pipeline *pipeline;
    const struct lq_cell_kind *kind;
    struct lq_table all;
};

/* What became of a row of this stream with this value of one metadata name, or with none of those that matter. */
struct seen {
    uint64_t who; /* stream + 1, and the place of the name + 1 or 0: none. 0: nothing yet */
    uint64_t value[2], value_n;
    uint32_t series; /* + 1; 0: it was dropped */
    uint32_t bucket; /* of cell */
    double *cell;    /* NULL: not looked up yet */
};

enum { SEEN = 64 };

/* One thread's. */
struct part {
    struct lq_table table;
    struct lq_place place;
    const struct str *names; /* of metadata that matters */
    uint32_t nnames;
    bool by_labels, told; /* (pipeline.h) */
    struct seen seen[SEEN];
};

/* --- records ---------------------------------------------------------------------------------- */

static int begin(struct lq_reader *r, struct err *e)
{
    struct range_eval *x = r->read->arg;
    struct part *p = x_zalloc(sizeof *p);

    (void)e;
    lq_table_init(&p->table, x->ev->q, &x->w, x->kind, x->where);
    p->by_labels = x->kind && !x->ev->o->plain && pipeline_by_labels(x->pipeline, &p->told) && pipeline_meta_names(x->pipeline, &p->names, &p->nnames);
    r->state = p;
    return 0;
}

static double value_of(const struct range_eval *x, struct lq_reader *r)
{
    if (x->n->range.log.unwrap)
        return runner_value(r->runner);
    if (x->n->range.op == RANGE_BYTES || x->n->range.op == RANGE_BYTES_RATE)
        return (double)runner_line(r->runner).n;
    return 1;
}

/* Up to 16 bytes as two numbers, by which (and by their count) they are told apart. */
static inline void two_words(struct str s, uint64_t w[2])
{
    uint32_t a = 0, b = 0;

    w[0] = w[1] = 0;
    if (s.n >= 8) {
        memcpy(&w[0], s.p, 8);
        memcpy(&w[1], s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        memcpy(&a, s.p, 4);
        memcpy(&b, s.p + s.n - 4, 4);
        w[0] = (uint64_t)a << 32 | b;
    } else if (s.n) {
        w[0] = (uint64_t)(unsigned char)s.p[0] << 16 | (uint64_t)(unsigned char)s.p[s.n / 2] << 8 | (unsigned char)s.p[s.n - 1];
    }
}

static uint32_t find_name(const struct part *p, struct str name)
{
    for (uint32_t k = 0; k < p->nnames; k++)
        if (str_eq(p->names[k], name))
            return k + 1;
    return 0;
}

/* What of the row matters, where it is told and that is little. */
static bool seen_key(const struct part *p, const struct log_row *row, struct seen *key)
{
    uint64_t name = 0;

    if (!p->by_labels || (p->told && !row->told))
        return false;
    key->value[0] = key->value[1] = key->value_n = 0;
    for (uint32_t i = 0; i < row->nmeta; i++) {
        const struct label *m = &row->meta[i];
        uint64_t found = find_name(p, m->name);

        if (!found)
            continue;
        if (name || m->value.n > sizeof key->value)
            return false;
        name = found;
        key->value_n = m->value.n;
        two_words(m->value, key->value);
    }
    key->who = (uint64_t)(row->stream + 1) << 32 | name;
    return true;
}

static struct seen *seen_slot(struct part *p, const struct seen *key)
{
    uint64_t h = (key->value[0] ^ key->who) * UINT64_C(0x9fb21c651e98df25) + key->value[1] * UINT64_C(0xd6e8feb86659fd93);

    return &p->seen[h >> 58];
}

static bool seen_eq(const struct seen *a, const struct seen *b)
{
    return a->who == b->who && a->value[0] == b->value[0] && a->value[1] == b->value[1] && a->value_n == b->value_n;
}

/* The series of a row, by the stages. 0: it is dropped. */
static int find_series(struct lq_reader *r, const struct log_row *row, struct lq_series **out, struct err *e)
{
    struct range_eval *x = r->read->arg;
    struct part *p = r->state;
    bool added;
    int kept = lq_reader_run(r, row, e);

    if (kept <= 0)
        return kept;
    if (runner_error(r->runner).n)
        return lq_pipeline_error(r->runner, e);
    *out = lq_table_find(&p->table, runner_hash(r->runner), &added, e);
    if (!*out)
        return e->code;
    if (added) {
        (*out)->labels = lq_runner_labels(r->runner, &p->table.pile.a);
        if (pile_settle(&p->table.pile, x->where, e) < 0)
            return e->code;
    }
    return 1;
}

/* Counts a row; the stages run only where no like one was seen lately. */
static int add_seen(struct lq_reader *r, const struct log_row *row, struct seen *key, uint32_t bucket, struct err *e)
{
    struct range_eval *x = r->read->arg;
    struct part *p = r->state;
    struct seen *seen = seen_slot(p, key);
    struct lq_series *s;
    int kept;

    if (!seen_eq(seen, key)) {
        kept = find_series(r, row, &s, e);
        if (kept < 0)
            return kept;
        r->kept -= (uint64_t)kept; /* counted below */
        *seen = *key;
        seen->series = kept ? (uint32_t)(s - p->table.series) + 1 : 0;
        seen->cell = NULL;
    }
    if (!seen->series)
        return 0;
    r->kept++;
    if (!seen->cell || seen->bucket != bucket) {
        seen->cell = lq_table_cell(&p->table, &p->table.series[seen->series - 1], bucket, e);
        seen->bucket = bucket;
        if (!seen->cell)
            return e->code;
    }
    lq_cell_add(x->kind, seen->cell, row->t_ns, 1);
    return 0;
}

static int add_row(struct lq_reader *r, const struct log_row *row, struct err *e)
{
    struct range_eval *x = r->read->arg;
    struct part *p = r->state;
    uint32_t bucket = lq_windows_find(&x->w, &p->place, row->t_ns);
    struct lq_series *s;
    struct seen key;
    double *cell, v;
    int kept;

    if (bucket == LQ_NO_BUCKET)
        return 0;
    if (seen_key(p, row, &key))
        return add_seen(r, row, &key, bucket, e);
    kept = find_series(r, row, &s, e);
    if (kept <= 0)
        return kept;
    v = value_of(x, r);
    if (!x->kind)
        return lq_table_sample(&p->table, s, (struct lq_sample){row->t_ns, v}, e);
    cell = lq_table_cell(&p->table, s, bucket, e);
    if (!cell)
        return e->code;
    lq_cell_add(x->kind, cell, row->t_ns, v);
    return 0;
}

static int end(struct lq_reader *r, int code, struct err *e)
{
    struct range_eval *x = r->read->arg;
    struct part *p = r->state;

    if (!p)
        return code;
    if (code == 0)
        code = lq_table_merge(&x->all, &p->table, e);
    else
        lq_table_release(&p->table);
    free(p);
    return code;
}

static int read_records(struct range_eval *x, int64_t after, int64_t upto, struct err *e)
{
    struct lq_read read = {
        .ev = x->ev,
        .log = &x->n->range.log,
        .pipeline = x->pipeline,
        .where = x->where,
        .mint_ns = after + 1,
        .maxt_ns = upto,
        .arg = x,
        .begin = begin,
        .row = add_row,
        .end = end,
    };

    return lq_read_run(&read, e);
}

/* --- rows ------------------------------------------------------------------------------------- */

static int emit(struct range_eval *x, struct vec *out, struct err *e)
{
    const struct lq_table *t = &x->all;
    struct query_pace pace = {x->ev->q, x->where, 0};
    struct lq_scratch scratch = {0};
    double *cells = x->kind ? x_alloc((size_t)x->w.nbuckets * lq_cell_size(x->kind) * sizeof *cells) : NULL;
    int code = 0;

    for (uint32_t i = 0; i < t->n && code == 0; i++) {
        const struct lq_series *s = &t->series[i];
        struct row *r;

        code = query_pace(&pace, 2 * (uint64_t)x->w.nbuckets + x->w.n + s->nsamples, e);
        if (code < 0)
            break;
        r = vec_add(out, x->where, e);
        if (!r) {
            code = e->code;
            break;
        }
        r->labels = s->labels;
        if (x->kind) {
            lq_table_spread(t, s, cells);
            lq_cells_row(x->kind, x->n->range.op, &x->w, cells, r->v, r->has, &scratch);
        } else {
            code = lq_samples_row(x->n->range.op, x->n->range.param, &x->w, s->samples, s->nsamples, r->v, r->has, &scratch, &pace, e);
        }
    }
    lq_scratch_release(&scratch);
    free(cells);
    return code;
}

/* One where no series has anything, under the labels that the selector names. */
static int emit_absent(struct range_eval *x, struct vec *out, struct err *e)
{
    const struct logql_log *log = &x->n->range.log;
    struct row *r;

    if (emit(x, out, e) < 0)
        return e->code;
    r = out->n ? &out->rows[0] : vec_add(out, x->where, e);
    if (!r)
        return e->code;
    for (uint32_t i = 0; i < x->w.n; i++) {
        r->has[i] = r->has[i] ? ROW_NONE : ROW_FLOAT;
        r->v[i] = 1;
    }
    r->labels = (struct labels){0};
    for (uint32_t i = 0; i < log->nmatchers; i++)
        if (log->matchers[i].op == MATCH_EQ && !labels_get(&r->labels, log->matchers[i].name).n)
            r->labels = labels_with(&out->pile.a, &r->labels, log->matchers[i].name, log->matchers[i].value);
    for (uint32_t i = 0; i < log->nmatchers; i++)
        if (log->matchers[i].op != MATCH_EQ)
            r->labels = labels_with(&out->pile.a, &r->labels, log->matchers[i].name, STR(""));
    return pile_settle(&out->pile, x->where, e);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int make_windows(struct range_eval *x, struct err *e)
{
    const struct lq_grid *g = &x->ev->grid;
    int64_t range = x->n->range.range_ns, offset = x->n->range.offset_ns;

    if (range <= 0)
        return err_set(e, ERR_INVALID, "the range of %s has to be longer than nothing", x->where);
    if (range > LENGTH_MAX / 2 || offset > LENGTH_MAX / 2 || offset < -LENGTH_MAX / 2)
        return err_set(e, ERR_INVALID, "range or offset of %s is too long", x->where);
    return lq_windows_init(&x->w, x->ev->q, g->start - offset, g->step, range, g->n, e);
}

static struct pipeline_opts pipeline_opts(const struct range_eval *x, const struct lq_push *push)
{
    enum logql_range_op op = x->n->range.op;
    struct pipeline_opts o = {.no_line = op != RANGE_BYTES && op != RANGE_BYTES_RATE};

    if (op == RANGE_ABSENT) {
        o.group = true; /* by nothing: one series */
    } else if (x->n->range.grouping.present) {
        o.group = true;
        o.without = x->n->range.grouping.without;
        o.names = x->n->range.grouping.names;
        o.nnames = x->n->range.grouping.n;
    } else if (push) {
        o.group = push->group;
        o.without = push->without;
        o.names = push->names;
        o.nnames = push->n;
    }
    return o;
}

static int read_all(struct range_eval *x, const struct lq_push *push, struct err *e)
{
    int64_t after = lq_windows_after(&x->w), last = lq_windows_last(&x->w), from, to;
    int code = 1;

    if (!x->ev->o->plain)
        code = lq_eval_minutes(x->ev, x->n, push, x->pipeline, &x->w, &x->all, &from, &to, e);
    if (code > 0)
        return read_records(x, after, last, e);
    if (code == 0 && from > after)
        code = read_records(x, after, from, e);
    if (code == 0 && to < last)
        code = read_records(x, to, last, e);
    return code;
}

int lq_eval_range(struct lq_eval *ev, const struct logql_expr *n, const struct lq_push *push, struct vec *out, struct err *e)
{
    struct range_eval x = {.ev = ev, .n = n, .where = logql_range_op_text(n->range.op)};
    struct pipeline_opts po;
    int code;

    vec_init(out, ev->q, ev->grid.n);
    code = make_windows(&x, e);
    if (code < 0)
        return code;
    po = pipeline_opts(&x, push);
    code = pipeline_of_query(&n->range.log, &po, &x.pipeline, e);
    if (code < 0)
        return code;
    x.kind = lq_cell_kind_of(n->range.op, n->range.log.unwrap != NULL);
    lq_table_init(&x.all, ev->q, &x.w, x.kind, x.where);
    code = read_all(&x, push, e);
    if (code == 0)
        code = n->range.op == RANGE_ABSENT ? emit_absent(&x, out, e) : emit(&x, out, e);
    /* Labels lie in the table's pile. */
    pile_join(&out->pile, &x.all.pile);
    lq_table_release(&x.all);
    pipeline_free(x.pipeline);
    vec_compact(out);
    return code;
}
