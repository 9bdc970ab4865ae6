/*
 * num_pow10.h - 10^k for k in [-342, 324] as a 128-bit significand g, 2^127 <= g < 2^128, rounded up where it is not
 * exact (it is for 0 <= k <= 55): 10^k ~ g * 2^(pow10_log2(k) - 127). Private to num*.c.
 */
#ifndef BASE_NUM_POW10_H
#define BASE_NUM_POW10_H

#include <stdint.h>

enum { POW10_MIN = -342, POW10_MAX = 324, POW10_EXACT_MAX = 55 };

struct pow10 {
    uint64_t hi, lo;
};

extern const struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

/* floor(log2(10^k)), for |k| <= 1233. */
static inline int pow10_log2(int k)
{
    return (int)(((int64_t)k * 1741647) >> 19);
}

#endif
