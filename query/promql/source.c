/*
 * source.c - reads a selector: cursor by cursor on the query pool, one row per series, into a sink.
 *
 * A reading thread holds one series at a time: its samples, and the row that is made of them. What depends on sample
 * times alone is kept per times id (window_cache).
 *
 * (1) Staleness markers end a value for SOURCE_LAST and are left out of windows.
 * (2) Sinks are ended in order of parts, so results do not depend on which thread was faster.
 * (3) The select stays open until the evaluation ends: labels borrow their bytes from it.
 */
#include "query/promql/eval.h"
#include "query/vector/histogram.h"
#include "query/vector/plain.h"

#include <assert.h>
#include <stdlib.h>

enum { CHECK_WORK = 16384, STEPS_A_SAMPLE = 4 };

struct run {
    struct eval *ev;
    const struct source *src;
    const struct sink *sink;
    struct tsdb_select *select;
    struct rollup_read rollup;
    bool newest;
    struct reader *readers;
};

/* --- remarks ---------------------------------------------------------------------------------- */

int reader_remark(struct reader *r, const struct node *node, unsigned bits, struct err *e)
{
    struct str metric = {0};
    int code = reader_label(r, STR(LABEL_NAME), &metric, e);

    if (code < 0)
        return code;
    for (uint32_t i = 0; i < r->nremarks; i++)
        if (r->remarks[i].node == node && str_eq(r->remarks[i].metric, metric)) {
            r->remarks[i].bits |= bits;
            return 0;
        }
    r->remarks = x_realloc(r->remarks, (r->nremarks + (size_t)1) * sizeof *r->remarks);
    r->remarks[r->nremarks++] = (struct remark){node, bits, metric};
    return 0;
}

/* A counter by its __type__ label where there is one, else by its name. */
static bool looks_like_counter(struct reader *r, struct str metric)
{
    static const char *const suffixes[] = {"_total", "_sum", "_count", "_bucket"};
    struct str type = {0};

    if (tsdb_cursor_label(r->cur, STR("__type__"), &type, NULL) == 0 && type.n)
        return str_eqz(type, "counter") || str_eqz(type, "histogram");
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (str_ends(metric, str_of(suffixes[i])))
            return true;
    return metric.n == 0;
}

/* --- samples ---------------------------------------------------------------------------------- */

static bool stale_at(const struct samples *s, uint32_t i)
{
    return s->h && s->h[i] ? hist_stale(s->h[i]) : is_stale(s->v[i]);
}

static bool any_stale(const struct samples *s)
{
    bool any = false;

    if (s->h) {
        for (uint32_t i = 0; i < s->n && !any; i++)
            any = stale_at(s, i);
        return any;
    }
    for (uint32_t i = 0; i < s->n; i++)
        any |= f64_bits(s->v[i]) == STALE_NAN_BITS;
    return any;
}

/* Samples without staleness markers, in the reader's own memory. */
static void drop_stale(struct reader *r, struct samples *s)
{
    uint32_t n = 0;

    if (r->ncompact < s->n) {
        r->ncompact = s->n;
        r->floats = x_realloc(r->floats, s->n * sizeof *r->floats);
        r->times = x_realloc(r->times, s->n * sizeof *r->times);
        r->starts = x_realloc(r->starts, s->n * sizeof *r->starts);
        r->hists = x_realloc(r->hists, s->n * sizeof *r->hists);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (stale_at(s, i))
            continue;
        r->floats[n] = s->v[i];
        r->times[n] = s->t[i];
        r->hists[n] = s->h ? s->h[i] : NULL;
        r->starts[n++] = s->st ? s->st[i] : 0;
    }
    *s = (struct samples){r->times, r->floats, s->st ? r->starts : NULL, s->h ? r->hists : NULL, n};
}

/* The newest value of a series with histograms. Times of samples are floats, whatever the samples are. */
static uint32_t last_of_either(struct reader *r, const struct samples *s, const struct windows *w)
{
    struct row *row = &r->row;
    enum source_kind kind = r->src->kind;
    uint32_t filled = 0;

    for (uint32_t i = 0; i < r->src->grid.n; i++) {
        uint32_t at = w->hi[i] - 1;
        int64_t st;

        row->has[i] = ROW_NONE;
        row->h[i] = NULL;
        if (w->hi[i] == w->lo[i] || stale_at(s, at))
            continue;
        st = s->st ? s->st[at] : 0;
        row->v[i] = kind == SOURCE_TIMESTAMP         ? (double)s->t[at] / 1000
                    : kind == SOURCE_START_TIMESTAMP ? (double)st / 1000
                                                     : s->v[at];
        row->has[i] = kind == SOURCE_START_TIMESTAMP && st == 0 ? ROW_NONE : ROW_FLOAT;
        if (kind == SOURCE_LAST && s->h[at]) {
            row->has[i] = ROW_HIST;
            row->h[i] = s->h[at];
        }
        filled += row->has[i] != ROW_NONE;
    }
    return filled;
}

static uint32_t last_values(struct reader *r, const struct samples *s, const struct windows *w)
{
    struct row *row = &r->row;
    enum source_kind kind = r->src->kind;
    uint32_t filled = 0;

    if (s->h)
        return last_of_either(r, s, w);
    for (uint32_t i = 0; i < r->src->grid.n; i++) {
        uint32_t hi = w->hi[i];
        bool is = hi > w->lo[i];
        double v = is ? s->v[hi - 1] : 0;

        is &= f64_bits(v) != STALE_NAN_BITS;
        row->v[i] = v;
        row->has[i] = is;
        filled += is;
        if (is && kind == SOURCE_TIMESTAMP) {
            row->v[i] = (double)s->t[hi - 1] / 1000;
        } else if (is && kind == SOURCE_START_TIMESTAMP) {
            bool has = s->st && s->st[hi - 1] != 0;

            row->has[i] = has;
            row->v[i] = has ? (double)s->st[hi - 1] / 1000 : 0;
        }
    }
    return filled;
}

/*
 * Where only counts are looked at, upstream reads histograms without buckets and so finds resets as it reads; the hints
 * it makes show in warnings.
 */
static void hints_by_reading(struct reader *r, struct samples *s)
{
    const struct histogram **h = arena_alloc(&r->pile.a, s->n * sizeof *h), *prev = NULL;

    for (uint32_t i = 0; i < s->n; i++) {
        h[i] = s->h[i];
        if (!h[i] || hist_stale(h[i]))
            continue;
        if (h[i]->hint == HIST_UNKNOWN && prev) {
            struct histogram *c = arena_new(&r->pile.a, struct histogram);

            *c = *h[i];
            c->hint = hist_detect_reset(c, prev) ? HIST_RESET : HIST_NOT_RESET;
            h[i] = c;
        }
        prev = h[i];
    }
    s->h = h;
}

/* One step of a series with histograms: nothing where the lookback around it mixes both kinds. */
static bool smoothed_either(struct reader *r, const struct samples *s, uint32_t i, uint32_t at, bool *mixed)
{
    const struct steps *st = &r->src->steps;
    int64_t t = step_end(st, i);
    uint32_t k = at - 1;
    bool next = s->t[k] < t && at < s->n && s->t[at] <= t + st->range;
    double share = next ? (double)(t - s->t[k]) / (double)(s->t[at] - s->t[k]) : 0;
    unsigned notes = 0;

    for (uint32_t j = 0; j < s->n; j++)
        if (s->t[j] > t - st->range && s->t[j] <= t + st->range && (s->h[j] != NULL) != (s->h[k] != NULL)) {
            *mixed = true;
            return false;
        }
    if (!s->h[k]) {
        r->row.v[i] = next ? s->v[k] + (s->v[at] - s->v[k]) * share : s->v[k];
        r->row.has[i] = ROW_FLOAT;
        return true;
    }
    r->row.h[i] =
        next ? hist_on_line(&r->pile.a, s->h[k], s->h[at], share, s->h[k]->hint != HIST_GAUGE, &notes) : s->h[k];
    r->row.has[i] = r->row.h[i] ? ROW_HIST : ROW_NONE;
    return r->row.h[i] != NULL;
}

/* The value at the step itself, on the line between the samples around it; after the last one its value. */
static uint32_t smoothed_values(struct reader *r, const struct samples *s, bool *mixed)
{
    const struct steps *st = &r->src->steps;
    uint32_t at = 0, filled = 0;

    for (uint32_t i = 0; i < st->n; i++) {
        int64_t t = step_end(st, i);
        double v;

        while (at < s->n && s->t[at] <= t)
            at++;
        r->row.has[i] = ROW_NONE;
        /* Sample at-1 is the newest up to t. */
        if (at == 0 || s->t[at - 1] <= t - st->range)
            continue;
        if (s->h) {
            filled += smoothed_either(r, s, i, at, mixed);
            continue;
        }
        v = s->v[at - 1];
        if (s->t[at - 1] < t && at < s->n && s->t[at] <= t + st->range)
            v += (s->v[at] - v) * (double)(t - s->t[at - 1]) / (double)(s->t[at] - s->t[at - 1]);
        r->row.v[i] = v;
        r->row.has[i] = ROW_FLOAT;
        filled++;
    }
    return filled;
}

static int range_values(struct reader *r, struct samples *s, const struct tsdb_buckets *b, uint64_t times_id, uint32_t *filled,
                        struct err *e)
{
    const struct source *src = r->src;
    const struct range_function *fn = src->fn;
    const struct node *sel = src->selector;
    struct range_call c = {
        .steps = &src->steps,
        .param = {src->param[0], src->param[1]},
        .use_st = r->ev->use_st,
        .lookback = r->ev->lookback,
        .anchored = sel->selector.anchored,
        .smoothed = sel->selector.smoothed,
        .scratch = &r->scratch,
        .pile = &r->pile,
        .must_stop = eval_must_stop,
        .must_stop_arg = r->ev->q,
        .s = *s,
        .v = r->row.v,
        .has = r->row.has,
        .h = r->row.h,
    };
    bool made;

    if (b) {
        *filled = rollup_values(r, &c, b, times_id);
    } else if (!c.anchored && !c.smoothed) {
        c.w = window_cache_get(&r->cache, times_id, &src->steps, s->t, s->n, fn->flags & RANGE_EXTRAPOLATES, &made);
        if (made && (fn->flags & RANGE_EXTRAPOLATES))
            rate_prepare(c.w, &src->steps, s->t, fn->flags & RANGE_PER_SECOND, fn->flags & RANGE_COUNTER);
        *filled = c.w->filled ? range_eval(fn, &c) : 0;
    } else {
        *filled = range_eval(fn, &c);
    }
    if (c.stopped && query_check(r->ev->q, src->where, e) < 0)
        return e->code;
    if (c.notes & NOTE_BAD_FACTOR)
        return err_set(e, ERR_EXEC, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", c.bad);
    if (c.notes & NOTE_BAD_TREND)
        return err_set(e, ERR_EXEC, "invalid trend factor. Expected: 0 < tf < 1, got: %f", c.bad);
    if (*filled && (fn->flags & RANGE_COUNTER) && (fn->flags & RANGE_EXTRAPOLATES) &&
        memchr(r->row.has, ROW_FLOAT, src->grid.n)) {
        struct str metric = {0};

        if (reader_label(r, STR(LABEL_NAME), &metric, e) < 0)
            return e->code;
        if (!looks_like_counter(r, metric))
            c.notes |= NOTE_POINTS;
    }
    return c.notes ? reader_remark(r, src->range, c.notes, e) : 0;
}

/* --- one series ------------------------------------------------------------------------------- */

static int apply_stages(struct reader *r, struct err *e)
{
    uint32_t lap = LAP_STAGES;

    for (const struct stage *st = r->src->stages; st; st = st->next) {
        struct elem_notes notes = {0};
        unsigned bits;
        struct stage one = *st;

        one.next = NULL;
        if (stages_apply(&one, &r->row, r->src->grid.n, &r->pile, &notes, e) < 0)
            return e->code;
        bits = remark_of_elem(&notes);
        if (bits && reader_remark(r, st->node, bits, e) < 0)
            return e->code;
        if (r->laps)
            lap_end(r, lap++, row_any(&r->row, r->src->grid.n));
    }
    return 0;
}

/* Places for histograms in the row at hand, emptied. */
static const struct histogram **row_hists(struct reader *r)
{
    if (!r->row_h)
        r->row_h = x_alloc((r->src->grid.n + (size_t)1) * sizeof *r->row_h);
    memset(r->row_h, 0, r->src->grid.n * sizeof *r->row_h);
    return r->row_h;
}

/* Histograms of the row that outlive the cursor's next step. Steps in sequence often show the same one. */
static void keep_hists(struct reader *r)
{
    const struct histogram *from = NULL, *copy = NULL;

    for (uint32_t i = 0; i < r->src->grid.n; i++) {
        if (r->row.has[i] != ROW_HIST)
            continue;
        if (r->row.h[i] != from) {
            from = r->row.h[i];
            copy = hist_dup(&r->pile.a, from);
        }
        r->row.h[i] = copy;
    }
}

/* Windows made anew: those that are kept belong to the function that uses them. */
static void count_series(struct reader *r, const struct samples *s, const struct tsdb_stretches *h)
{
    bool made;

    if (r->src->kind == SOURCE_RANGE && h) {
        struct samples last = {.t = h->t_last, .v = h->count, .h = h->last ? h->last : h->sum, .n = h->n};

        sample_counts_windows(r->counts, &last, window_cache_get(&r->cache, 0, &r->src->steps, last.t, last.n, false, &made), true);
    }
    if (r->src->kind == SOURCE_RANGE)
        sample_counts_windows(r->counts, s, window_cache_get(&r->cache, 0, &r->src->steps, s->t, s->n, false, &made), true);
    else
        sample_counts_row(r->counts, r);
}

static int one_series(struct reader *r, const struct tsdb_samples *in, const struct sink *sink, struct err *e)
{
    const struct source *src = r->src;
    struct samples s = {in->t, in->v, in->st, in->h, in->n};
    uint64_t times_id = vector_plain() ? 0 : in->times_id;
    const struct tsdb_stretches *stretches = in->b ? in->b->hists : NULL;
    bool hists = s.h || stretches;
    uint32_t filled = 0;

    r->index = in->index;
    if ((src->kind == SOURCE_RANGE || src->kind == SOURCE_SMOOTHED) && !in->b && any_stale(&s)) {
        drop_stale(r, &s);
        times_id = 0;
    }
    if (s.n == 0 && !stretches)
        return 0;
    r->row.h = hists ? row_hists(r) : NULL;
    if (s.h && src->selector->selector.counts_only)
        hints_by_reading(r, &s);
    if (src->kind == SOURCE_RANGE) {
        if (range_values(r, &s, in->b, times_id, &filled, e) < 0)
            return e->code;
    } else if (src->kind == SOURCE_SMOOTHED) {
        bool mixed = false;

        filled = smoothed_values(r, &s, &mixed);
        if (mixed && reader_remark(r, src->selector, REMARK_SMOOTHED_MIX, e) < 0)
            return e->code;
    } else if (r->newest && !s.h && src->kind == SOURCE_LAST) {
        r->row.v[0] = s.v[0];
        filled = r->row.has[0] = f64_bits(s.v[0]) != STALE_NAN_BITS;
    } else {
        filled = last_values(r, &s, rollup_windows(r, &s, times_id));
    }
    if (r->laps)
        lap_end(r, LAP_VALUES, filled > 0);
    if (r->counts)
        count_series(r, &s, stretches);
    if (!filled)
        return 0;
    r->row.drop_name = src->drop_name;
    if (src->stages) {
        if (apply_stages(r, e) < 0)
            return e->code;
        if (!row_any(&r->row, src->grid.n))
            return 0;
    }
    if (hists && sink->keeps_pile)
        keep_hists(r);
    if (sink->row(r, e) < 0)
        return e->code;
    if (r->laps)
        r->lap_ns = clock_mono_ns(); /* the sink's time is that of the node above the chain */
    if (hists && !sink->keeps_pile)
        arena_reset(&r->pile.a);
    return hists ? pile_settle(&r->pile, src->where, e) : 0;
}

static int read_part(struct run *run, struct reader *r, struct err *e)
{
    struct query *q = run->ev->q;
    const char *where = run->src->where;
    struct tsdb_samples s = {0};
    uint64_t work = 0, n;
    int code;

    while ((code = tsdb_cursor_next(r->cur, &s, e)) == 0) {
        if (r->laps)
            lap_end(r, LAP_READ, true);
        n = s.n + (s.b && s.b->hists ? s.b->hists->n : 0);
        r->samples += n;
        r->samples_all += n;
        work += n + 64 + run->src->grid.n / STEPS_A_SAMPLE; /* a series costs something by itself, and so do its steps */
        if (work > CHECK_WORK) {
            if (query_check(q, where, e) < 0 || query_samples(q, r->samples, 0, where, e) < 0)
                return e->code;
            r->samples = work = 0;
        }
        if (q->limits.samples_max && n > q->limits.samples_max)
            return query_samples(q, 0, n, where, e);
        if (one_series(r, &s, run->sink, e) < 0)
            return e->code;
    }
    return code < 0 ? code : query_samples(q, r->samples, 0, where, e);
}

static void run_part(void *arg, uint32_t i)
{
    struct run *run = arg;
    struct reader *r = &run->readers[i];
    uint32_t n = run->src->grid.n;
    char *mem = x_alloc(n * (sizeof(double) + 1));

    r->ev = run->ev;
    r->src = run->src;
    r->rollup = &run->rollup;
    r->newest = run->newest;
    r->part = i;
    r->row = (struct row){.v = (double *)(void *)mem, .has = (uint8_t *)mem + n * sizeof(double)};
    pile_init(&r->pile, run->ev->q);
    r->sink_arg = run->sink->arg;
    r->laps = laps_new(run->src);
    r->lap_ns = r->laps ? clock_mono_ns() : 0;
    if (run->ev->samples)
        r->counts = sample_counts_new(&r->counts_arena, n);
    r->code = run->sink->begin(r, run->sink->arg);
    if (r->code == 0)
        r->code = query_check(run->ev->q, run->src->where, &r->err);
    if (r->code == 0)
        r->code = tsdb_cursor_open(run->select, i, &r->cur, &r->err);
    if (r->code == 0)
        r->code = read_part(run, r, &r->err);
    tsdb_cursor_close(r->cur);
    r->cur = NULL;
    window_cache_release(&r->cache);
    range_scratch_release(&r->scratch);
    free(r->floats);
    free(r->times);
    free(r->starts);
    free(r->hists);
    free(r->row_h);
    free(mem);
    query_leave(run->ev->q);
}

int reader_labels(struct reader *r, struct arena *a, struct labels *out, struct err *e)
{
    return tsdb_cursor_labels(r->cur, a, out, e);
}

int reader_label(struct reader *r, struct str name, struct str *out, struct err *e)
{
    return tsdb_cursor_label(r->cur, name, out, e);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int check_select(void *arg, uint64_t samples_more, uint64_t bytes_more, struct err *e)
{
    struct eval *ev = arg;

    (void)samples_more;
    if (ev->q->limits.bytes_max && bytes_more > ev->q->limits.bytes_max)
        return query_charge(ev->q, (int64_t)bytes_more, "select", e);
    return query_check(ev->q, "select", e);
}

static bool select_must_stop(void *arg)
{
    struct eval *ev = arg;

    return query_must_stop(ev->q);
}

struct tsdb_limits eval_limits(struct eval *ev)
{
    return (struct tsdb_limits){check_select, ev, select_must_stop};
}

static struct tsdb_select_opts select_opts(struct eval *ev, const struct source *src)
{
    const struct steps *st = &src->steps;
    const struct node *sel = src->selector;
    struct tsdb_select_opts o = {
        .matchers = sel->selector.matchers,
        .nmatchers = sel->selector.nmatchers,
        .mint = step_end(st, 0) - st->range + 1,
        .maxt = step_end(st, st->n - 1),
        .want = TSDB_SAMPLES,
        .parts_hint = vector_plain() ? 1 : ev->threads,
        .no_index = vector_plain(),
        .limits = eval_limits(ev),
    };

    if (sel->selector.anchored || sel->selector.smoothed) {
        if (src->kind == SOURCE_RANGE)
            o.mint -= ev->lookback;
        if (sel->selector.smoothed)
            o.maxt += ev->lookback;
    } else if (src->kind != SOURCE_RANGE && (st->n == 1 || st->every == 0) && !sel->selector.counts_only &&
               !vector_plain()) {
        o.want = TSDB_NEWEST;
    }
    return o;
}

static void select_warnings(struct eval *ev, const struct source *src, struct tsdb_select *s)
{
    const struct str *w;
    uint32_t n = tsdb_select_warnings(s, &w);

    for (uint32_t i = 0; i < n; i++)
        note_warn(&ev->notes, src->selector->start, "%.*s", STR_ARG(w[i]));
}

static int open_select(struct eval *ev, const struct source *src, struct run *run, struct err *e)
{
    struct tsdb_select_opts o = select_opts(ev, src);
    uint64_t max = ev->q->limits.series_max;
    struct tsdb_select **out = &run->select;
    int code;

    rollup_ask(ev, src, &run->rollup, &o);
    code = tsdb_select_open(ev->o->db, &o, out, e);
    if (code < 0)
        return code;
    rollup_got(ev, src, &run->rollup, *out);
    run->newest = o.want == TSDB_NEWEST && !run->rollup.used.any && src->grid.n == 1;
    ev->selects = x_realloc(ev->selects, (ev->nselects + (size_t)1) * sizeof(struct tsdb_select *));
    ev->selects[ev->nselects++] = *out;
    select_warnings(ev, src, *out);
    ev->q->series += tsdb_select_series(*out);
    if (max && tsdb_select_series(*out) > max)
        return err_set(e, ERR_LIMIT, "selector matches too many series: %u, allowed are %llu (query.max-series), in %s",
                       tsdb_select_series(*out), (unsigned long long)max, src->where);
    return 0;
}

/* Blocks of the whole select, once its cursors are closed. */
static void keep_blocks(struct run *run)
{
    struct node_cost *c = run->src->selector->cost;
    uint64_t read, skipped;

    tsdb_select_blocks(run->select, &read, &skipped);
    run->ev->q->blocks_read += read;
    run->ev->q->blocks_skipped += skipped;
    if (c) {
        c->blocks_read += read;
        c->blocks_skipped += skipped;
    }
}

/* What a part was worth goes to those who asked. */
static void keep_books(struct run *run, struct reader *r)
{
    if (r->laps)
        laps_add(run->src, r->laps, r->samples_all);
    if (r->counts)
        sample_counts_add(run->ev->samples, r->counts);
    free(r->laps);
    arena_release(&r->counts_arena);
}

/* Ends the sinks, says the remarks, finds the first error. */
static int finish(struct run *run, uint32_t parts, struct err *e)
{
    int code = 0;

    for (uint32_t i = 0; i < parts; i++)
        if (run->readers[i].code < 0 && code == 0) {
            code = run->readers[i].code;
            *e = run->readers[i].err;
        }
    for (uint32_t i = 0; i < parts; i++) {
        struct reader *r = &run->readers[i];
        struct err ignored;
        int ended = run->sink->end(r, run->sink->arg, code < 0 ? &ignored : e);

        if (code == 0)
            code = ended;
        for (uint32_t k = 0; k < r->nremarks; k++) {
            eval_remark(run->ev, r->remarks[k].node, r->remarks[k].bits, r->remarks[k].metric);
            if (r->remarks[k].bits & NOTE_BAD_QUANTILE)
                eval_quantile_warnings(run->ev, run->src->quantile, run->src->param[0], run->src->grid.n);
        }
        free(r->remarks);
        pile_release(&r->pile);
        keep_books(run, r);
    }
    return code;
}

int source_run(struct eval *ev, const struct source *src, const struct sink *sink, struct err *e)
{
    struct run run = {.ev = ev, .src = src, .sink = sink};
    uint32_t parts;
    int code;

    if (src->grid.n == 0)
        return 0;
    code = open_select(ev, src, &run, e);
    if (code < 0)
        return code;
    parts = tsdb_select_parts(run.select);
    run.readers = x_zalloc(parts * sizeof *run.readers);
    query_expect(ev->q, tsdb_select_series(run.select) * (uint64_t)(64 + src->grid.n / STEPS_A_SAMPLE));
    query_leave(ev->q); /* helpers may need the turn, and we may wait for them */
    pool_for(query_engine_pool(ev->q->engine), parts, run_part, &run);
    code = finish(&run, parts, e);
    keep_blocks(&run);
    free(run.readers);
    return code;
}

/* --- rows into a vector ----------------------------------------------------------------------- */

static int collect_begin(struct reader *r, void *arg)
{
    struct vec *v = x_alloc(sizeof *v);

    (void)arg;
    vec_init(v, r->ev->q, r->src->grid.n);
    r->sink = v;
    return 0;
}

static int collect_row(struct reader *r, struct err *e)
{
    struct vec *v = r->sink;
    struct row *row = vec_add(v, r->src->where, e);
    uint32_t n = v->nsteps;

    if (!row)
        return ERR_LIMIT;
    memcpy(row->v, r->row.v, n * sizeof *row->v);
    memcpy(row->has, r->row.has, n);
    row->drop_name = r->row.drop_name;
    if (r->row.h) {
        if (row_want_h(v, row, r->src->where, e) < 0)
            return ERR_LIMIT;
        memcpy(row->h, r->row.h, n * sizeof *row->h);
    }
    if (reader_labels(r, &v->pile.a, &row->labels, e) < 0)
        return e->code;
    return pile_settle(&v->pile, r->src->where, e);
}

static int collect_end(struct reader *r, void *arg, struct err *e)
{
    struct vec *out = arg, *v = r->sink;

    (void)e;
    vec_join(out, v);
    pile_join(&out->pile, &r->pile);
    free(v);
    return 0;
}

int source_collect(struct eval *ev, const struct source *src, struct vec *out, struct err *e)
{
    struct sink sink = {.arg = out, .keeps_pile = true, .begin = collect_begin, .row = collect_row, .end = collect_end};

    vec_init(out, ev->q, src->grid.n);
    return source_run(ev, src, &sink, e);
}
