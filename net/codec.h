/*
 * codec.h - compressed bodies. Output is bounded before it is made: a body that announces or becomes more than max
 * bytes is ERR_LIMIT, a torn or lying one ERR_INVALID. Both sentences name the encoding.
 */
#ifndef NET_CODEC_H
#define NET_CODEC_H

#include "base/base.h"

enum encoding { ENC_IDENTITY, ENC_GZIP, ENC_DEFLATE, ENC_ZSTD, ENC_SNAPPY /* block format */, ENC_LZ4 /* frames */, ENC_UNKNOWN };

enum encoding encoding_parse(struct str header); /* one token, any case; empty is identity */
/* Into a fresh piece of a. snappy: our own bounded decoder. Several gzip members, zstd or lz4 frames in a row are fine. */
int body_decode(struct arena *a, enum encoding enc, struct str in, size_t max, struct str *out, struct err *e);
/* Whole-buffer encoders, for replies and clients. level 0 = default. Append to out. */
void gzip_encode(struct buf *out, struct str in, int level);
void snappy_encode(struct buf *out, struct str in);

#endif
