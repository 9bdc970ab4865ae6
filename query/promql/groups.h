/* groups.h - the groups of an aggregation: from labels to a number. Private to query/promql. */
#ifndef PROMQL_GROUPS_H
#define PROMQL_GROUPS_H

#include "query/promql/eval.h"

/* by (names) or without (names), names sorted and unique. */
struct grouping {
    const struct str *names;
    uint32_t n;
    bool without;
};
struct grouping grouping_of(struct arena *a, const struct node *agg);

struct group {
    struct labels labels; /* in the table's arena, bytes too */
    struct str key;
    void *state; /* the aggregation's */
};

/* One thread. Zeroed (and given by) is empty. */
struct group_table {
    const struct grouping *by;
    struct map map;
    struct group *groups; /* in order of appearance */
    uint32_t n, cap;
    struct arena arena; /* keys and labels */
    struct buf key;
    struct arena scratch;
    struct group *last; /* of the row before: rows of one group stand together */
};
void group_table_release(struct group_table *t);
/* The group of a row or of the series at hand; *added tells whether it is new. Valid until the next call. */
int group_of_labels(struct group_table *t, const struct labels *ls, struct group **out, bool *added);
int group_of_reader(struct group_table *t, struct reader *r, struct group **out, bool *added, struct err *e);
/* The group with the same key as one of another table. */
struct group *group_of_key(struct group_table *t, const struct group *g, bool *added);

#endif
