/*
 * range.h - functions over windows: one series' samples in, one row out.
 *
 * run sees all steps at once and floats only; one sees a single window that holds histograms too, as series with any
 * histogram are evaluated. Both leave remarks as bits, which the language turns into its warnings.
 */
#ifndef VECTOR_RANGE_H
#define VECTOR_RANGE_H

#include "query/vector/row.h"
#include "query/vector/window.h"

enum range_note {
    NOTE_MIXED = 1,              /* floats and histograms where only one kind may be: no value */
    NOTE_IGNORED_HISTOGRAMS = 2, /* histograms left out beside floats */
    NOTE_NOT_COUNTER = 4,        /* a gauge histogram */
    NOTE_NOT_GAUGE = 8,
    NOTE_START_OVERLAP = 16, /* a start time before the previous sample */
    NOTE_RESET_CONFLICT_AGG = 32,
    NOTE_RESET_CONFLICT_SUB = 64,
    NOTE_BOUNDS_AGG = 128,    /* custom bounds were reconciled: in a sum, ... */
    NOTE_BOUNDS_SUB = 256,    /* ... in a difference */
    NOTE_MIXED_SCHEMAS = 512, /* exponential and custom buckets: no value */
    NOTE_BAD_QUANTILE = 1024,
    NOTE_BAD_FACTOR = 2048, /* smoothing factor outside (0, 1): the query fails; bad holds it */
    NOTE_BAD_TREND = 4096,
    NOTE_POINTS = 8192, /* floats were among the results: what "might not be a counter" asks */
    NOTE_GAUGE_EDGES = 16384, /* of gauges in a row only the first and the last were there to tell of falls */
};

/* Scratch memory of one thread, kept between series. Zero-initialised is empty. */
struct range_scratch {
    double *v;
    size_t nv;
    uint32_t *idx;
    size_t nidx;
};
void range_scratch_release(struct range_scratch *s);

struct range_call {
    /* Set once for all series. */
    const struct steps *steps;
    const double *param[2]; /* scalar arguments, one per step */
    bool use_st;            /* start timestamps tell resets */
    int64_t lookback;       /* of anchored and smoothed */
    bool anchored, smoothed;
    struct range_scratch *scratch;
    struct pile *pile; /* for histograms that are made; NULL: none can come */
    bool (*must_stop)(void *arg); /* asked now and then by what looks at every sample of every window; may be NULL */
    void *must_stop_arg;

    /* Set per series. */
    struct samples s;
    struct windows *w;

    /* Out. h may be NULL when s.h is. */
    double *v;
    uint8_t *has;
    const struct histogram **h;
    unsigned notes;
    double bad; /* the factor of NOTE_BAD_* */
    uint32_t work;
    bool stopped; /* must_stop said so: what stands in v and h is nothing */
};

/* To be called before n samples of a window are looked at. True: leave it. */
static inline bool range_stop(struct range_call *c, uint32_t n)
{
    c->work += MIN(n, (uint32_t)1 << 30);
    if (__builtin_expect(c->work >= 1 << 14, 0)) {
        c->work = 0;
        if (c->must_stop && c->must_stop(c->must_stop_arg))
            c->stopped = true;
    }
    return c->stopped;
}

struct range_function;
/* Fills has for every step; returns how many steps got a value. */
typedef uint32_t range_run(struct range_call *c);
/* Window i, samples lo..hi-1 with at least one histogram or float; sets v or h and returns ROW_FLOAT, ROW_HIST or
 * ROW_NONE. */
typedef int range_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi);

enum {
    RANGE_KEEPS_NAME = 1,
    RANGE_EXTRAPOLATES = 2, /* wants windows.factor */
    RANGE_COUNTER = 4,
    RANGE_PER_SECOND = 8,
    RANGE_ANCHORED = 16, /* may stand on an anchored range */
    RANGE_SMOOTHED = 32,
    RANGE_PRESENCE = 64, /* not a value of the series: only tells where there is one */
};

struct range_function {
    const char *name;
    range_run *run;
    range_one *one;
    unsigned flags;
};
const struct range_function *range_function_find(struct str name);
/* Evaluates fn over one series: picks run, one or the extended form. */
uint32_t range_eval(const struct range_function *fn, struct range_call *c);

/* --- between the files of this room -------------------------------------------------------------------------- */

double *range_scratch_v(struct range_scratch *s, size_t n);
uint32_t *range_scratch_idx(struct range_scratch *s, size_t n);

/* rate.c: what depends on times alone, into w->factor and w->reach. */
void rate_prepare(struct windows *w, const struct steps *st, const int64_t *t, bool per_second, bool counter);
range_run rate_run, increase_run, delta_run, irate_run, idelta_run;
/* over_time.c */
range_run count_run, sum_run, avg_run, min_run, max_run, last_run, first_run, present_run, stddev_run, stdvar_run,
    quantile_run, mad_run, changes_run, resets_run, ts_of_first_run, ts_of_last_run, ts_of_min_run, ts_of_max_run;
/* regress.c */
range_run deriv_run, predict_run, smoothing_run;
/* extended.c: anchored and smoothed ranges */
uint32_t extended_run(const struct range_function *fn, struct range_call *c);
/* mixed.c: windows in which histograms stand */
range_one rate_one, increase_one, delta_one, irate_one, idelta_one, count_one, sum_one, avg_one, last_one, first_one,
    present_one, changes_one, resets_one, ts_of_first_one, ts_of_last_one;
/* Sample k differs from the one before; is a reset against it. Of a series with histograms. */
bool range_changed_at(const struct range_call *c, uint32_t k);
bool range_reset_at(const struct range_call *c, uint32_t k);
/*
 * The extrapolated difference of a window of histograms, of which those that tell it are at lo..hi-1: all, or the first and the
 * last of each run without a reset.
 */
struct hist_edges {
    uint32_t lo, hi;
    double n;           /* how many there are in the window */
    int64_t start, end; /* of the window */
};
int hist_difference(struct range_call *c, uint32_t i, const struct hist_edges *x, unsigned flags);
/* For functions of floats alone: runs `run` over the window's floats and notes histograms that were left out. */
int floats_one(struct range_call *c, uint32_t i, uint32_t lo, uint32_t hi, range_run *run);

#endif
