/*
 * search_match.c - scores of the search calls, to the last digit those of Prometheus 3.14.
 *
 *   part          1 at the beginning, then falling to 0.1 the later the term stands in the name
 *   subsequence   the letters of the term in order: squares of the lengths of unbroken runs, less a little for each gap,
 *                 over the square of the term's length; 1 only for a name that begins with the term
 *   Jaro-Winkler  letters that both have nearby, and a common beginning
 */
#include "query/api/search_match.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <wctype.h>

static const double not_exact = 0.999; /* the best subsequence is still less than a name that is the term */

/* --- runes -------------------------------------------------------------------------------------------- */

static locale_t utf8_locale;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t lower(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'A' && rune <= 'Z' ? rune ^ 0x20 : rune;
    return utf8_locale ? (uint32_t)towlower_l((wint_t)rune, utf8_locale) : rune;
}

static struct runes runes_of(struct arena *a, struct str s, bool fold)
{
    struct runes out = {arena_alloc(a, (MIN(s.n, (size_t)SEARCH_RUNES_MAX) + 1) * sizeof *out.r), 0};
    uint32_t rune;

    for (size_t i = 0, n; i < s.n && out.n < SEARCH_RUNES_MAX; i += n) {
        n = utf8_decode(str_from(s, i), &rune);
        out.r[out.n++] = fold ? lower(rune) : rune;
    }
    return out;
}

static bool equal_at(struct runes text, uint32_t at, struct runes term)
{
    return at + term.n <= text.n && memcmp(text.r + at, term.r, term.n * sizeof *term.r) == 0;
}

static bool equal(struct runes a, struct runes b)
{
    return a.n == b.n && equal_at(a, 0, b);
}

void search_add(struct search *s, struct arena *a, struct str term)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_locale);
    if (term.n && s->nterms < SEARCH_TERMS_MAX)
        s->terms[s->nterms++] = (struct search_term){term, runes_of(a, term, s->fold)};
}

/* --- a part of it ---------------------------------------------------------------------------------------- */

static bool part_score(struct runes text, struct runes term, double *score)
{
    for (uint32_t at = 0; at + term.n <= text.n; at++)
        if (equal_at(text, at, term)) {
            *score = at == 0 ? 1 : 1 - 0.9 * (double)at / (double)(text.n - term.n);
            return true;
        }
    return false;
}

/* --- letters in order -------------------------------------------------------------------------------------- */

/* The first way to find the term from a start where its first letter stands. false: there is none, nor further on. */
static bool sequence_from(struct runes text, struct runes term, uint32_t start, double *score)
{
    double one = 1.0 / (double)text.n, sum = start ? -((double)start * one) : 0;
    uint32_t i = start, found = 0, behind = start;

    while (found < term.n) {
        uint32_t from, run;

        while (i < text.n && text.r[i] != term.r[found])
            i++;
        if (i == text.n)
            return false;
        from = i;
        while (i < text.n && found < term.n && text.r[i] == term.r[found]) {
            i++;
            found++;
        }
        if (from > behind)
            sum -= (double)(from - behind) * one;
        run = i - from;
        sum += (double)((uint64_t)run * run);
        behind = i;
    }
    if (text.n > behind)
        sum -= (double)(text.n - behind) * one * 0.5;
    *score = sum;
    return true;
}

static double sequence_score(struct runes text, struct runes term)
{
    double best = -1, score;

    if (equal(text, term))
        return 1;
    for (uint32_t i = 0; i + term.n <= text.n; i++) {
        if (text.r[i] != term.r[0])
            continue;
        if (!sequence_from(text, term, i, &score))
            break;
        best = fmax(best, score);
    }
    return best < 0 ? 0 : best / (double)((uint64_t)term.n * term.n) * not_exact;
}

/* --- Jaro-Winkler ---------------------------------------------------------------------------------------------- */

static double jaro(double matches, double half_swaps, double l1, double l2)
{
    double per1 = 1.0 / l1, per2 = 1.0 / l2;

    return (matches * per1 + matches * per2 + (matches - half_swaps * 0.5) / matches) / 3.0;
}

/* Marks the letters that both have within reach of each other; how many. */
static uint32_t match_letters(struct runes s, struct runes l, bool *in_s, bool *in_l)
{
    uint32_t reach = l.n / 2 > 1 ? l.n / 2 - 1 : 0, matches = 0;

    for (uint32_t i = 0; i < s.n; i++) {
        uint32_t to = MIN(i + reach + 1, l.n);

        for (uint32_t k = i > reach ? i - reach : 0; k < to; k++)
            if (!in_l[k] && s.r[i] == l.r[k]) {
                in_s[i] = in_l[k] = true;
                matches++;
                break;
            }
    }
    return matches;
}

static double near_score(struct arena *a, struct runes x, struct runes y)
{
    struct runes s = x.n <= y.n ? x : y, l = x.n <= y.n ? y : x; /* the shorter, the longer */
    bool *in_s = arena_array(a, bool, s.n + 1), *in_l = arena_array(a, bool, l.n + 1);
    uint32_t matches, swaps = 0, prefix = 0;
    double score;

    if (equal(x, y))
        return 1;
    if (s.n == 0)
        return 0;
    matches = match_letters(s, l, in_s, in_l);
    if (matches == 0)
        return 0;
    for (uint32_t i = 0, k = 0; i < s.n; i++) {
        if (!in_s[i])
            continue;
        while (!in_l[k])
            k++;
        swaps += s.r[i] != l.r[k];
        k++;
    }
    score = jaro(matches, swaps, s.n, l.n);
    while (prefix < MIN(4u, s.n) && s.r[prefix] == l.r[prefix])
        prefix++;
    return score + (double)prefix * 0.1 * (1.0 - score);
}

/* --- the whole ------------------------------------------------------------------------------------------------- */

static bool term_fits(const struct search *s, struct arena *scratch, const struct search_term *t, struct runes value,
                      double *score)
{
    *score = 0;
    if (s->jaro_winkler) {
        if (part_score(value, t->runes, score))
            return true;
        if (s->threshold <= 0)
            return false;
        *score = near_score(scratch, t->runes, value);
        return *score >= s->threshold;
    }
    *score = equal_at(value, 0, t->runes) ? 1 : sequence_score(value, t->runes);
    return *score == 1 || (*score > 0 && *score >= s->threshold);
}

bool search_fits(const struct search *s, struct arena *scratch, struct str value, double *score)
{
    struct runes runes;
    bool fits = s->nterms == 0;

    *score = fits ? 1 : 0;
    if (fits)
        return true;
    arena_reset(scratch);
    runes = runes_of(scratch, value, s->fold);
    for (uint32_t i = 0; i < s->nterms && *score < 1; i++) {
        double one;

        if (!term_fits(s, scratch, &s->terms[i], runes, &one))
            continue;
        fits = true;
        *score = fmax(*score, one);
    }
    return fits;
}
