/* json_scan.c - see json_scan.h. Sixteen bytes at a time where the machine has SSE2, which every x86-64 has. */
#include "query/logql/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

const char *json_block_end(const char *p, const char *end)
{
    char open = *p, close = open == '{' ? '}' : ']';
    size_t level = 0;
    bool escaped;

    while (p < end) {
#ifdef __SSE2__
        const __m128i q = _mm_set1_epi8('"'), o = _mm_set1_epi8(open), c = _mm_set1_epi8(close);

        while (end - p >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
            __m128i any = _mm_or_si128(_mm_cmpeq_epi8(v, q), _mm_or_si128(_mm_cmpeq_epi8(v, o), _mm_cmpeq_epi8(v, c)));
            unsigned hit = (unsigned)_mm_movemask_epi8(any);

            if (hit) {
                p += __builtin_ctz(hit);
                break;
            }
            p += 16;
        }
        if (p >= end)
            return NULL;
#endif
        if (*p == '"') {
            p = json_string_end(p + 1, end, &escaped);
            if (!p)
                return NULL;
        } else if (*p == open) {
            level++;
        } else if (*p == close && --level == 0) {
            return p + 1;
        }
        p++;
    }
    return NULL;
}

/* All ASCII? The common case, sixteen bytes at a time. */
bool lq_is_ascii(struct str s)
{
    size_t i = 0;

#ifdef __SSE2__
    for (; i + 16 <= s.n; i += 16)
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(s.p + i))))
            return false;
#endif
    for (; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

bool lq_has_invalid(struct str s)
{
    uint32_t rune;

    if (lq_is_ascii(s))
        return false;
    for (size_t i = 0; i < s.n;) {
        if ((unsigned char)s.p[i] < 0x80) {
            i++;
            continue;
        }
        i += utf8_decode(str_from(s, i), &rune);
        if (rune == 0xfffd)
            return true;
    }
    return false;
}

size_t lq_blank_invalid(char *p, size_t n)
{
    size_t to = 0;
    uint32_t rune;

    for (size_t i = 0, len; i < n; i += len) {
        len = utf8_decode(str_n(p + i, n - i), &rune);
        if (rune == 0xfffd) {
            p[to++] = ' ';
            continue;
        }
        memmove(p + to, p + i, len);
        to += len;
    }
    return to;
}
