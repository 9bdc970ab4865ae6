/*
 * rate_steps.c - differences of many windows at once.
 *
 * Windows of a regular series move by one sample a step, so firsts and lasts lie in rows; otherwise they are gathered
 * by index.
 *
 * (1) Both forms give the same bits: each step is one subtraction and one multiplication.
 */
#include "query/vector/rate_steps.h"
#include "query/vector/plain.h"

static uint32_t steps_plain(const struct windows *w, const double *firsts, const double *lasts, double *out, uint8_t *has,
                            uint32_t *near, uint32_t from)
{
    uint32_t nnear = 0;

    for (uint32_t i = from; i < w->nsteps; i++) {
        double first, raw;

        has[i] = w->factor[i] != 0;
        if (!has[i])
            continue;
        first = firsts[w->lo[i]];
        raw = lasts[w->hi[i] - 1] - first;
        out[i] = raw * w->factor[i];
        if (raw > 0 && first >= 0 && first < raw * w->reach[i])
            near[nnear++] = i;
    }
    return nnear;
}

static bool any_reset_plain(const double *v, uint32_t from, uint32_t n)
{
    bool any = false;

    for (uint32_t k = from; k < n; k++)
        any |= v[k] < v[k - 1];
    return any;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx2"))) static bool any_reset_avx2(const double *v, uint32_t n)
{
    __m256d any = _mm256_setzero_pd();
    uint32_t k = 1;

    for (; k + 4 <= n; k += 4)
        any = _mm256_or_pd(any, _mm256_cmp_pd(_mm256_loadu_pd(v + k), _mm256_loadu_pd(v + k - 1), _CMP_LT_OQ));
    return _mm256_movemask_pd(any) || any_reset_plain(v, k, n);
}

/* Four steps: their results, and a bit for each that is near zero. */
__attribute__((target("avx2"))) static inline int four(const struct windows *w, uint32_t i, __m256d first, __m256d last,
                                                       double *out)
{
    const __m256d zero = _mm256_setzero_pd();
    __m256d raw = _mm256_sub_pd(last, first), near;

    _mm256_storeu_pd(out + i, _mm256_mul_pd(raw, _mm256_loadu_pd(w->factor + i)));
    near = _mm256_cmp_pd(first, _mm256_mul_pd(raw, _mm256_loadu_pd(w->reach + i)), _CMP_LT_OQ);
    near = _mm256_and_pd(near, _mm256_cmp_pd(raw, zero, _CMP_GT_OQ));
    near = _mm256_and_pd(near, _mm256_cmp_pd(first, zero, _CMP_GE_OQ));
    return _mm256_movemask_pd(near);
}

__attribute__((target("avx2"))) static inline __m256d gather(const double *v, const uint32_t *at, int32_t less)
{
    __m128i idx = _mm_sub_epi32(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi32(less));

    return _mm256_i32gather_pd(v, idx, 8);
}

__attribute__((target("avx2"))) static uint32_t steps_avx2(const struct windows *w, const double *firsts,
                                                           const double *lasts, double *out, uint8_t *has, uint32_t *near)
{
    const double *first = firsts + w->lo[0], *last = lasts + w->hi[0] - 1;
    uint32_t i = 0, nnear = 0;

    memset(has, 1, w->nsteps);
    for (; i + 4 <= w->nsteps; i += 4) {
        int bits;

        if (w->regular)
            bits = four(w, i, _mm256_loadu_pd(first + i), _mm256_loadu_pd(last + i), out);
        else
            bits = four(w, i, gather(firsts, w->lo + i, 0), gather(lasts, w->hi + i, 1), out);
        for (; bits; bits &= bits - 1)
            near[nnear++] = i + (uint32_t)__builtin_ctz((unsigned)bits);
    }
    return nnear + steps_plain(w, firsts, lasts, out, has, near + nnear, i);
}

bool any_reset(const double *v, uint32_t n)
{
    return __builtin_cpu_supports("avx2") && !vector_plain() ? any_reset_avx2(v, n) : any_reset_plain(v, 1, n);
}

uint32_t rate_steps(const struct windows *w, const double *first, const double *last, double *out, uint8_t *has, uint32_t *near)
{
    if (w->all_factors && __builtin_cpu_supports("avx2") && !vector_plain())
        return steps_avx2(w, first, last, out, has, near);
    return steps_plain(w, first, last, out, has, near, 0);
}
#else
bool any_reset(const double *v, uint32_t n)
{
    return any_reset_plain(v, 1, n);
}

uint32_t rate_steps(const struct windows *w, const double *first, const double *last, double *out, uint8_t *has, uint32_t *near)
{
    return steps_plain(w, first, last, out, has, near, 0);
}
#endif
