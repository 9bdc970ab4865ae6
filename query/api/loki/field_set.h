/*
 * field_set.h - what fields a sample of records has: names, types, how many values, which parser finds them. Private to loki/.
 */
#ifndef LOKI_FIELD_SET_H
#define LOKI_FIELD_SET_H

#include "query/api/loki/inside.h"

enum field_type { FIELD_INT, FIELD_FLOAT, FIELD_BOOLEAN, FIELD_DURATION, FIELD_BYTES, FIELD_STRING };
enum { FIELD_JSON = 1, FIELD_LOGFMT = 2 };

struct field {
    struct str name;
    enum field_type type; /* the narrowest that all values fit */
    unsigned parsers;     /* 0: structured metadata */
    struct map values;
    const struct str *path; /* JSON: the keys that lead there, as written */
    uint32_t npath;
};

struct field_set {
    struct arena *a;
    struct logql_tree json, logfmt; /* what takes lines apart */
    struct pipeline *json_line, *logfmt_line;
    struct runner *json_run, *logfmt_run;
    struct map by_name;
    uint32_t fields_max, left_out; /* more fields than fields_max are not kept */
    struct str only;               /* a name: no other field is */
};
/* Everything kept is copied into a. ERR_*: what is compiled could not be. */
int field_set_init(struct field_set *fs, struct arena *a, uint32_t fields_max, struct err *e);
void field_set_release(struct field_set *fs);
/* A record (categorised): its metadata, what its query has parsed, and what parsers find in its line. */
void field_set_add(struct field_set *fs, const struct labels *stream, const struct logql_entry *en);
/* Sorted by name; from fs->a. */
uint32_t field_set_list(struct field_set *fs, struct field ***out);
const char *field_type_name(enum field_type t);

#endif
