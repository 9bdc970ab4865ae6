/*
 * day_block.c - a block: value columns of some hundred series, side by side; and a chunk of time columns.
 *
 *   block   head length (varint)  packed(head)  packed(bits)
 *   head    nrows  and the lengths of  sids  meta  codes  nums,  then those four  layouts
 *   sids    per row: sid minus that of the row before (zigzag)
 *   meta    per row: time column and count minus those of the row before (zigzag), flags
 *   codes, nums, bits: the value columns (codec.h; codec_hist.h with ROW_HAS_HISTS), and behind a column with ROW_HAS_ST
 *           its start timestamps
 *   layouts of the histograms of all rows (hist.h); no bytes where all are floats
 *
 *   times   packed( ncolumns  lengths of codes, nums, bits  { n }*  codes  nums  bits )
 *
 * `packed` is from day_blob.c. The head packs well, the bits hardly: they have a frame of their own, so that noise
 * neither spoils the head's statistics nor costs time.
 *
 * (1) block_read walks over every row's codes and nums and counts its bits, so a row can be decoded alone, and
 * block_row meets only what was checked; the packed values themselves may still turn out bad (positions of exceptions).
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

/* --- writing blocks ------------------------------------------------------------------------------ */

void block_writer_row(struct block_writer *b, uint32_t sid, uint32_t column, const double *v, const int64_t *st,
                      const struct histogram *const *h, uint32_t n)
{
    assert(n > 0);
    if (b->nrows++ == 0) {
        b->first_sid = sid;
        b->sid = b->column = b->n = 0;
    }
    buf_put_varint(&b->sids, zigzag((int64_t)sid - b->sid));
    buf_put_varint(&b->meta, zigzag((int64_t)column - b->column));
    buf_put_varint(&b->meta, zigzag((int64_t)n - b->n));
    buf_put_varint(&b->meta, (st ? ROW_HAS_ST : 0) | (h ? ROW_HAS_HISTS : 0));
    if (h)
        hists_encode(&b->columns, &b->layouts, v, h, n);
    else
        values_encode(&b->columns, v, n);
    if (st)
        ints_encode(&b->columns, st, n);
    b->sid = sid;
    b->column = column;
    b->n = n;
}

size_t block_writer_bytes(const struct block_writer *b)
{
    return b->columns.codes.n + b->columns.nums.n + b->columns.bits.n + b->sids.n + b->meta.n +
           b->layouts.bytes.n;
}

void block_writer_finish(struct block_writer *b, struct packer *p, struct buf *out)
{
    const struct buf *streams[] = {&b->sids, &b->meta, &b->columns.codes, &b->columns.nums};
    struct buf packed = {0};

    buf_reset(&b->head);
    buf_put_varint(&b->head, b->nrows);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        buf_put_varint(&b->head, streams[i]->n);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        buf_puts(&b->head, buf_str(streams[i]));
    buf_puts(&b->head, buf_str(&b->layouts.bytes));
    pack_bytes_into(p, buf_str(&b->head), &packed);
    buf_put_varint(out, packed.n);
    buf_puts(out, buf_str(&packed));
    pack_bytes_into(p, buf_str(&b->columns.bits), out);
    buf_release(&packed);
    column_out_reset(&b->columns);
    hist_dict_reset(&b->layouts);
    buf_reset(&b->sids);
    buf_reset(&b->meta);
    b->nrows = 0;
}

void block_writer_release(struct block_writer *b)
{
    column_out_release(&b->columns);
    hist_dict_release(&b->layouts);
    buf_release(&b->sids);
    buf_release(&b->meta);
    buf_release(&b->head);
    *b = (struct block_writer){0};
}

/* --- reading blocks ------------------------------------------------------------------------------ */

/* One row's place: moves `in` behind its columns. */
static int index_row(struct block *b, struct column_in *in, struct rd *sids, struct rd *meta, struct row *r,
                     const struct row *before)
{
    r->sid = before->sid + (uint32_t)unzigzag(rd_varint(sids));
    r->column = before->column + (uint32_t)unzigzag(rd_varint(meta));
    r->n = before->n + (uint32_t)unzigzag(rd_varint(meta));
    r->flags = rd_u32(meta);
    if (sids->bad || meta->bad || r->sid == DAY_NO_SID || r->n == 0 || r->n > CODEC_N_MAX)
        return ERR_CORRUPT;
    if (r->flags > (ROW_HAS_ST | ROW_HAS_HISTS))
        return ERR_UNSUPPORTED;
    r->code = (uint32_t)(in->code - b->in.code);
    r->num = (uint32_t)(in->num - b->in.num);
    r->bit = (size_t)(in->bit - b->in.bit);
    int rc = r->flags & ROW_HAS_HISTS ? hists_skip(in, r->n, b->layouts, b->nlayouts) : values_skip(in, r->n);
    return rc < 0 || !(r->flags & ROW_HAS_ST) ? rc : ints_skip(in, r->n);
}

static int index_rows(struct block *b, struct err *e)
{
    struct rd r = rd_of(buf_str(&b->head));
    struct row before = {0};
    struct str s[4];
    uint64_t n[4];

    b->nrows = rd_u32(&r);
    for (int i = 0; i < 4; i++)
        n[i] = rd_varint(&r);
    for (int i = 0; i < 4; i++)
        s[i] = rd_bytes(&r, n[i]);
    if (r.bad || b->nrows == 0 || b->nrows > BLOCK_ROWS_MAX)
        return err_set(e, ERR_CORRUPT, "bad head of a block");
    if (hist_dict_read(rd_bytes(&r, rd_left(&r)), &b->arena, &b->layouts, &b->nlayouts) < 0)
        return err_set(e, ERR_CORRUPT, "bad layouts of histograms in a block");
    if (b->rows_cap < b->nrows) {
        b->rows = x_realloc(b->rows, b->nrows * sizeof *b->rows);
        b->rows_cap = b->nrows;
    }
    struct rd sids = rd_of(s[0]), meta = rd_of(s[1]), codes = rd_of(s[2]), nums = rd_of(s[3]);
    b->in = (struct column_in){
        codes.p, codes.end, nums.p, nums.end, (const uint8_t *)b->bits.p, (const uint8_t *)b->bits.p + b->bits.n};
    struct column_in in = b->in;
    for (uint32_t i = 0; i < b->nrows; i++) {
        int rc = index_row(b, &in, &sids, &meta, &b->rows[i], i ? &b->rows[i - 1] : &before);

        if (rc == ERR_UNSUPPORTED)
            return err_set(e, rc, "row %u of a block: a kind of values this program does not know", i);
        if (rc < 0)
            return err_set(e, ERR_CORRUPT, "row %u of a block: not readable", i);
    }
    if (in.code != in.code_end || in.num != in.num_end || in.bit != in.bit_end || rd_left(&sids) || rd_left(&meta))
        return err_set(e, ERR_CORRUPT, "bytes behind the rows of a block");
    return 0;
}

int block_read(struct block *b, struct unpacker *u, struct str piece, struct err *e)
{
    struct rd r = rd_of(piece);
    struct str head = rd_bytes(&r, rd_varint(&r));
    int rc;

    b->nrows = 0;
    buf_reset(&b->head);
    buf_reset(&b->bits);
    arena_reset(&b->arena);
    if (r.bad)
        return err_set(e, ERR_CORRUPT, "bad length in a block");
    if ((rc = unpack_bytes_from(u, head, &b->head, e)) < 0 ||
        (rc = unpack_bytes_from(u, str_n(r.p, rd_left(&r)), &b->bits, e)) < 0 || (rc = index_rows(b, e)) < 0)
        b->nrows = 0;
    return rc;
}

static struct column_in columns_of(const struct block *b, const struct row *r)
{
    struct column_in in = b->in;

    in.code += r->code;
    in.num += r->num;
    in.bit += r->bit;
    return in;
}

int block_row(const struct block *b, uint32_t i, uint32_t upto, double *v, int64_t *st)
{
    const struct row *r = &b->rows[i];
    struct column_in in = columns_of(b, r), at_st = in;

    assert(i < b->nrows && upto <= r->n && !(r->flags & ROW_HAS_HISTS));
    if (values_decode(&in, r->n, upto, v) < 0)
        return ERR_CORRUPT;
    if (!(r->flags & ROW_HAS_ST))
        return 0;
    return values_skip(&at_st, r->n) < 0 || ints_decode(&at_st, r->n, upto, st) < 0 ? ERR_CORRUPT : 0;
}

int block_row_hists(const struct block *b, uint32_t i, uint32_t upto, struct arena *a, double *v, int64_t *st,
                    const struct histogram **h)
{
    const struct row *r = &b->rows[i];
    struct column_in in = columns_of(b, r), at_st = in;

    assert(i < b->nrows && upto <= r->n && r->flags & ROW_HAS_HISTS);
    if (hists_decode(&in, r->n, upto, b->layouts, b->nlayouts, a, v, h) < 0)
        return ERR_CORRUPT;
    if (!(r->flags & ROW_HAS_ST))
        return 0;
    return hists_skip(&at_st, r->n, b->layouts, b->nlayouts) < 0 || ints_decode(&at_st, r->n, upto, st) < 0 ? ERR_CORRUPT
                                                                                                          : 0;
}

void block_release(struct block *b)
{
    free(b->rows);
    buf_release(&b->head);
    buf_release(&b->bits);
    arena_release(&b->arena);
    *b = (struct block){0};
}

/* --- times --------------------------------------------------------------------------------------- */

void times_writer_add(struct times_writer *w, const int64_t *t, uint32_t n)
{
    assert(w->ncolumns < TIMES_CHUNK_COLUMNS && n > 0);
    buf_put_varint(&w->lengths, n);
    ints_encode(&w->columns, t, n);
    w->ncolumns++;
}

void times_writer_finish(struct times_writer *w, struct packer *p, struct buf *out)
{
    const struct buf *streams[] = {&w->columns.codes, &w->columns.nums, &w->columns.bits};

    buf_reset(&w->raw);
    buf_put_varint(&w->raw, w->ncolumns);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        buf_put_varint(&w->raw, streams[i]->n);
    buf_puts(&w->raw, buf_str(&w->lengths));
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        buf_puts(&w->raw, buf_str(streams[i]));
    pack_bytes_into(p, buf_str(&w->raw), out);
    column_out_reset(&w->columns);
    buf_reset(&w->lengths);
    w->ncolumns = 0;
}

void times_writer_release(struct times_writer *w)
{
    column_out_release(&w->columns);
    buf_release(&w->lengths);
    buf_release(&w->raw);
    *w = (struct times_writer){0};
}

int times_read(struct times_chunk *c, struct unpacker *u, struct str piece, struct err *e)
{
    buf_reset(&c->raw);
    if (unpack_bytes_from(u, piece, &c->raw, e) < 0)
        return e->code;
    struct rd r = rd_of(buf_str(&c->raw));
    uint64_t n[3];

    c->ncolumns = rd_u32(&r);
    for (int i = 0; i < 3; i++)
        n[i] = rd_varint(&r);
    if (r.bad || c->ncolumns == 0 || c->ncolumns > TIMES_CHUNK_COLUMNS)
        return err_set(e, ERR_CORRUPT, "bad head of a chunk of times");
    for (uint32_t i = 0; i < c->ncolumns; i++)
        c->columns[i].n = rd_u32(&r);
    struct str codes = rd_bytes(&r, n[0]), nums = rd_bytes(&r, n[1]), bits = rd_bytes(&r, n[2]);
    if (r.bad || rd_left(&r) > 0)
        return err_set(e, ERR_CORRUPT, "bad lengths in a chunk of times");
    struct rd rc = rd_of(codes), rn = rd_of(nums), rb = rd_of(bits);
    c->in = (struct column_in){rc.p, rc.end, rn.p, rn.end, rb.p, rb.end};
    struct column_in in = c->in;
    for (uint32_t i = 0; i < c->ncolumns; i++) {
        c->columns[i].code = (uint32_t)(in.code - c->in.code);
        c->columns[i].num = (uint32_t)(in.num - c->in.num);
        c->columns[i].bit = (size_t)(in.bit - c->in.bit);
        if (c->columns[i].n == 0 || c->columns[i].n > CODEC_N_MAX || ints_skip(&in, c->columns[i].n) < 0)
            return err_set(e, ERR_CORRUPT, "time column %u of a chunk: not readable", i);
    }
    return 0;
}

int times_column(const struct times_chunk *c, uint32_t i, int64_t *t)
{
    struct column_in in = c->in;
    uint32_t n = c->columns[i].n;

    in.code += c->columns[i].code;
    in.num += c->columns[i].num;
    in.bit += c->columns[i].bit;
    if (ints_decode(&in, n, n, t) < 0)
        return ERR_CORRUPT;
    for (uint32_t k = 1; k < n; k++)
        if (t[k] <= t[k - 1])
            return ERR_CORRUPT;
    return 0;
}
