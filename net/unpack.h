/*
 * unpack.h - compressed bytes undone piece by piece: for files that are larger than memory. Members of gzip and frames of zstd in a
 * row are one text.
 */
#ifndef NET_UNPACK_H
#define NET_UNPACK_H

#include "base/base.h"

struct unpack;

enum unpack_kind { UNPACK_NONE, UNPACK_GZIP, UNPACK_ZSTD };
/* By the first bytes. */
enum unpack_kind unpack_kind_of(struct str head);
struct unpack *unpack_new(enum unpack_kind kind);
void unpack_free(struct unpack *u);
/*
 * Takes from the front of *in, writes at most cap bytes to out and their number to *n. *whole: what was given so far is complete, as
 * far as can be seen. ERR_INVALID: torn.
 */
int unpack_more(struct unpack *u, struct str *in, char *out, size_t cap, size_t *n, bool *whole, struct err *e);

#endif
