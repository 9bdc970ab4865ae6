/* json_scan.c - see json_scan.h. Sixteen bytes at a time where the machine has SSE2, which every x86-64 has. */
#include "query/logql/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

const char *json_string_end(const char *p, const char *end, bool *escaped)
{
    *escaped = false;
    for (;;) {
#ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

        while (end - p >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
            unsigned hit = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));

            if (hit) {
                p += __builtin_ctz(hit);
                break;
            }
            p += 16;
        }
#endif
        while (p < end && *p != '"' && *p != '\\')
            p++;
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p;
        *escaped = true;
        p += 2;
        if (p > end)
            return NULL;
    }
}

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

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool hex4(struct str s, size_t at, uint32_t *out)
{
    *out = 0;
    if (at + 4 > s.n)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        int d = hex_digit(s.p[i]);

        if (d < 0)
            return false;
        *out = *out << 4 | (uint32_t)d;
    }
    return true;
}

/* \uXXXX or a pair of them; *at stands on the u. */
static bool unicode_escape(struct str s, size_t *at, uint32_t *rune)
{
    uint32_t low;

    if (!hex4(s, *at + 1, rune))
        return false;
    *at += 5;
    if (*rune < 0xd800 || *rune >= 0xe000)
        return true;
    if (*rune >= 0xdc00 || *at + 6 > s.n || s.p[*at] != '\\' || s.p[*at + 1] != 'u' || !hex4(s, *at + 2, &low))
        return false;
    if (low < 0xdc00 || low >= 0xe000)
        return false;
    *rune = 0x10000 + ((*rune - 0xd800) << 10) + (low - 0xdc00);
    *at += 6;
    return true;
}

size_t json_unescape(struct str s, char *out)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t n = 0, i = 0;

    while (i < s.n) {
        const char *bs = memchr(s.p + i, '\\', s.n - i), *known;
        size_t plain = bs ? (size_t)(bs - s.p) - i : s.n - i;
        uint32_t rune;

        memmove(out + n, s.p + i, plain);
        n += plain;
        i += plain;
        if (!bs)
            break;
        if (++i >= s.n)
            return SIZE_MAX;
        if (s.p[i] == 'u') {
            if (!unicode_escape(s, &i, &rune))
                return SIZE_MAX;
            n += utf8_encode(rune, out + n);
            continue;
        }
        known = s.p[i] ? strchr(letters, s.p[i]) : NULL;
        if (!known)
            return SIZE_MAX;
        out[n++] = values[known - letters];
        i++;
    }
    return n;
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
