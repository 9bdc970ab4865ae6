/*
 * block.c - a block that is read: opening it, times, streams, metadata. block_write.c has the drawing of the bytes.
 *
 * (1) Columns are decoded when they are first asked for, into memory that goes at the next open.
 * (2) Bytes may be anybody's: what does not fit is ERR_CORRUPT, and no more is taken than the budget says.
 */
#include "logstore/block_file.h"

#include <assert.h>
#include <stdlib.h>

static const uint64_t budget_bytes = (uint64_t)LOG_BLOCK_BYTES_MAX * 2;

int block_corrupt(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "log block: %s cannot be read", what);
}

struct log_block *log_block_new(void)
{
    struct log_block *b = x_zalloc(sizeof *b);

    b->in.zstd = ZSTD_createDCtx();
    assert(b->in.zstd);
    return b;
}

void log_block_free(struct log_block *b)
{
    if (!b)
        return;
    ZSTD_freeDCtx(b->in.zstd);
    slab_release(&b->slab);
    free(b);
}

static int parse_meta(struct log_block *b)
{
    struct column_in *in = &b->in;

    if (in_num32(in, BLOCK_META_MAX, &b->nmeta) < 0 || b->nmeta > (size_t)(in->end - in->at))
        return ERR_CORRUPT;
    b->meta = in_alloc(in, b->nmeta * sizeof *b->meta);
    if (!b->meta)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < b->nmeta; i++) {
        struct meta_column *m = &b->meta[i];

        *m = (struct meta_column){0};
        if (in_run(in, POOL_TEXT, &m->name_run) < 0 || in_num32(in, b->n, &m->n) < 0 ||
            (m->n < b->n && ints_parse(in, m->n, &m->rows) < 0) || text_parse(in, m->n, 1, &m->values) < 0)
            return ERR_CORRUPT;
    }
    return 0;
}

static int parse(struct log_block *b)
{
    struct column_in *in = &b->in;

    if (ints_parse(in, b->n, &b->times) < 0 || in_num32(in, b->n, &b->ndict) < 0 ||
        ints_parse(in, b->ndict, &b->stream_dict) < 0 || ints_parse(in, b->n, &b->streams) < 0 ||
        text_parse(in, b->n, 0, &b->lines) < 0 || parse_meta(b) < 0)
        return ERR_CORRUPT;
    return in->at == in->end ? 0 : ERR_CORRUPT;
}

int log_block_open(struct log_block *b, struct str bytes, struct err *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.n;
    uint64_t n, raw;

    slab_reset(&b->slab);
    ZSTD_DCtx *zstd = b->in.zstd;
    struct slab slab = b->slab;
    struct log_limits limits = b->in.limits;
    *b = (struct log_block){.slab = slab};
    b->in.zstd = zstd;
    b->in.limits = limits;
    b->in.slab = &b->slab;
    b->in.budget = budget_bytes;
    if (bytes.n == 0 || p[0] != BLOCK_VERSION)
        return err_set(e, ERR_CORRUPT, "log block: version %u is not known", bytes.n ? p[0] : 0);
    if (!(p = get_varint(p + 1, end, &n)) || n == 0 || n > LOG_BLOCK_ROWS_MAX || !(p = get_varint(p, end, &raw)) ||
        raw > LOG_BLOCK_BYTES_MAX)
        return block_corrupt(e, "the head");
    b->n = (uint32_t)n;
    b->raw_bytes = raw;
    if (column_in_open(&b->in, str_n(p, (size_t)(end - p))) < 0 || parse(b) < 0)
        return block_corrupt(e, "the directory");
    b->open = true;
    return 0;
}

void log_block_limit(struct log_block *b, const struct log_limits *limits)
{
    b->in.limits = *limits;
}

uint32_t log_block_n(const struct log_block *b)
{
    return b->n;
}

int log_block_times(struct log_block *b, const int64_t **out, struct err *e)
{
    if (!b->t_ns) {
        int64_t *t = in_alloc(&b->in, (b->n + (size_t)1) * sizeof *t);

        if (!t || ints_read(&b->in, &b->times, t) < 0)
            return block_corrupt(e, "the times");
        b->t_ns = t;
    }
    *out = b->t_ns;
    return 0;
}

static int read_streams(struct log_block *b)
{
    int64_t *x = in_alloc(&b->in, (b->n + (size_t)1) * sizeof *x),
            *dict = in_alloc(&b->in, (b->ndict + (size_t)1) * sizeof *dict);
    uint32_t *out = in_alloc(&b->in, (b->n + (size_t)1) * sizeof *out);

    if (!x || !dict || !out || ints_read(&b->in, &b->streams, x) < 0 || ints_read(&b->in, &b->stream_dict, dict) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < b->n; i++) {
        uint64_t v = (uint64_t)x[i];

        if (b->ndict) {
            if (v >= b->ndict)
                return ERR_CORRUPT;
            v = (uint64_t)dict[v];
        }
        if (v > UINT32_MAX)
            return ERR_CORRUPT;
        out[i] = (uint32_t)v;
    }
    b->stream = out;
    return 0;
}

int log_block_streams(struct log_block *b, const uint32_t **out, struct err *e)
{
    if (!b->stream && read_streams(b) < 0)
        return block_corrupt(e, "the streams");
    *out = b->stream;
    return 0;
}

/* --- metadata ----------------------------------------------------------------------------------------------- */

static int meta_name(struct log_block *b, struct meta_column *m)
{
    const char *p;

    if (m->name.p)
        return 0;
    if (run_bytes(&b->in, &m->name_run, &p) < 0)
        return ERR_CORRUPT;
    m->name = str_n(p, m->name_run.n);
    return 0;
}

/* Its rows and values. */
static int meta_read(struct log_block *b, struct meta_column *m)
{
    const int64_t *ref = NULL;

    if (m->ready)
        return 0;
    if (meta_name(b, m) < 0 || (m->n == b->n && log_block_times(b, &ref, NULL) < 0) ||
        text_read(&b->in, m->values, ref) < 0)
        return ERR_CORRUPT;
    if (m->n < b->n) {
        int64_t *at = in_alloc(&b->in, (m->n + (size_t)1) * sizeof *at);

        if (!at || ints_read(&b->in, &m->rows, at) < 0)
            return ERR_CORRUPT;
        for (uint32_t i = 0; i < m->n; i++)
            if (at[i] < 0 || at[i] >= b->n || (i && at[i] <= at[i - 1]))
                return ERR_CORRUPT;
        m->at = at;
    }
    m->ready = true;
    return 0;
}

static bool is_among(struct str name, const struct str *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return true;
    return false;
}

/* Reads the columns of these names (NULL: all) into *out, *n of them. */
static int meta_open(struct log_block *b, const struct str *names, uint32_t nnames, struct meta_column ***out, uint32_t *n)
{
    *out = slab_array(&b->slab, struct meta_column *, b->nmeta);
    *n = 0;
    for (uint32_t i = 0; i < b->nmeta; i++) {
        struct meta_column *m = &b->meta[i];

        if (meta_name(b, m) < 0 || (i && str_cmp(b->meta[i - 1].name, m->name) >= 0))
            return ERR_CORRUPT;
        if (names && !is_among(m->name, names, nnames))
            continue;
        if (meta_read(b, m) < 0)
            return ERR_CORRUPT;
        (*out)[(*n)++] = m;
    }
    return 0;
}

/* Calls for every pair of a row asked for and a value it has, key by key. */
struct meta_walk {
    const struct meta_column *m;
    uint32_t k; /* of m: the next value */
};

/* Whether the row has a value: number *k of the column. */
static inline bool walk_to(struct meta_walk *w, uint32_t row, uint32_t *k)
{
    const struct meta_column *m = w->m;

    if (!m->at) {
        *k = row;
        return true;
    }
    if (w->k < m->n && m->at[w->k] < row) { /* near, or far: rows asked for may be few */
        uint32_t lo = w->k + 1, step = 1;

        while (lo + step < m->n && m->at[lo + step] < row) {
            lo += step;
            step *= 2;
        }
        while (lo < m->n && m->at[lo] < row)
            lo++;
        w->k = lo;
    }
    if (w->k == m->n || m->at[w->k] != row)
        return false;
    *k = w->k;
    return true;
}

/* Where the labels of each row go: as many places as it has values, or as there are columns where that is one. */
static void place_labels(struct log_block *b, struct meta_column *const *columns, uint32_t ncolumns, const uint32_t *idx, uint32_t n,
                         struct log_row *rows)
{
    size_t total = 0;
    struct label *at;
    uint32_t value;

    for (uint32_t i = 0; i < n; i++)
        rows[i].nmeta = 0;
    for (uint32_t k = 0; k < ncolumns && ncolumns > 1; k++) {
        struct meta_walk w = {.m = columns[k]};

        for (uint32_t i = 0; i < n; i++)
            if (walk_to(&w, idx[i], &value)) {
                rows[i].nmeta++;
                total++;
            }
    }
    at = slab_alloc(&b->slab, ((ncolumns == 1 ? n : total) + 1) * sizeof *at);
    for (uint32_t i = 0; i < n; i++) {
        rows[i].meta = at;
        at += ncolumns == 1 ? 1 : rows[i].nmeta;
        rows[i].nmeta = 0;
    }
}

int log_block_meta_of(struct log_block *b, const struct str *names, uint32_t nnames, const uint32_t *idx, uint32_t n,
                      struct log_row *rows, struct err *e)
{
    struct meta_column **columns;
    uint32_t ncolumns, at;

    if (meta_open(b, names, nnames, &columns, &ncolumns) < 0)
        return block_corrupt(e, "the metadata");
    place_labels(b, columns, ncolumns, idx, n, rows);
    for (uint32_t k = 0; k < ncolumns; k++) {
        struct meta_walk w = {.m = columns[k]};
        const struct text *values = columns[k]->values;
        struct str name = columns[k]->name;

        for (uint32_t i = 0; i < n; i++)
            if (walk_to(&w, idx[i], &at)) {
                struct label *l = (struct label *)rows[i].meta + rows[i].nmeta++;
                uint64_t c = values->cells[at];

                l->name.p = name.p;
                l->name.n = name.n;
                l->value.p = values->base + cell_at(c);
                l->value.n = cell_n(c);
            }
    }
    return 0;
}

int log_block_meta(struct log_block *b, const uint32_t *idx, uint32_t n, struct log_row *rows, struct err *e)
{
    return log_block_meta_of(b, NULL, 0, idx, n, rows, e);
}

static bool any_equal(const struct log_hint *h, struct str s)
{
    return is_among(s, h->values, h->nvalues);
}

int block_narrow_meta(struct log_block *b, const struct log_hint *h, struct log_bits *rows)
{
    struct meta_column *m = NULL;
    uint64_t *keep = slab_zalloc(&b->slab, ((size_t)b->n / 64 + 1) * sizeof *keep);

    for (uint32_t i = 0; i < b->nmeta && !m; i++) {
        if (meta_name(b, &b->meta[i]) < 0)
            return ERR_CORRUPT;
        if (str_eq(b->meta[i].name, h->name))
            m = &b->meta[i];
    }
    if (m && meta_read(b, m) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; m && i < m->n; i++)
        if (any_equal(h, text_at(m->values, i))) {
            uint32_t row = m->at ? (uint32_t)m->at[i] : i;

            keep[row / 64] |= UINT64_C(1) << row % 64;
        }
    for (uint32_t i = 0; i < (b->n + 63) / 64; i++)
        rows->w[i] &= keep[i];
    return 0;
}

/* --- the rest -------------------------------------------------------------------------------------------------- */

size_t log_block_memory(const struct log_block *b)
{
    return b->slab.used;
}

int log_block_verify(struct log_block *b, struct err *e)
{
    struct meta_column **columns;
    const int64_t *t;
    const uint32_t *s;
    uint64_t bytes = 0;
    uint32_t n;

    if (log_block_times(b, &t, e) < 0 || log_block_streams(b, &s, e) < 0)
        return ERR_CORRUPT;
    if (text_read(&b->in, b->lines, t) < 0)
        return block_corrupt(e, "the lines");
    for (uint32_t i = 0; i < b->n; i++)
        bytes += text_at(b->lines, i).n;
    if (bytes != b->raw_bytes)
        return err_set(e, ERR_CORRUPT, "log block: %llu bytes of lines, the head says %llu", (unsigned long long)bytes,
                       (unsigned long long)b->raw_bytes);
    return meta_open(b, NULL, 0, &columns, &n) < 0 ? block_corrupt(e, "the metadata") : 0;
}
