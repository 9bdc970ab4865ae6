/*
 * filter.c - the token filter of a block: written from its columns, asked without touching the block.
 *
 *   +-------+---------------------------------------------------------------------------------------+
 *   | u8    | version 1                                                                             |
 *   | u8    | what is in, 1: grams, 2: ids of 16 bytes and more, 16: shorter ones, 8: metadata;     |
 *   |       | 4: a \u escape hides a token byte                                                     |
 *   | u64   | lens: bit min(n, 63) is set if there is an alphanumeric token with a digit of n bytes |
 *   | u64   | runs: the same of the longest alphanumeric run of other tokens with a digit           |
 *   | u64   | totals: the same of the length of such tokens                                         |
 *   | fuse  | filter_fuse.c: the set of all hashes                                                  |
 *   +-------+---------------------------------------------------------------------------------------+
 *
 * (1) A string that stands in a line is never denied: what is asked of a needle holds for every line around it. A token
 *     that touches the needle's edge may be a part of a longer one; lens, runs and totals tell whether there are such.
 * (2) Pieces of lines are given one by one (filter_text): they begin and end where no token goes on.
 */
#include "logstore/filter.h"
#include "logstore/filter_fuse.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    ID_MIN = FILTER_ID_MIN,
    ID_LONG = 16,
    ID_MAX = FILTER_ID_MAX,
    GRAMS_MAX = 1 << 16,
    IDS_MAX = 1 << 17,
    HEAD_BYTES = 26,
    BUDGET_PART = 16 /* bytes of the block for one hash, which takes 9 to 10 bits */,
    BUDGET_MIN = 1024
};
enum { HAS_GRAMS = 1, HAS_IDS = 2, HAS_ESCAPES = 4, HAS_METAS = 8, HAS_SHORT_IDS = 16 };
enum { SALT_ID = 0x69, SALT_META = 0x6d };

#define L TOKEN_LETTER
#define D TOKEN_DIGIT
const uint8_t token_class[256] = {
    ['0'] = D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    D,
    ['A'] = L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    ['a'] = L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    L,
    ['_'] = TOKEN_OTHER,
    ['.'] = TOKEN_EDGE,
    ['-'] = TOKEN_EDGE,
};
#undef L
#undef D

/* --- sets of hashes --------------------------------------------------------------------------------------- */

struct hash_set {
    uint64_t *slots; /* 0: free */
    uint32_t n, mask;
};

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

static void set_grow(struct hash_set *s)
{
    struct hash_set big = {.mask = s->mask ? s->mask * 2 + 1 : 4095};

    big.slots = x_zalloc(((size_t)big.mask + 1) * sizeof *big.slots);
    for (uint32_t i = 0; s->slots && i <= s->mask; i++)
        if (s->slots[i]) {
            uint32_t at = (uint32_t)s->slots[i] & big.mask;

            while (big.slots[at])
                at = (at + 1) & big.mask;
            big.slots[at] = s->slots[i];
            big.n++;
        }
    free(s->slots);
    *s = big;
}

static inline void set_add(struct hash_set *s, uint64_t h)
{
    h += h == 0;
    uint32_t at = (uint32_t)h & s->mask;

    while (s->slots[at] && s->slots[at] != h)
        at = (at + 1) & s->mask;
    if (s->slots[at])
        return;
    s->slots[at] = h;
    if (++s->n > s->mask / 2)
        set_grow(s);
}

/* A large one stays large while blocks fill it. */
static void set_reset(struct hash_set *s)
{
    if (!s->slots || (s->mask > 1 << 16 && s->n < s->mask / 16)) {
        free(s->slots);
        *s = (struct hash_set){0};
        set_grow(s);
    } else if (s->n) {
        memset(s->slots, 0, ((size_t)s->mask + 1) * sizeof *s->slots);
        s->n = 0;
    }
}

/* --- tokens ------------------------------------------------------------------------------------------------ */

struct token {
    const char *p;
    size_t n;
    unsigned classes; /* union */
    size_t run_max;   /* longest alphanumeric run */
};

static struct token look_at(const char *p, size_t n)
{
    struct token t;
    size_t run = 0;

    while (n && token_class[(unsigned char)p[0]] == TOKEN_EDGE) {
        p++;
        n--;
    }
    while (n && token_class[(unsigned char)p[n - 1]] == TOKEN_EDGE)
        n--;
    t = (struct token){.p = p, .n = n};
    for (size_t i = 0; i < n; i++) {
        unsigned c = token_class[(unsigned char)p[i]];

        t.classes |= c;
        run = c & (TOKEN_LETTER | TOKEN_DIGIT) ? run + 1 : 0;
        t.run_max = MAX(t.run_max, run);
    }
    return t;
}

/*
 * Digits, T, Z, dots and dashes, with a dot also a unit behind, but not digits alone and no IPv4 address: too many, and nobody looks
 * for them.
 */
static bool number_like(const struct token *t)
{
    unsigned dots = 0, others = 0;

    if (!(t->classes & TOKEN_DIGIT) || t->classes & TOKEN_OTHER)
        return false;
    size_t n = t->n, unit = 0;
    while (unit < 3 && token_class[(unsigned char)t->p[n - 1]] == TOKEN_LETTER) {
        n--;
        unit++;
    }
    if (unit && !memchr(t->p, '.', n))
        n = t->n;
    for (size_t i = 0; i < n; i++) {
        char c = t->p[i];

        if (c == '.')
            dots++;
        else if (c == 'T' || c == 'Z' || c == '-')
            others++;
        else if (token_class[(unsigned char)c] != TOKEN_DIGIT)
            return false;
    }
    return dots + others > 0 && !(dots == 3 && others == 0);
}

static inline uint64_t id_hash(const struct token *t)
{
    return mix(hash64(t->p, t->n) + SALT_ID);
}

static inline uint64_t gram_hash(uint32_t gram)
{
    return mix(gram | (uint64_t)1 << 40);
}

static uint64_t meta_hash(struct str name, struct str value)
{
    return mix(hash64(name.p, name.n) * 31 + hash64(value.p, value.n) + SALT_META);
}

/* --- writing ------------------------------------------------------------------------------------------------ */

enum { RECENT = 1 << 12, WAITING = 16 };

struct filter_out {
    struct hash_set grams, ids, short_ids, metas;
    uint32_t recent[RECENT]; /* grams added lately */
    uint64_t lens, runs, totals;
    bool escapes;
    struct { /* ids on their way into a set: the memory that they need is on its way too */
        struct hash_set *set;
        uint64_t hash;
    } waiting[WAITING];
    unsigned nwaiting; /* so far; the last WAITING of them are there */
    struct fuse_builder fuse;
};

struct filter_out *filter_out_new(void)
{
    return x_zalloc(sizeof(struct filter_out));
}

void filter_out_free(struct filter_out *f)
{
    if (!f)
        return;
    free(f->grams.slots);
    free(f->ids.slots);
    free(f->short_ids.slots);
    free(f->metas.slots);
    fuse_builder_release(&f->fuse);
    free(f);
}

void filter_out_begin(struct filter_out *f)
{
    set_reset(&f->grams);
    set_reset(&f->ids);
    set_reset(&f->short_ids);
    set_reset(&f->metas);
    memset(f->recent, 0, sizeof f->recent);
    memset(f->waiting, 0, sizeof f->waiting);
    f->lens = f->runs = f->totals = 0;
    f->escapes = false;
}

static inline uint64_t length_bit(size_t n)
{
    return UINT64_C(1) << MIN(n, (size_t)63);
}

/* Adds the oldest one that waits. */
static inline void add_waiting(struct filter_out *f, unsigned i)
{
    struct hash_set *s = f->waiting[i].set;

    if (s && s->n < IDS_MAX)
        set_add(s, f->waiting[i].hash);
    f->waiting[i].set = NULL;
}

static inline void add_id(struct filter_out *f, struct hash_set *s, uint64_t hash)
{
    unsigned i = f->nwaiting++ % WAITING;

    add_waiting(f, i);
    f->waiting[i].set = s;
    f->waiting[i].hash = hash;
    __builtin_prefetch(&s->slots[(uint32_t)hash & s->mask], 1);
}

static void add_token(struct filter_out *f, const char *p, size_t n, unsigned classes)
{
    struct token t = {.p = p, .n = n, .classes = classes, .run_max = n};

    if (classes & (TOKEN_OTHER | TOKEN_EDGE))
        t = look_at(p, n);

    if (t.classes & (TOKEN_OTHER | TOKEN_EDGE)) {
        f->runs |= length_bit(t.run_max);
        f->totals |= length_bit(t.n);
    } else {
        f->lens |= length_bit(t.n);
    }
    struct hash_set *ids = t.n < ID_LONG ? &f->short_ids : &f->ids;
    if (t.n >= ID_MIN && t.n <= ID_MAX && ids->n < IDS_MAX && !number_like(&t))
        add_id(f, ids, id_hash(&t));
}

static inline void add_gram(struct filter_out *f, uint32_t gram)
{
    uint32_t *seen = &f->recent[(gram * 0x9e3779b1u) >> 20];

    if (*seen == gram)
        return;
    *seen = gram;
    if (f->grams.n < GRAMS_MAX)
        set_add(&f->grams, gram_hash(gram));
}

/* Does a \u escape stand for a token byte? */
static bool hides_token_byte(const char *p, const char *end)
{
    char hex[5] = {0};

    if (end - p < 6 || p[1] != 'u')
        return false;
    memcpy(hex, p + 2, 4);
    unsigned long c = strtoul(hex, NULL, 16);
    return c < 256 && token_byte((unsigned char)c);
}

/* One byte after the other; from a token's begin, or a byte that is none. Returns the end of the first token. */
static const char *scan_token(struct filter_out *f, const char *p, const char *end)
{
    const char *begin = p;
    unsigned c, all = 0, letters = 0;

    for (; p < end && (c = token_class[(unsigned char)*p]) != 0; p++) {
        all |= c;
        letters = c == TOKEN_LETTER ? letters + 1 : 0;
        if (letters >= 4)
            add_gram(f, get_u32le(p - 3));
    }
    if (all & TOKEN_DIGIT && p - begin >= ID_MIN)
        add_token(f, begin, (size_t)(p - begin), all);
    return p;
}

#ifndef __SSE2__
static void scan_slow(struct filter_out *f, const char *p, const char *end)
{
    while (p < end) {
        const char *q = scan_token(f, p, end);

        if (q == p && *p == '\\' && hides_token_byte(p, end))
            f->escapes = true;
        p = q + (q == p);
    }
}
#else
/* Sorts of 64 bytes, a bit for each. */
struct sorts {
    uint64_t letters, digits, tokens, slashes;
};

static inline uint64_t in_range(__m128i x, char from, char to)
{
    return (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8((char)(from - 1))),
                                                     _mm_cmplt_epi8(x, _mm_set1_epi8((char)(to + 1)))));
}

static inline uint64_t equal(__m128i x, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(c)));
}

static inline struct sorts sort_bytes(const char *p, size_t n)
{
    struct sorts s = {0};

    for (unsigned k = 0; k < n; k += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + k));

        s.letters |= in_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z') << k;
        s.digits |= in_range(x, '0', '9') << k;
        s.tokens |= (equal(x, '_') | equal(x, '.') | equal(x, '-')) << k;
        s.slashes |= equal(x, '\\') << k;
    }
    s.tokens |= s.letters | s.digits;
    return s;
}

/* The grams and ids of up to 64 bytes; 16 more can be read. */
static void scan_sorted(struct filter_out *f, const char *p, const struct sorts *s)
{
    uint64_t two = s->letters & s->letters << 1;

    for (uint64_t g = two & two << 2; g; g &= g - 1)
        add_gram(f, get_u32le(p + __builtin_ctzll(g) - 3));
    uint64_t runs = s->tokens & s->tokens >> 1;
    runs &= runs >> 2;
    runs &= runs >> 4; /* bits at which eight token bytes begin */
    while (runs) {
        unsigned at = (unsigned)__builtin_ctzll(runs);
        uint64_t rest = ~(s->tokens >> at);
        unsigned n = rest ? (unsigned)__builtin_ctzll(rest) : 64 - at;
        uint64_t mask = n == 64 ? ~UINT64_C(0) : ((UINT64_C(1) << n) - 1) << at;

        if (s->digits & mask)
            add_token(f, p + at, n,
                      TOKEN_DIGIT | (mask & ~(s->letters | s->digits) ? TOKEN_OTHER : 0) |
                          (mask & s->letters ? TOKEN_LETTER : 0));
        runs &= ~mask;
    }
}

void filter_text(struct filter_out *f, struct str text)
{
    if (!f || text.n == 0)
        return;
    const char *p = text.p, *end = text.p + text.n;
    while (p < end) {
        char tail[64 + 16];
        size_t n = (size_t)MIN(end - p, 64);
        const char *from = p;

        if (n < 64) { /* what lies behind the text is not ours */
            memcpy(tail, p, n);
            memset(tail + n, 0, n % 16 ? 16 - n % 16 : 0);
            from = tail;
        }
        struct sorts s = sort_bytes(from, n);
        if (n == 64 && s.tokens >> 63 &&
            end - p > 64) { /* a token goes on: it is for the next round, or too long for this */
            unsigned last = s.tokens == ~UINT64_C(0) ? 0 : 64 - (unsigned)__builtin_clzll(~s.tokens);

            if (last == 0) {
                p = scan_token(f, p, end);
                continue;
            }
            uint64_t keep = (UINT64_C(1) << last) - 1;
            s.letters &= keep;
            s.digits &= keep;
            s.tokens &= keep;
            s.slashes &= keep;
            n = last;
        }
        for (uint64_t b = s.slashes; b && !f->escapes; b &= b - 1)
            f->escapes = hides_token_byte(p + __builtin_ctzll(b), end);
        scan_sorted(f, from, &s);
        p += n;
    }
}
#endif
#ifndef __SSE2__
void filter_text(struct filter_out *f, struct str text)
{
    if (f && text.n)
        scan_slow(f, text.p, text.p + text.n);
}
#endif

void filter_meta(struct filter_out *f, struct str name, struct str value)
{
    if (f && f->metas.n < IDS_MAX)
        set_add(&f->metas, meta_hash(name, value));
}

/* Sets go in as long as there is room: small ones first. Returns which. */
static unsigned choose_sets(const struct filter_out *f, size_t budget, size_t *total)
{
    struct {
        const struct hash_set *set;
        unsigned has, max;
    } sets[] = {{&f->grams, HAS_GRAMS, GRAMS_MAX},
                {&f->metas, HAS_METAS, IDS_MAX},
                {&f->ids, HAS_IDS, IDS_MAX},
                {&f->short_ids, HAS_SHORT_IDS, IDS_MAX}};
    unsigned has = 0;

    *total = 0;
    for (size_t k = 0; k < ARRAY_LEN(sets); k++)
        if (sets[k].set->n < sets[k].max && *total + sets[k].set->n <= budget) {
            has |= sets[k].has;
            *total += sets[k].set->n;
        }
    return has;
}

static void put_set(struct filter_out *f, const struct hash_set *s)
{
    for (uint32_t i = 0; i <= s->mask; i++)
        if (s->slots[i])
            fuse_builder_add(&f->fuse, s->slots[i]);
}

void filter_out_end(struct filter_out *f, size_t block_bytes, struct buf *b)
{
    size_t budget = MAX(block_bytes / BUDGET_PART, (size_t)BUDGET_MIN), total, begin = b->n;
    unsigned has;

    for (unsigned i = 0; i < WAITING; i++)
        add_waiting(f, i);
    has = choose_sets(f, budget, &total);

    buf_putc(b, 1);
    buf_putc(b, (char)(has | (f->escapes ? HAS_ESCAPES : 0)));
    buf_put_u64(b, f->lens);
    buf_put_u64(b, f->runs);
    buf_put_u64(b, f->totals);
    fuse_builder_begin(&f->fuse, total);
    if (has & HAS_GRAMS)
        put_set(f, &f->grams);
    if (has & HAS_METAS)
        put_set(f, &f->metas);
    if (has & HAS_IDS)
        put_set(f, &f->ids);
    if (has & HAS_SHORT_IDS)
        put_set(f, &f->short_ids);
    if (!fuse_builder_end(&f->fuse, b)) {
        b->n = begin; /* a filter of version 0 denies nothing */
        buf_putc(b, 0);
    }
}

/* --- asking --------------------------------------------------------------------------------------------------- */

struct filter {
    unsigned has;
    uint64_t lens, runs, totals;
    struct fuse fuse;
};

static bool filter_open(struct filter *f, struct str s)
{
    if (s.n < HEAD_BYTES || s.p[0] != 1)
        return false;
    f->has = (unsigned char)s.p[1];
    f->lens = get_u64le(s.p + 2);
    f->runs = get_u64le(s.p + 10);
    f->totals = get_u64le(s.p + 18);
    return fuse_open(&f->fuse, str_from(s, HEAD_BYTES));
}

/* Is there a length beyond n (or n itself) in the set? */
static bool any_longer(uint64_t set, size_t n, bool or_equal)
{
    size_t from = n + !or_equal;

    return from > 63 ? set >> 63 : (set >> from) != 0;
}

/* Could t, a part of a needle, stand in a line? open: it may be a part of a longer token. */
static bool token_may(const struct filter *f, const struct token *t, bool open)
{
    if (!(t->classes & TOKEN_DIGIT) || t->n < ID_MIN || t->n > ID_MAX || number_like(t) ||
        !(f->has & (t->n < ID_LONG ? HAS_SHORT_IDS : HAS_IDS)))
        return true;
    if (fuse_has(&f->fuse, id_hash(t)))
        return true;
    if (!open)
        return false;
    if (t->classes & (TOKEN_OTHER | TOKEN_EDGE))
        return any_longer(f->totals, t->n, false);
    return any_longer(f->lens, t->n, false) || any_longer(f->runs, t->n, true);
}

/* Bytes that a JSON or logfmt string may write as an escape, whose letters then join the token behind. */
static bool may_be_escaped(unsigned char c)
{
    return c < ' ' || c >= 0x7f || (c && strchr("\"\\/<>&'", c));
}

/* field: s is a whole value, else any part of a line. */
static bool text_may(const struct filter *f, struct str s, bool field)
{
    if (s.n == 0)
        return true;
    const char *p = s.p, *end = s.p + s.n;

    while (p < end) {
        unsigned c = token_class[(unsigned char)*p], letters = 0;

        if (!c) {
            p++;
            continue;
        }
        const char *begin = p;
        bool open = begin == s.p ? !field : field && may_be_escaped((unsigned char)begin[-1]);
        do {
            letters = c == TOKEN_LETTER ? letters + 1 : 0;
            if (letters >= 4 && f->has & HAS_GRAMS && !fuse_has(&f->fuse, gram_hash(get_u32le(p - 3))))
                return false;
        } while (++p < end && (c = token_class[(unsigned char)*p]) != 0);
        struct token t = look_at(begin, (size_t)(p - begin));
        if (!token_may(f, &t, open || (p == end && !field)))
            return false;
    }
    return true;
}

static bool value_may(const struct filter *f, const struct log_hint *h, struct str value)
{
    switch (h->kind) {
    case LOG_HINT_LINE:
        return text_may(f, value, false);
    case LOG_HINT_FIELD:
        return f->has & HAS_ESCAPES || text_may(f, value, true);
    case LOG_HINT_META:
        return !(f->has & HAS_METAS) || fuse_has(&f->fuse, meta_hash(h->name, value));
    case LOG_HINT_NO_LINE:
        return true;
    }
    return true;
}

bool log_filter_may_match(struct str bytes, const struct log_hint *hints, uint32_t nhints)
{
    struct filter f;

    if (!filter_open(&f, bytes))
        return true;
    for (uint32_t i = 0; i < nhints; i++) {
        bool may = false;

        for (uint32_t k = 0; k < hints[i].nvalues && !may; k++)
            may = value_may(&f, &hints[i], hints[i].values[k]);
        if (!may)
            return false;
    }
    return true;
}
