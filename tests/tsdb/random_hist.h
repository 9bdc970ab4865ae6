/* random_hist.h - native histograms as they come one after another in a series, and as they should not but do. */
#ifndef TESTS_RANDOM_HIST_H
#define TESTS_RANDOM_HIST_H

#include "base/base.h"
#include "base/histogram.h"

typedef uint64_t random_draw(uint64_t below);

static inline struct hist_bucket *random_buckets(struct arena *a, random_draw *draw, uint32_t *n, int32_t from, double unit)
{
    struct hist_bucket *b;

    *n = (uint32_t)draw(12);
    b = arena_alloc(a, (*n + (size_t)1) * sizeof *b);
    for (uint32_t i = 0; i < *n; i++) {
        from += (int32_t)(draw(4) ? 1 : 1 + draw(9));
        b[i] = (struct hist_bucket){from, (double)draw(draw(3) ? 20 : 1u << 30) * unit};
    }
    return b;
}

/* count and sum are made up from the buckets, NaN observations now and then. */
static inline void random_totals(struct histogram *h, random_draw *draw)
{
    h->count = h->zero_count;
    for (uint32_t i = 0; i < h->npos; i++)
        h->count += h->pos[i].n;
    for (uint32_t i = 0; i < h->nneg; i++)
        h->count += h->neg[i].n;
    h->count += draw(10) ? 0 : (double)draw(5);
    h->sum = draw(20) ? h->count * 1.25 + (double)draw(100) / 8 : f64_from_bits(NORMAL_NAN_BITS);
}

static inline struct histogram *random_fresh(struct arena *a, random_draw *draw)
{
    struct histogram *h = arena_new(a, struct histogram);
    double unit = draw(4) ? 1 : draw(2) ? 0.125 : 1.0 / 3;

    h->pos = random_buckets(a, draw, &h->npos, draw(5) ? (int32_t)draw(20) - 10 : -1, unit);
    if (draw(4) == 0) {
        static const double edges[] = {-2, 0.25, 0.5, 1, 2, 3.5, 1e6};
        h->schema = HIST_CUSTOM;
        h->bounds = edges + draw(3);
        h->nbounds = (uint32_t)draw(5);
        for (uint32_t i = 0, k = 0; i < h->npos; i++) {
            struct hist_bucket *b = (struct hist_bucket *)(uintptr_t)h->pos;
            h->npos = MIN(h->npos, h->nbounds + 1);
            if (i < h->npos)
                b[i].i = (int32_t)k++;
        }
    } else {
        h->schema = (int32_t)draw(13) - 4;
        h->zero_threshold = draw(3) ? 0x1p-128 : (double)draw(3) / 1000;
        h->zero_count = (double)draw(6) * unit;
        if (draw(3) == 0)
            h->neg = random_buckets(a, draw, &h->nneg, -5, unit);
    }
    h->hint = draw(8) ? HIST_UNKNOWN : (uint8_t)draw(4);
    random_totals(h, draw);
    return h;
}

/* The next of a series: counts grow, buckets appear; sometimes something else altogether. before may be NULL. */
static inline struct histogram *random_hist(struct arena *a, random_draw *draw, const struct histogram *before)
{
    struct histogram *h;
    struct hist_bucket *b;

    if (draw(40) == 0) {
        h = arena_new(a, struct histogram);
        h->sum = f64_from_bits(STALE_NAN_BITS);
        return h;
    }
    if (!before || hist_stale(before) || draw(25) == 0)
        return random_fresh(a, draw);
    h = hist_dup(a, before);
    if (draw(10) == 0)
        return h;
    if (!hist_custom(h) && draw(8) == 0) { /* one more bucket at the end */
        b = arena_alloc(a, (h->npos + (size_t)1) * sizeof *b);
        memcpy(b, h->pos, h->npos * sizeof *b);
        b[h->npos] = (struct hist_bucket){h->npos ? b[h->npos - 1].i + 1 + (int32_t)draw(3) : 0, 1};
        h->pos = b;
        h->npos++;
    }
    b = (struct hist_bucket *)(uintptr_t)h->pos;
    for (uint32_t i = 0; i < h->npos; i++)
        b[i].n = draw(200) == 0 ? 0 : b[i].n + (draw(2) ? (double)draw(7) : 0);
    if (!hist_custom(h))
        h->zero_count += (double)draw(2);
    h->hint = h->hint == HIST_GAUGE ? HIST_GAUGE : draw(30) ? HIST_UNKNOWN : HIST_RESET;
    random_totals(h, draw);
    return h;
}

#endif
