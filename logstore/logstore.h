/*
 * logstore.h - front door of logstore/: log records. Ingest, select, names, counts, tails, deletes.
 *
 * A stream is a label set; a record is (ns, line, structured metadata) in a stream. Lines are bytes, any bytes. Times are ns
 * since the epoch; windows given as [mint, maxt] are closed on both ends. Records of equal time keep the order in which they
 * came. A record equal to one that is there (stream, time, line, metadata) is the same one and counts once.
 *
 *   head.h   what the last hours brought, in memory     day.h    one day: streams, blocks and counts in a partition
 *   block.h  rows <-> columns <-> bytes                 entry.h  what we write to the journal
 */
#ifndef LOGSTORE_LOGSTORE_H
#define LOGSTORE_LOGSTORE_H

#include "base/base.h"

struct store;
struct logstore;

struct logstore_opts {
    uint32_t streams_max;     /* active streams; more: new ones are refused and counted. 0 = none */
    uint64_t head_bytes_max;  /* memory of the head */
    int64_t past_ns_max;      /* older records are refused (7 days); 0: as far as the store keeps */
    int64_t future_ns_max;    /* records further ahead are refused (10 min) */
    uint32_t line_bytes_max;  /* longer lines are refused (256 KiB) */
    bool line_truncate;       /* ... or cut there, which the metadata log_truncated=true says */
    uint32_t labels_max;      /* per stream, service_name not counted (15) */
    uint32_t meta_max, meta_bytes_max; /* structured metadata per record: how many (128), how long (64 KiB) */
};
void logstore_opts_default(struct logstore_opts *o);

/* Registers itself with the store as "logs"; store_recover fills it. The store must be closed before logstore_free. */
int logstore_new(struct store *s, const struct logstore_opts *opts, struct logstore **out, struct err *e);
void logstore_free(struct logstore *ls);

/* --- in --------------------------------------------------------------------------------------- */

struct log_in_row {
    int64_t t_ns;
    struct str line;
    uint32_t meta_first, meta_n; /* in the batch's meta; any order, of two names the first; an empty value is there */
};

struct log_in {
    struct labels labels;  /* normalised (labels_normalise) */
    uint32_t first, n;     /* rows first..first+n-1 */
};

/* Something small that becomes durable in the same commit as the rows: where a file was read up to. */
struct log_mark {
    struct str key, value; /* key: 1..200 bytes; an empty value removes it */
};

enum log_verdict {
    LOG_OK,
    LOG_SAME, /* is there already: not an error */
    LOG_TOO_OLD,
    LOG_TOO_NEW,
    LOG_LINE_TOO_LONG,
    LOG_NO_LABELS,
    LOG_BAD_LABELS, /* too many, name or value too long */
    LOG_STREAM_LIMIT,
    LOG_META_TOO_MANY,
    LOG_META_TOO_LARGE,
    LOG_VERDICTS
};
/* The reason words of Loki's counters: "greater_than_max_sample_age", "line_too_long", ... Static; "" for OK and SAME. */
const char *log_verdict_reason(enum log_verdict v);

struct log_batch {
    /* Filled by the collector; everything must live until done is called. */
    struct log_in *streams;
    uint32_t nstreams;
    struct log_in_row *rows;
    uint32_t nrows;
    struct label *meta;
    struct log_mark *marks; /* committed even where every row is refused or there are none */
    uint32_t nmarks;
    bool any_age; /* import: past_ns_max does not hold */
    uint8_t *row_verdicts; /* may be NULL. By row: of a refused one its verdict is put here, the others stay as they are */
    void *ctx;    /* the collector's own, for done */

    /* Filled by the logstore before done. */
    uint32_t verdicts[LOG_VERDICTS]; /* rows by verdict */
    uint64_t bytes_ok;               /* of lines and metadata stored */
    struct err bad[8];               /* the first sentences of refused rows, as Loki words them (contract) */
    enum log_verdict bad_verdicts[8];
    uint32_t bad_rows[8];            /* ... the row that each is about, or the first of several */
    uint32_t nbad;                   /* of bad */
};

/*
 * Accepts what is acceptable of the batch. code 0 and *later true: done(b, code, e) comes once it is on disk and visible (on
 * the journal thread; code is 0, ERR_FULL or ERR_IO). *later false: nothing needed writing, done is not called. Or ERR_BUSY,
 * ERR_FULL: nothing was taken. Refused rows are no error here: see verdicts. Any thread, does not wait for disk.
 */
typedef void log_done(struct log_batch *b, int code, const struct err *e);
int logstore_ingest(struct logstore *ls, struct log_batch *b, log_done *done, bool *later, struct err *e);
/* The same, waiting for the disk. Not from an I/O or the journal thread. */
int logstore_ingest_wait(struct logstore *ls, struct log_batch *b, struct err *e);

/* The value of a mark as the last acknowledged batch left it, appended to out. False: there is none. Any thread. */
bool logstore_mark(struct logstore *ls, struct str key, struct buf *out);
/* All whose key begins with prefix. */
void logstore_marks(struct logstore *ls, struct str prefix, void (*fn)(void *arg, struct str key, struct str value), void *arg);

/* --- out: records ------------------------------------------------------------------------------- */

/* Counted by the select, charged to the query (query/exec). check() returns <0 when the query must stop. */
struct log_limits {
    int (*check)(void *arg, uint64_t rows_more, uint64_t bytes_more, struct err *e); /* may be NULL */
    void *arg;
};

/* How a line is taken apart: LogQL's `| json` and `| logfmt` without parameters, names flattened and sanitised as there. */
enum log_parser { LOG_PARSER_NONE, LOG_PARSER_JSON, LOG_PARSER_LOGFMT };

/*
 * What rows must have to matter, all hints together: the store may leave out rows that fail one, and need not: who asked
 * looks at each row again that is not `told`. A FIELD hint is passed also by rows whose metadata, or whose stream, has a label
 * `name` with one of the values, a META hint also by rows whose stream has one.
 */
enum log_hint_kind {
    LOG_HINT_LINE,    /* the line contains one of the values, byte for byte, and passes that one's test */
    LOG_HINT_FIELD,   /* the parser gives the line a label `name` with one of the values */
    LOG_HINT_META,    /* the record has structured metadata `name` with one of the values */
    LOG_HINT_NO_LINE, /* the opposite of LINE */
};
/* What a line has to be that contains a value. From any thread, for any bytes. */
struct log_line_test {
    bool (*match)(const void *arg, struct str text); /* NULL: anything */
    const void *arg;
    struct str fold; /* stands in every text that matches, its ASCII letters in either case (here: small); may be empty */
    bool within; /* a line of which a part matches, matches: nothing looks at where the text begins and ends. Parts are valid UTF-8 */
};
struct log_hint {
    enum log_hint_kind kind;
    enum log_parser parser; /* of FIELD */
    struct str name;
    const struct str *values;
    uint32_t nvalues;
    const struct log_line_test *tests; /* LINE, NO_LINE: one for each value; NULL: none */
};

static inline bool log_hint_of_line(enum log_hint_kind k)
{
    return k == LOG_HINT_LINE || k == LOG_HINT_NO_LINE;
}

struct log_select_opts {
    const struct matcher *matchers;
    uint32_t nmatchers;
    int64_t mint_ns, maxt_ns;
    bool backward;      /* newest first */
    bool lines;         /* rows come with their line; else it is only there for the asking (log_rows_line) */
    bool meta;          /* rows come with their metadata */
    const struct str *meta_names; /* none but these of it matter: others may be left out; NULL: all */
    uint32_t nmeta_names;
    enum log_parser parser; /* rows come with what it finds in them (log_row.fields), where the store has it in columns */
    const struct str *fields; /* only these names of it; NULL: all */
    uint32_t nfields;
    const struct log_hint *hints;
    uint32_t nhints;
    bool whole;         /* tests: leave out nothing by hints, give no fields */
    struct log_limits limits;
};

/* One label that the parser finds, in the order of the line. */
struct log_field {
    struct str name;  /* flattened and sanitised: "a_b" */
    struct str value; /* as text; of JSON strings without escapes */
    const struct str *path; /* JSON: the keys that lead there, as written */
    uint32_t npath;
};

struct log_row {
    int64_t t_ns;
    uint32_t stream; /* log_select_labels */
    uint32_t nmeta, nfields;
    bool told;       /* the line passes all LINE and NO_LINE hints: there is no need to look again */
    struct str line; /* p == NULL: not asked for */
    const struct label *meta; /* sorted by name */
    const struct log_field *fields; /* NULL: none in columns, parse the line */
};

/* A portion of rows, by time (backward: newest first), equal times in (or against) the order of arrival. */
struct log_rows {
    struct log_row *v;
    uint32_t n;
    uint64_t order; /* of two portions, rows of equal stream and time in the one with the smaller number came earlier */
};

struct log_select;
struct log_cursor;

int logstore_select(struct logstore *ls, const struct log_select_opts *o, struct log_select **out, struct err *e);
void log_select_free(struct log_select *s); /* after its cursors */
uint32_t log_select_nstreams(const struct log_select *s);
/* Sorted labels of a stream; valid until log_select_free. */
const struct labels *log_select_labels(const struct log_select *s, uint32_t stream);
/* Rows beyond t (backward: older; else newer) do not matter any more. Any thread, only ever narrows. */
void log_select_bound(struct log_select *s, int64_t t_ns);
/* Sentences about what could not be read (damaged files), from a. */
uint32_t log_select_warnings(struct log_select *s, struct arena *a, struct str **out);

struct log_select_stats {
    uint64_t streams, blocks_read, blocks_skipped, rows, bytes_read /* compressed */, bytes_raw /* of lines looked at */;
};
void log_select_stats(struct log_select *s, struct log_select_stats *out);

/*
 * One per thread that reads. Cursors of one select share its portions: each is given out once. Portions come by their first row
 * (backward: newest first), but overlap in time: after a portion, no row still to come is newer (backward) or older than
 * log_cursor_horizon().
 */
int log_cursor_open(struct log_select *s, struct log_cursor **out, struct err *e);
void log_cursor_free(struct log_cursor *c);
/* 0: rows, valid until the next call; >0: the end. */
int log_cursor_next(struct log_cursor *c, struct log_rows *out, struct err *e);
int64_t log_cursor_horizon(const struct log_cursor *c);
/* The line of row i of the portion given out last; valid until the next log_cursor_next. */
int log_rows_line(struct log_cursor *c, uint32_t i, struct str *out, struct err *e);

/* --- out: names and counts ---------------------------------------------------------------------- */

/* Label sets of streams with (about) a record in [mint, maxt]; no matchers: all. From a. */
int logstore_series(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns, struct arena *a,
                    struct labels **out, uint32_t *n, struct err *e);

/*
 * Records and bytes by stream, level (structured metadata detected_level, else empty) and minute, without reading records. Minutes
 * are (60 k s, 60 (k + 1) s], as LogQL's windows are: left-open. Gives those that lie within (mint, maxt] as a whole; *from and *to
 * are the first and last edge given: what lies outside of (*from, *to] has to be read. Streams by their place in labels (from a).
 */
struct log_minute {
    uint32_t stream;
    struct str level;
    int64_t end_ns;
    uint64_t rows, bytes;
};
struct log_minutes {
    struct labels *streams;
    uint32_t nstreams;
    struct log_minute *v; /* by stream, level, time */
    size_t n;
    int64_t from_ns, to_ns;
};
int logstore_minutes(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns, struct arena *a,
                     const struct log_limits *limits, struct log_minutes *out, struct err *e);

struct log_volume {
    uint64_t streams, blocks, rows, bytes;
};
/* About how much a selector names; minutes at the edges counted whole. */
int logstore_volume(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns,
                    struct log_volume *out, struct err *e);

/* --- tails ---------------------------------------------------------------------------------------- */

/*
 * Records as they are committed. Each tail has a bounded queue: when it is full, records are left out for this tail and counted;
 * ingest never waits. wake(arg) is called on the journal thread when a queue that was empty has something; it must be quick.
 */
struct log_tail;
int logstore_tail_open(struct logstore *ls, const struct matcher *m, uint32_t nm, size_t queue_bytes, void (*wake)(void *arg), void *arg,
                       struct log_tail **out, struct err *e);
void log_tail_close(struct log_tail *t);
struct log_tailed {
    struct labels labels;
    int64_t t_ns;
    struct str line;
    const struct label *meta;
    uint32_t nmeta;
};
/* Up to max records, oldest first, copied into a. Returns how many; *dropped: left out since the last call. */
uint32_t log_tail_take(struct log_tail *t, struct arena *a, struct log_tailed *out, uint32_t max, uint64_t *dropped);

/* --- deletes ---------------------------------------------------------------------------------------- */

/*
 * Requests to delete, durable and in force at once for every read; the bytes go when days are rewritten. query is kept as
 * text: what it says beyond the matchers is asked of the filter.
 */
struct log_delete {
    uint64_t id;
    struct str query;
    int64_t mint_ns, maxt_ns, created_ns;
    bool done; /* no file holds such records any more */
};
/* Knows the text of a delete: takes it apart, and tells whether a record is meant. Set once, before store_recover. */
struct log_delete_filter {
    /* Matchers of the query's selector, from a, to be released by the caller; *filter NULL: every record of these streams. */
    int (*compile)(void *arg, struct str query, struct arena *a, struct matcher **m, uint32_t *nm, void **filter, struct err *e);
    bool (*matches)(void *filter, const struct labels *stream, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta);
    void (*release)(void *filter);
    void *arg;
};
void logstore_delete_filter(struct logstore *ls, const struct log_delete_filter *f);
int logstore_delete(struct logstore *ls, struct str query, int64_t mint_ns, int64_t maxt_ns, uint64_t *id, struct err *e);
/* Takes back one that is not done. ERR_NOT_FOUND. */
int logstore_delete_cancel(struct logstore *ls, uint64_t id, struct err *e);
uint32_t logstore_deletes(struct logstore *ls, struct arena *a, struct log_delete **out);
/* Rewrites the days that hold deleted records, now. Any thread but the store's. */
int logstore_clean(struct logstore *ls, struct err *e);

/* --- figures ---------------------------------------------------------------------------------------- */

struct logstore_stats {
    uint64_t streams, streams_created, head_bytes, head_rows, rows, bytes;
    uint64_t refused[LOG_VERDICTS];
    uint64_t same, tails, tail_dropped, blocks, deletes;
};
void logstore_stats(struct logstore *ls, struct logstore_stats *out);

#endif
