/* frames.h - a WebSocket client for tests, byte by byte: frames out in any shape, frames in. */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include "base/base.h"

static inline void put_client_head(struct buf *b, unsigned first, uint64_t n, unsigned wide, const uint8_t mask[4])
{
    buf_putc(b, (char)first);
    buf_putc(b, (char)((mask ? 0x80 : 0) | (wide == 0 ? n : wide == 2 ? 126 : 127)));
    for (unsigned i = 0; i < wide; i++)
        buf_putc(b, (char)(n >> 8 * (wide - 1 - i)));
    if (mask)
        buf_put(b, mask, 4);
}

/* A masked frame: first is FIN, RSV and the kind. */
static inline void put_client_frame(struct buf *b, unsigned first, struct str payload)
{
    static const uint8_t mask[4] = {0xa1, 0x00, 0x5c, 0xff};

    put_client_head(b, first, payload.n, payload.n < 126 ? 0 : payload.n < 65536 ? 2 : 8, mask);
    for (size_t i = 0; i < payload.n; i++)
        buf_putc(b, (char)((uint8_t)payload.p[i] ^ mask[i & 3]));
}

/* One of the server's frames at the head of in: its kind, *used and *payload; 0: not whole yet. */
static inline int get_server_frame(struct str in, struct str *payload, size_t *used)
{
    unsigned len, wide;
    uint64_t n = 0;

    if (in.n < 2)
        return 0;
    len = (uint8_t)in.p[1];
    wide = len < 126 ? 0 : len == 126 ? 2 : 8;
    if (in.n < 2 + wide)
        return 0;
    for (unsigned i = 0; i < wide; i++)
        n = n << 8 | (uint8_t)in.p[2 + i];
    n = wide ? n : len;
    if (in.n < 2 + wide + n)
        return 0;
    *payload = str_n(in.p + 2 + wide, n);
    *used = 2 + wide + n;
    return (uint8_t)in.p[0] & 0x0f;
}

#endif
