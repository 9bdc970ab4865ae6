/*
 * buckets.h - range functions over buckets: what samples say in sums, extremes and edges of stretches of time.
 *
 * Windows that are whole buckets give what their samples would give: to the bit where no two numbers are added, within the
 * rounding of another order of addition where some are (sums, means, increases over resets). Windows that are not are laid
 * over the buckets they touch, and what grows with the length of a window is taken in proportion.
 */
#ifndef VECTOR_BUCKETS_H
#define VECTOR_BUCKETS_H

#include "query/vector/range.h"

/* Beside range_call.s, whose t are the times of last samples and v the column that the function is about. */
struct bucket_columns {
    const int64_t *t_first;
    const double *first, *count, *resets; /* resets NULL: none within buckets */
};

/*
 * Of the histograms of a series: stretches, each of n samples in a row without a reset, with their buckets in the same places.
 * Columns that were not asked for are NULL, or hold NULLs.
 */
struct stretch_columns {
    uint32_t n;
    const int64_t *t_last, *t_first;
    const double *count;
    const uint8_t *hint; /* of the first one */
    const struct histogram *const *last, *const *first, *const *sum;
    bool resets_told; /* hints are to tell resets, as upstream's reading of counts alone does; wants last and first */
};

enum bucket_value {
    BUCKET_LAST,
    BUCKET_FIRST,
    BUCKET_COUNT,
    BUCKET_SUM,
    BUCKET_AVG,
    BUCKET_MIN,
    BUCKET_MAX,
    BUCKET_INCREASE,
    BUCKET_DELTA
};

struct bucket_function;
/* NULL: the function wants samples. */
const struct bucket_function *bucket_function_find(const struct range_function *fn);
enum bucket_value bucket_function_value(const struct bucket_function *fn);

/* Between the files of this room. */
struct bucket_function {
    const char *name;
    enum bucket_value value;
    uint32_t (*run)(struct range_call *c, const struct bucket_columns *b, unsigned flags);
    bool grows; /* with the length of the window */
};

/*
 * Evaluates over the windows c->w, which are whole buckets, or (nearest) over c->steps and those that it touches: then
 * c->w is filled, and every column but resets is needed. made: c->w is new, tables are to be made in it.
 */
uint32_t buckets_eval(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b,
                      bool made);
uint32_t buckets_eval_nearest(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b);
/*
 * Behind one of these two, or behind nothing where the series has no float in the select (c->s.n is 0): lays the stretches over
 * what the floats gave. c->pile and c->h are needed.
 */
uint32_t buckets_eval_hists(const struct bucket_function *fn, struct range_call *c, const struct bucket_columns *b,
                            const struct stretch_columns *h, bool nearest);

#endif
