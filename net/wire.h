/*
 * wire.h - protobuf messages, field by field: read without copying, written straight into a buffer. Unknown fields are
 * the caller's to skip: just ask for the next.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "base/base.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire {
    const uint8_t *p, *end;
};

struct field {
    uint32_t number;
    enum wire_type type;
    uint64_t v;       /* VARINT, FIXED64, FIXED32 */
    struct str bytes; /* BYTES */
};

static inline void wire_init(struct wire *w, struct str bytes)
{
    w->p = (const uint8_t *)(bytes.n ? bytes.p : ""); /* of no bytes there may be no place */
    w->end = w->p + bytes.n;
}

/* A varint at w->p: most lengths and tags are one byte. */
static inline bool wire_varint(struct wire *w, uint64_t *v)
{
    const uint8_t *q;

    if (w->p < w->end && *w->p < 0x80) {
        *v = *w->p++;
        return true;
    }
    q = get_varint(w->p, w->end, v);
    if (!q)
        return false;
    w->p = q;
    return true;
}

/* Next field of a message: 0 a field, >0 end, <0 malformed. f->bytes points into the message. */
static inline int wire_next(struct wire *w, struct field *f)
{
    uint64_t tag, n;

    if (w->p == w->end)
        return 1;
    if (!wire_varint(w, &tag) || tag >> 32 || tag >> 3 == 0)
        return ERR_INVALID;
    f->number = (uint32_t)(tag >> 3);
    f->type = (enum wire_type)(tag & 7);
    switch (tag & 7) {
    case WIRE_VARINT:
        return wire_varint(w, &f->v) ? 0 : ERR_INVALID;
    case WIRE_FIXED64:
        if (w->end - w->p < 8)
            return ERR_INVALID;
        f->v = get_u64le(w->p);
        w->p += 8;
        return 0;
    case WIRE_BYTES:
        if (!wire_varint(w, &n) || n > (size_t)(w->end - w->p))
            return ERR_INVALID;
        f->bytes = str_n(w->p, n);
        w->p += n;
        return 0;
    case WIRE_FIXED32:
        if (w->end - w->p < 4)
            return ERR_INVALID;
        f->v = get_u32le(w->p);
        w->p += 4;
        return 0;
    default: /* groups were never used by anything that comes here */
        return ERR_INVALID;
    }
}

/* --- out: fields in order of their numbers; those that hold their default are the caller's to leave out ------------ */

static inline void wire_put_varint(struct buf *b, uint32_t number, uint64_t v)
{
    buf_put_varint(b, (uint64_t)number << 3 | WIRE_VARINT);
    buf_put_varint(b, v);
}

static inline void wire_put_f64(struct buf *b, uint32_t number, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    buf_put_varint(b, (uint64_t)number << 3 | WIRE_FIXED64);
    buf_put_u64(b, bits);
}

/* A string, bytes, a packed array, or a message that was written elsewhere. */
static inline void wire_put_bytes(struct buf *b, uint32_t number, struct str bytes)
{
    buf_put_varint(b, (uint64_t)number << 3 | WIRE_BYTES);
    buf_put_varint(b, bytes.n);
    buf_puts(b, bytes);
}

#endif
