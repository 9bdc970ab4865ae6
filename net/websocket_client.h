/* websocket_client.h - the client's side of a WebSocket (RFC 6455), one thread that waits: for `tripod tail` and tests. */
#ifndef NET_WEBSOCKET_CLIENT_H
#define NET_WEBSOCKET_CLIENT_H

#include "base/base.h"

struct websocket_client;

/* url: http://HOST[:PORT]/PATH?QUERY. ERR_IO: nobody there; ERR_INVALID: an answer that is no agreement, with its status and text. */
int websocket_connect(struct str url, struct websocket_client **out, struct err *e);
void websocket_client_free(struct websocket_client *w); /* says goodbye */
/*
 * Waits for the next message: 0, text valid until the next call. >0: the server has closed, *text is its reason. ERR_IO: the connection
 * broke; ERR_INVALID: against the rules. Pings are answered.
 */
int websocket_next(struct websocket_client *w, struct str *text, struct err *e);

#endif
