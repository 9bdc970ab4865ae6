/*
 * pack.h - bytes packed with zstd where that helps, and a reader of bytes that believes nothing. Private to logstore/.
 *
 *   packed   coding u8 (0 plain, 1 zstd) | varint raw bytes | varint bytes | bytes
 */
#ifndef LOGSTORE_PACK_H
#define LOGSTORE_PACK_H

#include "base/base.h"

struct log_packer;
struct log_packer *log_packer_new(int level);
void log_packer_free(struct log_packer *p);
void log_packed_put(struct log_packer *p, struct str raw, struct buf *out);

struct log_unpacker;
struct log_unpacker *log_unpacker_new(void);
void log_unpacker_free(struct log_unpacker *u);

/* Where reading has come to. After a fault `bad` is set, and everything read is empty or 0. */
struct rd {
    const uint8_t *p, *end;
    bool bad;
};
static inline struct rd rd_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");

    return (struct rd){p, p + s.n, false};
}
static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->p);
}
static inline uint64_t rd_varint(struct rd *r)
{
    uint64_t v = 0;
    const uint8_t *p = r->bad ? NULL : get_varint(r->p, r->end, &v);

    if (!p) {
        r->bad = true;
        return 0;
    }
    r->p = p;
    return v;
}
static inline int64_t rd_zigzag(struct rd *r)
{
    return unzigzag(rd_varint(r));
}
static inline uint32_t rd_u32(struct rd *r)
{
    uint64_t v = rd_varint(r);

    r->bad |= v > UINT32_MAX;
    return r->bad ? 0 : (uint32_t)v;
}
static inline struct str rd_bytes(struct rd *r, uint64_t n)
{
    if (r->bad || n > rd_left(r)) {
        r->bad = true;
        return STR("");
    }
    struct str s = str_n(r->p, n);
    r->p += n;
    return s;
}
static inline struct str rd_text(struct rd *r)
{
    return rd_bytes(r, rd_varint(r));
}
/* A number of things that take at least `each` bytes of what is left. */
static inline uint32_t rd_count(struct rd *r, size_t each)
{
    uint64_t n = rd_varint(r);

    r->bad |= n > rd_left(r) / each || n > UINT32_MAX;
    return r->bad ? 0 : (uint32_t)n;
}

struct packed {
    uint8_t coding;
    size_t raw_bytes; /* what it says of itself, and not more than `most` */
    struct str bytes;
};
/* Reads the frame, not yet what is in it. False: not a frame that can be right. */
bool log_packed_read(struct rd *r, size_t most, struct packed *out);
/* Writes raw_bytes bytes to out. False: they are not what the frame says. */
bool log_packed_unpack(struct log_unpacker *u, const struct packed *p, char *out);
/* Both, appended to out. */
bool log_packed_get(struct log_unpacker *u, struct rd *r, size_t most, struct buf *out);

#endif
