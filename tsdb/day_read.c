/*
 * day_read.c - the samples of one series after the other. Each slice that overlaps the window keeps its current block
 * unpacked and the time columns met so far decoded; what is asked in slice order therefore unpacks each block once.
 *
 * Slices that follow each other in time without overlap (the usual day: one every flush) come out as one piece: values
 * are decoded end to end into one buffer, and the joined times are made once per combination of columns. Only late data
 * makes pieces.
 *
 * (1) A times_id is given to one array of times for the life of the view; a cache that was dropped gives new ids.
 * (2) No more than TIMES_BYTES_MAX of decoded times are kept from one series to the next.
 * (3) Pieces are borrowed until the next get: blocks, columns and buffers are only replaced there.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

#ifndef TIMES_BYTES_MAX /* a test makes it small */
#define TIMES_BYTES_MAX (32u << 20)
#endif

struct cut_column { /* a time column, decoded, and the window in it */
    int64_t *t;
    uint32_t n, from, to;
    uint64_t id;
};
struct cut_chunk {
    struct times_chunk chunk;
    struct cut_column columns[TIMES_CHUNK_COLUMNS];
};

struct slice_in {
    struct slice *s;
    const struct slice_dir *dir;
    const struct slice_rows *rows;
    struct blob_reader blob;
    struct block block;
    uint32_t block_no, next_row; /* UINT32_MAX: none */
    struct cut_chunk **chunks;
};

/* A row of the series at hand. */
struct found {
    struct slice_in *in;
    uint32_t row;
    const struct cut_column *column;
};

/* Times of consecutive columns, joined. */
struct chain {
    uint64_t *ids;
    uint32_t nids, n;
    int64_t *t;
    uint64_t id;
};

struct day_reader {
    struct day_view *view;
    int64_t mint, maxt;
    struct slice_in *slices;
    uint32_t nslices;
    uint64_t blocks_read;
    struct unpacker *unpacker;
    struct buf copy;

    size_t times_bytes;
    struct chain *chains;
    uint32_t nchains, chains_cap, last_chain;
    struct id_table by_ids; /* hash of a chain's ids -> chain */

    struct found *found;
    struct day_piece *pieces;
    double *v;
    int64_t *st;
    const struct histogram **h;
    size_t v_cap, st_cap, h_cap;
    struct arena hists; /* of the series at hand */
    uint64_t *ids;
};

/* --- caches of times ----------------------------------------------------------------------------------- */

static void drop_chunks(struct slice_in *in)
{
    for (uint32_t i = 0; in->chunks && i < in->dir->ntimes; i++) {
        struct cut_chunk *c = in->chunks[i];

        if (!c)
            continue;
        for (uint32_t k = 0; k < TIMES_CHUNK_COLUMNS; k++)
            free(c->columns[k].t);
        buf_release(&c->chunk.raw);
        free(c);
        in->chunks[i] = NULL;
    }
}

static void drop_times(struct day_reader *r)
{
    for (uint32_t i = 0; i < r->nslices; i++)
        drop_chunks(&r->slices[i]);
    for (uint32_t i = 0; i < r->nchains; i++) {
        free(r->chains[i].ids);
        free(r->chains[i].t);
    }
    free(r->by_ids.slots);
    r->by_ids = (struct id_table){0};
    r->nchains = r->last_chain = 0;
    r->times_bytes = 0;
}

static int load_chunk(struct day_reader *r, struct slice_in *in, uint32_t i, struct err *e)
{
    struct cut_chunk *c = x_zalloc(sizeof *c);
    struct str bytes;

    in->chunks[i] = c;
    r->times_bytes += sizeof *c;
    if (blob_get(&in->blob, in->dir->times[i], &r->copy, &bytes, e) < 0 ||
        times_read(&c->chunk, r->unpacker, bytes, e) < 0) {
        c->chunk.ncolumns = 0;
        return e->code;
    }
    r->times_bytes += c->chunk.raw.n;
    return 0;
}

static uint32_t first_at_or_after(const int64_t *t, uint32_t n, int64_t x)
{
    uint32_t lo = 0;

    for (uint32_t hi = n; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (t[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int get_column(struct day_reader *r, struct slice_in *in, uint32_t no, const struct cut_column **out,
                      struct err *e)
{
    uint32_t chunk = no / TIMES_CHUNK_COLUMNS, i = no % TIMES_CHUNK_COLUMNS;
    int rc;

    if (no >= in->s->ncolumns)
        return err_set(e, ERR_CORRUPT, "time column %u of %u", no, in->s->ncolumns);
    if (!in->chunks[chunk] && (rc = load_chunk(r, in, chunk, e)) < 0)
        return rc;
    struct cut_chunk *c = in->chunks[chunk];
    if (i >= c->chunk.ncolumns)
        return err_set(e, ERR_CORRUPT, "time column %u is not in its chunk", no);
    struct cut_column *col = &c->columns[i];
    if (!col->t) {
        uint32_t n = c->chunk.columns[i].n;

        col->t = x_alloc(n * sizeof *col->t);
        r->times_bytes += n * sizeof *col->t;
        if (times_column(&c->chunk, i, col->t) < 0) {
            free(col->t);
            col->t = NULL;
            return err_set(e, ERR_CORRUPT, "time column %u: not readable", no);
        }
        col->n = n;
        col->from = first_at_or_after(col->t, n, r->mint);
        col->to = r->maxt == INT64_MAX ? n : first_at_or_after(col->t, n, r->maxt + 1);
        col->id = atomic_fetch_add(&r->view->next_times_id, 1);
    }
    *out = col;
    return 0;
}

static struct hash128 chain_hash(const void *reader, uint32_t i)
{
    const struct chain *c = &((const struct day_reader *)reader)->chains[i];

    return hash128(c->ids, c->nids * sizeof *c->ids);
}

static bool is_chain(const struct chain *c, const uint64_t *ids, uint32_t n)
{
    return c->nids == n && memcmp(c->ids, ids, n * sizeof *ids) == 0;
}

/* The joined times of the rows found. */
static const struct chain *get_chain(struct day_reader *r, uint32_t nfound)
{
    uint32_t i, n = 0;

    for (i = 0; i < nfound; i++)
        r->ids[i] = r->found[i].column->id;
    if (r->nchains && is_chain(&r->chains[r->last_chain], r->ids, nfound))
        return &r->chains[r->last_chain];
    i = id_table_find(&r->by_ids, hash128(r->ids, nfound * sizeof *r->ids), chain_hash, r);
    if (i == DAY_NO_SID) {
        if (r->nchains == r->chains_cap) {
            r->chains_cap = r->chains_cap ? r->chains_cap * 2 : 64;
            r->chains = x_realloc(r->chains, r->chains_cap * sizeof *r->chains);
        }
        struct chain *c = &r->chains[i = r->nchains++];
        for (uint32_t k = 0; k < nfound; k++)
            n += r->found[k].column->to - r->found[k].column->from;
        *c = (struct chain){x_alloc(nfound * sizeof *c->ids), nfound, 0, x_alloc(n * sizeof *c->t),
                            atomic_fetch_add(&r->view->next_times_id, 1)};
        memcpy(c->ids, r->ids, nfound * sizeof *c->ids);
        for (uint32_t k = 0; k < nfound; k++) {
            const struct cut_column *col = r->found[k].column;

            memcpy(c->t + c->n, col->t + col->from, (col->to - col->from) * sizeof *c->t);
            c->n += col->to - col->from;
        }
        r->times_bytes += n * sizeof *c->t + nfound * sizeof *c->ids + sizeof *c;
        id_table_add(&r->by_ids, r->nchains, chain_hash, r);
    }
    r->last_chain = i;
    return &r->chains[i];
}

/* --- rows --------------------------------------------------------------------------------------------------- */

static int load_block(struct day_reader *r, struct slice_in *in, uint32_t no, struct err *e)
{
    const struct block_ref *b = &in->dir->blocks[no];
    struct str bytes;
    int rc;

    if (in->block_no == no)
        return 0;
    in->block_no = UINT32_MAX;
    if ((rc = blob_get(&in->blob, b->piece, &r->copy, &bytes, e)) < 0)
        return rc;
    if ((rc = block_read(&in->block, r->unpacker, bytes, e)) < 0)
        return err_ctx(e, "block %u", no);
    if (in->block.nrows != b[1].first_row - b->first_row || in->block.rows[0].sid != b->first_sid)
        return err_set(e, ERR_CORRUPT, "block %u is not the one the directory means", no);
    in->block_no = no;
    in->next_row = 0;
    r->blocks_read++;
    return 0;
}

static bool block_covers(const struct slice_in *in, uint32_t no, uint32_t sid)
{
    return no < in->dir->nblocks && in->dir->blocks[no].first_sid <= sid && sid < in->dir->blocks[no + 1].first_sid;
}

/* The row of sid where sids ascend: >0 if there is none. */
static int find_ascending(struct day_reader *r, struct slice_in *in, uint32_t sid, uint32_t *row, struct err *e)
{
    uint32_t no = in->block_no, hi = in->dir->nblocks;
    int rc;

    if (in->dir->nblocks == 0 || sid < in->dir->blocks[0].first_sid)
        return 1;
    if (no != UINT32_MAX && !block_covers(in, no, sid))
        no++;
    if (no == UINT32_MAX || !block_covers(in, no, sid)) {
        for (no = 0; hi - no > 1;) {
            uint32_t mid = no + (hi - no) / 2;

            if (in->dir->blocks[mid].first_sid <= sid)
                no = mid;
            else
                hi = mid;
        }
    }
    if ((rc = load_block(r, in, no, e)) < 0)
        return rc;
    const struct block *b = &in->block;
    uint32_t lo = in->next_row;
    if (lo >= b->nrows || b->rows[lo].sid != sid) {
        for (lo = 0, hi = b->nrows; lo < hi;) {
            uint32_t mid = lo + (hi - lo) / 2;

            if (b->rows[mid].sid < sid)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo == b->nrows || b->rows[lo].sid != sid)
            return 1;
    }
    *row = lo;
    return 0;
}

static int find_by_rows(struct day_reader *r, struct slice_in *in, uint32_t sid, uint32_t *row, struct err *e)
{
    uint32_t at = sid < in->rows->n ? in->rows->row[sid] : DAY_NO_SID, no = 0, hi = in->dir->nblocks;
    int rc;

    if (at == DAY_NO_SID)
        return 1;
    while (hi - no > 1) {
        uint32_t mid = no + (hi - no) / 2;

        if (in->dir->blocks[mid].first_row <= at)
            no = mid;
        else
            hi = mid;
    }
    if ((rc = load_block(r, in, no, e)) < 0)
        return rc;
    *row = at - in->dir->blocks[no].first_row;
    if (*row >= in->block.nrows || in->block.rows[*row].sid != sid)
        return err_set(e, ERR_CORRUPT, "block %u: another series where %u should be", no, sid);
    return 0;
}

/* Finds the series in one slice: 0 with *f filled, >0 if it has nothing in the window. */
static int find_row(struct day_reader *r, struct slice_in *in, uint32_t sid, struct found *f, struct err *e)
{
    int rc = in->rows ? find_by_rows(r, in, sid, &f->row, e) : find_ascending(r, in, sid, &f->row, e);

    if (rc != 0)
        return rc;
    in->next_row = f->row + 1;
    f->in = in;
    const struct row *row = &in->block.rows[f->row];
    if ((rc = get_column(r, in, row->column, &f->column, e)) < 0)
        return rc;
    if (row->n != f->column->n)
        return err_set(e, ERR_CORRUPT, "block %u: row %u has %u samples, its times %u", in->block_no, f->row, row->n,
                       f->column->n);
    return f->column->from == f->column->to;
}

static int decode(struct day_reader *r, const struct found *f, size_t at, struct err *e)
{
    const struct block *b = &f->in->block;
    const struct row *row = &b->rows[f->row];
    uint32_t n = f->column->to;
    int64_t *st = row->flags & ROW_HAS_ST ? r->st + at : NULL;

    if ((row->flags & ROW_HAS_HISTS ? block_row_hists(b, f->row, n, &r->hists, r->v + at, st, r->h + at)
                                    : block_row(b, f->row, n, r->v + at, st)) < 0) {
        err_set(e, ERR_CORRUPT, "block %u: row %u (series %u) does not decode", f->in->block_no, f->row, row->sid);
        return slice_err(f->in->s, e);
    }
    return 0;
}

/* Room for all values up to the ends of their windows; *flags: those of all rows. */
static void make_room(struct day_reader *r, uint32_t nfound, uint32_t *flags)
{
    size_t n = 0;

    *flags = 0;
    for (uint32_t i = 0; i < nfound; i++) {
        n += r->found[i].column->to;
        *flags |= r->found[i].in->block.rows[r->found[i].row].flags;
    }
    if (n > r->v_cap) {
        free(r->v);
        r->v_cap = n + n / 2;
        r->v = x_alloc(r->v_cap * sizeof *r->v);
    }
    if (*flags & ROW_HAS_ST && n > r->st_cap) {
        free(r->st);
        r->st_cap = n + n / 2;
        r->st = x_alloc(r->st_cap * sizeof *r->st);
    }
    if (*flags & ROW_HAS_ST)
        memset(r->st, 0, n * sizeof *r->st);
    if (!(*flags & ROW_HAS_HISTS))
        return;
    if (n > r->h_cap) {
        free(r->h);
        r->h_cap = n + n / 2;
        r->h = x_alloc(r->h_cap * sizeof *r->h);
    }
    memset(r->h, 0, n * sizeof *r->h);
}

/* One behind the other, and none but the first cut at its front (late rows can reach before the window): so the values
 * follow without a gap. */
static bool in_sequence(const struct found *f, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (f[i].column->from > 0 || f[i].column->t[0] <= f[i - 1].column->t[f[i - 1].column->to - 1])
            return false;
    return true;
}

int day_reader_get(struct day_reader *r, uint32_t sid, const struct day_piece **pieces, uint32_t *n, struct err *e)
{
    uint32_t nfound = 0, npieces = 0, flags;
    size_t at = 0;
    int rc;

    arena_reset(&r->hists);
    if (r->times_bytes > TIMES_BYTES_MAX)
        drop_times(r);
    for (uint32_t i = 0; i < r->nslices; i++) {
        rc = find_row(r, &r->slices[i], sid, &r->found[nfound], e);
        if (rc < 0)
            return slice_err(r->slices[i].s, e);
        nfound += rc == 0;
    }
    make_room(r, nfound, &flags);
    bool joined = in_sequence(r->found, nfound);
    for (uint32_t i = 0; i < nfound; i++) {
        const struct cut_column *c = r->found[i].column;

        if ((rc = decode(r, &r->found[i], at, e)) < 0)
            return rc;
        if (i == 0 || !joined)
            r->pieces[npieces++] = (struct day_piece){.t = c->t + c->from,
                                                      .v = r->v + at + c->from,
                                                      .st = flags & ROW_HAS_ST ? r->st + at + c->from : NULL,
                                                      .h = flags & ROW_HAS_HISTS ? r->h + at + c->from : NULL,
                                                      .n = c->to - c->from,
                                                      .times_id = c->id};
        at += c->to;
    }
    if (joined && nfound > 1) {
        const struct chain *chain = get_chain(r, nfound);

        if (flags & ROW_HAS_HISTS)
            for (uint32_t i = 1, k = r->found[0].column->to; i < nfound; k += r->found[i++].column->to)
                hist_hint_set(r->h[k], r->h[k - 1]);
        r->pieces[0].t = chain->t;
        r->pieces[0].n = chain->n;
        r->pieces[0].times_id = chain->id;
    }
    *pieces = r->pieces;
    *n = npieces;
    return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

int day_reader_open(struct day_view *v, int64_t mint, int64_t maxt, struct day_reader **out, struct err *e)
{
    return day_reader_open_slices(v, mint, maxt, 0, v->dir->nslices, out, e);
}

int day_reader_open_slices(struct day_view *v, int64_t mint, int64_t maxt, uint32_t first, uint32_t end,
                           struct day_reader **out, struct err *e)
{
    struct day_reader *r = x_zalloc(sizeof *r);
    int rc = 0;

    r->view = v;
    r->mint = mint;
    r->maxt = maxt;
    r->unpacker = unpacker_new();
    r->slices = x_zalloc((end - first + 1) * sizeof *r->slices);
    for (uint32_t i = first; i < end && rc == 0; i++) {
        struct slice *s = v->dir->slices[i];

        if (s->mint > maxt || s->maxt < mint)
            continue;
        struct slice_in *in = &r->slices[r->nslices++];
        in->s = s;
        in->blob = (struct blob_reader){.view = v, .id = s->blob};
        in->block_no = UINT32_MAX;
        rc = slice_dir(v, s, &in->dir, e);
        if (rc == 0 && !s->ascending)
            rc = slice_rows(v, s, &in->rows, e);
        if (rc == 0)
            in->chunks = x_zalloc((in->dir->ntimes + 1) * sizeof *in->chunks);
    }
    if (rc < 0) {
        day_reader_close(r);
        return rc;
    }
    r->found = x_zalloc((r->nslices + 1) * sizeof *r->found);
    r->pieces = x_zalloc((r->nslices + 1) * sizeof *r->pieces);
    r->ids = x_zalloc((r->nslices + 1) * sizeof *r->ids);
    *out = r;
    return 0;
}

void day_reader_blocks(const struct day_reader *r, uint64_t *read, uint64_t *all)
{
    *read += r->blocks_read;
    for (uint32_t i = 0; i < r->nslices; i++)
        *all += r->slices[i].dir->nblocks;
}

void day_reader_close(struct day_reader *r)
{
    if (!r)
        return;
    drop_times(r);
    for (uint32_t i = 0; i < r->nslices; i++) {
        block_release(&r->slices[i].block);
        free(r->slices[i].chunks);
    }
    free(r->slices);
    free(r->chains);
    free(r->found);
    free(r->pieces);
    free(r->ids);
    free(r->v);
    free(r->st);
    free(r->h);
    arena_release(&r->hists);
    buf_release(&r->copy);
    unpacker_free(r->unpacker);
    free(r);
}
