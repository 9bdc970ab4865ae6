/*
 * column_text.c - a column of strings: the kind that costs least, by looking and a little estimating.
 *
 *   byte kind, then
 *   CONST     run: the value                       NUMBERS  column_num.c     SPLIT  byte separator, ints counts, varint parts,
 *   STRINGS   ints lengths, run: bytes             TIMES    column_time.c           column of the parts, varint total bytes
 *   DICT      varint values, column of them,       HEX      column_hex.c     SHRED  shred.h
 *             ints places                      IPS      column_ip.c
 */
#include "logstore/column_kinds.h"
#include "logstore/filter.h"
#include "logstore/shred.h"

#include <assert.h>

enum {
    DICT_PROBE = 1024, /* after so many values a dictionary must look promising */
    DICT_MAX = 1 << 16,
    SPLIT_MIN = 4, /* parts a value has on average, before splitting pays */
};

/* --- const and strings ---------------------------------------------------------------------------- */

static bool all_same(const struct str *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (!str_eq(v[i], v[0]))
            return false;
    return true;
}

static void write_const(struct column_out *o, const struct str *v, uint32_t n)
{
    struct str s = n ? v[0] : STR_NULL;

    out_byte(o, TEXT_CONST);
    out_bytes(o, POOL_TEXT, s.p, s.n);
    filter_text(o->filter, s);
}

static void write_strings(struct column_out *o, const struct str *v, uint32_t n)
{
    int64_t *lens = slab_array(o->slab, int64_t, n);
    size_t total = 0, at = 0;

    for (uint32_t i = 0; i < n; i++) {
        lens[i] = (int64_t)v[i].n;
        total += v[i].n;
        filter_text(o->filter, v[i]);
    }
    char *bytes = slab_alloc(o->slab, total + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].n)
            memcpy(bytes + at, v[i].p, v[i].n);
        at += v[i].n;
    }
    out_byte(o, TEXT_STRINGS);
    ints_write(o, lens, n);
    out_bytes(o, POOL_TEXT, bytes, total);
}

/* --- dictionary ------------------------------------------------------------------------------------- */

/* Mostly they are short: then no call is made. */
static inline bool equal(struct str a, struct str b)
{
    uint64_t x, y, x2, y2;
    uint32_t u, v, u2, v2;

    if (a.n != b.n)
        return false;
    if (a.n > 16)
        return memcmp(a.p, b.p, a.n) == 0;
    if (a.n >= 8) {
        memcpy(&x, a.p, 8);
        memcpy(&y, b.p, 8);
        memcpy(&x2, a.p + a.n - 8, 8);
        memcpy(&y2, b.p + a.n - 8, 8);
        return x == y && x2 == y2;
    }
    if (a.n >= 4) {
        memcpy(&u, a.p, 4);
        memcpy(&v, b.p, 4);
        memcpy(&u2, a.p + a.n - 4, 4);
        memcpy(&v2, b.p + a.n - 4, 4);
        return u == v && u2 == v2;
    }
    return a.n == 0 || (a.p[0] == b.p[0] && a.p[a.n / 2] == b.p[a.n / 2] && a.p[a.n - 1] == b.p[a.n - 1]);
}

struct dict {
    struct str *values;
    int64_t *places;
    uint32_t n;
};

static inline uint64_t hash_str(struct str s)
{
    uint64_t a = 0, b = 0;

    if (s.n > 16)
        return hash64(s.p, s.n);
    if (s.n >= 8) {
        memcpy(&a, s.p, 8);
        memcpy(&b, s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        memcpy(&a, s.p, 4);
        memcpy(&b, s.p + s.n - 4, 4);
    } else if (s.n) {
        a = (uint64_t)(unsigned char)s.p[0] << 16 | (uint64_t)(unsigned char)s.p[s.n / 2] << 8 |
            (unsigned char)s.p[s.n - 1];
    }
    uint64_t h = (a ^ s.n) * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15) * 0xc2b2ae3d27d4eb4fu;
    return h ^ h >> 29;
}

/* A larger table of all values. */
static uint32_t *dict_table(struct slab *slab, const struct dict *d, uint32_t mask)
{
    uint32_t *table = slab_zalloc(slab, ((size_t)mask + 1) * sizeof *table);

    for (uint32_t i = 0; i < d->n; i++) {
        uint64_t h = hash_str(d->values[i]);
        uint32_t s = (uint32_t)(h ^ h >> 32) & mask;

        while (table[s])
            s = (s + 1) & mask;
        table[s] = i + 1;
    }
    return table;
}

/* False: too many different ones, at the end or by the look of the beginning. */
static bool dict_build(struct slab *slab, const struct str *v, uint32_t n, uint32_t max, struct dict *d)
{
    uint32_t slots = DICT_PROBE * 4, mask = slots - 1;
    uint32_t *table = slab_zalloc(slab, slots * sizeof *table);

    d->values = slab_array(slab, struct str, MIN(n, max));
    d->places = slab_array(slab, int64_t, n);
    d->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t h = hash_str(v[i]);
        uint32_t s = (uint32_t)(h ^ h >> 32) & mask;

        while (table[s] && !equal(d->values[table[s] - 1], v[i]))
            s = (s + 1) & mask;
        if (!table[s]) {
            if (d->n == max || (i >= DICT_PROBE && d->n > i - i / 4))
                return false;
            d->values[d->n++] = v[i];
            table[s] = d->n;
            d->places[i] = d->n - 1;
            if (d->n * 2 > mask) {
                mask = mask * 4 + 3;
                table = dict_table(slab, d, mask);
            }
            continue;
        }
        d->places[i] = table[s] - 1;
    }
    return true;
}

static void write_dict(struct column_out *o, const struct dict *d, uint32_t n, unsigned depth)
{
    out_byte(o, TEXT_DICT);
    out_num(o, d->n);
    text_write(o, d->values, d->n, NULL, depth + 1);
    ints_write(o, d->places, n);
}

/* --- split -------------------------------------------------------------------------------------------- */

/* What separates the lines of a value: 0 a newline, 1 backslash n (a JSON string with a stack trace in it). */
static const struct str separators[2] = {{"\n", 1}, {"\\n", 2}};

static uint32_t count_parts(struct str s, struct str sep)
{
    uint32_t n = 1;

    for (const char *p = s.p, *end = p + s.n; p < end && (p = memchr(p, sep.p[0], (size_t)(end - p))) != NULL; p++)
        n += (size_t)(end - p) >= sep.n && memcmp(p, sep.p, sep.n) == 0;
    return n;
}

static struct str *put_parts(struct str *to, struct str s, struct str sep)
{
    const char *from = s.p, *end = s.p + s.n;

    for (const char *p = from; p < end && (p = memchr(p, sep.p[0], (size_t)(end - p))) != NULL; p++)
        if ((size_t)(end - p) >= sep.n && memcmp(p, sep.p, sep.n) == 0) {
            *to++ = str_n(from, (size_t)(p - from));
            from = p + sep.n;
            p = from - 1;
        }
    *to++ = str_n(from, (size_t)(end - from));
    return to;
}

static bool split_write(struct column_out *o, const struct str *v, uint32_t n, unsigned depth)
{
    for (unsigned k = 0; k < ARRAY_LEN(separators); k++) {
        uint64_t parts = 0, total = 0;

        for (uint32_t i = 0; i < n && (i < 64 || parts >= (uint64_t)i * SPLIT_MIN); i++)
            parts += count_parts(v[i], separators[k]);
        if (parts < (uint64_t)n * SPLIT_MIN || parts > COLUMN_N_MAX || parts < 64)
            continue;
        int64_t *counts = slab_array(o->slab, int64_t, n);
        struct str *sub = slab_array(o->slab, struct str, parts), *at = sub;
        for (uint32_t i = 0; i < n; i++) {
            struct str *to = put_parts(at, v[i], separators[k]);

            counts[i] = to - at;
            at = to;
            total += v[i].n;
        }
        assert(at == sub + parts);
        out_byte(o, TEXT_SPLIT);
        out_byte(o, (uint8_t)k);
        ints_write(o, counts, n);
        out_num(o, parts);
        text_write(o, sub, (uint32_t)parts, NULL, depth + 1);
        out_num(o, total);
        return true;
    }
    return false;
}

static int split_parse(struct column_in *in, struct text *t, unsigned depth)
{
    uint8_t k;

    if (in_byte(in, &k) < 0 || k >= ARRAY_LEN(separators) || ints_parse(in, t->n, &t->ints) < 0 ||
        in_num32(in, COLUMN_N_MAX, &t->nsub) < 0 || text_parse(in, t->nsub, depth + 1, &t->sub) < 0 ||
        in_num(in, LOG_BLOCK_BYTES_MAX, &t->total) < 0)
        return ERR_CORRUPT;
    t->separator = separators[k];
    return 0;
}

/* Puts the parts of all values together. */
static int split_read(struct column_in *in, struct text *t)
{
    int64_t *counts = in_alloc(in, (t->n + (size_t)1) * sizeof *counts);
    uint64_t *cells = in_alloc(in, (t->n + (size_t)1) * sizeof *cells);
    char *out = in_alloc(in, t->total);
    uint32_t k = 0;
    size_t at = 0;

    if (!counts || !cells || !out || ints_read(in, &t->ints, counts) < 0 || text_read(in, t->sub, NULL) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++) {
        size_t begin = at;

        if (counts[i] < 1 || (uint64_t)counts[i] > t->nsub - k)
            return ERR_CORRUPT;
        for (int64_t j = 0; j < counts[i]; j++) {
            struct str s = text_at(t->sub, k++), sep = j ? t->separator : STR_NULL;

            if (s.n + sep.n > t->total - at)
                return ERR_CORRUPT;
            if (sep.n)
                memcpy(out + at, sep.p, sep.n);
            memcpy(out + at + sep.n, s.p, s.n);
            at += sep.n + s.n;
        }
        cells[i] = cell(begin, at - begin);
    }
    t->base = out;
    t->base_n = at;
    t->cells = cells;
    return k == t->nsub ? 0 : ERR_CORRUPT;
}

/* --- choosing ------------------------------------------------------------------------------------------- */

void text_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref, unsigned depth)
{
    struct dict d;

    assert(n <= COLUMN_N_MAX);
    if (n == 0 || all_same(v, n)) {
        write_const(o, v, n);
        return;
    }
    if (times_write(o, v, n, ref) || numbers_write(o, v, n))
        return;
    bool deeper = depth < COLUMN_DEPTH_MAX;
    if (deeper && n >= 8 && dict_build(o->slab, v, n, MIN((uint32_t)DICT_MAX, n / 2), &d)) {
        write_dict(o, &d, n, depth);
        return;
    }
    if (ips_write(o, v, n) || hex_write(o, v, n) ||
        (deeper && (split_write(o, v, n, depth) || shred_write(o, v, n, ref, depth))))
        return;
    write_strings(o, v, n);
}

/* --- reading ---------------------------------------------------------------------------------------------- */

uint64_t *cells_even(struct column_in *in, uint32_t n, size_t stride)
{
    uint64_t *cells = in_alloc(in, (n + (size_t)1) * sizeof *cells);

    if (cells)
        for (uint32_t i = 0; i < n; i++)
            cells[i] = cell(i * stride, stride);
    return cells;
}

int text_parse(struct column_in *in, uint32_t n, unsigned depth, struct text **out)
{
    struct text *t = in_alloc(in, sizeof *t);
    uint8_t kind;

    if (!t || depth > COLUMN_DEPTH_MAX + 1 || in_byte(in, &kind) < 0 || kind >= TEXT_KINDS)
        return ERR_CORRUPT;
    *t = (struct text){.kind = kind, .n = n};
    *out = t;
    switch (t->kind) {
    case TEXT_CONST:
        return in_run(in, POOL_TEXT, &t->run);
    case TEXT_STRINGS:
        return ints_parse(in, n, &t->ints) < 0 ? ERR_CORRUPT : in_run(in, POOL_TEXT, &t->run);
    case TEXT_DICT:
        if (in_num32(in, n, &t->nsub) < 0 || text_parse(in, t->nsub, depth + 1, &t->sub) < 0)
            return ERR_CORRUPT;
        return ints_parse(in, n, &t->ints);
    case TEXT_NUMBERS:
        return numbers_parse(in, t);
    case TEXT_TIMES:
        return times_parse(in, t);
    case TEXT_HEX:
        return hex_parse(in, t);
    case TEXT_SPLIT:
        return split_parse(in, t, depth);
    case TEXT_IPS:
        return ips_parse(in, t);
    default:
        if (shred_parse(in, n, depth, &t->shred) < 0)
            return ERR_CORRUPT;
        t->needs_ref = t->shred->needs_ref;
        return 0;
    }
}

static int const_read(struct column_in *in, struct text *t)
{
    uint64_t *cells = in_alloc(in, (t->n + (size_t)1) * sizeof *cells);

    if (!cells || run_bytes(in, &t->run, &t->base) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++)
        cells[i] = t->run.n;
    t->base_n = t->run.n;
    t->cells = cells;
    return 0;
}

static int strings_read(struct column_in *in, struct text *t)
{
    uint64_t *cells = in_alloc(in, (t->n + (size_t)1) * sizeof *cells), at = 0;

    if (!cells || run_bytes(in, &t->run, &t->base) < 0 || ints_read(in, &t->ints, (int64_t *)cells) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t len = cells[i];

        if (len > t->run.n - at)
            return ERR_CORRUPT;
        cells[i] = cell(at, len);
        at += len;
    }
    t->base_n = t->run.n;
    t->cells = cells;
    return at == t->run.n ? 0 : ERR_CORRUPT;
}

/* Places as they mostly are: plain numbers of one or two bytes, which need not be made wide first. */
static bool are_narrow(const struct ints *x)
{
    return x->order == 0 && !x->zigzag && x->base == 0 && x->scale == 1 && (x->nplanes == 1 || x->nplanes == 2);
}

static int read_narrow(struct column_in *in, const struct ints *x, uint32_t *out)
{
    const char *low, *high = NULL;

    if (run_bytes(in, &x->planes[0], &low) < 0 || (x->nplanes > 1 && run_bytes(in, &x->planes[1], &high) < 0))
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < x->n && !high; i++)
        out[i] = (uint8_t)low[i];
    for (uint32_t i = 0; i < x->n && high; i++)
        out[i] = (uint32_t)(uint8_t)high[i] << 8 | (uint8_t)low[i];
    return 0;
}

static int read_wide(struct column_in *in, const struct ints *x, uint32_t *out)
{
    int64_t *wide = in_alloc(in, (x->n + (size_t)1) * sizeof *wide);

    if (!wide || ints_read(in, x, wide) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < x->n; i++)
        out[i] = (uint64_t)wide[i] < UINT32_MAX ? (uint32_t)wide[i] : UINT32_MAX;
    return 0;
}

int text_read_dict(struct column_in *in, struct text *t)
{
    if (t->places)
        return 0;
    uint32_t *places = in_alloc(in, (t->n + (size_t)1) * sizeof *places), most = 0;

    if (!places || text_read(in, t->sub, NULL) < 0 ||
        (are_narrow(&t->ints) ? read_narrow(in, &t->ints, places) : read_wide(in, &t->ints, places)) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++)
        most = MAX(most, places[i]);
    if (t->n && most >= t->nsub)
        return ERR_CORRUPT;
    t->places = places;
    return 0;
}

static int dict_read(struct column_in *in, struct text *t, const uint64_t *want)
{
    uint64_t *cells = t->cells ? (uint64_t *)t->cells : in_alloc(in, (t->n + (size_t)1) * sizeof *cells);

    if (!cells || text_read_dict(in, t) < 0)
        return ERR_CORRUPT;
    for (uint32_t w = 0; w * 64 < t->n; w++)
        for (uint64_t left = wanted_bits(want, t->n, w); left; left &= left - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);

            cells[i] = t->sub->cells[t->places[i]];
        }
    t->base = t->sub->base;
    t->base_n = t->sub->base_n;
    t->cells = cells;
    return 0;
}

static int read_kind(struct column_in *in, struct text *t, const int64_t *ref)
{
    switch (t->kind) {
    case TEXT_CONST:
        return const_read(in, t);
    case TEXT_STRINGS:
        return strings_read(in, t);
    case TEXT_DICT:
        return dict_read(in, t, NULL);
    case TEXT_NUMBERS:
        return numbers_read(in, t, NULL);
    case TEXT_TIMES:
        return log_times_read(in, t, ref, NULL);
    case TEXT_HEX:
        return hex_read(in, t, NULL);
    case TEXT_SPLIT:
        return split_read(in, t);
    case TEXT_IPS:
        return ips_read(in, t);
    default:
        return shred_read(in, t, ref);
    }
}

int text_read(struct column_in *in, struct text *t, const int64_t *ref)
{
    if (t->ready)
        return 0;
    if (read_kind(in, t, ref) < 0)
        return ERR_CORRUPT;
    t->ready = true;
    return 0;
}

int text_read_some(struct column_in *in, struct text *t, const int64_t *ref, const uint64_t *want)
{
    if (t->ready)
        return 0;
    switch (t->kind) {
    case TEXT_NUMBERS:
        return numbers_read(in, t, want);
    case TEXT_TIMES:
        return log_times_read(in, t, ref, want);
    case TEXT_HEX:
        return hex_read(in, t, want);
    case TEXT_DICT:
        return dict_read(in, t, want);
    default:
        return text_read(in, t, ref);
    }
}

static bool plain_bytes(const char *p, size_t n)
{
    uint64_t high = 0, x;
    const char *end = p + n;

    for (; end - p >= 8; p += 8) {
        memcpy(&x, p, 8);
        high |= x;
    }
    for (; p < end; p++)
        high |= (unsigned char)*p;
    return !(high & 0x8080808080808080u) && (n == 0 || memchr(end - n, '\\', n) == NULL);
}

bool text_plain(struct text *t)
{
    enum { YES = 1, NO };

    if (!t->plain) {
        bool yes = true;

        if (t->kind == TEXT_DICT)
            yes = text_plain(t->sub);
        else if (text_is_costly(t)) /* no dictionary: what is written out is ASCII, and between that lies anything */
            yes = plain_bytes(t->bytes, t->literal.n);
        else
            yes = plain_bytes(t->base, t->base_n);
        t->plain = yes ? YES : NO;
    }
    return t->plain == YES;
}

const char *text_kind_name(enum text_kind k)
{
    static const char *const names[TEXT_KINDS] = {"const", "strings", "dict",  "numbers", "times",
                                                  "hex",   "split",   "shred", "ips"};

    return k < TEXT_KINDS ? names[k] : "?";
}
