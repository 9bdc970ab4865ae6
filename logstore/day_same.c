/*
 * day_same.c - which of these rows has the day already? Asked of rows that are not newer than what their stream has there.
 *
 * Directories tell which blocks hold the stream at such times; of those the times are read, and lines and metadata only of rows
 * whose time is equal.
 */
#include "logstore/day_file.h"

#include <stdlib.h>

/* A row of the block beside a suspect of equal stream and time. */
struct pair {
    uint32_t row, suspect;
};

struct look {
    struct log_day_view *view;
    const struct log_suspect *rows;
    uint32_t n;
    bool *same;
    struct log_block *block;
    struct pair *pairs;
    uint32_t npairs, cap;
    uint32_t *idx;
    struct log_row *found;
    uint32_t found_cap;
};

/* The first suspect of sid at t or later. */
static uint32_t lower(const struct look *l, uint32_t sid, int64_t t_ns)
{
    uint32_t lo = 0, hi = l->n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        const struct log_suspect *x = &l->rows[mid];
        if (x->sid < sid || (x->sid == sid && x->t_ns < t_ns))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t lower_time(const int64_t *t, uint32_t lo, uint32_t hi, int64_t t_ns)
{
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (t[mid] < t_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void add_pair(struct look *l, uint32_t row, uint32_t suspect)
{
    if (l->npairs == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->pairs = x_realloc(l->pairs, l->cap * sizeof *l->pairs);
    }
    l->pairs[l->npairs++] = (struct pair){row, suspect};
}

static int by_row(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return (x->row > y->row) - (x->row < y->row);
}

static bool is_equal(const struct log_suspect *s, const struct log_row *r)
{
    if (!str_eq(s->line, r->line) || s->nmeta != r->nmeta)
        return false;
    for (uint32_t i = 0; i < s->nmeta; i++)
        if (!str_eq(s->meta[i].name, r->meta[i].name) || !str_eq(s->meta[i].value, r->meta[i].value))
            return false;
    return true;
}

/* Lines and metadata of the block's rows in pairs, and the verdict. */
static int compare(struct look *l, struct err *e)
{
    uint32_t n = 0;
    int rc;

    qsort(l->pairs, l->npairs, sizeof *l->pairs, by_row);
    if (l->npairs > l->found_cap) {
        l->found_cap = l->npairs;
        l->idx = x_realloc(l->idx, l->found_cap * sizeof *l->idx);
        l->found = x_realloc(l->found, l->found_cap * sizeof *l->found);
    }
    for (uint32_t i = 0; i < l->npairs; i++)
        if (i == 0 || l->pairs[i].row != l->pairs[i - 1].row)
            l->idx[n++] = l->pairs[i].row;
    memset(l->found, 0, n * sizeof *l->found);
    if ((rc = log_block_lines(l->block, l->idx, n, l->found, e)) < 0 || (rc = log_block_meta(l->block, l->idx, n, l->found, e)) < 0)
        return rc;
    for (uint32_t i = 0, at = 0; i < l->npairs; i++) {
        while (l->idx[at] != l->pairs[i].row)
            at++;
        if (is_equal(&l->rows[l->pairs[i].suspect], &l->found[at]))
            l->same[l->pairs[i].suspect] = true;
    }
    return 0;
}

static int look_in_block(struct look *l, const struct log_slice_dir *d, uint32_t slice, uint32_t b, struct err *e)
{
    uint32_t from, to, first, end;
    const int64_t *t;
    struct str bytes;
    int rc;

    if ((rc = log_day_block(l->view, slice, b, &bytes, e)) < 0 || (rc = log_block_open(l->block, bytes, e)) < 0 ||
        (rc = log_block_times(l->block, &t, e)) < 0)
        return rc;
    if (log_block_n(l->block) != d->blocks[b].nrows)
        return err_set(e, ERR_CORRUPT, "block %u of slice %u: %u rows, not %u", b, slice, log_block_n(l->block), d->blocks[b].nrows);
    l->npairs = 0;
    log_slice_streams(d, b, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        uint32_t sid = d->streams[i].sid;
        log_slice_rows(d, b, i, &first, &end);
        for (uint32_t k = lower(l, sid, t[first]); k < l->n && l->rows[k].sid == sid && l->rows[k].t_ns <= t[end - 1]; k++)
            for (uint32_t at = lower_time(t, first, end, l->rows[k].t_ns); at < end && t[at] == l->rows[k].t_ns; at++)
                add_pair(l, at, k);
    }
    return l->npairs ? compare(l, e) : 0;
}

/* Has block b a stream and a time that a suspect has? */
static bool worth_it(const struct look *l, const struct log_slice_dir *d, uint32_t b)
{
    uint32_t from, to;

    log_slice_streams(d, b, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        const struct log_slice_stream *s = &d->streams[i];
        int64_t mint = MAX(s->mint_ns, d->blocks[b].mint_ns), maxt = MIN(s->maxt_ns, d->blocks[b].maxt_ns);
        uint32_t k = lower(l, s->sid, mint);
        if (k < l->n && l->rows[k].sid == s->sid && l->rows[k].t_ns <= maxt)
            return true;
    }
    return false;
}

static int look_in_slice(struct look *l, uint32_t slice, struct err *e)
{
    const struct log_slice_dir *d;
    int rc = log_day_slice_dir(l->view, slice, &d, e);

    for (uint32_t b = 0; rc == 0 && b < d->nblocks; b++)
        if (worth_it(l, d, b))
            rc = look_in_block(l, d, slice, b, e);
    return rc;
}

int log_day_find_same(struct log_day_view *v, const struct log_suspect *rows, uint32_t n, bool *same, struct err *e)
{
    struct look l = {.view = v, .rows = rows, .n = n, .same = same};
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    int rc = 0;

    for (uint32_t i = 0; i < n; i++) {
        mint = MIN(mint, rows[i].t_ns);
        maxt = MAX(maxt, rows[i].t_ns);
    }
    for (uint32_t i = 0; n && rc == 0 && i < v->dir->nslices; i++) {
        const struct log_slice *s = v->dir->slices[i];
        if (s->mint_ns > maxt || s->maxt_ns < mint)
            continue;
        if (!l.block)
            l.block = log_block_new();
        rc = look_in_slice(&l, i, e);
        if (rc == ERR_CORRUPT) { /* what cannot be read is not there */
            log_error("logstore", "%s: looking for equal records: %s", partition_path(v->p), e->text);
            rc = 0;
        }
    }
    log_block_free(l.block);
    free(l.pairs);
    free(l.idx);
    free(l.found);
    return rc;
}
