/* OTLP log requests: first byte even protobuf, odd JSON. Rows hang together, their texts can be read from end to end. */
#include "collector/logs/otlp.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t touch(struct str s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s.n; i++)
        sum += (unsigned char)s.p[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct logs_rules *rules;
    uint64_t sink = 0;
    struct otlp_writer w;
    struct arena a = {0};
    struct intake in;
    struct err e = {0};
    char *body;
    int rc;

    if (size < 1)
        return 0;
    if (!rules)
        rules = logs_rules_new();
    body = malloc(size > 1 ? size - 1 : 1);
    memcpy(body, data + 1, size - 1);
    intake_init(&in, &a, rules, size, true);
    otlp_writer_init(&w, &in);
    rc = (data[0] & 1 ? otlp_read_json : otlp_read_proto)(&w, str_n(body, size - 1), &e);
    if (rc == 0) {
        intake_finish(&in);
        assert(w.records >= in.b.nrows);
        for (uint32_t i = 0; i < in.b.nstreams; i++)
            for (uint32_t k = in.b.streams[i].first; k < in.b.streams[i].first + in.b.streams[i].n; k++) {
                const struct log_in_row *row = &in.b.rows[k];

                sink += touch(row->line);
                for (uint32_t m = row->meta_first; m < row->meta_first + row->meta_n; m++)
                    sink += touch(in.b.meta[m].name) + touch(in.b.meta[m].value);
            }
    } else {
        assert(e.text[0]);
    }
    assert(sink < UINT64_MAX / 2); /* so that it is worked out */
    intake_release(&in);
    arena_release(&a);
    free(body);
    return 0;
}
