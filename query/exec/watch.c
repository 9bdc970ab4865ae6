/* watch.c - see watch.h. */
#include "query/exec/watch.h"

#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Any thread: -1 until somebody asked, then ns; 0: off. */
static _Atomic int64_t worth_telling_ns = -1;

static __thread struct {
    const char *where; /* NULL: not at work */
    int64_t cpu_ns;
} mine;

static int64_t threshold(void)
{
    int64_t ns = atomic_load_explicit(&worth_telling_ns, memory_order_relaxed);

    if (ns < 0) {
        const char *wish = getenv("TRIPOD_QUERY_GAPS");

        ns = wish ? (int64_t)(atof(wish) * 1e6) : 0;
        ns = MAX(ns, 0);
        atomic_store_explicit(&worth_telling_ns, ns, memory_order_relaxed);
    }
    return ns;
}

static void look_up(const char *where, const char *next, int64_t limit_ns)
{
    int64_t now = clock_thread_cpu_ns();

    if (mine.where && now - mine.cpu_ns >= limit_ns)
        log_warn("query", "%.1f ms of work without a check, from %s to %s", (double)(now - mine.cpu_ns) / 1e6, mine.where, where);
    mine.where = next;
    mine.cpu_ns = now;
}

void watch_begin(const char *where)
{
    int64_t ns = threshold();

    if (!ns)
        return;
    mine.where = NULL;
    look_up(where, where, ns);
}

void watch_check(const char *where)
{
    int64_t ns = threshold();

    if (ns)
        look_up(where, where, ns);
}

void watch_leave(const char *where)
{
    int64_t ns = threshold();

    if (ns)
        look_up(where, NULL, ns);
}
