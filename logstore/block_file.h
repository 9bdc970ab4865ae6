/* block_file.h - what the block_*.c share. Private to them. */
#ifndef LOGSTORE_BLOCK_FILE_H
#define LOGSTORE_BLOCK_FILE_H

#include "logstore/column.h"
#include "logstore/filter.h"
#include "logstore/shred.h"

enum { BLOCK_VERSION = 1, BLOCK_META_MAX = 1 << 24 };

/* One key of structured metadata. */
struct meta_column {
    struct run name_run;
    uint32_t n;       /* rows that have it */
    struct ints rows; /* which; n == rows of the block: all, and there are none */
    struct text *values;
    struct str name;
    const int64_t *at; /* decoded rows; NULL: all */
    bool ready;
};

struct log_block {
    struct slab slab;
    struct column_in in;
    bool open;
    uint32_t n, nmeta, ndict;
    uint64_t raw_bytes; /* of all lines */
    struct ints times, stream_dict, streams;
    struct text *lines;
    struct meta_column *meta;

    /* Decoded; NULL: not yet. */
    int64_t *t_ns;
    uint32_t *stream;
    bool meta_ready;
};

int block_corrupt(struct err *e, const char *what);
/* Takes away rows without one of the values. ERR_CORRUPT without a sentence. */
int block_narrow_meta(struct log_block *b, const struct log_hint *h, struct log_bits *rows);
int block_narrow_field(struct log_block *b, const struct log_hint *h, struct log_bits *rows);

#endif
