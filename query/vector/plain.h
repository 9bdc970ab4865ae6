/*
 * plain.h - for tests: every question answered the obvious way, to be compared with the fast ones.
 *
 * Plain means: no wide instructions, series one after the other on one thread, a vector after every step of an expression
 * instead of fused chains, nothing kept between series that have the same sample times, all samples where the newest would
 * do, every series asked for its labels instead of the index. TRIPOD_PLAIN_QUERIES=1 in the environment of the process asks for it.
 */
#ifndef VECTOR_PLAIN_H
#define VECTOR_PLAIN_H

#include <stdbool.h>

bool vector_plain(void);
/* Instead of the environment. Not while queries run. */
void vector_set_plain(bool plain);

#endif
