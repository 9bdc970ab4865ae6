/* inflate.c - see inflate.h. */
#include "net/inflate.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { WINDOW_LOG_MAX = 27 }; /* zstd: at most 128 MiB of memory, what `zstd --long` needs */

struct inflater {
    enum encoding enc;
    bool inside; /* a member or a frame that is not over */
    z_stream z;
    ZSTD_DStream *zstd;
};

struct inflater *inflater_new(enum encoding enc)
{
    struct inflater *f = x_zalloc(sizeof *f);

    f->enc = enc;
    if (enc == ENC_GZIP && inflateInit2(&f->z, 15 + 16) != Z_OK)
        abort(); /* no memory */
    if (enc == ENC_ZSTD) {
        f->zstd = ZSTD_createDStream();
        if (!f->zstd)
            abort();
        ZSTD_DCtx_setParameter(f->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    }
    return f;
}

void inflater_free(struct inflater *f)
{
    if (!f)
        return;
    if (f->enc == ENC_GZIP)
        inflateEnd(&f->z);
    ZSTD_freeDStream(f->zstd);
    free(f);
}

enum encoding inflater_guess(struct str head)
{
    if (str_starts(head, str_n("\x1f\x8b", 2)))
        return ENC_GZIP;
    if (str_starts(head, str_n("\x28\xb5\x2f\xfd", 4)))
        return ENC_ZSTD;
    return ENC_IDENTITY;
}

static int run_gzip(struct inflater *f, struct str *in, char *out, size_t cap, size_t *n, struct err *e)
{
    size_t take = MIN(in->n, (size_t)1 << 30);
    int rc;

    f->z.next_in = (Bytef *)(uintptr_t)in->p;
    f->z.avail_in = (uInt)take;
    f->z.next_out = (Bytef *)out;
    f->z.avail_out = (uInt)MIN(cap, (size_t)1 << 30);
    f->inside = true;
    rc = inflate(&f->z, Z_NO_FLUSH);
    *n = (size_t)((char *)f->z.next_out - out);
    *in = str_from(*in, take - f->z.avail_in);
    if (rc == Z_STREAM_END) {
        f->inside = false;
        inflateReset(&f->z);
        return 0;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return err_set(e, ERR_INVALID, "gzip: %s", f->z.msg ? f->z.msg : "damaged");
    return 0;
}

static int run_zstd(struct inflater *f, struct str *in, char *out, size_t cap, size_t *n, struct err *e)
{
    ZSTD_inBuffer from = {in->p, in->n, 0};
    ZSTD_outBuffer to = {out, cap, 0};
    size_t rc = ZSTD_decompressStream(f->zstd, &to, &from);

    *n = to.pos;
    *in = str_from(*in, from.pos);
    if (ZSTD_isError(rc))
        return err_set(e, ERR_INVALID, "zstd: %s", ZSTD_getErrorName(rc));
    f->inside = rc != 0;
    return 0;
}

int inflater_run(struct inflater *f, struct str *in, char *out, size_t cap, size_t *n, struct err *e)
{
    *n = 0;
    if (f->enc == ENC_GZIP)
        return in->n || f->inside ? run_gzip(f, in, out, cap, n, e) : 0;
    if (f->enc == ENC_ZSTD)
        return in->n || f->inside ? run_zstd(f, in, out, cap, n, e) : 0;
    *n = MIN(in->n, cap);
    if (*n)
        memcpy(out, in->p, *n);
    *in = str_from(*in, *n);
    return 0;
}

bool inflater_at_end(const struct inflater *f)
{
    return !f->inside;
}
