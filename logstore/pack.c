/* pack.c - see pack.h. */
#include "logstore/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

enum { PLAIN, ZSTD, WORTH_BYTES = 64 };

struct log_packer {
    ZSTD_CCtx *ctx;
};

struct log_packer *log_packer_new(int level)
{
    struct log_packer *p = x_zalloc(sizeof *p);

    p->ctx = ZSTD_createCCtx();
    assert(p->ctx);
    ZSTD_CCtx_setParameter(p->ctx, ZSTD_c_compressionLevel, level);
    return p;
}

void log_packer_free(struct log_packer *p)
{
    if (p)
        ZSTD_freeCCtx(p->ctx);
    free(p);
}

void log_packed_put(struct log_packer *p, struct str raw, struct buf *out)
{
    size_t begin = out->n, room = ZSTD_compressBound(raw.n), n;

    if (raw.n >= WORTH_BYTES) {
        char *at = buf_reserve(out, room + 3 * VARINT_MAX), *body = at + 1 + 2 * VARINT_MAX, *head = at;
        n = ZSTD_compress2(p->ctx, body, room, raw.p, raw.n);
        if (!ZSTD_isError(n) && n < raw.n - raw.n / 16) {
            *head++ = ZSTD;
            head = (char *)put_varint((uint8_t *)head, raw.n);
            head = (char *)put_varint((uint8_t *)head, n);
            memmove(head, body, n);
            out->n = begin + (size_t)(head - at) + n;
            return;
        }
    }
    buf_putc(out, PLAIN);
    buf_put_varint(out, raw.n);
    buf_put_varint(out, raw.n);
    buf_puts(out, raw);
}

struct log_unpacker {
    ZSTD_DCtx *ctx;
};

struct log_unpacker *log_unpacker_new(void)
{
    struct log_unpacker *u = x_zalloc(sizeof *u);

    u->ctx = ZSTD_createDCtx();
    assert(u->ctx);
    return u;
}

void log_unpacker_free(struct log_unpacker *u)
{
    if (u)
        ZSTD_freeDCtx(u->ctx);
    free(u);
}

bool log_packed_read(struct rd *r, size_t most, struct packed *out)
{
    struct str coding = rd_bytes(r, 1);
    uint64_t raw = rd_varint(r);

    out->bytes = rd_text(r);
    out->raw_bytes = (size_t)raw;
    out->coding = r->bad ? PLAIN : (uint8_t)coding.p[0];
    /* A zstd frame says how long its content is: a lie is met before memory is taken. */
    r->bad |= raw > most || out->coding > ZSTD || (out->coding == PLAIN && raw != out->bytes.n) ||
              (out->coding == ZSTD && ZSTD_getFrameContentSize(out->bytes.p, out->bytes.n) != raw);
    return !r->bad;
}

bool log_packed_unpack(struct log_unpacker *u, const struct packed *p, char *out)
{
    if (p->coding == PLAIN) {
        if (p->raw_bytes)
            memcpy(out, p->bytes.p, p->raw_bytes);
        return true;
    }
    return ZSTD_decompressDCtx(u->ctx, out, p->raw_bytes, p->bytes.p, p->bytes.n) == p->raw_bytes;
}

bool log_packed_get(struct log_unpacker *u, struct rd *r, size_t most, struct buf *out)
{
    struct packed p;

    if (!log_packed_read(r, most, &p) || !log_packed_unpack(u, &p, buf_reserve(out, p.raw_bytes + 1)))
        return false;
    out->n += p.raw_bytes;
    return true;
}
