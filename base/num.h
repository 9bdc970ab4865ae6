/*
 * num.h - numbers as Go prints and reads them, and durations as Prometheus does.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include "base/buf.h"
#include "base/err.h"

enum { NUM_MAX = 400 }; /* enough for any of the texts below, NUL included ('f' of a denormal is long) */

/* All return the length written to out (at least NUM_MAX bytes) and do not terminate. Shortest digits that read back. */
size_t num_fmt_g(double v, char *out);      /* strconv 'g' -1: 1e+06, 1.5, NaN, +Inf, -Inf, 0.0001, 1e-05, 1e+21 */
size_t num_fmt_f(double v, char *out);      /* strconv 'f' -1: never an exponent */
size_t num_fmt_e(double v, char *out);      /* strconv 'e' -1: 1e+00 */
/* Prometheus' JSON sample value: 'f', but exponent form below 1e-6 or from 1e21; +Inf -Inf NaN. Without quotes. */
size_t num_fmt_sample(double v, char *out);
/* `le` and `quantile` on scrape: 'g' and ".0" where neither '.' nor 'e' stands in it; +Inf, NaN. */
size_t num_fmt_label(double v, char *out);
/* Milliseconds as seconds with up to three decimals: 1700000000.123, 5, -0.5 */
size_t num_fmt_ms(int64_t ms, char *out);
size_t num_fmt_i64(int64_t v, char *out);
size_t num_fmt_u64(uint64_t v, char *out);

/* strconv.ParseFloat without hex and '_' : false if not all of s is a number. Range error: *range set, v = ±Inf. */
bool num_parse(struct str s, double *v, bool *range);

/* The two NaNs. */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)
static inline uint64_t f64_bits(double v)
{
    uint64_t b;
    memcpy(&b, &v, 8);
    return b;
}
static inline double f64_from_bits(uint64_t b)
{
    double v;
    memcpy(&v, &b, 8);
    return v;
}
static inline bool is_stale(double v)
{
    return f64_bits(v) == STALE_NAN_BITS;
}

/* "1h30m", "5m", "0": integers with units y w d h m s ms, each once, long to short. ERR_INVALID names the text. */
int duration_parse(struct str s, int64_t *ms, struct err *e);
/* As Prometheus prints it: 1h30m, 5m, 0s. */
size_t duration_fmt(int64_t ms, char *out);
/* "512MB", "10KiB", "100": powers of 1024 as in Prometheus' config. */
int size_parse(struct str s, uint64_t *bytes, struct err *e);
/* Seconds as float, or RFC 3339 with optional fraction and zone. */
int time_parse(struct str s, int64_t *ms, struct err *e);
/* RFC 3339 with milliseconds, Z. Returns the length. */
size_t time_fmt_rfc3339(int64_t ms, char *out);

#endif
