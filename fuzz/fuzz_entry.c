/* fuzz_entry.c - journal entries of the metrics: whatever the bytes, the reader gives rows of defined series or an
 * error. */
#include "tsdb/entry.h"

#include <assert.h>
#include <stdlib.h>

struct seen {
    uint32_t names, pairs, series;
};

static uint32_t on_name(void *arg, struct str text)
{
    assert(text.n);
    return ((struct seen *)arg)->names++;
}

static uint32_t on_pair(void *arg, uint32_t name, struct str value)
{
    struct seen *s = arg;

    assert(name < s->names && value.n);
    return s->pairs++;
}

static void on_series(void *arg, const uint32_t *pairs, uint32_t n)
{
    struct seen *s = arg;

    for (uint32_t i = 0; i < n; i++)
        assert(pairs[i] < s->pairs);
    s->series++;
}

static void on_rows(void *arg, const struct entry_rows *r)
{
    struct seen *s = arg;
    uint64_t n = 0;
    volatile double sum = 0;

    for (uint32_t i = 0; i < r->nrows; i++) {
        assert(r->series[i] < s->series && r->counts[i]);
        n += r->counts[i];
    }
    assert(n == r->nsamples);
    for (uint32_t i = 0; i < r->nsamples; i++)
        sum = r->v[i] + (double)r->t[i] + (r->st ? (double)r->st[i] : 0);
    for (uint32_t i = 0; r->h && i < r->nsamples; i++)
        for (uint32_t k = 0; r->h[i] && k < r->h[i]->npos; k++) {
            assert(k == 0 || r->h[i]->pos[k - 1].i < r->h[i]->pos[k].i);
            sum = r->h[i]->pos[k].n;
        }
    (void)sum;
}

static void on_exemplar(void *arg, uint32_t ref, const struct tsdb_exemplar *x)
{
    assert(ref < ((struct seen *)arg)->series);
    for (uint32_t i = 0; i < x->labels.n; i++)
        (void)hash64(x->labels.v[i].name.p, x->labels.v[i].name.n);
}

static void on_metadata(void *arg, const struct tsdb_metadata *m)
{
    (void)arg;
    (void)hash64(m->help.p, m->help.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct entry_sink sink = {on_name, on_pair, on_series, on_rows, on_exemplar, on_metadata, &seen};
    struct entry_reader r;
    struct arena a = {0};
    struct err e;

    entry_reader_init(&r, &sink);
    entry_reader_file(&r);
    /* Entries of one file lean on each other: the input is a run of them, each behind two bytes of length. */
    while (size > 2) {
        size_t n = data[0] | (size_t)data[1] << 8;
        n = n < size - 2 ? n : size - 2;
        arena_reset(&a);
        if (entry_read(&r, str_n(data + 2, n), &a, &e) < 0)
            assert(e.code == ERR_CORRUPT);
        data += 2 + n;
        size -= 2 + n;
    }
    entry_reader_release(&r);
    arena_release(&a);
    return 0;
}
