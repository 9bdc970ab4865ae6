/* plain_find.h - where a text stands in another one, looked for 16 bytes at a time. Private to logstore. */
#ifndef LOGSTORE_PLAIN_FIND_H
#define LOGSTORE_PLAIN_FIND_H

#include "base/base.h"

/* The first place of needle in s, or NULL. The empty needle is everywhere (s.p is not NULL then). */
const char *find_bytes(struct str s, struct str needle);
/* Whether s contains the needle, whose letters are small, with ASCII letters of either case. */
bool find_fold(struct str s, struct str needle);

#endif
