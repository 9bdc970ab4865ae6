/* buf.h - a growing run of bytes that owns its memory, and little-endian numbers in it. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/mem.h"

/* Zero-initialised is empty and valid. p is NULL until something was written. */
struct buf {
    char *p;
    size_t n, cap;
};

void buf_release(struct buf *b); /* frees; leaves it zeroed */
static inline void buf_reset(struct buf *b)
{
    b->n = 0;
}
/* Room for n more bytes behind b->n; returns where they go. The caller adds to b->n what it wrote. */
char *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NUL-terminates behind b->n without counting it, and returns b->p. */
char *buf_z(struct buf *b);
/* Hands the memory to the caller, who frees it; b is empty after. */
char *buf_detach(struct buf *b, size_t *n);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}
static inline void buf_puts(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}
static inline void buf_putz(struct buf *b, const char *z)
{
    buf_put(b, z, strlen(z));
}
static inline void buf_putc(struct buf *b, char c)
{
    if (b->n < b->cap)
        b->p[b->n++] = c;
    else
        buf_put(b, &c, 1);
}

/* --- numbers on disk and wire, always little-endian ------------------------------------------- */

static inline void put_u16le(void *p, uint16_t v)
{
    memcpy(p, &v, 2);
}
static inline void put_u32le(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}
static inline void put_u64le(void *p, uint64_t v)
{
    memcpy(p, &v, 8);
}
static inline uint16_t get_u16le(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t get_u32le(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t get_u64le(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian and read in place");

static inline void buf_put_u32(struct buf *b, uint32_t v)
{
    put_u32le(buf_reserve(b, 4), v);
    b->n += 4;
}
static inline void buf_put_u64(struct buf *b, uint64_t v)
{
    put_u64le(buf_reserve(b, 8), v);
    b->n += 8;
}

enum { VARINT_MAX = 10 };

/* LEB128, as in protobuf. Writes 1..10 bytes at p, returns the place behind. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}
/* Reads one varint in [p, end); returns the place behind, or NULL if it is cut or over-long. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    uint64_t r = 0;

    for (unsigned shift = 0; p < end && shift < 70; shift += 7) {
        uint8_t b = *p++;
        r |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = r;
            return p;
        }
    }
    return NULL;
}
static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
static inline void buf_put_varint(struct buf *b, uint64_t v)
{
    uint8_t *p = (uint8_t *)buf_reserve(b, VARINT_MAX);

    b->n += (size_t)(put_varint(p, v) - p);
}

#endif
