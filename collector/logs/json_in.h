/*
 * json_in.h - JSON as it arrives, token by token and without copies: the hot path of everything that comes as JSON.
 *
 * A walk is a loop over json_in_key (of an object) or json_in_item (of an array); each key or item must be followed by one
 * call that takes its value: open, a string, a number, a word, or json_in_skip. Private to collector/logs.
 *
 *     if (json_in_open(j, '{') < 0) return ...;
 *     while ((rc = json_in_key(j, &key)) == 0)
 *         rc = str_eqz(key, "line") ? json_in_string(j, &line) : json_in_skip(j);
 *
 * What is accepted is RFC 8259, and control characters inside of strings as senders happen to write them. Errors are
 * ERR_INVALID and name the byte; ERR_LIMIT never comes: depth is a fault of the sender like any other.
 */
#ifndef COLLECTOR_LOGS_JSON_IN_H
#define COLLECTOR_LOGS_JSON_IN_H

#include "base/base.h"

enum { JSON_DEPTH_MAX = 128 };

enum json_kind { JSON_OBJECT = 1, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_NOTHING };

struct json_in {
    const char *p, *end, *start;
    struct arena *a; /* strings that have escapes land there; others stay where they are */
    struct err *e;
    unsigned depth;
    bool fresh; /* behind an opening bracket: no comma is due */
};

void json_in_init(struct json_in *j, struct arena *a, struct str text, struct err *e);
/* The kind of what comes next, by its first byte; JSON_NOTHING at the end or for what can begin nothing. */
enum json_kind json_in_peek(struct json_in *j);
/* Takes '{' or '['. */
int json_in_open(struct json_in *j, char bracket);
/* The next key: 0; >0 the object is closed; <0. */
int json_in_key(struct json_in *j, struct str *key);
/* The next item: 0 there is one; >0 the array is closed; <0. */
int json_in_item(struct json_in *j);
int json_in_string(struct json_in *j, struct str *out);
/* The text of a number. */
int json_in_number(struct json_in *j, struct str *out);
/* Any value; *raw (may be NULL) is its text as it stands. */
int json_in_skip(struct json_in *j, struct str *raw);
/* 0 when nothing but white space follows. */
int json_in_end(struct json_in *j);
/* Sets the sentence: "byte N: WORDS". */
int json_in_fault(struct json_in *j, const char *words);

/* The first '"' or '\\' in [p, end), or end. */
const char *json_find_quote(const char *p, const char *end);

#endif
