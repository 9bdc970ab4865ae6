/* entry.c - writing journal entries; see entry.h. */
#include "logstore/entry.h"

#include "logstore/pack.h"

#include <assert.h>
#include <stdlib.h>

enum { LEVEL = -6 }; /* the journal is read once at most, and thrown away soon: what counts is the processor time of packing */

struct log_entry_packer {
    struct log_packer *packer;
    struct buf columns;
    struct map names; /* -> number + 1 */
    const struct label **sets; /* by number: what rows share */
    uint32_t nsets, sets_cap;
    uint32_t *recent; /* set number + 1 by a hash of where it lies */
};

enum { RECENT = 1024 };

static void put_text(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

struct log_entry_packer *log_entry_packer_new(void)
{
    struct log_entry_packer *p = x_zalloc(sizeof *p);

    p->packer = log_packer_new(LEVEL);
    p->recent = x_zalloc(RECENT * sizeof *p->recent);
    return p;
}

void log_entry_packer_free(struct log_entry_packer *p)
{
    if (!p)
        return;
    log_packer_free(p->packer);
    buf_release(&p->columns);
    map_release(&p->names);
    free(p->sets);
    free(p->recent);
    free(p);
}

static uint32_t name_number(struct log_entry_packer *p, struct str name)
{
    bool added;
    void **at = map_put(&p->names, name, &added);

    if (added)
        *at = (void *)(uintptr_t)p->names.n;
    return (uint32_t)(uintptr_t)*at - 1;
}

/* Rows that share a set of metadata share the array (ingest.c sees to it): it is told by its address. */
static void put_meta(struct log_entry_packer *p, const struct log_head_row *r, uint32_t *nlabels)
{
    uint32_t *recent = &p->recent[((uintptr_t)r->meta >> 5) % RECENT];

    if (r->nmeta == 0) {
        buf_putc(&p->columns, 0);
        return;
    }
    if (*recent && p->sets[*recent - 1] == r->meta) {
        buf_put_varint(&p->columns, *recent - 1 + 2);
        return;
    }
    if (p->nsets == p->sets_cap) {
        p->sets_cap = p->sets_cap ? p->sets_cap * 2 : 64;
        p->sets = x_realloc(p->sets, p->sets_cap * sizeof(struct label *));
    }
    p->sets[p->nsets++] = r->meta;
    *recent = p->nsets;
    buf_putc(&p->columns, 1);
    buf_put_varint(&p->columns, r->nmeta);
    for (uint32_t i = 0; i < r->nmeta; i++) {
        buf_put_varint(&p->columns, name_number(p, r->meta[i].name));
        put_text(&p->columns, r->meta[i].value);
    }
    *nlabels += r->nmeta;
}

void log_entry_pack(struct log_entry_packer *p, const struct log_piece *piece, struct str lines, struct buf *out)
{
    uint32_t nlabels = 0, i = 0;
    struct map_entry *name;
    int64_t before = 0;

    buf_reset(&p->columns);
    map_reset(&p->names);
    p->nsets = 0;
    memset(p->recent, 0, RECENT * sizeof *p->recent);
    for (uint32_t k = 0; piece && k < piece->nrows; k++) {
        const struct log_head_row *r = &piece->rows[k];
        buf_put_varint(&p->columns, zigzag((int64_t)((uint64_t)r->t_ns - (uint64_t)before)));
        buf_put_varint(&p->columns, r->line_bytes);
        put_meta(p, r, &nlabels);
        before = r->t_ns;
    }
    buf_put_varint(out, nlabels);
    buf_put_varint(out, p->names.n);
    while ((name = map_next(&p->names, &i)))
        put_text(out, name->key);
    log_packed_put(p->packer, buf_str(&p->columns), out);
    log_packed_put(p->packer, lines, out);
}

void log_entry_head_begin(struct buf *out, uint32_t first_local, uint32_t ndefs)
{
    buf_putc(out, ENTRY_VERSION);
    buf_put_varint(out, first_local);
    buf_put_varint(out, ndefs);
}

void log_entry_head_def(struct buf *out, const struct labels *labels)
{
    buf_put_varint(out, labels->n);
    for (uint32_t i = 0; i < labels->n; i++) {
        put_text(out, labels->v[i].name);
        put_text(out, labels->v[i].value);
    }
}

void log_entry_head_marks(struct buf *out, const struct log_mark *marks, uint32_t n)
{
    buf_put_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        put_text(out, marks[i].key);
        put_text(out, marks[i].value);
    }
}

void log_entry_head_runs(struct buf *out, uint32_t n)
{
    buf_put_varint(out, n);
}

void log_entry_head_run(struct buf *out, uint32_t local, uint32_t nrows)
{
    buf_put_varint(out, local);
    buf_put_varint(out, nrows);
}

void log_entry_head_times(struct buf *out, int64_t mint_ns, int64_t maxt_ns)
{
    buf_put_varint(out, zigzag(mint_ns));
    buf_put_varint(out, (uint64_t)maxt_ns - (uint64_t)mint_ns);
}
