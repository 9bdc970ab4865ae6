/* random.h - random numbers of the query tests; the seed is printed, TEST_SEED=N repeats one. */
#ifndef QUERY_TEST_RANDOM_H
#define QUERY_TEST_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t rng;

static inline void rng_start(void)
{
    const char *s = getenv("TEST_SEED");

    rng = s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL) * 2654435761u;
    printf("seed %llu\n", (unsigned long long)rng);
    rng = rng * 2 + 1;
}

static inline uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static inline double draw_unit(void)
{
    return (double)draw(1 << 30) / (1 << 30);
}

/* Ordinary numbers, now and then a hard one. */
static inline double draw_value(void)
{
    switch (draw(24)) {
    case 0:
        return NAN;
    case 1:
        return draw(2) ? INFINITY : -INFINITY;
    case 2:
        return 0;
    case 3:
        return 1e100 * (draw_unit() - 0.5);
    case 4:
        return -1e-300;
    case 5:
        return 1.7e308 * (draw(2) ? 1 : -1);
    default:
        return (double)draw(1000) / 8 - 20;
    }
}

#endif
