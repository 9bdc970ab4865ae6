/* snappy.h - the snappy block format, read into memory of a size that was checked first. */
#ifndef NET_SNAPPY_H
#define NET_SNAPPY_H

#include "base/base.h"

enum { SNAPPY_SLOP = 64 }; /* the output needs this much room behind its last byte; what lands there means nothing */

/* The length a block announces; *at gets the offset of its first element. ERR_INVALID when there is none. */
int snappy_length(struct str in, uint64_t *length, size_t *at, struct err *e);
/* Decodes the elements of in (behind the length) into exactly n bytes at out. ERR_INVALID when they make more, fewer,
 * or nonsense. */
int snappy_elements(struct str in, uint8_t *out, size_t n, struct err *e);

#endif
