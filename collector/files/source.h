/*
 * source.h - private to files/: the bytes of one open file, as lines.
 *
 * A line ends in \n; a \r before it is cut; the last one without \n waits. A line longer than SOURCE_LINE_MAX is cut there and the
 * rest of it, up to its \n, is passed over. Byte order marks are dropped, UTF-16 and other encodings become UTF-8. Holes (zeros
 * that a writer leaves who did not notice that its file was truncated) are passed over. Offsets are bytes of the file, of a
 * compressed one bytes of what was compressed.
 */
#ifndef COLLECTOR_FILES_SOURCE_H
#define COLLECTOR_FILES_SOURCE_H

#include "base/base.h"

enum { SOURCE_LINE_MAX = 1 << 20 };

struct source;

struct source_opts {
    bool compressed;     /* undo gzip and zstd where the file is */
    struct str encoding; /* iconv's name; empty: UTF-8, or what a byte order mark says */
};

/* Owns fd from then on, also on failure. ERR_INVALID: binary, or an encoding nobody knows; ERR_IO. */
int source_open(int fd, const struct source_opts *o, struct source **out, struct err *e);
void source_free(struct source *s);
int source_fd(const struct source *s);
bool source_compressed(const struct source *s);

struct source_line {
    struct str text;
    uint64_t start, end; /* end: behind its \n */
    bool truncated;
};

/*
 * Reads on from *offset, at most `max` bytes, into pieces of a (texts lie there). Complete lines go to fn, which may say false: no
 * more. *offset moves behind the last line taken. *skipping: we are in the rest of a line that was too long. *end: nothing more
 * is there now. *whole (compressed files): all was read.
 */
int source_read(struct source *s, struct arena *a, uint64_t *offset, bool *skipping, size_t max,
                bool (*fn)(void *arg, const struct source_line *line), void *arg, bool *end, bool *whole, struct err *e);
/* The line without \n at the end, once nobody will write on. False: there is none. */
bool source_rest(struct source *s, struct arena *a, uint64_t offset, struct source_line *out);

#endif
