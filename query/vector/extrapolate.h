/*
 * extrapolate.h - how far a difference reaches beyond the samples it was made of: upstream's extrapolatedRate, of samples
 * and of buckets alike.
 */
#ifndef VECTOR_EXTRAPOLATE_H
#define VECTOR_EXTRAPOLATE_H

#include "base/base.h"

/* The parts of the extrapolation, in seconds. */
struct stretch {
    double interval, to_start, to_end;
};

/* n samples from first to last, in the window from start to end. */
static inline struct stretch stretch_of(int64_t first, int64_t last, uint32_t n, int64_t start, int64_t end)
{
    struct stretch x = {
        .interval = (double)(last - first) / 1000,
        .to_start = (double)(first - start) / 1000,
        .to_end = (double)(end - last) / 1000,
    };
    double between = n > 1 ? x.interval / (n - 1) : 0, threshold = between * 1.1;

    if (x.to_start >= threshold)
        x.to_start = between / 2;
    if (x.to_end >= threshold)
        x.to_end = between / 2;
    return x;
}

static inline double factor_of(struct stretch x, double per_second)
{
    double f = (x.interval + x.to_start + x.to_end) / x.interval;

    return per_second ? f / per_second : f;
}

/* toStart ends where the counter would be zero. */
static inline double to_zero(struct stretch x, double first, double raw)
{
    if (raw > 0 && first >= 0) {
        double zero = x.interval * (first / raw);

        if (zero < x.to_start)
            return zero;
    }
    return x.to_start;
}

#endif
