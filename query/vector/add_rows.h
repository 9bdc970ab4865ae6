/*
 * add_rows.h - the inner loops of aggregation: a row of values onto a row of compensated sums. With AVX2 where the
 * machine has it.
 */
#ifndef VECTOR_ADD_ROWS_H
#define VECTOR_ADD_ROWS_H

#include <stdbool.h>
#include <stdint.h>

/* (s[i], c[i]) += v[i] where has[i] is ROW_FLOAT (1). The same bits whichever way it is done. */
void add_rows(double *s, double *c, const double *v, const uint8_t *has, uint32_t n);
/* Some s[i] + v[i] would be infinite where has[i] is ROW_FLOAT. */
bool add_would_overflow(const double *s, const double *v, const uint8_t *has, uint32_t n);
/* count[i]++ where has[i] is not 0. */
void count_rows(uint32_t *count, const uint8_t *has, uint32_t n);

#endif
