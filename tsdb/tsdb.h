/*
 * tsdb.h - front door of tsdb/: time series. Ingest, select, names, deletes, figures.
 *
 * A series is a label set; a sample is (ms, double) or (ms, native histogram), and a series may have both. A staleness marker is an ordinary sample with the bits STALE_NAN_BITS.
 * Times are ms since the epoch; windows given as [mint, maxt] are closed on both ends.
 *
 *   head.h   what the last hours brought, in memory     day.h    one day: index segments and slices in a partition
 *   codec.h  columns of times and values <-> bytes      entry.h  what we write to the journal
 */
#ifndef TSDB_TSDB_H
#define TSDB_TSDB_H

#include "base/base.h"

struct store;
struct tsdb;
struct histogram; /* a native histogram: base/histogram.h */

struct tsdb_opts {
    uint64_t series_max;         /* active series; more: new ones are refused and counted. 0 = none */
    uint64_t head_bytes_max;     /* memory of the head, index included */
    uint32_t exemplars_per_series;
    int64_t future_ms_max;       /* samples further ahead are refused (10 min) */
    bool downsample;             /* make aggregates of sealed days */
    int64_t retention_5m_ms, retention_1h_ms; /* how long they are kept. 0: for ever */
};
void tsdb_opts_default(struct tsdb_opts *o);

/* Registers itself with the store; store_recover fills it. The store must be closed before tsdb_free. */
int tsdb_new(struct store *s, const struct tsdb_opts *opts, struct tsdb **out, struct err *e);
void tsdb_free(struct tsdb *db);

/* --- in --------------------------------------------------------------------------------------- */

struct tsdb_exemplar {
    struct labels labels;
    double v;
    int64_t t;
};

/*
 * One series of a batch. key determines the label set: either labels_hash() of it, or a hash of any bytes that do (a
 * scrape line, a wire message); labels are only asked for (tsdb_batch.labels) when the key is new.
 */
struct tsdb_in {
    struct hash128 key;
    struct str raw;       /* for the labels callback */
    uint32_t first, n;    /* samples first..first+n-1 of the batch's t and v */
    uint32_t exemplar_first, exemplar_n;
};

enum tsdb_verdict {
    TSDB_OK,
    TSDB_SAME,
    TSDB_DUPLICATE,
    TSDB_TOO_OLD,
    TSDB_FUTURE,
    TSDB_BAD_LABELS,
    TSDB_SERIES_LIMIT,
    TSDB_BAD_HISTOGRAM,
    TSDB_VERDICTS
};
/* "duplicate sample for timestamp", "too old sample", "out of bounds", ... : the texts of the contract. Static. */
const char *tsdb_verdict_text(enum tsdb_verdict v);

struct tsdb_metadata {
    struct str family, help, unit;
    uint8_t type; /* enum metric_type */
};
enum metric_type { METRIC_UNKNOWN, METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_GAUGEHISTOGRAM, METRIC_SUMMARY, METRIC_INFO, METRIC_STATESET };
const char *metric_type_name(uint8_t type); /* "counter", ..., "unknown" */

struct tsdb_batch {
    /* Filled by the collector; everything must live until done is called. */
    struct tsdb_in *series;
    uint32_t nseries;
    int64_t *t;
    double *v;
    const struct histogram **h;     /* beside v: where one is, it is the sample, and v is tsdb's to use. Or NULL */
    int64_t *st;                    /* start timestamps beside t, or NULL (0 = none) */
    struct tsdb_exemplar *exemplars;
    struct tsdb_metadata *metadata; /* of families */
    uint32_t nmetadata;
    bool atomic; /* any refused row refuses the batch (remote write 1.0, where it must) */
    /* Labels of series i, normalised (labels_normalise), from a. ERR_INVALID: that series is refused (BAD_LABELS). */
    int (*labels)(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e);
    void *ctx; /* the collector's own, for labels and done */

    /* Filled by tsdb before done. */
    uint32_t verdicts[TSDB_VERDICTS]; /* samples by verdict */
    uint32_t histograms;              /* how many of OK and SAME are histograms */
    uint32_t series_added, exemplars_stored;
    uint32_t bad_series, bad_sample; /* the first refused: index in series, in t */
    enum tsdb_verdict bad_verdict;   /* TSDB_OK when none */
    struct err bad;                  /* its sentence, naming series and time */
};

/*
 * Accepts the batch: code 0 and *later true: done(b, code, e) comes once it is on disk and visible (on the journal
 * thread; code is 0, ERR_FULL or ERR_IO). *later false: nothing needed writing (all were no-ops) or the batch was
 * refused: returns 0, ERR_EXISTS/ERR_INVALID (atomic), ERR_BUSY, ERR_FULL, and done is not called. Any thread, does not wait for disk.
 */
typedef void tsdb_done(struct tsdb_batch *b, int code, const struct err *e);
int tsdb_ingest(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, bool *later, struct err *e);
/* The same, waiting for the disk. Not from an I/O or the journal thread. */
int tsdb_ingest_wait(struct tsdb *db, struct tsdb_batch *b, struct err *e);

/* --- out -------------------------------------------------------------------------------------- */

/* Counted by the select, charged to the query: see query/exec. check() returns <0 when the query must stop. */
struct tsdb_limits {
    int (*check)(void *arg, uint64_t samples_more, uint64_t bytes_more, struct err *e); /* may be NULL */
    void *arg;
    /* Would check() end it? Does not wait: asked where locks are held. May be NULL; not without check. */
    bool (*must_stop)(void *arg);
};

enum tsdb_want {
    TSDB_SAMPLES, /* all samples in [mint, maxt] */
    TSDB_NEWEST,  /* only the newest sample in [mint, maxt] of each series (n <= 1); cheap where the head knows it */
    TSDB_NO_DATA, /* labels only: series that have (about) a sample in [mint, maxt] */
};

/*
 * Aggregates instead of samples, for windows that are whole buckets: (kR - R, kR] for a resolution R of 5 minutes or an hour.
 * Where a day has none, or not any more, its samples are summed up on the way: the answer does not depend on it. Where the
 * samples are gone, the best there is stands for them.
 */
enum tsdb_rollup {
    TSDB_ROLLUP_NONE,   /* samples, and none where they are gone */
    TSDB_ROLLUP_THIN,   /* samples; where they are gone, the last of each bucket */
    TSDB_ROLLUP_NEWEST, /* the last of each bucket, a staleness marker too */
    TSDB_ROLLUP_LAST,   /* from here on without markers */
    TSDB_ROLLUP_FIRST,
    TSDB_ROLLUP_COUNT,
    TSDB_ROLLUP_SUM,
    TSDB_ROLLUP_AVG, /* sums, and the counts beside them */
    TSDB_ROLLUP_MIN,
    TSDB_ROLLUP_MAX,
    TSDB_ROLLUP_INCREASE, /* the last, and all of struct tsdb_buckets */
    TSDB_ROLLUP_DELTA,    /* the same without resets */
    TSDB_ROLLUPS
};
enum { TSDB_5M = 5 * 60 * 1000, TSDB_1H = 60 * 60 * 1000 };

struct tsdb_select_opts {
    const struct matcher *matchers;
    uint32_t nmatchers;
    int64_t mint, maxt;
    enum tsdb_want want;
    uint32_t parts_hint; /* how many threads would like to read */
    enum tsdb_rollup rollup;
    int64_t rollup_ms; /* the resolution of whose multiples all windows are (TSDB_5M, TSDB_1H); 0: of none */
    bool rollup_edges; /* also the first and last histogram of each stretch */
    bool no_index;     /* for tests: looks at the labels of every series instead */
    struct tsdb_limits limits;
};

struct tsdb_select;
struct tsdb_cursor;

/* Finds the series. The select holds snapshots: keep it short-lived, never across a network write. */
int tsdb_select_open(struct tsdb *db, const struct tsdb_select_opts *o, struct tsdb_select **out, struct err *e);
void tsdb_select_close(struct tsdb_select *s);
uint32_t tsdb_select_series(const struct tsdb_select *s); /* how many series were found (some may yield no sample) */
uint32_t tsdb_select_parts(const struct tsdb_select *s);  /* >= 1 */
/* What a select that asked for aggregates reads. */
enum { TSDB_READS_SAMPLES = 1, TSDB_READS_5M = 2, TSDB_READS_1H = 4 };
struct tsdb_rollup_used {
    bool any;   /* some day is read from aggregates. Else everything is as if none had been asked for */
    bool exact; /* all windows are whole buckets of what is read */
    int64_t coarsest_ms;
    int64_t missing_until; /* the end of the last day whose samples are gone; INT64_MIN: all are there */
    unsigned reads;        /* TSDB_READS_*: what its days and the head offer it in the window; never 0 */
};
void tsdb_select_rollup(const struct tsdb_select *s, struct tsdb_rollup_used *out);
/* Sentences about missing data (damaged partitions), or 0. Borrowed. */
uint32_t tsdb_select_warnings(const struct tsdb_select *s, const struct str **out);

/* Blocks on disk that its closed cursors unpacked, and those of the window that none of them needed. */
void tsdb_select_blocks(const struct tsdb_select *s, uint64_t *read, uint64_t *skipped);

/* Part i of the series. Cursors of different parts may run on different threads at once. */
int tsdb_cursor_open(struct tsdb_select *s, uint32_t part, struct tsdb_cursor **out, struct err *e);
void tsdb_cursor_close(struct tsdb_cursor *c);

/*
 * The histograms of a series that comes as buckets: each stands for a stretch of samples without a float, a marker or a reset
 * between them, all with their buckets in the same places. Several may lie in one bucket of time.
 */
struct tsdb_stretches {
    uint32_t n;
    const int64_t *t_last, *t_first; /* t_first NULL where FIRST was not asked for */
    const double *count;
    const uint8_t *hint; /* of the first */
    const struct histogram *const *last, *const *first, *const *sum; /* NULL, or of NULLs, what was not asked for */
};

/* Beside t (of the last sample in a bucket; of any with TSDB_ROLLUP_MIN) and v. What was not asked for is NULL; resets also where there are none. */
struct tsdb_buckets {
    const int64_t *t_first;
    const double *first, *count, *resets;
    const struct tsdb_stretches *hists; /* NULL: the series has floats only. Else there may be no float, and n is 0 */
};

struct tsdb_samples {
    uint32_t index;    /* of the series: 0..tsdb_select_series-1, unique in the select */
    uint32_t n;
    const int64_t *t;  /* ascending, no duplicates */
    const double *v;
    const int64_t *st; /* start timestamps, or NULL when no sample of the series has one */
    const struct histogram *const *h; /* beside v where samples are histograms; NULL when none of the series is */
    /* Equal non-zero ids within one select: the very same t array (pointer and n), so tables made from t can be kept. */
    uint64_t times_id; /* of buckets: the counts and first times are equal too */
    const struct tsdb_buckets *b; /* NULL: these are samples (always, but from TSDB_ROLLUP_LAST on; then too where aggregates
                                     cannot tell the series) */
};

/* The next series that has samples: 0, >0 at the end, <0 error. *out is borrowed until the next call on this cursor. */
int tsdb_cursor_next(struct tsdb_cursor *c, struct tsdb_samples *out, struct err *e);
/* Labels of the series just returned; the array is from a, the bytes are borrowed until tsdb_select_close. */
int tsdb_cursor_labels(struct tsdb_cursor *c, struct arena *a, struct labels *out, struct err *e);
/* The value of one label of the series just returned (empty if absent), cheaper than all. Borrowed as above. */
int tsdb_cursor_label(struct tsdb_cursor *c, struct str name, struct str *out, struct err *e);

/* --- names ------------------------------------------------------------------------------------ */

/* Sorted, unique, from a. No matchers: of every series in the window. limit 0 = none; *truncated tells if it cut. */
int tsdb_label_names(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, uint32_t limit, struct arena *a,
                     struct str **out, uint32_t *n, bool *truncated, struct err *e);
int tsdb_label_values(struct tsdb *db, struct str name, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, uint32_t limit,
                      struct arena *a, struct str **out, uint32_t *n, bool *truncated, struct err *e);

/* Metadata of one family (name empty: of all), newest first within a family, from a. */
int tsdb_metadata(struct tsdb *db, struct str family, struct arena *a, struct tsdb_metadata **out, uint32_t *n, struct err *e);

struct tsdb_series_exemplars {
    struct labels labels;
    struct tsdb_exemplar *v;
    uint32_t n;
};
int tsdb_exemplars(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, struct arena *a,
                   struct tsdb_series_exemplars **out, uint32_t *n, struct err *e);

/* --- upkeep ----------------------------------------------------------------------------------- */

/* Samples of matching series in [mint, maxt] are gone from answers at once, from disk by the next merge or seal. Durable. */
int tsdb_delete(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, struct err *e);
int tsdb_clean_tombstones(struct tsdb *db, struct err *e);

struct tsdb_stats {
    uint64_t head_series, head_series_created, head_series_removed;
    uint64_t head_bytes, symbol_bytes;
    int64_t head_mint, head_maxt;
    uint64_t samples[TSDB_VERDICTS]; /* since start, by verdict */
    uint64_t batches, exemplars;
};
void tsdb_stats(struct tsdb *db, struct tsdb_stats *out);

/* A day on disk, oldest first, from a. */
struct tsdb_day {
    int64_t start_ms, mint, maxt;
    uint64_t series, samples, slices, bytes, version; /* version: changes when the day is written to */
    bool sealed;
};
void tsdb_days(struct tsdb *db, struct arena *a, struct tsdb_day **out, uint32_t *n);

struct tsdb_count {
    struct str name;
    uint64_t n;
};
/* Cardinality, the `limit` biggest of each, biggest first, from a. What status/tsdb answers. */
struct tsdb_cardinality {
    struct tsdb_count *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
    uint32_t nseries_by_metric, nvalues_by_label, nbytes_by_label, nseries_by_pair;
    uint64_t label_pairs;
};
int tsdb_cardinality(struct tsdb *db, uint32_t limit, struct arena *a, struct tsdb_cardinality *out, struct err *e);

#endif
