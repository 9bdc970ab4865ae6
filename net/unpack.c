/* unpack.c - see unpack.h. Memory: zlib's window of 32 KiB, zstd's of at most 128 MiB where a file asks for it. */
#include "net/unpack.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { ZSTD_WINDOW_LOG_MAX = 27, GZIP_WINDOW = 15 + 16 };

struct unpack {
    enum unpack_kind kind;
    z_stream z;
    ZSTD_DStream *zstd;
    bool whole;
};

enum unpack_kind unpack_kind_of(struct str head)
{
    if (str_starts(head, STR("\x1f\x8b\x08")))
        return UNPACK_GZIP;
    return str_starts(head, STR("\x28\xb5\x2f\xfd")) ? UNPACK_ZSTD : UNPACK_NONE;
}

struct unpack *unpack_new(enum unpack_kind kind)
{
    struct unpack *u = x_zalloc(sizeof(*u));
    bool ok;

    u->kind = kind;
    if (kind == UNPACK_GZIP) {
        ok = inflateInit2(&u->z, GZIP_WINDOW) == Z_OK;
    } else {
        u->zstd = ZSTD_createDStream();
        ok = u->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
    }
    if (!ok)
        abort(); /* out of memory, as x_alloc */
    return u;
}

void unpack_free(struct unpack *u)
{
    if (!u)
        return;
    if (u->kind == UNPACK_GZIP)
        inflateEnd(&u->z);
    ZSTD_freeDStream(u->zstd);
    free(u);
}

static int more_gzip(struct unpack *u, struct str *in, char *out, size_t cap, size_t *n, struct err *e)
{
    int code = Z_OK;

    if (u->whole && in->n) { /* another member */
        inflateReset(&u->z);
        u->whole = false;
    }
    u->z.next_in = (Bytef *)(uintptr_t)in->p;
    u->z.avail_in = (uInt)MIN(in->n, (size_t)1 << 30);
    u->z.next_out = (Bytef *)out;
    u->z.avail_out = (uInt)MIN(cap, (size_t)1 << 30);
    if (!u->whole)
        code = inflate(&u->z, Z_NO_FLUSH);
    *n = (size_t)((char *)u->z.next_out - out);
    *in = str_from(*in, (size_t)((const char *)u->z.next_in - in->p));
    u->whole |= code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return err_set(e, ERR_INVALID, "gzip: %s", u->z.msg ? u->z.msg : "damaged");
    return 0;
}

static int more_zstd(struct unpack *u, struct str *in, char *out, size_t cap, size_t *n, struct err *e)
{
    ZSTD_inBuffer i = {in->p, in->n, 0};
    ZSTD_outBuffer o = {out, cap, 0};
    size_t code = ZSTD_decompressStream(u->zstd, &o, &i);

    *in = str_from(*in, i.pos);
    *n = o.pos;
    if (ZSTD_isError(code))
        return err_set(e, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(code));
    u->whole = code == 0;
    return 0;
}

int unpack_more(struct unpack *u, struct str *in, char *out, size_t cap, size_t *n, bool *whole, struct err *e)
{
    int code = u->kind == UNPACK_GZIP ? more_gzip(u, in, out, cap, n, e) : more_zstd(u, in, out, cap, n, e);

    *whole = u->whole;
    return code;
}
