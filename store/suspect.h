/*
 * suspect.h - what is done about a file that is not trusted: noted, checked in a child, put aside. Private to store/.
 *
 *      in use ──SIGBUS, LMDB assertion (damage.h), suspect_note──▶ suspect: a line in data/suspect
 *      any    ──pages do not hang together (suspect_check)───────▶ suspect
 *      suspect ──a child reads all of it (suspect_check)──▶ in use, the failure remembered
 *                                                       └──▶ data/quarantine (it failed, or failed once before)
 */
#ifndef STORE_SUSPECT_H
#define STORE_SUSPECT_H

#include "store/damage.h"
#include "store/inside.h"

/* Reads data/suspect and the quarantine folder; remembers who is suspect. For store_open. */
int suspect_load(struct store *s, struct err *e);
void suspect_release(struct store *s);
/* May the file be opened? Cheap unless it is suspect. ERR_CORRUPT: no. */
int suspect_check(struct store *s, const char *path, struct err *e);
/* Remembers for the next start that the file was found damaged. Any thread. */
void suspect_note(struct store *s, const char *path, const char *why);
/* Reads all of a file that nobody writes, in this process, without mapping it. ERR_CORRUPT. */
int suspect_verify(const char *path, struct err *e);
/* Moves the file to data/quarantine, warns. */
int suspect_quarantine(struct store *s, const char *path, const struct err *why);

#endif
