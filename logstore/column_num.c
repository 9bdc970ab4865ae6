/*
 * column_num.c - numbers as they stand in text: -12, 0.50, 007, user_17, 15ms. All have the same bytes before and behind; each
 * number is written without needless zeros in front, or all are padded to one width. What would not come back is no number.
 *
 *   run prefix and suffix, varint prefix length, varint width (0: not padded), ints values, ints decimals
 */
#include "logstore/column_kinds.h"
#include "logstore/filter.h"

enum { DIGITS_MAX = 18, AFFIX_MAX = 64, FEW = 256 };

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes before and behind the number that all values share. */
static void find_affixes(const struct str *v, uint32_t n, size_t *prefix, size_t *suffix)
{
    struct str first = v[0];
    size_t pre = 0, suf = 0;

    while (pre < first.n && !is_digit(first.p[pre]))
        pre++;
    while (suf < first.n - pre && !is_digit(first.p[first.n - 1 - suf]))
        suf++;
    if (pre && first.p[pre - 1] == '-')
        pre--;
    for (uint32_t i = 1; i < n && pre + suf > 0; i++) {
        size_t k = 0;

        while (k < pre && k < v[i].n && v[i].p[k] == first.p[k])
            k++;
        pre = k;
        k = 0;
        while (k < suf && k + pre < v[i].n && v[i].p[v[i].n - 1 - k] == first.p[first.n - 1 - k])
            k++;
        suf = k;
    }
    *prefix = pre;
    *suffix = suf;
}

struct numbers {
    int64_t *values, *decimals;
    size_t width_min, width_max; /* digits of a number, without sign and point */
    bool padded, negative;
};

/* One number of all of s; false: it would not come back. */
static inline bool read_number(struct str s, struct numbers *out, uint32_t i)
{
    const char *p = s.p, *end = p + s.n, *point = NULL;
    uint64_t v = 0;
    bool minus = p < end && *p == '-';

    p += minus;
    const char *begin = p;
    if (end - begin > DIGITS_MAX + 1)
        return false;
    for (; p < end; p++) {
        unsigned d = (unsigned)(unsigned char)*p - '0';

        if (d > 9) {
            if (*p != '.' || point || p == begin)
                return false;
            point = p;
        } else {
            v = v * 10 + d;
        }
    }
    size_t digits = (size_t)(end - begin) - (point != NULL), decimals = point ? (size_t)(end - point) - 1 : 0;
    if (digits == 0 || digits > DIGITS_MAX || (point && decimals == 0) || (minus && v == 0))
        return false;
    out->padded |= *begin == '0' && digits - decimals > 1;
    out->negative |= minus;
    out->width_min = MIN(out->width_min, digits);
    out->width_max = MAX(out->width_max, digits);
    out->values[i] = minus ? -(int64_t)v : (int64_t)v;
    out->decimals[i] = (int64_t)decimals;
    return true;
}

/* Few different ones over a wide range: a dictionary is smaller. */
static bool better_as_dict(const int64_t *v, const int64_t *decimals, uint32_t n)
{
    int64_t min = v[0], max = v[0], seen[FEW];
    uint8_t slot[1024] = {0};
    uint32_t k = 0, limit = MIN((uint32_t)FEW - 1, n / 16);

    for (uint32_t i = 0; i < n; i++) {
        min = MIN(min, v[i]);
        max = MAX(max, v[i]);
        if (decimals[i] != decimals[0])
            return false;
    }
    if ((uint64_t)max - (uint64_t)min < 256)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)((uint64_t)v[i] * 0x9e3779b97f4a7c15u >> 54);

        while (slot[h] && seen[slot[h]] != v[i])
            h = (h + 1) % ARRAY_LEN(slot);
        if (slot[h])
            continue;
        if (++k > limit)
            return false;
        slot[h] = (uint8_t)k;
        seen[k] = v[i];
    }
    return true;
}

bool numbers_write(struct column_out *o, const struct str *v, uint32_t n)
{
    struct numbers x = {.width_min = SIZE_MAX};
    size_t prefix, suffix;

    find_affixes(v, n, &prefix, &suffix);
    if (prefix + suffix > AFFIX_MAX)
        return false;
    x.values = slab_array(o->slab, int64_t, n);
    x.decimals = slab_array(o->slab, int64_t, n);
    for (uint32_t i = 0; i < n; i++)
        if (v[i].n <= prefix + suffix || !read_number(str_n(v[i].p + prefix, v[i].n - prefix - suffix), &x, i))
            return false;
    if (x.padded && (x.width_min != x.width_max || x.negative))
        return false;
    if (better_as_dict(x.values, x.decimals, n))
        return false;
    char affix[AFFIX_MAX];
    memcpy(affix, v[0].p, prefix);
    memcpy(affix + prefix, v[0].p + v[0].n - suffix, suffix);
    out_byte(o, TEXT_NUMBERS);
    out_bytes(o, POOL_TEXT, affix, prefix + suffix);
    out_num(o, prefix);
    out_num(o, x.padded ? x.width_max : 0);
    ints_write(o, x.values, n);
    ints_write(o, x.decimals, n);
    if (x.width_max + 2 + prefix + suffix >= FILTER_ID_MIN || prefix + suffix >= 4) /* else nothing of it is indexed */
        for (uint32_t i = 0; i < n; i++)
            filter_text(o->filter, v[i]);
    return true;
}

int numbers_parse(struct column_in *in, struct text *t)
{
    if (in_run(in, POOL_TEXT, &t->literal) < 0 || t->literal.n > AFFIX_MAX ||
        in_num32(in, t->literal.n, &t->prefix_n) < 0 || in_num32(in, DIGITS_MAX, &t->width) < 0 ||
        ints_parse(in, t->n, &t->ints) < 0)
        return ERR_CORRUPT;
    return ints_parse(in, t->n, &t->more);
}

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

/* Writes v so that it ends before `end`, at least `width` digits; returns where it begins. At most 20 digits. */
static inline char *put_digits(char *end, uint64_t v, uint32_t width)
{
    char *p = end;

    while (v > UINT32_MAX) {
        p -= 2;
        memcpy(p, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    uint32_t u = (uint32_t)v;
    while (u >= 100) {
        p -= 2;
        memcpy(p, pairs + u % 100 * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        p -= 2;
        memcpy(p, pairs + u * 2, 2);
    } else {
        *--p = (char)('0' + u);
    }
    while (end - p < (ptrdiff_t)width)
        *--p = '0';
    return p;
}

enum { NUMBER_MAX = 24 }; /* digits, sign, point */

static const uint64_t powers[DIGITS_MAX + 1] = {1,
                                                10,
                                                100,
                                                1000,
                                                10000,
                                                100000,
                                                1000000,
                                                10000000,
                                                100000000,
                                                1000000000,
                                                10000000000,
                                                100000000000,
                                                1000000000000,
                                                10000000000000,
                                                100000000000000,
                                                1000000000000000,
                                                10000000000000000,
                                                100000000000000000,
                                                1000000000000000000};

/* One number so that it ends before `end`. */
static inline char *put_number(char *end, int64_t v, uint32_t decimals, uint32_t width)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char *p = end;

    if (decimals) {
        put_digits(end, u % powers[decimals], decimals);
        u /= powers[decimals];
        p -= decimals + 1;
        *p = '.';
    }
    p = put_digits(p, u, width > decimals ? width - decimals : 0);
    if (v < 0)
        *--p = '-';
    return p;
}

/* The integers, and room for what they are written as. */
static int open_numbers(struct column_in *in, struct text *t, size_t stride)
{
    uint32_t n = t->n;
    int64_t *v = in_alloc(in, (n + (size_t)1) * sizeof *v), *decimals = in_alloc(in, (n + (size_t)1) * sizeof *v);
    uint64_t *cells = in_alloc(in, (n + (size_t)1) * sizeof *cells);
    char *out = in_alloc(in, n * stride);

    if (!v || !decimals || !cells || !out || ints_read(in, &t->ints, v) < 0 || ints_read(in, &t->more, decimals) < 0)
        return ERR_CORRUPT;
    t->v = v;
    t->v_more = decimals;
    t->base = out;
    t->base_n = n * stride;
    t->cells = cells;
    return 0;
}

int numbers_read(struct column_in *in, struct text *t, const uint64_t *want)
{
    uint32_t n = t->n, suffix_n = t->literal.n - t->prefix_n;
    size_t stride = NUMBER_MAX + t->literal.n;
    const char *affix;

    if ((!t->v && open_numbers(in, t, stride) < 0) || run_bytes(in, &t->literal, &affix) < 0)
        return ERR_CORRUPT;
    char *out = (char *)t->base;
    uint64_t *cells = (uint64_t *)t->cells;
    t->bytes = affix;
    for (uint32_t w = 0; w * 64 < n; w++)
        for (uint64_t left = wanted_bits(want, n, w); left; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
            char *end = out + (i + (size_t)1) * stride - suffix_n;

            if (t->v_more[i] < 0 || t->v_more[i] > DIGITS_MAX)
                return ERR_CORRUPT;
            char *p = put_number(end, t->v[i], (uint32_t)t->v_more[i], t->width);
            if (t->literal.n) {
                p -= t->prefix_n;
                memcpy(p, affix, t->prefix_n);
                memcpy(end, affix + t->prefix_n, suffix_n);
            }
            cells[i] = cell((uint64_t)(p - out), (uint64_t)(end + suffix_n - p));
        }
    return 0;
}
