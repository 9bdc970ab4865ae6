/* prop.h - small tools for property tests: cmocka's headers and a random source whose seed is printed. */
#ifndef TESTS_BASE_PROP_H
#define TESTS_BASE_PROP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rng {
    uint64_t s;
};

/* TEST_SEED in the environment repeats a run. */
static inline struct rng rng_new(const char *what)
{
    const char *env = getenv("TEST_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL) * 0x9E3779B97F4A7C15u;

    printf("%s: TEST_SEED=%llu\n", what, (unsigned long long)seed);
    return (struct rng){seed};
}

static inline uint64_t rng_next(struct rng *r) /* splitmix64 */
{
    uint64_t z = r->s += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)(rng_next(r) >> 32) % n;
}

#endif
