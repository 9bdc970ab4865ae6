/*
 * hist_text.c - the buckets of a histogram in order, with bounds; and as text.
 */
#include "query/vector/hist_layout.h"

#include <math.h>

static struct hist_range positive(const struct histogram *h, const struct hist_bucket *b)
{
    if (hist_custom(h)) {
        uint32_t i = (uint32_t)b->i;

        return (struct hist_range){i ? h->bounds[i - 1] : -INFINITY, i < h->nbounds ? h->bounds[i] : INFINITY, b->n,
                                   i ? 0 : 3};
    }
    return (struct hist_range){hist_bound(h->schema, b->i - 1), hist_bound(h->schema, b->i), b->n, 0};
}

struct hist_range *hist_ranges(struct arena *a, const struct histogram *h, uint32_t *n)
{
    struct hist_range *r = arena_alloc(a, (h->npos + (size_t)h->nneg + 1) * sizeof *r);

    *n = 0;
    for (uint32_t i = h->nneg; i-- > 0;)
        if (h->neg[i].n != 0)
            r[(*n)++] = (struct hist_range){-hist_bound(h->schema, h->neg[i].i),
                                            -hist_bound(h->schema, h->neg[i].i - 1), h->neg[i].n, 1};
    if (h->zero_count != 0)
        r[(*n)++] = (struct hist_range){-h->zero_threshold, h->zero_threshold, h->zero_count, 3};
    for (uint32_t i = 0; i < h->npos; i++)
        if (h->pos[i].n != 0)
            r[(*n)++] = positive(h, &h->pos[i]);
    return r;
}

static void number(struct buf *out, double v)
{
    char text[NUM_MAX];

    buf_put(out, text, num_fmt_g(v, text));
}

void hist_text(struct buf *out, const struct histogram *h)
{
    struct arena a = {0};
    uint32_t n;
    struct hist_range *r = hist_ranges(&a, h, &n);

    buf_putz(out, "{count:");
    number(out, h->count);
    buf_putz(out, ", sum:");
    number(out, h->sum);
    for (uint32_t i = 0; i < n; i++) {
        buf_putz(out, ", ");
        buf_putc(out, r[i].rule == 1 || r[i].rule == 3 ? '[' : '(');
        number(out, r[i].lo);
        buf_putc(out, ',');
        number(out, r[i].hi);
        buf_putc(out, r[i].rule == 0 || r[i].rule == 3 ? ']' : ')');
        buf_putc(out, ':');
        number(out, r[i].n);
    }
    buf_putc(out, '}');
    arena_release(&a);
}
