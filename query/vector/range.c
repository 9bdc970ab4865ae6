/*
 * range.c - the table of range functions, and which form of one a series needs.
 */
#include "query/vector/range.h"

#include <stdlib.h>

static const struct range_function table[] = {
    {"rate", rate_run, rate_one,
     RANGE_EXTRAPOLATES | RANGE_COUNTER | RANGE_PER_SECOND | RANGE_ANCHORED | RANGE_SMOOTHED},
    {"increase", increase_run, increase_one, RANGE_EXTRAPOLATES | RANGE_COUNTER | RANGE_ANCHORED | RANGE_SMOOTHED},
    {"delta", delta_run, delta_one, RANGE_EXTRAPOLATES | RANGE_ANCHORED | RANGE_SMOOTHED},
    {"irate", irate_run, irate_one, RANGE_COUNTER},
    {"idelta", idelta_run, idelta_one, 0},
    {"changes", changes_run, changes_one, RANGE_ANCHORED},
    {"resets", resets_run, resets_one, RANGE_ANCHORED},
    {"sum_over_time", sum_run, sum_one, 0},
    {"avg_over_time", avg_run, avg_one, 0},
    {"count_over_time", count_run, count_one, 0},
    {"min_over_time", min_run, NULL, 0},
    {"max_over_time", max_run, NULL, 0},
    {"last_over_time", last_run, last_one, RANGE_KEEPS_NAME},
    {"first_over_time", first_run, first_one, RANGE_KEEPS_NAME},
    {"present_over_time", present_run, present_one, 0},
    {"absent_over_time", present_run, present_one, RANGE_PRESENCE},
    {"stddev_over_time", stddev_run, NULL, 0},
    {"stdvar_over_time", stdvar_run, NULL, 0},
    {"quantile_over_time", quantile_run, NULL, 0},
    {"mad_over_time", mad_run, NULL, 0},
    {"ts_of_first_over_time", ts_of_first_run, ts_of_first_one, 0},
    {"ts_of_last_over_time", ts_of_last_run, ts_of_last_one, 0},
    {"ts_of_min_over_time", ts_of_min_run, NULL, 0},
    {"ts_of_max_over_time", ts_of_max_run, NULL, 0},
    {"deriv", deriv_run, NULL, 0},
    {"predict_linear", predict_run, NULL, 0},
    {"double_exponential_smoothing", smoothing_run, NULL, 0},
};

const struct range_function *range_function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eqz(name, table[i].name))
            return &table[i];
    return NULL;
}

void range_scratch_release(struct range_scratch *s)
{
    free(s->v);
    free(s->idx);
    *s = (struct range_scratch){0};
}

double *range_scratch_v(struct range_scratch *s, size_t n)
{
    if (s->nv < n) {
        free(s->v);
        s->nv = n < 1024 ? 1024 : n;
        s->v = x_alloc(s->nv * sizeof *s->v);
    }
    return s->v;
}

uint32_t *range_scratch_idx(struct range_scratch *s, size_t n)
{
    if (s->nidx < n) {
        free(s->idx);
        s->nidx = n < 1024 ? 1024 : n;
        s->idx = x_alloc(s->nidx * sizeof *s->idx);
    }
    return s->idx;
}

/* Window by window: series with histograms. */
static uint32_t mixed_run(const struct range_function *fn, struct range_call *c)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < c->steps->n; i++) {
        uint32_t lo = c->w->lo[i], hi = c->w->hi[i];
        int got = ROW_NONE;

        if (hi > lo && !range_stop(c, hi - lo))
            got = fn->one ? fn->one(c, i, lo, hi) : floats_one(c, i, lo, hi, fn->run);
        c->has[i] = (uint8_t)got;
        filled += got != ROW_NONE;
    }
    return filled;
}

uint32_t range_eval(const struct range_function *fn, struct range_call *c)
{
    if (c->anchored || c->smoothed)
        return extended_run(fn, c);
    return c->s.h ? mixed_run(fn, c) : fn->run(c);
}
