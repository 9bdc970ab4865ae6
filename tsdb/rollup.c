/*
 * rollup.c - samples into buckets, buckets into coarser ones.
 *
 * (1) Everything a bucket holds can be put together from the buckets that follow each other in it, whatever the cuts:
 *     sums and counts add, extremes compare, a reset between two neighbours is seen from their edge values.
 * (2) First, last, count, min, max and their times are those of the samples to the bit. Sums are rounded once a bucket,
 *     after an addition that carries its error along; resets are added in order of time.
 */
#include "tsdb/rollup.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void buckets_reset(struct buckets *b, int64_t every, unsigned columns)
{
    assert(columns & 1u << ROLLUP_LAST);
    b->every = every;
    b->columns = columns;
    b->n = b->nstale = 0;
    b->any_resets = false;
}

void buckets_release(struct buckets *b)
{
    free(b->t_last);
    free(b->t_first);
    free(b->t_stale);
    for (unsigned i = 0; i < ROLLUP_STALE; i++)
        free(b->v[i]);
    *b = (struct buckets){0};
}

static void room(struct buckets *b, uint32_t n)
{
    if (n <= b->cap)
        return;
    b->cap = MAX(n, b->cap ? b->cap * 2 : 512u);
    b->t_last = x_realloc(b->t_last, b->cap * sizeof *b->t_last);
    b->t_first = x_realloc(b->t_first, b->cap * sizeof *b->t_first);
    for (unsigned i = 0; i < ROLLUP_STALE; i++)
        b->v[i] = x_realloc(b->v[i], b->cap * sizeof *b->v[i]);
}

void buckets_add_stale(struct buckets *b, int64_t t)
{
    if (b->nstale == b->stale_cap) {
        b->stale_cap = b->stale_cap ? b->stale_cap * 2 : 16;
        b->t_stale = x_realloc(b->t_stale, b->stale_cap * sizeof *b->t_stale);
    }
    b->t_stale[b->nstale++] = t;
}

/* --- one bucket ----------------------------------------------------------------------------------------- */

/* As query/vector has it: NaN gives way to anything. */
static inline double smaller(double m, double x)
{
    return x < m || isnan(m) ? x : m;
}

static inline double larger(double m, double x)
{
    return x > m || isnan(m) ? x : m;
}

/* Samples without markers, n > 0, into place i. */
static bool sum_up(struct buckets *b, uint32_t i, const int64_t *t, const double *v, uint32_t n)
{
    double s = v[0], c = 0, min = v[0], max = v[0], resets = 0;
    bool finite = isfinite(v[0]);

    for (uint32_t k = 1; k < n; k++) {
        double x = v[k], sum = s + x, z = sum - s;

        c += (s - (sum - z)) + (x - z); /* what the addition lost, exactly */
        s = sum;
        min = smaller(min, x);
        max = larger(max, x);
        if (x < v[k - 1])
            resets += v[k - 1];
        finite &= isfinite(x);
    }
    b->t_first[i] = t[0];
    b->t_last[i] = t[n - 1];
    b->v[ROLLUP_FIRST][i] = v[0];
    b->v[ROLLUP_LAST][i] = v[n - 1];
    b->v[ROLLUP_COUNT][i] = n;
    b->v[ROLLUP_SUM][i] = isfinite(s) ? s + c : s;
    b->v[ROLLUP_MIN][i] = min;
    b->v[ROLLUP_MAX][i] = max;
    b->v[ROLLUP_RESETS][i] = resets;
    b->any_resets |= resets != 0;
    return isfinite(s) || !finite;
}

/* Bucket `from` goes behind bucket i, of which it is the rest. */
static void put_together(struct buckets *b, uint32_t i, const struct bucket_run *from, uint32_t k)
{
#define HAS(c) (b->columns & 1u << (c))
#define OF(c)  (from->v[c] ? from->v[c][k] : 0)
    if (HAS(ROLLUP_RESETS)) {
        double before = b->v[ROLLUP_LAST][i];

        b->v[ROLLUP_RESETS][i] += (OF(ROLLUP_FIRST) < before ? before : 0) + OF(ROLLUP_RESETS);
        b->any_resets |= b->v[ROLLUP_RESETS][i] != 0;
    }
    if (HAS(ROLLUP_COUNT))
        b->v[ROLLUP_COUNT][i] += OF(ROLLUP_COUNT);
    if (HAS(ROLLUP_SUM))
        b->v[ROLLUP_SUM][i] += OF(ROLLUP_SUM);
    if (HAS(ROLLUP_MIN))
        b->v[ROLLUP_MIN][i] = smaller(b->v[ROLLUP_MIN][i], OF(ROLLUP_MIN));
    if (HAS(ROLLUP_MAX))
        b->v[ROLLUP_MAX][i] = larger(b->v[ROLLUP_MAX][i], OF(ROLLUP_MAX));
    b->v[ROLLUP_LAST][i] = OF(ROLLUP_LAST);
    b->t_last[i] = from->t_last[k];
#undef HAS
#undef OF
}

/* --- samples -------------------------------------------------------------------------------------------- */

static bool add_bucket(struct buckets *b, const int64_t *t, const double *v, uint32_t n)
{
    bool joins = b->n && bucket_end(b->t_last[b->n - 1], b->every) == bucket_end(t[0], b->every), good;

    room(b, b->n + 1);
    good = sum_up(b, b->n, t, v, n);
    if (joins) {
        struct bucket_run all = buckets_run(b);

        double sum = b->v[ROLLUP_SUM][b->n - 1];

        put_together(b, b->n - 1, &all, b->n);
        return good && (!(b->columns & 1u << ROLLUP_SUM) || isfinite(b->v[ROLLUP_SUM][b->n - 1]) || !isfinite(sum) ||
                        !isfinite(b->v[ROLLUP_SUM][b->n]));
    }
    b->n++;
    return good;
}

/* Samples of one bucket, markers among them. */
static bool add_with_markers(struct buckets *b, const int64_t *t, const double *v, uint32_t n)
{
    uint32_t from = 0, i;
    bool good = true;

    for (i = 0; i < n; i++) {
        if (!is_stale(v[i]))
            continue;
        if (i > from)
            good &= add_bucket(b, t + from, v + from, i - from);
        from = i + 1;
    }
    if (n > from)
        good &= add_bucket(b, t + from, v + from, n - from);
    if (is_stale(v[n - 1]))
        buckets_add_stale(b, t[n - 1]);
    return good;
}

bool buckets_add(struct buckets *b, const int64_t *t, const double *v, uint32_t n)
{
    for (uint32_t i = 0, end; i < n; i = end) {
        int64_t until = bucket_end(t[i], b->every);
        bool stale = false;

        for (end = i; end < n && t[end] <= until; end++)
            stale |= is_stale(v[end]);
        if (stale ? !add_with_markers(b, t + i, v + i, end - i) : !add_bucket(b, t + i, v + i, end - i))
            return false;
    }
    return true;
}

/* --- buckets -------------------------------------------------------------------------------------------- */

struct bucket_run buckets_run(const struct buckets *b)
{
    struct bucket_run r = {b->every, b->n, b->nstale, b->t_last, b->t_first, b->t_stale, {0}};

    for (unsigned i = 0; i < ROLLUP_STALE; i++)
        r.v[i] = b->v[i];
    return r;
}

/* Buckets k..k+n-1 of from, as they are. */
static void copy(struct buckets *b, const struct bucket_run *from, uint32_t k, uint32_t n)
{
    room(b, b->n + n);
    memcpy(b->t_last + b->n, from->t_last + k, n * sizeof *b->t_last);
    if (from->t_first)
        memcpy(b->t_first + b->n, from->t_first + k, n * sizeof *b->t_first);
    for (unsigned i = 0; i < ROLLUP_STALE; i++) {
        if (!(b->columns & 1u << i))
            continue;
        if (from->v[i])
            memcpy(b->v[i] + b->n, from->v[i] + k, n * sizeof *b->v[i]);
        else
            memset(b->v[i] + b->n, 0, n * sizeof *b->v[i]);
    }
    b->n += n;
}

void buckets_append(struct buckets *b, const struct bucket_run *from)
{
    for (uint32_t k = 0, end; k < from->n; k = end) {
        if (b->n && bucket_end(b->t_last[b->n - 1], b->every) == bucket_end(from->t_last[k], b->every)) {
            put_together(b, b->n - 1, from, k);
            end = k + 1;
            continue;
        }
        end = from->every == b->every ? from->n : k + 1; /* then no two of them belong together */
        copy(b, from, k, end - k);
    }
    if ((b->columns & 1u << ROLLUP_RESETS) && from->v[ROLLUP_RESETS])
        b->any_resets = true;
    for (uint32_t k = 0; k < from->nstale; k++)
        buckets_add_stale(b, from->t_stale[k]);
}

void buckets_delete(struct buckets *b, const int64_t *ranges, uint32_t n)
{
    bool firsts = b->columns & 1u << ROLLUP_FIRST;
    uint32_t kept = 0, stale = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        bool gone = false;

        for (uint32_t k = 0; k < n; k++)
            gone |= ranges[2 * k] <= b->t_last[i] && ranges[2 * k + 1] >= (firsts ? b->t_first[i] : b->t_last[i]);
        if (gone)
            continue;
        b->t_last[kept] = b->t_last[i];
        if (firsts)
            b->t_first[kept] = b->t_first[i];
        for (unsigned c = 0; c < ROLLUP_STALE; c++)
            if (b->columns & 1u << c)
                b->v[c][kept] = b->v[c][i];
        kept++;
    }
    for (uint32_t i = 0; i < b->nstale; i++) {
        bool gone = false;

        for (uint32_t k = 0; k < n; k++)
            gone |= ranges[2 * k] <= b->t_stale[i] && ranges[2 * k + 1] >= b->t_stale[i];
        if (!gone)
            b->t_stale[stale++] = b->t_stale[i];
    }
    b->n = kept;
    b->nstale = stale;
}
