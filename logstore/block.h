/*
 * block.h - the rows of one block <-> columns <-> bytes. Private to logstore. Knows nothing of stores and of stream labels.
 *
 * Lines are taken apart and put together again to the byte: JSON objects and logfmt into a layout (the text between the
 * values) and one typed column a field, other text into a template and its variables; whatever does not fit stays as it is.
 * Every column is read on its own, when it is first asked for. Filters of tokens tell what a block cannot contain.
 */
#ifndef LOGSTORE_BLOCK_H
#define LOGSTORE_BLOCK_H

#include "logstore/logstore.h"

enum { LOG_BLOCK_RAW_BYTES = 4 << 20, LOG_BLOCK_ROWS_MAX = 1 << 16, LOG_BLOCK_BYTES_MAX = 512 << 20 };

/*
 * Writes n rows (1..LOG_BLOCK_ROWS_MAX), in the order given; only t_ns, stream, line, meta are looked at; stream is any number
 * below 2^32. dense: it may take longer (for sealed days). filter: appended too, the token filter, to be kept apart from the
 * block so that a block that cannot match is never touched.
 */
struct log_block_writer; /* memory that is kept between blocks. One thread */
struct log_block_writer *log_block_writer_new(void);
void log_block_writer_free(struct log_block_writer *w);
void log_block_write(struct log_block_writer *w, const struct log_row *rows, uint32_t n, bool dense, struct buf *block, struct buf *filter);

/* Could a row of the block pass all of these hints? False is certain. */
bool log_filter_may_match(struct str filter, const struct log_hint *hints, uint32_t nhints);

/* A set of rows of a block. */
struct log_bits {
    uint64_t *w;
    uint32_t n; /* rows */
};

/* A block that is being read, by one thread. Keeps its memory for the next (log_block_open again). Decoding is charged to nobody here. */
struct log_block;
struct log_block *log_block_new(void);
void log_block_free(struct log_block *b);
/* bytes are borrowed until the next open. ERR_CORRUPT. Hostile bytes are refused, here or by what reads a column later. */
int log_block_open(struct log_block *b, struct str bytes, struct err *e);
/* Asked now and then while rows are narrowed by tests; what it answers ends that. Until told otherwise. */
void log_block_limit(struct log_block *b, const struct log_limits *limits);
uint32_t log_block_n(const struct log_block *b);
int log_block_times(struct log_block *b, const int64_t **out, struct err *e);
int log_block_streams(struct log_block *b, const uint32_t **out, struct err *e);
/* Removes rows from the set that fail a hint. Exact for LINE and NO_LINE hints; others may leave rows in. */
int log_block_narrow(struct log_block *b, const struct log_hint *hint, struct log_bits *rows, struct err *e);
/*
 * Fill in the line, metadata, fields of rows[i] for the row numbers idx[0..n-1], ascending. What they point to is valid until the
 * next open. fields: only lines that were taken apart by that parser in a way that gives what parsing the text gives get them.
 */
int log_block_lines(struct log_block *b, const uint32_t *idx, uint32_t n, struct log_row *rows, struct err *e);
int log_block_meta(struct log_block *b, const uint32_t *idx, uint32_t n, struct log_row *rows, struct err *e);
/* Of metadata only these names; NULL: all. */
int log_block_meta_of(struct log_block *b, const struct str *names, uint32_t nnames, const uint32_t *idx, uint32_t n,
                      struct log_row *rows, struct err *e);
int log_block_fields(struct log_block *b, enum log_parser parser, const struct str *names, uint32_t nnames, const uint32_t *idx,
                     uint32_t n, struct log_row *rows, struct err *e);
/* Bytes of decoded columns held. */
size_t log_block_memory(const struct log_block *b);
/* Deep check for fsck. */
int log_block_verify(struct log_block *b, struct err *e);
/* For dumps: columns with their coding and sizes, a line each. */
void log_block_dump(struct log_block *b, void (*print)(void *arg, const char *line), void *arg);

#endif
