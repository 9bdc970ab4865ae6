/*
 * annotations.h - warnings and infos of an evaluation. Private to query/promql.
 */
#ifndef PROMQL_ANNOTATIONS_H
#define PROMQL_ANNOTATIONS_H

#include "base/base.h"

struct note {
    struct str text; /* with its prefix, without the position */
    uint32_t at;     /* byte in the query */
    bool info;
    /* What forced monotonicity adds up over steps and histograms; nforced 0: another note. */
    double min_le, max_le, max_diff;
    int64_t min_t, max_t;
    uint32_t nforced;
};

/* One thread: the one that evaluates. Zeroed is empty; everything from arena. */
struct notes {
    struct arena *arena;
    struct note *v;
    uint32_t n, cap;
};

/* Adds "PromQL warning: " or "PromQL info: " and the sentence, unless it is there for this place already. */
struct note *note_warn(struct notes *ns, uint32_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct note *note_info(struct notes *ns, uint32_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ` for metric name "x"`, or nothing when there is none. From the arena; NUL-terminated. */
const char *note_of_metric(struct notes *ns, struct str name);
/* The texts with positions, at most NOTES_MAX of each kind, then a line that says how many more there are. */
void notes_texts(const struct notes *ns, struct str query, bool info, struct str **out, uint32_t *n);

enum { NOTES_MAX = 10 };

#endif
