/*
 * day_dump.c - a day for human eyes (day_dump), and the walk over everything that says whether it is sound
 * (day_verify).
 *
 * Checksums say that bytes are those that were written. The walk says that what was written makes sense: every label,
 * posting, row and time is read by the same code that queries use, and parts that must agree are compared.
 */
#include "tsdb/day_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct out {
    struct day_view *v;
    void (*print)(void *arg, const char *line);
    void *arg;
    struct buf line;
    uint32_t nbad, nblocks;
    uint64_t nsamples;
};

static void say(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct out *o, const char *fmt, ...)
{
    char text[1400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (o->print)
        o->print(o->arg, text);
}

static void bad(struct out *o, const struct err *e)
{
    o->nbad++;
    say(o, "%s", e->text);
}

/* --- verify -------------------------------------------------------------------------------------------- */

/* Counts per value id how many rows of the groups have it, and compares with the postings. */
static int check_label(struct out *o, struct segment *s, const struct seg_dir *d, uint32_t label, struct err *e)
{
    const struct seg_label *l = &d->labels[label];
    size_t want_words = (l->nvalues + 63) / 64, row_words = ((size_t)s->n + 63) / 64;
    uint64_t *want = x_alloc(want_words * 8), *rows = x_zalloc(row_words * 8);
    const struct str *values;
    uint32_t have = 0, n;
    int rc = 0;

    memset(want, 0xff, want_words * 8);
    for (uint32_t b = 0; b < l->nvalue_blocks && rc == 0; b++)
        rc = seg_value_block(o->v, s, label, b, &values, &n, e);
    if (rc == 0)
        rc = seg_postings(o->v, s, label, want, rows, e);
    for (size_t i = 0; i < row_words; i++)
        have += (uint32_t)__builtin_popcountll(rows[i]);
    if (rc == 0 && have != l->nrows)
        rc = err_set(e, ERR_CORRUPT, "label %.*s: %u series by its postings, %u by its directory", STR_ARG(l->name),
                     have, l->nrows);
    for (uint32_t g = 0; g < d->ngroups && rc == 0; g++) {
        const struct row_group *group;
        uint32_t column = UINT32_MAX;

        rc = seg_group(o->v, s, g, &group, e);
        for (uint32_t i = 0; rc == 0 && i < group->ncolumns; i++)
            if (group->columns[i].label == label)
                column = i;
        for (uint32_t i = 0; rc == 0 && i < group->nrows; i++) {
            uint32_t row = g * GROUP_ROWS + i;
            bool has = column != UINT32_MAX && group_id(&group->columns[column], i) != 0;

            if (has != (rows[row / 64] >> (row & 63) & 1))
                rc =
                    err_set(e, ERR_CORRUPT, "label %.*s: postings and columns differ at row %u", STR_ARG(l->name), row);
        }
    }
    free(want);
    free(rows);
    return rc;
}

static void verify_segment(struct out *o, struct segment *s)
{
    const struct seg_dir *d;
    struct err e;
    int rc = segment_dir(o->v, s, &d, &e);

    for (uint32_t i = 0; rc == 0 && i < d->nlabels; i++)
        rc = check_label(o, s, d, i, &e);
    if (rc < 0) {
        segment_err(s, &e);
        bad(o, &e);
    }
}

static bool ascending(const int64_t *t, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (t[i] <= t[i - 1])
            return false;
    return true;
}

static int verify_times(struct out *o, struct slice *s, const struct slice_dir *d, uint32_t *lengths, struct err *e)
{
    struct blob_reader blob = {.view = o->v, .id = s->blob};
    struct unpacker *u = unpacker_new();
    struct times_chunk *c = x_zalloc(sizeof *c);
    struct buf copy = {0};
    struct str bytes;
    uint32_t column = 0;
    int rc = 0;

    for (uint32_t i = 0; i < d->ntimes && rc == 0; i++) {
        if ((rc = blob_get(&blob, d->times[i], &copy, &bytes, e)) < 0 || (rc = times_read(c, u, bytes, e)) < 0)
            break;
        for (uint32_t k = 0; k < c->ncolumns && rc == 0; k++) {
            int64_t *t = x_alloc(c->columns[k].n * sizeof *t);

            if (column == s->ncolumns || times_column(c, k, t) < 0)
                rc = err_set(e, ERR_CORRUPT, "time column %u: not readable", column);
            else if (!ascending(t, c->columns[k].n))
                rc = err_set(e, ERR_CORRUPT, "time column %u: times are not in order", column);
            else if (t[0] < s->mint || t[c->columns[k].n - 1] > s->maxt)
                rc = err_set(e, ERR_CORRUPT, "time column %u lies outside its slice", column);
            else
                lengths[column++] = c->columns[k].n;
            free(t);
        }
    }
    if (rc == 0 && column != s->ncolumns)
        rc = err_set(e, ERR_CORRUPT, "%u time columns of %u", column, s->ncolumns);
    buf_release(&copy);
    buf_release(&c->raw);
    free(c);
    unpacker_free(u);
    return rc;
}

/* Decodes a row; the values and histograms, from a, go to *v and *h (NULL: all floats). */
static int decode_row(const struct block *b, uint32_t i, struct arena *a, double **v, const struct histogram ***h)
{
    const struct row *r = &b->rows[i];
    int64_t *st = arena_array(a, int64_t, r->n);

    *v = arena_array(a, double, r->n);
    *h = NULL;
    if (!(r->flags & ROW_HAS_HISTS))
        return block_row(b, i, r->n, *v, st);
    *h = arena_alloc(a, r->n * sizeof **h);
    return block_row_hists(b, i, r->n, a, *v, st, *h);
}

static int verify_block(struct out *o, struct slice *s, const struct block *b, const uint32_t *lengths,
                        uint64_t *nsamples, struct err *e)
{
    for (uint32_t i = 0; i < b->nrows; i++) {
        const struct row *r = &b->rows[i];

        if (r->sid >= o->v->dir->nseries || r->column >= s->ncolumns || lengths[r->column] != r->n)
            return err_set(e, ERR_CORRUPT, "row %u: series %u, column %u, %u samples do not fit the day", i, r->sid,
                           r->column, r->n);
        const struct histogram **h;
        struct arena a = {0};
        double *v;
        int rc = decode_row(b, i, &a, &v, &h);
        arena_release(&a);
        if (rc < 0)
            return err_set(e, ERR_CORRUPT, "row %u (series %u) does not decode", i, r->sid);
        *nsamples += r->n;
    }
    return 0;
}

static void verify_slice(struct out *o, struct slice *s)
{
    struct blob_reader blob = {.view = o->v, .id = s->blob};
    struct unpacker *u = unpacker_new();
    uint32_t *lengths = x_zalloc((s->ncolumns + 1) * sizeof *lengths);
    const struct slice_dir *d = NULL;
    struct block block = {0};
    struct buf copy = {0};
    struct str bytes;
    uint64_t nsamples = 0;
    struct err e;
    int rc = slice_dir(o->v, s, &d, &e);

    if (rc == 0 && (rc = verify_times(o, s, d, lengths, &e)) < 0)
        slice_err(s, &e);
    for (uint32_t i = 0; rc == 0 && i < d->nblocks; i++) {
        if ((rc = blob_get(&blob, d->blocks[i].piece, &copy, &bytes, &e)) < 0 ||
            (rc = block_read(&block, u, bytes, &e)) < 0 ||
            (rc = verify_block(o, s, &block, lengths, &nsamples, &e)) < 0) {
            err_ctx(&e, "block %u", i);
            slice_err(s, &e);
        }
    }
    o->nblocks += d ? d->nblocks : 0;
    o->nsamples += nsamples;
    if (rc == 0 && nsamples != s->nsamples) {
        rc = err_set(&e, ERR_CORRUPT, "%" PRIu64 " samples, the directory says %" PRIu64, nsamples, s->nsamples);
        slice_err(s, &e);
    }
    if (rc < 0)
        bad(o, &e);
    unpacker_free(u);
    block_release(&block);
    buf_release(&copy);
    free(lengths);
}

int day_verify(struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct out o = {.print = print, .arg = arg};
    int rc = day_view_open(p, &o.v, e);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < o.v->dir->nsegments; i++) {
        pthread_mutex_lock(&o.v->mu);
        verify_segment(&o, o.v->dir->segments[i]);
        pthread_mutex_unlock(&o.v->mu);
    }
    for (uint32_t i = 0; i < o.v->dir->nslices; i++)
        verify_slice(&o, o.v->dir->slices[i]);
    if (o.nbad == 0)
        say(&o, "%s: good, inside: %u series in %u segments, %u slices, %u blocks and %" PRIu64 " samples decoded; postings, order of time and totals agree",
            partition_path(p), o.v->dir->nseries, o.v->dir->nsegments, o.v->dir->nslices, o.nblocks, o.nsamples);
    day_view_close(o.v);
    return o.nbad ? err_set(e, ERR_CORRUPT, "%u damaged parts", o.nbad) : 0;
}

/* --- dump ----------------------------------------------------------------------------------------------- */

static int dump_segment(struct out *o, struct segment *s, struct err *e)
{
    const struct seg_dir *d;
    int rc = segment_dir(o->v, s, &d, e);

    if (rc < 0)
        return rc;
    uint64_t groups = 0;
    for (uint32_t g = 0; g < d->ngroups; g++)
        groups += d->groups[g].n;
    say(o, "segment %u: blob %u, series %u..%u, %u labels, %u groups in %" PRIu64 " bytes, directory %u bytes",
        s->number, s->blob, s->first_sid, s->first_sid + s->n - 1, d->nlabels, d->ngroups, groups, s->dir_piece.n);
    for (uint32_t i = 0; i < d->nlabels; i++) {
        const struct seg_label *l = &d->labels[i];
        uint64_t values = 0, postings = 0;

        for (uint32_t k = 0; k < l->nvalue_blocks; k++)
            values += l->value_blocks[k].piece.n;
        for (uint32_t k = 0; k < l->nposting_blocks; k++)
            postings += l->posting_blocks[k].piece.n;
        say(o, "  label %.*s: %u series, %u values in %" PRIu64 " bytes, postings in %" PRIu64, STR_ARG(l->name),
            l->nrows, l->nvalues, values, postings);
    }
    return 0;
}

static void put_hist(struct buf *b, const struct histogram *h)
{
    char text[NUM_MAX];

    if (hist_stale(h)) {
        buf_putz(b, "{stale}");
        return;
    }
    buf_printf(b, "{schema %d count ", h->schema);
    buf_put(b, text, num_fmt_g(h->count, text));
    buf_putz(b, " sum ");
    buf_put(b, text, num_fmt_g(h->sum, text));
    buf_printf(b, " buckets %u}", h->npos + h->nneg + (h->zero_count != 0));
}

static void dump_series(struct out *o, const struct block *b, uint32_t i, struct err *e)
{
    const struct row *r = &b->rows[i];
    const struct histogram **h;
    struct arena a = {0};
    struct labels ls;
    double *v;

    buf_reset(&o->line);
    if (r->sid < o->v->dir->nseries && day_view_labels(o->v, r->sid, &a, &ls, e) == 0)
        labels_print(&o->line, &ls);
    else
        buf_putz(&o->line, "(labels not readable)");
    say(o, "      series %u %s: column %u, %u samples%s, %s", r->sid, buf_z(&o->line), r->column, r->n,
        r->flags & ROW_HAS_ST ? " with start times" : "",
        r->flags & ROW_HAS_HISTS ? "histograms" : values_kind_name(b->in.code[r->code]));
    buf_reset(&o->line);
    if (decode_row(b, i, &a, &v, &h) == 0)
        for (uint32_t k = 0; k < r->n && o->line.n < 1200; k++) {
            char text[NUM_MAX];

            buf_putc(&o->line, ' ');
            if (h && h[k])
                put_hist(&o->line, h[k]);
            else
                buf_put(&o->line, text, num_fmt_g(v[k], text));
        }
    say(o, "       %s", buf_z(&o->line));
    arena_release(&a);
}

static int dump_slice(struct out *o, struct slice *s, bool samples, struct err *e)
{
    struct blob_reader blob = {.view = o->v, .id = s->blob};
    struct unpacker *u = unpacker_new();
    const struct slice_dir *d;
    struct block block = {0};
    struct buf copy = {0};
    struct str bytes;
    char from[64], to[64];
    int rc = slice_dir(o->v, s, &d, e);

    from[time_fmt_rfc3339(s->mint, from)] = '\0';
    to[time_fmt_rfc3339(s->maxt, to)] = '\0';
    say(o, "slice: blob %u, %s .. %s, %u series, %" PRIu64 " samples, %u time columns, %" PRIu64 " bytes%s", s->blob,
        from, to, s->nrows, s->nsamples, s->ncolumns, s->bytes, s->ascending ? "" : ", series not in order of sid");
    for (uint32_t i = 0; rc == 0 && i < d->ntimes; i++)
        say(o, "  times %u: %u bytes", i, d->times[i].n);
    for (uint32_t i = 0; rc == 0 && i < d->nblocks; i++) {
        if ((rc = blob_get(&blob, d->blocks[i].piece, &copy, &bytes, e)) < 0 ||
            (rc = block_read(&block, u, bytes, e)) < 0) {
            err_ctx(e, "block %u", i);
            break;
        }
        say(o, "  block %u: %u series from %u, %u bytes; head %zu, values %zu unpacked", i, block.nrows,
            block.rows[0].sid, d->blocks[i].piece.n, block.head.n, block.bits.n);
        for (uint32_t k = 0; samples && k < block.nrows; k++)
            dump_series(o, &block, k, e);
    }
    unpacker_free(u);
    block_release(&block);
    buf_release(&copy);
    return rc < 0 ? slice_err(s, e) : 0;
}

int day_dump(struct partition *p, bool samples, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct out o = {.print = print, .arg = arg};
    int rc = day_view_open(p, &o.v, e);

    if (rc < 0)
        return rc;
    const struct day_dir *d = o.v->dir;
    say(&o, "directory: format %d, generation %" PRIu64 ", %u series, %u segments, %u slices, next blob %u", DAY_FORMAT,
        d->generation, d->nseries, d->nsegments, d->nslices, d->next_blob);
    for (uint32_t i = 0; i < d->nsegments && rc == 0; i++)
        rc = dump_segment(&o, d->segments[i], e);
    for (uint32_t i = 0; i < d->nslices && rc == 0; i++)
        rc = dump_slice(&o, d->slices[i], samples, e);
    buf_release(&o.line);
    day_view_close(o.v);
    return rc;
}
