/*
 * damage.h - a file that the process dies of is named before it goes. Private to store/.
 *
 * Here is the part that runs while the process is dying; what follows at the next start is in suspect.h.
 */
#ifndef STORE_DAMAGE_H
#define STORE_DAMAGE_H

#include "base/base.h"

/* Opens DIR/suspect for the handlers and installs them. One store per process gets them; a second open is fine. */
int damage_setup(const char *dir, struct err *e);
/* The handlers forget the directory. */
void damage_release(void);

/* Addresses [p, p+n) are a map of the file at path: for the SIGBUS handler. A slot, or -1 when the table is full. */
int damage_range_add(const void *p, size_t n, const char *path);
void damage_range_del(int slot);

/* Writes PATH, tab, text to DIR/suspect. Async-signal-safe. */
void damage_append(const char *path, const char *text);
/* The process is about to die of this file: says so there and on stderr. Async-signal-safe. why may be NULL. */
void damage_blame(const char *path, const char *why);

#endif
