/* request.h - a push under way: from the handler to the answer. Private to push/. */
#ifndef COLLECTOR_PUSH_REQUEST_H
#define COLLECTOR_PUSH_REQUEST_H

#include "collector/push/push.h"
#include "collector/push/remote_write.h"
#include "net/server.h"

enum push_kind { PUSH_RW1, PUSH_RW2, PUSH_TEXT };

/* In the request's arena, until the answer. */
struct push_request {
    struct http_request *r;
    struct push_ctx *ctx;
    enum push_kind kind;
    struct rw_message m;
    size_t wire_bytes;
};

struct push_request *push_request_new(struct http_request *r, struct push_ctx *ctx, enum push_kind kind);
/* Gives the batch to the tsdb; the answer follows, now or once it is on disk. */
void push_ingest(struct push_request *p);
/* Refuses before anything was stored. */
void push_refuse(struct push_request *p, int status, const char *text);

/* --- text.c --- */
void push_text(struct http_request *r, void *ctx);

#endif
