/*
 * block_write.c - rows to the bytes of a block.
 *
 *   +---------+-----------------------------------------------------------------------------------+
 *   | u8      | version 1                                                                         |
 *   | varint  | rows                                                                              |
 *   | varint  | bytes of all lines                                                                |
 *   | columns | column_out.c; their directory is, one after the other:                            |
 *   |         |   ints    times                                                                   |
 *   |         |   varint  different streams, 0: more than a few; ints: these                      |
 *   |         |   ints    streams, or their places                                                |
 *   |         |   text    lines                                                                   |
 *   |         |   varint  keys of metadata, by name; each: run name, varint rows that have it,    |
 *   |         |           ints their numbers unless all have it, text values                      |
 *   +---------+-----------------------------------------------------------------------------------+
 *
 * (1) What is read back is what was given, to the byte and in the order given.
 */
#include "logstore/block_file.h"

#include <assert.h>
#include <stdlib.h>

enum { STREAMS_FEW = 256, LAST = 8 /* places of metadata whose key in the row before is remembered */ };

struct meta_key {
    struct str name;
    struct str *values;
    int64_t *rows;
    uint32_t n, room;
};

struct log_block_writer {
    struct slab slab;
    struct column_out out;
    struct filter_out *filter;
    struct map keys;
};

struct log_block_writer *log_block_writer_new(void)
{
    struct log_block_writer *w = x_zalloc(sizeof *w);

    w->filter = filter_out_new();
    return w;
}

void log_block_writer_free(struct log_block_writer *w)
{
    if (!w)
        return;
    log_column_out_release(&w->out);
    filter_out_free(w->filter);
    map_release(&w->keys);
    slab_release(&w->slab);
    free(w);
}

static void write_streams(struct column_out *o, const struct log_row *rows, uint32_t n)
{
    int64_t *x = slab_array(o->slab, int64_t, n), *place = slab_array(o->slab, int64_t, n), few[STREAMS_FEW];
    uint16_t slots[STREAMS_FEW * 4] = {0};
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++)
        x[i] = rows[i].stream;
    for (uint32_t i = 0; i < n && k <= STREAMS_FEW; i++) {
        uint32_t h = (uint32_t)((uint64_t)x[i] * 0x9e3779b97f4a7c15u >> 54) % ARRAY_LEN(slots);

        while (slots[h] && few[slots[h] - 1] != x[i])
            h = (h + 1) % ARRAY_LEN(slots);
        if (!slots[h] && k == STREAMS_FEW)
            k++;
        else if (!slots[h]) {
            few[k++] = x[i];
            slots[h] = (uint16_t)k;
        }
        place[i] = slots[h] - 1;
    }
    if (k > STREAMS_FEW)
        k = 0;
    out_num(o, k);
    ints_write(o, few, k);
    ints_write(o, k ? place : x, n);
}

static struct meta_key *key_of(struct log_block_writer *w, struct str name)
{
    bool added;
    void **at = map_put(&w->keys, name, &added);

    if (added) {
        struct meta_key *k = slab_zalloc(&w->slab, sizeof *k);

        k->name = name;
        *at = k;
    }
    return *at;
}

static void add_value(struct log_block_writer *w, struct meta_key *k, uint32_t row, struct str value)
{
    if (k->n == k->room) {
        uint32_t room = k->room ? k->room * 2 : 16;
        struct str *values = slab_array(&w->slab, struct str, room);
        int64_t *rows = slab_array(&w->slab, int64_t, room);

        if (k->n) {
            memcpy(values, k->values, k->n * sizeof *values);
            memcpy(rows, k->rows, k->n * sizeof *rows);
        }
        k->values = values;
        k->rows = rows;
        k->room = room;
    }
    k->values[k->n] = value.n ? value : STR("");
    k->rows[k->n++] = row;
}

static int by_name(const void *a, const void *b)
{
    const struct meta_key *const *x = a, *const *y = b;

    return str_cmp((*x)->name, (*y)->name);
}

static void filter_metas(struct filter_out *f, const struct meta_key *k)
{
    for (uint32_t i = 0; i < k->n; i++)
        if (i == 0 || k->values[i].n != k->values[i - 1].n || (k->values[i].p != k->values[i - 1].p && !str_eq(k->values[i], k->values[i - 1])))
            filter_meta(f, k->name, k->values[i]);
}

static void write_meta(struct log_block_writer *w, const struct log_row *rows, uint32_t n, const int64_t *t_ns)
{
    struct column_out *o = &w->out;
    struct meta_key **keys, *last[LAST] = {NULL};
    uint32_t nkeys = 0, at = 0;

    map_reset(&w->keys);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < rows[i].nmeta; j++) {
            struct meta_key **same = &last[MIN(j, (uint32_t)LAST - 1)], *k = *same;

            if (!k || !str_eq(k->name, rows[i].meta[j].name))
                k = *same = key_of(w, rows[i].meta[j].name);
            if (k->n == 0 || k->rows[k->n - 1] != i) /* of two of a name the first */
                add_value(w, k, i, rows[i].meta[j].value);
        }
    keys = slab_array(&w->slab, struct meta_key *, w->keys.n);
    for (struct map_entry *m; (m = map_next(&w->keys, &at)) != NULL;)
        keys[nkeys++] = m->value;
    qsort(keys, nkeys, sizeof *keys, by_name);
    struct filter_out *f = o->filter;
    o->filter = NULL; /* lines alone are looked up by tokens */
    out_num(o, nkeys);
    for (uint32_t i = 0; i < nkeys; i++) {
        struct meta_key *k = keys[i];

        out_bytes(o, POOL_TEXT, k->name.p, k->name.n);
        out_num(o, k->n);
        if (k->n < n)
            ints_write(o, k->rows, k->n);
        text_write(o, k->values, k->n, k->n == n ? t_ns : NULL, 1);
        filter_metas(f, k);
    }
    o->filter = f;
}

void log_block_write(struct log_block_writer *w, const struct log_row *rows, uint32_t n, bool dense, struct buf *block,
                     struct buf *filter)
{
    struct column_out *o = &w->out;
    size_t begin = block->n;
    uint64_t bytes = 0;

    assert(n > 0 && n <= LOG_BLOCK_ROWS_MAX);
    slab_reset(&w->slab);
    filter_out_begin(w->filter);
    o->slab = &w->slab;
    o->filter = w->filter;
    column_out_begin(o, dense);
    int64_t *t_ns = slab_array(&w->slab, int64_t, n);
    struct str *lines = slab_array(&w->slab, struct str, n);
    for (uint32_t i = 0; i < n; i++) {
        t_ns[i] = rows[i].t_ns;
        lines[i] = rows[i].line.n ? rows[i].line : STR("");
        bytes += lines[i].n;
    }
    assert(bytes <= LOG_BLOCK_BYTES_MAX / 2);
    ints_write(o, t_ns, n);
    write_streams(o, rows, n);
    text_write(o, lines, n, t_ns, 0);
    write_meta(w, rows, n, t_ns);
    buf_putc(block, BLOCK_VERSION);
    buf_put_varint(block, n);
    buf_put_varint(block, bytes);
    column_out_end(o, block);
    filter_out_end(w->filter, block->n - begin, filter);
}
