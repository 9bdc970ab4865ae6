/* regex_facts.h - what a pattern says about its matches before it is run. Private to regex.c. */
#ifndef BASE_REGEX_FACTS_H
#define BASE_REGEX_FACTS_H

#include "base/regex.h"

enum wild { WILD_NONE, WILD_ANY /* .* */, WILD_SOME /* .+ */ };

/* The whole pattern is: lead lit trail. */
struct regex_shape {
    bool known;
    enum wild lead, trail;
    struct str lit;
};

struct regex_found {
    const struct str *set; /* all matches, sorted, each once; NULL when not known */
    uint32_t nset;
    struct str prefix;
    struct regex_shape shape;
};

enum { REGEX_SET_MAX = 1024 };

/*
 * Analyses a pattern that RE2 has accepted. With whole, as the pattern of a whole text in which '.' takes every rune;
 * else as one that is searched for, and '^', '$' and '.' tell nothing. What it does not understand leaves *out zeroed.
 * From a.
 */
void regex_analyse(struct arena *a, struct str pattern, bool whole, struct regex_found *out);

#endif
