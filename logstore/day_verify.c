/* day_verify.c - what fsck and the scrubber ask beyond checksums: that everything in a day fits together. */
#include "logstore/day_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct verify {
    struct log_day_view *view;
    struct log_block *block;
    void (*print)(void *arg, const char *line);
    void *arg;
    uint32_t findings;
    uint64_t counted_rows, counted_bytes; /* of a slice */
};

static void found(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void found(struct verify *v, const char *fmt, ...)
{
    char line[1400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    v->findings++;
    if (v->print)
        v->print(v->arg, line);
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

static void verify_block(struct verify *v, const struct log_slice_dir *d, uint32_t slice, uint32_t b)
{
    uint32_t id = log_day_slice(v->view, slice)->id;
    const uint32_t *sids;
    const int64_t *t;
    struct str bytes;
    struct err e = {0};

    if (log_day_filter(v->view, slice, b, &bytes, &e) < 0)
        found(v, "slice %u, filter %u: %s", id, b, e.text);
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
}

static int add_count(void *arg, const struct log_day_count *c)
{
    struct verify *v = arg;

    v->counted_rows += c->rows;
    v->counted_bytes += c->bytes;
    return 0;
}

static void verify_slice(struct verify *v, uint32_t i)
{
    const struct log_slice *s = log_day_slice(v->view, i);
    const struct log_slice_dir *d;
    struct err e = {0};

    if (log_day_slice_dir(v->view, i, &d, &e) < 0) {
        found(v, "slice %u: %s", s->id, e.text);
        return;
    }
    for (uint32_t k = 0; k < d->nstreams; k++)
        if (d->streams[k].sid >= log_day_nstreams(v->view)) {
            found(v, "slice %u: names stream %u of %u", s->id, d->streams[k].sid, log_day_nstreams(v->view));
            return;
        }
    v->counted_rows = v->counted_bytes = 0;
    if (log_day_minutes(v->view, i, add_count, v, &e) < 0)
        found(v, "slice %u: %s", s->id, e.text);
    else if (v->counted_rows != s->nrows || v->counted_bytes != s->bytes)
        found(v, "slice %u: counts of %llu records and %llu bytes, not %u and %llu", s->id, (unsigned long long)v->counted_rows,
              (unsigned long long)v->counted_bytes, s->nrows, (unsigned long long)s->bytes);
    for (uint32_t b = 0; b < d->nblocks; b++)
        verify_block(v, d, i, b);
}

int log_day_verify(struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct verify v = {.print = print, .arg = arg};
    const struct labels *ls;
    int rc = log_day_view_open(p, &v.view, e);

    if (rc < 0)
        return rc;
    v.block = log_block_new();
    for (uint32_t i = 0; i < log_day_nstreams(v.view); i++)
        if ((rc = log_day_stream(v.view, i, &ls, NULL, e)) < 0) {
            found(&v, "%s", e->text);
            break;
        }
    for (uint32_t i = 0; i < log_day_nslices(v.view); i++)
        verify_slice(&v, i);
    log_block_free(v.block);
    log_day_view_close(v.view);
    return v.findings ? err_set(e, ERR_CORRUPT, "partition %s: %u findings", partition_path(p), v.findings) : 0;
}
