/*
 * json_in.h - JSON as it arrives, token by token where it lies: the one scanner of hot paths. It allocates nothing but the strings
 * that have escapes. (Small documents that are wanted as a whole are cJSON's work.)
 *
 * A walk is a loop over json_in_key (of an object) or json_in_item (of an array); each key or item must be followed by one
 * call that takes its value: open, a string, a number, or json_in_skip.
 *
 *     if (json_in_open(j, '{') < 0) return ...;
 *     while ((rc = json_in_key(j, &key)) == 0)
 *         rc = str_eqz(key, "line") ? json_in_string(j, &line) : json_in_skip(j, NULL);
 *
 * What is accepted is RFC 8259, no more and no less, but for two things that readers in use differ in and the caller says:
 * control characters inside of strings (json_in_init), and half of a pair of surrogates (enum json_half; a walk takes it for U+FFFD,
 * as Go does). Bytes that are no UTF-8 pass as they are. Whoever must follow a laxer reader than this one (Loki's for lines of
 * logs) has the pieces below and keeps its own walk.
 */
#ifndef BASE_JSON_IN_H
#define BASE_JSON_IN_H

#include "base/err.h"
#include "base/mem.h"

enum { JSON_IN_DEPTH_MAX = 512 }; /* what a caller may ask for at most */

enum json_kind { JSON_OBJECT = 1, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_NOTHING };
enum json_control { JSON_CONTROL_FAULT, JSON_CONTROL_FINE }; /* bytes below 0x20 inside of strings */

struct json_in {
    const char *p, *end, *start;
    struct arena *a;    /* strings that have escapes land there; others stay where they are */
    struct err *e;      /* may be NULL */
    unsigned depth, depth_max;
    bool fresh;         /* behind an opening bracket: no comma is due */
    bool control_fine;
};

/* Borrows all. depth_max: how many brackets may be open, at most JSON_IN_DEPTH_MAX (asserted). */
void json_in_init(struct json_in *j, struct arena *a, struct str text, unsigned depth_max, enum json_control control, struct err *e);
/* The kind of what comes next, by its first byte; JSON_NOTHING at the end or for what can begin nothing. */
enum json_kind json_in_peek(struct json_in *j);
/*
 * All below: 0, or ERR_INVALID with "invalid JSON at byte N: WHY". Depth is a fault of the sender like any other. Behind a fault
 * there is nothing to read.
 */
/* Takes '{' or '['. */
int json_in_open(struct json_in *j, char bracket);
/* The next key: 0; >0 the object is closed. */
int json_in_key(struct json_in *j, struct str *key);
/* The next item: 0 there is one; >0 the array is closed. */
int json_in_item(struct json_in *j);
int json_in_string(struct json_in *j, struct str *out);
/* Strings and keys as they stand between their quotes; *escaped: a backslash is in it, and json_unescape must judge what it means. */
int json_in_raw_string(struct json_in *j, struct str *inside, bool *escaped);
int json_in_raw_key(struct json_in *j, struct str *inside, bool *escaped);
/* The text of a number. */
int json_in_number(struct json_in *j, struct str *out);
/* Any value, checked as a whole; *raw (may be NULL) is its text as it stands. */
int json_in_skip(struct json_in *j, struct str *raw);
/* 0 when nothing but white space follows. */
int json_in_end(struct json_in *j);
/* Sets the sentence for what the caller does not like at this place. */
int json_in_fault(struct json_in *j, const char *words);

/* --- pieces -------------------------------------------------------------------------------------------- */

enum json_half { JSON_HALF_FAULT, JSON_HALF_FFFD };

static inline const char *json_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* The place of the closing quote; p is behind the opening one. NULL: there is none. *escaped: a backslash stands before it. */
const char *json_string_end(const char *p, const char *end, bool *escaped);
/* The escape whose backslash is at p: how long it is (a pair of surrogates is one), and what it means. 0: it is none. */
size_t json_escape(const char *p, const char *end, enum json_half half, uint32_t *rune);
/* Writes the inside of a string without its escapes to out (inside.n bytes suffice); returns the length. SIZE_MAX: one is none. */
size_t json_unescape(struct str inside, enum json_half half, char *out);

#endif
