/*
 * column_out.c - directory, streams and pools of one block as they are written.
 *
 *   +-------------------+-------------------------------------------------------------------------+
 *   | varint            | bytes of the directory as it is, and packed (0: it is not packed)        |
 *   | varint            | streams; the first two are the pools, text and numbers                   |
 *   | per stream varint | length * 2 + packed?, and if packed: the packed length                   |
 *   | directory         |                                                                         |
 *   | streams           | one after the other                                                     |
 *   +-------------------+-------------------------------------------------------------------------+
 *
 * A run of bytes is said in the directory by varint length * 2 + own?. Own: the next stream, whole. Else: the next bytes
 * of the pool. So the order of the directory is the order of everything, and places need not be written.
 *
 * (1) The directory is read in the order in which it was written, and as a whole.
 * (2) A stream is packed only where that saves something.
 */
#include "logstore/column.h"

#include <assert.h>

enum {
    OWN_BYTES = 768, /* shorter runs go to a pool */
    LEVEL_LIVE = 1,
    LEVEL_DENSE = 12,
};

void column_out_begin(struct column_out *o, bool dense)
{
    buf_reset(&o->dir);
    buf_reset(&o->streams);
    buf_reset(&o->stream_dir);
    for (int i = 0; i < POOLS; i++)
        buf_reset(&o->pools[i]);
    o->nstreams = POOLS; /* their lengths are known last and written first */
    o->dense = dense;
    o->level = dense ? LEVEL_DENSE : LEVEL_LIVE;
    if (!o->zstd)
        o->zstd = ZSTD_createCCtx();
    assert(o->zstd);
}

void log_column_out_release(struct column_out *o)
{
    buf_release(&o->dir);
    buf_release(&o->streams);
    buf_release(&o->stream_dir);
    for (int i = 0; i < POOLS; i++)
        buf_release(&o->pools[i]);
    ZSTD_freeCCtx(o->zstd);
    *o = (struct column_out){0};
}

/* Appends p packed to b; 0 when that would not be smaller. */
static size_t pack(struct column_out *o, struct buf *b, const void *p, size_t n)
{
    if (n < 32)
        return 0;
    size_t bound = ZSTD_compressBound(n);
    char *to = buf_reserve(b, bound);
    size_t m = ZSTD_compressCCtx(o->zstd, to, bound, p, n, o->level);

    assert(!ZSTD_isError(m));
    if (m + m / 64 >= n)
        return 0;
    b->n += m;
    return m;
}

static void put_stream(struct column_out *o, struct buf *to, struct buf *dir, const void *p, size_t n)
{
    size_t m = pack(o, to, p, n);

    buf_put_varint(dir, (uint64_t)n << 1 | (m > 0));
    if (m > 0)
        buf_put_varint(dir, m);
    else
        buf_put(to, p, n);
}

void out_bytes(struct column_out *o, enum column_pool pool, const void *p, size_t n)
{
    bool own = n >= OWN_BYTES;

    out_num(o, (uint64_t)n << 1 | own);
    if (own) {
        put_stream(o, &o->streams, &o->stream_dir, p, n);
        o->nstreams++;
    } else {
        buf_put(&o->pools[pool], p, n);
    }
}

void column_out_end(struct column_out *o, struct buf *b)
{
    struct buf pools = {0}, pool_dir = {0}, dir = {0};

    for (int i = 0; i < POOLS; i++)
        put_stream(o, &pools, &pool_dir, o->pools[i].p, o->pools[i].n);
    size_t m = pack(o, &dir, o->dir.p, o->dir.n);
    buf_put_varint(b, o->dir.n);
    buf_put_varint(b, m);
    buf_put_varint(b, o->nstreams);
    buf_puts(b, buf_str(&pool_dir));
    buf_puts(b, buf_str(&o->stream_dir));
    buf_puts(b, m ? buf_str(&dir) : buf_str(&o->dir));
    buf_puts(b, buf_str(&pools));
    buf_puts(b, buf_str(&o->streams));
    buf_release(&pools);
    buf_release(&pool_dir);
    buf_release(&dir);
}
