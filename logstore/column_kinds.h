/* column_kinds.h - the kinds of string columns that have a file of their own. Private to the column files. */
#ifndef LOGSTORE_COLUMN_KINDS_H
#define LOGSTORE_COLUMN_KINDS_H

#include "logstore/column.h"

/* want: bits of the values to be written out; NULL: all.
 * All numbers of a column: prefix, number, suffix. False, as below: nothing was written, not all are such. */
bool numbers_write(struct column_out *o, const struct str *v, uint32_t n);
int numbers_parse(struct column_in *in, struct text *t);
int numbers_read(struct column_in *in, struct text *t, const uint64_t *want);

/* IPv4 addresses. */
bool ips_write(struct column_out *o, const struct str *v, uint32_t n);
int ips_parse(struct column_in *in, struct text *t);
int ips_read(struct column_in *in, struct text *t);

/* Strings of one length whose places hold either always the same byte, or hex digits. */
bool hex_write(struct column_out *o, const struct str *v, uint32_t n);
int hex_parse(struct column_in *in, struct text *t);
int hex_read(struct column_in *in, struct text *t, const uint64_t *want);

/* Times of one form. ref: of the rows, or NULL. */
bool times_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref);
int times_parse(struct column_in *in, struct text *t);
int log_times_read(struct column_in *in, struct text *t, const int64_t *ref, const uint64_t *want);

/* Of n values those of word w of the bits; want NULL: all. (What is written out twice is the same.) */
static inline uint64_t wanted_bits(const uint64_t *want, uint32_t n, uint32_t w)
{
    uint64_t bits = want ? want[w] : ~UINT64_C(0);

    return n - w * 64 < 64 ? bits & ((UINT64_C(1) << (n - w * 64)) - 1) : bits;
}

/* Shared: cells[i] for strings of one length side by side. */
uint64_t *cells_even(struct column_in *in, uint32_t n, size_t stride);

#endif
