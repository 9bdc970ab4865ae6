/*
 * series_desc.h - the series notation of .test scripts: name{label="v"} 1 2 _ 3x4 {{schema:1 buckets:[1 2]}}x3
 */
#ifndef SERIES_DESC_H
#define SERIES_DESC_H

#include "base/base.h"

enum sd_hint { SD_HINT_UNKNOWN, SD_HINT_RESET, SD_HINT_NOT_RESET, SD_HINT_GAUGE };

/* A native histogram as written: one run of absolute bucket counts per sign. Index offset is bucket 0 of the run. */
struct sd_histogram {
    int32_t schema;
    double sum, count;
    double zero_count, zero_threshold;
    int32_t pos_offset, neg_offset;
    uint32_t npos, nneg, ncustom;
    double *pos, *neg, *custom;
    enum sd_hint hint;
    bool hint_set; /* the notation named one */
};

struct sd_value {
    bool omitted;                 /* '_' */
    double v;                     /* STALE_NAN_BITS for `stale` */
    const struct sd_histogram *h; /* or NULL: then v. Shared between repetitions: do not change it */
};

struct series_desc {
    struct labels labels; /* normalised */
    struct sd_value *values;
    uint32_t n;
};

/* Everything from a. ERR_INVALID with "LINE:COL: parse error: ..." as upstream words it. */
int series_desc_parse(struct arena *a, struct str line, struct series_desc *out, struct err *e);
/* Only the name and labels at the start; *rest is what follows (with its white space). */
int series_desc_metric(struct arena *a, struct str line, struct labels *out, struct str *rest, struct err *e);

#endif
