/*
 * day_verify.c - what fsck asks beyond checksums: that everything in a day fits together.
 *
 * (1) Every block decodes to the last line; its records are of the streams and in the order of time that the directory of the
 *     slice says; those streams are known.
 * (2) Counts by stream, level and minute are those of the records. Both are added up under a hash of level and minute, so that a
 *     slice with any number of them is compared in memory for its streams.
 * (3) The token filter of a block lets every line of it pass, and the directory names all metadata it has: what does not would hide
 *     records from queries.
 */
#include "logstore/day_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct verify {
    struct log_day_view *view;
    struct log_block *block;
    void (*print)(void *arg, const char *line);
    void *arg;
    uint32_t findings, nslices, nblocks;
    uint64_t nrows;
    /* Of a slice. */
    uint64_t counted_rows, counted_bytes;
    struct sums *counted, *met; /* by stream of the day: by its counts, by its records; (2) */
    struct log_row *rows;       /* of a block */
    uint32_t *all;              /* 0, 1, 2, ... */
};

struct sums {
    uint64_t rows, bytes;
};

static void sums_add(struct sums *s, struct str level, int64_t minute, uint64_t rows, uint64_t bytes)
{
    uint64_t h = (hash64(level.p, level.n) ^ (uint64_t)minute * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

    h = (h ^ h >> 32) | 1;
    s->rows += h * rows;
    s->bytes += h * bytes;
}

static void said(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void found(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void print_line(struct verify *v, const char *fmt, va_list ap)
{
    char line[5000];

    vsnprintf(line, sizeof line, fmt, ap);
    if (v->print)
        v->print(v->arg, line);
}

static void said(struct verify *v, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_line(v, fmt, ap);
    va_end(ap);
}

static void found(struct verify *v, const char *fmt, ...)
{
    va_list ap;

    v->findings++;
    va_start(ap, fmt);
    print_line(v, fmt, ap);
    va_end(ap);
}

static void verify_times(struct verify *v, const struct log_slice_dir *d, uint32_t slice, uint32_t b, const int64_t *t)
{
    uint32_t from, to, first, end;

    log_slice_streams(d, b, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        log_slice_rows(d, b, i, &first, &end);
        for (uint32_t k = first; k < end; k++)
            if (t[k] < d->streams[i].mint_ns || t[k] > d->streams[i].maxt_ns || t[k] < d->blocks[b].mint_ns || t[k] > d->blocks[b].maxt_ns ||
                (k > first && t[k] < t[k - 1])) {
                found(v, "slice %u, block %u, row %u: a time where it cannot be", slice, b, k);
                return;
            }
    }
}

static void verify_streams(struct verify *v, const struct log_slice_dir *d, uint32_t slice, uint32_t b, const uint32_t *sids)
{
    uint32_t from, to, first, end;

    log_slice_streams(d, b, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        log_slice_rows(d, b, i, &first, &end);
        for (uint32_t k = first; k < end; k++)
            if (sids[k] != d->streams[i].sid) {
                found(v, "slice %u, block %u, row %u: of stream %u, not %u", slice, b, k, sids[k], d->streams[i].sid);
                return;
            }
    }
}

static struct str level_of(const struct log_row *row)
{
    for (uint32_t i = 0; i < row->nmeta; i++)
        if (str_eqz(row->meta[i].name, "detected_level"))
            return row->meta[i].value;
    return STR("");
}

static bool names_known(const struct log_slice_dir *d, uint32_t b, const struct log_row *row)
{
    for (uint32_t i = 0; i < row->nmeta; i++)
        if (!log_slice_has_meta(d, b, row->meta[i].name))
            return false;
    return true;
}

/* (2), (3): of the open block. filter.p NULL: it could not be read. */
static void verify_rows(struct verify *v, const struct log_slice_dir *d, uint32_t slice, uint32_t b, const uint32_t *sids, const int64_t *t,
                        struct str filter)
{
    uint32_t n = log_block_n(v->block), hidden = 0, nameless = 0;
    struct err e = {0};

    memset(v->rows, 0, n * sizeof *v->rows);
    if (log_block_lines(v->block, v->all, n, v->rows, &e) < 0 || log_block_meta(v->block, v->all, n, v->rows, &e) < 0) {
        found(v, "slice %u, block %u: %s", slice, b, e.text);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct log_hint hint = {.kind = LOG_HINT_LINE, .values = &v->rows[i].line, .nvalues = 1};

        sums_add(&v->met[sids[i]], level_of(&v->rows[i]), log_minute_of(t[i]), 1, v->rows[i].line.n);
        hidden += filter.p && !log_filter_may_match(filter, &hint, 1);
        nameless += !names_known(d, b, &v->rows[i]);
    }
    if (hidden)
        found(v, "slice %u, filter %u: hides %u of %u records", slice, b, hidden, n);
    if (nameless)
        found(v, "slice %u, block %u: %u of %u records have metadata that the directory does not name", slice, b, nameless, n);
}

static void verify_block(struct verify *v, const struct log_slice_dir *d, uint32_t slice, uint32_t b)
{
    uint32_t id = log_day_slice(v->view, slice)->id, before = v->findings;
    struct str bytes, filter = STR_NULL;
    const uint32_t *sids;
    const int64_t *t;
    struct err e = {0};

    v->nblocks++;
    if (log_day_filter(v->view, slice, b, &filter, &e) < 0) {
        found(v, "slice %u, filter %u: %s", id, b, e.text);
        filter = STR_NULL;
    }
    if (log_day_block(v->view, slice, b, &bytes, &e) < 0 || log_block_open(v->block, bytes, &e) < 0 || log_block_verify(v->block, &e) < 0 ||
        log_block_times(v->block, &t, &e) < 0 || log_block_streams(v->block, &sids, &e) < 0) {
        found(v, "slice %u, block %u: %s", id, b, e.text);
        return;
    }
    if (log_block_n(v->block) != d->blocks[b].nrows) {
        found(v, "slice %u, block %u: %u rows, not %u", id, b, log_block_n(v->block), d->blocks[b].nrows);
        return;
    }
    verify_times(v, d, id, b, t);
    verify_streams(v, d, id, b, sids);
    if (v->findings == before + (filter.p == NULL)) /* streams are those of the directory: they have sums */
        verify_rows(v, d, id, b, sids, t, filter);
    v->nrows += log_block_n(v->block);
}

static int add_count(void *arg, const struct log_day_count *c)
{
    struct verify *v = arg;

    v->counted_rows += c->rows;
    v->counted_bytes += c->bytes;
    if (c->sid < log_day_nstreams(v->view))
        sums_add(&v->counted[c->sid], c->level, c->minute, c->rows, c->bytes);
    return 0;
}

static void compare_counts(struct verify *v, const struct log_slice_dir *d, uint32_t slice)
{
    for (uint32_t i = 0; i < d->nstreams; i++) {
        uint32_t sid = d->streams[i].sid;

        if (v->counted[sid].rows != v->met[sid].rows || v->counted[sid].bytes != v->met[sid].bytes)
            found(v, "slice %u: the counts by minute of stream %u are not those of its records", slice, sid);
    }
}

static void verify_slice(struct verify *v, uint32_t i)
{
    const struct log_slice *s = log_day_slice(v->view, i);
    const struct log_slice_dir *d;
    struct err e = {0};
    uint32_t findings;

    if (log_day_slice_dir(v->view, i, &d, &e) < 0) {
        found(v, "slice %u: %s", s->id, e.text);
        return;
    }
    for (uint32_t k = 0; k < d->nstreams; k++)
        if (d->streams[k].sid >= log_day_nstreams(v->view)) {
            found(v, "slice %u: names stream %u of %u", s->id, d->streams[k].sid, log_day_nstreams(v->view));
            return;
        }
    v->nslices++;
    v->counted_rows = v->counted_bytes = 0;
    memset(v->counted, 0, log_day_nstreams(v->view) * sizeof *v->counted);
    memset(v->met, 0, log_day_nstreams(v->view) * sizeof *v->met);
    if (log_day_minutes(v->view, i, add_count, v, &e) < 0)
        found(v, "slice %u: %s", s->id, e.text);
    else if (v->counted_rows != s->nrows || v->counted_bytes != s->bytes)
        found(v, "slice %u: counts of %llu records and %llu bytes, not %u and %llu", s->id, (unsigned long long)v->counted_rows,
              (unsigned long long)v->counted_bytes, s->nrows, (unsigned long long)s->bytes);
    findings = v->findings;
    for (uint32_t b = 0; b < d->nblocks; b++)
        verify_block(v, d, i, b);
    if (v->findings == findings) /* else the records are not all there to be counted */
        compare_counts(v, d, s->id);
}

static void verify_slices(struct verify *v)
{
    uint32_t nstreams = log_day_nstreams(v->view);

    v->block = log_block_new();
    v->counted = x_zalloc((nstreams + 1) * sizeof *v->counted);
    v->met = x_zalloc((nstreams + 1) * sizeof *v->met);
    v->rows = x_alloc(LOG_BLOCK_ROWS_MAX * sizeof *v->rows);
    v->all = x_alloc(LOG_BLOCK_ROWS_MAX * sizeof *v->all);
    for (uint32_t i = 0; i < LOG_BLOCK_ROWS_MAX; i++)
        v->all[i] = i;
    for (uint32_t i = 0; i < log_day_nslices(v->view); i++)
        verify_slice(v, i);
    log_block_free(v->block);
    free(v->counted);
    free(v->met);
    free(v->rows);
    free(v->all);
}

int log_day_verify(struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct verify v = {.print = print, .arg = arg};
    const struct labels *ls;
    int rc = log_day_view_open(p, &v.view, e);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < log_day_nstreams(v.view); i++)
        if ((rc = log_day_stream(v.view, i, &ls, NULL, e)) < 0) {
            found(&v, "%s", e->text);
            break;
        }
    verify_slices(&v);
    if (v.findings == 0)
        said(&v, "%s: good, inside: %u streams, %u slices, %u blocks and %llu records decoded; order of time, counts by minute and filters agree",
             partition_path(p), log_day_nstreams(v.view), v.nslices, v.nblocks, (unsigned long long)v.nrows);
    log_day_view_close(v.view);
    return v.findings ? err_set(e, ERR_CORRUPT, "partition %s: %u findings", partition_path(p), v.findings) : 0;
}
