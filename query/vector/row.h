/*
 * row.h - the value of an expression: rows, one per series, each with a place for every step.
 *
 * (1) has[i] tells what stands at step i: nothing, a float in v[i], or a histogram in h[i]. Where nothing stands
 *     v[i] is undefined.
 * (2) h is NULL in a row without histograms: most code asks that once and then sees floats only.
 * (3) Labels are sorted. Their arrays lie in the pile of their vector, or of one that was joined to it; the bytes
 *     there too, in the query arena, or in a select that is open until the evaluation ends.
 * (4) drop_name: the metric name is to go when all is done, and counts until then (delayed name removal).
 */
#ifndef VECTOR_ROW_H
#define VECTOR_ROW_H

#include "base/base.h"
#include "query/vector/pile.h"

struct histogram;

enum { ROW_NONE = 0, ROW_FLOAT = 1, ROW_HIST = 2 };

struct row {
    struct labels labels;
    double *v;
    uint8_t *has;
    const struct histogram **h;
    bool drop_name;
};

/* Zeroed and vec_init'ed is empty. Rows keep their place in order; results come in the order they were made. */
struct vec {
    struct row *rows;
    uint32_t n, cap;
    uint32_t nsteps;
    struct pile pile; /* of v, has, h and of what operators make: label arrays, histograms */
};

void vec_init(struct vec *v, struct query *q, uint32_t nsteps);
void vec_release(struct vec *v);
/* A new row without labels; has is zeroed, v is not. Valid until the next vec_add. NULL: over budget. */
struct row *vec_add(struct vec *v, const char *where, struct err *e);
/* Makes r->h (zeroed) if the row has none. */
int row_want_h(struct vec *v, struct row *r, const char *where, struct err *e);
/* Moves src's rows behind dst's. */
void vec_join(struct vec *dst, struct vec *src);
/* Drops rows in which nothing stands. */
void vec_compact(struct vec *v);
/* The same where there may be very many: <0 when the query must stop. */
int vec_compact_many(struct vec *v, struct err *e);
/* How many places are filled. */
int vec_points(const struct vec *v, uint64_t *out, struct err *e);
/*
 * Rows with the same labels become one if they never stand at the same step. Two that do are an error: "vector cannot
 * contain metrics with the same labelset". Order of first appearance.
 */
int vec_unify(struct vec *v, struct err *e);
/*
 * Rows whose names are to go, and which differ in nothing else, become one where they never stand at the same step: in a
 * window over both they are one series, as they were if the names had gone at once. No error where they do.
 */
int vec_unify_nameless(struct vec *v, struct err *e);
/* vec_unify with another sentence. */
int vec_unify_or(struct vec *v, const char *sentence, struct err *e);

static inline bool row_any(const struct row *r, uint32_t nsteps)
{
    return memchr(r->has, ROW_FLOAT, nsteps) || (r->h && memchr(r->has, ROW_HIST, nsteps));
}

/* --- label sets, made new in an arena ------------------------------------------------------------------------- */

/* Without the metric name, __type__ and __unit__. The same set when there is nothing to drop. */
struct labels labels_drop_name(struct arena *a, const struct labels *ls);
/* Only (keep) or all but (!keep) the listed names; !keep drops the metric name as well when drop_name. */
struct labels labels_pick(struct arena *a, const struct labels *ls, const struct str *names, uint32_t n, bool keep,
                          bool drop_name);
/* With name set to value, or without it when value is empty. */
struct labels labels_with(struct arena *a, const struct labels *ls, struct str name, struct str value);
/* {a="b", ...} with the name among them, as upstream prints label sets. */
void labels_text(struct buf *out, const struct labels *ls);
/* A cheap hash of a label set, not kept anywhere. */
uint64_t labels_hash64(const struct labels *ls);

#endif
