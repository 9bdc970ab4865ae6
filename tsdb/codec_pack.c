/*
 * codec_pack.c - the inner loops: bits in, bits out, integers to floats. Each in plain C, and those that queries live
 * on again in AVX2, chosen when the machine has it; both give the same bits.
 *
 * Values lie one behind the other, lowest bit first: value i occupies bits [i*w, (i+1)*w). A width of at most 57 can
 * be fetched with one unaligned 64 bit load wherever it begins, a width of at most 25 with a 32 bit lane of a byte
 * shuffle.
 *
 * (1) unpack_bits reads at most CODEC_SLACK bytes behind the packed ones and writes at most 7 values behind n.
 * (2) scale_ints divides by 10^digits, never multiplies by its inverse: the quotient is the float nearest to the
 * decimal, which is what the text it came from was read as.
 */
#include "base/base.h"
#include "tsdb/codec.h"

#include <assert.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 __builtin_cpu_supports("avx2")
#endif

static const double pow10_table[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

void pack_bits(uint8_t *dst, const uint64_t *v, uint32_t n, unsigned w)
{
    size_t bit = 0;

    assert(w <= 57 || w == 64);
    if (w == 64) {
        memcpy(dst, v, (size_t)n * 8);
        return;
    }
    if (w)
        *dst = 0;
    for (uint32_t i = 0; i < n && w; i++, bit += w) {
        uint8_t *p = dst + bit / 8;
        uint64_t x = (bit & 7 ? *p : 0) | v[i] << (bit & 7);

        memcpy(p, &x, 8);
    }
}

static void unpack_plain(const uint8_t *src, uint64_t *out, uint32_t n, unsigned w)
{
    uint64_t mask = (UINT64_C(1) << w) - 1;
    size_t bit = 0;

    for (uint32_t i = 0; i < n; i++, bit += w)
        out[i] = get_u64le(src + bit / 8) >> (bit & 7) & mask;
}

#if defined(HAVE_AVX2)
/*
 * Eight values of w bits are w bytes. The low half of the register holds values 0..3, the high half 4..7, which begin
 * at byte w/2 of the group; a shuffle brings the four bytes around each value into its lane, a shift and a mask cut it
 * out.
 */
__attribute__((target("avx2"))) static void unpack_avx2(const uint8_t *src, uint64_t *out, uint32_t n, unsigned w)
{
    uint8_t pick[32] __attribute__((aligned(32)));
    uint32_t shift[8] __attribute__((aligned(32)));

    for (unsigned k = 0; k < 8; k++) {
        unsigned bit = k < 4 ? k * w : k * w - w / 2 * 8;

        for (unsigned b = 0; b < 4; b++)
            pick[k * 4 + b] = (uint8_t)(bit / 8 + b);
        shift[k] = bit & 7;
    }
    const __m256i shuffle = _mm256_load_si256((const __m256i *)pick),
                  shifts = _mm256_load_si256((const __m256i *)shift);
    const __m256i mask = _mm256_set1_epi32((int)((UINT32_C(1) << w) - 1));

    for (uint32_t i = 0; i < n; i += 8, src += w) {
        __m256i x = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)src));

        x = _mm256_inserti128_si256(x, _mm_loadu_si128((const __m128i *)(src + w / 2)), 1);
        x = _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(x, shuffle), shifts), mask);
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_cvtepu32_epi64(_mm256_castsi256_si128(x)));
        _mm256_storeu_si256((__m256i *)(out + i + 4), _mm256_cvtepu32_epi64(_mm256_extracti128_si256(x, 1)));
    }
}
#endif

void unpack_bits(const uint8_t *src, uint64_t *out, uint32_t n, unsigned w)
{
    assert(w <= 57 || w == 64);
    if (w == 0) {
        memset(out, 0, (size_t)n * 8);
    } else if (w == 64) {
        memcpy(out, src, (size_t)n * 8);
    } else {
#if defined(HAVE_AVX2)
        if (w <= 25 && HAVE_AVX2) {
            unpack_avx2(src, out, n, w);
            return;
        }
#endif
        unpack_plain(src, out, n, w);
    }
}

static void scale_plain(const int64_t *x, double *out, uint32_t n, double mul, double div)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = (double)x[i] * mul / div;
}

#if defined(HAVE_AVX2)
/* Adding 2^52 + 2^51 as bits puts an integer of 51 bits and sign into a mantissa; subtracting it as a float leaves the
 * integer. */
__attribute__((target("avx2"))) static uint32_t scale_avx2(const int64_t *x, double *out, uint32_t n, double mul,
                                                           double div)
{
    const __m256d magic = _mm256_set1_pd(6755399441055744.0), muls = _mm256_set1_pd(mul), divs = _mm256_set1_pd(div);
    const __m256i magic_bits = _mm256_castpd_si256(magic);
    uint32_t i = 0;

    if (div != 1) {
        for (; i + 4 <= n; i += 4) {
            __m256i b = _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)(x + i)), magic_bits);
            _mm256_storeu_pd(out + i, _mm256_div_pd(_mm256_sub_pd(_mm256_castsi256_pd(b), magic), divs));
        }
        return i;
    }
    for (; i + 4 <= n; i += 4) {
        __m256i b = _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)(x + i)), magic_bits);
        _mm256_storeu_pd(out + i, _mm256_mul_pd(_mm256_sub_pd(_mm256_castsi256_pd(b), magic), muls));
    }
    return i;
}
#endif

void scale_ints(const int64_t *x, double *out, uint32_t n, unsigned digits, int shift)
{
    double div = pow10_table[digits < ARRAY_LEN(pow10_table) ? digits : 0];
    double mul = shift > 0 && shift < 63 ? (double)(UINT64_C(1) << shift) : 1;
    uint32_t done = 0;

#if defined(HAVE_AVX2)
    if (HAVE_AVX2)
        done = scale_avx2(x, out, n, mul, div);
#endif
    scale_plain(x + done, out + done, n - done, mul, div);
}
