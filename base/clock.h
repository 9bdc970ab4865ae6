/*
 * clock.h - two clocks. Schedules and deadlines use the monotonic one, data the wall clock; a test may set both.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_mono_ns(void);
static inline int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}
int64_t clock_wall_ns(void); /* since the Unix epoch */
static inline int64_t clock_wall_ms(void)
{
    return clock_wall_ns() / 1000000;
}
/* CPU time of the calling thread; never faked. */
int64_t clock_thread_cpu_ns(void);

/* Tests: both clocks stand at the given instants until released. Any thread. */
void clock_fake(int64_t mono_ns, int64_t wall_ns);
void clock_fake_release(void);

#endif
