/* lz4.h - a bounded decoder of the LZ4 frame format. Private to net. */
#ifndef NET_LZ4_H
#define NET_LZ4_H

#include "base/base.h"

/*
 * How many bytes the frames of in become, at most max: ERR_LIMIT beyond, ERR_INVALID where they are no frames. Everything but
 * the checksums of contents is checked here, before there is memory for it.
 */
int lz4_length(struct str in, size_t max, size_t *n, struct err *e);
/* Decodes what lz4_length has measured into exactly n bytes. */
int lz4_frames(struct str in, uint8_t *out, size_t n, struct err *e);

#endif
