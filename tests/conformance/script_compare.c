/*
 * script_compare.c - compares results with expectations: labels as sets, floats and histograms within upstream's
 * tolerance.
 */
#include "query/vector/histogram.h"
#include "query/vector/quantile.h"
#include "tests/conformance/script.h"

#include <math.h>

bool same_float(double got, double want)
{
    if (is_stale(got) || is_stale(want))
        return is_stale(got) && is_stale(want);
    return almost_equal(got, want, 1e-6);
}

/* --- histograms ------------------------------------------------------------------------------- */

static const struct hist_bucket *full(const struct hist_bucket *b, const struct hist_bucket *end)
{
    while (b < end && b->n == 0)
        b++;
    return b;
}

static bool same_buckets(const struct hist_bucket *g, uint32_t ng, const struct hist_bucket *w, uint32_t nw)
{
    const struct hist_bucket *ge = g + ng, *we = w + nw;

    for (;; g++, w++) {
        g = full(g, ge);
        w = full(w, we);
        if (g == ge || w == we)
            return g == ge && w == we;
        if (g->i != w->i || !same_float(g->n, w->n))
            return false;
    }
}

static bool same_bounds(const struct histogram *g, const struct histogram *w)
{
    if (!hist_custom(g))
        return true;
    if (g->nbounds != w->nbounds)
        return false;
    for (uint32_t i = 0; i < g->nbounds; i++)
        if (g->bounds[i] != w->bounds[i])
            return false;
    return true;
}

static bool same_histogram(const struct histogram *g, const struct histogram *w, bool hint)
{
    return g->schema == w->schema && same_float(g->zero_threshold, w->zero_threshold) && same_bounds(g, w) &&
           same_float(g->count, w->count) && same_float(g->sum, w->sum) && same_float(g->zero_count, w->zero_count) &&
           same_buckets(g->pos, g->npos, w->pos, w->npos) && same_buckets(g->neg, g->nneg, w->neg, w->nneg) &&
           (!hint || g->hint == w->hint);
}

/* --- points ----------------------------------------------------------------------------------- */

static const char *point_text(struct arena *a, double v, const struct histogram *h)
{
    char text[NUM_MAX];
    struct buf b = {0};
    const char *z;

    if (!h)
        return arena_dup(a, str_n(text, num_fmt_g(v, text))).p;
    hist_text(&b, h);
    z = arena_printf(a, "%.*s schema %d hint %d", (int)b.n, b.p, h->schema, h->hint).p;
    buf_release(&b);
    return z;
}

static const char *labels_string(struct arena *a, const struct labels *ls)
{
    struct buf b = {0};
    const char *z;

    labels_print(&b, ls);
    z = arena_dup(a, buf_str(&b)).p;
    buf_release(&b);
    return z;
}

static const char *compare_points(struct arena *a, const struct promql_series *g, const struct expected *w,
                                  int64_t start, int64_t step)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        const struct sd_value *x = &w->values[i];
        const struct promql_point *p;
        int64_t t = start + (int64_t)i * step;
        const struct histogram *h = x->h ? histogram_of_desc(a, x->h) : NULL;

        if (x->omitted)
            continue;
        p = at < g->npoints ? &g->points[at++] : NULL;
        if (!p || p->t != t)
            return arena_printf(a, "%s: expected a point at %lld, got %s", labels_string(a, &g->labels), (long long)t,
                                p ? arena_printf(a, "one at %lld", (long long)p->t).p : "none")
                .p;
        if ((h != NULL) != (p->h != NULL) || (h ? !same_histogram(p->h, h, x->h->hint_set) : !same_float(p->v, x->v)))
            return arena_printf(a, "%s at %lld: expected %s, got %s", labels_string(a, &g->labels), (long long)t,
                                point_text(a, x->v, h), point_text(a, p->v, p->h))
                .p;
    }
    if (at < g->npoints)
        return arena_printf(a, "%s: unexpected point %s at %lld", labels_string(a, &g->labels),
                            point_text(a, g->points[at].v, g->points[at].h), (long long)g->points[at].t)
            .p;
    return NULL;
}

/* --- series ----------------------------------------------------------------------------------- */

static struct expected *find(struct expected *want, uint32_t n, const struct labels *ls)
{
    for (uint32_t i = 0; i < n; i++)
        if (!want[i].seen && labels_eq(&want[i].labels, ls))
            return &want[i];
    return NULL;
}

static bool all_omitted(const struct expected *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (!w->values[i].omitted)
            return false;
    return true;
}

const char *compare_series(struct arena *a, const struct promql_series *got, uint32_t ngot, struct expected *want,
                           uint32_t nwant, int64_t start, int64_t step, bool ordered)
{
    for (uint32_t i = 0; i < nwant; i++)
        want[i].seen = all_omitted(&want[i]);
    for (uint32_t i = 0; i < ngot; i++) {
        struct expected *w = find(want, nwant, &got[i].labels);
        const char *diff;

        if (!w)
            return arena_printf(a, "unexpected series %s%s", labels_string(a, &got[i].labels),
                                got[i].npoints
                                    ? arena_printf(a, " %s", point_text(a, got[i].points[0].v, got[i].points[0].h)).p
                                    : "")
                .p;
        if (ordered && w != &want[i])
            return arena_printf(a, "%s stands at place %u, expected at %u", labels_string(a, &got[i].labels), i + 1,
                                (unsigned)(w - want) + 1)
                .p;
        w->seen = true;
        diff = compare_points(a, &got[i], w, start, step);
        if (diff)
            return diff;
    }
    for (uint32_t i = 0; i < nwant; i++)
        if (!want[i].seen)
            return arena_printf(a, "missing series %s", labels_string(a, &want[i].labels)).p;
    return NULL;
}
