/*
 * rollup_hist.c - histograms into stretches.
 *
 * (1) A stretch never spans two buckets of time, a float, a marker, a reset, or a change of where buckets are; nor would its
 *     count or sum overflow where no sample's does.
 * (2) Hints are those that samples have when they are read: HIST_GAUGE, HIST_NOT_RESET behind what they go on from, else
 *     HIST_UNKNOWN. Behind the first of a stretch of counters all are HIST_NOT_RESET.
 * (3) Counts, sums and buckets are added with the error of each addition carried along, and rounded once a stretch.
 */
#include "tsdb/rollup_hist.h"

#include "tsdb/hist.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A number that grows, and what its additions lost. */
struct grown {
    double s, c;
};

struct cells {
    int32_t *at;
    struct grown *n;
    uint32_t len, cap;
};

struct stretch_total {
    struct grown count, sum, zero;
    struct cells pos, neg;
};

void stretches_reset(struct stretches *s, int64_t every, unsigned columns)
{
    s->every = every;
    s->columns = columns;
    s->n = 0;
    s->gauges = false;
    arena_reset(&s->arena);
}

void stretches_release(struct stretches *s)
{
    free(s->t_last);
    free(s->t_first);
    free(s->count);
    free(s->hint);
    free(s->last);
    free(s->first);
    free(s->sum);
    free(s->t);
    free(s->v);
    arena_release(&s->arena);
    if (s->total) {
        free(s->total->pos.at);
        free(s->total->pos.n);
        free(s->total->neg.at);
        free(s->total->neg.n);
    }
    free(s->total);
    *s = (struct stretches){0};
}

static void room(struct stretches *s, uint32_t n)
{
    if (n <= s->cap)
        return;
    s->cap = MAX(n, s->cap ? s->cap * 2 : 512u);
    s->t_last = x_realloc(s->t_last, s->cap * sizeof *s->t_last);
    s->t_first = x_realloc(s->t_first, s->cap * sizeof *s->t_first);
    s->count = x_realloc(s->count, s->cap * sizeof *s->count);
    s->hint = x_realloc(s->hint, s->cap * sizeof *s->hint);
    s->last = x_realloc(s->last, s->cap * sizeof *s->last);
    s->first = x_realloc(s->first, s->cap * sizeof *s->first);
    s->sum = x_realloc(s->sum, s->cap * sizeof *s->sum);
}

struct stretch_run stretches_run(const struct stretches *s)
{
    return (struct stretch_run){s->n, s->t_last, s->t_first, s->count, s->hint, s->last, s->first, s->sum};
}

/* --- hints ------------------------------------------------------------------------------------------------ */

static bool same_places(const struct histogram *a, const struct histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold && hist_same_bounds(a, b);
}

/* As samples are read: what only their sender knew of resets is not told (2). */
static uint8_t settled(uint8_t hint)
{
    return hint == HIST_RESET ? HIST_UNKNOWN : hint;
}

static void tell(const struct histogram *h, uint8_t hint)
{
    if (h)
        ((struct histogram *)(uintptr_t)h)->hint = hint;
}

static void tell_stretch(const struct stretch_run *s, uint32_t i)
{
    uint8_t hint = s->hint[i];

    tell(s->first ? s->first[i] : NULL, hint);
    tell(s->sum ? s->sum[i] : NULL, hint);
    tell(s->last ? s->last[i] : NULL, s->count[i] > 1 && hint != HIST_GAUGE ? HIST_NOT_RESET : hint);
}

void stretch_run_tell(const struct stretch_run *run)
{
    for (uint32_t i = 0; i < run->n; i++)
        tell_stretch(run, i);
}

/* Stretch i follows the one before it now, and not what it was made behind. */
static void tell_at_joint(struct stretches *s, uint32_t i)
{
    struct stretch_run run = stretches_run(s);

    if (s->hint[i] == HIST_GAUGE)
        return;
    s->hint[i] = HIST_UNKNOWN;
    if (i && s->last[i - 1] && s->first[i])
        s->hint[i] = settled((uint8_t)hist_hint_after(s->first[i], s->last[i - 1]));
    tell_stretch(&run, i);
}

/* --- sums ------------------------------------------------------------------------------------------------- */

static void grow(struct grown *g, double x)
{
    double sum = g->s + x, z = sum - g->s;

    g->c += (g->s - (sum - z)) + (x - z);
    g->s = sum;
}

static double value_of(struct grown g)
{
    return isfinite(g.s) ? g.s + g.c : g.s;
}

/* Makes places for the buckets that are new, from behind. */
static void widen(struct cells *c, const struct hist_bucket *b, uint32_t n)
{
    uint32_t more = 0, i = 0, k;

    for (k = 0; k < n; k++) {
        while (i < c->len && c->at[i] < b[k].i)
            i++;
        more += i == c->len || c->at[i] != b[k].i;
    }
    if (c->len + more > c->cap) {
        c->cap = (c->len + more) * 2;
        c->at = x_realloc(c->at, c->cap * sizeof *c->at);
        c->n = x_realloc(c->n, c->cap * sizeof *c->n);
    }
    for (i = c->len, c->len += more, k = n; more;) {
        if (i && (!k || c->at[i - 1] > b[k - 1].i)) {
            c->at[i + more - 1] = c->at[i - 1];
            c->n[i + more - 1] = c->n[i - 1];
            i--;
        } else if (i && c->at[i - 1] == b[k - 1].i) {
            k--;
        } else {
            k--;
            c->at[i + more - 1] = b[k].i;
            c->n[i + more - 1] = (struct grown){0};
            more--;
        }
    }
}

static void add_cells(struct cells *c, const struct hist_bucket *b, uint32_t n)
{
    uint32_t i = 0;

    for (uint32_t k = 0; k < n; k++, i++) {
        while (i < c->len && c->at[i] < b[k].i)
            i++;
        if (i == c->len || c->at[i] != b[k].i) {
            widen(c, b + k, n - k);
            i = 0;
            while (c->at[i] < b[k].i)
                i++;
        }
        grow(&c->n[i], b[k].n);
    }
}

static struct hist_bucket *buckets_of(const struct cells *c, struct arena *a, uint32_t *n)
{
    struct hist_bucket *b = arena_alloc(a, (c->len + (size_t)1) * sizeof *b);

    *n = 0;
    for (uint32_t i = 0; i < c->len; i++) {
        double v = value_of(c->n[i]);

        if (v != 0)
            b[(*n)++] = (struct hist_bucket){c->at[i], v};
    }
    return b;
}

/* Of histograms that have their buckets in the same places. */
static const struct histogram *sum_up(struct stretches *s, const struct histogram *const *h, uint32_t n)
{
    struct stretch_total *t = s->total ? s->total : (s->total = x_zalloc(sizeof *t));
    struct histogram *sum = n == 1 ? hist_dup(&s->arena, h[0]) : arena_new(&s->arena, struct histogram);

    if (n == 1)
        return sum;
    t->count = t->sum = t->zero = (struct grown){0};
    t->pos.len = t->neg.len = 0;
    for (uint32_t i = 0; i < n; i++) {
        grow(&t->count, h[i]->count);
        grow(&t->sum, h[i]->sum);
        grow(&t->zero, h[i]->zero_count);
        add_cells(&t->pos, h[i]->pos, h[i]->npos);
        add_cells(&t->neg, h[i]->neg, h[i]->nneg);
    }
    sum->schema = h[0]->schema;
    sum->zero_threshold = h[0]->zero_threshold;
    sum->count = value_of(t->count);
    sum->sum = value_of(t->sum);
    sum->zero_count = value_of(t->zero);
    sum->pos = buckets_of(&t->pos, &s->arena, &sum->npos);
    sum->neg = buckets_of(&t->neg, &s->arena, &sum->nneg);
    if (h[0]->nbounds) {
        double *bounds = arena_alloc(&s->arena, h[0]->nbounds * sizeof *bounds);

        memcpy(bounds, h[0]->bounds, h[0]->nbounds * sizeof *bounds);
        sum->bounds = bounds;
        sum->nbounds = h[0]->nbounds;
    }
    return sum;
}

/* --- samples ---------------------------------------------------------------------------------------------- */

static bool overflows(double sum, double x)
{
    return isfinite(sum) && isfinite(x) && !isfinite(sum + x);
}

/* How many of the histograms from the first on are one stretch (1). */
static uint32_t stretch_of(const struct stretches *s, const int64_t *t, const struct histogram *const *h, uint32_t n)
{
    int64_t until = bucket_end(t[0], s->every);
    double count = h[0]->count, sum = h[0]->sum;
    bool gauge = h[0]->hint == HIST_GAUGE;
    uint32_t k;

    for (k = 1; k < n && k < STRETCH_COUNT_MAX && t[k] <= until; k++) {
        if (!h[k] || hist_stale(h[k]) || h[k]->hint != (gauge ? HIST_GAUGE : HIST_NOT_RESET) ||
            !same_places(h[k], h[0]) || overflows(count, h[k]->count) || overflows(sum, h[k]->sum))
            break;
        count += h[k]->count;
        sum += h[k]->sum;
    }
    return k;
}

static void add_stretch(struct stretches *s, const int64_t *t, const struct histogram *const *h, uint32_t n)
{
    struct stretch_run run;
    uint32_t i = s->n;

    room(s, i + 1);
    s->t_first[i] = t[0];
    s->t_last[i] = t[n - 1];
    s->count[i] = n;
    s->hint[i] = settled(h[0]->hint);
    s->gauges |= n > 2 && h[0]->hint == HIST_GAUGE;
    s->first[i] = s->columns & 1u << ROLLUP_H_FIRST ? hist_dup(&s->arena, h[0]) : NULL;
    s->last[i] = s->columns & 1u << ROLLUP_H_LAST ? hist_dup(&s->arena, h[n - 1]) : NULL;
    s->sum[i] = s->columns & 1u << ROLLUP_H_SUM ? sum_up(s, h, n) : NULL;
    run = stretches_run(s);
    tell_stretch(&run, i);
    s->n++;
}

static void keep_float(struct stretches *s, int64_t t, double v)
{
    if (s->nfloats == s->floats_cap) {
        s->floats_cap = s->floats_cap ? s->floats_cap * 2 : 512;
        s->t = x_realloc(s->t, s->floats_cap * sizeof *s->t);
        s->v = x_realloc(s->v, s->floats_cap * sizeof *s->v);
    }
    s->t[s->nfloats] = t;
    s->v[s->nfloats++] = v;
}

bool stretches_add(struct stretches *s, struct buckets *b, const int64_t *t, const double *v,
                   const struct histogram *const *h, uint32_t n)
{
    uint32_t before = s->n;

    s->nfloats = 0;
    for (uint32_t i = 0, k; i < n; i += k) {
        bool stale = h[i] ? hist_stale(h[i]) : is_stale(v[i]);

        k = 1;
        if (stale) {
            if (i + 1 == n || t[i + 1] > bucket_end(t[i], s->every))
                buckets_add_stale(b, t[i]);
        } else if (!h[i]) {
            keep_float(s, t[i], v[i]);
        } else {
            k = stretch_of(s, t + i, h + i, n - i);
            add_stretch(s, t + i, h + i, k);
        }
    }
    if (before && s->n > before && h[0] && !hist_stale(h[0]))
        tell_at_joint(s, before);
    return s->nfloats == 0 || buckets_add(b, s->t, s->v, s->nfloats);
}

/* --- stretches -------------------------------------------------------------------------------------------- */

void stretches_append(struct stretches *s, const struct stretch_run *from)
{
    uint32_t n = from->n, at = s->n;

    if (n == 0)
        return;
    room(s, at + n);
    memcpy(s->t_last + at, from->t_last, n * sizeof *s->t_last);
    if (from->t_first)
        memcpy(s->t_first + at, from->t_first, n * sizeof *s->t_first);
    memcpy(s->count + at, from->count, n * sizeof *s->count);
    memcpy(s->hint + at, from->hint, n);
    for (uint32_t i = 0; i < n; i++) {
        s->last[at + i] = from->last ? from->last[i] : NULL;
        s->first[at + i] = from->first ? from->first[i] : NULL;
        s->sum[at + i] = from->sum ? from->sum[i] : NULL;
        s->gauges |= from->hint[i] == HIST_GAUGE && from->count[i] > 2;
    }
    s->n += n;
    if (at)
        tell_at_joint(s, at); /* a day did not know the one before it */
}

void stretches_delete(struct stretches *s, const int64_t *ranges, uint32_t n)
{
    bool firsts = s->columns & 1u << ROLLUP_H_FIRST, hole = false;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        bool gone = false;

        for (uint32_t k = 0; k < n; k++)
            gone |= ranges[2 * k] <= s->t_last[i] && ranges[2 * k + 1] >= (firsts ? s->t_first[i] : s->t_last[i]);
        hole |= gone;
        if (gone)
            continue;
        s->t_last[kept] = s->t_last[i];
        if (firsts)
            s->t_first[kept] = s->t_first[i];
        s->count[kept] = s->count[i];
        s->hint[kept] = s->hint[i];
        s->last[kept] = s->last[i];
        s->first[kept] = s->first[i];
        s->sum[kept] = s->sum[i];
        if (hole)
            tell_at_joint(s, kept);
        hole = false;
        kept++;
    }
    s->n = kept;
}
