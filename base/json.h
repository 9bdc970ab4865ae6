/*
 * json.h - JSON as it is written: straight into a buffer, commas by themselves. Reading is json_in.h's.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/* Quoted and escaped; bytes that are not UTF-8 become U+FFFD. < > & and U+2028/9 are escaped as Go does. */
void json_put_string(struct buf *out, struct str s);

/* A writer that knows where commas go. Depth at most 64 (asserted). */
struct json {
    struct buf *out;
    uint64_t has_item; /* bit per depth */
    unsigned depth;
    bool after_key;
};

void json_init(struct json *j, struct buf *out);
void json_obj(struct json *j); /* { */
void json_end_obj(struct json *j);
void json_arr(struct json *j); /* [ */
void json_end_arr(struct json *j);
void json_key(struct json *j, const char *key);
void json_key_str(struct json *j, struct str key);
void json_str(struct json *j, struct str s);
void json_strz(struct json *j, const char *z);
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_f64(struct json *j, double v);   /* a number; NaN and Inf become null */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_raw(struct json *j, struct str text); /* already JSON */

#endif
