/*
 * nhcb.c - see nhcb.h. Series of one family belong together by their labels without le, in whatever order they stand.
 *
 * (1) A histogram is made only when its counts agree: none is negative, none falls as le rises, and _count is what the
 *     +Inf bucket has. Where _count is missing the highest bucket stands in, where +Inf is, _count.
 */
#include "collector/scrape/nhcb.h"

#include "collector/scrape/expo_read.h"

#include <math.h>
#include <stdlib.h>

struct nhcb_group {
    struct labels labels; /* without le, the name is the family's */
    double *le, *counts;  /* cumulative; le rises */
    uint32_t n, cap;
    double count, sum;
    bool has_count, bad;
    int64_t t;
    bool has_t;
    struct expo_exemplar *exemplars;
    uint32_t nexemplars, exemplars_cap;
};

void nhcb_family(struct nhcb *n, const struct expo_entry *type)
{
    n->family = type->type == METRIC_HISTOGRAM ? arena_dup(n->a, type->family) : STR_NULL;
}

void nhcb_release(struct nhcb *n)
{
    map_release(&n->by_labels);
    n->n = n->given = 0;
}

/* --- gathering ------------------------------------------------------------------------------------ */

static struct nhcb_group *group_of(struct nhcb *n, const struct labels *ls)
{
    struct labels own = {arena_array(n->a, struct label, ls->n + 1), 0};
    struct nhcb_group *g;
    struct buf key = {0};
    void **slot;

    for (uint32_t i = 0; i < ls->n; i++) {
        struct label l = ls->v[i];
        if (str_eqz(l.name, "le"))
            continue;
        own.v[own.n++] = str_eqz(l.name, LABEL_NAME) ? (struct label){l.name, n->family} : l;
    }
    labels_canonical(&key, &own);
    slot = map_put(&n->by_labels, arena_dup(n->a, buf_str(&key)), NULL);
    buf_release(&key);
    if (*slot)
        return *slot;
    g = *slot = arena_new(n->a, struct nhcb_group);
    g->labels = labels_dup(n->a, &own);
    if (n->n == n->cap) {
        struct nhcb_group **more = arena_alloc(n->a, (n->cap ? n->cap * 2 : 8) * sizeof(struct nhcb_group *));
        if (n->n)
            memcpy(more, n->groups, n->n * sizeof(struct nhcb_group *));
        n->groups = more;
        n->cap = n->cap ? n->cap * 2 : 8;
    }
    n->groups[n->n++] = g;
    return g;
}

/* The first count of a bound stays. */
static void put_bucket(struct nhcb *n, struct nhcb_group *g, double le, double count)
{
    uint32_t at = g->n;

    while (at > 0 && g->le[at - 1] > le)
        at--;
    if (at > 0 && g->le[at - 1] == le)
        return;
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 16;
        double *more = arena_alloc(n->a, 2 * cap * sizeof *more);
        if (g->n) {
            memcpy(more, g->le, g->n * sizeof *more);
            memcpy(more + cap, g->counts, g->n * sizeof *more);
        }
        g->le = more;
        g->counts = more + cap;
        g->cap = cap;
    }
    memmove(g->le + at + 1, g->le + at, (g->n - at) * sizeof *g->le);
    memmove(g->counts + at + 1, g->counts + at, (g->n - at) * sizeof *g->counts);
    g->le[at] = le;
    g->counts[at] = count;
    g->n++;
}

static void put_exemplars(struct nhcb *n, struct nhcb_group *g, const struct expo_entry *en)
{
    for (uint32_t i = 0; i < en->nexemplars; i++) {
        if (g->nexemplars == g->exemplars_cap) {
            uint32_t cap = g->exemplars_cap ? g->exemplars_cap * 2 : 4;
            struct expo_exemplar *more = arena_alloc(n->a, cap * sizeof *more);
            if (g->nexemplars)
                memcpy(more, g->exemplars, g->nexemplars * sizeof *more);
            g->exemplars = more;
            g->exemplars_cap = cap;
        }
        g->exemplars[g->nexemplars] = en->exemplars[i];
        g->exemplars[g->nexemplars++].labels = labels_dup(n->a, &en->exemplars[i].labels);
    }
}

int nhcb_take(struct nhcb *n, struct expo *x, const struct expo_entry *en, struct err *e)
{
    struct labels ls;
    struct nhcb_group *g;
    struct str name, le;
    double bound = NAN;

    if (n->family.n == 0 || expo_labels(x, en, n->a, &ls, e) < 0)
        return n->family.n == 0 ? 0 : ERR_INVALID;
    name = labels_get(&ls, STR(LABEL_NAME));
    le = labels_get(&ls, STR("le"));
    if (!str_starts(name, n->family))
        return 0;
    name = str_from(name, n->family.n);
    if (!str_eqz(name, "_bucket") && ((!str_eqz(name, "_count") && !str_eqz(name, "_sum")) || le.n))
        return 0;
    if (str_eqz(name, "_bucket") && le.n == 0)
        return 0;
    g = group_of(n, &ls);
    g->t = en->t;
    g->has_t = en->has_t;
    if (str_eqz(name, "_sum")) {
        g->sum = en->v;
    } else if (str_eqz(name, "_count")) {
        g->count = en->v;
        g->has_count = true;
        g->bad |= !(en->v >= 0);
    } else {
        bool range, known = num_parse(le, &bound, &range) && !isnan(bound);
        g->bad |= !known || !(en->v >= 0);
        if (known)
            put_bucket(n, g, bound, en->v);
        put_exemplars(n, g, en);
    }
    return 1;
}

/* --- making --------------------------------------------------------------------------------------- */

static bool make(struct nhcb *n, struct nhcb_group *g, struct histogram *h)
{
    struct hist_bucket *b;
    double before = 0;

    if (g->bad || (g->n == 0 && !g->has_count))
        return false;
    if (!g->has_count)
        g->count = g->counts[g->n - 1];
    if (g->n == 0 || g->le[g->n - 1] != INFINITY)
        put_bucket(n, g, INFINITY, g->count);
    if (g->counts[g->n - 1] != g->count)
        return false;
    b = arena_alloc(n->a, g->n * sizeof *b);
    *h = (struct histogram){.schema = HIST_CUSTOM, .count = g->count, .sum = g->sum, .pos = b, .bounds = g->le, .nbounds = g->n - 1};
    for (uint32_t i = 0; i < g->n; before = g->counts[i++]) {
        if (g->counts[i] < before)
            return false;
        if (g->counts[i] > before)
            b[h->npos++] = (struct hist_bucket){(int32_t)i, g->counts[i] - before};
    }
    return true;
}

bool nhcb_next(struct nhcb *n, struct expo_entry *en, struct histogram *h)
{
    while (n->given < n->n) {
        struct nhcb_group *g = n->groups[n->given++];
        struct buf text = {0};

        if (!make(n, g, h))
            continue;
        expo_put_series(&text, &g->labels);
        *en = (struct expo_entry){.kind = EXPO_SERIES,
                                  .series = arena_dup(n->a, buf_str(&text)),
                                  .t = g->t,
                                  .has_t = g->has_t,
                                  .exemplars = g->exemplars,
                                  .nexemplars = g->nexemplars};
        buf_release(&text);
        return true;
    }
    nhcb_release(n);
    return false;
}
