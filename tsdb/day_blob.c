/*
 * day_blob.c - long runs of bytes over LMDB: chunks that fill whole pages to the last byte, pieces found by offset.
 *
 * A block of a slice compresses to any size; as a value of its own it would waste half a page on average, and a small
 * one a slot in a leaf. Laid end to end and cut into chunks of BLOB_CHUNK bytes nothing is wasted but behind the last.
 * The price: a piece may lie across two chunks, and is copied then.
 *
 * (1) Every chunk but the last has exactly BLOB_CHUNK bytes, so offset / BLOB_CHUNK is the chunk.
 * (2) What is unpacked has the length it said it has, and none is longer than PIECE_RAW_MAX.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

static struct str chunk_key(char key[9], uint32_t id, uint32_t no)
{
    uint32_t id_be = __builtin_bswap32(id), no_be = __builtin_bswap32(no);

    key[0] = 'B';
    memcpy(key + 1, &id_be, 4);
    memcpy(key + 5, &no_be, 4);
    return str_n(key, 9);
}

/* --- writing ------------------------------------------------------------------------------------ */

static int put_chunk(struct blob_writer *w, struct str bytes, struct err *e)
{
    char key[9];

    return txn_put(*w->txn, chunk_key(key, w->id, w->next_chunk++), &bytes, 1, e);
}

int blob_put(struct blob_writer *w, const struct str *parts, uint32_t nparts, struct piece *out, struct err *e)
{
    size_t n = 0;

    for (uint32_t i = 0; i < nparts; i++)
        n += parts[i].n;
    if (n > PIECE_RAW_MAX)
        return err_set(e, ERR_LIMIT, "a piece of %zu bytes is longer than %d", n, PIECE_RAW_MAX);
    *out = (struct piece){w->bytes, (uint32_t)n};
    for (uint32_t i = 0; i < nparts; i++)
        for (struct str s = parts[i]; s.n > 0;) {
            struct str head = str_head(s, BLOB_CHUNK - w->chunk.n);

            buf_puts(&w->chunk, head);
            s = str_from(s, head.n);
            if (w->chunk.n == BLOB_CHUNK) {
                if (put_chunk(w, buf_str(&w->chunk), e) < 0)
                    return e->code;
                buf_reset(&w->chunk);
            }
        }
    w->bytes += n;
    return 0;
}

int blob_finish(struct blob_writer *w, struct err *e)
{
    return w->chunk.n ? put_chunk(w, buf_str(&w->chunk), e) : 0;
}

void blob_writer_release(struct blob_writer *w)
{
    buf_release(&w->chunk);
    *w = (struct blob_writer){0};
}

int blob_delete(struct txn *t, uint32_t id, struct err *e)
{
    char key[9];

    for (uint32_t no = 0;; no++) {
        int rc = txn_del(t, chunk_key(key, id, no), e);

        if (rc < 0)
            return rc == ERR_NOT_FOUND && no > 0 ? 0 : rc;
    }
}

/* --- reading ------------------------------------------------------------------------------------ */

static int get_chunk(struct blob_reader *r, uint32_t no, struct err *e)
{
    char key[9];
    int rc;

    if (r->have && r->chunk_no == no)
        return 0;
    r->have = false;
    pthread_mutex_lock(&r->view->txn_mu);
    rc = txn_get(r->view->txn, chunk_key(key, r->id, no), &r->chunk, e);
    pthread_mutex_unlock(&r->view->txn_mu);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_CORRUPT, "blob %u: chunk %u is missing", r->id, no);
    if (rc < 0)
        return rc;
    r->chunk_no = no;
    r->have = true;
    return 0;
}

int blob_get(struct blob_reader *r, struct piece p, struct buf *copy, struct str *out, struct err *e)
{
    uint64_t no = p.at / BLOB_CHUNK;
    size_t from = (size_t)(p.at % BLOB_CHUNK);
    int rc;

    if (no > UINT32_MAX || p.n > PIECE_RAW_MAX)
        return err_set(e, ERR_CORRUPT, "blob %u: a piece of %u bytes at %llu", r->id, p.n, (unsigned long long)p.at);
    if ((rc = get_chunk(r, (uint32_t)no, e)) < 0)
        return rc;
    if (from <= r->chunk.n && r->chunk.n - from >= p.n) {
        *out = str_n(r->chunk.p + from, p.n);
        return 0;
    }
    buf_reset(copy);
    for (size_t left = p.n; left > 0; from = 0) {
        if (r->chunk.n != BLOB_CHUNK && r->chunk.n < from + left)
            return err_set(e, ERR_CORRUPT, "blob %u: ends inside the piece at %llu", r->id, (unsigned long long)p.at);
        size_t take = MIN(left, r->chunk.n - from);

        buf_put(copy, r->chunk.p + from, take);
        left -= take;
        if (left > 0 && (rc = get_chunk(r, (uint32_t)++no, e)) < 0)
            return rc;
    }
    *out = buf_str(copy);
    return 0;
}

/* --- compression -------------------------------------------------------------------------------- */

enum { RAW, ZSTD };

struct packer {
    ZSTD_CCtx *ctx;
    int level;
};

struct packer *packer_new(int level)
{
    struct packer *p = x_zalloc(sizeof *p);

    p->ctx = ZSTD_createCCtx();
    assert(p->ctx);
    p->level = level;
    return p;
}

void packer_free(struct packer *p)
{
    if (p)
        ZSTD_freeCCtx(p->ctx);
    free(p);
}

void pack_bytes_into(struct packer *p, struct str raw, struct buf *out)
{
    size_t flag_at = out->n, room = ZSTD_compressBound(raw.n);

    buf_putc(out, RAW);
    buf_put_varint(out, raw.n);
    char *at = buf_reserve(out, room);
    size_t n = raw.n >= 16 ? ZSTD_compressCCtx(p->ctx, at, room, raw.p, raw.n, p->level) : raw.n;
    if (ZSTD_isError(n) || n >= raw.n - raw.n / 32) {
        buf_puts(out, raw);
        return;
    }
    out->p[flag_at] = ZSTD;
    out->n += n;
}

struct unpacker {
    ZSTD_DCtx *ctx;
};

struct unpacker *unpacker_new(void)
{
    struct unpacker *u = x_zalloc(sizeof *u);

    u->ctx = ZSTD_createDCtx();
    assert(u->ctx);
    return u;
}

void unpacker_free(struct unpacker *u)
{
    if (u)
        ZSTD_freeDCtx(u->ctx);
    free(u);
}

int unpack_bytes_from(struct unpacker *u, struct str in, struct buf *out, struct err *e)
{
    struct rd r = rd_of(in);
    struct str flag = rd_bytes(&r, 1);
    uint64_t n = rd_varint(&r);

    if (r.bad || (flag.p[0] != RAW && flag.p[0] != ZSTD) || n > PIECE_RAW_MAX || (flag.p[0] == RAW && n != rd_left(&r)))
        return err_set(e, ERR_CORRUPT, "bad packed bytes");
    /* A frame says how long its content is: a lie is met before memory is taken. */
    if (flag.p[0] == ZSTD && ZSTD_getFrameContentSize(r.p, rd_left(&r)) != n)
        return err_set(e, ERR_CORRUPT, "compressed bytes of another length");
    char *at = buf_reserve(out, (size_t)n + CODEC_SLACK);
    if (flag.p[0] == RAW) {
        memcpy(at, r.p, (size_t)n);
    } else if (ZSTD_decompressDCtx(u->ctx, at, (size_t)n, r.p, rd_left(&r)) != n) {
        return err_set(e, ERR_CORRUPT, "compressed bytes do not unpack");
    }
    memset(at + n, 0, CODEC_SLACK);
    out->n += (size_t)n;
    return 0;
}
