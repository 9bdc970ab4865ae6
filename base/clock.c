/* clock.c - see clock.h. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic bool faked;
static _Atomic int64_t fake_mono, fake_wall;

static int64_t now(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_mono_ns(void)
{
    return atomic_load_explicit(&faked, memory_order_acquire) ? fake_mono : now(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
    return atomic_load_explicit(&faked, memory_order_acquire) ? fake_wall : now(CLOCK_REALTIME);
}

int64_t clock_thread_cpu_ns(void)
{
    return now(CLOCK_THREAD_CPUTIME_ID);
}

void clock_fake(int64_t mono_ns, int64_t wall_ns)
{
    fake_mono = mono_ns;
    fake_wall = wall_ns;
    atomic_store_explicit(&faked, true, memory_order_release);
}

void clock_fake_release(void)
{
    atomic_store_explicit(&faked, false, memory_order_release);
}
