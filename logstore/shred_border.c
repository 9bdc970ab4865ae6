/*
 * shred_border.c - whether a text can stand across the border between a literal and a slot's value.
 *
 * A template is walked from left to right with the set of all i such that the needle's first i bytes may end where we are. At a
 * literal that is a comparison; at a slot it is asked of the column: does a value begin with the rest, end with a beginning, or
 * is one nothing but the bytes from i to j?
 *
 * (1) What is not known of a column is taken to be possible.
 * (2) Values are looked at only where the literals beside the slot leave it open.
 */
#include "logstore/shred_find.h"

enum { NEEDLE_MAX = 64 }; /* longer ones may cross everything */

/* Bit i: of the needle's first i bytes, or of what is behind them. 0 < i < needle.n. */
struct border {
    uint64_t begins;            /* a value begins with all that is behind the first i bytes */
    uint64_t ends;              /* a value ends with the first i bytes */
    uint64_t spans[NEEDLE_MAX]; /* by i, bit j: a value is the bytes from i to j */
};

int find_borders_init(struct find_borders *f, struct column_in *in, struct shred *s, const int64_t *ref, struct str needle)
{
    size_t bytes = (s->ncolumns + (size_t)1) * sizeof(struct border *);

    *f = (struct find_borders){in, s, ref, needle, in_alloc(in, bytes)};
    if (!f->columns)
        return ERR_CORRUPT;
    memset(f->columns, 0, bytes);
    return 0;
}

/* --- columns --------------------------------------------------------------------------------------------------------- */

static inline uint64_t bit(size_t i)
{
    return UINT64_C(1) << i;
}

/* All i with 0 < i < n. */
static inline uint64_t all_places(size_t n)
{
    return n < 2 ? 0 : (n == 64 ? ~UINT64_C(0) : bit(n) - 1) & ~UINT64_C(1);
}

/* By the bytes that values may have; set NULL: any. */
static void by_alphabet(struct border *b, struct str needle, const uint64_t *set)
{
    size_t n = needle.n, good = n, from = n;

    for (size_t i = n; i-- > 0;) { /* good: the first byte from i on that no value has */
        if (set && !find_has(set, (unsigned char)needle.p[i]))
            good = i;
        if (good == n)
            from = i;
        for (size_t j = i; i > 0 && j <= MIN(good, n - 1); j++)
            b->spans[i] |= bit(j);
    }
    b->begins = from < n ? all_places(n) & ~(bit(from) - 1) : 0;
    b->ends = good < n - 1 ? all_places(good + 1) : all_places(n);
}

static void by_value(struct border *b, struct str needle, struct str v, const uint64_t *first, const uint64_t *last)
{
    if (v.n == 0) {
        for (size_t i = 1; i < needle.n; i++)
            b->spans[i] |= bit(i);
        return;
    }
    for (uint64_t left = last[(unsigned char)v.p[v.n - 1]] & ~b->ends; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);

        if (i <= v.n && memcmp(v.p + v.n - i, needle.p, i) == 0)
            b->ends |= bit(i);
    }
    for (uint64_t left = first[(unsigned char)v.p[0]]; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left), rest = needle.n - i;

        if (memcmp(v.p, needle.p + i, MIN(rest, v.n)) != 0)
            continue;
        if (v.n >= rest)
            b->begins |= bit(i);
        else
            b->spans[i] |= bit(i + v.n);
    }
}

static void by_values(struct border *b, struct str needle, const struct text *t)
{
    uint64_t first[256] = {0}, last[256] = {0};

    for (size_t i = 1; i < needle.n; i++) {
        first[(unsigned char)needle.p[i]] |= bit(i);
        last[(unsigned char)needle.p[i - 1]] |= bit(i);
    }
    for (uint32_t i = 0; i < t->n; i++)
        by_value(b, needle, text_at(t, i), first, last);
}

static int look_at(struct find_borders *f, uint32_t column, const struct border **out)
{
    struct text *t = f->s->columns[column];
    struct border *b = f->columns[column];
    uint64_t set[4];

    *out = b;
    if (b)
        return 0;
    f->columns[column] = b = in_alloc(f->in, sizeof *b);
    if (!b)
        return ERR_CORRUPT;
    *b = (struct border){0};
    *out = b;
    if (t->kind == TEXT_DICT)
        t = t->sub;
    if (find_alphabet(f->in, t, set)) {
        by_alphabet(b, f->needle, set);
    } else if (t->kind == TEXT_STRINGS || t->kind == TEXT_CONST || t->ready) {
        if (text_read(f->in, t, NULL) < 0)
            return ERR_CORRUPT;
        by_values(b, f->needle, t);
    } else {
        by_alphabet(b, f->needle, NULL);
    }
    return 0;
}

/* --- templates ------------------------------------------------------------------------------------------------------- */

/* Beginnings of the needle that end with the literal and lie in it. */
static uint64_t begun_in(struct str literal, struct str needle)
{
    uint64_t s = 0;

    for (size_t i = 1; i < needle.n && i <= literal.n; i++)
        if (literal.p[literal.n - i] == needle.p[0] && memcmp(literal.p + literal.n - i, needle.p, i) == 0)
            s |= bit(i);
    return s;
}

/* The i behind which the needle may go on with the literal; *all: those with which it comes to its end there. */
static uint64_t goes_on_in(struct str literal, struct str needle, uint64_t *all)
{
    uint64_t s = 0;

    *all = 0;
    for (size_t i = 1; i < needle.n; i++) {
        size_t rest = needle.n - i;

        if (memcmp(literal.p, needle.p + i, MIN(rest, literal.n)) != 0)
            continue;
        s |= bit(i);
        if (literal.n >= rest)
            *all |= bit(i);
    }
    return s;
}

int find_crosses(struct find_borders *f, const struct shred_template *t, bool *may)
{
    const struct shred_piece *p = t->pieces;
    struct str needle = f->needle;
    uint64_t at, after, on, all;
    const struct border *b;

    *may = t->npieces > 1 && needle.n > NEEDLE_MAX;
    if (t->npieces < 2 || *may)
        return 0;
    at = begun_in(str_n(p->literal, p->literal_n), needle);
    for (; p->slot; p++) {
        struct str literal = str_n(p[1].literal, p[1].literal_n);

        on = goes_on_in(literal, needle, &all);
        if (!p[1].slot) /* there is nothing behind */
            on = all;
        after = 0;
        if (at || on) {
            if (look_at(f, p->slot->column, &b) < 0)
                return ERR_CORRUPT;
            *may = (at & b->begins) != 0;
            after = b->ends;
            for (uint64_t left = at; left; left &= left - 1)
                after |= b->spans[__builtin_ctzll(left)];
            *may = *may || (after & all);
            if (*may)
                return 0;
        }
        /* What goes on through the whole literal, and what begins in it. */
        at = (literal.n < NEEDLE_MAX ? (after & on) << literal.n : 0) | begun_in(literal, needle);
    }
    return 0;
}
