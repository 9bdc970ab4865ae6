/* logfmt_scan.h - key=value pairs of a line, one after the other, where they lie. Private to query/logql. */
#ifndef LOGQL_LOGFMT_SCAN_H
#define LOGQL_LOGFMT_SCAN_H

#include "base/base.h"

struct logfmt_scan {
    const char *p, *end, *start;
    struct str key, value; /* value without quotes; still with escapes where `escaped` says so */
    bool escaped;
    const char *fault; /* of the pair last looked at; fault_at counts bytes from 1 */
    char fault_byte;   /* with "unexpected" */
    size_t fault_at;
};

/*
 * 0: a pair (of a bare key the value is empty). >0: the end. <0: no pair: fault says why; what is wrong was skipped, so going on
 * is possible.
 */
int logfmt_next(struct logfmt_scan *x);
/* A quoted value without its escapes; out: v.n bytes. SIZE_MAX: an escape that is none. */
size_t logfmt_unescape(struct str v, char *out);

#endif
