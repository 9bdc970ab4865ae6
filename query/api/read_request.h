/* read_request.h - a remote read request taken apart: prometheus.ReadRequest. */
#ifndef API_READ_REQUEST_H
#define API_READ_REQUEST_H

#include "base/base.h"

struct read_query {
    int64_t mint, maxt; /* closed */
    struct matcher *m;
    uint32_t nm;
    bool labels_only; /* its hints say that no samples are looked at */
};

struct read_request {
    struct read_query *q;
    uint32_t n;
    bool chunks; /* the first answer the client accepts that we know is the streamed one */
};

/*
 * Everything from a; strings are borrowed from bytes. A matcher on an external label with its very value asks for series
 * without it: what is stored does not carry them. ERR_INVALID says what is wrong. Release also after a failure.
 */
int read_request_read(struct read_request *out, struct arena *a, struct str bytes, const struct labels *external,
                      struct err *e);
void read_request_release(struct read_request *r);

#endif
