/*
 * json_scan.h - private to files/: JSON taken apart where it lies. Nothing is copied but texts with escapes, nothing is built;
 * what is nested deeper than JSON_DEPTH_MAX is no JSON to us.
 */
#ifndef COLLECTOR_FILES_JSON_SCAN_H
#define COLLECTOR_FILES_JSON_SCAN_H

#include "base/base.h"

enum { JSON_DEPTH_MAX = 512 };
enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_value {
    enum json_kind kind;
    struct str text; /* as written, quotes and brackets included; borrowed */
};

/* Reads the value that begins s (after blanks) and moves s behind it and the blanks after. false: that is no JSON. */
bool json_value_next(struct str *s, struct json_value *out);
/* All of s is one value. */
bool json_value_all(struct str s, struct json_value *out);

/* The members of an object or the items of an array that json_value_* gave out. */
struct json_iter {
    struct str rest;
    bool object;
};
void json_iter_init(struct json_iter *it, const struct json_value *v);
/* False at the end. key: as written, with quotes (empty for items of an array). */
bool json_iter_next(struct json_iter *it, struct str *key, struct json_value *v);

/* What stands between the quotes; a copy in a only where there are escapes. Unpaired surrogates become U+FFFD. */
struct str json_unquote(struct arena *a, struct str quoted);
/* A scalar as text (a string without quotes, numbers as written), the rest as it is written. */
struct str json_value_text(struct arena *a, const struct json_value *v);

/* A path of names and indexes: what Promtail's users write of JMESPath: a.b, a[0], a[-1], "a b".c */
struct json_path;
int json_path_read(struct arena *a, struct str text, struct json_path **out, struct err *e);
/* False where the path leads nowhere. */
bool json_path_find(const struct json_path *p, const struct json_value *root, struct json_value *out);

#endif
