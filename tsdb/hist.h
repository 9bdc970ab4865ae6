/*
 * hist.h - native histograms as bytes: what the head, the journal and the blocks of a day share. Private to tsdb/.
 *
 * Histograms of one series nearly always have their buckets in the same places. A layout is those places; what is left
 * of a histogram then is its cells (the zero bucket, the positive ones, the negative ones), count and sum.
 *
 *   layout   zigzag schema | spans of positive buckets | by schema: 8 bytes zero threshold, spans of negative buckets
 *            -53: varint n, n times 8 bytes bound
 *   spans    varint n, then each: zigzag distance from the place behind the one before, varint length
 *   sample   hint | HIST_OP_STALE | HIST_OP_RAW, 8 bytes sum, then
 *            zigzag (count - sum of all cells), a bit a cell: it differs, zigzag difference of each that does
 *            RAW: 8 bytes count, 8 bytes a cell. STALE: nothing, the sum neither
 *
 * (1) Bytes made from a histogram give an equal one back (hist_equal), its hint included; buckets without observations
 *     are not kept.
 * (2) Readers believe nothing: indexes rise, lengths are bounded, and no layout has more than HIST_CELLS_MAX cells.
 */
#ifndef TSDB_HIST_H
#define TSDB_HIST_H

#include "base/base.h"
#include "base/histogram.h"

enum {
    HIST_BUCKETS_MAX = 4096, /* of a sample */
    HIST_BOUNDS_MAX = 4096,
    HIST_CELLS_MAX = 4 * HIST_BUCKETS_MAX, /* of a layout, which several samples share */
    HIST_HINT = 3,
    HIST_OP_STALE = 4,
    HIST_OP_RAW = 8,
};

/* May it be stored? ERR_INVALID says why not. A staleness marker always. */
int hist_check(const struct histogram *h, struct err *e);
/* Stands for the histogram where a value is expected: the same for equal ones, of others only by a rare chance. */
double hist_mark(const struct histogram *h);
/*
 * What h, not a float, says of resets where `before` is the sample right before it (NULL: a float, or none): gauges, and
 * those that say of themselves that they were reset, stay so; HIST_NOT_RESET where counting went on, else HIST_UNKNOWN.
 */
enum hist_hint hist_hint_after(const struct histogram *h, const struct histogram *before);
/* Says so in h, which is the caller's; h may be NULL (a float). */
static inline void hist_hint_set(const struct histogram *h, const struct histogram *before)
{
    if (h)
        ((struct histogram *)(uintptr_t)h)->hint = (uint8_t)hist_hint_after(h, before);
}

/* --- layouts -------------------------------------------------------------------------------------- */

struct hist_layout {
    int32_t schema;
    uint32_t npos, nneg, nbounds;
    double zero_threshold;
    const double *bounds;
    const int32_t *at; /* indexes of positive buckets, rising; then of negative ones */
};
static inline uint32_t hist_layout_cells(const struct hist_layout *l)
{
    return 1 + l->npos + l->nneg;
}
static inline bool hist_layout_bounds_equal(const struct hist_layout *a, const struct hist_layout *b)
{
    return a->nbounds == b->nbounds &&
           (a->bounds == b->bounds || !a->nbounds || memcmp(a->bounds, b->bounds, a->nbounds * sizeof *a->bounds) == 0);
}
/* The buckets of h that are not empty; bounds are h's own. */
void hist_layout_of(const struct histogram *h, struct arena *a, struct hist_layout *out);
/* Schema, zero threshold and bounds are h's. */
bool hist_layout_alike(const struct hist_layout *l, const struct histogram *h);
/* And every bucket of h that is not empty has a cell. */
bool hist_layout_holds(const struct hist_layout *l, const struct histogram *h);
/* l with the buckets of an alike h. False when much of it would be empty for h: then h wants one of its own. */
bool hist_layout_join(const struct hist_layout *l, const struct histogram *h, struct arena *a, struct hist_layout *out);

void hist_layout_put(struct buf *b, const struct hist_layout *l);
/* Reads one from *p, from a. False: malformed. */
bool hist_layout_get(const uint8_t **p, const uint8_t *end, struct arena *a, struct hist_layout *out);

/* The cells of h, which l holds. */
void hist_cells(const struct hist_layout *l, const struct histogram *h, double *cells);
/* Cell i is cells[i * stride]. Without empty buckets; the bounds are the layout's. */
struct histogram *hist_of_cells(const struct hist_layout *l, const double *cells, size_t stride, struct arena *a);
struct histogram *hist_new_stale(struct arena *a);

/* Layouts by number, each once: numbers and bytes are those of one entry or block. Zero-initialised is empty. */
struct hist_dict {
    struct buf bytes, one;
    struct hist_dict_slot {
        uint64_t hash;
        uint32_t from, to, number1;
    } *slots;
    uint32_t n, mask;
    struct arena scratch; /* of whoever writes with it */
};
uint32_t hist_dict_put(struct hist_dict *d, const struct hist_layout *l);
void hist_dict_reset(struct hist_dict *d);
void hist_dict_release(struct hist_dict *d);
/* What hist_dict.bytes holds: all layouts, from a. ERR_CORRUPT without a sentence. */
int hist_dict_read(struct str bytes, struct arena *a, struct hist_layout **out, uint32_t *n);

/* --- samples -------------------------------------------------------------------------------------- */

/* Bytes of one sample at most. */
static inline size_t hist_put_max(uint32_t cells)
{
    return 1 + 8 + VARINT_MAX + cells / 8 + 1 + (size_t)cells * VARINT_MAX;
}
/*
 * Writes h, which l holds, after a sample whose integer cells are `last` (NULL: all 0), which become h's. cells: room
 * for the layout's. Returns the place behind.
 */
uint8_t *hist_put(uint8_t *p, const struct hist_layout *l, const struct histogram *h, int64_t *last, double *cells);
/* Reads one; *out is from a. NULL: malformed. */
const uint8_t *hist_get(const uint8_t *p, const uint8_t *end, const struct hist_layout *l, int64_t *last, double *cells,
                        struct arena *a, struct histogram **out);

#endif
