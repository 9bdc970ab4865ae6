/*
 * json_scan.h - JSON as Loki's reader takes it, which is laxer than base/json_in.h: what nobody asks for is skipped by its brackets and
 * quotes alone, faults count only where they are met, a value ends where another could begin. So the stages keep walks of their
 * own over the pieces of json_in.h, and this is what they need besides; half of a pair of surrogates is a fault to them. Private to
 * query/logql.
 */
#ifndef LOGQL_JSON_SCAN_H
#define LOGQL_JSON_SCAN_H

#include "base/base.h"
#include "base/json_in.h"

/* Behind the bracket that closes the one at p ('{' or '['), others of its kind and strings skipped. NULL: it never closes. */
const char *json_block_end(const char *p, const char *end);

/* Bytes that are no UTF-8, and U+FFFD itself, become blanks; in place, returns the new length. */
size_t lq_blank_invalid(char *p, size_t n);
bool lq_is_ascii(struct str s);
/* Whether lq_blank_invalid would change it. */
bool lq_has_invalid(struct str s);

#endif
