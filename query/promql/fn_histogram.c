/*
 * fn_histogram.c - histogram_quantile(s), histogram_fraction over classic and native histograms; the parts of native
 * ones.
 *
 * A classic histogram is a group of rows that differ in `le` only. Rows are grouped once; per step the buckets that
 * stand there make the histogram. The metric name belongs to the group.
 *
 * (1) Where a classic and a native histogram of one name and label set stand at one step, neither is evaluated
 *     there.
 */
#include "query/promql/eval.h"
#include "query/vector/histogram.h"
#include "query/vector/quantile.h"
#include "query/vector/sort.h"

#include <math.h>
#include <stdlib.h>

struct bucket_row {
    double le;
    const struct row *row;
};

struct histogram_rows {
    struct labels labels; /* without le */
    struct bucket_row *buckets;
    uint32_t nbuckets, cap;
    const struct row *native; /* or NULL */
    bool drop_name, unsorted;
};

struct histograms {
    struct eval *ev;
    const struct node *arg; /* the vector, for remarks */
    struct vec *v;
    struct map map;
    struct histogram_rows *all;
    uint32_t n, cap;
    struct arena arena;
    struct bucket *scratch;
    uint32_t widest;
    struct query_pace pace;
};

enum { ROW_WORK = 1000, BUCKET_WORK = 2, STEP_WORK = 16 };

static struct str name_of(const struct labels *ls)
{
    return labels_get(ls, STR(LABEL_NAME));
}

static struct histogram_rows *rows_for(struct histograms *x, const struct labels *ls, struct buf *key)
{
    struct str k;
    bool added;
    void **at;

    buf_reset(key);
    labels_canonical(key, ls);
    k = buf_str(key);
    if (!map_get(&x->map, k))
        k = arena_dup(&x->arena, k);
    at = map_put(&x->map, k, &added);
    if (!added)
        return &x->all[(uintptr_t)*at - 1];
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 16;
        x->all = x_realloc(x->all, x->cap * sizeof *x->all);
    }
    *at = (void *)(uintptr_t)(x->n + 1);
    x->all[x->n] = (struct histogram_rows){.labels = *ls};
    return &x->all[x->n++];
}

static void add_bucket(struct histogram_rows *h, double le, const struct row *r)
{
    if (h->nbuckets == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->buckets = x_realloc(h->buckets, h->cap * sizeof *h->buckets);
    }
    h->unsorted |= h->nbuckets && h->buckets[h->nbuckets - 1].le > le;
    h->buckets[h->nbuckets++] = (struct bucket_row){le, r};
}

static int by_le(const void *a, const void *b)
{
    double x = ((const struct bucket_row *)a)->le, y = ((const struct bucket_row *)b)->le;

    return (x > y) - (x < y);
}

/* Buckets come in order of their labels, most often: "10" before "5". */
static int sort_buckets(struct histograms *x, struct err *e)
{
    int code = 0;

    for (uint32_t i = 0; i < x->n && code == 0; i++) {
        struct histogram_rows *h = &x->all[i];

        if (h->unsorted)
            code = sort_items(h->buckets, h->nbuckets, sizeof *h->buckets, by_le, x->ev->q, x->pace.where, e);
    }
    return code;
}

/* A row may be a bucket at one step and a native histogram at another. */
static int group_rows(struct histograms *x, struct err *e)
{
    struct str le_name = STR("le");
    struct buf key = {0};
    int code = 0;

    for (uint32_t i = 0; i < x->v->n && code == 0; i++) {
        const struct row *r = &x->v->rows[i];
        struct histogram_rows *h;
        bool range;
        double le;

        code = query_pace(&x->pace, ROW_WORK, e);

        if (r->h && memchr(r->has, ROW_HIST, x->v->nsteps)) {
            h = rows_for(x, &r->labels, &key);
            h->native = r;
            h->drop_name |= r->drop_name;
        }
        if (!memchr(r->has, ROW_FLOAT, x->v->nsteps))
            continue;
        if (!num_parse(labels_get(&r->labels, le_name), &le, &range)) {
            struct str text = labels_get(&r->labels, le_name);

            note_warn(&x->ev->notes, x->arg->start,
                      "bucket label \"le\" is missing or has a malformed value of \"%.*s\"%s", STR_ARG(text),
                      note_of_metric(&x->ev->notes, name_of(&r->labels)));
            continue;
        }
        struct labels ls = labels_pick(&x->v->pile.a, &r->labels, &le_name, 1, false, false);

        h = rows_for(x, &ls, &key);
        h->drop_name |= r->drop_name;
        add_bucket(h, le, r);
        if (h->nbuckets > x->widest)
            x->widest = h->nbuckets;
    }
    buf_release(&key);
    x->scratch = x_alloc((x->widest + (size_t)1) * sizeof *x->scratch);
    return code < 0 ? code : sort_buckets(x, e);
}

/* The buckets that stand at a step, into scratch. */
static int buckets_at(struct histograms *x, const struct histogram_rows *h, uint32_t s, uint32_t *out, struct err *e)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->nbuckets; i++)
        if (h->buckets[i].row->has[s] == ROW_FLOAT)
            x->scratch[n++] = (struct bucket){h->buckets[i].le, h->buckets[i].row->v[s]};
    *out = n;
    return query_pace(&x->pace, h->nbuckets * BUCKET_WORK + STEP_WORK, e);
}

static const struct histogram *native_at(const struct histogram_rows *h, uint32_t s)
{
    return h->native && h->native->has[s] == ROW_HIST ? h->native->h[s] : NULL;
}

static int histograms_open(struct histograms *x, struct eval *ev, const struct node *arg, const struct grid *g,
                           struct vec *v, struct err *e)
{
    int code;

    *x = (struct histograms){.ev = ev, .arg = arg, .v = v, .pace = {ev->q, "histogram_quantile", 0}};
    code = eval_vector(ev, arg, g, v, e);
    return code < 0 ? code : group_rows(x, e);
}

static void histograms_close(struct histograms *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        free(x->all[i].buckets);
    free(x->all);
    free(x->scratch);
    map_release(&x->map);
    arena_release(&x->arena);
}

static void mixed(struct histograms *x, const struct histogram_rows *h)
{
    note_warn(&x->ev->notes, x->arg->start, "vector contains a mix of classic and native histograms%s",
              note_of_metric(&x->ev->notes, name_of(&h->labels)));
}

/* --- quantiles -------------------------------------------------------------------------------- */

static void forced(struct histograms *x, const struct histogram_rows *h, const struct bucket_fix *fix, int64_t t)
{
    struct note *n = note_info(&x->ev->notes, x->arg->start,
                               "input to histogram_quantile needed to be fixed for monotonicity (see "
                               "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)%s",
                               note_of_metric(&x->ev->notes, name_of(&h->labels)));

    if (!n->nforced++) {
        n->min_le = fix->min_le;
        n->max_le = fix->max_le;
        n->max_diff = fix->max_diff;
        n->min_t = n->max_t = t;
        return;
    }
    n->min_le = fmin(n->min_le, fix->min_le);
    n->max_le = fmax(n->max_le, fix->max_le);
    n->max_diff = fmax(n->max_diff, fix->max_diff);
    n->min_t = MIN(n->min_t, t);
    n->max_t = MAX(n->max_t, t);
}

static void nan_notes(struct histograms *x, const struct histogram_rows *h, unsigned notes)
{
    struct notes *ns = &x->ev->notes;
    const char *metric = notes ? note_of_metric(ns, name_of(&h->labels)) : "";

    if (notes & HIST_NAN_RESULT)
        note_info(ns, x->arg->start, "input to histogram_quantile has NaN observations, result is NaN%s", metric);
    if (notes & HIST_NAN_SKEW)
        note_info(ns, x->arg->start, "input to histogram_quantile has NaN observations, result is skewed higher%s",
                  metric);
    if (notes & HIST_NAN_FRACTION)
        note_info(ns, x->arg->start,
                  "input to histogram_fraction has NaN observations, which are excluded from all fractions%s", metric);
}

/* One quantile of every histogram, into rows of out; label: set to text where it is given. */
static int quantile_rows(struct histograms *x, const double *q, const struct grid *g, struct str label, struct str text,
                         struct vec *out, struct err *e)
{
    for (uint32_t i = 0; i < x->n; i++) {
        const struct histogram_rows *h = &x->all[i];
        struct row *r = vec_add(out, "histogram_quantile", e);

        if (!r)
            return e->code;
        r->labels = label.n ? labels_with(&out->pile.a, &h->labels, label, text) : h->labels;
        r->drop_name = true;
        for (uint32_t s = 0; s < g->n; s++) {
            const struct histogram *native = native_at(h, s);
            struct bucket_fix fix = {0};
            unsigned notes = 0;
            uint32_t n;

            if (buckets_at(x, h, s, &n, e) < 0)
                return e->code;
            if (n && native)
                mixed(x, h);
            else if (native)
                r->v[s] = hist_quantile(q[s], native, &notes);
            else if (n)
                r->v[s] = bucket_quantile(q[s], x->scratch, n, &fix);
            r->has[s] = (n > 0) != (native != NULL) ? ROW_FLOAT : ROW_NONE;
            if (fix.forced)
                forced(x, h, &fix, grid_time(g, s));
            nan_notes(x, h, notes);
        }
    }
    return 0;
}

int fn_histogram_quantile(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                          struct err *e)
{
    struct histograms x;
    struct vec v;
    double *q;
    int code;

    if (eval_scalar(ev, call->call.args[0], g, &q, e) < 0)
        return e->code;
    eval_quantile_warnings(ev, call->call.args[0], q, g->n);
    code = histograms_open(&x, ev, call->call.args[1], g, &v, e);
    if (code == 0)
        code = quantile_rows(&x, q, g, STR_NULL, STR_NULL, out, e);
    vec_compact(out);
    pile_join(&out->pile, &v.pile);
    vec_release(&v);
    histograms_close(&x);
    return code;
}

/* The label that tells quantiles apart must be free. */
static int label_is_free(const struct vec *v, struct str label, struct err *e)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (labels_get(&v->rows[i].labels, label).n && !str_eqz(label, "le"))
            return err_set(e, ERR_EXEC, "label %.*s already exists in the input of histogram_quantiles()",
                           STR_ARG(label));
    return 0;
}

int fn_histogram_quantiles(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                           struct err *e)
{
    struct str label = eval_string(call->call.args[1]);
    struct histograms x;
    struct vec v;
    int code;

    if (!label.n || !utf8_valid(label))
        return err_set(e, ERR_EXEC, "invalid label name in histogram_quantiles(): %.*s", STR_ARG(label));
    code = histograms_open(&x, ev, call->call.args[0], g, &v, e);
    if (code == 0)
        code = label_is_free(&v, label, e);
    for (uint32_t i = 2; i < call->call.nargs && code == 0; i++) {
        char text[NUM_MAX];
        double *q;

        code = eval_scalar(ev, call->call.args[i], g, &q, e);
        if (code < 0)
            break;
        eval_quantile_warnings(ev, call->call.args[i], q, g->n);
        code = quantile_rows(&x, q, g, label, arena_dup(ev->arena, str_n(text, num_fmt_label(q[0], text))), out, e);
    }
    vec_compact(out);
    pile_join(&out->pile, &v.pile);
    vec_release(&v);
    histograms_close(&x);
    return code;
}

/* --- fractions -------------------------------------------------------------------------------- */

int fn_histogram_fraction(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out,
                          struct err *e)
{
    struct histograms x;
    struct vec v;
    double *lo, *hi;
    int code;

    if (eval_scalar(ev, call->call.args[0], g, &lo, e) < 0 || eval_scalar(ev, call->call.args[1], g, &hi, e) < 0)
        return e->code;
    code = histograms_open(&x, ev, call->call.args[2], g, &v, e);
    for (uint32_t i = 0; i < x.n && code == 0; i++) {
        const struct histogram_rows *h = &x.all[i];
        struct row *r = vec_add(out, "histogram_fraction", e);

        if (!r) {
            code = ERR_LIMIT;
            break;
        }
        r->labels = h->labels;
        r->drop_name = true;
        for (uint32_t s = 0; s < g->n && code == 0; s++) {
            const struct histogram *native = native_at(h, s);
            unsigned notes = 0;
            uint32_t n;

            code = buckets_at(&x, h, s, &n, e);
            if (n && native)
                mixed(&x, h);
            else if (native)
                r->v[s] = hist_fraction(lo[s], hi[s], native, &notes);
            else if (n)
                r->v[s] = bucket_fraction(lo[s], hi[s], x.scratch, n);
            r->has[s] = (n > 0) != (native != NULL) ? ROW_FLOAT : ROW_NONE;
            nan_notes(&x, h, notes);
        }
    }
    vec_compact(out);
    pile_join(&out->pile, &v.pile);
    vec_release(&v);
    histograms_close(&x);
    return code;
}

/* --- parts of native histograms --------------------------------------------------------------- */

static double part_count(const struct histogram *h)
{
    return h->count;
}

static double part_sum(const struct histogram *h)
{
    return h->sum;
}

static double part_avg(const struct histogram *h)
{
    return h->sum / h->count;
}

static double part_stddev(const struct histogram *h)
{
    return sqrt(hist_variance(h));
}

static const struct {
    const char *name;
    double (*of)(const struct histogram *h);
} parts[] = {
    {"histogram_avg", part_avg},         {"histogram_count", part_count}, {"histogram_stddev", part_stddev},
    {"histogram_stdvar", hist_variance}, {"histogram_sum", part_sum},
};

int fn_histogram_part(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct query_pace pace = {ev->q, call->call.fn->name, 0};
    double (*of)(const struct histogram *h) = NULL;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcmp(call->call.fn->name, parts[i].name) == 0)
            of = parts[i].of;
    if (eval_vector(ev, call->call.args[0], g, out, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < out->n; i++) {
        struct row *r = &out->rows[i];

        if (query_pace(&pace, g->n * (r->h ? 8 : 1), e) < 0)
            return e->code;
        for (uint32_t s = 0; s < g->n; s++) {
            if (r->has[s] == ROW_HIST)
                r->v[s] = of(r->h[s]);
            r->has[s] = r->has[s] == ROW_HIST ? ROW_FLOAT : ROW_NONE;
        }
        r->h = NULL;
        r->drop_name = true;
    }
    vec_compact(out);
    return 0;
}
