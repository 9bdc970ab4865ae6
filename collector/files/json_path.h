/*
 * json_path.h - private to files/: values in JSON lines by their paths. As in Go's encoding/json, control characters inside of
 * strings are a fault; what is nested deeper than 512 is no JSON to us.
 */
#ifndef COLLECTOR_FILES_JSON_PATH_H
#define COLLECTOR_FILES_JSON_PATH_H

#include "base/base.h"
#include "base/json_in.h"

static inline void files_json_init(struct json_in *j, struct arena *a, struct str text)
{
    json_in_init(j, a, text, 512, JSON_CONTROL_FAULT, NULL);
}

struct json_value {
    enum json_kind kind;
    struct str text; /* as written, quotes and brackets included; borrowed */
};

/* All of s is one value. */
bool json_value_all(struct str s, struct json_value *out);
/* A scalar as text (a string without quotes and escapes, numbers as written), the rest as it is written. */
struct str json_value_text(struct arena *a, const struct json_value *v);

/* The members of an object or the items of an array that json_value_all, or an iterator, gave out. */
struct json_iter {
    struct json_in j;
    bool object;
};
void json_iter_init(struct json_iter *it, struct arena *a, const struct json_value *v);
/* False at the end. key: of a member; not set for items of an array. */
bool json_iter_next(struct json_iter *it, struct str *key, struct json_value *v);

/* A path of names and indexes: what Promtail's users write of JMESPath: a.b, a[0], a[-1], "a b".c */
struct json_path;
int json_path_read(struct arena *a, struct str text, struct json_path **out, struct err *e);
/* False where the path leads nowhere. Keys with escapes are read into a. */
bool json_path_find(struct arena *a, const struct json_path *p, const struct json_value *root, struct json_value *out);

#endif
