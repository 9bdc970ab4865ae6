/* scrub.h - the thread that reads every partition again and again, slowly, so that damage is found before it is needed. */
#ifndef STORE_SCRUB_H
#define STORE_SCRUB_H

#include "store/inside.h"

struct scrub;

int scrub_start(struct store *s, struct scrub **out, struct err *e);
void scrub_stop(struct scrub *u);
/* One pass over everything on the caller's thread, at full speed. Returns how many damaged ones it met. */
uint32_t scrub_pass(struct store *s);

#endif
