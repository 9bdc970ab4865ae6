/*
 * record.h - one record of a power-cut log: what a process did to the files of one directory, in order, with the bytes.
 *
 *   fixed part (64 bytes, little-endian): u32 "PCUT" | u8 op | u8 flags | u16 0 | u64 number | i64 monotonic ns | u64 file
 *                                         u64 offset | u64 data bytes | u32 path bytes | u32 path2 bytes | u64 other
 *   then path, path2, data.
 *
 * `file` is the inode: it stays the same under rename. The number of a record is its place in the log.
 */
#ifndef TESTS_TOOLS_POWERCUT_RECORD_H
#define TESTS_TOOLS_POWERCUT_RECORD_H

#include <stdint.h>

enum { RECORD_BYTES = 64 };
#define RECORD_MAGIC 0x54554350u

enum record_op {
    OP_CREATE = 1, /* path, file: a new, empty file. In its directory: not durable before that is synced */
    OP_WRITE,      /* file, offset, data */
    OP_DURABLE,    /* other: the number of a write that was made through O_DSYNC and has returned */
    OP_TRUNCATE,   /* file, offset: the new size */
    OP_SYNC_BEGIN, /* file (or directory): fsync or fdatasync was called */
    OP_SYNC_END,   /* file; other: the number of its OP_SYNC_BEGIN */
    OP_RENAME,     /* path to path2, file */
    OP_LINK,       /* path to path2, file */
    OP_UNLINK,     /* path, file */
    OP_MKDIR,      /* path, file: of the directory */
    OP_MARK,       /* path: text of powercut_mark() */
};

struct record {
    uint32_t magic;
    uint8_t op, flags;
    uint16_t zero;
    uint64_t number;
    int64_t mono_ns;
    uint64_t file, offset, data_bytes;
    uint32_t path_bytes, path2_bytes;
    uint64_t other;
};
_Static_assert(sizeof(struct record) == RECORD_BYTES, "read and written as it lies");

#endif
