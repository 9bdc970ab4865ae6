/*
 * day_dir.c - the directory of a day: which segments and slices there are. One small value, rewritten by every commit.
 *
 *   format  generation  next_blob
 *   nsegments  { blob  n  directory piece }*                            first_sid: the sum of those before
 *   nslices    { blob  flags  nrows  ncolumns  nsamples  bytes  mint (zigzag)  maxt - mint  directory piece }*
 *
 * All varints; a piece is offset and length.
 *
 * (1) A struct day_dir is immutable once published; a commit publishes a changed copy, which shares the segments and
 * slices. (2) Blob ids are never used again, so equal ids mean the same segment or slice for as long as the partition
 * is open.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

enum { SLICE_ASCENDING = 1 };

/* --- segments and slices ------------------------------------------------------------------------ */

struct segment *segment_new(const struct day_dir *d)
{
    struct segment *s = x_zalloc(sizeof *s);

    s->refs = 1;
    s->number = d->nsegments;
    s->first_sid = d->nseries;
    return s;
}

void segment_unref(struct segment *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    seg_dir_free(s->dir);
    segment_ids_free(s);
    free(s);
}

struct slice *slice_new(void)
{
    struct slice *s = x_zalloc(sizeof *s);

    s->refs = 1;
    return s;
}

void slice_unref(struct slice *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    slice_dir_free(s->dir);
    free(s->rows);
    free(s);
}

/* --- life ---------------------------------------------------------------------------------------- */

struct day_dir *dir_new(void)
{
    struct day_dir *d = x_zalloc(sizeof *d);

    d->refs = 1;
    return d;
}

struct day_dir *dir_ref(struct day_dir *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void dir_unref(struct day_dir *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < d->nsegments; i++)
        segment_unref(d->segments[i]);
    for (uint32_t i = 0; i < d->nslices; i++)
        slice_unref(d->slices[i]);
    free(d->segments);
    free(d->slices);
    free(d);
}

void dir_add_segment(struct day_dir *d, struct segment *s)
{
    d->segments = x_realloc(d->segments, (d->nsegments + 1) * sizeof *d->segments);
    if (s->number != d->nsegments ||
        s->first_sid != d->nseries) { /* one that is shared stands where it stood, and is not written to */
        s->number = d->nsegments;
        s->first_sid = d->nseries;
    }
    d->segments[d->nsegments++] = s;
    d->nseries += s->n;
}

void dir_add_slice(struct day_dir *d, uint32_t at, struct slice *s)
{
    assert(at <= d->nslices);
    d->slices = x_realloc(d->slices, (d->nslices + 1) * sizeof *d->slices);
    memmove(d->slices + at + 1, d->slices + at, (d->nslices - at) * sizeof *d->slices);
    d->slices[at] = s;
    d->nslices++;
}

void dir_drop_slice(struct day_dir *d, uint32_t at)
{
    assert(at < d->nslices);
    slice_unref(d->slices[at]);
    d->nslices--;
    memmove(d->slices + at, d->slices + at + 1, (d->nslices - at) * sizeof *d->slices);
}

struct segment *dir_segment_of(const struct day_dir *d, uint32_t sid)
{
    uint32_t lo = 0, hi = d->nsegments;

    assert(sid < d->nseries);
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (d->segments[mid]->first_sid <= sid)
            lo = mid;
        else
            hi = mid;
    }
    return d->segments[lo];
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static void put_piece(struct buf *b, struct piece p)
{
    buf_put_varint(b, p.at);
    buf_put_varint(b, p.n);
}

static struct piece get_piece(struct rd *r)
{
    struct piece p;

    p.at = rd_varint(r);
    p.n = rd_u32(r);
    return p;
}

void dir_encode(const struct day_dir *d, struct buf *out)
{
    buf_putc(out, DAY_FORMAT);
    buf_put_varint(out, d->generation);
    buf_put_varint(out, d->next_blob);
    buf_put_varint(out, d->nsegments);
    for (uint32_t i = 0; i < d->nsegments; i++) {
        buf_put_varint(out, d->segments[i]->blob);
        buf_put_varint(out, d->segments[i]->n);
        put_piece(out, d->segments[i]->dir_piece);
    }
    buf_put_varint(out, d->nslices);
    for (uint32_t i = 0; i < d->nslices; i++) {
        const struct slice *s = d->slices[i];

        buf_put_varint(out, s->blob);
        buf_put_varint(out, s->ascending ? SLICE_ASCENDING : 0);
        buf_put_varint(out, s->nrows);
        buf_put_varint(out, s->ncolumns);
        buf_put_varint(out, s->nsamples);
        buf_put_varint(out, s->bytes);
        buf_put_varint(out, zigzag(s->mint));
        buf_put_varint(out, (uint64_t)s->maxt - (uint64_t)s->mint);
        put_piece(out, s->dir_piece);
    }
}

static struct segment *known_segment(const struct day_dir *d, uint32_t blob)
{
    for (uint32_t i = 0; d && i < d->nsegments; i++)
        if (d->segments[i]->blob == blob) {
            atomic_fetch_add(&d->segments[i]->refs, 1);
            return d->segments[i];
        }
    return NULL;
}

static struct slice *known_slice(const struct day_dir *d, uint32_t blob)
{
    for (uint32_t i = 0; d && i < d->nslices; i++)
        if (d->slices[i]->blob == blob) {
            atomic_fetch_add(&d->slices[i]->refs, 1);
            return d->slices[i];
        }
    return NULL;
}

static bool has_blob(const struct day_dir *d, uint32_t blob)
{
    for (uint32_t i = 0; i < d->nsegments; i++)
        if (d->segments[i]->blob == blob)
            return true;
    for (uint32_t i = 0; i < d->nslices; i++)
        if (d->slices[i]->blob == blob)
            return true;
    return false;
}

static void parse_segment(struct rd *r, struct day_dir *d, const struct day_dir *known)
{
    uint32_t blob = rd_u32(r), n = rd_u32(r);
    struct piece dir_piece = get_piece(r);

    if (r->bad || n == 0 || (uint64_t)d->nseries + n >= DAY_NO_SID || blob >= d->next_blob || has_blob(d, blob)) {
        r->bad = true;
        return;
    }
    struct segment *s = known_segment(known, blob);
    if (!s) {
        s = segment_new(d);
        s->blob = blob;
        s->n = n;
        s->dir_piece = dir_piece;
    }
    if (s->number != d->nsegments || s->first_sid != d->nseries || s->n != n) { /* not the one we knew */
        r->bad = true;
        segment_unref(s);
        return;
    }
    dir_add_segment(d, s);
}

static void parse_slice(struct rd *r, struct day_dir *d, const struct day_dir *known)
{
    struct slice *s = slice_new();

    s->blob = rd_u32(r);
    uint64_t flags = rd_varint(r);
    s->ascending = flags & SLICE_ASCENDING;
    s->nrows = rd_u32(r);
    s->ncolumns = rd_u32(r);
    s->nsamples = rd_varint(r);
    s->bytes = rd_varint(r);
    s->mint = unzigzag(rd_varint(r));
    s->maxt = (int64_t)((uint64_t)s->mint + rd_varint(r));
    s->dir_piece = get_piece(r);
    if (r->bad || s->nrows == 0 || s->nrows > d->nseries || s->ncolumns > s->nrows || s->maxt < s->mint ||
        s->blob >= d->next_blob || has_blob(d, s->blob) || flags > SLICE_ASCENDING) {
        r->bad = true;
        slice_unref(s);
        return;
    }
    struct slice *same = known_slice(known, s->blob);
    if (same) {
        slice_unref(s);
        s = same;
    }
    dir_add_slice(d, d->nslices, s);
}

int dir_parse(struct str value, const struct day_dir *known, struct day_dir **out, struct err *e)
{
    struct rd r = rd_of(value);
    struct str format = rd_bytes(&r, 1);
    struct day_dir *d;

    if (!r.bad && format.p[0] != DAY_FORMAT)
        return err_set(e, ERR_UNSUPPORTED, "directory: format %d, this program knows %d", format.p[0], DAY_FORMAT);
    d = dir_new();
    d->generation = rd_varint(&r);
    d->next_blob = rd_u32(&r);
    for (uint32_t i = 0, n = rd_count(&r, 4); i < n && !r.bad; i++)
        parse_segment(&r, d, known);
    for (uint32_t i = 0, n = rd_count(&r, 10); i < n && !r.bad; i++)
        parse_slice(&r, d, known);
    if (r.bad || rd_left(&r) > 0) {
        dir_unref(d);
        return err_set(e, ERR_CORRUPT, "directory: not readable");
    }
    *out = d;
    return 0;
}
