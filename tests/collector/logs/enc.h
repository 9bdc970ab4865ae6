/* enc.h - protobuf written the plain way, for tests: knows nothing of the reader it is meant for. */
#ifndef TESTS_LOGS_ENC_H
#define TESTS_LOGS_ENC_H

#include "base/base.h"

static __attribute__((unused)) void enc_varint(struct buf *b, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        buf_putc(b, (char)(v | 128));
    buf_putc(b, (char)v);
}

static __attribute__((unused)) void enc_bytes(struct buf *b, unsigned number, struct str s)
{
    enc_varint(b, number << 3 | 2);
    enc_varint(b, s.n);
    buf_puts(b, s);
}

static __attribute__((unused)) void enc_number(struct buf *b, unsigned number, uint64_t v)
{
    enc_varint(b, number << 3);
    enc_varint(b, v);
}

static __attribute__((unused)) void enc_fixed64(struct buf *b, unsigned number, uint64_t v)
{
    enc_varint(b, number << 3 | 1);
    for (int i = 0; i < 8; i++)
        buf_putc(b, (char)(v >> (8 * i)));
}

/* A message in field `number` of out; in is emptied. */
static __attribute__((unused)) void enc_message(struct buf *to, unsigned number, struct buf *in)
{
    enc_bytes(to, number, buf_str(in));
    buf_release(in);
}

#endif
