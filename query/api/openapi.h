/*
 * openapi.h - calls as machines read them: a table of operations, written as an OpenAPI document. Private to api/.
 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "base/base.h"

enum openapi_kind { TEXT, TEXTS, TIME, DURATION, COUNT, FLAG };

struct openapi_parameter {
    const char *name;
    enum openapi_kind kind;
    bool required;
    const char *about;
};

enum openapi_answer { JSON, LINES, PROTOBUF, NOTHING, EVENTS, YAML, PLAIN, SOCKET };

struct openapi_operation {
    const char *path; /* under the document's server */
    unsigned methods;
    const char *tag, *about;
    enum openapi_answer answer;
    struct openapi_parameter parameters[16];
};

struct openapi_document {
    const char *about, *server;
    const struct openapi_operation *operations;
    size_t n;
    bool plain_errors; /* sentences in plain text, else {"status":"error",...} */
};
/* newer: 3.2, which has words for streams of events. */
void api_put_openapi(struct buf *b, const struct openapi_document *d, const char *version, bool newer);

#endif
