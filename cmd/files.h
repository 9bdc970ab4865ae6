/* files.h - whole folders: copying and emptiness. */
#ifndef CMD_FILES_H
#define CMD_FILES_H

#include "base/base.h"

/* Copies the folder tree `from` to `to` (made; must not exist). Files are synced. print (may be NULL) tells progress per file. */
int copy_tree(const char *from, const char *to, void (*print)(const char *path, uint64_t bytes), struct err *e);
/* True when path does not exist or is an empty folder. */
bool folder_is_free(const char *path);

#endif
