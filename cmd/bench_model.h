/*
 * bench_model.h - the load of `tripod bench`: a fleet of hosts that look like node_exporter and serve an HTTP API.
 * The same seed gives the same series, values and times on every machine.
 */
#ifndef CMD_BENCH_MODEL_H
#define CMD_BENCH_MODEL_H

#include "base/base.h"

struct bench_series {
    uint64_t rng;
    int64_t state;  /* integer, in the shape's unit */
    double sum;     /* shape SUM only */
    uint32_t rate;
    uint8_t shape;
    uint8_t decimals;
};

enum { BENCH_LABELS_MAX = 8 };

uint32_t bench_model_per_host(void);
/* Labels (sorted, name first by its underscore) into a, and the start state of series i. */
void bench_model_series(uint64_t seed, uint64_t i, struct arena *a, struct labels *out, struct bench_series *s);
/* One scrape on: the value there. */
double bench_model_next(struct bench_series *s);
/* Scrape time of a step: hosts are spread over the interval, one scrape in twenty is a few ms late. */
int64_t bench_model_time(uint64_t seed, uint64_t i, uint32_t step, int64_t start_ms, int64_t interval_ms);

#endif
