/* upkeep.h - the thread that keeps the house: merges, seals, drops what is old, checks what lies there. Private to store/. */
#ifndef STORE_UPKEEP_H
#define STORE_UPKEEP_H

#include "store/inside.h"

struct upkeep;

int upkeep_start(struct store *s, struct upkeep **out, struct err *e);
void upkeep_stop(struct upkeep *u);

/* One round of everything but scrubbing, on the caller's thread: for tests and for `now_ms` that is not the clock's. */
void upkeep_round(struct store *s, int64_t now_ms);
/* Seals one day now; again: also if it is sealed already. ERR_AGAIN: it was written meanwhile. ERR_NOT_FOUND. */
int upkeep_seal(struct sig *g, int32_t day, bool again, struct err *e);

#endif
