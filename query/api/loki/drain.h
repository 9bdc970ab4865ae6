/*
 * drain.h - finds the patterns of log lines: lines that say the same about different things are one pattern.
 *
 * After Drain (He, Zhu, Zheng, Lyu: an online log parsing approach with fixed depth tree): a line is cut into words, lines of as many words
 * that begin alike are compared, and where a line differs from the pattern it is most like, the pattern gets a hole.
 */
#ifndef LOKI_DRAIN_H
#define LOKI_DRAIN_H

#include "base/base.h"

struct drain;

struct drain_opts {
    uint32_t patterns_max; /* the one seen least makes room (300) */
    uint32_t words_max;    /* of a line; the rest is a hole (100) */
    uint32_t line_bytes_max; /* a longer line is cut, the rest is a hole (4096) */
};
void drain_opts_default(struct drain_opts *o);

struct drain *drain_new(const struct drain_opts *o);
void drain_free(struct drain *d);
/* A line, `weight` times. bucket and level say where it is counted; level is copied. */
void drain_add(struct drain *d, struct str line, struct str level, int64_t bucket, uint64_t weight);
size_t drain_bytes(const struct drain *d);

struct drain_count {
    int64_t bucket;
    uint64_t n;
};
struct drain_pattern {
    struct str text;  /* words and <_>, as the filter |> takes it */
    struct str level; /* or empty */
    uint64_t total;
    const struct drain_count *counts; /* by bucket */
    uint32_t ncounts;
};
/* One for each pattern and level, most lines first; from a, but for the counts, which are d's. */
uint32_t drain_patterns(struct drain *d, struct arena *a, struct drain_pattern **out);

#endif
