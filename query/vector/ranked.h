/*
 * ranked.h - the k best values, in a heap whose root is the worst of them.
 *
 * NaN is never better than anything. Among equal values the one that stands earlier is better, so the order is total
 * and the k best do not depend on the order they are offered in.
 */
#ifndef VECTOR_RANKED_H
#define VECTOR_RANKED_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct ranked {
    double v;
    uint32_t row;
};

/* a is to go before b when there is no room for both. */
static inline bool ranked_worse(struct ranked a, struct ranked b, bool top)
{
    if (isnan(a.v) || isnan(b.v)) {
        if (isnan(a.v) && isnan(b.v))
            return a.row > b.row;
        return isnan(a.v);
    }
    if (a.v != b.v)
        return top ? a.v < b.v : a.v > b.v;
    return a.row > b.row;
}

static inline void ranked_sift_down(struct ranked *heap, uint32_t n, bool top)
{
    for (uint32_t i = 0;;) {
        uint32_t c = 2 * i + 1;
        struct ranked t;

        if (c >= n)
            return;
        if (c + 1 < n && ranked_worse(heap[c + 1], heap[c], top))
            c++;
        if (!ranked_worse(heap[c], heap[i], top))
            return;
        t = heap[c];
        heap[c] = heap[i];
        heap[i] = t;
        i = c;
    }
}

static inline void ranked_sift_up(struct ranked *heap, uint32_t i, bool top)
{
    while (i > 0 && ranked_worse(heap[i], heap[(i - 1) / 2], top)) {
        struct ranked t = heap[i];

        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = t;
        i = (i - 1) / 2;
    }
}

/* Whether x is now among the k best; n of them are there. */
static inline bool ranked_offer(struct ranked *heap, uint32_t *n, uint32_t k, struct ranked x, bool top)
{
    if (*n < k) {
        heap[(*n)++] = x;
        ranked_sift_up(heap, *n - 1, top);
        return true;
    }
    if (!k || !ranked_worse(heap[0], x, top))
        return false;
    heap[0] = x;
    ranked_sift_down(heap, k, top);
    return true;
}

#endif
