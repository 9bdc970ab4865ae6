/*
 * day_merge.c - rewriting: small slices of a live day into one, and a finished day into a new file.
 *
 * Both read series by series through a day_reader, drop what is deleted, and write through a day_writer. A long stretch
 * of time becomes several slices of a few hundred samples a series each ("stripes"), so that a query over an hour need
 * not unpack a day.
 *
 * (1) Where slices overlap and hold the same time, the older slice's value stays: that is what a reader saw first.
 * (2) A merge takes neighbours in age and puts the result in their place, so (1) goes on to hold.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LEVEL_MERGE = 3,
    LEVEL_SEAL = 9,
    MERGE_SMALL = 256, /* a slice with fewer samples a row than this wants company */
    MERGE_RUN_MIN = 6, /* and gets it when so many stand side by side */
    MERGE_BYTES_MAX = 128 << 20, /* of what is merged at once: one transaction, and LMDB keeps its pages in memory */
    STRIPE_SAMPLES = 480,
};
#define HOUR INT64_C(3600000)

/* --- one series at a time --------------------------------------------------------------------------------- */

/* Samples of one series brought together. */
struct samples {
    int64_t *t, *st;
    double *v;
    const struct histogram **h;
    uint32_t n, cap;
    bool has_st, has_h;
};

static void samples_release(struct samples *s)
{
    free(s->t);
    free(s->st);
    free(s->v);
    free(s->h);
    *s = (struct samples){0};
}

static void samples_room(struct samples *s, uint32_t n)
{
    if (n <= s->cap)
        return;
    s->cap = n + n / 2;
    s->t = x_realloc(s->t, s->cap * sizeof *s->t);
    s->st = x_realloc(s->st, s->cap * sizeof *s->st);
    s->v = x_realloc(s->v, s->cap * sizeof *s->v);
    s->h = x_realloc(s->h, s->cap * sizeof *s->h);
}

static void samples_put(struct samples *s, int64_t t, double v, int64_t st, const struct histogram *h)
{
    s->t[s->n] = t;
    s->v[s->n] = v;
    s->h[s->n] = h;
    s->st[s->n++] = st;
}

/* out = a and p, by time; a wins where both have one (inv. 1). */
static void join(const struct samples *a, const struct day_piece *p, struct samples *out)
{
    uint32_t i = 0, k = 0;

    samples_room(out, a->n + p->n);
    out->n = 0;
    out->has_st = a->has_st || p->st;
    out->has_h = a->has_h || p->h;
    while (i < a->n || k < p->n) {
        if (k == p->n || (i < a->n && a->t[i] <= p->t[k])) {
            k += k < p->n && p->t[k] == a->t[i];
            samples_put(out, a->t[i], a->v[i], a->st[i], a->h[i]);
            i++;
        } else {
            samples_put(out, p->t[k], p->v[k], p->st ? p->st[k] : 0, p->h ? p->h[k] : NULL);
            k++;
        }
    }
}

struct rewrite {
    struct day_view *view;
    const struct day_filter *filter;
    struct day_reader *reader;
    struct day_writer *writer;
    struct samples a, b; /* a holds the result */
    struct arena arena;
};

static int apply_filter(struct rewrite *r, uint32_t sid, struct err *e)
{
    struct samples *s = &r->a;
    struct labels ls;
    uint32_t kept = 0;
    int rc;

    if (!r->filter || s->n == 0)
        return 0;
    arena_reset(&r->arena);
    if ((rc = day_view_labels(r->view, sid, &r->arena, &ls, e)) < 0)
        return rc;
    if (!r->filter->touches(r->filter->arg, &ls, s->t[0], s->t[s->n - 1]))
        return 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (r->filter->keep(r->filter->arg, &ls, s->t[i])) {
            s->t[kept] = s->t[i];
            s->v[kept] = s->v[i];
            s->h[kept] = s->h[i];
            s->st[kept++] = s->st[i];
        }
    s->n = kept;
    return 0;
}

/* The series' samples in the reader's window, joined and filtered, in r->a. */
static int read_series(struct rewrite *r, uint32_t sid, struct err *e)
{
    const struct day_piece *p;
    uint32_t n;
    int rc = day_reader_get(r->reader, sid, &p, &n, e);

    if (rc < 0)
        return rc;
    r->a.n = 0;
    r->a.has_st = r->a.has_h = false;
    for (uint32_t i = 0; i < n; i++) {
        join(&r->a, &p[i], &r->b);
        struct samples swap = r->a;
        r->a = r->b;
        r->b = swap;
    }
    return apply_filter(r, sid, e);
}

static int copy_series(struct rewrite *r, uint32_t sid, uint32_t to_sid, struct err *e)
{
    uint32_t column;
    int rc = read_series(r, sid, e);

    if (rc < 0 || r->a.n == 0)
        return rc;
    if ((rc = day_write_times(r->writer, r->a.t, r->a.n, &column, e)) < 0)
        return rc;
    return day_write_series(r->writer, to_sid, column, r->a.v, r->a.has_st ? r->a.st : NULL, r->a.has_h ? r->a.h : NULL,
                            r->a.n, e);
}

static void rewrite_release(struct rewrite *r)
{
    day_reader_close(r->reader);
    samples_release(&r->a);
    samples_release(&r->b);
    arena_release(&r->arena);
}

/* --- stripes ------------------------------------------------------------------------------------------------ */

/* Length of a stripe: 30 min, 1 h, ... 32 h, so that a usual series has about STRIPE_SAMPLES in it. */
static int64_t stripe_ms(const struct day_dir *d, uint32_t first, uint32_t end, int64_t mint, int64_t maxt)
{
    uint64_t samples = 0, rows = 1;
    int64_t len = HOUR / 2;

    for (uint32_t i = first; i < end; i++) {
        samples += d->slices[i]->nsamples;
        rows = MAX(rows, d->slices[i]->nrows);
    }
    double per_ms = (double)samples / (double)rows / ((double)(maxt - mint) + 1);
    while (len < 32 * HOUR && (double)len * per_ms < STRIPE_SAMPLES)
        len *= 2;
    return len;
}

static void times_of(const struct day_dir *d, uint32_t first, uint32_t end, int64_t *mint, int64_t *maxt)
{
    *mint = INT64_MAX;
    *maxt = INT64_MIN;
    for (uint32_t i = first; i < end; i++) {
        *mint = MIN(*mint, d->slices[i]->mint);
        *maxt = MAX(*maxt, d->slices[i]->maxt);
    }
}

/* Writes slices [first, end) of the view as stripes. to_sids: what each sid is called in the new file, NULL: the same.
 */
static int write_stripes(struct rewrite *r, uint32_t first, uint32_t end, const uint32_t *sids, uint32_t n,
                         const uint32_t *to_sids, struct err *e)
{
    int64_t mint, maxt, len;
    int rc = 0;

    times_of(r->view->dir, first, end, &mint, &maxt);
    len = stripe_ms(r->view->dir, first, end, mint, maxt);
    /* Stripes begin at multiples of their length; day starts are such multiples for all lengths up to a day. */
    int64_t from = mint - ((mint % len) + len) % len;
    for (; rc == 0 && from <= maxt; from += len) {
        rc = day_reader_open_slices(r->view, from, from + len - 1, first, end, &r->reader, e);
        for (uint32_t i = 0; i < n && rc == 0; i++)
            rc = copy_series(r, sids[i], to_sids ? to_sids[sids[i]] : sids[i], e);
        day_reader_close(r->reader);
        r->reader = NULL;
        if (rc == 0)
            rc = day_write_next_slice(r->writer, e);
    }
    return rc;
}

/* --- merge --------------------------------------------------------------------------------------------------- */

static bool is_small(const struct slice *s)
{
    return s->nsamples < (uint64_t)s->nrows * MERGE_SMALL && s->bytes <= MERGE_BYTES_MAX / MERGE_RUN_MIN;
}

/* The longest run of small neighbours that may be merged at once. */
static uint32_t find_small(const struct day_dir *d, uint32_t *first)
{
    uint32_t best = 0, run = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < d->nslices; i++) {
        bool small = is_small(d->slices[i]);
        run = small ? run + 1 : 0;
        bytes = small ? bytes + d->slices[i]->bytes : 0;
        while (bytes > MERGE_BYTES_MAX)
            bytes -= d->slices[i + 1 - run--]->bytes;
        if (run > best) {
            best = run;
            *first = i + 1 - run;
        }
    }
    return best;
}

/* The sids in slices [first, end), in slice order. The caller frees *out. */
static int sids_in_slices(struct day_view *v, uint32_t first, uint32_t end, uint32_t **out, uint32_t *n, struct err *e)
{
    uint32_t count = 0, nseries = v->dir->nseries;
    const struct slice_rows *rows;
    bool ascending = true;
    int rc = 0;

    uint8_t *in = x_zalloc(nseries + 1);
    for (uint32_t i = first; i < end && rc == 0; i++) {
        ascending &= v->dir->slices[i]->ascending;
        rc = slice_rows(v, v->dir->slices[i], &rows, e);
        for (uint32_t k = 0; rc == 0 && k < rows->n; k++)
            in[k] |= rows->row[k] != DAY_NO_SID;
    }
    uint32_t *sids = x_alloc((nseries + 1) * sizeof *sids);
    for (uint32_t i = 0; i < nseries; i++)
        if (in[i])
            sids[count++] = i;
    free(in);
    /* All slices of a day agree in their order, or readers would hop between blocks: by labels, which within one
     * segment is by sid. */
    bool one_segment = count == 0 || dir_segment_of(v->dir, sids[0]) == dir_segment_of(v->dir, sids[count - 1]);
    if (rc == 0 && !(ascending && one_segment))
        rc = view_sort_by_labels(v, sids, count, e);
    if (rc < 0) {
        free(sids);
        return rc;
    }
    *out = sids;
    *n = count;
    return 0;
}

static int merge_slices(struct rewrite *r, uint32_t first, uint32_t end, struct err *e)
{
    uint32_t *sids = NULL, n;
    int rc = sids_in_slices(r->view, first, end, &sids, &n, e);

    if (rc < 0)
        return rc;
    for (uint32_t i = first; i < end && rc == 0; i++)
        rc = day_write_drop_slice(r->writer, first, e);
    day_write_place(r->writer, first);
    if (rc == 0)
        rc = write_stripes(r, first, end, sids, n, NULL, e);
    free(sids);
    return rc;
}

int day_merge(struct partition *p, const struct day_filter *f, bool *did, struct err *e)
{
    struct rewrite r = {.filter = f};
    uint32_t first = 0, run;
    int rc;

    *did = false;
    if ((rc = day_view_open(p, &r.view, e)) < 0)
        return rc;
    run = find_small(r.view->dir, &first);
    day_view_close(r.view);
    r.view = NULL;
    if (run < MERGE_RUN_MIN)
        return 0;
    /* Again, now that nobody else can write: what the view sees then is what the writer starts from. */
    if ((rc = day_write_begin_as(p, LEVEL_MERGE, false, &r.writer, e)) < 0)
        return rc;
    if ((rc = day_view_open(p, &r.view, e)) == 0) {
        run = find_small(r.view->dir, &first);
        if (run >= MERGE_RUN_MIN)
            rc = merge_slices(&r, first, first + run, e);
    }
    if (rc == 0 && run >= MERGE_RUN_MIN) {
        rc = day_write_commit(r.writer, 0, e);
        *did = rc == 0;
    } else {
        day_write_abort(r.writer);
    }
    rewrite_release(&r);
    day_view_close(r.view);
    return rc;
}

/* --- seal ------------------------------------------------------------------------------------------------------ */

/* Is anything of the series left? Only series that a delete touches are read for it. */
static int survives(struct rewrite *r, uint32_t sid, const struct labels *ls, int64_t mint, int64_t maxt, bool *yes,
                    struct err *e)
{
    *yes = true;
    if (!r->filter || !r->filter->touches(r->filter->arg, ls, mint, maxt))
        return 0;
    int rc = r->reader ? 0 : day_reader_open(r->view, mint, maxt, &r->reader, e);
    if (rc == 0)
        rc = read_series(r, sid, e);
    *yes = r->a.n > 0;
    return rc;
}

/* Brings all series to the new file in order of their labels; sids becomes the list of those that stay. */
static int bring_series(struct rewrite *r, uint32_t *sids, uint32_t *n, uint32_t *to_sids, struct err *e)
{
    uint32_t nseries = r->view->dir->nseries, kept = 0;
    struct arena a = {0};
    int64_t mint, maxt;
    bool yes;

    times_of(r->view->dir, 0, r->view->dir->nslices, &mint, &maxt);
    for (uint32_t i = 0; i < nseries; i++)
        sids[i] = i;
    int rc = view_sort_by_labels(r->view, sids, nseries, e);
    for (uint32_t i = 0; i < nseries && rc == 0; i++) {
        struct labels ls;

        arena_reset(&a);
        if ((rc = day_view_labels(r->view, sids[i], &a, &ls, e)) < 0 ||
            (rc = survives(r, sids[i], &ls, mint, maxt, &yes, e)) < 0)
            break;
        if (!yes)
            continue;
        rc = day_write_new(r->writer, labels_hash(&ls), &ls, &to_sids[sids[i]], e);
        sids[kept++] = sids[i];
    }
    day_reader_close(r->reader);
    r->reader = NULL;
    arena_release(&a);
    *n = kept;
    return rc;
}

int day_seal(struct partition *from, struct partition *to, const struct day_filter *f, struct err *e)
{
    struct rewrite r = {.filter = f};
    uint32_t *sids = NULL, *to_sids = NULL, n = 0;
    int rc;

    if ((rc = day_view_open(from, &r.view, e)) < 0)
        return rc;
    uint32_t nseries = r.view->dir->nseries, nslices = r.view->dir->nslices;
    rc = day_write_begin_as(to, LEVEL_SEAL, true, &r.writer, e);
    if (rc == 0 && nslices > 0) {
        sids = x_alloc((nseries + 1) * sizeof *sids);
        to_sids = x_alloc((nseries + 1) * sizeof *to_sids);
        rc = bring_series(&r, sids, &n, to_sids, e);
        if (rc == 0)
            rc = write_stripes(&r, 0, nslices, sids, n, to_sids, e);
    }
    if (rc == 0)
        rc = day_write_commit(r.writer, partition_contained(from), e);
    else
        day_write_abort(r.writer);
    free(sids);
    free(to_sids);
    rewrite_release(&r);
    day_view_close(r.view);
    return rc;
}
