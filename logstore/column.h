/*
 * column.h - columns of integers and of byte strings <-> bytes. Private to logstore's block codec.
 *
 * What is written goes to two places: small facts (kind, counts, lengths) to the directory, in the order in which they are
 * read back; bytes to streams. A run of bytes is a stream of its own, or when it is short lies with others of its sort in a
 * pool. Streams are compressed one by one and taken out when they are first needed.
 *
 *   column_out.c   directory, streams, pools          column_ints.c  integers as byte planes
 *   column_in.c    the same, read                     column_text.c  strings: choosing a kind, writing it
 *   column_num.c   numbers as text                    column_read.c  strings: reading every kind
 *   column_time.c  times as text                      column_hex.c   ids
 *   column_ip.c    IPv4 addresses                     shred*.c       templates: what a line consists of
 */
#ifndef LOGSTORE_COLUMN_H
#define LOGSTORE_COLUMN_H

#include "logstore/block.h"
#include "logstore/plain_slab.h"

#include <zstd.h>

enum {
    COLUMN_SLACK = 64,      /* readable and writable bytes behind every decoded run */
    COLUMN_N_MAX = 1 << 22, /* values in one column */
    COLUMN_DEPTH_MAX = 6,   /* columns within columns */
    COLUMN_PLANES_MAX = 8,
};

/* --- out ---------------------------------------------------------------------------------------- */

enum column_pool { POOL_TEXT, POOL_NUMS, POOLS };

struct column_out {
    struct buf dir;
    struct buf pools[POOLS];
    struct buf streams;    /* packed bytes, one after the other */
    struct buf stream_dir; /* their lengths */
    uint32_t nstreams;
    ZSTD_CCtx *zstd;
    int level;
    bool dense;
    struct slab *slab;         /* scratch, until the block is done */
    struct filter_out *filter; /* where tokens go; NULL: nowhere */
};

void column_out_begin(struct column_out *o, bool dense);
void log_column_out_release(struct column_out *o);
/* A run of bytes; its place and length go to the directory. */
void out_bytes(struct column_out *o, enum column_pool pool, const void *p, size_t n);
/* Everything since begin: appended to b. */
void column_out_end(struct column_out *o, struct buf *b);

static inline void out_num(struct column_out *o, uint64_t v)
{
    buf_put_varint(&o->dir, v);
}
static inline void out_byte(struct column_out *o, uint8_t v)
{
    buf_putc(&o->dir, (char)v);
}

void ints_write(struct column_out *o, const int64_t *x, uint32_t n);
/* About how many bits that would take. */
uint64_t ints_cost(const int64_t *x, uint32_t n);
/* ref: times of the rows the values belong to, or NULL. depth: how deep in other columns. */
void text_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref, unsigned depth);

/* --- in ----------------------------------------------------------------------------------------- */

struct run {
    uint32_t stream, n;
    uint64_t at;
};

struct stream {
    const char *packed;
    size_t packed_n, n;
    bool zstd;
    const char *p; /* decoded; NULL: not yet */
};

struct column_in {
    const uint8_t *at, *end; /* directory */
    struct stream *streams;
    uint32_t nstreams, next_stream;
    uint64_t pool_at[POOLS];
    ZSTD_DCtx *zstd;
    struct slab *slab;
    uint64_t budget; /* bytes that may still be decoded: hostile blocks do not grow without end */
    struct log_limits limits; /* asked now and then where a column's reading is long: tests of many values */
    struct err *stopped;      /* where its sentence goes */
    uint64_t work;            /* since it was asked */
    int64_t looked_ns;        /* when the clock was looked at... */
    uint32_t look_in;         /* ... and after how many tests it is again */
};

/* bytes as column_out_end wrote them, borrowed. Charges what it takes. ERR_CORRUPT without a sentence, as all below. */
int column_in_open(struct column_in *in, struct str bytes);
int in_num(struct column_in *in, uint64_t max, uint64_t *v);
int in_num32(struct column_in *in, uint64_t max, uint32_t *v);
int in_byte(struct column_in *in, uint8_t *v);
int in_run(struct column_in *in, enum column_pool pool, struct run *out);
/* The bytes of a run, COLUMN_SLACK readable bytes behind them. */
int run_bytes(struct column_in *in, const struct run *r, const char **p);
/* Memory for n bytes, charged. NULL: more than a block may take. */
void *in_alloc(struct column_in *in, size_t n);

struct ints {
    uint8_t order; /* of differences: 0 1 2 */
    uint8_t nplanes;
    bool zigzag;
    uint64_t scale, base, first, step;
    uint32_t n;
    struct run planes[COLUMN_PLANES_MAX];
};
int ints_parse(struct column_in *in, uint32_t n, struct ints *out);
/* out has room for n. */
int ints_read(struct column_in *in, const struct ints *x, int64_t *out);

/* A decoded string: place << 32 | length. */
static inline uint64_t cell(uint64_t at, uint64_t n)
{
    return at << 32 | n;
}
static inline size_t cell_at(uint64_t c)
{
    return c >> 32;
}
static inline size_t cell_n(uint64_t c)
{
    return (uint32_t)c;
}

/* On disk: new ones go to the end. */
enum text_kind {
    TEXT_CONST,
    TEXT_STRINGS,
    TEXT_DICT,
    TEXT_NUMBERS,
    TEXT_TIMES,
    TEXT_HEX,
    TEXT_SPLIT,
    TEXT_SHRED,
    TEXT_IPS,
    TEXT_KINDS
};

struct shred;

struct text {
    enum text_kind kind;
    uint32_t n;
    bool ready;

    /* Decoded: value i lies at base + cell_at(cells[i]); base_n bytes in all, COLUMN_SLACK behind them. */
    const char *base;
    size_t base_n;
    const uint64_t *cells;
    uint8_t plain; /* text_plain; 0: not looked at yet */

    struct run literal; /* HEX, NUMBERS, TIMES: what all have in common */
    struct run run;     /* CONST, STRINGS: bytes. HEX: nibbles */
    struct ints ints;   /* STRINGS: lengths. DICT: places. NUMBERS, TIMES: values. SPLIT: counts */
    struct ints more;   /* NUMBERS: decimals */
    struct text *sub;   /* DICT: values. SPLIT: parts */
    uint32_t nsub;
    uint32_t prefix_n, width; /* NUMBERS: of literal; digits. TIMES: decimals */
    uint8_t form;             /* TIMES */
    bool to_row, needs_ref;   /* read only with the times of the rows */
    struct shred *shred;
    struct str separator;   /* SPLIT */
    uint64_t total;         /* SPLIT: bytes of all values */
    const uint32_t *places; /* DICT, decoded */

    /* NUMBERS, TIMES, read at least in part: the integers, and times of the rows. */
    const int64_t *v, *v_more, *ref;
    const char *bytes; /* ... and HEX: of literal */
};

int text_parse(struct column_in *in, uint32_t n, unsigned depth, struct text **out);
int text_read(struct column_in *in, struct text *t, const int64_t *ref);
/*
 * Like text_read, of the values whose bits are set: of others nothing may be looked at. Of kinds that cost much to write out, else it
 * reads all. ref need not be given again.
 */
int text_read_some(struct column_in *in, struct text *t, const int64_t *ref, const uint64_t *want);
static inline bool text_is_costly(const struct text *t)
{
    return t->kind == TEXT_NUMBERS || t->kind == TEXT_TIMES || t->kind == TEXT_HEX || t->kind == TEXT_DICT;
}
static inline struct str text_at(const struct text *t, uint32_t i)
{
    return str_n(t->base + cell_at(t->cells[i]), cell_n(t->cells[i]));
}
/* Like text_read for DICT: its values and places, not the cells. */
int text_read_dict(struct column_in *in, struct text *t);
/* Only ASCII, no backslash, in all values? After text_read, text_read_some. */
bool text_plain(struct text *t);
/*
 * Sets the bits of values that contain the needle (shred_find.c). want: bits of values that matter, or NULL: all; others may be set
 * or not. bits: one for each value.
 */
int text_find(struct column_in *in, struct text *t, const int64_t *ref, struct str needle, const uint64_t *want,
              uint64_t *bits);
/*
 * Takes the bits of values away that fail the test (shred_match.c). Values whose bits are set contain the needle (which may be empty).
 * ERR_CORRUPT, or what in->limits say.
 */
int text_match(struct column_in *in, struct text *t, const int64_t *ref, struct str needle, const struct log_line_test *test,
               uint64_t *bits);
const char *text_kind_name(enum text_kind k);

#endif
