/* quote.h - text between quotes as Go writes it (strconv.Quote): what label values, error texts and printed queries use. */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include "base/buf.h"
#include "base/str.h"

/* "s": escapes for quotes, backslashes, control characters, bytes that are no UTF-8, runes that cannot be seen. */
void buf_put_quoted(struct buf *out, struct str s);
/* 'r'. What is no code point is shown as U+FFFD. */
void buf_put_quoted_rune(struct buf *out, uint32_t r);

#endif
