/*
 * fn_sort.c - sort, sort_desc, sort_by_label, sort_by_label_desc. Only where the order shows: in instant queries.
 */
#include "query/promql/eval.h"
#include "query/vector/sort.h"

#include <math.h>
#include <stdlib.h>

struct sorter {
    const struct node *call;
    bool desc;
};

static __thread struct sorter sorting; /* what the qsort on this thread compares by */

static bool ineffective(struct eval *ev, const struct node *call, const struct grid *g)
{
    if (g->n <= 1)
        return false;
    note_warn(&ev->notes, call->start,
              "sort is ineffective for range queries since results are always ordered by labels");
    return true;
}

/* NaN last, whichever the direction. */
static int by_value(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    double v = x->v[0], w = y->v[0];

    if (isnan(v) || isnan(w))
        return isnan(v) - isnan(w);
    return sorting.desc ? (v < w) - (v > w) : (v > w) - (v < w);
}

int fn_sort(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    if (eval_vector(ev, call->call.args[0], g, out, e) < 0)
        return e->code;
    if (ineffective(ev, call, g))
        return 0;
    for (uint32_t i = 0; i < out->n; i++)
        if (out->rows[i].has[0] == ROW_HIST)
            out->rows[i].has[0] = ROW_NONE;
    if (vec_compact_many(out, e) < 0)
        return e->code;
    sorting = (struct sorter){call, strcmp(call->call.fn->name, "sort_desc") == 0};
    return sort_items(out->rows, out->n, sizeof *out->rows, by_value, ev->q, call->call.fn->name, e);
}

/* --- natural order ---------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next run of digits or of other bytes. */
static struct str chunk(struct str *s)
{
    size_t n = 1;

    while (n < s->n && is_digit(s->p[n]) == is_digit(s->p[0]))
        n++;
    struct str c = str_head(*s, n);

    *s = str_from(*s, n);
    return c;
}

/* Numbers inside by size, the rest bytewise. */
static int natural_cmp(struct str a, struct str b)
{
    while (a.n && b.n) {
        struct str x = chunk(&a), y = chunk(&b);
        uint64_t n, m;
        int c;

        if (str_to_u64(x, &n) && str_to_u64(y, &m))
            c = (n > m) - (n < m);
        else
            c = str_cmp(x, y);
        if (c)
            return c;
    }
    return (a.n > 0) - (b.n > 0);
}

static int by_label(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    const struct node *call = sorting.call;
    int c = 0;

    for (uint32_t i = 1; i < call->call.nargs && c == 0; i++) {
        struct str name = eval_string(call->call.args[i]), v = labels_get(&x->labels, name),
                   w = labels_get(&y->labels, name);

        if (str_eq(v, w))
            continue;
        c = natural_cmp(v, w);
        if (c == 0)
            c = str_cmp(v, w);
    }
    if (c == 0)
        c = labels_cmp(&x->labels, &y->labels);
    return sorting.desc ? -c : c;
}

int fn_sort_by_label(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    if (eval_vector(ev, call->call.args[0], g, out, e) < 0)
        return e->code;
    if (ineffective(ev, call, g))
        return 0;
    sorting = (struct sorter){call, strcmp(call->call.fn->name, "sort_by_label_desc") == 0};
    return sort_items(out->rows, out->n, sizeof *out->rows, by_label, ev->q, call->call.fn->name, e);
}
