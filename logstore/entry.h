/*
 * entry.h - what a batch of log records is in the journal. Private to logstore/.
 *
 *   entry    version u8 | varint: streams this file defined before, definitions { varint n { text text }* }*
 *            | varint: marks { text key, text value }* | varint: runs { varint local, varint rows }*
 *            | zigzag oldest ns, varint newest - oldest (0 0 without rows)
 *            | varint: labels of metadata in all, names { text }* | packed columns | packed lines
 *   text     varint bytes | bytes            packed   coding u8 | varint raw bytes | varint bytes | bytes
 *   columns  a row: zigzag(ns - ns of the row before), varint bytes of the line, varint metadata: 0 none, 1 a new set,
 *            k + 2: set k of the entry.   A set: varint n { varint name, text value }*
 *   lines    those of all rows, one behind the other
 *
 * A stream is named by its number in the order of definition in the journal file; so every file replays by itself.
 */
#ifndef LOGSTORE_ENTRY_H
#define LOGSTORE_ENTRY_H

#include "logstore/head.h"
#include "logstore/logstore.h"
#include "logstore/pack.h"

enum { ENTRY_VERSION = 1, ENTRY_ROWS_MAX = 4 << 20, ENTRY_LABELS_MAX = 4096 };
#define ENTRY_RAW_MAX ((size_t)512 << 20)

/* --- writing -------------------------------------------------------------------------------------- */

/* Packs the rows of a piece whose lines lie one behind the other. Memory that is kept from batch to batch; one thread. */
struct log_entry_packer;
struct log_entry_packer *log_entry_packer_new(void);
void log_entry_packer_free(struct log_entry_packer *p);
/* What stands behind the runs, appended to out. lines: those of all rows. piece NULL: there are none. */
void log_entry_pack(struct log_entry_packer *p, const struct log_piece *piece, struct str lines, struct buf *out);

/* What stands before it. Definitions get numbers by the caller. */
void log_entry_head_begin(struct buf *out, uint32_t first_local, uint32_t ndefs);
void log_entry_head_def(struct buf *out, const struct labels *labels);
void log_entry_head_marks(struct buf *out, const struct log_mark *marks, uint32_t n);
void log_entry_head_runs(struct buf *out, uint32_t n);
void log_entry_head_run(struct buf *out, uint32_t local, uint32_t nrows);
void log_entry_head_times(struct buf *out, int64_t mint_ns, int64_t maxt_ns);

/* --- reading -------------------------------------------------------------------------------------- */

struct entry_run {
    uint32_t local, n;
};

/* Everything but the rows; arrays are from the arena, texts lie in the entry. */
struct log_entry {
    uint32_t first_local;
    struct labels *defs;
    uint32_t ndefs;
    struct log_mark *marks;
    uint32_t nmarks;
    struct entry_run *runs;
    uint32_t nruns, nrows;
    int64_t mint_ns, maxt_ns; /* of the rows, so that those on disk need not be unpacked */
    struct str *names;
    uint32_t nnames;
    uint32_t nlabels;
    struct packed columns, lines;
};

/* ERR_CORRUPT where the bytes are no entry. What it says of sizes is bounded. */
int log_entry_read(struct str bytes, struct arena *a, struct log_entry *out, struct err *e);

/*
 * The rows: all but their stream, hash and state. mem: room for columns.raw_bytes + lines.raw_bytes + names; labels: for
 * nlabels. What rows point to lies in both.
 */
size_t log_entry_mem_bytes(const struct log_entry *in);
int log_entry_rows(struct log_unpacker *u, const struct log_entry *in, struct log_head_row *rows, struct label *labels, char *mem, struct err *e);

#endif
