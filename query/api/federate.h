/* federate.h - private to api/: what the two files of /federate share. */
#ifndef QUERY_API_FEDERATE_H
#define QUERY_API_FEDERATE_H

#include "base/base.h"
#include "base/histogram.h"

enum federate_format { FEDERATE_TEXT, FEDERATE_OPENMETRICS, FEDERATE_PROTOBUF };

struct federate_row {
    struct labels labels;
    int64_t t;
    double v;
    const struct histogram *h; /* instead of v, or NULL. Only gathered for protobuf: the texts have no words for it */
};

/* The best of ours by an Accept header. */
enum federate_format federate_format_of(struct str accept);
/* The label set as it goes out: ours added, and an empty instance where there is none. From a. */
struct labels federate_labels(const struct federate_row *row, const struct labels *external, struct arena *a);
/* The rows from the first on that share its name and type, as one delimited MetricFamily. Returns how many they are. */
uint32_t federate_put_family(struct buf *b, const struct federate_row *rows, uint32_t n, const struct labels *external);

#endif
