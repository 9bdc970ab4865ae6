/*
 * codec.c - compressed bodies, undone within bounds.
 *
 * (1) No more than max + 1 bytes are ever produced, whatever the input announces; memory grows with what was produced,
 *     in one piece: never more than twice of it is taken, and what is not written to costs address space only.
 * (2) An announced size is only a hint where the format allows lies (gzip's trailer), and a bound where it does not
 *     (snappy).
 */
#include "net/codec.h"

#include "net/lz4.h"
#include "net/snappy.h"

#include <assert.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum encoding encoding_parse(struct str header)
{
    static const struct {
        const char *name;
        enum encoding enc;
    } names[] = {{"identity", ENC_IDENTITY}, {"gzip", ENC_GZIP}, {"x-gzip", ENC_GZIP},
                 {"deflate", ENC_DEFLATE},   {"zlib", ENC_DEFLATE},  {"zstd", ENC_ZSTD},
                 {"snappy", ENC_SNAPPY},     {"lz4", ENC_LZ4}};

    header = str_trim(header);
    if (header.n == 0)
        return ENC_IDENTITY;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(header, str_of(names[i].name)))
            return names[i].enc;
    return ENC_UNKNOWN;
}

static int too_big(struct err *e, const char *enc, size_t max)
{
    return err_set(e, ERR_LIMIT, "%s: the body decodes to more than the limit of %zu bytes", enc, max);
}

/* --- output of unknown size: one piece of the arena, doubled ------------------------------------- */

struct piece {
    struct arena *a;
    char *p;
    size_t n, cap, max;
};

static void piece_init(struct piece *o, struct arena *a, size_t hint, size_t max)
{
    *o = (struct piece){.a = a, .max = max, .cap = MIN(MAX(hint, (size_t)256), max) + 1};
    o->p = (char *)arena_alloc(a, o->cap);
}

/* Room for at least one more byte, up to max + 1 in all: a full piece of max + 1 bytes is over the limit. */
static bool piece_room(struct piece *o)
{
    if (o->n < o->cap)
        return true;
    if (o->cap > o->max)
        return false;
    o->cap = o->cap > o->max / 2 ? o->max + 1 : o->cap * 2;
    o->p = (char *)arena_grow(o->a, o->p, o->n, o->cap);
    return true;
}

/* --- gzip and deflate ---------------------------------------------------------------------------- */

/* gzip's trailer says the size modulo 2^32 of the last member; deflate can not do better than 1032 : 1. */
static size_t gzip_hint(struct str in, size_t max)
{
    size_t said = in.n >= 18 ? get_u32le(in.p + in.n - 4) : 0;

    return said <= max && said / 1032 <= in.n ? said : MIN(in.n * 4, max);
}

static bool has_zlib_header(struct str in)
{
    const uint8_t *p = (const uint8_t *)in.p;

    return in.n >= 2 && (p[0] & 15) == 8 && (p[0] << 8 | p[1]) % 31 == 0;
}

/* Bytes of one stream or member from z; 0 at its end. */
static int inflate_one(z_stream *z, struct piece *o, const char *name, struct err *e)
{
    for (;;) {
        size_t room;
        int rc;

        if (!piece_room(o))
            return too_big(e, name, o->max);
        room = MIN(o->cap - o->n, (size_t)1 << 30);
        z->next_out = (Bytef *)o->p + o->n;
        z->avail_out = (uInt)room;
        rc = inflate(z, Z_NO_FLUSH);
        o->n += room - z->avail_out;
        if (o->n > o->max)
            return too_big(e, name, o->max);
        if (rc == Z_STREAM_END)
            return 0;
        if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return err_set(e, ERR_INVALID, "%s: the body is cut off", name);
        if (rc != Z_OK)
            return err_set(e, ERR_INVALID, "%s: %s", name, z->msg ? z->msg : "the body is damaged");
    }
}

static int inflate_all(struct arena *a, enum encoding enc, struct str in, size_t max, struct str *out, struct err *e)
{
    const char *name = enc == ENC_GZIP ? "gzip" : "deflate";
    int window = enc == ENC_GZIP ? 16 + MAX_WBITS : has_zlib_header(in) ? MAX_WBITS : -MAX_WBITS, rc;
    z_stream z = {0};
    struct piece o;

    if (in.n > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes are more than can be decoded", name, in.n);
    if (inflateInit2(&z, window) != Z_OK)
        return err_set(e, ERR_BUSY, "%s: no memory to decode", name);
    piece_init(&o, a, enc == ENC_GZIP ? gzip_hint(in, max) : MIN(in.n * 4, max), max);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    do
        rc = inflate_one(&z, &o, name, e);
    while (rc == 0 && enc == ENC_GZIP && z.avail_in > 0 && inflateReset(&z) == Z_OK);
    if (rc == 0 && z.avail_in > 0)
        rc = err_set(e, ERR_INVALID, "%s: %u bytes behind the end of the body", name, z.avail_in);
    inflateEnd(&z);
    *out = str_n(o.p, o.n);
    return rc;
}

/* --- zstd ---------------------------------------------------------------------------------------- */

/* The window a frame asks for is memory too: 8 MiB as RFC 8878 wants, more only where the output may be so large. */
static int window_log_max(size_t max)
{
    int w = 23;

    while (w < 27 && ((size_t)1 << w) < max)
        w++;
    return w;
}

static int zstd_frames(ZSTD_DCtx *d, struct piece *o, struct str in, struct err *e)
{
    ZSTD_inBuffer src = {in.p, in.n, 0};
    size_t rc = 0;

    while (src.pos < src.size || rc != 0) {
        ZSTD_outBuffer dst;
        size_t in_before = src.pos;

        if (!piece_room(o))
            return too_big(e, "zstd", o->max);
        dst = (ZSTD_outBuffer){o->p, o->cap, o->n};
        rc = ZSTD_decompressStream(d, &dst, &src);
        if (ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge)
            return err_set(e, ERR_LIMIT, "zstd: the frame asks for a larger window than the limit of %d bytes",
                           1 << window_log_max(o->max));
        if (ZSTD_isError(rc))
            return err_set(e, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(rc));
        if (dst.pos == o->n && src.pos == in_before && src.pos == src.size && rc != 0)
            return err_set(e, ERR_INVALID, "zstd: the body is cut off");
        o->n = dst.pos;
        if (o->n > o->max)
            return too_big(e, "zstd", o->max);
    }
    return 0;
}

static int zstd_all(struct arena *a, struct str in, size_t max, struct str *out, struct err *e)
{
    unsigned long long said = ZSTD_getFrameContentSize(in.p, in.n);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    struct piece o;
    int rc;

    if (said != ZSTD_CONTENTSIZE_UNKNOWN && said != ZSTD_CONTENTSIZE_ERROR && said > max) {
        ZSTD_freeDCtx(d);
        return too_big(e, "zstd", max);
    }
    if (!d)
        return err_set(e, ERR_BUSY, "zstd: no memory to decode");
    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, window_log_max(max));
    if (said == ZSTD_CONTENTSIZE_UNKNOWN || said == ZSTD_CONTENTSIZE_ERROR || said > (unsigned long long)in.n * 1000)
        said = in.n > max / 4 ? max : in.n * 4;
    piece_init(&o, a, said > max ? max : (size_t)said, max);
    rc = zstd_frames(d, &o, in, e);
    ZSTD_freeDCtx(d);
    *out = str_n(o.p, o.n);
    return rc;
}

/* --- snappy -------------------------------------------------------------------------------------- */

/* An element of three bytes makes at most 64: an announcement beyond that ratio is a lie, and not worth its memory. */
static int snappy_all(struct arena *a, struct str in, size_t max, struct str *out, struct err *e)
{
    uint64_t n;
    size_t at;
    uint8_t *p;

    if (snappy_length(in, &n, &at, e) < 0)
        return ERR_INVALID;
    if (n > max)
        return err_set(e, ERR_LIMIT, "snappy: the body announces %llu bytes, limit %zu", (unsigned long long)n, max);
    if (n / 22 > in.n)
        return err_set(e, ERR_INVALID, "snappy: %llu bytes announced, too many for a body of %zu",
                       (unsigned long long)n, in.n);
    p = (uint8_t *)arena_alloc(a, (size_t)n + SNAPPY_SLOP);
    *out = str_n(p, (size_t)n);
    return snappy_elements(str_from(in, at), p, (size_t)n, e);
}

/* --- lz4 ------------------------------------------------------------------------------------------ */

static int lz4_all(struct arena *a, struct str in, size_t max, struct str *out, struct err *e)
{
    size_t n;
    uint8_t *p;
    int rc = lz4_length(in, max, &n, e);

    if (rc < 0)
        return rc;
    p = (uint8_t *)arena_alloc(a, n + 1);
    *out = str_n(p, n);
    return lz4_frames(in, p, n, e);
}

int body_decode(struct arena *a, enum encoding enc, struct str in, size_t max, struct str *out, struct err *e)
{
    switch (enc) {
    case ENC_IDENTITY:
        *out = in;
        return in.n > max ? err_set(e, ERR_LIMIT, "the body has %zu bytes, limit %zu", in.n, max) : 0;
    case ENC_GZIP:
    case ENC_DEFLATE:
        return inflate_all(a, enc, in, max, out, e);
    case ENC_ZSTD:
        return zstd_all(a, in, max, out, e);
    case ENC_SNAPPY:
        return snappy_all(a, in, max, out, e);
    case ENC_LZ4:
        return lz4_all(a, in, max, out, e);
    case ENC_UNKNOWN:
        break;
    }
    return err_set(e, ERR_UNSUPPORTED, "unknown Content-Encoding");
}

/* --- the other way ------------------------------------------------------------------------------- */

void gzip_encode(struct buf *out, struct str in, int level)
{
    z_stream z = {0};
    size_t bound;
    int rc = deflateInit2(&z, level ? level : 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);

    assert(rc == Z_OK && in.n <= UINT32_MAX / 2); /* our own replies; out of memory ends the process like x_alloc */
    bound = deflateBound(&z, in.n);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    rc = deflate(&z, Z_FINISH);
    assert(rc == Z_STREAM_END);
    out->n += bound - z.avail_out;
    deflateEnd(&z);
}

void snappy_encode(struct buf *out, struct str in)
{
    size_t n = snappy_max_compressed_length(in.n);
    char *to = buf_reserve(out, n);
    snappy_status rc = snappy_compress(in.p ? in.p : "", in.n, to, &n);

    assert(rc == SNAPPY_OK);
    out->n += n;
}
