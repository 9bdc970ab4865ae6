/*
 * aggregate.c - groups of rows.
 *
 * Per step a group holds what its operator needs: x and y (sum and compensation; mean and squared distance; extreme), n
 * (how many), and which kinds were seen.
 *
 * (1) x, y and n are valid at steps where seen has ROW_FLOAT; hist where it has ROW_HIST.
 * (2) A mean whose sum would overflow is carried on as mean from there on (far[i] set); so is one merged with such
 *     a mean.
 * (3) Rows of AGGR_QUANTILE are kept whole: a quantile needs every value.
 */
#include "query/vector/aggregate.h"

#include "query/vector/add_rows.h"
#include "query/vector/histogram.h"
#include "query/vector/kahan.h"
#include "query/vector/quantile.h"

#include <assert.h>
#include <stdlib.h>

struct kept_row {
    struct kept_row *next;
    double *v;
    uint8_t *has;
};

struct aggr_group {
    double *x, *y;
    uint32_t *n;
    uint8_t *seen;          /* ROW_FLOAT | ROW_HIST */
    uint8_t *far;           /* made when first needed */
    struct hist_sum **hist; /* made with the first histogram */
    uint32_t *nhist;
    uint8_t *bad; /* steps without a value: kinds or schemas that do not mix */
    struct kept_row *first, **last;
    uint32_t nkept;
    bool drop_name;
};

static bool wants_y(enum aggr_op op)
{
    return op == AGGR_SUM || op == AGGR_AVG || op == AGGR_STDDEV || op == AGGR_STDVAR;
}

static bool wants_n(enum aggr_op op)
{
    return op == AGGR_AVG || op == AGGR_COUNT || op == AGGR_STDDEV || op == AGGR_STDVAR;
}

struct aggr_group *aggr_group_new(struct aggr *a, struct pile *p, struct err *e)
{
    size_t n = a->nsteps, doubles = (size_t)(a->op != AGGR_COUNT && a->op != AGGR_GROUP) + wants_y(a->op);
    size_t bytes =
        sizeof(struct aggr_group) + n * (doubles * sizeof(double) + wants_n(a->op) * sizeof(uint32_t) + 1) + 16;
    struct aggr_group *g = pile_alloc(p, bytes, a->where, e);
    char *at;

    if (!g)
        return NULL;
    memset(g, 0, bytes);
    g->last = &g->first;
    at = (char *)(g + 1);
    if (doubles) {
        g->x = (double *)(void *)at;
        at += n * sizeof(double);
    }
    if (wants_y(a->op)) {
        g->y = (double *)(void *)at;
        at += n * sizeof(double);
    }
    if (wants_n(a->op)) {
        g->n = (uint32_t *)(void *)at;
        at += n * sizeof(uint32_t);
    }
    g->seen = (uint8_t *)at;
    return g;
}

/* --- means ------------------------------------------------------------------------------------ */

static int want_far(struct aggr *a, struct aggr_group *g, struct pile *p, struct err *e)
{
    if (g->far)
        return 0;
    g->far = pile_alloc(p, a->nsteps, a->where, e);
    if (!g->far)
        return ERR_LIMIT;
    memset(g->far, 0, a->nsteps);
    return 0;
}

/* One value with all care: the sum may overflow or have become a mean. */
static void mean_add_at(struct aggr_group *g, uint32_t i, double x)
{
    struct mean m = {{g->x[i], g->y[i]}, g->n[i], g->far && g->far[i]};

    mean_add(&m, x);
    g->x[i] = m.k.s;
    g->y[i] = m.k.c;
    g->n[i]++;
    if (m.incremental)
        g->far[i] = 1;
}

static int add_mean(struct aggr *a, struct aggr_group *g, const struct row *r, struct pile *p, struct err *e)
{
    if (!g->far && !add_would_overflow(g->x, r->v, r->has, a->nsteps)) {
        add_rows(g->x, g->y, r->v, r->has, a->nsteps);
        count_rows(g->n, r->has, a->nsteps);
        return 0;
    }
    if (want_far(a, g, p, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++)
        if (r->has[i] == ROW_FLOAT)
            mean_add_at(g, i, r->v[i]);
    return 0;
}

/* --- one row ---------------------------------------------------------------------------------- */

static void add_variance(struct aggr_group *g, const struct row *r, uint32_t nsteps)
{
    for (uint32_t i = 0; i < nsteps; i++) {
        double x = r->v[i], delta;

        if (r->has[i] != ROW_FLOAT)
            continue;
        if (g->n[i]++ == 0) {
            g->x[i] = x;
            g->y[i] = isfinite(x) ? 0 : NAN;
            continue;
        }
        delta = x - g->x[i];
        g->x[i] += delta / g->n[i];
        g->y[i] += delta * (x - g->x[i]);
    }
}

static void add_extreme(struct aggr_group *g, const struct row *r, uint32_t nsteps, bool max)
{
    for (uint32_t i = 0; i < nsteps; i++) {
        double x = r->v[i], m = g->x[i];

        if (r->has[i] == ROW_FLOAT && (!(g->seen[i] & ROW_FLOAT) || (max ? x > m : x < m) || isnan(m)))
            g->x[i] = x;
    }
}

static int keep_row(struct aggr *a, struct aggr_group *g, const struct row *r, struct pile *p, struct err *e)
{
    size_t n = a->nsteps;
    struct kept_row *k = pile_alloc(p, sizeof *k + n * (sizeof(double) + 1), a->where, e);

    if (!k)
        return ERR_LIMIT;
    k->next = NULL;
    k->v = (double *)(void *)(k + 1);
    k->has = (uint8_t *)(k->v + n);
    memcpy(k->v, r->v, n * sizeof *k->v);
    memcpy(k->has, r->has, n);
    *g->last = k;
    g->last = &k->next;
    g->nkept++;
    return 0;
}

static int want_hists(struct aggr *a, struct aggr_group *g, struct pile *p, struct err *e)
{
    size_t n = a->nsteps;
    char *m;

    if (g->hist)
        return 0;
    m = pile_alloc(p, n * (sizeof *g->hist + sizeof *g->nhist + 1), a->where, e);
    if (!m)
        return ERR_LIMIT;
    memset(m, 0, n * (sizeof *g->hist + sizeof *g->nhist + 1));
    g->hist = (struct hist_sum **)(void *)m;
    g->nhist = (uint32_t *)(void *)(g->hist + n);
    g->bad = (uint8_t *)(g->nhist + n);
    return 0;
}

static void hist_remarks(struct aggr *a, unsigned notes)
{
    a->notes |=
        (notes & HIST_BOUNDS_RECONCILED ? AGGR_BOUNDS : 0) | (notes & HIST_RESET_CONFLICT ? AGGR_RESET_CONFLICT : 0);
}

/* The histograms of a row, for those operators that take them. */
static int add_histograms(struct aggr *a, struct aggr_group *g, const struct row *r, struct pile *p, struct err *e)
{
    unsigned notes = 0;

    if (a->op != AGGR_SUM && a->op != AGGR_AVG) {
        if (memchr(r->has, ROW_HIST, a->nsteps))
            a->notes |= AGGR_IGNORED_HISTOGRAM;
        return 0;
    }
    if (want_hists(a, g, p, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++) {
        if (r->has[i] != ROW_HIST)
            continue;
        if (!g->hist[i])
            g->hist[i] = hist_sum_new(&p->a, a->op == AGGR_AVG);
        g->seen[i] |= ROW_HIST;
        g->nhist[i]++;
        if (!g->bad[i] && hist_sum_add(g->hist[i], &p->a, r->h[i], &notes) < 0) {
            g->bad[i] = 1;
            a->notes |= AGGR_MIXED_SCHEMAS;
        }
    }
    hist_remarks(a, notes);
    return pile_settle(p, a->where, e);
}

/* count and group take elements of either kind. */
static void add_counts(struct aggr *a, struct aggr_group *g, const struct row *r)
{
    if (a->op == AGGR_COUNT)
        count_rows(g->n, r->has, a->nsteps);
    for (uint32_t i = 0; i < a->nsteps; i++)
        g->seen[i] |= r->has[i] ? ROW_FLOAT : 0;
}

int aggr_add(struct aggr *a, struct aggr_group *g, const struct row *r, struct pile *p, struct err *e)
{
    g->drop_name |= r->drop_name;
    switch (a->op) {
    case AGGR_SUM:
        add_rows(g->x, g->y, r->v, r->has, a->nsteps);
        break;
    case AGGR_AVG:
        if (add_mean(a, g, r, p, e) < 0)
            return ERR_LIMIT;
        break;
    case AGGR_COUNT:
    case AGGR_GROUP:
        add_counts(a, g, r);
        return 0;
    case AGGR_MIN:
    case AGGR_MAX:
        add_extreme(g, r, a->nsteps, a->op == AGGR_MAX);
        break;
    case AGGR_STDDEV:
    case AGGR_STDVAR:
        add_variance(g, r, a->nsteps);
        break;
    case AGGR_QUANTILE:
        if (keep_row(a, g, r, p, e) < 0)
            return ERR_LIMIT;
        break;
    }
    if (r->h && add_histograms(a, g, r, p, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++)
        g->seen[i] |= r->has[i] & ROW_FLOAT;
    return 0;
}

/* --- merging ---------------------------------------------------------------------------------- */

/* Two means of n and m values; either may be a sum still. */
static void merge_mean_at(struct aggr_group *d, const struct aggr_group *s, uint32_t i, bool sfar)
{
    double n = d->n[i], m = s->n[i], dm = d->far[i] ? d->x[i] : d->x[i] / n, sm = sfar ? s->x[i] : s->x[i] / m;
    double dc = d->far[i] ? d->y[i] : d->y[i] / n, sc = sfar ? s->y[i] : s->y[i] / m;
    struct kahan k = {dm * (n / (n + m)), dc * (n / (n + m)) + sc * (m / (n + m))};

    kahan_add(&k, sm * (m / (n + m)));
    d->x[i] = k.s;
    d->y[i] = k.c;
    d->far[i] = 1;
    d->n[i] += s->n[i];
}

static int merge_mean(struct aggr *a, struct aggr_group *d, const struct aggr_group *s, struct pile *p, struct err *e)
{
    for (uint32_t i = 0; i < a->nsteps; i++) {
        bool sfar = s->far && s->far[i], dfar = d->far && d->far[i];
        struct kahan k = {d->x[i], d->y[i]};

        if (!(s->seen[i] & ROW_FLOAT))
            continue;
        if (!(d->seen[i] & ROW_FLOAT)) {
            if (sfar && want_far(a, d, p, e) < 0)
                return ERR_LIMIT;
            d->x[i] = s->x[i];
            d->y[i] = s->y[i];
            d->n[i] = s->n[i];
            if (sfar)
                d->far[i] = 1;
            continue;
        }
        kahan_add(&k, s->x[i]);
        if (!sfar && !dfar && !isinf(k.s)) {
            d->x[i] = k.s;
            d->y[i] = k.c + s->y[i];
            d->n[i] += s->n[i];
            continue;
        }
        if (want_far(a, d, p, e) < 0)
            return ERR_LIMIT;
        merge_mean_at(d, s, i, sfar);
    }
    return 0;
}

static void merge_sum(struct aggr_group *d, const struct aggr_group *s, uint32_t nsteps)
{
    for (uint32_t i = 0; i < nsteps; i++) {
        struct kahan k = {d->x[i], d->y[i]};

        if (!(s->seen[i] & ROW_FLOAT))
            continue;
        kahan_add(&k, s->x[i]);
        d->x[i] = k.s;
        d->y[i] = isinf(k.s) ? 0 : k.c + s->y[i];
    }
}

static void merge_variance(struct aggr_group *d, const struct aggr_group *s, uint32_t nsteps)
{
    for (uint32_t i = 0; i < nsteps; i++) {
        double n = d->n[i], m = s->n[i], delta = s->x[i] - d->x[i];

        if (!(s->seen[i] & ROW_FLOAT))
            continue;
        if (!(d->seen[i] & ROW_FLOAT)) {
            d->x[i] = s->x[i];
            d->y[i] = s->y[i];
        } else {
            d->x[i] += delta * (m / (n + m));
            d->y[i] += s->y[i] + delta * delta * (n * m / (n + m));
        }
        d->n[i] += s->n[i];
    }
}

static int merge_histograms(struct aggr *a, struct aggr_group *d, struct aggr_group *s, struct pile *p, struct err *e)
{
    unsigned notes = 0;

    if (want_hists(a, d, p, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++) {
        if (!(s->seen[i] & ROW_HIST))
            continue;
        d->bad[i] |= s->bad[i];
        d->nhist[i] += s->nhist[i];
        if (!d->hist[i]) {
            d->hist[i] = s->hist[i];
        } else if (!d->bad[i] && hist_sum_merge(d->hist[i], &p->a, s->hist[i], &notes) < 0) {
            d->bad[i] = 1;
            a->notes |= AGGR_MIXED_SCHEMAS;
        }
        d->seen[i] |= ROW_HIST;
    }
    hist_remarks(a, notes);
    return pile_settle(p, a->where, e);
}

int aggr_merge(struct aggr *a, struct aggr_group *dst, struct aggr_group *src, struct pile *p, struct err *e)
{
    dst->drop_name |= src->drop_name;
    switch (a->op) {
    case AGGR_SUM:
        merge_sum(dst, src, a->nsteps);
        break;
    case AGGR_AVG:
        if (merge_mean(a, dst, src, p, e) < 0)
            return ERR_LIMIT;
        break;
    case AGGR_COUNT:
        for (uint32_t i = 0; i < a->nsteps; i++)
            dst->n[i] += src->n[i];
        break;
    case AGGR_GROUP:
        break;
    case AGGR_MIN:
    case AGGR_MAX: {
        struct row r = {.v = src->x, .has = src->seen};

        for (uint32_t i = 0; i < a->nsteps; i++)
            src->seen[i] &= ROW_FLOAT;
        add_extreme(dst, &r, a->nsteps, a->op == AGGR_MAX);
        break;
    }
    case AGGR_STDDEV:
    case AGGR_STDVAR:
        merge_variance(dst, src, a->nsteps);
        break;
    case AGGR_QUANTILE:
        *dst->last = src->first;
        if (src->first)
            dst->last = src->last;
        dst->nkept += src->nkept;
        break;
    }
    if (src->hist && merge_histograms(a, dst, src, p, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++)
        dst->seen[i] |= src->seen[i] & ROW_FLOAT;
    return 0;
}

/* --- the result ------------------------------------------------------------------------------- */

static double value_at(const struct aggr *a, const struct aggr_group *g, uint32_t i)
{
    switch (a->op) {
    case AGGR_SUM:
        return kahan_sum((struct kahan){g->x[i], g->y[i]});
    case AGGR_AVG:
        return mean_value(&(struct mean){{g->x[i], g->y[i]}, g->n[i], g->far && g->far[i]});
    case AGGR_COUNT:
        return g->n[i];
    case AGGR_GROUP:
        return 1;
    case AGGR_STDVAR:
        return g->y[i] / g->n[i];
    case AGGR_STDDEV:
        return sqrt(g->y[i] / g->n[i]);
    case AGGR_MIN:
    case AGGR_MAX:
    case AGGR_QUANTILE:
        break;
    }
    return g->x[i];
}

static void finish_quantile(const struct aggr *a, const struct aggr_group *g, struct row *out)
{
    double *v = x_alloc((g->nkept + (size_t)1) * sizeof *v);

    for (uint32_t i = 0; i < a->nsteps; i++) {
        uint32_t n = 0;

        for (const struct kept_row *k = g->first; k; k = k->next)
            if (k->has[i] == ROW_FLOAT)
                v[n++] = k->v[i];
        if (n)
            out->v[i] = quantile_values(a->quantile[i], v, n);
        out->has[i] = n ? ROW_FLOAT : ROW_NONE;
    }
    free(v);
}

static int finish_histograms(struct aggr *a, struct aggr_group *g, struct vec *v, struct row *out, struct err *e)
{
    if (row_want_h(v, out, a->where, e) < 0)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < a->nsteps; i++) {
        if (!(g->seen[i] & ROW_HIST))
            continue;
        out->has[i] = ROW_NONE;
        if (g->seen[i] & ROW_FLOAT) {
            a->notes |= AGGR_MIXED;
        } else if (!g->bad[i]) {
            out->h[i] = hist_sum_value(g->hist[i], &v->pile.a);
            out->has[i] = ROW_HIST;
        }
    }
    return pile_settle(&v->pile, a->where, e);
}

int aggr_finish(struct aggr *a, struct aggr_group *g, struct vec *v, struct row *out, struct err *e)
{
    out->drop_name = g->drop_name;
    if (a->op == AGGR_QUANTILE) {
        finish_quantile(a, g, out);
        return 0;
    }
    for (uint32_t i = 0; i < a->nsteps; i++) {
        out->has[i] = g->seen[i] & ROW_FLOAT;
        if (out->has[i])
            out->v[i] = value_at(a, g, i);
    }
    return g->hist ? finish_histograms(a, g, v, out, e) : 0;
}
