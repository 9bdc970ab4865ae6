/*
 * sort.c - see sort.h. Runs are sorted one by one, then neighbours are merged, twice as long each time.
 *
 * (1) A merge that was begun is ended, so no item is lost or doubled when a query stops: its pieces are what is checked
 *     between, and what is left of it is copied as it stands.
 */
#include "query/vector/sort.h"

#include <stdlib.h>

enum { RUN = 512, WORK_A_COMPARE = 64 };

struct sorting {
    size_t bytes; /* of an item */
    int (*cmp)(const void *a, const void *b);
    struct query_pace pace;
};

/* from[0..l) and from[l..l+r) into to. */
static int merge(struct sorting *s, const char *from, size_t l, size_t r, char *to, struct err *e)
{
    const char *a = from, *b = from + l * s->bytes, *a_end = b, *b_end = b + r * s->bytes;
    int code = 0;

    while (a < a_end && b < b_end && code == 0) {
        const char **least = s->cmp(a, b) <= 0 ? &a : &b;

        memcpy(to, *least, s->bytes);
        *least += s->bytes;
        to += s->bytes;
        code = query_pace(&s->pace, WORK_A_COMPARE, e);
    }
    memcpy(to, a, (size_t)(a_end - a));
    memcpy(to + (a_end - a), b, (size_t)(b_end - b));
    return code;
}

/* Merges runs of n items each, from one array into the other. */
static int merge_all(struct sorting *s, const char *from, size_t n, size_t run, char *to, struct err *e)
{
    int code = 0;

    for (size_t at = 0; at < n; at += 2 * run) {
        size_t l = MIN(run, n - at), r = MIN(run, n - at - l);

        if (code == 0)
            code = merge(s, from + at * s->bytes, l, r, to + at * s->bytes, e);
        else
            memcpy(to + at * s->bytes, from + at * s->bytes, (l + r) * s->bytes);
    }
    return code;
}

int sort_items(void *items, size_t n, size_t item_bytes, int (*cmp)(const void *a, const void *b), struct query *q, const char *where,
               struct err *e)
{
    struct sorting s = {item_bytes, cmp, {q, where, 0}};
    char *from = items, *other, *to;
    int code = 0;

    for (size_t at = 0; at < n && code == 0; at += RUN) {
        qsort(from + at * item_bytes, MIN((size_t)RUN, n - at), item_bytes, cmp);
        code = query_pace(&s.pace, MIN((size_t)RUN, n - at) * 9 * WORK_A_COMPARE, e);
    }
    if (n <= RUN || code < 0)
        return code;
    to = other = x_alloc(n * item_bytes);
    for (size_t run = RUN; run < n && code == 0; run *= 2) {
        char *swap = from;

        code = merge_all(&s, from, n, run, to, e);
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, n * item_bytes);
    free(other);
    return code;
}
