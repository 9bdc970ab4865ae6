/* plain.c - see plain.h. */
#include "query/vector/plain.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Any thread: -1 until somebody asked. */
static _Atomic int state = -1;

bool vector_plain(void)
{
    int now = atomic_load_explicit(&state, memory_order_relaxed);

    if (now < 0) {
        const char *wish = getenv("TRIPOD_PLAIN_QUERIES");

        now = wish && strcmp(wish, "1") == 0;
        atomic_store_explicit(&state, now, memory_order_relaxed);
    }
    return now;
}

void vector_set_plain(bool plain)
{
    atomic_store(&state, plain);
}
