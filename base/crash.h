/*
 * crash.h - places where dying would hurt most. A test sets TRIPOD_CRASH_AT=N and the process dies (SIGKILL to itself)
 * at the N-th crash_point() it reaches, or TRIPOD_CRASH_AT=NAME[:N] at the N-th visit of that one. Costs a load and a
 * branch when unset.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include <stdbool.h>

extern bool crash_armed;
void crash_visit(const char *name);
/* Reads TRIPOD_CRASH_AT; call once from main. */
void crash_setup(void);
/* Points visited so far, for a test that asks how many there are (counts only when armed, TRIPOD_CRASH_AT=0 arms without dying). */
unsigned crash_visits(void);

#define crash_point(name)                                                                                              \
    do {                                                                                                               \
        if (__builtin_expect(crash_armed, 0))                                                                          \
            crash_visit(name);                                                                                         \
    } while (0)

#endif
