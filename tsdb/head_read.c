/*
 * head_read.c - chunks back to samples. The usual series is one or a few chunks, one behind the other in one column:
 * then its times need no copy. Chunks of one series follow each other in time; only late rows have to be merged in.
 */
#include "tsdb/head_read.h"

#include <assert.h>
#include <stdlib.h>

void head_reader_release(struct head_reader *r)
{
    free(r->views);
    free(r->v);
    free(r->t);
    free(r->st);
    free(r->late);
    free(r->merged_v);
    free(r->merged_t);
    free(r->merged_st);
    free(r->h);
    free(r->merged_h);
    arena_release(&r->hists);
    memset(r, 0, sizeof *r);
}

/* Chunks that may touch the window, newest first, into r->views. */
static uint32_t collect(struct head_reader *r, const struct series *s, uint32_t dropped, uint32_t upto, int64_t mint,
                        int64_t maxt)
{
    uint32_t n = 0;

    for (const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire); c && c->gen > dropped;
         c = atomic_load_explicit(&c->prev, memory_order_acquire)) {
        struct chunk_view w;
        if (c->gen > upto)
            continue;
        chunk_look(c, &w);
        if (w.n == 0 || w.t[0] > maxt)
            continue;
        if (w.t[w.n - 1] < mint)
            break;
        if (n == r->views_cap) {
            r->views_cap = r->views_cap ? r->views_cap * 2 : 8;
            r->views = x_realloc(r->views, sizeof *r->views * r->views_cap);
        }
        r->views[n++] = w;
        if (w.t[0] <= mint)
            break;
    }
    return n;
}

static void reserve(struct head_reader *r, uint32_t n)
{
    if (n <= r->cap)
        return;
    r->cap = MAX(n, MAX(r->cap * 2, 256u));
    r->v = x_realloc(r->v, sizeof *r->v * r->cap);
    r->t = x_realloc(r->t, sizeof *r->t * r->cap);
    r->st = x_realloc(r->st, sizeof *r->st * r->cap);
}

static void reserve_hists(const struct histogram ***h, uint32_t *cap, uint32_t n)
{
    if (n > *cap) {
        *cap = MAX(n, *cap * 2);
        *h = x_realloc(*h, sizeof **h * *cap);
    }
    memset(*h, 0, sizeof **h * n);
}

/* What the histograms among all samples of the views are. */
static void decode_hists(struct head_reader *r, uint32_t nviews, struct head_piece *out)
{
    reserve_hists(&r->h, &r->h_cap, out->n);
    out->h = r->h;
    for (uint32_t i = nviews, at = 0; i-- > 0; at += r->views[i].n)
        if (r->views[i].c->has_hists)
            chunk_hists(&r->views[i], r->views[i].n, &r->hists, r->h + at);
    for (uint32_t i = 0; i < out->n; i++)
        hist_hint_set(r->h[i], i ? r->h[i - 1] : NULL);
}

/* All in-order samples of the views, oldest first; the window is cut afterwards. */
static void decode(struct head_reader *r, uint32_t nviews, struct head_piece *out)
{
    const struct chunk_view *newest = &r->views[0], *oldest = &r->views[nviews - 1];
    bool one_run = true, any_st = false, any_hists = false;
    uint32_t n = 0;

    for (uint32_t i = 0; i < nviews; i++) {
        const struct chunk_view *w = &r->views[i];
        n += w->n;
        any_st |= w->c->has_st;
        any_hists |= w->c->has_hists;
        if (i + 1 < nviews) {
            const struct chunk_view *older = w + 1;
            one_run &= older->column == w->column && older->c->start + older->n == w->c->start;
        }
    }
    reserve(r, n);
    *out = (struct head_piece){.n = n, .v = r->v, .st = any_st ? r->st : NULL};
    if (one_run) {
        out->column = newest->column;
        out->col = newest->c->col;
        out->start = oldest->c->start;
        out->t = newest->t - (newest->c->start - oldest->c->start);
    } else {
        out->t = r->t;
    }
    for (uint32_t i = nviews, at = 0; i-- > 0; at += r->views[i].n) {
        const struct chunk_view *w = &r->views[i];
        if (w->c->has_hists)
            memset(r->v + at, 0, sizeof *r->v * w->n);
        else
            chunk_values(w, w->n, r->v + at);
        if (!one_run)
            memcpy(r->t + at, w->t, sizeof *r->t * w->n);
        for (uint32_t k = 0; any_st && k < w->n; k++)
            r->st[at + k] = chunk_st(w->c);
    }
    if (any_hists)
        decode_hists(r, nviews, out);
}

static void cut(struct head_piece *p, int64_t mint, int64_t maxt)
{
    uint32_t lo = p->n && p->t[0] < mint ? times_lower(p->t, p->n, mint) : 0;
    uint32_t hi = p->n;

    if (p->n && p->t[p->n - 1] > maxt)
        hi = times_lower(p->t, p->n, maxt + 1);
    if (lo > 0) { /* an empty piece may have no arrays at all */
        p->t += lo;
        p->v += lo;
        p->st += p->st ? lo : 0;
        p->h += p->h ? lo : 0;
        p->start += lo;
    }
    p->n = hi > lo ? hi - lo : 0;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct late_row *)a)->t, y = ((const struct late_row *)b)->t;

    return (x > y) - (x < y);
}

/* Late rows in the window, sorted, one a time. */
static uint32_t collect_late(struct head_reader *r, const struct series *s, uint32_t dropped, uint32_t upto,
                             int64_t mint, int64_t maxt)
{
    uint32_t n = 0, kept = 0;

    for (const struct late *l = atomic_load_explicit(&s->late, memory_order_acquire); l && l->gen > dropped;
         l = atomic_load_explicit(&l->prev, memory_order_acquire)) {
        uint32_t m = l->gen > upto ? 0 : atomic_load_explicit(&l->n, memory_order_acquire);
        if (n + m > r->late_cap) {
            r->late_cap = MAX(n + m, r->late_cap * 2);
            r->late = x_realloc(r->late, sizeof *r->late * r->late_cap);
        }
        for (uint32_t i = 0; i < m; i++)
            if (l->rows[i].t >= mint && l->rows[i].t <= maxt)
                r->late[n++] = l->rows[i];
    }
    if (n)
        qsort(r->late, n, sizeof *r->late, by_time);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || r->late[kept - 1].t != r->late[i].t)
            r->late[kept++] = r->late[i];
    return kept;
}

/* The histograms of the merged samples; their neighbours are others now. */
static void merge_late_hists(struct head_reader *r, const struct head_piece *p, uint32_t nlate, uint32_t n)
{
    uint32_t i = 0, k = 0;

    reserve_hists(&r->merged_h, &r->merged_h_cap, n);
    for (uint32_t m = 0; m < n; m++) {
        bool late = k < nlate && r->late[k].t == r->merged_t[m] && !(i < p->n && p->t[i] == r->merged_t[m]);
        const struct histogram *h = late            ? late_hist(&r->late[k], &r->hists)
                                    : p->h && p->n ? p->h[i]
                                                    : NULL;

        i += !late;
        while (k < nlate && r->late[k].t <= r->merged_t[m])
            k++;
        r->merged_h[m] = h;
        hist_hint_set(h, m ? r->merged_h[m - 1] : NULL);
    }
}

static void merge_late(struct head_reader *r, uint32_t nlate, struct head_piece *p)
{
    uint32_t i = 0, k = 0, n = 0;
    bool any_hists = p->h != NULL;

    if (p->n + nlate > r->merged_cap) {
        r->merged_cap = MAX(p->n + nlate, r->merged_cap * 2);
        r->merged_v = x_realloc(r->merged_v, sizeof *r->merged_v * r->merged_cap);
        r->merged_t = x_realloc(r->merged_t, sizeof *r->merged_t * r->merged_cap);
        r->merged_st = x_realloc(r->merged_st, sizeof *r->merged_st * r->merged_cap);
    }
    while (i < p->n || k < nlate) {
        bool in_order = k == nlate || (i < p->n && p->t[i] <= r->late[k].t);
        if (in_order && k < nlate && p->t[i] == r->late[k].t)
            k++;
        r->merged_t[n] = in_order ? p->t[i] : r->late[k].t;
        r->merged_v[n] = in_order ? p->v[i] : r->late[k].v;
        r->merged_st[n] = in_order ? (p->st ? p->st[i] : 0) : r->late[k].st;
        *(in_order ? &i : &k) += 1;
        n++;
    }
    bool any_st = p->st != NULL;
    for (k = 0; k < nlate; k++) {
        any_st |= r->late[k].st != 0;
        any_hists |= r->late[k].h != NULL;
    }
    if (any_hists)
        merge_late_hists(r, p, nlate, n);
    for (k = 0; any_hists && k < n; k++)
        r->merged_v[k] = r->merged_h[k] ? 0 : r->merged_v[k];
    *p = (struct head_piece){.t = r->merged_t,
                             .v = r->merged_v,
                             .st = any_st ? r->merged_st : NULL,
                             .h = any_hists ? r->merged_h : NULL,
                             .n = n};
}

bool head_read(struct head_reader *r, const struct series *s, uint32_t dropped, uint32_t upto, int64_t mint,
               int64_t maxt, struct head_piece *out)
{
    uint32_t nviews = collect(r, s, dropped, upto, mint, maxt), nlate = 0;

    *out = (struct head_piece){0};
    arena_reset(&r->hists);
    if (nviews) {
        decode(r, nviews, out);
        cut(out, mint, maxt);
    }
    if (atomic_load_explicit(&s->late, memory_order_acquire))
        nlate = collect_late(r, s, dropped, upto, mint, maxt);
    if (nlate)
        merge_late(r, nlate, out);
    return out->n > 0;
}

bool head_read_newest(struct head_reader *r, const struct series *s, uint32_t dropped, int64_t mint, int64_t maxt,
                      int64_t *t, double *v, int64_t *st, const struct histogram **h)
{
    struct head_piece p;

    /* Chunks are walked newest first: only the one that holds maxt, or the one before it, is decoded. */
    for (const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire); c && c->gen > dropped;
         c = atomic_load_explicit(&c->prev, memory_order_acquire)) {
        struct chunk_view w;
        chunk_look(c, &w);
        if (w.n && w.t[0] <= maxt) {
            mint = MAX(mint, w.t[0]);
            break;
        }
    }
    if (!head_read(r, s, dropped, UINT32_MAX, mint, maxt, &p))
        return false;
    *t = p.t[p.n - 1];
    *v = p.v[p.n - 1];
    *st = p.st ? p.st[p.n - 1] : 0;
    *h = p.h ? p.h[p.n - 1] : NULL;
    return true;
}

bool head_overlaps(const struct series *s, uint32_t dropped, int64_t mint, int64_t maxt)
{
    for (const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire); c && c->gen > dropped;
         c = atomic_load_explicit(&c->prev, memory_order_acquire)) {
        struct chunk_view w;
        chunk_look(c, &w);
        if (w.n == 0 || w.t[0] > maxt)
            continue;
        if (w.t[w.n - 1] >= mint)
            return true;
        break;
    }
    for (const struct late *l = atomic_load_explicit(&s->late, memory_order_acquire); l && l->gen > dropped;
         l = atomic_load_explicit(&l->prev, memory_order_acquire)) {
        uint32_t n = atomic_load_explicit(&l->n, memory_order_acquire);
        for (uint32_t i = 0; i < n; i++)
            if (l->rows[i].t >= mint && l->rows[i].t <= maxt)
                return true;
    }
    return false;
}
