/*
 * expo_read.h - private to the exposition readers: character classes, quoted strings, numbers, and the state they
 * share.
 *
 * All scanners take [p, end) and return the place behind what they read, or NULL. Nothing is written to the body.
 */
#ifndef COLLECTOR_SCRAPE_EXPO_READ_H
#define COLLECTOR_SCRAPE_EXPO_READ_H

#include "collector/scrape/expo.h"
#include "tsdb/tsdb.h"

enum { C_NAME0 = 1, C_NAME = 2, C_LABEL0 = 4, C_LABEL = 8, C_DIGIT = 16, C_BLANK = 32 };
extern const uint8_t expo_class[256];

static inline bool is_class(char c, unsigned mask)
{
    return expo_class[(uint8_t)c] & mask;
}

/* A start time found in a _created line: under the hash of the labels it shares with its siblings. */
struct created {
    uint64_t hash;
    int64_t st;
};

struct created_table {
    struct created *v;
    uint32_t n, cap;
};

/*
 * One label of a list, or the metric name when it stands inside the braces (name.p NULL). Offsets of raw text: quotes
 * taken off, escapes still there.
 */
struct raw_label {
    struct str name, value;
};

struct raw_labels {
    struct str metric; /* p NULL: none yet */
    struct raw_label *v;
    uint32_t n, cap;
    struct arena *a; /* NULL: do not collect, only check */
};

struct proto_reader;

struct expo {
    struct arena *a;
    enum expo_format format;
    struct expo_opts opts;
    const char *body, *at, *end;
    const char *bad; /* where the last error is */
    uint64_t nseries;

    /* The TYPE in force, and its family (OpenMetrics looks there for _created). */
    uint8_t type;
    struct str family;
    struct created_table created;
    struct raw_labels scratch; /* memory for the lists of one line */

    struct expo_exemplar exemplar;
    struct proto_reader *proto;
};

/* Sets x->bad to where, and the sentence "line L, column C: WHAT, got "..."". */
int expo_fail(struct expo *x, const char *where, struct err *e, const char *what);

/* The braces of a series. p is behind '{'; returns the place behind '}'. strict: the rules of OpenMetrics. */
const char *expo_scan_labels(struct expo *x, const char *p, const char *end, bool strict, bool exemplar,
                             struct raw_labels *out, struct err *e);
/* p behind the opening quote; returns the place of the closing one, or NULL. *high: bytes above 0x7f were met. */
const char *expo_scan_quoted(const char *p, const char *end, bool newline_ok, bool *high);
/* The number of bytes [p, end), as Prometheus reads it; NaN becomes the normal one. NULL is success, else what is
 * wrong. */
const char *expo_number(const char *p, const char *end, double *v);
/* Undoes \\ \n \" (quote: the last too); borrowed when there is nothing to undo. */
struct str expo_unescape(struct arena *a, struct str s, bool quote);
/* le and quantile as Prometheus stores them; s itself when it is no number. */
struct str expo_canonical_number(struct arena *a, struct str s);
/* The family name of a descriptor, bare or quoted. */
const char *expo_scan_family(struct expo *x, const char *p, struct str *name);
bool expo_text_type(struct str s, bool strict, uint8_t *type);

int expo_text_next(struct expo *x, struct expo_entry *out, struct err *e);
int expo_om_next(struct expo *x, struct expo_entry *out, struct err *e);
/* Labels in the form of a line of text 1.0.0, without a value: name{...}. */
void expo_put_series(struct buf *out, const struct labels *ls);
struct proto_reader *expo_proto_new(struct arena *a);
int expo_proto_next(struct expo *x, struct expo_entry *out, struct err *e);

#endif
