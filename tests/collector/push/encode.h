/* encode.h - a small protobuf writer for tests. */
#ifndef TESTS_PUSH_ENCODE_H
#define TESTS_PUSH_ENCODE_H

#include "base/base.h"

static inline void pb_varint(struct buf *b, unsigned field, uint64_t v)
{
    buf_put_varint(b, field << 3 | 0);
    buf_put_varint(b, v);
}

static inline void pb_double(struct buf *b, unsigned field, double v)
{
    buf_put_varint(b, field << 3 | 1);
    buf_put_u64(b, f64_bits(v));
}

static inline void pb_bytes(struct buf *b, unsigned field, struct str s)
{
    buf_put_varint(b, field << 3 | 2);
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

/* A message inside of a message; empties inner. */
static inline void pb_message(struct buf *b, unsigned field, struct buf *inner)
{
    pb_bytes(b, field, buf_str(inner));
    buf_reset(inner);
}

static inline void pb_label(struct buf *series, const char *name, const char *value)
{
    struct buf l = {0};

    pb_bytes(&l, 1, str_of(name));
    pb_bytes(&l, 2, str_of(value));
    pb_message(series, 1, &l);
    buf_release(&l);
}

static inline void pb_sample(struct buf *series, double v, int64_t t)
{
    struct buf s = {0};

    pb_double(&s, 1, v);
    pb_varint(&s, 2, (uint64_t)t);
    pb_message(series, 2, &s);
    buf_release(&s);
}

/* Of schema 0 with n observations in each of its two buckets. */
static inline void pb_histogram(struct buf *series, unsigned field, uint64_t n, int64_t t)
{
    struct buf h = {0}, s = {0}, d = {0};

    pb_varint(&h, 1, 2 * n);
    pb_double(&h, 3, 10.5);
    pb_varint(&s, 2, 2);
    pb_message(&h, 11, &s);
    buf_put_varint(&d, zigzag((int64_t)n));
    buf_put_varint(&d, 0);
    pb_message(&h, 12, &d);
    pb_varint(&h, 15, (uint64_t)t);
    pb_message(series, field, &h);
    buf_release(&h);
    buf_release(&s);
    buf_release(&d);
}

static inline void pb_refs(struct buf *series, const uint32_t *refs, unsigned n)
{
    struct buf r = {0};

    for (unsigned i = 0; i < n; i++)
        buf_put_varint(&r, refs[i]);
    pb_message(series, 1, &r);
    buf_release(&r);
}

#endif
