/* crash.c - see crash.h. Visits are counted across threads; exactly one visit is the N-th. */
#include "base/crash.h"

#include "base/str.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool crash_armed;

static char only[64];   /* the point we wait for; empty: any. Set before crash_armed, then only read. */
static uint64_t die_at; /* 0: never */
static _Atomic unsigned visits;
static _Atomic uint64_t matching;

void crash_visit(const char *name)
{
    atomic_fetch_add(&visits, 1);
    if (only[0] && strcmp(only, name) != 0)
        return;
    if (atomic_fetch_add(&matching, 1) + 1 != die_at)
        return;
    kill(getpid(), SIGKILL);
    for (;;) /* the signal is on its way: nothing more may happen on this thread */
        pause();
}

void crash_setup(void)
{
    const char *env = getenv("TRIPOD_CRASH_AT");
    struct str rest = str_of(env), name;

    if (!env || !*env)
        return;
    only[0] = '\0';
    if (!str_to_u64(rest, &die_at)) {
        bool numbered = str_cut(&rest, ':', &name);

        die_at = 1;
        if (name.n == 0 || name.n >= sizeof only || (numbered && !str_to_u64(rest, &die_at))) {
            fprintf(stderr, "TRIPOD_CRASH_AT=%s: want N, NAME or NAME:N\n", env);
            exit(2);
        }
        memcpy(only, name.p, name.n);
        only[name.n] = '\0';
    }
    visits = 0;
    matching = 0;
    crash_armed = true;
}

unsigned crash_visits(void)
{
    return visits;
}
