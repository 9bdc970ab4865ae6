/* search_match.h - how well a name fits what somebody typed. Private to api/. */
#ifndef API_SEARCH_MATCH_H
#define API_SEARCH_MATCH_H

#include "base/base.h"

enum { SEARCH_TERMS_MAX = 32, SEARCH_RUNES_MAX = 4096 /* of a text; what follows is not looked at */ };

/* A text as runes. */
struct runes {
    uint32_t *r;
    uint32_t n;
};

struct search_term {
    struct str text; /* folded when case does not matter */
    struct runes runes;
};

/* Terms are alternatives: the best score counts. Without terms everything fits, with score 1. */
struct search {
    struct search_term terms[SEARCH_TERMS_MAX];
    uint32_t nterms;
    bool jaro_winkler; /* a part of the name, or near to it; else: its letters in order */
    bool fold;
    double threshold; /* 0..1 */
};

/* Adds a term; empty ones are left out. From a. */
void search_add(struct search *s, struct arena *a, struct str term);
/* Does the value fit? *score is 0..1. scratch is emptied. */
bool search_fits(const struct search *s, struct arena *scratch, struct str value, double *score);

#endif
