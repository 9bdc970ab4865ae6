/*
 * filter.h - what a block cannot contain. Private to logstore's block codec; the format stands in filter.c.
 *
 * A token is a run of [A-Za-z0-9_.-] without dots and dashes at its ends. Indexed are, as hashes:
 *
 *   grams   every four letters [A-Za-z] in a row, wherever they stand
 *   ids     tokens with a digit that are 8..FILTER_ID_MAX bytes long and not number-like: a float, a date, a clock
 *   pairs   names and values of structured metadata
 */
#ifndef LOGSTORE_FILTER_H
#define LOGSTORE_FILTER_H

#include "logstore/block.h"
#include "logstore/plain_slab.h"

struct filter_out;

struct filter_out *filter_out_new(void);
void filter_out_free(struct filter_out *f);
void filter_out_begin(struct filter_out *f);
/* Text of a line that is delimited on both sides: the line's end, or a byte that is no token byte. f may be NULL. */
void filter_text(struct filter_out *f, struct str s);
void filter_meta(struct filter_out *f, struct str name, struct str value);
/* Appended to b. block_bytes: how large the block became, which bounds what the filter may take. */
void filter_out_end(struct filter_out *f, size_t block_bytes, struct buf *b);

enum { FILTER_ID_MIN = 8, FILTER_ID_MAX = 128 };
enum { TOKEN_LETTER = 1, TOKEN_DIGIT = 2, TOKEN_OTHER = 4 /* _ */, TOKEN_EDGE = 8 /* . - */ };
extern const uint8_t token_class[256];
static inline bool token_byte(unsigned char c)
{
    return token_class[c] != 0;
}

#endif
