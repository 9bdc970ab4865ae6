/*
 * fields.h - records that come as a set of fields (JSON objects, journal entries): which of them is the time, the line, a
 * label; all others are structured metadata. Private to collector/logs.
 */
#ifndef COLLECTOR_LOGS_FIELDS_H
#define COLLECTOR_LOGS_FIELDS_H

#include "collector/logs/intake.h"

/* More fields than this, or longer ones, are not taken apart: the record is kept whole, as its line. */
enum { FIELDS_MAX = 100, FIELDS_BYTES_MAX = 48 << 10 };

struct fields {
    struct label *v; /* names joined by '.' */
    uint32_t n, cap;
};
void fields_add(struct arena *a, struct fields *f, struct str name, struct str value);
/* The fields of the object that comes next. Nested objects are laid flat, arrays stay JSON, null is left out. */
int fields_read_json(struct json_in *j, struct fields *out);

struct name_list {
    struct str *v;
    uint32_t n;
};

struct fields_opts {
    struct name_list time, msg; /* the first that is there and not empty */
    struct name_list stream;    /* become labels; said: else those of a list of common names */
    bool stream_said, time_said;
    struct name_list ignore, decolorize;
    struct fields extra; /* go with every record */
    bool debug;          /* look, and store nothing */
    int64_t now_ns;
    struct label *scratch; /* for the labels of one record */
};

struct http_request;
/* Defaults, and what the query or VL-* headers say instead. time and msg: the defaults, comma lists. */
void fields_opts_read(struct http_request *r, const char *time, const char *msg, struct fields_opts *out);
/* One record; raw: its text as it came. ERR_INVALID: it cannot be one (its time is none). ERR_LIMIT as intake_check. */
int fields_put(struct intake *in, const struct fields_opts *o, struct fields *f, struct str raw, struct err *e);
/* "a,b,c" from a. */
struct name_list names_split(struct arena *a, struct str s);

#endif
