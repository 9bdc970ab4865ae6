/* glob.h - private to files/: paths by pattern. `*` and `?` and [...] within a part, {a,b} anywhere, `**` for any number of parts. */
#ifndef COLLECTOR_FILES_GLOB_H
#define COLLECTOR_FILES_GLOB_H

#include "base/base.h"

/* Whether the whole path matches. */
bool glob_matches(struct str pattern, struct str path);
/*
 * Calls fn for each file that matches (whatever it is; links are followed for `**` only by name), and folder for each folder
 * that was looked into. At most `max` files.
 */
void glob_walk(struct str pattern, size_t max, void (*fn)(void *arg, const char *path), void (*folder)(void *arg, const char *path), void *arg);

#endif
