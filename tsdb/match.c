/*
 * match.c - matchers over the head's pairs. The matcher with the fewest series behind it gives the candidates from
 * postings; the others look at the candidates' own labels, asking each distinct value once.
 */
#include "tsdb/match.h"

#include <assert.h>
#include <stdlib.h>

enum { UNKNOWN, YES, NO };

/* A matcher while matching. */
struct test {
    const struct matcher *m;
    uint32_t name;     /* id, or SYMBOL_NONE: no series has such a label */
    bool empty;        /* matches the absent label */
    uint32_t eq;       /* MATCH_EQ: the pair, or SYMBOL_NONE */
    uint8_t *verdicts; /* by pair id, made when first needed */
    uint32_t *pairs;   /* the pairs it matches, when it was listed */
    uint32_t npairs;
    uint64_t series; /* behind those pairs */
    bool listed;
    struct walk *walk;
};

static bool matches_pair(const struct head *h, struct test *t, uint32_t pair)
{
    if (t->m->op == MATCH_EQ)
        return pair == t->eq;
    if (!t->verdicts)
        t->verdicts = x_zalloc(h->symbols.npairs);
    if (t->verdicts[pair] == UNKNOWN && !walk_must_end(t->walk, WALK_A_VALUE))
        t->verdicts[pair] = matcher_matches(t->m, pair_value(pair_get(&h->symbols, pair))) ? YES : NO;
    return t->verdicts[pair] == YES;
}

static void add_pair(const struct head *h, struct test *t, uint32_t pair)
{
    t->pairs[t->npairs++] = pair;
    t->series += pair_get(&h->symbols, pair)->postings.n;
}

static void list_set(const struct head *h, struct test *t, const struct str *set, uint32_t n)
{
    t->pairs = x_alloc(sizeof *t->pairs * n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t pair = pair_find(&h->symbols, t->name, set[i]);
        bool twice = pair == SYMBOL_NONE;
        for (uint32_t k = 0; k < t->npairs && !twice; k++)
            twice = t->pairs[k] == pair;
        if (!twice)
            add_pair(h, t, pair);
    }
}

/* The pairs that match, and how many series they have. Not for matchers that the absent label matches. */
static void list_pairs(const struct head *h, struct test *t)
{
    const struct regex_facts *f = t->m->op == MATCH_RE ? regex_facts(t->m->re) : NULL;
    const struct head_name *name;

    assert(!t->empty);
    t->listed = true;
    if (t->name == SYMBOL_NONE)
        return;
    if (t->m->op == MATCH_EQ || (f && f->nset && f->nset < 256)) {
        list_set(h, t, t->m->op == MATCH_EQ ? &t->m->value : f->set, t->m->op == MATCH_EQ ? 1 : f->nset);
        return;
    }
    name = name_get(&h->symbols, t->name);
    t->pairs = x_alloc(sizeof *t->pairs * name->npairs);
    for (uint32_t i = 0; i < name->npairs && !walk_must_end(t->walk, WALK_A_VALUE); i++) {
        struct str value = pair_value(pair_get(&h->symbols, name->pairs[i]));
        if (f && (!str_starts(value, f->prefix) ||
                  (!f->prefix_then_any && !f->matches_any && !matcher_matches(t->m, value))))
            continue;
        if (!f && !matcher_matches(t->m, value))
            continue;
        add_pair(h, t, name->pairs[i]);
    }
}

static void test_init(const struct head *h, struct test *t, const struct matcher *m, struct walk *walk)
{
    *t = (struct test){
        .m = m, .walk = walk, .name = name_find(&h->symbols, m->name), .empty = matcher_matches(m, STR_NULL), .eq = SYMBOL_NONE};
    if (m->op == MATCH_EQ && t->name != SYMBOL_NONE)
        t->eq = pair_find(&h->symbols, t->name, m->value);
}

static bool passes(const struct head *h, struct test *t, const struct series *s)
{
    if (t->name != SYMBOL_NONE)
        for (uint32_t i = 0; i < s->npairs; i++)
            if (pair_get(&h->symbols, s->pairs[i])->name == t->name)
                return matches_pair(h, t, s->pairs[i]);
    return t->empty;
}

static int by_ref(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* All series behind the pairs of t, ascending. Each has one pair of a name, so none comes twice. */
static uint32_t *read_candidates(const struct head *h, const struct test *t, uint32_t *n)
{
    uint32_t *refs = x_alloc(sizeof *refs * t->series), at = 0;
    uint64_t *bits;

    for (uint32_t i = 0; i < t->npairs; i++)
        at += postings_read(&pair_get(&h->symbols, t->pairs[i])->postings, refs + at);
    *n = at;
    if (t->npairs < 2)
        return refs;
    if (at < h->nrefs / 64) {
        qsort(refs, at, sizeof *refs, by_ref);
        return refs;
    }
    bits = x_zalloc(((size_t)h->nrefs / 64 + 1) * sizeof *bits);
    for (uint32_t i = 0; i < at; i++)
        bits[refs[i] / 64] |= UINT64_C(1) << refs[i] % 64;
    at = 0;
    for (uint32_t w = 0; w <= h->nrefs / 64; w++)
        for (uint64_t b = bits[w]; b; b &= b - 1)
            refs[at++] = w * 64 + (uint32_t)__builtin_ctzll(b);
    free(bits);
    return refs;
}

static uint32_t *all_refs(const struct head *h, uint32_t *n)
{
    uint32_t *refs = x_alloc(sizeof *refs * h->nlive);

    *n = 0;
    for (; h->nlive == h->nrefs && *n < h->nrefs; (*n)++) /* none was ever removed: no need to look at them */
        refs[*n] = *n;
    for (uint32_t ref = *n; ref < h->nrefs; ref++)
        if (head_block(h, ref) && series_live(head_series(h, ref)))
            refs[(*n)++] = ref;
    return refs;
}

/* The listed test with the fewest series, or NULL when none narrows anything. */
static struct test *narrowest(const struct head *h, struct test *tests, uint32_t n)
{
    struct test *best = NULL;

    for (uint32_t i = 0; i < n; i++) {
        struct test *t = &tests[i];
        if (t->empty)
            continue;
        /* Listing the values of a big label only pays if no = has already made it a small job. */
        if (t->m->op != MATCH_EQ && best && t->name != SYMBOL_NONE &&
            name_get(&h->symbols, t->name)->npairs > best->series)
            continue;
        list_pairs(h, t);
        if (!best || t->series < best->series)
            best = t;
    }
    return best && best->series < h->nlive ? best : NULL;
}

static int eq_first(const void *a, const void *b)
{
    const struct test *x = a, *y = b;

    return (x->m->op != MATCH_EQ) - (y->m->op != MATCH_EQ);
}

uint32_t *head_match(const struct head *h, const struct matcher *m, uint32_t nm, struct walk *walk, uint32_t *out_n)
{
    struct test *tests = x_alloc(sizeof *tests * nm), *base;
    uint32_t *refs, n, kept = 0;

    for (uint32_t i = 0; i < nm; i++)
        test_init(h, &tests[i], &m[i], walk);
    if (nm)
        qsort(tests, nm, sizeof *tests, eq_first);
    base = narrowest(h, tests, nm);
    refs = base ? read_candidates(h, base, &n) : all_refs(h, &n);
    for (uint32_t k = 0; k < nm; k++) {
        struct test *t = &tests[k];
        if (t == base || (t->listed && t->series == h->nlive)) /* every series has such a label */
            continue;
        kept = 0;
        for (uint32_t i = 0; i < n && !walk_must_end(walk, 1); i++) {
            if (i + 8 < n)
                __builtin_prefetch(head_series(h, refs[i + 8]));
            if (passes(h, t, head_series(h, refs[i])))
                refs[kept++] = refs[i];
        }
        n = kept;
    }
    for (uint32_t k = 0; k < nm; k++) {
        free(tests[k].pairs);
        free(tests[k].verdicts);
    }
    free(tests);
    *out_n = n;
    return refs;
}
