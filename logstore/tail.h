/* tail.h - who follows what is committed; the rest is in logstore.h. Private to logstore/. */
#ifndef LOGSTORE_TAIL_H
#define LOGSTORE_TAIL_H

#include "logstore/head.h"
#include "logstore/logstore.h"

struct log_tails;
struct log_tails *log_tails_new(_Atomic uint64_t *dropped); /* counts for all tails together */
void log_tails_free(struct log_tails *t);
uint32_t log_tails_n(struct log_tails *t);
/* Are there any? Cheap. */
bool log_tails_any(const struct log_tails *t);
/* Gives the rows of a piece to those who want them, before it is applied: dead ones are left out. Journal thread. */
void log_tails_feed(struct log_tails *t, const struct log_head_row *rows, uint32_t n);

#endif
