/*
 * Loki push bodies: first byte even protobuf, odd JSON. What was read must hang together: every row is of a stream, its metadata
 * lie where they should, labels are sorted sets. Then the line itself is looked at for its level once more from tight memory.
 */
#include "collector/logs/level.h"
#include "collector/logs/push.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct intake *in)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < in->b.nstreams; i++) {
        const struct log_in *s = &in->b.streams[i];

        assert(s->n > 0 && s->first + s->n <= in->b.nrows && s->labels.n > 0);
        rows += s->n;
        for (uint32_t k = 0; k < s->labels.n; k++)
            assert(s->labels.v[k].value.n && (k == 0 || str_cmp(s->labels.v[k - 1].name, s->labels.v[k].name) < 0));
        for (uint32_t k = s->first; k < s->first + s->n; k++) {
            const struct log_in_row *row = &in->b.rows[k];
            bool level = false;

            assert(row->meta_first + row->meta_n <= in->nmeta);
            for (uint32_t m = row->meta_first; m < row->meta_first + row->meta_n; m++) {
                assert(in->b.meta[m].name.n && in->b.meta[m].value.n && utf8_valid(in->b.meta[m].value));
                level = level || str_eqz(in->b.meta[m].name, "detected_level");
            }
            assert(level);
        }
    }
    assert(rows == in->b.nrows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stream_cache *cache;
    static struct logs_rules *rules;
    struct arena a = {0};
    struct intake in;
    struct push_reader p = {.in = &in};
    struct err e = {0};
    char *body;
    int rc;

    if (size < 1)
        return 0;
    if (!cache) {
        cache = stream_cache_new();
        rules = logs_rules_new();
    }
    body = malloc(size > 1 ? size - 1 : 1); /* exactly: what reads beyond is seen */
    memcpy(body, data + 1, size - 1);
    p.cache = data[0] & 2 ? cache : NULL;
    intake_init(&in, &a, rules, size, false);
    rc = (data[0] & 1 ? push_read_json : push_read_proto)(&p, str_n(body, size - 1), &e);
    if (rc == 0) {
        intake_finish(&in);
        check(&in);
    } else {
        assert(e.text[0] && (rc == ERR_INVALID || rc == ERR_LIMIT));
    }
    (void)level_of_line(str_n(body, size - 1));
    intake_release(&in);
    arena_release(&a);
    free(body);
    return 0;
}
