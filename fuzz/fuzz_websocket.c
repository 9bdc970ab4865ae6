/*
 * Frames of a WebSocket client. Splitting the input anywhere must not change what is understood, and what is understood keeps
 * the promises of frame.c.
 */
#include "net/frame.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 300 };

/* Every event with its payload; returns the last. */
static int run(struct str in, size_t step, struct buf *out, int *close_code)
{
    struct frame_reader f = {.message_bytes_max = LIMIT};
    const char *p = in.p, *end = in.p;
    struct str payload;
    struct err e;
    int rc = 0;

    while (rc >= 0 && end < in.p + in.n) {
        end += MIN(step, (size_t)(in.p + in.n - end));
        while ((rc = frame_next(&f, &p, end, &payload, &e)) > 0) {
            assert(rc == FRAME_TEXT || rc == FRAME_BINARY || rc >= FRAME_CLOSE);
            assert(payload.n <= (rc < FRAME_CLOSE ? (size_t)LIMIT : (size_t)CONTROL_MAX));
            assert(rc != FRAME_TEXT || utf8_valid(payload));
            buf_printf(out, "%d:%zu:", rc, payload.n);
            buf_puts(out, payload);
        }
        assert(rc < 0 || p == end);
    }
    *close_code = f.close_code;
    assert(rc >= 0 || f.close_code == 1002 || f.close_code == 1007 || f.close_code == 1009);
    frame_reader_release(&f);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0}, split = {0};
    int code, again;
    struct str in = str_n(data, size);
    int rc = run(in, size + 1, &whole, &code), rc2 = run(in, 1, &split, &again);

    assert(rc == rc2 && code == again);
    assert(str_eq(buf_str(&whole), buf_str(&split)));
    buf_release(&whole);
    buf_release(&split);
    return 0;
}
