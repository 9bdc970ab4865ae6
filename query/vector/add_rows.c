/*
 * add_rows.c - Neumaier sums over many steps at once.
 *
 * The compensation of an addition is the exact rounding error. Knuth's two-sum finds the same number as Neumaier's
 * comparison without a branch, so four steps go at once; only an infinite sum, whose error is undefined, must clear the
 * compensation.
 *
 * (1) Both forms give the same bits: the tests compare them.
 */
#include "query/vector/add_rows.h"

#include "query/vector/kahan.h"
#include "query/vector/plain.h"

#include <stddef.h>

enum { IS_FLOAT = 1 };

static void add_plain(double *s, double *c, const double *v, const uint8_t *has, uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < n; i++)
        if (has[i] == IS_FLOAT) {
            struct kahan k = {s[i], c[i]};

            kahan_add(&k, v[i]);
            s[i] = k.s;
            c[i] = k.c;
        }
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Lanes whose byte is IS_FLOAT, as a mask of doubles. */
__attribute__((target("avx2"))) static inline __m256d lanes(const uint8_t *has)
{
    int bytes;
    __m256i wide;

    __builtin_memcpy(&bytes, has, 4);
    wide = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(bytes));
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(wide, _mm256_set1_epi64x(IS_FLOAT)));
}

__attribute__((target("avx2"))) static void add_avx2(double *s, double *c, const double *v, const uint8_t *has,
                                                     uint32_t n)
{
    const __m256d sign = _mm256_set1_pd(-0.0), inf = _mm256_set1_pd(INFINITY);
    uint32_t i = 0;

    for (; i + 4 <= n; i += 4) {
        __m256d mask = lanes(has + i), a = _mm256_loadu_pd(s + i), x = _mm256_loadu_pd(v + i);
        __m256d comp = _mm256_loadu_pd(c + i), t = _mm256_add_pd(a, x), z = _mm256_sub_pd(t, a);
        __m256d err = _mm256_add_pd(_mm256_sub_pd(a, _mm256_sub_pd(t, z)), _mm256_sub_pd(x, z));
        __m256d isinf = _mm256_cmp_pd(_mm256_andnot_pd(sign, t), inf, _CMP_EQ_OQ);

        comp = _mm256_blendv_pd(comp, _mm256_andnot_pd(isinf, _mm256_add_pd(comp, err)), mask);
        _mm256_storeu_pd(c + i, comp);
        _mm256_storeu_pd(s + i, _mm256_blendv_pd(a, t, mask));
    }
    add_plain(s, c, v, has, i, n);
}

void add_rows(double *s, double *c, const double *v, const uint8_t *has, uint32_t n)
{
    if (__builtin_cpu_supports("avx2") && !vector_plain())
        add_avx2(s, c, v, has, n);
    else
        add_plain(s, c, v, has, 0, n);
}
#else
void add_rows(double *s, double *c, const double *v, const uint8_t *has, uint32_t n)
{
    add_plain(s, c, v, has, 0, n);
}
#endif

bool add_would_overflow(const double *s, const double *v, const uint8_t *has, uint32_t n)
{
    bool any = false;

    for (uint32_t i = 0; i < n; i++)
        any |= (has[i] == IS_FLOAT) & (fabs(s[i] + v[i]) == INFINITY);
    return any;
}

void count_rows(uint32_t *count, const uint8_t *has, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        count[i] += has[i] != 0;
}
