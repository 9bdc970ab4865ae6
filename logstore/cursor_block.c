/*
 * cursor_block.c - rows of a block: whether it may matter is asked of its filter, what matters of its columns, and only then are
 * lines made.
 *
 * (1) A FIELD hint is left aside for a block with a matching stream, or with metadata, of that name: there the field does not get it.
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

/* The hints that hold for all rows of the block that are asked for. */
static uint32_t hints_for(const struct log_select *s, const uint32_t *numbers, const struct log_slice_dir *dir, uint32_t block, uint32_t from,
                          uint32_t to, struct log_hint *out)
{
    uint64_t not_these = 0;
    uint32_t n = 0;

    for (uint32_t i = from; i < to; i++)
        if (numbers[dir->streams[i].sid] != SELECT_NONE && numbers[dir->streams[i].sid] != SELECT_MATCHES)
            not_these |= s->streams[numbers[dir->streams[i].sid] - 1].no_hints;
    for (uint32_t i = 0; i < s->o.nhints; i++)
        if (!(not_these >> i & 1) && !(s->o.hints[i].kind == LOG_HINT_FIELD && log_slice_has_meta(dir, block, s->o.hints[i].name)))
            out[n++] = s->o.hints[i];
    return n;
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
};

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

static int narrow(struct log_cursor *c, const struct log_hint *hints, uint32_t n, uint64_t raw_bytes, struct err *e)
{
    struct log_select *s = c->select;
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        if ((rc = log_block_narrow(c->block, &hints[i], &c->bits, e)) < 0)
            return rc;
        if (hints[i].kind == LOG_HINT_LINE && i == 0)
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
    struct log_hint hints[SELECT_HINTS_MAX];
    struct opened o = {.numbers = d->number, .block = u->block};
    uint32_t nhints;
    struct str bytes;
    int rc;

    if ((rc = log_day_slice_dir(d->view, u->slice, &o.dir, e)) < 0)
        return rc;
    log_slice_streams(o.dir, u->block, &o.from, &o.to);
    nhints = hints_for(s, o.numbers, o.dir, u->block, o.from, o.to, hints);
    if (nhints) {
        if ((rc = log_day_filter(d->view, u->slice, u->block, &bytes, e)) < 0)
            return rc;
        if (!log_filter_may_match(bytes, hints, nhints)) {
            atomic_fetch_add_explicit(&s->blocks_skipped, 1, memory_order_relaxed);
            return 0;
        }
    }
    if (!c->block)
        c->block = log_block_new();
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
    if ((rc = narrow(c, hints, nhints, o.dir->blocks[u->block].raw_bytes, e)) < 0)
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

int cursor_fill_block(struct log_cursor *c, bool lines, bool meta, bool fields, struct err *e)
{
    const struct log_select_opts *o = &c->select->o;
    int rc;

    if (!lines && !meta && !fields)
        return 0;
    order_rows(c);
    memset(c->found, 0, c->n * sizeof *c->found);
    if ((lines && (rc = log_block_lines(c->block, c->idx, c->n, c->found, e)) < 0) ||
        (meta && (rc = log_block_meta(c->block, c->idx, c->n, c->found, e)) < 0) ||
        (fields && (rc = log_block_fields(c->block, o->parser, o->fields, o->nfields, c->idx, c->n, c->found, e)) < 0))
        return rc;
    for (uint32_t i = 0; i < c->n; i++) {
        struct log_row *r = &c->rows[c->order[i]];
        const struct log_row *f = &c->found[i];
        r->line = f->line;
        if (lines && !r->line.p)
            r->line = STR("");
        r->meta = f->meta;
        r->nmeta = f->nmeta;
        r->fields = f->fields;
        r->nfields = f->nfields;
    }
    return 0;
}
