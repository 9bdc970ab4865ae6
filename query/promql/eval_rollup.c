/*
 * eval_rollup.c - when a selector is read from aggregates, and what is said about it.
 *
 * Windows (start, end] whose ends are multiples of 5 minutes or of an hour are whole buckets, and a value looked up at such
 * a time is the newest of a bucket: there nobody can tell aggregates from samples, and nothing is said. Otherwise samples
 * are read, as long as they are kept.
 *
 * (1) What differs from samples by more than the rounding of another order of addition carries an info.
 * (2) A series that comes as samples among buckets is evaluated as samples.
 */
#include "query/promql/eval.h"
#include "query/vector/buckets.h"

/* All windows of the steps end on multiples of every, and begin on them where that matters. */
static bool aligned(const struct steps *st, int64_t every, bool begins)
{
    if (st->first % every || (begins && st->range % every))
        return false;
    return st->n == 1 || st->every % every == 0;
}

static int64_t resolution(const struct steps *st, bool begins)
{
    return aligned(st, TSDB_1H, begins) ? TSDB_1H : aligned(st, TSDB_5M, begins) ? TSDB_5M : 0;
}

static enum tsdb_rollup rollup_of(enum bucket_value v)
{
    static const enum tsdb_rollup of[] = {
        [BUCKET_LAST] = TSDB_ROLLUP_LAST, [BUCKET_FIRST] = TSDB_ROLLUP_FIRST,       [BUCKET_COUNT] = TSDB_ROLLUP_COUNT,
        [BUCKET_SUM] = TSDB_ROLLUP_SUM,   [BUCKET_AVG] = TSDB_ROLLUP_AVG,           [BUCKET_MIN] = TSDB_ROLLUP_MIN,
        [BUCKET_MAX] = TSDB_ROLLUP_MAX,   [BUCKET_INCREASE] = TSDB_ROLLUP_INCREASE, [BUCKET_DELTA] = TSDB_ROLLUP_DELTA,
    };

    return of[v];
}

void rollup_ask(const struct eval *ev, const struct source *src, struct rollup_read *r, struct tsdb_select_opts *o)
{
    const struct node *sel = src->selector;
    bool extended = sel->selector.anchored || sel->selector.smoothed;

    *r = (struct rollup_read){0};
    if (ev->o->samples_only)
        return;
    o->rollup = TSDB_ROLLUP_THIN;
    if (src->kind == SOURCE_RANGE && !extended) {
        r->fn = bucket_function_find(src->fn);
        if (r->fn && ev->use_st &&
            (src->fn->flags & RANGE_COUNTER)) /* start times tell of resets that buckets do not know */
            r->fn = NULL;
        if (r->fn) {
            o->rollup = rollup_of(bucket_function_value(r->fn));
            o->rollup_ms = resolution(&src->steps, true);
            o->rollup_edges = sel->selector.counts_only;
        }
    } else if ((src->kind == SOURCE_LAST || src->kind == SOURCE_TIMESTAMP) && !extended && o->want == TSDB_SAMPLES) {
        o->rollup_ms = resolution(&src->steps, false);
        if (o->rollup_ms)
            o->rollup = TSDB_ROLLUP_NEWEST;
    }
}

static const char *text_of(int64_t every)
{
    return every == TSDB_1H ? "1h" : "5m";
}

void rollup_say(struct eval *ev, const struct node *sel, const struct tsdb_rollup_used *u, bool stretched)
{
    if (!u->any || u->exact)
        return;
    if (stretched)
        note_info(&ev->notes, sel->start,
                  "answered from %s aggregates where samples are no longer kept: windows that do not begin and end on "
                  "multiples of %s are taken in proportion from those they touch",
                  text_of(u->coarsest_ms), text_of(u->coarsest_ms));
    else
        note_info(&ev->notes, sel->start,
                  "answered from the last sample of each %s where the others are no longer kept",
                  text_of(u->coarsest_ms));
}

void rollup_got(struct eval *ev, const struct source *src, struct rollup_read *r, const struct tsdb_select *s)
{
    bool stretched = r->fn && src->kind == SOURCE_RANGE;

    tsdb_select_rollup(s, &r->used);
    r->nearest = r->used.any && !r->used.exact;
    if (src->selector->cost)
        src->selector->cost->reads |= r->used.reads;
    rollup_say(ev, src->selector, &r->used, stretched);
}

uint32_t rollup_values(struct reader *r, struct range_call *c, const struct tsdb_buckets *b, uint64_t times_id)
{
    const struct bucket_function *fn = r->rollup->fn;
    struct bucket_columns columns = {b->t_first, b->first, b->count, b->resets};
    const struct tsdb_stretches *h = b->hists;
    bool nearest = r->rollup->nearest, made;
    uint32_t filled = 0;

    if (c->s.n) {
        c->w = window_cache_get(&r->cache, nearest ? 0 : times_id, c->steps, c->s.t, c->s.n,
                                r->src->fn->flags & RANGE_EXTRAPOLATES, &made);
        filled = nearest ? buckets_eval_nearest(fn, c, &columns) : buckets_eval(fn, c, &columns, made);
    }
    if (h) {
        struct stretch_columns stretches = {h->n,     h->t_last, h->t_first,
                                            h->count, h->hint,   h->last,
                                            h->first, h->sum,    r->src->selector->selector.counts_only};

        filled = buckets_eval_hists(fn, c, &columns, &stretches, nearest);
    }
    return filled;
}

/*
 * Windows for the newest value where samples are gone: what stands there is as old as a bucket is long. Others look back
 * as they always do.
 */
const struct windows *rollup_windows(struct reader *r, const struct samples *s, uint64_t times_id)
{
    const struct rollup_read *u = r->rollup;
    const struct steps *st = &r->src->steps;
    struct steps wide = *st;
    struct windows *w;
    bool made;

    if (!u->nearest || step_end(st, 0) - st->range > u->used.missing_until)
        return window_cache_get(&r->cache, times_id, st, s->t, s->n, false, &made);
    wide.range += u->used.coarsest_ms;
    w = window_cache_get(&r->cache, 0, &wide, s->t, s->n, false, &made);
    for (uint32_t i = 0; i < st->n; i++)
        if (w->hi[i] > w->lo[i] && s->t[w->hi[i] - 1] > u->used.missing_until &&
            s->t[w->hi[i] - 1] <= step_end(st, i) - st->range)
            w->lo[i] = w->hi[i];
    return w;
}
