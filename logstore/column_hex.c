/*
 * column_hex.c - ids: strings of one length in which a place holds always the same byte, or always a small hex digit (UUIDs,
 * trace ids, hashes). Two digits a byte; the first bytes of all values, then the second ones.
 *
 *   varint length, run: one value with '\0' where digits go, run: bytes
 */
#include "logstore/column_kinds.h"
#include "logstore/filter.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { HEX_MAX = 256, HEX_DIGITS_MIN = 6 };

/* The value of a hex digit; 0xff: it is none. */
static const uint8_t digit_of[256] = {
#define X4  0xff, 0xff, 0xff, 0xff
#define X16 X4, X4, X4, X4
    X16, X16, X16, 0,  1,  2,  3,    4,  5,  6,   7,   8,   9,   0xff, 0xff, X4,  X16, X16, 0xff,
    10,  11,  12,  13, 14, 15, 0xff, X4, X4, X16, X16, X16, X16, X16,  X16,  X16, X16, X16,
#undef X16
#undef X4
};

/* Which places vary; false: lengths differ, or too few do. */
static bool find_places(const struct str *v, uint32_t n, uint16_t *places, uint32_t *nplaces)
{
    size_t len = v[0].n;
    uint8_t varies[HEX_MAX] = {0};

    if (len < HEX_DIGITS_MIN || len > HEX_MAX || n < 4)
        return false;
    for (uint32_t i = 1; i < n; i++) {
        if (v[i].n != len)
            return false;
        for (size_t k = 0; k < len; k++)
            varies[k] |= (uint8_t)(v[i].p[k] ^ v[0].p[k]);
    }
    *nplaces = 0;
    for (size_t k = 0; k < len; k++)
        if (varies[k])
            places[(*nplaces)++] = (uint16_t)k;
    return *nplaces >= HEX_DIGITS_MIN;
}

#ifdef __SSE2__
/* 16 digits at p to 8 bytes, the first in the lowest byte of the result; *bad gets bits if there is something else. */
static inline uint64_t pack16(const unsigned char *p, unsigned *bad)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1)));
    __m128i letter =
        _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('f' + 1)));
    __m128i v = _mm_add_epi8(_mm_and_si128(x, _mm_set1_epi8(15)), _mm_and_si128(letter, _mm_set1_epi8(9)));

    *bad |= (unsigned)_mm_movemask_epi8(_mm_or_si128(digit, letter)) ^ 0xffff;
    v = _mm_and_si128(_mm_or_si128(_mm_slli_epi16(v, 4), _mm_srli_epi16(v, 8)), _mm_set1_epi16(0xff));
    return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(v, v));
}

/* Places that stand side by side, 16 at a time from the first on. Returns how many places were taken; ~0: something else. */
static uint32_t pack_wide(const struct str *v, uint32_t n, const uint16_t *places, uint32_t np, uint8_t *out)
{
    uint32_t wide = 0;
    unsigned bad = 0;

    while (wide + 16 <= np && places[wide + 15] == places[wide] + 15)
        wide += 16;
    for (uint32_t i = 0; i < n && !bad; i++)
        for (uint32_t k = 0; k < wide; k += 16) {
            uint64_t x = pack16((const unsigned char *)v[i].p + places[k], &bad);
            uint8_t *to = out + (size_t)(k / 2) * n + i;

            for (unsigned j = 0; j < 8; j++, to += n, x >>= 8)
                *to = (uint8_t)x;
        }
    return bad ? UINT32_MAX : wide;
}
#else
static uint32_t pack_wide(const struct str *v, uint32_t n, const uint16_t *places, uint32_t np, uint8_t *out)
{
    (void)v, (void)n, (void)places, (void)np, (void)out;
    return 0;
}
#endif

/* Two digits a byte, into every n-th byte; false: there is something else. */
static bool pack(const struct str *v, uint32_t n, const uint16_t *places, uint32_t np, uint8_t *out)
{
    uint32_t from = pack_wide(v, n, places, np, out);

    if (from == UINT32_MAX)
        return false;
    for (uint32_t i = 0; i < n && from < np; i++) {
        const unsigned char *p = (const unsigned char *)v[i].p;
        uint8_t bad = 0, *to = out + (size_t)(from / 2) * n + i;

        for (uint32_t k = from; k + 1 < np; k += 2, to += n) {
            uint8_t hi = digit_of[p[places[k]]], lo = digit_of[p[places[k + 1]]];

            bad |= hi | lo;
            *to = (uint8_t)(hi << 4 | lo);
        }
        if (np % 2) {
            uint8_t hi = digit_of[p[places[np - 1]]];

            bad |= hi;
            *to = (uint8_t)(hi << 4);
        }
        if (bad & 0xf0)
            return false;
    }
    return true;
}

bool hex_write(struct column_out *o, const struct str *v, uint32_t n)
{
    uint16_t places[HEX_MAX + 1];
    uint32_t np;
    char form[HEX_MAX];

    if (!find_places(v, n, places, &np))
        return false;
    memcpy(form, v[0].p, v[0].n);
    for (uint32_t k = 0; k < np; k++)
        form[places[k]] = 0;
    for (size_t k = 0, nul = 0; k < v[0].n; k++) /* a constant NUL would be taken for a digit */
        if (form[k] == 0 && ++nul > np)
            return false;
    size_t nbytes = (size_t)n * ((np + 1) / 2);
    uint8_t *bytes = slab_alloc(o->slab, nbytes);
    if (!pack(v, n, places, np, bytes))
        return false;
    for (uint32_t i = 0; i < n; i++)
        filter_text(o->filter, v[i]);
    out_byte(o, TEXT_HEX);
    out_bytes(o, POOL_TEXT, form, v[0].n);
    out_bytes(o, POOL_NUMS, bytes, nbytes);
    return true;
}

int hex_parse(struct column_in *in, struct text *t)
{
    if (in_run(in, POOL_TEXT, &t->literal) < 0 || t->literal.n > HEX_MAX || in_run(in, POOL_NUMS, &t->run) < 0)
        return ERR_CORRUPT;
    return 0;
}

int hex_read(struct column_in *in, struct text *t, const uint64_t *want)
{
    static const char digits[] = "0123456789abcdef";
    const char *form, *packed;
    uint16_t places[HEX_MAX + 1];
    uint32_t np = 0, len = t->literal.n, n = t->n;

    if (run_bytes(in, &t->literal, &form) < 0 || run_bytes(in, &t->run, &packed) < 0)
        return ERR_CORRUPT;
    for (uint32_t k = 0; k < len; k++)
        if (form[k] == 0)
            places[np++] = (uint16_t)k;
    uint32_t nbytes = (np + 1) / 2;
    if (t->run.n != (uint64_t)n * nbytes)
        return ERR_CORRUPT;
    if (!t->base) {
        t->cells = cells_even(in, n, len);
        t->base = in_alloc(in, (size_t)n * len);
        t->base_n = (size_t)n * len;
        t->bytes = form;
    }
    if (!t->base || !t->cells)
        return ERR_CORRUPT;
    for (uint32_t w = 0; w * 64 < n; w++)
        for (uint64_t left = wanted_bits(want, n, w); left; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            const uint8_t *from = (const uint8_t *)packed + i;
            char *to = (char *)t->base + (size_t)i * len;

            memcpy(to, form, len);
            for (uint32_t k = 0; k + 1 < np; k += 2, from += n) {
                to[places[k]] = digits[*from >> 4];
                to[places[k + 1]] = digits[*from & 15];
            }
            if (np % 2)
                to[places[np - 1]] = digits[*from >> 4];
        }
    return 0;
}
