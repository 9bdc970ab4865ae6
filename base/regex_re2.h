/* regex_re2.h - the C face of RE2, private to regex.c. Everything here takes valid UTF-8; offsets are bytes. */
#ifndef BASE_REGEX_RE2_H
#define BASE_REGEX_RE2_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct re2_prog;

struct re2_span {
    const char *p; /* NULL: the group took no part */
    size_t n;
};

enum re2_fault { RE2_FINE, RE2_BAD, RE2_TOO_BIG };

/* On a fault *out is untouched and words holds a sentence. */
enum re2_fault re2_new(const char *p, size_t n, bool dotall, bool nocase, struct re2_prog **out, char *words,
                       size_t cap);
void re2_free(struct re2_prog *r);
unsigned re2_ngroups(const struct re2_prog *r); /* with group 0 */
/* "" for a group without a name. Borrowed. */
const char *re2_group_name(const struct re2_prog *r, unsigned i);
bool re2_match(const struct re2_prog *r, const char *p, size_t n, bool whole);
/* Leftmost-first, looking from `from` on; with whole set all of [from, n). */
bool re2_groups(const struct re2_prog *r, const char *p, size_t n, size_t from, bool whole, struct re2_span *g,
                unsigned ngroups);

#ifdef __cplusplus
}
#endif

#endif
