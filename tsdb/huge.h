/* huge.h - zeroed memory for big tables: straight from the system, in huge pages where they are to be had. Random
 * access to many megabytes is then bound by the cache, not by page walks. */
#ifndef TSDB_HUGE_H
#define TSDB_HUGE_H

#include "base/base.h"

enum { HUGE_PAGE = 2 << 20 };

/* Never fails. Small sizes come from the heap. Zeroed, and untouched pages cost nothing where huge is false. */
void *huge_new(size_t n, bool huge);
void huge_free(void *p, size_t n);

#endif
