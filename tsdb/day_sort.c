/*
 * day_sort.c - sids of several segments brought into the order of their labels: metric name, then pair by pair.
 *
 * Within a segment they nearly always are in order already, so this is a merge sort that begins with the runs it finds.
 * Labels are read through the view's small cache of groups; comparing costs two look-ups, and runs keep them near each
 * other.
 */
#include "tsdb/day_file.h"

#include <stdlib.h>

struct sorter {
    struct day_view *v;
    struct arena a;
    struct err *e;
    int rc;
};

static bool comes_after(struct sorter *s, uint32_t a, uint32_t b)
{
    struct labels x, y;

    if (s->rc < 0)
        return false;
    arena_reset(&s->a);
    if ((s->rc = view_labels_locked(s->v, a, &s->a, &x, s->e)) < 0 ||
        (s->rc = view_labels_locked(s->v, b, &s->a, &y, s->e)) < 0)
        return false;
    int c = str_cmp(labels_get(&x, STR(LABEL_NAME)), labels_get(&y, STR(LABEL_NAME)));
    return c ? c > 0 : labels_cmp(&x, &y) > 0;
}

/* Merges from[lo, mid) and from[mid, hi) into to. */
static void merge_runs(struct sorter *s, const uint32_t *from, uint32_t lo, uint32_t mid, uint32_t hi, uint32_t *to)
{
    uint32_t i = lo, k = mid;

    for (uint32_t at = lo; at < hi; at++) {
        bool right = i == mid || (k < hi && comes_after(s, from[i], from[k]));

        to[at] = right ? from[k++] : from[i++];
    }
}

/* Ends of the runs that are in order already; ends[0] = 0. */
static uint32_t find_runs(struct sorter *s, const uint32_t *sids, uint32_t n, uint32_t *ends)
{
    uint32_t nruns = 0;

    ends[0] = 0;
    for (uint32_t i = 1; i <= n; i++)
        if (i == n || comes_after(s, sids[i - 1], sids[i]))
            ends[++nruns] = i;
    return nruns;
}

static int sort_locked(struct sorter *s, uint32_t *sids, uint32_t n)
{
    uint32_t *ends = x_alloc((n + 2) * sizeof *ends), *other = x_alloc((n + 1) * sizeof *other);
    uint32_t *from = sids, *to = other, nruns = find_runs(s, sids, n, ends);

    while (nruns > 1) {
        uint32_t k = 0;

        for (uint32_t i = 0; i < nruns; i += 2) {
            uint32_t hi = ends[i + 2 <= nruns ? i + 2 : nruns];

            merge_runs(s, from, ends[i], ends[i + 1], hi, to);
            ends[++k] = hi;
        }
        nruns = k;
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != sids)
        memcpy(sids, from, n * sizeof *sids);
    free(ends);
    free(other);
    return s->rc;
}

int view_sort_by_labels(struct day_view *v, uint32_t *sids, uint32_t n, struct err *e)
{
    struct sorter s = {.v = v, .e = e};

    pthread_mutex_lock(&v->mu);
    sort_locked(&s, sids, n);
    pthread_mutex_unlock(&v->mu);
    arena_release(&s.a);
    return s.rc;
}
