/*
 * json_scan.h - pieces of JSON text, found where they lie: what the stages that read JSON share. Lenient as Loki's reader is: what
 * nobody asks for is skipped by its brackets and quotes alone. Private to query/logql.
 */
#ifndef LOGQL_JSON_SCAN_H
#define LOGQL_JSON_SCAN_H

#include "base/base.h"

/* The place of the closing quote; p is behind the opening one. NULL: there is none. *escaped: a backslash stands in it. */
const char *json_string_end(const char *p, const char *end, bool *escaped);

/* Behind the bracket that closes the one at p ('{' or '['), others of its kind and strings skipped. NULL: it never closes. */
const char *json_block_end(const char *p, const char *end);

/*
 * Writes the inside of a string without its escapes to out (s.n bytes suffice); returns the length. SIZE_MAX: an escape that
 * JSON does not know, or half of a pair of surrogates.
 */
size_t json_unescape(struct str s, char *out);

/* Behind a run of white space. */
static inline const char *json_skip(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Bytes that are no UTF-8, and U+FFFD itself, become blanks; in place, returns the new length. */
size_t lq_blank_invalid(char *p, size_t n);
bool lq_is_ascii(struct str s);
/* Whether lq_blank_invalid would change it. */
bool lq_has_invalid(struct str s);

#endif
