/*
 * day_write.c - one write transaction on a day: new series, then their samples, then everything at once.
 *
 * Nothing of what is written can be seen until the directory ("D") names it, and that is put last in the transaction.
 *
 *   day_write_begin -> day_write_new* -> (day_write_times, day_write_series)* -> day_write_commit | day_write_abort
 *                                             \-> day_write_next_slice ->/         (merge and seal)
 *
 * Several slices can grow side by side (day_write_slices), each with its own columns and blocks: aggregates.
 *
 * A bulk writer fills a file that nobody uses yet (seal): it commits along the way so that LMDB need not hold the
 * whole day in dirty pages; its file is thrown away if it dies.
 *
 * (1) Blob ids come from the directory read in this very transaction, so they are new.
 * (2) Equal time columns of a slice are one column: found by the 128 bit hash of their bytes.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

enum { LEVEL_FLUSH = 1, BULK_COMMIT_BYTES = 32 << 20 };

struct column {
    uint32_t n;
    int64_t mint, maxt;
};

struct slice_out {
    bool open;
    struct slice *slice; /* what it will be */
    struct blob_writer blob;
    struct block_writer block;
    struct times_writer times;
    struct column *columns;
    struct hash128 *column_hashes;
    struct id_table by_hash;
    uint32_t ncolumns, cap;
    struct buf piece;
    struct block_ref *blocks;
    struct piece *time_pieces;
    uint32_t nblocks, nblocks_cap, ntimes, last_sid;
};

struct day_writer {
    struct partition *p;
    struct day *day; /* NULL: nothing attached */
    struct txn *txn;
    struct day_dir *dir;   /* as it will be after the commit */
    struct day_view *view; /* as it was before; opened when somebody asks for a series */
    struct packer *packer;
    bool bulk, samples_begun;
    uint64_t bulk_bytes;

    struct index_writer *index; /* NULL: no new series */
    struct hash128 *new_ids;
    uint32_t nnew, new_cap, first_new;

    struct slice_out out;
    struct slice_out *others; /* slices that are written at the same time; the place of the current one is empty */
    uint32_t nslices_out, current;
    uint32_t place; /* where the next slice goes; UINT32_MAX: behind all */
};

int day_write_begin_as(struct partition *p, int level, bool bulk, struct day_writer **out, struct err *e)
{
    struct day_writer *w = x_zalloc(sizeof *w);
    struct str value;
    int rc;

    w->p = partition_ref(p);
    w->day = partition_user(p);
    w->packer = packer_new(level);
    w->bulk = bulk;
    w->place = UINT32_MAX;
    if ((rc = txn_write(p, &w->txn, e)) < 0)
        goto fail;
    rc = txn_get(w->txn, STR("D"), &value, e);
    if (rc == ERR_NOT_FOUND) {
        w->dir = dir_new();
        if (w->day && day_has_dir(w->day)) { /* no other writer can have made it since */
            rc = day_lost_dir(w->day, e);
            goto fail;
        }
    } else {
        if (rc < 0)
            goto fail;
        if (w->day)
            pthread_rwlock_rdlock(&w->day->mu);
        rc = dir_parse(value, w->day ? w->day->dir : NULL, &w->dir, e);
        if (w->day)
            pthread_rwlock_unlock(&w->day->mu);
        if (rc < 0)
            goto fail;
    }
    w->first_new = w->dir->nseries;
    *out = w;
    return 0;
fail:
    day_write_abort(w);
    return rc;
}

int day_write_begin(struct partition *p, struct day_writer **out, struct err *e)
{
    return day_write_begin_as(p, LEVEL_FLUSH, false, out, e);
}

struct txn *day_write_txn(struct day_writer *w)
{
    return w->txn;
}

static void slice_out_release(struct slice_out *o)
{
    slice_unref(o->slice);
    blob_writer_release(&o->blob);
    block_writer_release(&o->block);
    times_writer_release(&o->times);
    free(o->columns);
    free(o->column_hashes);
    free(o->by_hash.slots);
    buf_release(&o->piece);
    free(o->blocks);
    free(o->time_pieces);
    *o = (struct slice_out){0};
}

void day_write_abort(struct day_writer *w)
{
    if (!w)
        return;
    txn_end(w->txn);
    slice_out_release(&w->out);
    for (uint32_t i = 0; i < w->nslices_out; i++)
        slice_out_release(&w->others[i]);
    free(w->others);
    index_writer_free(w->index);
    free(w->new_ids);
    packer_free(w->packer);
    day_view_close(w->view);
    dir_unref(w->dir);
    partition_unref(w->p);
    free(w);
}

/* --- series ------------------------------------------------------------------------------------------- */

uint32_t day_write_find(struct day_writer *w, struct hash128 id)
{
    struct err e;

    if (w->first_new == 0)
        return DAY_NO_SID;
    if (!w->view && day_view_open(w->p, &w->view, &e) < 0) {
        partition_damaged(w->p, &e);
        return DAY_NO_SID;
    }
    return day_view_find(w->view, id);
}

int day_write_new(struct day_writer *w, struct hash128 id, const struct labels *ls, uint32_t *sid, struct err *e)
{
    assert(!w->samples_begun);
    if (w->dir->nseries + w->nnew == DAY_NO_SID - 1)
        return err_set(e, ERR_LIMIT, "a day holds at most %u series", DAY_NO_SID - 1);
    if (!w->index)
        w->index = index_writer_new();
    if (w->nnew == w->new_cap) {
        w->new_cap = w->new_cap ? w->new_cap * 2 : 1024;
        w->new_ids = x_realloc(w->new_ids, w->new_cap * sizeof *w->new_ids);
    }
    w->new_ids[w->nnew++] = id;
    index_writer_add(w->index, ls);
    *sid = w->first_new + w->nnew - 1;
    return 0;
}

/* Writes the segment of the new series. */
static int finish_index(struct day_writer *w, struct err *e)
{
    struct segment *s = segment_new(w->dir);
    struct blob_writer blob = {.txn = &w->txn, .id = w->dir->next_blob++};

    s->blob = blob.id;
    int rc = index_writer_finish(w->index, &blob, w->packer, &s->dir_piece, e);

    if (rc == 0)
        rc = blob_finish(&blob, e);
    blob_writer_release(&blob);
    index_writer_free(w->index);
    w->index = NULL;
    if (rc < 0) {
        segment_unref(s);
        return rc;
    }
    s->n = w->nnew;
    segment_ids_hang(s, x_realloc(w->new_ids, w->nnew * sizeof *w->new_ids));
    w->new_ids = NULL;
    w->new_cap = 0;
    dir_add_segment(w->dir, s);
    return 0;
}

/* --- slices -------------------------------------------------------------------------------------------- */

static int open_slice(struct day_writer *w, struct err *e)
{
    struct slice_out *o = &w->out;
    int rc = 0;

    if (o->open)
        return 0;
    w->samples_begun = true;
    if (w->index && (rc = finish_index(w, e)) < 0) /* now, so that its tables and the samples are not in memory at once */
        return rc;
    o->open = true;
    o->slice = slice_new();
    o->slice->blob = w->dir->next_blob++;
    o->slice->ascending = true;
    o->slice->mint = INT64_MAX;
    o->slice->maxt = INT64_MIN;
    o->blob = (struct blob_writer){.txn = &w->txn, .id = o->slice->blob};
    return 0;
}

static int put_piece(struct day_writer *w, struct piece *p, struct err *e)
{
    struct str bytes = buf_str(&w->out.piece);

    w->bulk_bytes += bytes.n;
    return blob_put(&w->out.blob, &bytes, 1, p, e);
}

static int finish_times(struct day_writer *w, struct err *e)
{
    struct slice_out *o = &w->out;

    if (o->times.ncolumns == 0)
        return 0;
    o->time_pieces = x_realloc(o->time_pieces, (o->ntimes + 1) * sizeof *o->time_pieces);
    buf_reset(&o->piece);
    times_writer_finish(&o->times, w->packer, &o->piece);
    return put_piece(w, &o->time_pieces[o->ntimes++], e);
}

static int finish_block(struct day_writer *w, struct err *e)
{
    struct slice_out *o = &w->out;
    int rc;

    if (o->block.nrows == 0)
        return 0;
    if (o->nblocks + 2 > o->nblocks_cap) {
        o->nblocks_cap = o->nblocks_cap ? o->nblocks_cap * 2 : 64;
        o->blocks = x_realloc(o->blocks, o->nblocks_cap * sizeof *o->blocks);
    }
    struct block_ref *b = &o->blocks[o->nblocks++];
    b->first_sid = o->block.first_sid;
    b->first_row = o->slice->nrows - o->block.nrows;
    b[1].first_row = o->slice->nrows;
    buf_reset(&o->piece);
    block_writer_finish(&o->block, w->packer, &o->piece);
    if ((rc = put_piece(w, &b->piece, e)) < 0)
        return rc;
    if (w->bulk && w->bulk_bytes > BULK_COMMIT_BYTES) {
        w->bulk_bytes = 0;
        struct txn *t = w->txn;
        w->txn = NULL;
        if ((rc = txn_commit(t, 0, e)) < 0 || (rc = txn_write(w->p, &w->txn, e)) < 0)
            return rc;
    }
    return 0;
}

static struct hash128 column_hash(const void *o, uint32_t i)
{
    return ((const struct slice_out *)o)->column_hashes[i];
}

int day_write_times(struct day_writer *w, const int64_t *t, uint32_t n, uint32_t *column, struct err *e)
{
    struct slice_out *o = &w->out;

    assert(n > 0);
    if (n > CODEC_N_MAX)
        return err_set(e, ERR_LIMIT, "a column holds at most %d samples, not %u", CODEC_N_MAX, n);
    for (uint32_t i = 1; i < n; i++)
        assert(t[i - 1] < t[i]);
    int rc = open_slice(w, e);
    if (rc < 0)
        return rc;
    struct hash128 h = hash128(t, n * sizeof *t);
    *column = id_table_find(&o->by_hash, h, column_hash, o);
    if (*column != DAY_NO_SID)
        return 0;
    if (o->ncolumns == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 256;
        o->columns = x_realloc(o->columns, o->cap * sizeof *o->columns);
        o->column_hashes = x_realloc(o->column_hashes, o->cap * sizeof *o->column_hashes);
    }
    o->columns[o->ncolumns] = (struct column){n, t[0], t[n - 1]};
    o->column_hashes[o->ncolumns] = h;
    *column = o->ncolumns++;
    id_table_add(&o->by_hash, o->ncolumns, column_hash, o);
    times_writer_add(&o->times, t, n);
    return o->times.ncolumns == TIMES_CHUNK_COLUMNS ? finish_times(w, e) : 0;
}

int day_write_series(struct day_writer *w, uint32_t sid, uint32_t column, const double *v, const int64_t *st,
                     const struct histogram *const *h, uint32_t n, struct err *e)
{
    struct slice_out *o = &w->out;

    assert(o->open && column < o->ncolumns && o->columns[column].n == n && sid < w->first_new + w->nnew);
    struct slice *s = o->slice;
    s->ascending &= s->nrows == 0 || sid > o->last_sid;
    o->last_sid = sid;
    s->nrows++;
    s->nsamples += n;
    s->mint = MIN(s->mint, o->columns[column].mint);
    s->maxt = MAX(s->maxt, o->columns[column].maxt);
    block_writer_row(&o->block, sid, column, v, st, h, n);
    if (o->block.nrows == BLOCK_ROWS_MAX || block_writer_bytes(&o->block) >= BLOCK_RAW_TARGET)
        return finish_block(w, e);
    return 0;
}

static int finish_slice(struct day_writer *w, struct err *e)
{
    struct slice_out *o = &w->out;
    int rc;

    if (!o->open || o->slice->nrows == 0) {
        slice_out_release(o);
        return 0;
    }
    if ((rc = finish_block(w, e)) < 0 || (rc = finish_times(w, e)) < 0)
        return rc;
    struct slice_dir d = {.nblocks = o->nblocks, .blocks = o->blocks, .ntimes = o->ntimes, .times = o->time_pieces};
    struct buf raw = {0};
    slice_dir_encode(&d, &raw);
    buf_reset(&o->piece);
    pack_bytes_into(w->packer, buf_str(&raw), &o->piece);
    buf_release(&raw);
    if ((rc = put_piece(w, &o->slice->dir_piece, e)) < 0 || (rc = blob_finish(&o->blob, e)) < 0)
        return rc;
    o->slice->ncolumns = o->ncolumns;
    o->slice->bytes = o->blob.bytes;
    dir_add_slice(w->dir, w->place == UINT32_MAX ? w->dir->nslices : w->place++, o->slice);
    o->slice = NULL;
    slice_out_release(o);
    return 0;
}

int day_write_next_slice(struct day_writer *w, struct err *e)
{
    return finish_slice(w, e);
}

void day_write_slices(struct day_writer *w, uint32_t n)
{
    assert(!w->out.open && !w->others && n > 0);
    w->others = x_zalloc(n * sizeof *w->others);
    w->nslices_out = n;
}

void day_write_slice(struct day_writer *w, uint32_t i)
{
    assert(i < w->nslices_out);
    w->others[w->current] = w->out;
    w->out = w->others[i];
    w->others[i] = (struct slice_out){0};
    w->current = i;
}

uint32_t day_write_rows(const struct day_writer *w)
{
    return w->out.open ? w->out.slice->nrows : 0;
}

void day_write_place(struct day_writer *w, uint32_t at)
{
    w->place = at;
}

int day_write_drop_slice(struct day_writer *w, uint32_t at, struct err *e)
{
    int rc = blob_delete(w->txn, w->dir->slices[at]->blob, e);

    if (rc == 0)
        dir_drop_slice(w->dir, at);
    return rc;
}

/* --- commit --------------------------------------------------------------------------------------------- */

static int put_dir(struct day_writer *w, struct err *e)
{
    struct buf raw = {0};

    w->dir->generation++;
    dir_encode(w->dir, &raw);
    struct str bytes = buf_str(&raw);
    int rc = txn_put(w->txn, STR("D"), &bytes, 1, e);
    buf_release(&raw);
    return rc;
}

int day_write_commit(struct day_writer *w, uint64_t contained, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < MAX(w->nslices_out, 1u); i++) {
        if (w->nslices_out)
            day_write_slice(w, i);
        rc = finish_slice(w, e);
    }
    if (rc == 0 && w->index)
        rc = finish_index(w, e);
    if (rc == 0)
        rc = put_dir(w, e);
    if (rc == 0) {
        struct txn *t = w->txn;

        w->txn = NULL;
        crash_point("day_commit");
        rc = txn_commit(t, contained, e);
        crash_point("day_committed");
    }
    if (rc == 0 && w->day) {
        day_publish(w->day, w->dir);
        w->dir = NULL;
    }
    day_write_abort(w);
    return rc;
}
