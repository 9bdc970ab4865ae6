/*
 * str.h - borrowed bytes. A struct str never owns what it points to and need not end in NUL.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf: printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *z) /* z may be NULL */
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_n(const void *p, size_t n)
{
    return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eqz(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

/* Bytewise order, shorter first on a common prefix: <0, 0, >0. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static inline struct str str_from(struct str s, size_t at) /* the tail; at is clamped */
{
    return at >= s.n ? (struct str){s.p + s.n, 0} : (struct str){s.p + at, s.n - at};
}

static inline struct str str_head(struct str s, size_t n) /* the first n; clamped */
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* Position of the first c, or -1. */
static inline ptrdiff_t str_chr(struct str s, char c)
{
    const char *q = s.n ? memchr(s.p, c, s.n) : NULL;

    return q ? q - s.p : -1;
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII folding */
struct str str_trim(struct str s);              /* without ASCII white space at both ends */
/* Cuts s at the first sep: true, *head is what was before it and *s what follows; else false, *head all and *s empty. */
bool str_cut(struct str *s, char sep, struct str *head);
/* Position of needle, or -1. The empty needle is at 0. */
ptrdiff_t str_find(struct str s, struct str needle);
/* Base 10. false unless all of s is a number that fits. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out);

/* UTF-8 */
bool utf8_valid(struct str s);
/* Decodes one rune at s.p; returns its length, 0 at the end, and *rune = 0xFFFD with length 1 for a bad byte. */
size_t utf8_decode(struct str s, uint32_t *rune);
/* Writes rune, returns its length (1..4); a surrogate or too big rune is written as U+FFFD. */
size_t utf8_encode(uint32_t rune, char out[4]);
size_t utf8_count(struct str s); /* runes; a bad byte counts one */

#endif
