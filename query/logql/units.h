/*
 * units.h - durations and sizes as label values, literals and printed queries spell them.
 */
#ifndef LOGQL_UNITS_H
#define LOGQL_UNITS_H

#include "base/base.h"

/* Go's: "1h30m", "1.5s", "-10us", "0"; no days. ERR_INVALID in Go's words. */
int lq_duration_parse(struct str s, int64_t *ns, struct err *e);
/* Go's "1h0m0s", "250ms", "1.5µs", "0s". Returns the length; out holds 40 bytes. */
size_t lq_duration_fmt(int64_t ns, char *out);
/* "10KB", "1.5 MiB", "3k", "2,048": units of 1000 and (with i) of 1024, any case. ERR_INVALID in humanize's words. */
int lq_bytes_parse(struct str s, uint64_t *bytes, struct err *e);
/* "42kB" where that reads back as the same number, else plain bytes: "43008B". */
size_t lq_bytes_fmt(uint64_t bytes, char *out);

/* strconv.ParseFloat: also hexadecimal with an exponent. False: not a number, or out of range. */
bool lq_float_parse(struct str s, double *v);

#endif
