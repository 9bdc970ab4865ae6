/*
 * column_in.c - directory and streams of one block as they are read (column_out.c has the drawing). Bytes may be anybody's.
 *
 * (1) Nothing is taken from the system that the budget does not cover, and nothing is read outside of the bytes given.
 * (2) A decoded run has COLUMN_SLACK bytes behind it.
 */
#include "logstore/column.h"

#include <assert.h>

void *in_alloc(struct column_in *in, size_t n)
{
    if (n > in->budget)
        return NULL;
    in->budget -= n;
    return slab_alloc(in->slab, n + COLUMN_SLACK);
}

int in_num(struct column_in *in, uint64_t max, uint64_t *v)
{
    in->at = get_varint(in->at, in->end, v);
    if (!in->at) {
        in->at = in->end;
        return ERR_CORRUPT;
    }
    return *v > max ? ERR_CORRUPT : 0;
}

int in_num32(struct column_in *in, uint64_t max, uint32_t *v)
{
    uint64_t x;

    if (in_num(in, MIN(max, (uint64_t)UINT32_MAX), &x) < 0)
        return ERR_CORRUPT;
    *v = (uint32_t)x;
    return 0;
}

int in_byte(struct column_in *in, uint8_t *v)
{
    if (in->at == in->end)
        return ERR_CORRUPT;
    *v = *in->at++;
    return 0;
}

/* Takes n bytes out of packed ones. */
static const char *unpack(struct column_in *in, const char *p, size_t packed_n, size_t n)
{
    char *to = in_alloc(in, n);

    if (!to)
        return NULL;
    size_t m = ZSTD_decompressDCtx(in->zstd, to, n, p, packed_n);
    if (ZSTD_isError(m) || m != n)
        return NULL;
    memset(to + n, 0, COLUMN_SLACK);
    return to;
}

static int read_stream(struct column_in *in, struct stream *s)
{
    uint64_t n, packed = 0;

    if (in_num(in, (uint64_t)LOG_BLOCK_BYTES_MAX << 1 | 1, &n) < 0)
        return ERR_CORRUPT;
    *s = (struct stream){.n = n >> 1, .zstd = n & 1};
    if (s->zstd && in_num(in, LOG_BLOCK_BYTES_MAX, &packed) < 0)
        return ERR_CORRUPT;
    s->packed_n = s->zstd ? packed : s->n;
    return 0;
}

static int read_streams(struct column_in *in)
{
    if (in_num32(in, (uint64_t)(in->end - in->at), &in->nstreams) < 0 || in->nstreams < POOLS)
        return ERR_CORRUPT;
    in->streams = in_alloc(in, in->nstreams * sizeof *in->streams);
    if (!in->streams)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < in->nstreams; i++)
        if (read_stream(in, &in->streams[i]) < 0)
            return ERR_CORRUPT;
    return 0;
}

int column_in_open(struct column_in *in, struct str bytes)
{
    uint64_t dir_n, dir_packed;

    in->at = (const uint8_t *)bytes.p;
    in->end = in->at + bytes.n;
    in->next_stream = POOLS;
    memset(in->pool_at, 0, sizeof in->pool_at);
    if (in_num(in, LOG_BLOCK_BYTES_MAX, &dir_n) < 0 || in_num(in, bytes.n, &dir_packed) < 0 || read_streams(in) < 0)
        return ERR_CORRUPT;
    const char *p = (const char *)in->at, *end = (const char *)in->end;
    uint64_t stored = dir_packed ? dir_packed : dir_n;
    if (stored > (uint64_t)(end - p))
        return ERR_CORRUPT;
    const char *dir = dir_packed ? unpack(in, p, dir_packed, dir_n) : p;
    if (!dir)
        return ERR_CORRUPT;
    p += stored;
    for (uint32_t i = 0; i < in->nstreams; i++) {
        struct stream *s = &in->streams[i];

        if (s->packed_n > (uint64_t)(end - p))
            return ERR_CORRUPT;
        s->packed = p;
        p += s->packed_n;
    }
    in->at = (const uint8_t *)dir;
    in->end = in->at + dir_n;
    return p == end ? 0 : ERR_CORRUPT;
}

int in_run(struct column_in *in, enum column_pool pool, struct run *out)
{
    uint64_t v;

    if (in_num(in, UINT64_MAX, &v) < 0)
        return ERR_CORRUPT;
    *out = (struct run){.stream = pool, .n = (uint32_t)(v >> 1), .at = in->pool_at[pool]};
    if (v & 1) {
        if (in->next_stream == in->nstreams)
            return ERR_CORRUPT;
        out->stream = in->next_stream++;
        out->at = 0;
    } else {
        in->pool_at[pool] += v >> 1;
    }
    size_t n = in->streams[out->stream].n;
    return v >> 1 > n || out->at > n - (v >> 1) || (v & 1 && v >> 1 != n) ? ERR_CORRUPT : 0;
}

int run_bytes(struct column_in *in, const struct run *r, const char **p)
{
    struct stream *s = &in->streams[r->stream];

    if (!s->p && s->zstd) {
        s->p = unpack(in, s->packed, s->packed_n, s->n);
    } else if (!s->p) { /* copied: what lies behind it is not ours to read */
        char *to = in_alloc(in, s->n);

        if (!to)
            return ERR_CORRUPT;
        memcpy(to, s->packed, s->n);
        memset(to + s->n, 0, COLUMN_SLACK);
        s->p = to;
    }
    if (!s->p)
        return ERR_CORRUPT;
    *p = s->p + r->at;
    return 0;
}
