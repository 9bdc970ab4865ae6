/*
 * plain_find.c - the first and the last byte of the needle are compared at 16 (32) places at once; where both stand, the rest is.
 */
#include "logstore/plain_find.h"

static const char *find_slow(const char *p, const char *end, struct str needle)
{
    for (; (size_t)(end - p) >= needle.n; p++) {
        p = memchr(p, needle.p[0], (size_t)(end - p) - needle.n + 1);
        if (!p)
            return NULL;
        if (memcmp(p, needle.p, needle.n) == 0)
            return p;
    }
    return NULL;
}

#ifdef __SSE2__
#include <emmintrin.h>

const char *find_bytes(struct str s, struct str needle)
{
    static const char nothing[1];
    const char *p = s.p, *end = s.p + s.n;
    size_t n = needle.n;

    if (n == 0)
        return p ? p : nothing;
    if (s.n < n)
        return NULL;
    const __m128i first = _mm_set1_epi8(needle.p[0]), last = _mm_set1_epi8(needle.p[n - 1]);
    while ((size_t)(end - p) >= n - 1 + 32) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p),
                a2 = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + n - 1)),
                b2 = _mm_loadu_si128((const __m128i *)(const void *)(p + n + 15));
        a = _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last));
        a2 = _mm_and_si128(_mm_cmpeq_epi8(a2, first), _mm_cmpeq_epi8(b2, last));
        if (_mm_movemask_epi8(_mm_or_si128(a, a2))) {
            uint32_t hits = (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(a2) << 16;

            for (; hits; hits &= hits - 1) {
                const char *at = p + __builtin_ctz(hits);

                if (n <= 2 || memcmp(at + 1, needle.p + 1, n - 2) == 0)
                    return at;
            }
        }
        p += 32;
    }
    return find_slow(p, end, needle);
}

/* Of a letter: what makes it small. */
static inline char fold_bit(char c)
{
    return c >= 'a' && c <= 'z' ? 0x20 : 0;
}

static bool fold_eq(const char *p, struct str needle)
{
    for (size_t i = 0; i < needle.n; i++)
        if ((char)(p[i] | fold_bit(needle.p[i])) != needle.p[i])
            return false;
    return true;
}

bool find_fold(struct str s, struct str needle)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t n = needle.n;

    if (n == 0 || s.n < n)
        return n == 0;
    const __m128i first = _mm_set1_epi8(needle.p[0]), first_bit = _mm_set1_epi8(fold_bit(needle.p[0]));
    const __m128i last = _mm_set1_epi8(needle.p[n - 1]), last_bit = _mm_set1_epi8(fold_bit(needle.p[n - 1]));
    for (; (size_t)(end - p) >= n - 1 + 16; p += 16) {
        __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)p), first_bit);
        __m128i b = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + n - 1)), last_bit);
        uint32_t hits = (uint32_t)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, last)));

        for (; hits; hits &= hits - 1)
            if (fold_eq(p + __builtin_ctz(hits), needle))
                return true;
    }
    for (; (size_t)(end - p) >= n; p++)
        if (fold_eq(p, needle))
            return true;
    return false;
}
#else
bool find_fold(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        size_t k = 0;

        while (k < needle.n && (char)(s.p[i + k] | (needle.p[k] >= 'a' && needle.p[k] <= 'z' ? 0x20 : 0)) == needle.p[k])
            k++;
        if (k == needle.n)
            return true;
    }
    return false;
}

const char *find_bytes(struct str s, struct str needle)
{
    static const char nothing[1];

    if (needle.n == 0)
        return s.p ? s.p : nothing;
    return find_slow(s.p, s.p + s.n, needle);
}
#endif
