/* hash.h - XXH3 for tables and identities, CRC32C (Castagnoli) for bytes on disk, FNV-1a where a contract asks for it. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

struct hash128 {
    uint64_t lo, hi;
};

uint64_t hash64(const void *p, size_t n);
struct hash128 hash128(const void *p, size_t n);
static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* CRC32C of p continued from crc (0 to begin). Uses SSE 4.2 when the machine has it. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

uint64_t fnv1a64(const void *p, size_t n);

#endif
