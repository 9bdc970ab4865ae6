/* fuzz_log_entry.c - journal entries of the logs: whatever the bytes, the reader gives rows that lie in its memory, or an error. */
#include "logstore/entry.h"

#include <assert.h>
#include <stdlib.h>

static void look(const struct log_entry *in, const struct log_head_row *rows)
{
    uint64_t sum = 0, n = 0;

    for (uint32_t i = 0; i < in->nruns; i++)
        n += in->runs[i].n;
    assert(n == in->nrows);
    for (uint32_t i = 0; i < in->nrows; i++) {
        sum += hash64(rows[i].line, rows[i].line_bytes);
        for (uint32_t k = 0; k < rows[i].nmeta; k++)
            sum += hash64(rows[i].meta[k].name.p, rows[i].meta[k].name.n) + hash64(rows[i].meta[k].value.p, rows[i].meta[k].value.n);
    }
    for (uint32_t i = 0; i < in->ndefs; i++)
        for (uint32_t k = 0; k < in->defs[i].n; k++)
            sum += hash64(in->defs[i].v[k].value.p, in->defs[i].v[k].value.n);
    for (uint32_t i = 0; i < in->nmarks; i++)
        sum += hash64(in->marks[i].value.p, in->marks[i].value.n);
    (void)(volatile uint64_t){sum};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log_unpacker *u;
    struct arena a = {0};
    struct log_entry in;
    struct err e = {0};

    if (!u)
        u = log_unpacker_new();
    if (log_entry_read(str_n(data, size), &a, &in, &e) < 0) {
        assert(e.code == ERR_CORRUPT);
    } else if (in.columns.raw_bytes + in.lines.raw_bytes < 16 << 20) { /* a frame may say that it is large */
        struct log_head_row *rows = x_alloc((in.nrows + 1) * sizeof *rows);
        struct label *labels = x_alloc((in.nlabels + 1) * sizeof *labels);
        char *mem = x_alloc(log_entry_mem_bytes(&in) + 1);

        if (log_entry_rows(u, &in, rows, labels, mem, &e) == 0)
            look(&in, rows);
        else
            assert(e.code == ERR_CORRUPT);
        free(mem);
        free(labels);
        free(rows);
    }
    arena_release(&a);
    return 0;
}
