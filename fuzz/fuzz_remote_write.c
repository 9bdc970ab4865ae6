/*
 * Remote write messages: first byte even 1.0, odd 2.0. What was read must hang together, and the labels of every series
 * can be asked for. A message that does not end in the middle of the memory that surrounds it reads the same from a
 * tight buffer.
 */
#include "base/histogram.h"
#include "collector/push/remote_write.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct rw_message *m)
{
    struct tsdb_batch *b = &m->batch;
    uint64_t samples = 0, exemplars = 0;

    for (uint32_t i = 0; i < b->nseries; i++) {
        struct arena a = {0};
        struct labels ls = {0};
        struct err e = {0};

        assert(b->series[i].first == samples && b->series[i].exemplar_first == exemplars);
        assert(b->series[i].n || b->series[i].exemplar_n);
        samples += b->series[i].n;
        exemplars += b->series[i].exemplar_n;
        if (b->labels(b, i, &a, &ls, &e) == 0) {
            assert(labels_get(&ls, STR(LABEL_NAME)).n > 0);
            for (uint32_t k = 1; k < ls.n; k++)
                assert(str_cmp(ls.v[k - 1].name, ls.v[k].name) < 0);
        } else {
            assert(e.text[0]);
        }
        arena_release(&a);
    }
    assert(samples == m->nsamples && exemplars == m->nexemplars);
    for (uint32_t i = 0; b->h && i < m->nsamples; i++)
        for (uint32_t k = 1; b->h[i] && k < b->h[i]->npos; k++)
            assert(b->h[i]->pos[k - 1].i < b->h[i]->pos[k].i);
    for (uint32_t i = 0; i < b->nmetadata; i++)
        assert(b->metadata[i].family.n && utf8_valid(b->metadata[i].help));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct rw_message m;
    struct err e = {0};
    char *body;
    int rc;

    if (size < 1)
        return 0;
    body = malloc(size > 1 ? size - 1 : 1); /* exactly: what reads beyond is seen */
    memcpy(body, data + 1, size - 1);
    rc = (data[0] & 1 ? rw2_read : rw1_read)(&m, &a, str_n(body, size - 1), &e);
    if (rc == 0)
        check(&m);
    else
        assert(e.text[0]);
    free(body);
    arena_release(&a);
    return 0;
}
