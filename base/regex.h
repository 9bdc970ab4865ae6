/*
 * regex.h - RE2, and nothing of it shows. Linear time; syntax and semantics of Go's regexp. Safe from any thread once made.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/err.h"
#include "base/buf.h"

struct regex;

enum {
    REGEX_ANCHORED = 1, /* must match the whole text, as ^(?s:RE)$ */
    REGEX_DOTALL = 2,   /* . matches newline (implied by ANCHORED) */
    REGEX_NOCASE = 4,
};

/* ERR_INVALID: e says what RE2 says of the pattern. ERR_LIMIT: over REGEX_BYTES_MAX or the program memory. */
int regex_new(struct str pattern, unsigned flags, struct regex **out, struct err *e);
void regex_free(struct regex *r);

bool regex_match(const struct regex *r, struct str text);
/* Groups 0..ngroups-1 into g (p = NULL where a group took no part); false if no match. Search starts at `from`. */
bool regex_groups(const struct regex *r, struct str text, size_t from, struct str *g, unsigned ngroups);
unsigned regex_ngroups(const struct regex *r); /* with group 0 */
/* The name of group i, or empty. Borrowed. */
struct str regex_group_name(const struct regex *r, unsigned i);
/* Go's template expansion: $1 ${1} $name ${name} $$; an unknown group is empty. */
void regex_expand(const struct regex *r, struct str templ, const struct str *g, unsigned ngroups, struct buf *out);

/*
 * What is known without running it, for indexes. set: the pattern matches exactly these strings (an alternation of
 * literals), nset of them, borrowed from r; nset 0 = not such a pattern. prefix: every match starts with it (may be
 * empty). matches_empty and matches_any ('.*') for the whole-text reading of an ANCHORED regex.
 */
struct regex_facts {
    const struct str *set;
    uint32_t nset;
    struct str prefix;
    bool prefix_then_any; /* exactly prefix.* */
    bool matches_empty, matches_any;
};
const struct regex_facts *regex_facts(const struct regex *r);

enum { REGEX_BYTES_MAX = 64 * 1024 };

#endif
