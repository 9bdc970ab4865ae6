/* client.h - what the client commands share: flags, a call to a running Tripod, JSON out of its envelope. */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "base/base.h"
#include "net/net.h"

#include <cjson/cJSON.h>

struct client {
    const char *url;          /* base, without a slash at the end */
    struct http_client *http;
    struct arena arena;
};

void client_init(struct client *c);
void client_release(struct client *c);

/*
 * GET (form NULL) or POST of PATH. 0: *data is the envelope's "data" (borrowed from *doc, which the caller deletes), else
 * the code with a sentence that names the URL. path begins with a slash; its parameters are encoded by the caller.
 */
int client_call(struct client *c, const char *path, const struct buf *form, cJSON **doc, cJSON **data, struct err *e);
/* name=value, encoded, behind what is there. */
void client_param(struct buf *form, const char *name, struct str value);

/* A flag of a client command: matches "--name VALUE" or "--name=VALUE"; moves *i behind the value. */
bool client_flag(int argc, char **argv, int *i, const char *name, const char **value);

#endif
