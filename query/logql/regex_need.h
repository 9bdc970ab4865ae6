/* regex_need.h - a text that stands in every match of a pattern that is searched for. Private to query/logql. */
#ifndef LOGQL_REGEX_NEED_H
#define LOGQL_REGEX_NEED_H

#include "base/base.h"

/* The longest run of plain bytes outside of groups, from a; empty where none is sure. For patterns that RE2 has accepted. */
struct str lq_regex_need(struct arena *a, struct str pattern);
/* Of a pattern that begins with (?i): a text that stands in every match, its ASCII letters in either case, here small. Else empty. */
struct str lq_regex_fold(struct arena *a, struct str pattern);
/* What has a part that matches, matches: nothing in the pattern asks where text, line or word begin or end. False: not for certain. */
bool lq_regex_within(struct str pattern);

#endif
