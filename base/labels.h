/*
 * labels.h - label sets and matchers, shared by every signal and language.
 *
 * A label set is sorted by name (bytewise), names are unique, and no value is empty: an absent label and an
 * empty one are the same thing. The metric name is the label "__name__".
 */
#ifndef BASE_LABELS_H
#define BASE_LABELS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/regex.h"

#define LABEL_NAME "__name__"

struct label {
    struct str name, value;
};

struct labels {
    struct label *v;
    uint32_t n;
};

/* The value of a label, or the empty string. */
struct str labels_get(const struct labels *ls, struct str name);
/* Sorts, drops empty values. ERR_INVALID when a name stands twice (names it). Works in place. */
int labels_normalise(struct labels *ls, struct err *e);
/* Order of Prometheus results: pair by pair, name then value; a prefix comes first. */
int labels_cmp(const struct labels *a, const struct labels *b);
bool labels_eq(const struct labels *a, const struct labels *b);
/* A copy of the array and of every byte. */
struct labels labels_dup(struct arena *a, const struct labels *ls);
/*
 * Canonical bytes: what the identity is hashed from. Per label in order 0x0a LEN 0x0a NLEN name 0x12 VLEN value with varint
 * lengths: the bytes of a remote write 1.0 label list, so that a sorted one can be hashed where it lies on the wire.
 */
void labels_canonical(struct buf *out, const struct labels *ls);
struct hash128 labels_hash(const struct labels *ls);
/* name{a="b"} as PromQL prints it; names that need it are quoted. */
void labels_print(struct buf *out, const struct labels *ls);
bool label_name_legacy(struct str name);  /* [a-zA-Z_][a-zA-Z0-9_]* */
bool metric_name_legacy(struct str name); /* the same and ':' */

enum match_op { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct matcher {
    enum match_op op;
    struct str name, value; /* borrowed from the arena of whoever made it */
    struct regex *re;       /* MATCH_RE and MATCH_NRE: compiled, fully anchored; owned, see matcher_release */
};

/* Compiles the regex if there is one. name and value stay borrowed. ERR_INVALID names the regex and the fault. */
int matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, struct err *e);
void matcher_release(struct matcher *m);
bool matcher_matches(const struct matcher *m, struct str value);
/* name="value" with the operator, as PromQL prints it. */
void matcher_print(struct buf *out, const struct matcher *m);
bool matchers_match(const struct matcher *m, uint32_t n, const struct labels *ls);

#endif
