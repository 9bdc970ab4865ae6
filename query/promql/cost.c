/* cost.c - keeping the books of cost.h. */
#include "query/promql/eval.h"

#include "base/histogram.h"

#include <stdatomic.h>
#include <stdlib.h>

/* --- nodes ------------------------------------------------------------------------------------ */

/* The peak of the query is set aside, so that what stands there at the end is the peak in between. */
void cost_begin(struct query *q, struct cost_mark *m)
{
    m->bytes = atomic_load(&q->bytes);
    m->peak = atomic_exchange(&q->bytes_peak, m->bytes);
    m->ns = clock_mono_ns();
}

void cost_end(struct query *q, const struct node *n, const struct cost_mark *m, uint32_t steps, uint64_t series)
{
    struct node_cost *c = n->cost;
    uint64_t peak = atomic_load(&q->bytes_peak);

    c->ns += clock_mono_ns() - m->ns;
    c->runs++;
    c->steps = steps;
    c->series = series;
    if (peak > m->bytes)
        c->bytes = MAX(c->bytes, peak - m->bytes);
    atomic_store(&q->bytes_peak, MAX(m->peak, peak));
}

/* --- chains ----------------------------------------------------------------------------------- */

static uint32_t nstages(const struct source *src)
{
    uint32_t n = 0;

    for (const struct stage *s = src->stages; s; s = s->next)
        n++;
    return n;
}

struct lap *laps_new(const struct source *src)
{
    return src->selector && src->selector->cost ? x_zalloc((LAP_STAGES + nstages(src) + 1) * sizeof(struct lap)) : NULL;
}

void lap_end(struct reader *r, uint32_t lap, bool row)
{
    int64_t now = clock_mono_ns();

    r->laps[lap].ns += now - r->lap_ns;
    r->laps[lap].rows += row;
    r->lap_ns = now;
}

static void add_chain(const struct node *n, int64_t ns, uint64_t rows)
{
    if (!n || !n->cost)
        return;
    n->cost->chain_ns += ns;
    n->cost->chain_series += rows;
    n->cost->threads++;
}

void laps_add(const struct source *src, const struct lap *laps, uint64_t samples)
{
    const struct lap *lap = &laps[LAP_STAGES];
    int64_t below = laps[LAP_READ].ns + (src->call ? 0 : laps[LAP_VALUES].ns);

    add_chain(src->selector, below, src->call ? laps[LAP_READ].rows : laps[LAP_VALUES].rows);
    src->selector->cost->samples += samples;
    if (src->call) {
        below += laps[LAP_VALUES].ns;
        add_chain(src->call, below, laps[LAP_VALUES].rows);
    }
    for (const struct stage *s = src->stages; s; s = s->next, lap++) {
        below += lap->ns;
        add_chain(s->node, below, lap->rows);
    }
}

/* --- samples ---------------------------------------------------------------------------------- */

struct sample_counts *sample_counts_new(struct arena *a, uint32_t nsteps)
{
    struct sample_counts *c = arena_new(a, struct sample_counts);

    c->nsteps = nsteps;
    c->at = arena_array(a, uint64_t, nsteps + 1);
    c->read_at = arena_array(a, uint64_t, nsteps + 1);
    return c;
}

static uint32_t nspans(const struct hist_bucket *b, uint32_t n)
{
    uint32_t spans = n > 0;

    for (uint32_t i = 1; i < n; i++)
        spans += b[i].i != b[i - 1].i + 1;
    return spans;
}

/* Prometheus takes 16 bytes of a histogram for a sample: 168 of its own, 8 a bucket, a bound or a span, 8 of the time. */
uint64_t samples_of_histogram(const struct histogram *h)
{
    uint32_t words = h->npos + h->nneg + h->nbounds + nspans(h->pos, h->npos) + nspans(h->neg, h->nneg);

    return (168 + 8 * (uint64_t)words + 8) / 16;
}

static void count_at(struct sample_counts *c, uint32_t i, uint64_t looked_at, uint64_t read)
{
    c->at[i] += looked_at;
    c->read_at[i] += read;
    c->total += looked_at;
    c->read += read;
}

void sample_counts_row(struct sample_counts *c, const struct reader *r)
{
    for (uint32_t i = 0; i < c->nsteps; i++)
        if (r->row.has[i] != ROW_NONE) {
            uint64_t n = r->row.has[i] == ROW_HIST ? samples_of_histogram(r->row.h[i]) : 1;

            count_at(c, i, n, n);
        }
}

static uint64_t weight(const struct samples *s, uint32_t lo, uint32_t hi)
{
    uint64_t n = 0;

    if (!s->h)
        return hi > lo ? hi - lo : 0;
    for (uint32_t i = lo; i < hi; i++)
        n += s->h[i] ? samples_of_histogram(s->h[i]) : 1;
    return n;
}

void sample_counts_windows(struct sample_counts *c, const struct samples *s, const struct windows *w, bool read)
{
    for (uint32_t i = 0, before = 0; i < c->nsteps; i++) {
        count_at(c, i, weight(s, w->lo[i], w->hi[i]), read ? weight(s, MAX(w->lo[i], before), w->hi[i]) : 0);
        before = MAX(before, w->hi[i]);
    }
}

void sample_counts_points(struct sample_counts *c, const struct promql_series *s)
{
    for (uint32_t i = 0; i < s->npoints; i++) {
        uint64_t n = s->points[i].h ? samples_of_histogram(s->points[i].h) : 1;

        count_at(c, 0, n, n);
    }
}

void sample_counts_add(struct sample_counts *c, const struct sample_counts *more)
{
    for (uint32_t i = 0; i < c->nsteps; i++)
        count_at(c, i, more->at[i], more->read_at[i]);
}

void sample_counts_invariant(struct sample_counts *c, const struct sample_counts *once)
{
    for (uint32_t i = 0; i < c->nsteps; i++)
        count_at(c, i, once->total, i == 0 ? once->read : 0);
}

void sample_counts_subquery(struct sample_counts *c, const struct sample_counts *inner, int64_t from, int64_t every,
                            int64_t ends, int64_t step)
{
    for (uint32_t i = 0, k = 0; i < inner->nsteps && c->nsteps; i++) {
        int64_t t = from + (int64_t)i * every;

        while (k + 1 < c->nsteps && ends + (int64_t)k * step < t)
            k++;
        count_at(c, k, 0, inner->read_at[i]);
    }
}
