/*
 * rollup_read.c - the buckets of one series after the other, of one day of aggregates.
 *
 * A day of buckets is a few dozen numbers a column, so what is spent for each row counts: all columns of a day stand in the
 * order of sids, and the row wanted is nearly always the next one. Times are decoded once for all series that share them,
 * and only for the columns whose times are their own (the first samples) or that come first.
 *
 * (1) A slice of aggregates has its sids ascending: it was written so.
 * (2) Columns beside t_last have the same length and the same times, so the window cuts them alike.
 * (3) No more than TIMES_BYTES_MAX of decoded times are kept from one series to the next.
 */
#include "tsdb/rollup_read.h"

#include "tsdb/day_file.h"

#include <stdlib.h>

enum { TIMES_BYTES_MAX = 4 << 20 };

struct rollup_times {
    int64_t *t;
    uint32_t n, from, to; /* the window in it */
};

/* One column. */
struct rollup_col {
    struct slice *s; /* NULL: not opened yet */
    const struct slice_dir *dir;
    struct blob_reader blob;
    struct block block;
    uint32_t block_no, next_row; /* UINT32_MAX: none */
    struct rollup_times *times;  /* of each time column; t NULL: not decoded yet */
    double *v;
    uint32_t cap;
};

struct rollup_reader {
    struct day_view *view;
    struct rollup_about about;
    int64_t mint, maxt;
    struct unpacker *unpacker;
    struct buf copy;
    struct times_chunk *chunk; /* the one decoded last */
    uint64_t chunk_id;         /* its slice's blob and number; 0: none */
    size_t times_bytes;
    uint64_t blocks_read;
    struct rollup_col columns[ROLLUP_COLUMNS];
    struct arena hists; /* of the series at hand */
};

struct rollup_reader *rollup_reader_new(struct day_view *v, const struct rollup_about *about, int64_t mint,
                                        int64_t maxt, struct unpacker *u)
{
    struct rollup_reader *r = x_zalloc(sizeof *r);

    r->view = v;
    r->about = *about;
    r->mint = mint;
    r->maxt = maxt;
    r->unpacker = u;
    return r;
}

static void drop_times(struct rollup_reader *r)
{
    for (unsigned c = 0; c < ROLLUP_COLUMNS; c++) {
        struct rollup_col *col = &r->columns[c];

        for (uint32_t i = 0; col->s && i < col->s->ncolumns; i++)
            free(col->times[i].t);
        if (col->s)
            memset(col->times, 0, col->s->ncolumns * sizeof *col->times);
    }
    r->times_bytes = 0;
}

void rollup_reader_free(struct rollup_reader *r)
{
    if (!r)
        return;
    drop_times(r);
    for (unsigned c = 0; c < ROLLUP_COLUMNS; c++) {
        block_release(&r->columns[c].block);
        free(r->columns[c].times);
        free(r->columns[c].v);
    }
    if (r->chunk)
        buf_release(&r->chunk->raw);
    free(r->chunk);
    buf_release(&r->copy);
    arena_release(&r->hists);
    free(r);
}

void rollup_reader_blocks(const struct rollup_reader *r, uint64_t *read, uint64_t *all)
{
    *read += r->blocks_read;
    for (unsigned c = 0; c < ROLLUP_COLUMNS; c++)
        *all += r->columns[c].s ? r->columns[c].dir->nblocks : 0;
}

static int open_column(struct rollup_reader *r, enum rollup_column c, struct err *e)
{
    struct rollup_col *col = &r->columns[c];
    uint32_t at = (uint32_t)__builtin_popcount(r->about.columns & ((1u << c) - 1));
    struct slice *s = r->view->dir->slices[at];
    int rc = slice_dir(r->view, s, &col->dir, e);

    if (rc < 0)
        return rc;
    if (!s->ascending)
        return err_set(e, ERR_CORRUPT, "aggregates out of order");
    col->s = s;
    col->blob = (struct blob_reader){.view = r->view, .id = s->blob};
    col->block_no = UINT32_MAX;
    col->times = x_zalloc((s->ncolumns + (size_t)1) * sizeof *col->times);
    return 0;
}

/* --- times ------------------------------------------------------------------------------------------------- */

static int load_chunk(struct rollup_reader *r, struct rollup_col *col, uint32_t no, struct err *e)
{
    uint64_t id = (uint64_t)col->s->blob << 32 | (no + 1);
    struct str bytes;

    if (r->chunk_id == id)
        return 0;
    if (!r->chunk)
        r->chunk = x_zalloc(sizeof *r->chunk);
    r->chunk_id = 0;
    if (no >= col->dir->ntimes)
        return err_set(e, ERR_CORRUPT, "times %u of %u", no, col->dir->ntimes);
    if (blob_get(&col->blob, col->dir->times[no], &r->copy, &bytes, e) < 0 ||
        times_read(r->chunk, r->unpacker, bytes, e) < 0)
        return e->code;
    r->chunk_id = id;
    return 0;
}

static int get_times(struct rollup_reader *r, struct rollup_col *col, uint32_t no, const struct rollup_times **out,
                     struct err *e)
{
    struct rollup_times *t;
    uint32_t i = no % TIMES_CHUNK_COLUMNS;
    int rc;

    if (no >= col->s->ncolumns)
        return err_set(e, ERR_CORRUPT, "time column %u of %u", no, col->s->ncolumns);
    t = &col->times[no];
    *out = t;
    if (t->t)
        return 0;
    if ((rc = load_chunk(r, col, no / TIMES_CHUNK_COLUMNS, e)) < 0)
        return rc;
    if (i >= r->chunk->ncolumns)
        return err_set(e, ERR_CORRUPT, "time column %u is not in its chunk", no);
    t->n = r->chunk->columns[i].n;
    t->t = x_alloc((t->n + (size_t)1) * sizeof *t->t);
    r->times_bytes += t->n * sizeof *t->t;
    if (times_column(r->chunk, i, t->t) < 0) {
        free(t->t);
        t->t = NULL;
        return err_set(e, ERR_CORRUPT, "time column %u: not readable", no);
    }
    for (t->from = 0; t->from < t->n && t->t[t->from] < r->mint;)
        t->from++;
    for (t->to = t->n; t->to > t->from && t->t[t->to - 1] > r->maxt;)
        t->to--;
    return 0;
}

/* --- rows -------------------------------------------------------------------------------------------------- */

static int load_block(struct rollup_reader *r, struct rollup_col *col, uint32_t no, struct err *e)
{
    const struct block_ref *b = &col->dir->blocks[no];
    struct str bytes;
    int rc;

    if (col->block_no == no)
        return 0;
    col->block_no = UINT32_MAX;
    if ((rc = blob_get(&col->blob, b->piece, &r->copy, &bytes, e)) < 0)
        return rc;
    if ((rc = block_read(&col->block, r->unpacker, bytes, e)) < 0)
        return err_ctx(e, "block %u", no);
    if (col->block.nrows != b[1].first_row - b->first_row || col->block.rows[0].sid != b->first_sid)
        return err_set(e, ERR_CORRUPT, "block %u is not the one the directory means", no);
    col->block_no = no;
    col->next_row = 0;
    r->blocks_read++;
    return 0;
}

/* Loads the block that would hold sid, and finds the row in it; >0: there is none. */
static int search(struct rollup_reader *r, struct rollup_col *col, uint32_t sid, uint32_t *row, struct err *e)
{
    uint32_t lo = 0, hi = col->dir->nblocks;
    int rc;

    if (hi == 0 || sid < col->dir->blocks[0].first_sid)
        return 1;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (col->dir->blocks[mid].first_sid <= sid)
            lo = mid;
        else
            hi = mid;
    }
    if ((rc = load_block(r, col, lo, e)) < 0)
        return rc;
    for (lo = 0, hi = col->block.nrows; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (col->block.rows[mid].sid < sid)
            lo = mid + 1;
        else
            hi = mid;
    }
    *row = col->next_row = lo;
    return lo == col->block.nrows || col->block.rows[lo].sid != sid;
}

/* Is it known without looking that the column has no row of sid, since it would be right before the next one? */
static bool is_passed(const struct rollup_col *col, uint32_t sid)
{
    uint32_t row = col->next_row;

    if (col->block_no == UINT32_MAX || row >= col->block.nrows || col->block.rows[row].sid < sid)
        return false;
    return row > 0 ? col->block.rows[row - 1].sid < sid : col->block_no == 0;
}

static int find(struct rollup_reader *r, enum rollup_column c, uint32_t sid, const struct row **out, struct err *e)
{
    struct rollup_col *col = &r->columns[c];
    uint32_t row = col->next_row;
    int rc = 0;

    if (!(r->about.columns & 1u << c))
        return 1;
    if (!col->s && (rc = open_column(r, c, e)) < 0)
        return rc;
    row = col->next_row;
    if (col->block_no == UINT32_MAX || row >= col->block.nrows || col->block.rows[row].sid != sid)
        rc = is_passed(col, sid) ? 1 : search(r, col, sid, &row, e);
    if (rc != 0)
        return rc;
    col->next_row = row + 1;
    *out = &col->block.rows[row];
    return 0;
}

/* All values of the row at hand, up to the end of the window. */
static int decode(struct rollup_col *col, uint32_t upto, struct err *e)
{
    if (upto > col->cap) {
        free(col->v);
        col->cap = upto + upto / 2;
        col->v = x_alloc(col->cap * sizeof *col->v);
    }
    if (block_row(&col->block, col->next_row - 1, upto, col->v, NULL) < 0)
        return err_set(e, ERR_CORRUPT, "block %u: row %u does not decode", col->block_no, col->next_row - 1);
    return 0;
}

/* One column into the run. first: the times that have been met before it, or NULL. >0: no row. */
static int add_column(struct rollup_reader *r, enum rollup_column c, enum rollup_column from, uint32_t sid,
                      const struct rollup_times **met, struct bucket_run *run, struct err *e)
{
    struct rollup_col *col = &r->columns[from];
    const struct rollup_times *t = *met;
    const struct row *row;
    int rc = find(r, from, sid, &row, e);

    if (rc == 0 && (!t || from == ROLLUP_FIRST || from == ROLLUP_STALE))
        rc = get_times(r, col, row->column, &t, e);
    if (rc != 0)
        return rc;
    if (row->n != t->n || row->flags || (*met && c != ROLLUP_STALE && t->to - t->from != (*met)->to - (*met)->from))
        return err_set(e, ERR_CORRUPT, "block %u: row %u (series %u) is not like its columns", col->block_no,
                       col->next_row - 1, sid);
    if (t->from == t->to)
        return 0;
    if (c == ROLLUP_STALE) { /* the value says nothing */
        run->nstale = t->to - t->from;
        run->t_stale = t->t + t->from;
        return 0;
    }
    if ((rc = decode(col, t->to, e)) < 0)
        return rc;
    run->n = t->to - t->from;
    run->v[c] = col->v + t->from;
    if (c == ROLLUP_FIRST)
        run->t_first = t->t + t->from;
    if (!*met) {
        run->t_last = t->t + t->from;
        *met = t;
    }
    return 0;
}

int rollup_reader_get(struct rollup_reader *r, uint32_t sid, unsigned columns, struct bucket_run *run, struct err *e)
{
    const struct rollup_times *met = NULL;
    bool any = false;
    int rc = 0;

    *run = (struct bucket_run){.every = r->about.every};
    if (r->times_bytes > TIMES_BYTES_MAX)
        drop_times(r);
    for (unsigned left = columns; left && rc >= 0; left &= left - 1) {
        enum rollup_column c = (enum rollup_column)__builtin_ctz(left);

        rc = add_column(r, c, c, sid, &met, run, e);
        if (rc > 0 && c == ROLLUP_MIN)
            rc = add_column(r, c, ROLLUP_FIRST, sid, &met, run, e);
        else if (rc > 0 && c == ROLLUP_MAX)
            rc = add_column(r, c, ROLLUP_LAST, sid, &met, run, e);
        any |= rc == 0;
    }
    return rc < 0 ? rc : !any;
}

/* --- histograms -------------------------------------------------------------------------------------------- */

/* Finds a row and its times; only those of the first histograms are not *met. >0: no row. */
static int hists_row(struct rollup_reader *r, enum rollup_column c, uint32_t sid, const struct rollup_times **met,
                     const struct rollup_times **t, struct err *e)
{
    const struct row *row;
    int rc = find(r, c, sid, &row, e);

    if (rc != 0)
        return rc;
    *t = *met;
    if ((!*t || c == ROLLUP_H_FIRST) && (rc = get_times(r, &r->columns[c], row->column, t, e)) < 0)
        return rc;
    if (row->n != (*t)->n || row->flags != (c == ROLLUP_H_COUNT ? 0 : ROW_HAS_HISTS))
        return err_set(e, ERR_CORRUPT, "block %u: row %u (series %u) is not like its columns", r->columns[c].block_no,
                       r->columns[c].next_row - 1, sid);
    if (!*met)
        *met = *t;
    return 0;
}

/* Counts and hints, apart. */
static int get_counts(struct rollup_reader *r, const struct rollup_times *t, struct stretch_run *run, struct err *e)
{
    struct rollup_col *col = &r->columns[ROLLUP_H_COUNT];
    uint32_t n = t->to - t->from;
    double *count = arena_alloc(&r->hists, n * sizeof *count);
    uint8_t *hint = arena_alloc(&r->hists, n);
    int rc = decode(col, t->to, e);

    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        double x = col->v[t->from + i];

        if (!(x >= 4 && x < 4.0 * (STRETCH_COUNT_MAX + 1)) || (double)(uint32_t)x != x)
            return err_set(e, ERR_CORRUPT, "block %u: row %u holds no counts", col->block_no, col->next_row - 1);
        count[i] = (uint32_t)x >> 2;
        hint[i] = (uint32_t)x & 3;
    }
    run->count = count;
    run->hint = hint;
    return rc;
}

static int get_hists(struct rollup_reader *r, enum rollup_column c, const struct rollup_times *t,
                     const struct histogram *const **out, struct err *e)
{
    struct rollup_col *col = &r->columns[c];
    const struct histogram **h = arena_alloc(&r->hists, t->to * sizeof *h);
    double *marks = arena_alloc(&r->hists, t->to * sizeof *marks);

    if (block_row_hists(&col->block, col->next_row - 1, t->to, &r->hists, marks, NULL, h) < 0)
        return err_set(e, ERR_CORRUPT, "block %u: row %u does not decode", col->block_no, col->next_row - 1);
    for (uint32_t i = t->from; i < t->to; i++)
        if (!h[i] || hist_stale(h[i]))
            return err_set(e, ERR_CORRUPT, "block %u: row %u has more than histograms", col->block_no,
                           col->next_row - 1);
    *out = h + t->from;
    return 0;
}

/* One column into the run. >0: no row. */
static int add_hists(struct rollup_reader *r, enum rollup_column c, uint32_t sid, const struct rollup_times **met,
                     struct stretch_run *run, struct err *e)
{
    const struct histogram *const **to = c == ROLLUP_H_LAST    ? &run->last
                                         : c == ROLLUP_H_FIRST ? &run->first
                                                               : &run->sum;
    const struct rollup_times *t;
    int rc = hists_row(r, c, sid, met, &t, e);

    if (rc != 0)
        return rc;
    if (c == ROLLUP_H_FIRST)
        run->t_first = t->t; /* cut as the last ones are, when all is known */
    return (*met)->from == (*met)->to ? 0
           : c == ROLLUP_H_COUNT      ? get_counts(r, *met, run, e)
                                      : get_hists(r, c, *met, to, e);
}

int rollup_reader_hists(struct rollup_reader *r, uint32_t sid, unsigned columns, struct stretch_run *run, struct err *e)
{
    const struct rollup_times *met = NULL;
    int rc;

    *run = (struct stretch_run){0};
    arena_reset(&r->hists);
    if (!(r->about.columns & 1u << ROLLUP_H_COUNT))
        return 1;
    rc = add_hists(r, ROLLUP_H_COUNT, sid, &met, run, e);
    for (unsigned left = columns & ROLLUP_HISTS & ~(1u << ROLLUP_H_COUNT); left && rc == 0; left &= left - 1) {
        rc = add_hists(r, (enum rollup_column)__builtin_ctz(left), sid, &met, run, e);
        if (rc > 0)
            rc = err_set(e, ERR_CORRUPT, "series %u: not all columns of its histograms are there", sid);
    }
    if (rc != 0)
        return rc;
    run->n = met->to - met->from;
    run->t_last = met->t + met->from;
    if (run->t_first)
        run->t_first += met->from;
    stretch_run_tell(run);
    return 0;
}
