/*
 * range_cells.c - cells: adding, merging, and rows made of them.
 *
 * (1) Counts and bytes are whole numbers: a window of them is the difference of two running sums, exactly. Everything else
 *     is merged, with two stacks: the sums from each bucket to a border, and the sum from the border on; so a step costs
 *     a few merges, however many buckets its window has.
 */
#include "query/logql/range_cells.h"

#include "query/vector/extrapolate.h"
#include "query/vector/quantile.h"

#include <math.h>
#include <stdlib.h>

enum { CELL_MAX = 3, SORT_WORK = 20 /* of a value, in units of query_pace */ };

/* By kind: what stands behind the count, and what a value and a later cell do to it. */
struct lq_cell_kind {
    unsigned size;
    bool exact; /* whole numbers that only grow */
    void (*add)(double *c, int64_t t, double v);
    void (*merge)(double *l, const double *r);
};

static void add_count(double *c, int64_t t, double v)
{
    (void)t;
    (void)v;
    c[0]++;
}
static void merge_count(double *l, const double *r)
{
    l[0] += r[0];
}

static void add_sum(double *c, int64_t t, double v)
{
    (void)t;
    c[0]++;
    c[1] += v;
}
static void merge_sum(double *l, const double *r)
{
    l[0] += r[0];
    l[1] += r[1];
}

static void keep_min(double *c, double n, double v)
{
    if (c[0] == 0 || v < c[1] || isnan(c[1]))
        c[1] = v;
    c[0] += n;
}
static void add_min(double *c, int64_t t, double v)
{
    (void)t;
    keep_min(c, 1, v);
}
static void merge_min(double *l, const double *r)
{
    if (r[0] > 0)
        keep_min(l, r[0], r[1]);
}

static void keep_max(double *c, double n, double v)
{
    if (c[0] == 0 || v > c[1] || isnan(c[1]))
        c[1] = v;
    c[0] += n;
}
static void add_max(double *c, int64_t t, double v)
{
    (void)t;
    keep_max(c, 1, v);
}
static void merge_max(double *l, const double *r)
{
    if (r[0] > 0)
        keep_max(l, r[0], r[1]);
}

/* Count, mean, sum of squared distances: Welford's, and Chan's for two of them. */
static void add_var(double *c, int64_t t, double v)
{
    double delta = v - c[1];

    (void)t;
    c[0]++;
    c[1] += delta / c[0];
    c[2] += delta * (v - c[1]);
}
static void merge_var(double *l, const double *r)
{
    double n = l[0] + r[0], delta = r[1] - l[1];

    if (r[0] == 0)
        return;
    if (l[0] == 0) {
        memcpy(l, r, 3 * sizeof *l);
        return;
    }
    l[1] += delta * (r[0] / n);
    l[2] += r[2] + delta * delta * (l[0] * r[0] / n);
    l[0] = n;
}

/* Count, time (as bits), value. */
static int64_t cell_time(const double *c)
{
    int64_t t;

    memcpy(&t, &c[1], sizeof t);
    return t;
}
static void keep_at(double *c, int64_t t, double v)
{
    memcpy(&c[1], &t, sizeof t);
    c[2] = v;
}
static void add_first(double *c, int64_t t, double v)
{
    if (c[0] == 0 || t < cell_time(c))
        keep_at(c, t, v);
    c[0]++;
}
static void merge_first(double *l, const double *r)
{
    if (r[0] > 0 && (l[0] == 0 || cell_time(r) < cell_time(l)))
        keep_at(l, cell_time(r), r[2]);
    l[0] += r[0];
}
static void add_last(double *c, int64_t t, double v)
{
    if (c[0] == 0 || t >= cell_time(c))
        keep_at(c, t, v);
    c[0]++;
}
static void merge_last(double *l, const double *r)
{
    if (r[0] > 0 && (l[0] == 0 || cell_time(r) >= cell_time(l)))
        keep_at(l, cell_time(r), r[2]);
    l[0] += r[0];
}

static const struct lq_cell_kind kind_count = {1, true, add_count, merge_count}, kind_bytes = {2, true, add_sum, merge_sum},
                                 kind_sum = {2, false, add_sum, merge_sum}, kind_min = {2, false, add_min, merge_min},
                                 kind_max = {2, false, add_max, merge_max}, kind_var = {3, false, add_var, merge_var},
                                 kind_first = {3, false, add_first, merge_first}, kind_last = {3, false, add_last, merge_last};

const struct lq_cell_kind *lq_cell_kind_of(enum logql_range_op op, bool unwrapped)
{
    switch (op) {
    case RANGE_COUNT:
    case RANGE_ABSENT:
        return &kind_count;
    case RANGE_RATE:
        return unwrapped ? &kind_sum : &kind_count;
    case RANGE_BYTES:
    case RANGE_BYTES_RATE:
        return &kind_bytes;
    case RANGE_AVG:
    case RANGE_SUM:
        return &kind_sum;
    case RANGE_MIN:
        return &kind_min;
    case RANGE_MAX:
        return &kind_max;
    case RANGE_STDVAR:
    case RANGE_STDDEV:
        return &kind_var;
    case RANGE_FIRST:
        return &kind_first;
    case RANGE_LAST:
        return &kind_last;
    default:
        return NULL;
    }
}

unsigned lq_cell_size(const struct lq_cell_kind *k)
{
    return k->size;
}

void lq_cell_add(const struct lq_cell_kind *k, double *cell, int64_t t, double v)
{
    k->add(cell, t, v);
}

void lq_cell_add_many(double *cell, double n, double v, unsigned size)
{
    cell[0] += n;
    if (size > 1)
        cell[1] += v;
}

void lq_cell_merge(const struct lq_cell_kind *k, double *l, const double *r)
{
    k->merge(l, r);
}

/* --- rows ------------------------------------------------------------------------------------- */

void lq_scratch_release(struct lq_scratch *s)
{
    free(s->v);
    *s = (struct lq_scratch){0};
}

static double *scratch(struct lq_scratch *s, size_t n)
{
    if (s->nv < n) {
        free(s->v);
        s->v = x_alloc(n * sizeof *s->v);
        s->nv = n;
    }
    return s->v;
}

/* What a window's cell is worth. */
static double cell_value(enum logql_range_op op, unsigned size, double seconds, const double *c)
{
    switch (op) {
    case RANGE_RATE:
    case RANGE_BYTES_RATE:
        return c[size - 1] / seconds;
    case RANGE_AVG:
        return c[1] / c[0];
    case RANGE_STDVAR:
        return c[2] / c[0];
    case RANGE_STDDEV:
        return sqrt(c[2] / c[0]);
    case RANGE_ABSENT:
        return 1;
    default:
        return c[size - 1];
    }
}

/* Running sums from bucket 0 on. */
static void exact_row(const struct lq_cell_kind *k, enum logql_range_op op, const struct lq_windows *w, const double *cells, double *v,
                      uint8_t *has, struct lq_scratch *s)
{
    unsigned size = k->size;
    double *sum = scratch(s, (w->nbuckets + (size_t)1) * size), c[CELL_MAX] = {0}, seconds = (double)w->range / 1e9;

    memset(sum, 0, size * sizeof *sum);
    for (size_t i = 0; i < (size_t)w->nbuckets * size; i++)
        sum[i + size] = sum[i] + cells[i];
    for (uint32_t i = 0; i < w->n; i++) {
        for (unsigned f = 0; f < size; f++)
            c[f] = sum[(size_t)w->hi[i] * size + f] - sum[(size_t)w->lo[i] * size + f];
        has[i] = c[0] > 0;
        v[i] = has[i] ? cell_value(op, size, seconds, c) : 0;
    }
}

void lq_cells_row(const struct lq_cell_kind *k, enum logql_range_op op, const struct lq_windows *w, const double *cells, double *v,
                  uint8_t *has, struct lq_scratch *s)
{
    unsigned size = k->size;
    double *tail, front[CELL_MAX] = {0}, c[CELL_MAX], seconds = (double)w->range / 1e9;
    uint32_t border = 0, end = 0;

    if (k->exact) {
        exact_row(k, op, w, cells, v, has, s);
        return;
    }
    tail = scratch(s, (w->nbuckets + (size_t)1) * size);
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t lo = w->lo[i], hi = w->hi[i];

        if (lo >= border) {
            /* A new border at this window's end: tail[b] is what b..border-1 merge to. */
            border = end = hi;
            memset(front, 0, sizeof front);
            for (uint32_t b = hi; b-- > lo;) {
                memcpy(&tail[(size_t)b * size], &cells[(size_t)b * size], size * sizeof *tail);
                if (b + 1 < hi)
                    k->merge(&tail[(size_t)b * size], &tail[(size_t)(b + 1) * size]);
            }
        }
        for (; end < hi; end++)
            k->merge(front, &cells[(size_t)end * size]);
        memset(c, 0, sizeof c);
        if (lo < border)
            memcpy(c, &tail[(size_t)lo * size], size * sizeof *c);
        k->merge(c, front);
        has[i] = c[0] > 0;
        v[i] = has[i] ? cell_value(op, size, seconds, c) : 0;
    }
}

/* --- samples ---------------------------------------------------------------------------------- */

struct placed {
    struct lq_sample s;
    uint32_t at;
};

static int by_time(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    if (x->s.t != y->s.t)
        return x->s.t < y->s.t ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static void put_in_order(struct lq_sample *s, uint32_t n)
{
    struct placed *p;
    uint32_t i = 1;

    while (i < n && s[i - 1].t <= s[i].t)
        i++;
    if (i >= n)
        return;
    p = x_alloc(n * sizeof *p);
    for (i = 0; i < n; i++)
        p[i] = (struct placed){s[i], i};
    qsort(p, n, sizeof *p, by_time);
    for (i = 0; i < n; i++)
        s[i] = p[i].s;
    free(p);
}

/* Prometheus' rate of a counter; of a single sample 0. */
static double counter_rate(const struct lq_sample *s, uint32_t n, int64_t after, int64_t upto)
{
    double raw, seconds = (double)(upto - after) / 1e9;
    struct stretch x;

    if (n < 2)
        return 0;
    raw = s[n - 1].v - s[0].v;
    for (uint32_t i = 1; i < n; i++)
        if (s[i].v < s[i - 1].v)
            raw += s[i - 1].v;
    x = stretch_of(s[0].t / 1000000, s[n - 1].t / 1000000, n, after / 1000000, upto / 1000000);
    if (x.interval <= 0)
        return 0;
    x.to_start = to_zero(x, s[0].v, raw);
    return raw * factor_of(x, seconds);
}

int lq_samples_row(enum logql_range_op op, double quantile, const struct lq_windows *w, struct lq_sample *samples, uint32_t n, double *v,
                   uint8_t *has, struct lq_scratch *s, struct query_pace *pace, struct err *e)
{
    double *values = scratch(s, n);
    uint32_t lo = 0, hi = 0;

    put_in_order(samples, n);
    for (uint32_t i = 0; i < w->n; i++) {
        int64_t upto = w->first + (int64_t)i * w->step, after = upto - w->range;

        while (hi < n && samples[hi].t <= upto)
            hi++;
        while (lo < hi && samples[lo].t <= after)
            lo++;
        has[i] = hi > lo;
        v[i] = 0;
        if (hi == lo)
            continue;
        if (query_pace(pace, (op == RANGE_RATE_COUNTER ? 1 : SORT_WORK) * (uint64_t)(hi - lo), e) < 0)
            return e->code;
        if (op == RANGE_RATE_COUNTER) {
            v[i] = counter_rate(samples + lo, hi - lo, after, upto);
            continue;
        }
        for (uint32_t k = lo; k < hi; k++)
            values[k - lo] = samples[k].v;
        v[i] = quantile_values(quantile, values, hi - lo);
    }
    return 0;
}
