/*
 * frame.h - frames of RFC 6455 as bytes: reading those of a client, writing the heads of ours. Knows no sockets. Private to net/.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/base.h"

enum frame_op {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10
};

enum { FRAME_HEAD_MAX = 14, CONTROL_MAX = 125 };

/* Zero-initialised, with its limit set, it is at the beginning. */
struct frame_reader {
    uint32_t message_bytes_max; /* of one message, over all of its frames */

    /* The frame that is coming. */
    uint8_t head[FRAME_HEAD_MAX];
    unsigned nhead;
    bool in_payload;
    uint64_t left; /* of its payload */
    unsigned mask_at;
    uint8_t control[CONTROL_MAX];
    unsigned ncontrol;

    /* The message that is coming, over its frames. */
    uint8_t message_op; /* 0: none has begun */
    struct buf message;
    bool message_out; /* handed out: the next call empties it */

    /* What came of it. */
    int close_code; /* FRAME_CLOSE: what it said (1005: nothing); after an error: what to close with */
};
void frame_reader_release(struct frame_reader *f);

/*
 * Goes on at *p. >0: a whole message (FRAME_TEXT, FRAME_BINARY) or control frame, *payload valid until the next call (of
 * FRAME_CLOSE: the reason). 0: more must come. ERR_INVALID, ERR_LIMIT: against the rules; close_code says which, and nothing may be
 * read any more.
 */
int frame_next(struct frame_reader *f, const char **p, const char *end, struct str *payload, struct err *e);

/* The head of an unmasked, final frame. Returns its length. */
size_t frame_put_head(uint8_t out[FRAME_HEAD_MAX], enum frame_op op, uint64_t payload_bytes);

#endif
