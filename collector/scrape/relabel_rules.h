/* relabel_rules.h - private: one rule, as read. The texts are kept for printing the configuration. */
#ifndef COLLECTOR_SCRAPE_RELABEL_RULES_H
#define COLLECTOR_SCRAPE_RELABEL_RULES_H

#include "collector/scrape/relabel.h"

/* Those up to HASHMOD work on the joined source values, the others on label names. */
enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
};

struct relabel_rule {
    enum relabel_action action;
    struct str *sources;
    uint32_t nsources;
    struct str separator, regex_text, target, replacement;
    uint64_t modulus;
    bool legacy;    /* names must be of the old alphabet */
    bool match_any; /* the default regex (.*) */
    struct regex *regex;
};

const char *relabel_action_name(enum relabel_action a); /* static */

#endif
