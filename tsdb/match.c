/*
 * match.c - matchers over the head's pairs. The matcher with the fewest series behind it gives the candidates from
 * postings; the others look at the candidates' own labels, asking each distinct value once.
 *
 * (1) A regular expression may take many microseconds a value. Under the index lock, for which ingest and every other query may wait,
 *     values are asked for judge_locked_ns at most; the rest are noted, asked with no lock held, and the match is tried again. (Where
 *     values come in faster than they can be asked, the last try asks all under the lock.)
 * (2) What was said of a pair stays true for the whole match: its id means another pair only after an epoch (symbols.h), and a
 *     pair is noted by nobody who is not inside one that began before.
 */
#include "tsdb/match.h"

#include <assert.h>
#include <stdlib.h>

enum verdict { UNKNOWN, NOTED, YES, NO };

enum { TRIES_MAX = 8, LOOK_AT_CLOCK = 16 /* values */, AHEAD = 8 };

static int64_t judge_locked_ns = 1000000; /* tests change it */

/* A matcher while matching. */
struct test {
    const struct matcher *m;
    bool empty; /* matches the absent label */

    /* Of all tries. */
    uint8_t *verdicts; /* enum verdict by pair id, of those below nverdicts */
    uint32_t nverdicts;

    /* Of this try. */
    uint32_t name;   /* id, or SYMBOL_NONE: no series has such a label */
    uint32_t eq;     /* MATCH_EQ: the pair, or SYMBOL_NONE */
    uint32_t *pairs; /* the pairs it matches, when it was listed */
    uint32_t npairs;
    uint64_t series; /* behind those pairs */
    bool listed;
    uint32_t judged; /* under the lock */
    int64_t judge_until_ns;
    uint32_t *noted, nnoted, cap;
};

struct match {
    struct head *h;
    struct test *tests;
    uint32_t n, tries;
    const struct tsdb_limits *limits;
    struct walk locked; /* of what runs under the lock */
};

/* --- verdicts ------------------------------------------------------------------------------------------- */

static bool is_regex(const struct test *t)
{
    return t->m->op == MATCH_RE || t->m->op == MATCH_NRE;
}

static void judge(const struct head *h, struct test *t, uint32_t pair)
{
    t->verdicts[pair] = matcher_matches(t->m, pair_value(pair_get(&h->symbols, pair))) ? YES : NO;
}

static enum verdict verdict_of(const struct head *h, struct test *t, uint32_t pair)
{
    uint32_t npairs = h->symbols.npairs;

    if (pair >= t->nverdicts) {
        uint8_t *more = x_zalloc(npairs); /* all UNKNOWN */

        if (t->nverdicts)
            memcpy(more, t->verdicts, t->nverdicts);
        free(t->verdicts);
        t->verdicts = more;
        t->nverdicts = npairs;
    }
    return t->verdicts[pair];
}

/* (1) */
static void note(struct test *t, uint32_t pair)
{
    if (t->nnoted == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 1024;
        t->noted = x_realloc(t->noted, sizeof *t->noted * t->cap);
    }
    t->noted[t->nnoted++] = pair;
    t->verdicts[pair] = NOTED;
}

static bool may_judge(struct test *t)
{
    if (!is_regex(t))
        return true;
    if (t->judged++ % LOOK_AT_CLOCK == 0 && t->judge_until_ns && clock_mono_ns() >= t->judge_until_ns)
        t->judge_until_ns = 0;
    return t->judge_until_ns != 0;
}

/* False, too, for one that was noted. */
static bool matches_pair(const struct head *h, struct test *t, uint32_t pair)
{
    if (t->m->op == MATCH_EQ)
        return pair == t->eq;
    if (verdict_of(h, t, pair) == UNKNOWN) {
        if (may_judge(t))
            judge(h, t, pair);
        else
            note(t, pair);
    }
    return t->verdicts[pair] == YES;
}

/* With no lock held. */
static int judge_noted(struct match *x, struct test *t, struct err *e)
{
    struct walk walk = {.limits = x->limits};
    int code = 0;

    for (uint32_t i = 0; i < t->nnoted && code == 0; i++) {
        if (i + AHEAD < t->nnoted)
            __builtin_prefetch(pair_get(&x->h->symbols, t->noted[i + AHEAD]));
        judge(x->h, t, t->noted[i]);
        code = walk_pace(&walk, WALK_A_VALUE, e);
    }
    return code;
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

static void judge_by_facts(const struct head *h, struct test *t, const struct regex_facts *f, uint32_t pair)
{
    if (f->prefix.n && !str_starts(pair_value(pair_get(&h->symbols, pair)), f->prefix))
        t->verdicts[pair] = NO;
    else if (f->prefix_then_any || f->matches_any)
        t->verdicts[pair] = YES;
}

/* The pairs that match, and how many series they have. Not for matchers that the absent label matches. */
static void list_pairs(const struct head *h, struct test *t, struct walk *walk)
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
    for (uint32_t i = 0; i < name->npairs && !walk_must_end(walk, 1); i++) {
        uint32_t pair = name->pairs[i];

        if (f && verdict_of(h, t, pair) == UNKNOWN)
            judge_by_facts(h, t, f, pair);
        if (matches_pair(h, t, pair))
            add_pair(h, t, pair);
    }
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

uint32_t *head_all(const struct head *h, uint32_t *n)
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

/* The listed test with the fewest series, or NULL when none narrows anything or values were noted. */
static struct test *narrowest(struct match *x)
{
    const struct head *h = x->h;
    struct test *best = NULL;

    for (uint32_t i = 0; i < x->n; i++) {
        struct test *t = &x->tests[i];
        if (t->empty)
            continue;
        /* Listing the values of a big label only pays if no = has already made it a small job. */
        if (t->m->op != MATCH_EQ && best && t->name != SYMBOL_NONE &&
            name_get(&h->symbols, t->name)->npairs > best->series)
            continue;
        list_pairs(h, t, &x->locked);
        if (t->nnoted)
            return NULL;
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

/* --- tries ---------------------------------------------------------------------------------------------- */

static void begin_try(struct match *x)
{
    const struct symbols *sy = &x->h->symbols;

    for (uint32_t i = 0; i < x->n; i++) {
        struct test *t = &x->tests[i];

        free(t->pairs);
        t->pairs = NULL;
        t->npairs = t->nnoted = 0;
        t->judged = 0;
        t->judge_until_ns = x->tries < TRIES_MAX ? clock_mono_ns() + judge_locked_ns : INT64_MAX;
        t->series = 0;
        t->listed = false;
        t->name = name_find(sy, t->m->name);
        t->eq = t->m->op == MATCH_EQ && t->name != SYMBOL_NONE ? pair_find(sy, t->name, t->m->value) : SYMBOL_NONE;
    }
}

/* Keeps those of the candidates that pass. */
static uint32_t filter(struct match *x, struct test *t, uint32_t *refs, uint32_t n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n && !walk_must_end(&x->locked, 1); i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(head_series(x->h, refs[i + AHEAD]));
        if (passes(x->h, t, head_series(x->h, refs[i])))
            refs[kept++] = refs[i];
    }
    return kept;
}

static bool any_noted(const struct match *x)
{
    for (uint32_t i = 0; i < x->n; i++)
        if (x->tests[i].nnoted)
            return true;
    return false;
}

/* Under the lock. NULL when values were noted or the walk has ended. */
static uint32_t *try_once(struct match *x, uint32_t *out_n)
{
    uint32_t *refs, n;
    struct test *base;

    begin_try(x);
    x->tries++;
    base = narrowest(x);
    if (any_noted(x))
        return NULL;
    refs = base ? read_candidates(x->h, base, &n) : head_all(x->h, &n);
    for (uint32_t k = 0; k < x->n; k++) {
        struct test *t = &x->tests[k];

        if (t == base || (t->listed && t->series == x->h->nlive)) /* every series has such a label */
            continue;
        n = filter(x, t, refs, n);
        if (t->nnoted)
            break;
    }
    if (any_noted(x) || x->locked.ended) {
        free(refs);
        return NULL;
    }
    *out_n = n;
    return refs;
}

/* After a try that found nothing to return. */
static int go_on(struct match *x, struct err *e)
{
    int code = 0;

    if (x->locked.ended)
        return walk_stopped(&x->locked, e);
    for (uint32_t i = 0; i < x->n && code == 0; i++)
        code = judge_noted(x, &x->tests[i], e);
    return code;
}

static void tests_free(struct match *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        free(x->tests[i].pairs);
        free(x->tests[i].verdicts);
        free(x->tests[i].noted);
    }
    free(x->tests);
}

int head_match(struct head *h, const struct matcher *m, uint32_t nm, const struct tsdb_limits *limits, uint32_t **refs, uint32_t *n,
               struct err *e)
{
    struct match x = {.h = h, .tests = x_zalloc(sizeof *x.tests * MAX(nm, 1)), .n = nm, .limits = limits, .locked = {.limits = limits}};
    int code = 0;

    for (uint32_t i = 0; i < nm; i++)
        x.tests[i] = (struct test){.m = &m[i], .empty = matcher_matches(&m[i], STR_NULL)};
    qsort(x.tests, nm, sizeof *x.tests, eq_first);
    do {
        pthread_rwlock_rdlock(&h->index_lock);
        *refs = try_once(&x, n);
        if (!*refs) {
            pthread_rwlock_unlock(&h->index_lock);
            code = go_on(&x, e);
        }
    } while (!*refs && code == 0);
    tests_free(&x);
    return code;
}
