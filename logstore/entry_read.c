/* log_entry_read.c - reading journal entries. Bytes come from a checksummed file, and still nothing in them is believed. */
#include "logstore/entry.h"

#include <stdlib.h>

enum { ROW_BYTES_MIN = 3, LABEL_BYTES_MIN = 2 };

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "logs journal entry: %s", what);
}

static void read_defs(struct rd *r, struct arena *a, struct log_entry *out)
{
    out->ndefs = rd_count(r, 1);
    out->defs = arena_array(a, struct labels, out->ndefs);
    for (uint32_t i = 0; i < out->ndefs && !r->bad; i++) {
        struct labels *ls = &out->defs[i];
        ls->n = rd_count(r, 2);
        if (ls->n > ENTRY_LABELS_MAX)
            r->bad = true;
        if (r->bad)
            break;
        ls->v = arena_array(a, struct label, ls->n);
        for (uint32_t k = 0; k < ls->n; k++) {
            ls->v[k].name = rd_text(r);
            ls->v[k].value = rd_text(r);
        }
    }
}

static void read_marks(struct rd *r, struct arena *a, struct log_entry *out)
{
    out->nmarks = rd_count(r, 2);
    out->marks = arena_array(a, struct log_mark, out->nmarks);
    for (uint32_t i = 0; i < out->nmarks; i++) {
        out->marks[i].key = rd_text(r);
        out->marks[i].value = rd_text(r);
    }
}

static void read_runs(struct rd *r, struct arena *a, struct log_entry *out)
{
    uint64_t rows = 0;

    out->nruns = rd_count(r, 2);
    out->runs = arena_array(a, struct entry_run, out->nruns);
    for (uint32_t i = 0; i < out->nruns; i++) {
        out->runs[i].local = rd_u32(r);
        out->runs[i].n = rd_u32(r);
        rows += out->runs[i].n;
    }
    r->bad |= rows > ENTRY_ROWS_MAX;
    out->nrows = r->bad ? 0 : (uint32_t)rows;
}

int log_entry_read(struct str bytes, struct arena *a, struct log_entry *out, struct err *e)
{
    struct rd r = rd_of(bytes);

    *out = (struct log_entry){0};
    if (bytes.n == 0 || *r.p++ != ENTRY_VERSION)
        return bad(e, "unknown version");
    out->first_local = rd_u32(&r);
    read_defs(&r, a, out);
    read_marks(&r, a, out);
    read_runs(&r, a, out);
    out->mint_ns = rd_zigzag(&r);
    out->maxt_ns = (int64_t)((uint64_t)out->mint_ns + rd_varint(&r));
    if (r.bad || out->maxt_ns < out->mint_ns)
        return bad(e, "cut or senseless head");
    out->nlabels = rd_u32(&r);
    out->nnames = rd_count(&r, 1);
    out->names = arena_array(a, struct str, out->nnames);
    for (uint32_t i = 0; i < out->nnames; i++)
        out->names[i] = rd_text(&r);
    if (r.bad || !log_packed_read(&r, ENTRY_RAW_MAX, &out->columns) || !log_packed_read(&r, ENTRY_RAW_MAX, &out->lines) || rd_left(&r))
        return bad(e, "cut or senseless columns");
    if (out->nrows > out->columns.raw_bytes / ROW_BYTES_MIN || out->nlabels > out->columns.raw_bytes / LABEL_BYTES_MIN)
        return bad(e, "counts that its columns cannot hold");
    return 0;
}

size_t log_entry_mem_bytes(const struct log_entry *in)
{
    size_t n = in->columns.raw_bytes + in->lines.raw_bytes;

    for (uint32_t i = 0; i < in->nnames; i++)
        n += in->names[i].n;
    return n;
}

struct set {
    const struct label *v;
    uint32_t n;
};

struct rows_reader {
    struct rd r;
    const struct log_entry *in;
    struct str *names;
    struct label *labels; /* the next free one */
    uint32_t nlabels;     /* left */
    struct set *sets;
    uint32_t nsets, cap;
};

static bool new_set(struct rows_reader *x, struct set *out)
{
    uint32_t n = rd_count(&x->r, LABEL_BYTES_MIN);

    if (n == 0 || n > x->nlabels || n > HEAD_META_MAX)
        return false;
    *out = (struct set){x->labels, n};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t name = rd_u32(&x->r);
        if (name >= x->in->nnames)
            return false;
        x->labels[i] = (struct label){x->names[name], rd_text(&x->r)};
    }
    x->labels += n;
    x->nlabels -= n;
    if (x->nsets == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->sets = x_realloc(x->sets, x->cap * sizeof *x->sets);
    }
    x->sets[x->nsets++] = *out;
    return !x->r.bad;
}

static bool read_rows(struct rows_reader *x, struct log_head_row *rows, const char *lines)
{
    size_t left = x->in->lines.raw_bytes;
    int64_t t = 0;

    for (uint32_t i = 0; i < x->in->nrows; i++) {
        struct log_head_row *r = &rows[i];
        struct set s = {NULL, 0};
        uint64_t n, meta;

        t = (int64_t)((uint64_t)t + (uint64_t)rd_zigzag(&x->r));
        n = rd_varint(&x->r);
        meta = rd_varint(&x->r);
        if (x->r.bad || n > left || n > UINT32_MAX || meta >= (uint64_t)x->nsets + 2 || (meta == 1 && !new_set(x, &s)))
            return false;
        if (meta > 1)
            s = x->sets[meta - 2];
        *r = (struct log_head_row){.t_ns = t, .line = lines, .line_bytes = (uint32_t)n, .meta = s.v, .nmeta = (uint16_t)s.n};
        lines += n;
        left -= n;
    }
    return !x->r.bad && rd_left(&x->r) == 0 && left == 0;
}

int log_entry_rows(struct log_unpacker *u, const struct log_entry *in, struct log_head_row *rows, struct label *labels, char *mem, struct err *e)
{
    struct rows_reader x = {.in = in, .labels = labels, .nlabels = in->nlabels};
    char *lines = mem, *columns = lines + in->lines.raw_bytes, *at = columns + in->columns.raw_bytes;
    bool good;

    if (!log_packed_unpack(u, &in->lines, lines) || !log_packed_unpack(u, &in->columns, columns))
        return bad(e, "does not unpack");
    x.names = x_alloc((in->nnames + 1) * sizeof *x.names);
    for (uint32_t i = 0; i < in->nnames; i++) {
        x.names[i] = str_n(at, in->names[i].n);
        if (in->names[i].n)
            memcpy(at, in->names[i].p, in->names[i].n);
        at += in->names[i].n;
    }
    x.r = rd_of(str_n(columns, in->columns.raw_bytes));
    good = read_rows(&x, rows, lines);
    free(x.names);
    free(x.sets);
    return good ? 0 : bad(e, "rows that its columns do not hold");
}
