/*
 * group.h - what stands in one value of a journal file: the entries of one commit, each with its checksum. Private to store/.
 *
 *   key    u64 seq of the first entry; entry i has seq + i. Key 0 is the header of the file.
 *   value  u32 "TJG1" | u32 n | n x { u32 bytes, u32 tag, u32 crc } | u32 crc of key and head | bytes, one behind the other
 *   header u32 "TJH1" | u32 version | u32 file | u32 0 | u64 first seq | u32 crc of key and the above
 *
 * The crc of an entry covers its seq, its tag and its bytes, so one bad sector costs one entry and not the group.
 */
#ifndef STORE_GROUP_H
#define STORE_GROUP_H

#include "base/base.h"

enum { GROUP_VERSION = 1, GROUP_HEADER_BYTES = 28, GROUP_ENTRIES_MAX = 1 << 16 };

struct group_entry {
    struct str bytes;
    uint8_t tag;
};

/* Bytes of a value with n entries that hold `bytes` together. */
size_t group_bytes(uint32_t n, size_t bytes);
/* Writes exactly group_bytes to out. */
void group_write(char *out, uint64_t seq, const struct group_entry *v, uint32_t n);

/* Reads a value. Zero-initialised by group_open; entries are borrowed from the value. */
struct group {
    struct str value;
    uint64_t seq;
    uint32_t n, i;
    size_t at;
};
/* ERR_CORRUPT: not a group, or its head is damaged. */
int group_open(struct group *g, uint64_t seq, struct str value, struct err *e);
/*
 * The next entry: 0, >0 at the end, ERR_CORRUPT for a damaged one (*seq says which; calling again goes on behind it).
 * check false: the bytes are not touched.
 */
int group_next(struct group *g, bool check, uint64_t *seq, struct group_entry *out, struct err *e);

void group_header_write(char out[GROUP_HEADER_BYTES], uint32_t file, uint64_t first_seq);
int group_header_read(struct str value, uint32_t *file, uint64_t *first_seq, struct err *e);

#endif
