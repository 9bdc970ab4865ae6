/*
 * entry.h - what the metrics write to the journal: one entry a batch, in columns.
 *
 *     version 1 | flags | varint: number of the entry in its file, first local id of a definition, definitions, rows,
 * samples | with ENTRY_MARKS varint: pairs and names the file defined before, first entry of the stretch | varint length of each section | defs | ids | times | same | values | st | exemplars | metadata
 *
 *   defs       each: varint n pairs, ceil(n/8) bytes of "as in the definition before", then for each other pair
 *              varint k+1 (pair k of this file) or 0, name, value; a name is varint k+1, or 0 and text; a text is
 * varint n and bytes ids        runs: zigzag(first - behind the run before), varint length times      runs of rows with
 * the same times: varint rows, varint n, zigzag(t - first t before), then zigzag deltas of deltas same       a bit a
 * sample: the value is that of the series' sample before in this file (+0.0 at first) values     the others, as in
 * vals.h st         runs: zigzag(st - st before), varint samples. Present with ENTRY_ST exemplars  each: varint local
 * id, zigzag t, 8 bytes value, varint n, n times name text, value text metadata   each: type byte, texts family, help,
 * unit
 *   hists      varint n, n bytes of layouts, then each sample that is a histogram: varint samples between it and the one
 * before, varint layout+1 (0: a staleness marker), sample as in hist.h. Its bit in `same` is set. Present with ENTRY_HISTS
 *
 * Ids of series, pairs and names are given from 0 in each journal file, so a file replays by itself. An entry leans on those
 * before it in its file: on their definitions, and on the last value of each series. A value begins anew (from +0.0) with the
 * series' first sample of each stretch of the file. So behind an entry that is missing or bad is lost: what the series have
 * whose definition was in it, to the end of the file; and what those before it have, to the end of the stretch. Better lost
 * than wrong; the rest is read.
 */
#ifndef TSDB_ENTRY_H
#define TSDB_ENTRY_H

#include "tsdb/hist.h"
#include "tsdb/symbols.h"
#include "tsdb/tsdb.h"

enum { ENTRY_VERSION = 1, ENTRY_ST = 1, ENTRY_HISTS = 2, ENTRY_MARKS = 4, ENTRY_SAMPLES_MAX = 1 << 24, ENTRY_LABELS_MAX = 1 << 12 };

enum entry_section {
    SEC_DEFS,
    SEC_IDS,
    SEC_TIMES,
    SEC_SAME,
    SEC_VALUES,
    SEC_ST,
    SEC_EXEMPLARS,
    SEC_METADATA,
    SECTIONS,
    SEC_HISTS = SECTIONS, /* only with ENTRY_HISTS */
    SECTIONS_MAX
};

/* A stretch has at least so many bytes, and so many samples of each series: then beginning anew costs next to nothing. */
enum { STRETCH_BYTES = 4 << 20, STRETCH_SAMPLES = 32 };

/* --- writing: one at a time, under writer_mu ------------------------------------------------------ */

struct entry_writer {
    struct symbols *symbols;
    /* Of the file: gen rises with each new one and stands in series, pairs and names that are defined in it. */
    uint32_t file, gen;
    bool started;
    uint32_t next_local, next_pair, next_name, next_number;
    uint32_t stretch;                        /* the number of its first entry */
    uint64_t stretch_bytes, stretch_samples; /* written in it */
    /* Of the entry. */
    struct buf sec[SECTIONS_MAX];
    struct hist_dict layouts;
    struct arena hist_arena;
    uint32_t hist_next; /* the sample behind the last histogram */
    uint32_t first_local, ndefs, nrows, nsamples;
    const uint32_t *prev_pairs;
    uint32_t prev_npairs;
    uint32_t id_first, id_next, id_run;
    const int64_t *times;
    uint32_t times_n, times_rows;
    int64_t times_prev;
    int64_t st, st_prev;
    uint32_t st_run;
    bool any_st;
    uint8_t *values_at, *values_end; /* in sec[SEC_VALUES] */
    uint32_t mark_pair, mark_name;
    uint32_t *new_pairs, nnew_pairs, new_pairs_cap; /* defined by this entry: for undo */
    uint32_t *new_names, nnew_names, new_names_cap;
};

void entry_writer_release(struct entry_writer *w);
/* Begins an entry for a journal file. */
void entry_begin(struct entry_writer *w, uint32_t file);
/* Defines a series: returns its local id. */
uint32_t entry_define(struct entry_writer *w, const uint32_t *pairs, uint32_t npairs);
/* A row: times must stay until the next call. Its values follow, each by entry_value. */
void entry_row(struct entry_writer *w, uint32_t local, const int64_t *t, uint32_t n);
void entry_value_odd(struct entry_writer *w, double *last, uint8_t *state, double v);
static inline void entry_value(struct entry_writer *w, double *last, uint8_t *state, double v)
{
    uint8_t *bits = (uint8_t *)w->sec[SEC_SAME].p + w->nsamples / 8;

    if (f64_bits(v) == f64_bits(*last))
        *bits |= (uint8_t)(1u << w->nsamples % 8);
    else
        entry_value_odd(w, last, state, v);
    w->nsamples++;
}
/* Instead of a value: h, which passed hist_check. */
void entry_hist(struct entry_writer *w, const struct histogram *h);
void entry_st(struct entry_writer *w, int64_t st); /* once a sample, or never */
void entry_exemplar(struct entry_writer *w, uint32_t local, const struct tsdb_exemplar *x);
void entry_metadata(struct entry_writer *w, const struct tsdb_metadata *m);
bool entry_empty(const struct entry_writer *w);
/* Room for n more samples must be made before rows of them. */
void entry_reserve(struct entry_writer *w, uint32_t samples);
/* The bytes of the entry. */
void entry_finish(struct entry_writer *w, struct buf *out);
/* The entry was finished but not pushed: what it defined is undefined. Series ids from first_local on are the caller's
 * to forget. */
void entry_undo(struct entry_writer *w);

/* --- reading ---------------------------------------------------------------------------------- */

struct entry_rows {
    uint32_t nrows, nsamples;
    uint32_t *series; /* numbers; the samples of a row follow those of the row before. The sink may write here */
    const uint32_t *counts;
    const int64_t *t;
    const double *v;
    const int64_t *st;                /* or NULL */
    const struct histogram *const *h; /* beside v, which then is the mark; or NULL */
};

/*
 * Who takes what a reader finds. Names and pairs get ids of the sink's own; series are numbered as they come, from 0 and on
 * through all files: one that two files define has two numbers. One whose definition is lost has no pairs, and no rows.
 */
struct entry_sink {
    uint32_t (*name)(void *arg, struct str text);
    uint32_t (*pair)(void *arg, uint32_t name, struct str value);
    void (*series)(void *arg, const uint32_t *pairs, uint32_t npairs);
    void (*rows)(void *arg, const struct entry_rows *r);
    void (*exemplar)(void *arg, uint32_t series, const struct tsdb_exemplar *x);
    void (*metadata)(void *arg, const struct tsdb_metadata *m);
    void *arg;
};

struct entry_local {
    double v;
    uint32_t stretch; /* v is of */
    uint8_t state;
    bool lost; /* nobody knows what it is */
};

/* What could not be read behind entries that were missing or bad, since the reader began. */
struct entry_losses {
    uint64_t entries, series, samples;
    uint32_t some[3], nsome; /* numbers of series that lost samples */
};

struct entry_reader {
    struct entry_sink sink;
    /* Of the file. */
    struct entry_local *locals;
    uint32_t nlocals, locals_cap;
    uint32_t first; /* the number of local 0 */
    uint32_t *pairs, npairs, pairs_cap;
    uint32_t *names, nnames, names_cap;
    uint32_t next_number;
    uint32_t stretch;
    /* Behind a gap: locals below `sure_from` are not sure before a stretch that begins behind `unsure`, the last one missing. */
    uint32_t sure_from, unsure;
    struct entry_losses losses;
    bool broken;
};

void entry_reader_init(struct entry_reader *r, const struct entry_sink *sink);
void entry_reader_release(struct entry_reader *r);
/* A new journal file: its definitions begin anew. */
void entry_reader_file(struct entry_reader *r);
/* Decodes one entry into the sink; its rows lie in a. ERR_CORRUPT: nothing of its rows was given to the sink. What entries
 * before it took with them is counted in losses. */
int entry_read(struct entry_reader *r, struct str bytes, struct arena *a, struct err *e);

#endif
