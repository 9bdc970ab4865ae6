/*
 * manifest.c - what a partition says of itself, 128 bytes under the key "\0", written by every commit.
 *
 *     0 u32 "TPM1" | 4 u32 version | 8 u32 flags (1 sealed) | 12 i32 day | 16 u32 format | 20 u32 0
 *    24 i64 created ms | 32 i64 written ms | 40 u64 contained | 48 u64 keys | 56 u64 value bytes
 *    64 u64 keys hash | 72 u64 content hash | 80 u64 LMDB transaction | 88 u64 0 | 96 signal name, zero-padded
 */
#include "store/inside.h"

enum { MAGIC = 0x314d5054, VERSION = 1, SEALED = 1, NAME_AT = 96 };

void manifest_write(char out[MANIFEST_BYTES], const struct manifest *m)
{
    memset(out, 0, MANIFEST_BYTES);
    put_u32le(out, MAGIC);
    put_u32le(out + 4, VERSION);
    put_u32le(out + 8, m->sealed ? SEALED : 0);
    put_u32le(out + 12, (uint32_t)m->day);
    put_u32le(out + 16, m->format);
    put_u64le(out + 24, (uint64_t)m->created_ms);
    put_u64le(out + 32, (uint64_t)m->written_ms);
    put_u64le(out + 40, m->contained);
    put_u64le(out + 48, m->keys);
    put_u64le(out + 56, m->value_bytes);
    put_u64le(out + 64, m->keys_hash);
    put_u64le(out + 72, m->content_hash);
    put_u64le(out + 80, m->txn);
    memcpy(out + NAME_AT, m->signal, strnlen(m->signal, MANIFEST_NAME_MAX));
}

int manifest_read(struct str value, struct manifest *m, struct err *e)
{
    const char *p = value.p;

    if (value.n != MANIFEST_BYTES || get_u32le(p) != MAGIC)
        return err_set(e, ERR_CORRUPT, "no manifest");
    if (get_u32le(p + 4) != VERSION)
        return err_set(e, ERR_UNSUPPORTED, "manifest version %u, this program knows %d", get_u32le(p + 4), VERSION);
    memset(m, 0, sizeof *m);
    m->sealed = get_u32le(p + 8) & SEALED;
    m->day = (int32_t)get_u32le(p + 12);
    m->format = get_u32le(p + 16);
    m->created_ms = (int64_t)get_u64le(p + 24);
    m->written_ms = (int64_t)get_u64le(p + 32);
    m->contained = get_u64le(p + 40);
    m->keys = get_u64le(p + 48);
    m->value_bytes = get_u64le(p + 56);
    m->keys_hash = get_u64le(p + 64);
    m->content_hash = get_u64le(p + 72);
    m->txn = get_u64le(p + 80);
    memcpy(m->signal, p + NAME_AT, MANIFEST_NAME_MAX);
    return 0;
}

uint64_t manifest_term(struct str key, uint32_t size_or_crc)
{
    char all[PARTITION_KEY_MAX + 4];

    put_u32le(all, size_or_crc);
    memcpy(all + 4, key.p, MIN(key.n, (size_t)PARTITION_KEY_MAX));
    return hash64(all, 4 + MIN(key.n, (size_t)PARTITION_KEY_MAX));
}

uint32_t value_crc(struct str key, struct str value)
{
    return crc32c(crc32c(0, key.p, key.n), value.p, value.n);
}
