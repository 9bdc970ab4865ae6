/*
 * fuzz_block.c - everything a day is made of, read from any bytes: blocks, times, directories, groups, values,
 * postings. Checksums would keep such bytes away; here there are none. The first byte says what the rest claims to be.
 */
#include "tsdb/day_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 1 << 16 }; /* longer columns are not decoded here: memory, not logic */

static struct unpacker *u;

static void fuzz_block(struct str s)
{
    struct block b = {0};
    struct err e;

    if (block_read(&b, u, s, &e) == 0)
        for (uint32_t i = 0; i < b.nrows; i++) {
            uint32_t n = b.rows[i].n;

            if (n > ROWS_MAX)
                continue;
            double *v = x_alloc(n * sizeof *v);
            int64_t *st = x_alloc(n * sizeof *st);
            if (b.rows[i].flags & ROW_HAS_HISTS) {
                const struct histogram **h = x_alloc(n * sizeof *h);
                struct arena a = {0};
                block_row_hists(&b, i, n, &a, v, st, h);
                block_row_hists(&b, i, n / 2, &a, v, st, h);
                arena_release(&a);
                free(h);
            } else {
                block_row(&b, i, n, v, st);
                block_row(&b, i, n / 2, v, st);
            }
            free(v);
            free(st);
        }
    block_release(&b);
}

static void fuzz_times(struct str s)
{
    struct times_chunk *c = x_zalloc(sizeof *c);
    struct err e;

    if (times_read(c, u, s, &e) == 0)
        for (uint32_t i = 0; i < c->ncolumns; i++) {
            if (c->columns[i].n > ROWS_MAX)
                continue;
            int64_t *t = x_alloc(c->columns[i].n * sizeof *t);
            times_column(c, i, t);
            free(t);
        }
    buf_release(&c->raw);
    free(c);
}

static void fuzz_directory(struct str s)
{
    struct day_dir *d, *again;
    struct buf b = {0};
    struct err e;

    if (dir_parse(s, NULL, &d, &e) < 0)
        return;
    dir_encode(d, &b);
    if (dir_parse(buf_str(&b), d, &again, &e) < 0)
        abort(); /* what we read and wrote again must be readable */
    dir_unref(again);
    dir_unref(d);
    buf_release(&b);
}

static void fuzz_slice_dir(struct str s)
{
    struct slice like = {.nrows = 700, .ncolumns = 3, .ascending = s.n & 1};
    struct slice_dir *d;
    struct err e;

    if (slice_dir_parse(s, &like, &d, &e) == 0)
        slice_dir_free(d);
}

/* The first byte: how long the directory of the segment is; the group follows. */
static void fuzz_segment(struct str s)
{
    struct seg_dir *d;
    struct row_group g = {0};
    struct err e;

    if (s.n == 0)
        return;
    struct str dir = str_head(str_from(s, 1), (unsigned char)s.p[0]);
    if (seg_dir_parse(dir, 40, &d, &e) < 0)
        return;
    buf_puts(&g.raw, str_from(s, 1 + dir.n));
    if (group_parse(&g, d, 40, &e) == 0)
        for (uint32_t i = 0; i < g.ncolumns; i++)
            for (uint32_t k = 0; k < 40; k++)
                if (group_id(&g.columns[i], k) > d->labels[g.columns[i].label].nvalues)
                    abort();
    group_release(&g);
    seg_dir_free(d);
}

static void fuzz_values(struct str s)
{
    struct arena a = {0};
    struct str out[64];
    struct err e;

    if (s.n > 0)
        values_parse(str_from(s, 1), (unsigned char)s.p[0] % 64, &a, out, &e);
    arena_release(&a);
}

static void fuzz_postings(struct str s)
{
    uint64_t want[4], rows[16] = {0};
    struct err e;

    memset(want, 0x5a, sizeof want);
    if (s.n > 0)
        posting_set(str_from(s, 1), (unsigned char)s.p[0] % 64, want, 7, 1000, rows, &e);
    if (rows[15] >> 40)
        abort(); /* a row that is not there */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct str) = {fuzz_block,   fuzz_times,  fuzz_directory, fuzz_slice_dir,
                                                fuzz_segment, fuzz_values, fuzz_postings};

    if (size == 0)
        return 0;
    if (!u)
        u = unpacker_new();
    kinds[data[0] % ARRAY_LEN(kinds)](str_n(data + 1, size - 1));
    return 0;
}
