/*
 * rewrite.c - slices of a day written anew: merged, cleaned, or densely into the file of a sealed day.
 *
 * (1) Slices that are merged are neighbours in order of arrival, and the result takes their place: of equal times the earlier
 * row stays the earlier. (2) What is held at once is bounded: MERGE_BYTES of rows and a block; a sealed day is written as slices
 * that follow each other in time, each of about that much (more only where one instant has more). (3) Of rows equal in all things
 * one is kept: there should be no two.
 */
#include "logstore/rewrite.h"

#include "logstore/day_file.h"

#include <assert.h>
#include <stdlib.h>

enum { MERGE_BYTES = 64 << 20, SMALL_BYTES = 8 << 20, RUN_MIN = 4 };

struct kept {
    int64_t t_ns;
    struct str line;
    const struct label *meta;
    uint32_t nmeta;
};

struct stream_rows {
    uint32_t sid, to_sid;
    const struct labels *labels;
    struct kept *rows;
    uint32_t n, cap;
    uint64_t raw_bytes;
};

struct rewrite {
    struct log_day_view *view;
    struct log_day_writer *writer;
    const struct log_day_filter *filter;
    bool same_file; /* sids stay */

    struct stream_rows *streams; /* in the order of labels */
    uint32_t nstreams, *place;   /* by sid: in streams, + 1 */
    struct arena arena;          /* of what rows point to */

    struct log_block *block;
    struct log_row *rows;
    uint32_t *idx;
    const struct label *last_meta, *last_copy;
    uint64_t dropped;
};

/* --- streams ------------------------------------------------------------------------------------------------ */

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct stream_rows *)a)->labels, ((const struct stream_rows *)b)->labels);
}

static int list_streams(struct rewrite *r, struct err *e)
{
    uint32_t n = log_day_nstreams(r->view);
    int rc = 0;

    r->nstreams = n;
    r->streams = x_zalloc((n + 1) * sizeof *r->streams);
    r->place = x_zalloc((n + 1) * sizeof *r->place);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        r->streams[i].sid = i;
        r->streams[i].to_sid = LOG_NO_SID;
        rc = log_day_stream(r->view, i, &r->streams[i].labels, NULL, e);
    }
    if (rc < 0)
        return rc;
    qsort(r->streams, n, sizeof *r->streams, by_labels);
    for (uint32_t i = 0; i < n; i++)
        r->place[r->streams[i].sid] = i + 1;
    return 0;
}

static void release(struct rewrite *r)
{
    for (uint32_t i = 0; r->streams && i < r->nstreams; i++)
        free(r->streams[i].rows);
    free(r->streams);
    free(r->place);
    arena_release(&r->arena);
    log_block_free(r->block);
    free(r->rows);
    free(r->idx);
    log_day_view_close(r->view);
    *r = (struct rewrite){0};
}

static void begin(struct rewrite *r)
{
    r->block = log_block_new();
    r->rows = x_alloc(LOG_BLOCK_ROWS_MAX * sizeof *r->rows);
    r->idx = x_alloc(LOG_BLOCK_ROWS_MAX * sizeof *r->idx);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

static const struct label *copy_meta(struct rewrite *r, const struct log_row *row)
{
    struct label *copy;

    if (row->nmeta == 0)
        return NULL;
    if (row->meta == r->last_meta)
        return r->last_copy;
    copy = arena_alloc(&r->arena, row->nmeta * sizeof *copy);
    for (uint32_t i = 0; i < row->nmeta; i++) {
        copy[i].name = arena_dup(&r->arena, row->meta[i].name);
        copy[i].value = arena_dup(&r->arena, row->meta[i].value);
    }
    r->last_meta = row->meta;
    r->last_copy = copy;
    return copy;
}

static void keep(struct rewrite *r, struct stream_rows *s, const struct log_row *row)
{
    struct kept *k;

    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->rows = x_realloc(s->rows, s->cap * sizeof *s->rows);
    }
    k = &s->rows[s->n++];
    *k = (struct kept){row->t_ns, arena_dup(&r->arena, row->line), copy_meta(r, row), row->nmeta};
    s->raw_bytes += row->line.n;
    for (uint32_t i = 0; i < row->nmeta; i++)
        s->raw_bytes += row->meta[i].name.n + row->meta[i].value.n;
}

/* Rows of the window that the block has; r->idx: their places. Returns how many. */
static uint32_t rows_between(struct rewrite *r, const int64_t *t, int64_t mint, int64_t maxt)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < log_block_n(r->block); i++)
        if (t[i] >= mint && t[i] <= maxt) {
            r->rows[n] = (struct log_row){.t_ns = t[i]};
            r->idx[n++] = i;
        }
    return n;
}

static bool is_deleted(const struct rewrite *r, const struct labels *ls, const struct log_row *row)
{
    return !r->filter->keep(r->filter->arg, ls, row->t_ns, row->line, row->meta, row->nmeta);
}

/* fn: each row of the block in the window, with its stream of the directory. */
static int read_block(struct rewrite *r, uint32_t slice, uint32_t b, int64_t mint, int64_t maxt,
                      void (*fn)(struct rewrite *r, struct stream_rows *s, const struct log_row *row), struct err *e)
{
    const struct log_slice_dir *d;
    const int64_t *t;
    struct str bytes;
    uint32_t from, to, first, end, n;
    int rc;

    if ((rc = log_day_slice_dir(r->view, slice, &d, e)) < 0 || (rc = log_day_block(r->view, slice, b, &bytes, e)) < 0 ||
        (rc = log_block_open(r->block, bytes, e)) < 0 || (rc = log_block_times(r->block, &t, e)) < 0)
        return rc;
    if (log_block_n(r->block) != d->blocks[b].nrows)
        return err_set(e, ERR_CORRUPT, "block %u: %u rows, not %u", b, log_block_n(r->block), d->blocks[b].nrows);
    n = rows_between(r, t, mint, maxt);
    if (n == 0)
        return 0;
    if ((rc = log_block_lines(r->block, r->idx, n, r->rows, e)) < 0 || (rc = log_block_meta(r->block, r->idx, n, r->rows, e)) < 0)
        return rc;
    r->last_meta = NULL;
    log_slice_streams(d, b, &from, &to);
    for (uint32_t i = from, k = 0; i < to; i++) {
        if (d->streams[i].sid >= r->nstreams)
            return err_set(e, ERR_CORRUPT, "slice %u names stream %u", slice, d->streams[i].sid);
        log_slice_rows(d, b, i, &first, &end);
        for (; k < n && r->idx[k] < end; k++)
            fn(r, &r->streams[r->place[d->streams[i].sid] - 1], &r->rows[k]);
    }
    return 0;
}

static void keep_row(struct rewrite *r, struct stream_rows *s, const struct log_row *row)
{
    if (r->filter && is_deleted(r, s->labels, row))
        r->dropped++;
    else
        keep(r, s, row);
}

static void count_deleted(struct rewrite *r, struct stream_rows *s, const struct log_row *row)
{
    r->dropped += is_deleted(r, s->labels, row);
}

static int read_slice(struct rewrite *r, uint32_t slice, int64_t mint, int64_t maxt,
                      void (*fn)(struct rewrite *r, struct stream_rows *s, const struct log_row *row), struct err *e)
{
    const struct log_slice_dir *d;
    int rc = log_day_slice_dir(r->view, slice, &d, e);

    for (uint32_t b = 0; rc == 0 && b < d->nblocks; b++)
        if (d->blocks[b].mint_ns <= maxt && d->blocks[b].maxt_ns >= mint)
            rc = read_block(r, slice, b, mint, maxt, fn, e);
    return rc < 0 ? err_ctx(e, "partition %s: slice %u", partition_path(log_day_view_partition(r->view)), log_day_slice(r->view, slice)->id) : 0;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void sort_rows(struct stream_rows *s)
{
    struct kept *tmp, *from = s->rows, *to, *swap;
    uint32_t i = 1, n = s->n;

    while (i < n && s->rows[i - 1].t_ns <= s->rows[i].t_ns)
        i++;
    if (i >= n)
        return;
    to = tmp = x_alloc(s->cap * sizeof *tmp);
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = MIN(lo + width, n), hi = MIN(lo + 2 * width, n), l = lo, r = mid;
            for (uint32_t k = lo; k < hi; k++)
                to[k] = l < mid && (r >= hi || from[l].t_ns <= from[r].t_ns) ? from[l++] : from[r++];
        }
        swap = from;
        from = to;
        to = swap;
    }
    s->rows = from;
    free(to);
}

static bool is_equal(const struct kept *a, const struct kept *b)
{
    if (a->t_ns != b->t_ns || a->nmeta != b->nmeta || !str_eq(a->line, b->line))
        return false;
    for (uint32_t i = 0; i < a->nmeta; i++)
        if (!str_eq(a->meta[i].name, b->meta[i].name) || !str_eq(a->meta[i].value, b->meta[i].value))
            return false;
    return true;
}

static void drop_equal(struct stream_rows *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        bool same = false;
        for (uint32_t k = n; k > 0 && s->rows[k - 1].t_ns == s->rows[i].t_ns && n - k < 64 && !same; k--)
            same = is_equal(&s->rows[k - 1], &s->rows[i]);
        if (!same)
            s->rows[n++] = s->rows[i];
    }
    s->n = n;
}

static int write_slice(struct rewrite *r, uint32_t place, struct err *e)
{
    int rc = 0;

    log_day_slice_begin(r->writer, place);
    for (uint32_t i = 0; i < r->nstreams && rc == 0; i++) {
        struct stream_rows *s = &r->streams[i];
        if (s->n == 0)
            continue;
        sort_rows(s);
        drop_equal(s);
        rc = log_day_slice_stream(r->writer, s->to_sid, s->n, s->raw_bytes, e);
        for (uint32_t k = 0; k < s->n && rc == 0; k++)
            rc = log_day_slice_row(r->writer, s->rows[k].t_ns, s->rows[k].line, s->rows[k].meta, s->rows[k].nmeta, e);
    }
    if (rc == 0)
        rc = log_day_slice_end(r->writer, e);
    for (uint32_t i = 0; i < r->nstreams; i++) {
        r->streams[i].n = 0;
        r->streams[i].raw_bytes = 0;
    }
    arena_reset(&r->arena);
    return rc;
}

/* Slices [first, end) of the view become one, in the same file. */
static int join(struct rewrite *r, uint32_t first, uint32_t end, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < r->nstreams; i++)
        r->streams[i].to_sid = r->streams[i].sid;
    for (uint32_t i = first; i < end && rc == 0; i++)
        rc = read_slice(r, i, INT64_MIN, INT64_MAX, keep_row, e);
    for (uint32_t i = first; i < end && rc == 0; i++)
        rc = log_day_write_drop_slice(r->writer, first, e);
    return rc < 0 ? rc : write_slice(r, first, e);
}

/* --- merge -------------------------------------------------------------------------------------------------------- */

/* The longest run of small neighbours that may be merged at once. */
static uint32_t find_small(const struct log_day_view *v, uint32_t *first)
{
    uint32_t best = 0, run = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < log_day_nslices(v); i++) {
        const struct log_slice *s = log_day_slice(v, i);
        bool small = s->raw_bytes < SMALL_BYTES;
        run = small ? run + 1 : 0;
        bytes = small ? bytes + s->raw_bytes : 0;
        while (bytes > MERGE_BYTES)
            bytes -= log_day_slice(v, i + 1 - run--)->raw_bytes;
        if (run > best) {
            best = run;
            *first = i + 1 - run;
        }
    }
    return best;
}

static int open_for_writing(struct rewrite *r, struct partition *p, struct err *e)
{
    int rc = log_day_write_begin(p, false, &r->writer, e);

    /* The view is taken now that nobody else can write: what it sees is what the writer starts from. */
    if (rc == 0 && (rc = log_day_view_open(p, &r->view, e)) == 0)
        rc = list_streams(r, e);
    begin(r);
    return rc;
}

int log_day_merge(struct partition *p, const struct log_day_filter *f, bool *did, struct err *e)
{
    struct rewrite r = {.filter = f};
    uint32_t first = 0, run;
    int rc;

    *did = false;
    if ((rc = log_day_view_open(p, &r.view, e)) < 0)
        return rc;
    run = find_small(r.view, &first);
    log_day_view_close(r.view);
    r.view = NULL;
    if (run < RUN_MIN)
        return 0;
    rc = open_for_writing(&r, p, e);
    if (rc == 0 && (run = find_small(r.view, &first)) >= RUN_MIN)
        rc = join(&r, first, first + run, e);
    if (rc == 0 && run >= RUN_MIN) {
        crash_point("logs_merge_before_commit");
        rc = log_day_write_commit(r.writer, 0, e);
        *did = rc == 0;
    } else {
        log_day_write_abort(r.writer);
    }
    release(&r);
    return rc;
}

/* --- deletes -------------------------------------------------------------------------------------------------------- */

/* May the slice hold deleted rows, and does it? */
static int holds_deleted(struct rewrite *r, uint32_t slice, bool *holds, struct err *e)
{
    const struct log_slice_dir *d;
    bool touched = false;
    int rc = log_day_slice_dir(r->view, slice, &d, e);

    *holds = false;
    for (uint32_t i = 0; rc == 0 && i < d->nstreams && !touched; i++)
        if (d->streams[i].sid < r->nstreams)
            touched = r->filter->touches(r->filter->arg, r->streams[r->place[d->streams[i].sid] - 1].labels, d->streams[i].mint_ns, d->streams[i].maxt_ns);
    if (rc < 0 || !touched)
        return rc;
    r->dropped = 0;
    rc = read_slice(r, slice, INT64_MIN, INT64_MAX, count_deleted, e);
    *holds = r->dropped > 0;
    return rc;
}

int log_day_holds_deleted(struct partition *p, const struct log_day_filter *f, bool *holds, struct err *e)
{
    struct rewrite r = {.filter = f};
    int rc;

    *holds = false;
    if ((rc = log_day_view_open(p, &r.view, e)) < 0)
        return rc;
    begin(&r);
    rc = list_streams(&r, e);
    for (uint32_t i = 0; rc == 0 && !*holds && i < log_day_nslices(r.view); i++)
        rc = holds_deleted(&r, i, holds, e);
    release(&r);
    return rc;
}

int log_day_clean(struct partition *p, const struct log_day_filter *f, bool *did, struct err *e)
{
    struct rewrite r = {.filter = f};
    uint32_t place = 0;
    bool holds;
    int rc = log_day_holds_deleted(p, f, did, e);

    if (rc < 0 || !*did)
        return rc;
    rc = open_for_writing(&r, p, e);
    for (uint32_t i = 0; rc == 0 && i < log_day_nslices(r.view); i++) {
        uint32_t before = log_day_write_nslices(r.writer);
        if ((rc = holds_deleted(&r, i, &holds, e)) < 0)
            break;
        if (!holds) {
            place++;
            continue;
        }
        for (uint32_t k = 0; k < r.nstreams; k++)
            r.streams[k].to_sid = r.streams[k].sid;
        if ((rc = read_slice(&r, i, INT64_MIN, INT64_MAX, keep_row, e)) == 0 && (rc = log_day_write_drop_slice(r.writer, place, e)) == 0)
            rc = write_slice(&r, place, e);
        place += log_day_write_nslices(r.writer) == before; /* one that lost all its rows leaves nothing */
    }
    if (rc == 0)
        rc = log_day_write_commit(r.writer, 0, e);
    else
        log_day_write_abort(r.writer);
    release(&r);
    return rc;
}

/* --- seal ------------------------------------------------------------------------------------------------------------ */

enum { DAY_MINUTES = 24 * 60 + 2 };
#define MINUTE_NS INT64_C(60000000000)
#define DAY_NS (24 * 60 * MINUTE_NS)

struct minute_bytes {
    int64_t first; /* minute of bytes[0] */
    uint64_t bytes[DAY_MINUTES];
};

static int add_bytes(void *arg, const struct log_day_count *c)
{
    struct minute_bytes *m = arg;
    int64_t at = c->minute - m->first;

    m->bytes[at < 0 ? 0 : at >= DAY_MINUTES ? DAY_MINUTES - 1 : at] += c->bytes + c->rows * 16;
    return 0;
}

/* Everything of the view in (mint, maxt] into one slice of the writer. */
static int write_window(struct rewrite *r, int64_t mint, int64_t maxt, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < log_day_nslices(r->view) && rc == 0; i++) {
        const struct log_slice *s = log_day_slice(r->view, i);
        if (s->mint_ns <= maxt && s->maxt_ns > mint)
            rc = read_slice(r, i, mint + 1, maxt, keep_row, e);
    }
    return rc < 0 ? rc : write_slice(r, UINT32_MAX, e);
}

/* The minutes [from, to), of some bytes: in one slice, or where a single minute has too many, in equal parts of it. */
static int write_minutes(struct rewrite *r, int64_t from, int64_t to, uint64_t bytes, struct err *e)
{
    int64_t parts = to - from == 1 ? (int64_t)MIN(bytes / MERGE_BYTES + 1, UINT64_C(60000)) : 1, span = (to - from) * MINUTE_NS;
    int rc = 0;

    for (int64_t i = 0; i < parts && rc == 0; i++)
        rc = write_window(r, from * MINUTE_NS + span / parts * i, i == parts - 1 ? to * MINUTE_NS : from * MINUTE_NS + span / parts * (i + 1), e);
    return rc < 0 ? rc : log_day_write_pause(r->writer, e);
}

static int write_sealed(struct rewrite *r, struct err *e)
{
    struct minute_bytes *m = x_zalloc(sizeof *m);
    uint64_t bytes = 0;
    int64_t from;
    int rc = 0;

    from = m->first = log_minute_of((int64_t)partition_day(log_day_view_partition(r->view)) * DAY_NS);
    for (uint32_t i = 0; rc == 0 && i < log_day_nslices(r->view); i++)
        rc = log_day_minutes(r->view, i, add_bytes, m, e);
    for (int64_t at = m->first; rc == 0 && at < m->first + DAY_MINUTES; at++) {
        uint64_t more = m->bytes[at - m->first];
        if (bytes && bytes + more > MERGE_BYTES) {
            rc = write_minutes(r, from, at, bytes, e);
            from = at;
            bytes = 0;
        }
        bytes += more;
    }
    if (rc == 0 && bytes)
        rc = write_minutes(r, from, m->first + DAY_MINUTES, bytes, e);
    free(m);
    return rc;
}

/* Streams that stay get their sids in the new file; in the order of labels. */
static void bring_streams(struct rewrite *r)
{
    bool is_new;

    for (uint32_t i = 0; i < r->nstreams; i++)
        r->streams[i].to_sid = log_day_write_sid(r->writer, labels_hash(r->streams[i].labels), r->streams[i].labels, &is_new);
}

int log_day_seal(struct partition *from, struct partition *to, const struct log_day_filter *f, struct err *e)
{
    struct rewrite r = {.filter = f};
    int rc;

    if ((rc = log_day_view_open(from, &r.view, e)) < 0)
        return rc;
    begin(&r);
    rc = list_streams(&r, e);
    if (rc == 0 && (rc = log_day_write_begin(to, true, &r.writer, e)) == 0) {
        bring_streams(&r);
        rc = write_sealed(&r, e);
        if (rc == 0)
            rc = log_day_write_commit(r.writer, partition_contained(from), e);
        else
            log_day_write_abort(r.writer);
    }
    release(&r);
    return rc;
}
