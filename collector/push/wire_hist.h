/* wire_hist.h - native histograms in protobuf: remote write and the exposition have the same fields under other numbers. */
#ifndef COLLECTOR_PUSH_WIRE_HIST_H
#define COLLECTOR_PUSH_WIRE_HIST_H

#include "base/base.h"
#include "base/histogram.h"

struct wire_hist {
    struct histogram h;
    int64_t t, st; /* remote write: ms; 0 when not there */
};

enum wire_hist_kind { WIRE_HIST_REMOTE_WRITE, WIRE_HIST_EXPOSITION };

/*
 * Reads a message; the rest of *out is from a. Finer schemas than we have are made coarser. ERR_INVALID: it can not be
 * read as protobuf. >0: it is read, but no histogram, e says why: spans without buckets, a count that is not the sum.
 */
int wire_hist_read(struct str message, enum wire_hist_kind kind, struct arena *a, struct wire_hist *out, struct err *e);

#endif
