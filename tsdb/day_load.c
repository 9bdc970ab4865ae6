/*
 * day_load.c - what hangs on segments and slices once somebody needed it: directories, identities, row numbers.
 *
 *   slice directory   packed( nblocks { piece  nrows  first sid }*  ntimes { piece }* )
 *
 * (1) Whatever is hung up (atomic exchange) is complete and never changes; it goes with its segment or slice.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

int segment_err(const struct segment *s, struct err *e)
{
    return err_ctx(e, "index segment %u (blob %u)", s->number, s->blob);
}

int slice_err(const struct slice *s, struct err *e)
{
    return err_ctx(e, "slice (blob %u)", s->blob);
}

/* A piece of a blob, unpacked into raw, which the caller releases. */
static int load_piece(struct day_view *v, uint32_t blob, struct piece p, struct buf *raw, struct err *e)
{
    struct blob_reader r = {.view = v, .id = blob};
    struct unpacker *u = unpacker_new();
    struct buf copy = {0};
    struct str bytes;
    int rc = blob_get(&r, p, &copy, &bytes, e);

    if (rc == 0)
        rc = unpack_bytes_from(u, bytes, raw, e);
    unpacker_free(u);
    buf_release(&copy);
    return rc;
}

/* --- segments ------------------------------------------------------------------------------------- */

int segment_dir(struct day_view *v, struct segment *s, const struct seg_dir **out, struct err *e)
{
    struct seg_dir *d = s->dir, *none = NULL;
    struct buf raw = {0};

    if (!d) {
        int rc = load_piece(v, s->blob, s->dir_piece, &raw, e);

        if (rc == 0)
            rc = seg_dir_parse(buf_str(&raw), s->n, &d, e);
        buf_release(&raw);
        if (rc < 0)
            return segment_err(s, e);
        if (!atomic_compare_exchange_strong(&s->dir, &none, d)) {
            seg_dir_free(d);
            d = none;
        }
    }
    *out = d;
    return 0;
}

/*
 * Identities hung on segments, in bytes, of the whole process. Days that only queries look at stay below IDS_BYTES_MAX
 * together, and beyond it an identity is made each time it is asked for; the day being written needs all of its own.
 */
#ifndef IDS_BYTES_MAX /* a test makes it small */
#define IDS_BYTES_MAX (32u << 20)
#endif
static _Atomic uint64_t ids_bytes;

void segment_ids_free(struct segment *s)
{
    if (s->ids)
        atomic_fetch_sub(&ids_bytes, s->n * sizeof(struct hash128));
    free(s->ids);
}

void segment_ids_hang(struct segment *s, struct hash128 *ids)
{
    struct hash128 *none = NULL;

    if (atomic_compare_exchange_strong(&s->ids, &none, ids))
        atomic_fetch_add(&ids_bytes, s->n * sizeof *ids);
    else
        free(ids);
}

/* Under view.mu. */
static int make_id(struct day_view *v, uint32_t sid, struct hash128 *id, struct err *e)
{
    struct labels ls;

    arena_reset(&v->scratch);
    int rc = view_labels_locked(v, sid, &v->scratch, &ls, e);
    if (rc < 0)
        return rc;
    buf_reset(&v->canonical);
    labels_canonical(&v->canonical, &ls);
    *id = hash128(v->canonical.p, v->canonical.n);
    return 0;
}

int segment_ids(struct day_view *v, struct segment *s, const struct hash128 **out, struct err *e)
{
    if (!s->ids) {
        struct hash128 *ids = x_alloc(s->n * sizeof *ids);
        int rc = 0;

        pthread_mutex_lock(&v->mu);
        for (uint32_t i = 0; i < s->n && rc == 0; i++)
            rc = make_id(v, s->first_sid + i, &ids[i], e);
        pthread_mutex_unlock(&v->mu);
        if (rc < 0) {
            free(ids);
            return rc;
        }
        segment_ids_hang(s, ids);
    }
    *out = s->ids;
    return 0;
}

int segment_id(struct day_view *v, struct segment *s, uint32_t sid, struct hash128 *out, struct err *e)
{
    const struct hash128 *ids = s->ids;

    if (!ids && ids_bytes + s->n * sizeof *ids > IDS_BYTES_MAX) {
        pthread_mutex_lock(&v->mu);
        int rc = make_id(v, sid, out, e);
        pthread_mutex_unlock(&v->mu);
        return rc;
    }
    int rc = segment_ids(v, s, &ids, e);
    if (rc == 0)
        *out = ids[sid - s->first_sid];
    return rc;
}

/* --- slices ---------------------------------------------------------------------------------------- */

void slice_dir_free(struct slice_dir *d)
{
    if (!d)
        return;
    free(d->blocks);
    free(d->times);
    free(d);
}

void slice_dir_encode(const struct slice_dir *d, struct buf *out)
{
    buf_put_varint(out, d->nblocks);
    for (uint32_t i = 0; i < d->nblocks; i++) {
        const struct block_ref *b = &d->blocks[i];

        buf_put_varint(out, b->piece.at);
        buf_put_varint(out, b->piece.n);
        buf_put_varint(out, b[1].first_row - b->first_row);
        buf_put_varint(out, b->first_sid);
    }
    buf_put_varint(out, d->ntimes);
    for (uint32_t i = 0; i < d->ntimes; i++) {
        buf_put_varint(out, d->times[i].at);
        buf_put_varint(out, d->times[i].n);
    }
}

static void parse_blocks(struct rd *r, const struct slice *s, struct slice_dir *d)
{
    uint64_t row = 0;

    for (uint32_t i = 0; i < d->nblocks && !r->bad; i++) {
        struct block_ref *b = &d->blocks[i];

        b->piece.at = rd_varint(r);
        b->piece.n = rd_u32(r);
        b->first_row = (uint32_t)row;
        uint32_t nrows = rd_u32(r);
        b->first_sid = rd_u32(r);
        row += nrows;
        r->bad |= nrows == 0 || nrows > BLOCK_ROWS_MAX || row > s->nrows || b->first_sid == DAY_NO_SID ||
                  (i && s->ascending && b->first_sid <= b[-1].first_sid);
    }
    r->bad |= row != s->nrows;
    d->blocks[d->nblocks].first_row = s->nrows;
    d->blocks[d->nblocks].first_sid = DAY_NO_SID;
}

int slice_dir_parse(struct str raw, const struct slice *s, struct slice_dir **out, struct err *e)
{
    struct slice_dir *d = x_zalloc(sizeof *d);
    struct rd r = rd_of(raw);

    d->nblocks = rd_count(&r, 4);
    d->blocks = x_zalloc((d->nblocks + 1) * sizeof *d->blocks);
    parse_blocks(&r, s, d);
    d->ntimes = rd_count(&r, 2);
    d->times = x_zalloc((d->ntimes + 1) * sizeof *d->times);
    for (uint32_t i = 0; i < d->ntimes && !r.bad; i++) {
        d->times[i].at = rd_varint(&r);
        d->times[i].n = rd_u32(&r);
    }
    if (r.bad || rd_left(&r) > 0 || d->ntimes != (s->ncolumns + TIMES_CHUNK_COLUMNS - 1) / TIMES_CHUNK_COLUMNS) {
        slice_dir_free(d);
        return err_set(e, ERR_CORRUPT, "directory of a slice: not readable");
    }
    *out = d;
    return 0;
}

int slice_dir(struct day_view *v, struct slice *s, const struct slice_dir **out, struct err *e)
{
    struct slice_dir *d = s->dir, *none = NULL;
    struct buf raw = {0};

    if (!d) {
        int rc = load_piece(v, s->blob, s->dir_piece, &raw, e);

        if (rc == 0)
            rc = slice_dir_parse(buf_str(&raw), s, &d, e);
        buf_release(&raw);
        if (rc < 0)
            return slice_err(s, e);
        if (!atomic_compare_exchange_strong(&s->dir, &none, d)) {
            slice_dir_free(d);
            d = none;
        }
    }
    *out = d;
    return 0;
}

/* Reads the sids of every block. */
static int make_rows(struct day_view *v, struct slice *s, struct slice_rows *rows, struct err *e)
{
    struct blob_reader blob = {.view = v, .id = s->blob};
    struct unpacker *u = unpacker_new();
    struct block block = {0};
    struct buf copy = {0};
    const struct slice_dir *d;
    struct str bytes;
    int rc = slice_dir(v, s, &d, e);

    for (uint32_t i = 0; rc == 0 && i < d->nblocks; i++) {
        if ((rc = blob_get(&blob, d->blocks[i].piece, &copy, &bytes, e)) < 0 ||
            (rc = block_read(&block, u, bytes, e)) < 0)
            break;
        for (uint32_t k = 0; k < block.nrows; k++)
            if (block.rows[k].sid < rows->n)
                rows->row[block.rows[k].sid] = d->blocks[i].first_row + k;
    }
    unpacker_free(u);
    block_release(&block);
    buf_release(&copy);
    return rc < 0 ? slice_err(s, e) : 0;
}

int slice_rows(struct day_view *v, struct slice *s, const struct slice_rows **out, struct err *e)
{
    struct slice_rows *rows = s->rows, *none = NULL;

    if (!rows) {
        rows = x_alloc(sizeof *rows + v->dir->nseries * sizeof rows->row[0]);
        rows->n = v->dir->nseries;
        memset(rows->row, 0xff, rows->n * sizeof rows->row[0]);
        int rc = make_rows(v, s, rows, e);
        if (rc < 0) {
            free(rows);
            return rc;
        }
        if (!atomic_compare_exchange_strong(&s->rows, &none, rows)) {
            free(rows);
            rows = none;
        }
    }
    *out = rows;
    return 0;
}

/* --- identities --------------------------------------------------------------------------------------- */

static void put_slot(struct id_table *t, struct hash128 id, uint32_t number)
{
    uint32_t at = (uint32_t)id.lo & t->mask;

    while (t->slots[at])
        at = (at + 1) & t->mask;
    t->slots[at] = number + 1;
}

void id_table_add(struct id_table *t, uint32_t upto, id_fn *id_of, const void *arg)
{
    if (upto <= t->n)
        return;
    if (!t->slots || (uint64_t)upto * 4 > (uint64_t)(t->mask + 1) * 3) {
        uint64_t size = 64;

        while (size * 3 < (uint64_t)upto * 4)
            size *= 2;
        free(t->slots);
        t->slots = x_zalloc(size * sizeof *t->slots);
        t->mask = (uint32_t)(size - 1);
        for (uint32_t i = 0; i < t->n; i++)
            put_slot(t, id_of(arg, i), i);
    }
    for (; t->n < upto; t->n++)
        put_slot(t, id_of(arg, t->n), t->n);
}

uint32_t id_table_find(const struct id_table *t, struct hash128 id, id_fn *id_of, const void *arg)
{
    if (!t->slots)
        return DAY_NO_SID;
    for (uint32_t at = (uint32_t)id.lo & t->mask; t->slots[at]; at = (at + 1) & t->mask)
        if (hash128_eq(id_of(arg, t->slots[at] - 1), id))
            return t->slots[at] - 1;
    return DAY_NO_SID;
}
