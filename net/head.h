/*
 * head.h - the head of an HTTP/1.1 request and the framing of chunked bodies. Works on bytes, knows no sockets.
 *
 * What two servers could read differently is refused: that is how requests are smuggled past a proxy.
 */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include "net/codec.h"
#include "net/server.h"

enum { HEADERS_MAX = 128 };

struct head {
    enum http_method method; /* 0: a token that is none of ours */
    struct str method_text;
    struct str path, query; /* as sent */
    int minor;              /* HTTP/1.minor: 0 or 1 */
    struct http_header *headers;
    uint32_t nheaders;
    uint64_t length; /* Content-Length */
    bool has_length, chunked, keep_alive, expect_continue, accept_gzip;
    struct str content_type, content_encoding, origin;
};

/*
 * Looks for the empty line that ends a head: 1 with *end behind it, 0 when more must come, ERR_INVALID for a bare LF.
 * *scan remembers how far was looked; start with 0.
 */
int head_find_end(struct str in, size_t *scan, size_t *end, struct err *e);
/* text ends with the empty line; all of *out points into it. headers has HEADERS_MAX places. Returns 0 or the HTTP
 * status to answer. */
int head_parse(struct str text, struct http_header *headers, struct head *out, struct err *e);
/* The token list in a header's value names this token (any case, parameters ignored, q=0 is a no). */
bool header_lists(struct str value, const char *token);

enum chunk_event { CHUNK_MORE, CHUNK_DATA, CHUNK_END };
struct chunked {
    int state;
    uint64_t left;       /* of the chunk */
    uint32_t line_bytes; /* of the size line or trailer so far */
    uint32_t digits;
};
/* Goes on at *p: an event, with *data (borrowed from the input) for CHUNK_DATA; ERR_INVALID for anything not by the
 * book. */
int chunked_next(struct chunked *c, const char **p, const char *end, struct str *data, struct err *e);

#endif
