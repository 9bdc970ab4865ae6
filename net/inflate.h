/*
 * inflate.h - compressed files, undone piece by piece: gzip (several members in a row too), zstd (several frames), or neither. Memory
 * is bounded whatever the input says.
 */
#ifndef NET_INFLATE_H
#define NET_INFLATE_H

#include "net/codec.h"

struct inflater;

/* ENC_GZIP, ENC_ZSTD or ENC_IDENTITY. */
struct inflater *inflater_new(enum encoding enc);
void inflater_free(struct inflater *f);
/* What the first bytes of a file say it is. */
enum encoding inflater_guess(struct str head);
/*
 * Takes from the front of *in, fills up to cap bytes of out; *n tells how many. Call again while it gives some, then with more input.
 * ERR_INVALID: not that format, or damaged.
 */
int inflater_run(struct inflater *f, struct str *in, char *out, size_t cap, size_t *n, struct err *e);
/* After all input: false where it ends in the middle. */
bool inflater_at_end(const struct inflater *f);

#endif
