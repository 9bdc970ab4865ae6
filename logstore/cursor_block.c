/*
 * cursor_block.c - rows of a block: whether it may matter is asked of its filter, what matters of its columns, and only then are
 * lines made.
 *
 * (1) The label that a FIELD or META hint speaks of may be the stream's, or (FIELD) be metadata, instead. So it is failed only by
 *     rows that have none of its values anywhere: in the line, in the metadata, in the labels of their stream.
 */
#include "logstore/cursor.h"

#include <stdlib.h>

static uint32_t lower(const int64_t *t, uint32_t lo, uint32_t hi, int64_t t_ns)
{
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (t[mid] < t_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}


static void set_bits(struct log_bits *b, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end;) {
        uint32_t bit = i % 64, n = MIN(64 - bit, end - i);
        b->w[i / 64] |= (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << bit;
        i += n;
    }
}

static void clear_bits(struct log_cursor *c, uint32_t rows)
{
    uint32_t words = (rows + 63) / 64;

    if (words > c->bits_cap) {
        c->bits_cap = words;
        c->bits.w = x_realloc(c->bits.w, words * sizeof *c->bits.w);
    }
    memset(c->bits.w, 0, words * sizeof *c->bits.w);
    c->bits.n = rows;
}

struct opened {
    const struct log_slice_dir *dir;
    const uint32_t *numbers; /* of the day's sids */
    uint32_t from, to;       /* streams of the block */
    uint32_t block;
    const int64_t *t;
    uint64_t by_streams; /* hints that some of these streams pass by their labels; (1) */
};

static uint64_t passed_by(const struct log_cursor *c, const struct opened *o, uint32_t i)
{
    uint32_t number = o->numbers[o->dir->streams[i].sid];

    return number == SELECT_NONE || number == SELECT_MATCHES ? 0 : c->select->streams[number - 1].passes;
}

/* The hint, asked of the metadata; false: the block has none of that name. */
static bool hint_of_meta(const struct opened *o, const struct log_hint *h, struct log_hint *out)
{
    if (h->kind != LOG_HINT_FIELD || !log_slice_has_meta(o->dir, o->block, h->name))
        return false;
    *out = (struct log_hint){.kind = LOG_HINT_META, .name = h->name, .values = h->values, .nvalues = h->nvalues};
    return true;
}

static bool filter_lets_pass(const struct log_cursor *c, const struct opened *o, struct str filter)
{
    const struct log_select_opts *q = &c->select->o;
    struct log_hint meta;

    for (uint32_t i = 0; i < q->nhints; i++)
        if (!(o->by_streams >> i & 1) && !log_filter_may_match(filter, &q->hints[i], 1) &&
            !(hint_of_meta(o, &q->hints[i], &meta) && log_filter_may_match(filter, &meta, 1)))
            return false;
    return true;
}

/* Rows of matching streams in the window. Returns how many. */
static uint32_t mark_rows(struct log_cursor *c, const struct opened *o)
{
    int64_t mint = select_mint(c->select), maxt = select_maxt(c->select);
    uint32_t n = 0, first, end;

    for (uint32_t i = o->from; i < o->to; i++) {
        if (o->numbers[o->dir->streams[i].sid] == SELECT_NONE)
            continue;
        log_slice_rows(o->dir, o->block, i, &first, &end);
        first = lower(o->t, first, end, mint);
        if (maxt < INT64_MAX)
            end = lower(o->t, first, end, maxt + 1);
        set_bits(&c->bits, first, end);
        n += end - first;
    }
    return n;
}

static void take_rows(struct log_cursor *c, const struct opened *o)
{
    uint32_t first, end;

    for (uint32_t i = o->from; i < o->to; i++) {
        uint32_t number = o->numbers[o->dir->streams[i].sid];
        if (number == SELECT_NONE)
            continue;
        log_slice_rows(o->dir, o->block, i, &first, &end);
        for (uint32_t k = first; k < end;) {
            uint64_t w = c->bits.w[k / 64] >> k % 64;
            if (w == 0) {
                k = (k / 64 + 1) * 64;
                continue;
            }
            k += (uint32_t)__builtin_ctzll(w);
            if (k < end)
                cursor_add_item(c, o->t[k], number - 1, k);
            k++;
        }
    }
}

/* (1): to rows that have the value in the line, in the metadata, or in the labels of their stream. */
static int narrow_anywhere(struct log_cursor *c, const struct opened *o, uint32_t i, bool meta_too, const struct log_hint *meta, struct err *e)
{
    uint64_t in_line[LOG_BLOCK_ROWS_MAX / 64], other[LOG_BLOCK_ROWS_MAX / 64];
    struct log_bits kept = {in_line, c->bits.n}, more = {other, c->bits.n};
    uint32_t words = (c->bits.n + 63) / 64, first, end;
    int rc;

    memcpy(in_line, c->bits.w, words * sizeof *in_line);
    if ((rc = log_block_narrow(c->block, &c->select->o.hints[i], &kept, e)) < 0)
        return rc;
    if (meta_too) {
        memcpy(other, c->bits.w, words * sizeof *other);
        if ((rc = log_block_narrow(c->block, meta, &more, e)) < 0)
            return rc;
        for (uint32_t k = 0; k < words; k++)
            in_line[k] |= other[k];
    }
    memset(other, 0, words * sizeof *other);
    for (uint32_t k = o->from; k < o->to; k++)
        if (passed_by(c, o, k) >> i & 1) {
            log_slice_rows(o->dir, o->block, k, &first, &end);
            set_bits(&more, first, end);
        }
    for (uint32_t k = 0; k < words; k++)
        c->bits.w[k] &= in_line[k] | other[k];
    return 0;
}

static int narrow(struct log_cursor *c, const struct opened *o, uint64_t raw_bytes, struct err *e)
{
    struct log_select *s = c->select;
    const struct log_hint *hints = s->o.hints;
    uint32_t n = s->o.nhints;
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        struct log_hint meta;
        bool meta_too = hint_of_meta(o, &hints[i], &meta);

        rc = meta_too || (o->by_streams >> i & 1) ? narrow_anywhere(c, o, i, meta_too, &meta, e) : log_block_narrow(c->block, &hints[i], &c->bits, e);
        if (rc < 0)
            return rc;
        if (log_hint_of_line(hints[i].kind) && i == 0)
            atomic_fetch_add_explicit(&s->bytes_raw, raw_bytes, memory_order_relaxed);
    }
    if (n == 0 && s->o.lines)
        atomic_fetch_add_explicit(&s->bytes_raw, raw_bytes, memory_order_relaxed);
    return 0;
}

int cursor_open_block(struct log_cursor *c, const struct select_unit *u, struct err *e)
{
    struct log_select *s = c->select;
    struct select_day *d = &s->days[u->day];
    struct opened o = {.numbers = d->number, .block = u->block};
    struct str bytes;
    int rc;

    if ((rc = log_day_slice_dir(d->view, u->slice, &o.dir, e)) < 0)
        return rc;
    log_slice_streams(o.dir, u->block, &o.from, &o.to);
    for (uint32_t i = o.from; i < o.to && s->o.nhints; i++)
        o.by_streams |= passed_by(c, &o, i);
    if (s->o.nhints) {
        if ((rc = log_day_filter(d->view, u->slice, u->block, &bytes, e)) < 0)
            return rc;
        if (!filter_lets_pass(c, &o, bytes)) {
            atomic_fetch_add_explicit(&s->blocks_skipped, 1, memory_order_relaxed);
            return 0;
        }
    }
    if (!c->block) {
        c->block = log_block_new();
        log_block_limit(c->block, &s->o.limits);
    }
    if ((rc = log_day_block(d->view, u->slice, u->block, &bytes, e)) < 0 || (rc = log_block_open(c->block, bytes, e)) < 0 ||
        (rc = log_block_times(c->block, &o.t, e)) < 0)
        return rc;
    atomic_fetch_add_explicit(&s->blocks_read, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->bytes_read, bytes.n, memory_order_relaxed);
    if (log_block_n(c->block) != o.dir->blocks[u->block].nrows)
        return err_set(e, ERR_CORRUPT, "partition %s: a block of %u rows has %u", partition_path(log_day_view_partition(d->view)),
                       o.dir->blocks[u->block].nrows, log_block_n(c->block));
    clear_bits(c, log_block_n(c->block));
    if (mark_rows(c, &o) == 0)
        return 0;
    if ((rc = narrow(c, &o, o.dir->blocks[u->block].raw_bytes, e)) < 0)
        return rc;
    take_rows(c, &o);
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

/* order[] by at[], which are below 2^16: two rounds of counting. */
static void sort_order(struct log_cursor *c)
{
    uint32_t begin[2][257] = {{0}};

    for (uint32_t i = 0; i < c->n; i++) {
        begin[0][(c->at[i] & 255) + 1]++;
        begin[1][(c->at[i] >> 8 & 255) + 1]++;
    }
    for (unsigned k = 0; k < 256; k++) {
        begin[0][k + 1] += begin[0][k];
        begin[1][k + 1] += begin[1][k];
    }
    for (uint32_t i = 0; i < c->n; i++)
        c->idx[begin[0][c->at[i] & 255]++] = i;
    for (uint32_t i = 0; i < c->n; i++)
        c->order[begin[1][c->at[c->idx[i]] >> 8 & 255]++] = c->idx[i];
}

_Static_assert(LOG_BLOCK_ROWS_MAX <= 1 << 16, "two bytes name a row");

/* order[]: the rows by their place in the block, idx[]: those places. */
static void order_rows(struct log_cursor *c)
{
    bool up = true, down = true;

    for (uint32_t i = 1; i < c->n; i++) {
        up &= c->at[i - 1] < c->at[i];
        down &= c->at[i - 1] > c->at[i];
    }
    for (uint32_t i = 0; i < c->n; i++)
        c->order[i] = down && !up ? c->n - 1 - i : i;
    if (!up && !down)
        sort_order(c);
    for (uint32_t i = 0; i < c->n; i++)
        c->idx[i] = c->at[c->order[i]];
}

int cursor_fill_block(struct log_cursor *c, const struct cursor_want *want, struct err *e)
{
    const struct log_select_opts *o = &c->select->o;
    int rc;

    if (!want->lines && !want->meta && !want->fields)
        return 0;
    order_rows(c);
    memset(c->found, 0, c->n * sizeof *c->found);
    if ((want->lines && (rc = log_block_lines(c->block, c->idx, c->n, c->found, e)) < 0) ||
        (want->meta && (rc = log_block_meta_of(c->block, want->names, want->nnames, c->idx, c->n, c->found, e)) < 0) ||
        (want->fields && (rc = log_block_fields(c->block, o->parser, o->fields, o->nfields, c->idx, c->n, c->found, e)) < 0))
        return rc;
    for (uint32_t i = 0; i < c->n; i++) {
        struct log_row *r = &c->rows[c->order[i]];
        const struct log_row *f = &c->found[i];
        r->line = f->line;
        if (want->lines && !r->line.p)
            r->line = STR("");
        r->meta = f->meta;
        r->nmeta = f->nmeta;
        r->fields = f->fields;
        r->nfields = f->nfields;
    }
    return 0;
}
