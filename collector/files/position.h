/*
 * position.h - private to files/: which file we read, and how far. The value of a mark:
 *
 *     01 | dev ino offset sig_n mtime flags (varints, mtime zigzag) | sig (8 bytes LE) | job (varint length, bytes) | path (the same)
 *
 * The signature is a hash of the first sig_n bytes of the file (1024, or as many as there were): it tells a file from another
 * that has got the same inode, and a rotated copy from its original.
 */
#ifndef COLLECTOR_FILES_POSITION_H
#define COLLECTOR_FILES_POSITION_H

#include "base/base.h"

enum { SIGNATURE_MAX = 1024 };
enum { POSITION_SKIPPING = 1 /* in the rest of a line that was too long */, POSITION_DONE = 2 /* a compressed file, read to its end */ };

struct signature {
    uint32_t n;
    uint64_t hash;
};

struct position {
    uint64_t dev, ino;
    uint64_t offset;
    struct signature sig;
    int64_t mtime_ns;
    uint32_t flags;
    struct str job, path;
};

#define POSITION_PREFIX "file/"

void position_key(const struct position *p, struct buf *out);
void position_encode(const struct position *p, struct buf *out);
/* Texts are borrowed from value. */
bool position_decode(struct str value, struct position *out);

/* Of an open file; as many bytes as it has, SIGNATURE_MAX at most. */
struct signature signature_read(int fd);
/* Whether the file still begins with what was signed. A signature of nothing says nothing: false. */
bool signature_holds(const struct signature *s, int fd);

#endif
