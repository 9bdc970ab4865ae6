/*
 * codec_hist.c - the samples of a histogram series, transposed: successive samples have their buckets in the same
 * places, so each bucket over time is a column of numbers like any other, and most of them hardly move.
 *
 *   column    runs: length << 3 | kind (num), until n     what each sample is
 *             [column of the floats]
 *             segment*, until all histograms but the staleness markers are there
 *   segment   layout (num)  samples (num)  columns: sums, counts, a column a cell (hist.h; custom ones have no zero bucket)
 *   counts    COUNT_SURPLUS (code): what the count is above the sum of all cells, nearly always 0; or COUNT_ITSELF
 *
 * Layouts are told by number; the block has them all, each once. A segment ends where schema, zero threshold or bounds
 * change; buckets that come and go do not end it, the layout has all of them.
 *
 * (1) A segment has at most CELLS_MAX numbers, so that a small block cannot mean much memory at once.
 */
#include "tsdb/codec_hist.h"

#include <assert.h>
#include <stdlib.h>

enum { FLOAT = 4, STALE = 5, KINDS = 6 }; /* below them: enum hist_hint */
enum { COUNT_SURPLUS, COUNT_ITSELF };
enum { CELLS_MAX = 1 << 20 };

/* --- writing ------------------------------------------------------------------------------------ */

static unsigned kind_of(const struct histogram *const *h, uint32_t i)
{
    if (!h[i])
        return FLOAT;
    return hist_stale(h[i]) ? STALE : hist_hint_after(h[i], i ? h[i - 1] : NULL);
}

static void put_kinds(struct column_out *o, const struct histogram *const *h, uint32_t n)
{
    uint64_t run = 0;
    unsigned kind = FLOAT;

    for (uint32_t i = 0; i < n; i++) {
        unsigned k = kind_of(h, i);
        if (run && k != kind) {
            buf_put_varint(&o->nums, run << 3 | kind);
            run = 0;
        }
        kind = k;
        run++;
    }
    buf_put_varint(&o->nums, run << 3 | kind);
}

static void put_floats(struct column_out *o, struct arena *a, const double *v, const struct histogram *const *h,
                       uint32_t n)
{
    double *floats = arena_alloc(a, n * sizeof *floats);
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++)
        if (!h[i])
            floats[k++] = v[i];
    values_encode(o, floats, k);
}

static void put_counts(struct column_out *o, const double *cells, uint32_t ncells, const struct histogram *const *h,
                       uint32_t m, double *scratch)
{
    bool surplus = true;

    for (uint32_t i = 0; i < m && surplus; i++) {
        double total = 0;
        for (uint32_t k = 0; k < ncells; k++)
            total += cells[(size_t)k * m + i];
        scratch[i] = h[i]->count - total;
        surplus = f64_bits(total + scratch[i]) == f64_bits(h[i]->count);
    }
    for (uint32_t i = 0; i < m && !surplus; i++)
        scratch[i] = h[i]->count;
    buf_putc(&o->codes, surplus ? COUNT_SURPLUS : COUNT_ITSELF);
    values_encode(o, scratch, m);
}

static void put_segment(struct column_out *o, struct hist_dict *d, const struct hist_layout *l,
                        const struct histogram *const *h, uint32_t m)
{
    uint32_t ncells = hist_layout_cells(l);
    double *cells = arena_alloc(&d->scratch, (size_t)ncells * m * sizeof *cells);
    double *one = arena_alloc(&d->scratch, (size_t)MAX(ncells, m) * sizeof *one);

    for (uint32_t i = 0; i < m; i++) {
        hist_cells(l, h[i], one);
        for (uint32_t k = 0; k < ncells; k++)
            cells[(size_t)k * m + i] = one[k];
    }
    buf_put_varint(&o->nums, hist_dict_put(d, l));
    buf_put_varint(&o->nums, m);
    for (uint32_t i = 0; i < m; i++)
        one[i] = h[i]->sum;
    values_encode(o, one, m);
    put_counts(o, cells, ncells, h, m, one);
    for (uint32_t k = l->schema == HIST_CUSTOM; k < ncells; k++)
        values_encode(o, cells + (size_t)k * m, m);
}

/* How many of the n from the first on fit into one segment, and their layout. */
static uint32_t segment_of(struct hist_dict *d, const struct histogram *const *h, uint32_t n, struct hist_layout *l)
{
    struct hist_layout more;
    uint32_t m;

    hist_layout_of(h[0], &d->scratch, l);
    for (m = 1; m < n && hist_layout_alike(l, h[m]); m++) {
        if (!hist_layout_holds(l, h[m])) {
            if (!hist_layout_join(l, h[m], &d->scratch, &more))
                break;
        } else {
            more = *l;
        }
        if ((uint64_t)hist_layout_cells(&more) * (m + 1) > CELLS_MAX)
            break;
        *l = more;
    }
    return m;
}

void hists_encode(struct column_out *o, struct hist_dict *d, const double *v, const struct histogram *const *h,
                  uint32_t n)
{
    const struct histogram **full;
    struct hist_layout l;
    uint32_t nfull = 0;

    assert(n <= CODEC_N_MAX);
    arena_reset(&d->scratch);
    full = arena_alloc(&d->scratch, n * sizeof *full);
    for (uint32_t i = 0; i < n; i++)
        if (h[i] && !hist_stale(h[i]))
            full[nfull++] = h[i];
    put_kinds(o, h, n);
    put_floats(o, &d->scratch, v, h, n);
    for (uint32_t i = 0, m; i < nfull; i += m) {
        m = segment_of(d, full + i, nfull - i, &l);
        put_segment(o, d, &l, full + i, m);
    }
}

/* --- reading ------------------------------------------------------------------------------------ */

static bool get_num(struct column_in *in, uint64_t *v)
{
    const uint8_t *p = get_varint(in->num, in->num_end, v);

    if (p)
        in->num = p;
    return p != NULL;
}

/* Walks over the runs of kinds; counts the floats and the full histograms. into: a kind for each of the first upto, or NULL. */
static int get_kinds(struct column_in *in, uint32_t n, uint32_t upto, uint8_t *into, uint32_t *nfloats, uint32_t *nfull)
{
    uint64_t run;

    *nfloats = *nfull = 0;
    for (uint32_t at = 0; at < n; at += (uint32_t)run) {
        if (!get_num(in, &run))
            return ERR_CORRUPT;
        unsigned kind = run & 7;
        run >>= 3;
        if (kind >= KINDS || run == 0 || run > n - at)
            return ERR_CORRUPT;
        *nfloats += kind == FLOAT ? (uint32_t)run : 0;
        *nfull += kind < FLOAT ? (uint32_t)run : 0;
        for (uint32_t i = at; into && i < upto && i < at + run; i++)
            into[i] = (uint8_t)kind;
    }
    return 0;
}

struct segment_head {
    const struct hist_layout *l;
    uint32_t m, ncells, first; /* cells from `first` on have columns */
};

static int get_segment(struct column_in *in, uint32_t left, const struct hist_layout *l, uint32_t nl,
                       struct segment_head *s)
{
    uint64_t number, m;

    if (!get_num(in, &number) || !get_num(in, &m) || number >= nl || m == 0 || m > left)
        return ERR_CORRUPT;
    *s = (struct segment_head){&l[number], (uint32_t)m, hist_layout_cells(&l[number]), l[number].schema == HIST_CUSTOM};
    return s->ncells * m > CELLS_MAX && m > 1 ? ERR_CORRUPT : 0;
}

static int skip_segment(struct column_in *in, const struct segment_head *s)
{
    if (values_skip(in, s->m) < 0 || in->code >= in->code_end || *in->code++ > COUNT_ITSELF)
        return ERR_CORRUPT;
    for (uint32_t k = s->first; k <= s->ncells; k++) /* the counts, and a column a cell */
        if (values_skip(in, s->m) < 0)
            return ERR_CORRUPT;
    return 0;
}

int hists_skip(struct column_in *in, uint32_t n, const struct hist_layout *l, uint32_t nl)
{
    uint32_t nfloats, nfull;
    struct segment_head s;

    if (get_kinds(in, n, 0, NULL, &nfloats, &nfull) < 0 || values_skip(in, nfloats) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < nfull; i += s.m)
        if (get_segment(in, nfull - i, l, nl, &s) < 0 || skip_segment(in, &s) < 0)
            return ERR_CORRUPT;
    return 0;
}

/* A column whose first upto values are wanted; moves behind all of it. */
static int take(struct column_in *in, uint32_t n, uint32_t upto, double *out)
{
    struct column_in at = *in;

    if (upto == n)
        return values_decode(in, n, n, out);
    return values_skip(in, n) < 0 ? ERR_CORRUPT : values_decode(&at, n, upto, out);
}

/* Sums, counts and cells of the first `upto` samples, one behind the other, each `upto` long. */
static int take_columns(struct column_in *in, const struct segment_head *s, uint32_t upto, double *to, bool *surplus)
{
    double *cells = to + (size_t)upto * 2;

    if (take(in, s->m, upto, to) < 0 || in->code >= in->code_end || *in->code > COUNT_ITSELF)
        return ERR_CORRUPT;
    *surplus = *in->code++ == COUNT_SURPLUS;
    if (take(in, s->m, upto, to + upto) < 0)
        return ERR_CORRUPT;
    if (s->first)
        memset(cells, 0, upto * sizeof *cells);
    for (uint32_t k = s->first; k < s->ncells; k++)
        if (take(in, s->m, upto, cells + (size_t)k * upto) < 0)
            return ERR_CORRUPT;
    return 0;
}

static int decode_segment(struct column_in *in, const struct segment_head *s, uint32_t upto, struct arena *a,
                          const struct histogram **out)
{
    double *columns = x_alloc(((size_t)s->ncells + 2) * upto * sizeof *columns), *cells = columns + (size_t)upto * 2;
    bool surplus;
    int rc = take_columns(in, s, upto, columns, &surplus);

    for (uint32_t i = 0; rc == 0 && i < upto; i++) {
        struct histogram *h = hist_of_cells(s->l, cells + i, upto, a);
        double total = 0;
        for (uint32_t k = 0; surplus && k < s->ncells; k++)
            total += cells[(size_t)k * upto + i];
        h->sum = columns[i];
        h->count = surplus ? total + columns[upto + i] : columns[upto + i];
        out[i] = h;
    }
    free(columns);
    return rc;
}

/* The samples in their order, once floats and histograms are there. */
static void lay_out(const uint8_t *kinds, uint32_t upto, const double *floats, const struct histogram *const *full,
                    struct arena *a, double *v, const struct histogram **h)
{
    for (uint32_t i = 0; i < upto; i++) {
        struct histogram *x = NULL;
        v[i] = kinds[i] == FLOAT ? *floats++ : 0;
        if (kinds[i] == STALE)
            x = hist_new_stale(a);
        else if (kinds[i] < FLOAT) {
            x = (struct histogram *)(uintptr_t)*full++;
            x->hint = kinds[i];
        }
        h[i] = x;
    }
}

int hists_decode(struct column_in *in, uint32_t n, uint32_t upto, const struct hist_layout *l, uint32_t nl,
                 struct arena *a, double *v, const struct histogram **h)
{
    uint8_t *kinds = arena_alloc(a, upto + (size_t)1);
    uint32_t nfloats, nfull, floats = 0, full = 0;
    const struct histogram **hists;
    struct segment_head s;
    double *numbers;

    assert(upto <= n);
    if (get_kinds(in, n, upto, kinds, &nfloats, &nfull) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < upto; i++) {
        floats += kinds[i] == FLOAT;
        full += kinds[i] < FLOAT;
    }
    numbers = arena_alloc(a, (floats + (size_t)1) * sizeof *numbers);
    hists = arena_alloc(a, (full + (size_t)1) * sizeof *hists);
    if (take(in, nfloats, floats, numbers) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < full; i += s.m)
        if (get_segment(in, nfull - i, l, nl, &s) < 0 || decode_segment(in, &s, MIN(s.m, full - i), a, hists + i) < 0)
            return ERR_CORRUPT;
    lay_out(kinds, upto, numbers, hists, a, v, h);
    return 0;
}
