/*
 * index_write.c - builds an index segment out of the series of one flush: label by label, value by value.
 *
 *   segment   value blocks*  posting blocks*  (label by label)   groups*   directory
 *   values    packed( { length of the prefix shared with the value before  length of the rest }*  all the rests )
 *   postings  packed( { length of the list }*  lists )
 *   list      rows, as runs: first minus the first of the list before (zigzag), later starts minus the end of the run
 * before;
 *             << 1, bit 0: a length - 2 follows, else the run is one row
 *   group     packed( ncolumns  { label  width  constant if width 0 }*  { ids of `width` bytes }* )
 *   directory packed( nlabels  { name  nvalues  nrows  nblocks { first id  first value  piece }*  nblocks { first id
 * piece }* }* ngroups { piece }* )
 *
 * A row is a series of the segment: sid - first_sid. Value ids of a label are 1.. in bytewise order of the values; 0
 * means: the series has no such label. Identities are not stored: they are the hash of the labels.
 *
 * Series come sorted (metric name, labels), so lists are runs and group columns are steps and repetitions, which zstd
 * all but removes: a few bytes a series. Nothing breaks when they come in another order.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

enum { VALUES_RAW_TARGET = 16 * 1024, VALUES_PER_BLOCK = 2048, POSTINGS_RAW_TARGET = 32 * 1024 };

/* The values of a label while they come in: bytes end to end, a hash table of their numbers. */
struct dict {
    struct buf bytes;
    uint32_t *ends; /* value i: [ends[i-1], ends[i]) */
    uint32_t *slots, mask, n, cap;
    uint32_t last; /* the value of the row before, often again */
};

struct label_in {
    struct str name; /* its bytes are ours */
    struct dict dict;
    struct buf rows; /* { row minus the one before, number of the value } */
    uint32_t nrows, last_row;
};

struct index_writer {
    struct label_in *labels;
    uint32_t nlabels, cap, nrows;
    struct map by_name; /* -> label_in number + 1 */
    /* of finish */
    struct blob_writer *blob;
    struct packer *packer;
    struct buf raw, packed, dir;
};

/* --- coming in ------------------------------------------------------------------------------------ */

static struct str dict_value(const struct dict *d, uint32_t i)
{
    uint32_t from = i ? d->ends[i - 1] : 0;

    return str_n(d->bytes.p + from, d->ends[i] - from);
}

static void dict_rehash(struct dict *d)
{
    uint32_t size = d->mask ? (d->mask + 1) * 2 : 16;

    free(d->slots);
    d->slots = x_zalloc(size * sizeof *d->slots);
    d->mask = size - 1;
    for (uint32_t i = 0; i < d->n; i++) {
        struct str v = dict_value(d, i);
        uint32_t at = (uint32_t)hash64(v.p, v.n) & d->mask;

        while (d->slots[at])
            at = (at + 1) & d->mask;
        d->slots[at] = i + 1;
    }
}

static uint32_t dict_put(struct dict *d, struct str v)
{
    if (d->n && str_eq(dict_value(d, d->last), v))
        return d->last;
    if ((d->n + 1) * 3 > (d->mask + 1) * 2 || !d->slots)
        dict_rehash(d);
    uint32_t at = (uint32_t)hash64(v.p, v.n) & d->mask;
    for (; d->slots[at]; at = (at + 1) & d->mask)
        if (str_eq(dict_value(d, d->slots[at] - 1), v))
            return d->last = d->slots[at] - 1;
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 16;
        d->ends = x_realloc(d->ends, d->cap * sizeof *d->ends);
    }
    assert(d->bytes.n + v.n <= UINT32_MAX);
    buf_puts(&d->bytes, v);
    d->ends[d->n] = (uint32_t)d->bytes.n;
    d->slots[at] = ++d->n;
    return d->last = d->n - 1;
}

struct index_writer *index_writer_new(void)
{
    return x_zalloc(sizeof(struct index_writer));
}

void index_writer_free(struct index_writer *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->nlabels; i++) {
        struct label_in *l = &w->labels[i];

        free((char *)(uintptr_t)l->name.p);
        buf_release(&l->dict.bytes);
        free(l->dict.ends);
        free(l->dict.slots);
        buf_release(&l->rows);
    }
    free(w->labels);
    map_release(&w->by_name);
    buf_release(&w->raw);
    buf_release(&w->packed);
    buf_release(&w->dir);
    free(w);
}

static struct label_in *label_of(struct index_writer *w, struct str name)
{
    uintptr_t known = (uintptr_t)map_get(&w->by_name, name);

    if (known)
        return &w->labels[known - 1];
    if (w->nlabels == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 32;
        w->labels = x_realloc(w->labels, w->cap * sizeof *w->labels);
    }
    struct label_in *l = &w->labels[w->nlabels++];
    *l = (struct label_in){.name = str_n(x_strdup(name), name.n)};
    *map_put(&w->by_name, l->name, NULL) = (void *)(uintptr_t)w->nlabels;
    return l;
}

void index_writer_add(struct index_writer *w, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        struct label_in *l = label_of(w, ls->v[i].name);

        buf_put_varint(&l->rows, w->nrows - l->last_row);
        buf_put_varint(&l->rows, dict_put(&l->dict, ls->v[i].value));
        l->last_row = w->nrows;
        l->nrows++;
    }
    w->nrows++;
}

/* --- values ---------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b, void *dict)
{
    return str_cmp(dict_value(dict, *(const uint32_t *)a), dict_value(dict, *(const uint32_t *)b));
}

static size_t shared_prefix(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n), i = 0;

    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static int put_piece(struct index_writer *w, struct str raw, struct err *e)
{
    struct piece p;
    struct str packed;

    buf_reset(&w->packed);
    pack_bytes_into(w->packer, raw, &w->packed);
    packed = buf_str(&w->packed);
    if (blob_put(w->blob, &packed, 1, &p, e) < 0)
        return e->code;
    buf_put_varint(&w->dir, p.at);
    buf_put_varint(&w->dir, p.n);
    return 0;
}

static uint32_t values_that_fit(const struct dict *d, const uint32_t *sorted, uint32_t from)
{
    uint32_t n = 0;

    for (size_t bytes = 0; from + n < d->n && n < VALUES_PER_BLOCK && bytes < VALUES_RAW_TARGET; n++)
        bytes += dict_value(d, sorted[from + n]).n;
    return n;
}

static int write_values(struct index_writer *w, const struct dict *d, const uint32_t *sorted, struct err *e)
{
    uint32_t nblocks = 0;

    for (uint32_t i = 0; i < d->n; i += values_that_fit(d, sorted, i))
        nblocks++;
    buf_put_varint(&w->dir, nblocks);
    for (uint32_t i = 0, n; i < d->n; i += n) {
        struct buf rests = {0};
        struct str before = {0}, first = dict_value(d, sorted[i]);

        n = values_that_fit(d, sorted, i);
        buf_reset(&w->raw);
        for (uint32_t k = 0; k < n; k++) {
            struct str v = dict_value(d, sorted[i + k]);
            size_t shared = shared_prefix(before, v);

            buf_put_varint(&w->raw, shared);
            buf_put_varint(&w->raw, v.n - shared);
            buf_puts(&rests, str_from(v, shared));
            before = v;
        }
        buf_puts(&w->raw, buf_str(&rests));
        buf_release(&rests);
        buf_put_varint(&w->dir, i + 1);
        buf_put_varint(&w->dir, first.n);
        buf_puts(&w->dir, first);
        if (put_piece(w, buf_str(&w->raw), e) < 0)
            return e->code;
    }
    return 0;
}

/* --- postings --------------------------------------------------------------------------------------- */

static void put_list(struct buf *out, const uint32_t *rows, uint32_t n, uint32_t before_first)
{
    uint32_t end = 0;

    for (uint32_t i = 0, len; i < n; i += len) {
        for (len = 1; i + len < n && rows[i + len] == rows[i] + len; len++)
            ;
        uint64_t start = i ? rows[i] - end : zigzag((int64_t)rows[i] - before_first);
        buf_put_varint(out, start << 1 | (len > 1));
        if (len > 1)
            buf_put_varint(out, len - 2);
        end = rows[i] + len;
    }
}

struct lists {
    uint32_t *starts; /* list of value id i + 1: rows[starts[i]..starts[i+1]) */
    uint32_t *rows;
};

/* rank: number of a value as it came -> its place in order. */
static void collect_lists(const struct label_in *l, const uint32_t *rank, struct lists *out)
{
    uint32_t n = l->dict.n, *at;
    uint64_t gap, number;

    out->starts = x_zalloc((n + 1) * sizeof *out->starts);
    out->rows = x_alloc((l->nrows + 1) * sizeof *out->rows);
    for (int pass = 0; pass < 2; pass++) {
        const uint8_t *p = (const uint8_t *)l->rows.p, *end = p + l->rows.n;
        uint32_t row = 0;

        at = out->starts;
        while (p < end) {
            p = get_varint(p, end, &gap);
            assert(p);
            p = get_varint(p, end, &number);
            assert(p);
            row += (uint32_t)gap;
            if (pass == 0)
                at[rank[number] + 1]++;
            else
                out->rows[at[rank[number]]++] = row;
        }
        if (pass == 0)
            for (uint32_t i = 0; i < n; i++)
                at[i + 1] += at[i];
    }
    /* The second pass moved each start to its end, which is the next one's start. */
    memmove(out->starts + 1, out->starts, n * sizeof *out->starts);
    out->starts[0] = 0;
}

static int write_postings(struct index_writer *w, const struct lists *l, uint32_t nvalues, struct err *e)
{
    struct buf lists = {0}, blocks = {0}, dir = w->dir; /* the number of blocks is known at the end */
    uint32_t nblocks = 0;
    int rc = 0;

    w->dir = blocks;
    for (uint32_t i = 0; i < nvalues && rc == 0; nblocks++) {
        uint32_t before_first = 0, first = i;

        buf_reset(&lists);
        buf_reset(&w->raw);
        for (; i < nvalues && lists.n < POSTINGS_RAW_TARGET && i - first < VALUES_PER_BLOCK; i++) {
            const uint32_t *rows = l->rows + l->starts[i];
            size_t from = lists.n;

            put_list(&lists, rows, l->starts[i + 1] - l->starts[i], before_first);
            buf_put_varint(&w->raw, lists.n - from);
            before_first = rows[0];
        }
        buf_puts(&w->raw, buf_str(&lists));
        buf_put_varint(&w->dir, first + 1);
        rc = put_piece(w, buf_str(&w->raw), e);
    }
    blocks = w->dir;
    w->dir = dir;
    buf_put_varint(&w->dir, nblocks);
    buf_puts(&w->dir, buf_str(&blocks));
    buf_release(&blocks);
    buf_release(&lists);
    return rc;
}

static int write_label(struct index_writer *w, struct label_in *l, uint32_t *rank, struct err *e)
{
    uint32_t n = l->dict.n, *sorted = x_alloc((n + 1) * sizeof *sorted);
    struct lists lists = {0};
    int rc;

    for (uint32_t i = 0; i < n; i++)
        sorted[i] = i;
    qsort_r(sorted, n, sizeof *sorted, by_value, &l->dict);
    for (uint32_t i = 0; i < n; i++)
        rank[sorted[i]] = i;
    buf_put_varint(&w->dir, l->name.n);
    buf_puts(&w->dir, l->name);
    buf_put_varint(&w->dir, n);
    buf_put_varint(&w->dir, l->nrows);
    rc = write_values(w, &l->dict, sorted, e);
    if (rc == 0) {
        collect_lists(l, rank, &lists);
        rc = write_postings(w, &lists, n, e);
    }
    free(sorted);
    free(lists.starts);
    free(lists.rows);
    return rc;
}

/* --- groups ------------------------------------------------------------------------------------------ */

/* A label's rows being read in step with the groups. */
struct feed {
    const uint8_t *p, *end;
    uint32_t row, id; /* the next one; row UINT32_MAX: no more */
    const uint32_t *rank;
};

static void feed_next(struct feed *f)
{
    uint64_t gap, number;

    if (f->p == f->end) {
        f->row = UINT32_MAX;
        return;
    }
    f->p = get_varint(f->p, f->end, &gap);
    assert(f->p);
    f->p = get_varint(f->p, f->end, &number);
    assert(f->p);
    f->row += (uint32_t)gap;
    f->id = f->rank[number] + 1;
}

static unsigned id_width(uint32_t max)
{
    return max <= UINT8_MAX ? 1 : max <= UINT16_MAX ? 2 : 4;
}

/* The column of one label in rows [from, to): its head to `raw`, its ids to `ids`. False: no row has it. */
static bool put_column(struct feed *f, uint32_t label, uint32_t from, uint32_t to, struct buf *raw, struct buf *ids)
{
    uint32_t column[GROUP_ROWS] = {0}, max = 0;
    bool constant = true;

    if (f->row >= to)
        return false;
    for (; f->row < to; feed_next(f)) {
        column[f->row - from] = f->id;
        max = MAX(max, f->id);
    }
    for (uint32_t i = 1; i < to - from; i++)
        constant &= column[i] == column[0];
    buf_put_varint(raw, label);
    buf_put_varint(raw, constant ? 0 : id_width(max));
    if (constant)
        buf_put_varint(raw, column[0]);
    else
        for (uint32_t i = 0; i < to - from; i++)
            buf_put(ids, &column[i], id_width(max)); /* little-endian: the low bytes */
    return true;
}

static int write_groups(struct index_writer *w, struct feed *feeds, const uint32_t *order, struct err *e)
{
    uint32_t ngroups = (w->nrows + GROUP_ROWS - 1) / GROUP_ROWS;
    struct buf heads = {0}, ids = {0};
    int rc = 0;

    buf_put_varint(&w->dir, ngroups);
    for (uint32_t g = 0; g < ngroups && rc == 0; g++) {
        uint32_t from = g * GROUP_ROWS, to = MIN(w->nrows, from + GROUP_ROWS), ncolumns = 0;

        buf_reset(&heads);
        buf_reset(&ids);
        for (uint32_t i = 0; i < w->nlabels; i++)
            ncolumns += put_column(&feeds[order[i]], i, from, to, &heads, &ids);
        buf_reset(&w->raw);
        buf_put_varint(&w->raw, ncolumns);
        buf_puts(&w->raw, buf_str(&heads));
        buf_puts(&w->raw, buf_str(&ids));
        rc = put_piece(w, buf_str(&w->raw), e);
    }
    buf_release(&heads);
    buf_release(&ids);
    return rc;
}

static int by_name(const void *a, const void *b, void *w)
{
    const struct label_in *labels = ((struct index_writer *)w)->labels;

    return str_cmp(labels[*(const uint32_t *)a].name, labels[*(const uint32_t *)b].name);
}

int index_writer_finish(struct index_writer *w, struct blob_writer *blob, struct packer *p, struct piece *dir,
                        struct err *e)
{
    uint32_t *order = x_alloc((w->nlabels + 1) * sizeof *order);
    uint32_t **ranks = x_zalloc((w->nlabels + 1) * sizeof *ranks);
    struct feed *feeds = x_zalloc((w->nlabels + 1) * sizeof *feeds);
    int rc = 0;

    w->blob = blob;
    w->packer = p;
    for (uint32_t i = 0; i < w->nlabels; i++)
        order[i] = i;
    qsort_r(order, w->nlabels, sizeof *order, by_name, w);
    buf_put_varint(&w->dir, w->nlabels);
    for (uint32_t i = 0; i < w->nlabels && rc == 0; i++) {
        struct label_in *l = &w->labels[order[i]];

        ranks[order[i]] = x_alloc((l->dict.n + 1) * sizeof **ranks);
        rc = write_label(w, l, ranks[order[i]], e);
    }
    for (uint32_t i = 0; i < w->nlabels && rc == 0; i++) {
        struct buf *rows = &w->labels[i].rows;

        feeds[i] = (struct feed){(const uint8_t *)rows->p, (const uint8_t *)rows->p + rows->n, 0, 0, ranks[i]};
        feed_next(&feeds[i]);
    }
    if (rc == 0)
        rc = write_groups(w, feeds, order, e);
    if (rc == 0) {
        struct str packed;

        buf_reset(&w->packed);
        pack_bytes_into(p, buf_str(&w->dir), &w->packed);
        packed = buf_str(&w->packed);
        rc = blob_put(blob, &packed, 1, dir, e);
    }
    for (uint32_t i = 0; i < w->nlabels; i++)
        free(ranks[i]);
    free(ranks);
    free(order);
    free(feeds);
    return rc;
}
