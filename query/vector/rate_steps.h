/*
 * rate_steps.h - the inner loops of rate and increase over a series without resets. With AVX2 where the machine has it.
 */
#ifndef VECTOR_RATE_STEPS_H
#define VECTOR_RATE_STEPS_H

#include "query/vector/window.h"

/* Some v[k] is smaller than v[k - 1]. */
bool any_reset(const double *v, uint32_t n);
/*
 * out[i] = (last[hi[i] - 1] - first[lo[i]]) * factor for every window with a factor, which has[i] tells; first and last are the same
 * array, the samples, or columns of buckets. Steps whose counter may have
 * been zero inside the window's reach are listed in near, to be worked out exactly; returns how many there are.
 */
uint32_t rate_steps(const struct windows *w, const double *first, const double *last, double *out, uint8_t *has, uint32_t *near);

#endif
