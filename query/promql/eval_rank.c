/*
 * eval_rank.c - aggregations that pass rows on or look at single values: topk, bottomk, limitk, limit_ratio,
 * count_values.
 *
 * (1) Which rows are kept is decided step by step. Among equal values the row that stands earlier wins, so the
 *     answer does not depend on how the rows were read.
 */
#include "query/promql/eval.h"
#include "query/promql/groups.h"
#include "query/vector/histogram.h"
#include "query/vector/ranked.h"
#include "query/vector/sort.h"

#include <math.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct ranking {
    struct eval *ev;
    const struct node *n;
    struct grouping by;
    struct group_table table;
    uint32_t *group; /* of each row */
    struct vec *v;
    struct query_pace pace;
};

enum { WORK_LABELS = 256, WORK_A_PLACE = 4, WORK_A_ROW = 64, WORK_AN_OFFER = 32, WORK_A_TEXT = 256 };

static int assign_groups(struct ranking *x, struct err *e)
{
    x->by = grouping_of(x->ev->arena, x->n);
    x->table.by = &x->by;
    x->group = x_alloc((x->v->n + (size_t)1) * sizeof *x->group);
    for (uint32_t i = 0; i < x->v->n; i++) {
        struct group *g;
        bool added;

        group_of_labels(&x->table, &x->v->rows[i].labels, &g, &added);
        x->group[i] = (uint32_t)(g - x->table.groups);
        if (query_pace(&x->pace, WORK_LABELS, e) < 0)
            return e->code;
    }
    return 0;
}

static int check_k(const double *k, uint32_t n, struct err *e)
{
    char text[NUM_MAX];

    for (uint32_t i = 0; i < n; i++) {
        if (isnan(k[i]))
            return err_set(e, ERR_EXEC, "Parameter value is NaN");
        if (k[i] <= -0x1p63 || k[i] >= 0x1p63)
            return err_set(e, ERR_EXEC, "Scalar value %.*s %sflows int64", (int)num_fmt_g(k[i], text), text,
                           k[i] < 0 ? "under" : "over");
    }
    return 0;
}

/* --- topk ------------------------------------------------------------------------------------- */

/* Heaps of all groups in one array: group g's begins at begin[g] and has room for all its rows. */
struct heaps {
    struct ranked *items;
    uint32_t *begin, *size;
};

static void heaps_init(struct heaps *h, const struct ranking *x)
{
    uint32_t at = 0;

    h->items = x_alloc((x->v->n + (size_t)1) * sizeof *h->items);
    h->begin = x_zalloc((x->table.n + (size_t)1) * sizeof *h->begin);
    h->size = x_zalloc((x->table.n + (size_t)1) * sizeof *h->size);
    for (uint32_t i = 0; i < x->v->n; i++)
        h->size[x->group[i]]++;
    for (uint32_t i = 0; i < x->table.n; i++) {
        h->begin[i] = at;
        at += h->size[i];
        h->size[i] = 0;
    }
}

static void heaps_release(struct heaps *h)
{
    free(h->items);
    free(h->begin);
    free(h->size);
}

static int best_at(struct ranking *x, struct heaps *h, uint32_t s, double k, bool top, bool *histograms, struct err *e)
{
    int code = 0;

    memset(h->size, 0, x->table.n * sizeof *h->size);
    for (uint32_t i = 0; i < x->v->n && code == 0; i++) {
        struct row *r = &x->v->rows[i];
        uint32_t g = x->group[i];

        code = query_pace(&x->pace, WORK_AN_OFFER, e);
        if (r->has[s] == ROW_FLOAT && k >= 1)
            ranked_offer(h->items + h->begin[g], &h->size[g], k < x->v->n ? (uint32_t)k : x->v->n,
                         (struct ranked){r->v[s], i}, top);
        *histograms |= r->has[s] == ROW_HIST;
        r->has[s] = ROW_NONE;
    }
    for (uint32_t g = 0; g < x->table.n && code == 0; g++) {
        for (uint32_t i = 0; i < h->size[g]; i++)
            x->v->rows[h->items[h->begin[g] + i].row].has[s] = ROW_FLOAT;
        code = query_pace(&x->pace, h->size[g] * WORK_A_PLACE, e);
    }
    return code;
}

static __thread bool sort_top; /* of the sort that runs on this thread */

static int best_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return ranked_worse(*y, *x, sort_top) ? -1 : ranked_worse(*x, *y, sort_top);
}

/* The rows of one instant, best first within their group. */
static int order_rows(struct ranking *x, struct heaps *h, bool top, struct err *e)
{
    struct row *old = x->v->rows, *rows = x_alloc((x->v->n + (size_t)1) * sizeof *rows);
    uint32_t n = 0;
    int code = 0;

    sort_top = top;
    for (uint32_t g = 0; g < x->table.n && code == 0; g++) {
        code = sort_items(h->items + h->begin[g], h->size[g], sizeof *h->items, best_first, x->ev->q, agg_op_text(x->n->agg.op), e);
        for (uint32_t i = 0; i < h->size[g] && code == 0; i++) {
            rows[n++] = old[h->items[h->begin[g] + i].row];
            code = query_pace(&x->pace, WORK_A_ROW, e);
        }
    }
    if (n)
        memcpy(old, rows, n * sizeof *rows);
    x->v->n = n;
    free(rows);
    return code;
}

static int topk(struct ranking *x, const double *k, bool top, struct err *e)
{
    struct heaps h;
    bool histograms = false;
    int code = 0;

    heaps_init(&h, x);
    for (uint32_t s = 0; s < x->v->nsteps && code == 0; s++) {
        code = best_at(x, &h, s, k[s], top, &histograms, e);
    }
    if (code == 0 && x->v->nsteps == 1)
        code = order_rows(x, &h, top, e);
    if (histograms)
        note_info(&x->ev->notes, x->n->agg.expr->start, "ignored histogram in %s aggregation",
                  agg_op_text(x->n->agg.op));
    heaps_release(&h);
    return code;
}

/* --- limits ----------------------------------------------------------------------------------- */

static int limitk(struct ranking *x, const double *k, struct err *e)
{
    uint32_t *n = x_zalloc((x->table.n + (size_t)1) * sizeof *n);
    int code = 0;

    for (uint32_t s = 0; s < x->v->nsteps && code == 0; s++) {
        memset(n, 0, x->table.n * sizeof *n);
        for (uint32_t i = 0; i < x->v->n && code == 0; i++) {
            uint8_t *has = &x->v->rows[i].has[s];

            code = query_pace(&x->pace, WORK_A_PLACE, e);

            if (*has && ++n[x->group[i]] > k[s])
                *has = ROW_NONE;
        }
    }
    free(n);
    return code;
}

static void put_size(struct buf *b, size_t n)
{
    if (n < 255) {
        buf_putc(b, (char)n);
        return;
    }
    buf_putc(b, (char)255);
    buf_putc(b, (char)(n & 255));
    buf_putc(b, (char)(n >> 8 & 255));
    buf_putc(b, (char)(n >> 16 & 255));
}

/* Where a label set lies in [0, 1): by the hash that upstream takes, so the same series are chosen. */
static double place_of(const struct labels *ls, struct buf *b)
{
    buf_reset(b);
    for (uint32_t i = 0; i < ls->n; i++) {
        put_size(b, ls->v[i].name.n);
        buf_puts(b, ls->v[i].name);
        put_size(b, ls->v[i].value.n);
        buf_puts(b, ls->v[i].value);
    }
    return (double)XXH64(b->p, b->n, 0) / 0x1p64;
}

static int limit_ratio(struct ranking *x, const double *ratio, struct err *e)
{
    struct vec *v = x->v;
    struct buf b = {0};
    int code = 0;

    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        double at = place_of(&v->rows[i].labels, &b);

        for (uint32_t s = 0; s < v->nsteps; s++) {
            double r = fmax(-1, fmin(1, ratio[s]));

            if (!(r >= 0 ? at < r : at >= 1 + r))
                v->rows[i].has[s] = ROW_NONE;
        }
        code = query_pace(&x->pace, WORK_LABELS + v->nsteps, e);
    }
    buf_release(&b);
    return code;
}

/* Ratios outside [-1, 1], and NaN which is an error. */
static int check_ratio(struct eval *ev, const struct node *param, const double *r, uint32_t n, struct err *e)
{
    double lo = 0, hi = 0;
    char text[NUM_MAX];

    for (uint32_t i = 0; i < n; i++) {
        if (isnan(r[i]))
            return err_set(e, ERR_EXEC, "Ratio value is NaN");
        lo = fmin(lo, r[i]);
        hi = fmax(hi, r[i]);
    }
    if (hi > 1)
        note_warn(&ev->notes, param->start, "ratio value should be between -1 and 1, got %.*s, capping to 1",
                  (int)num_fmt_g(hi, text), text);
    if (lo < -1)
        note_warn(&ev->notes, param->start, "ratio value should be between -1 and 1, got %.*s, capping to -1",
                  (int)num_fmt_g(lo, text), text);
    return 0;
}

/* --- count_values ----------------------------------------------------------------------------- */

struct counting {
    struct ranking *x;
    struct str label;
    struct pile pile;
    struct arena scratch;
};

static struct str value_text(struct arena *a, const struct row *r, uint32_t s)
{
    char text[NUM_MAX];

    if (r->has[s] == ROW_HIST) {
        struct buf b = {0};
        struct str out;

        hist_text(&b, r->h[s]);
        out = arena_dup(a, buf_str(&b));
        buf_release(&b);
        return out;
    }
    return arena_dup(a, str_n(text, num_fmt_f(r->v[s], text)));
}

static int count_row(struct counting *c, const struct row *r, struct err *e)
{
    struct group_table *t = &c->x->table;
    uint32_t nsteps = c->x->v->nsteps, *counts = NULL;

    for (uint32_t s = 0; s < nsteps; s++) {
        bool same = counts && s && r->has[s] == ROW_FLOAT && r->has[s - 1] == ROW_FLOAT &&
                    f64_bits(r->v[s]) == f64_bits(r->v[s - 1]);
        struct group *g;
        struct labels ls;
        bool added;

        if (r->has[s] == ROW_NONE)
            continue;
        if (!same) {
            if (query_pace(&c->x->pace, WORK_A_TEXT, e) < 0)
                return e->code;
            arena_reset(&c->scratch);
            ls = labels_with(&c->scratch, &r->labels, c->label, value_text(&c->scratch, r, s));
            group_of_labels(t, &ls, &g, &added);
            if (added) {
                g->state = pile_alloc(&c->pile, (nsteps + (size_t)1) * sizeof *counts, "count_values", e);
                if (!g->state)
                    return ERR_LIMIT;
                memset(g->state, 0, (nsteps + (size_t)1) * sizeof *counts);
            }
            counts = g->state;
            counts[nsteps] |= r->drop_name;
        }
        counts[s]++;
    }
    return 0;
}

static int count_values(struct ranking *x, struct vec *out, struct err *e)
{
    struct counting c = {.x = x, .label = eval_string(x->n->agg.param)};
    struct str *names;
    int code = 0;

    pile_init(&c.pile, x->ev->q);
    x->by = grouping_of(x->ev->arena, x->n);
    if (!x->by.without) {
        struct node with = *x->n;

        names = arena_array(x->ev->arena, struct str, x->by.n + 1);
        memcpy(names, x->by.names, x->by.n * sizeof *names);
        names[x->by.n] = c.label;
        with.agg.grouping = names;
        with.agg.ngrouping = x->by.n + 1;
        x->by = grouping_of(x->ev->arena, &with);
    }
    x->table.by = &x->by;
    for (uint32_t i = 0; i < x->v->n && code == 0; i++) {
        code = count_row(&c, &x->v->rows[i], e);
        if (code == 0)
            code = query_pace(&x->pace, x->v->nsteps, e);
    }
    for (uint32_t i = 0; i < x->table.n && code == 0; i++) {
        const uint32_t *counts = x->table.groups[i].state;
        struct row *r = vec_add(out, "count_values", e);

        if (!r)
            code = ERR_LIMIT;
        for (uint32_t s = 0; r && s < x->v->nsteps; s++) {
            r->has[s] = counts[s] ? ROW_FLOAT : ROW_NONE;
            r->v[s] = counts[s];
        }
        if (r) {
            r->labels = labels_dup(&out->pile.a, &x->table.groups[i].labels);
            r->drop_name = counts[x->v->nsteps];
            code = query_pace(&x->pace, WORK_LABELS + x->v->nsteps, e);
        }
    }
    arena_release(&c.scratch);
    pile_release(&c.pile);
    return code;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int bad_label(struct str name, struct err *e)
{
    struct buf b = {0};
    int code;

    /* Go's quoting of bytes that are no UTF-8. */
    for (size_t i = 0, n; i < name.n; i += n) {
        uint32_t rune;

        n = utf8_decode(str_from(name, i), &rune);
        if (rune == 0xfffd && n == 1)
            buf_printf(&b, "\\x%02x", (unsigned char)name.p[i]);
        else
            buf_put(&b, name.p + i, n);
    }
    code = err_set(e, ERR_EXEC, "invalid label name \"%.*s\"", (int)b.n, b.n ? b.p : "");
    buf_release(&b);
    return code;
}

static int run(struct ranking *x, const double *param, struct vec *out, struct err *e)
{
    int code = 0;

    if (x->n->agg.op == AGG_COUNT_VALUES)
        return count_values(x, out, e);
    code = assign_groups(x, e);
    if (code < 0)
        return code;
    if (x->n->agg.op == AGG_TOPK || x->n->agg.op == AGG_BOTTOMK)
        code = topk(x, param, x->n->agg.op == AGG_TOPK, e);
    else if (x->n->agg.op == AGG_LIMITK)
        code = limitk(x, param, e);
    else
        code = limit_ratio(x, param, e);
    if (code < 0)
        return code;
    vec_join(out, x->v);
    return vec_compact_many(out, e);
}

int eval_rank(struct eval *ev, const struct node *n, const struct grid *g, struct vec *out, struct err *e)
{
    struct ranking x = {.ev = ev, .n = n, .pace = {ev->q, agg_op_text(n->agg.op), 0}};
    double *param = NULL;
    struct vec v;
    int code = 0;

    if (n->agg.op == AGG_COUNT_VALUES) {
        struct str label = eval_string(n->agg.param);

        if (!label.n || !utf8_valid(label))
            return bad_label(label, e);
    } else if (eval_scalar(ev, n->agg.param, g, &param, e) < 0) {
        return e->code;
    } else {
        code = n->agg.op == AGG_LIMIT_RATIO ? check_ratio(ev, n->agg.param, param, g->n, e) : check_k(param, g->n, e);
    }
    if (code < 0)
        return code;
    if (n->agg.op == AGG_TOPK || n->agg.op == AGG_BOTTOMK) {
        code = eval_topk_chain(ev, n, g, param, out, e);
        if (code <= 0)
            return code;
    }
    code = eval_vector(ev, n->agg.expr, g, &v, e);
    x.v = &v;
    if (code == 0)
        code = run(&x, param, out, e);
    free(x.group);
    group_table_release(&x.table);
    vec_release(&v);
    return code;
}
