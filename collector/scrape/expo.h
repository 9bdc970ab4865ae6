/*
 * expo.h - the exposition formats, read without copying. One entry at a time, in the order of the body.
 */
#ifndef COLLECTOR_EXPO_H
#define COLLECTOR_EXPO_H

#include "base/base.h"

enum expo_format { EXPO_TEXT /* 0.0.4 and 1.0.0 */, EXPO_OPENMETRICS, EXPO_PROTOBUF };
enum expo_kind { EXPO_HELP, EXPO_TYPE, EXPO_UNIT, EXPO_COMMENT, EXPO_SERIES, EXPO_END };

struct expo_exemplar {
    struct labels labels;
    double v;
    int64_t t;
    bool has_t;
};

struct expo_entry {
    enum expo_kind kind;
    struct str family; /* HELP, TYPE, UNIT */
    struct str text;   /* HELP: unescaped; UNIT; COMMENT */
    uint8_t type;      /* TYPE: enum metric_type */
    /* SERIES */
    struct str series; /* the metric text as written (name and label braces): the raw key of the series in this body */
    bool normalise_le, normalise_quantile; /* by the TYPE in force */
    double v;
    int64_t t; /* ms */
    bool has_t;
    int64_t st; /* start timestamp ms, 0 none */
    const struct expo_exemplar *exemplars;
    uint32_t nexemplars;
    /* Native histograms (protobuf): the message bytes, borrowed from the body; empty else. gauge: its type said so. */
    struct str histogram;
    bool gauge;
    bool classic_too; /* a part of a histogram that came right before as a native one */
};

struct expo_opts {
    bool start_timestamps; /* swallow _created, fill st */
    uint64_t series_max;   /* 0 none */
};

struct expo;
/* body is borrowed and must outlive. Scratch from a. */
struct expo *expo_new(struct arena *a, enum expo_format f, struct str body, const struct expo_opts *o);
/* 0 with *out (borrowed until the next call); EXPO_END at the end; ERR_INVALID names line and column. */
int expo_next(struct expo *x, struct expo_entry *out, struct err *e);
/* Labels of a SERIES entry: name included, le/quantile normalised, empty values gone, sorted. From a. ERR_INVALID:
 * repeated name, none. */
int expo_labels(struct expo *x, const struct expo_entry *en, struct arena *a, struct labels *out, struct err *e);
/* The same as written: unsorted, with empty values (an empty label counts as present where honor_labels decides). */
int expo_labels_raw(struct expo *x, const struct expo_entry *en, struct arena *a, struct labels *out, struct err *e);
/* By media type; false if it is none of ours. */
bool expo_format_of(struct str content_type, enum expo_format *out);

#endif
