/*
 * intake.h - the rows of one batch, as a decoder finds them. Private to collector/logs.
 *
 * Either streams come one after the other (intake_stream, then its rows), or rows come in any order and each names its
 * stream (intake_find); intake_finish then puts the rows of a stream together, in the order in which they came.
 *
 *     s = intake_find(in, labels, n, &e);
 *     intake_row(in, s, t, line);  intake_meta(in, name, value)...;  intake_row_end(in);
 */
#ifndef COLLECTOR_LOGS_INTAKE_H
#define COLLECTOR_LOGS_INTAKE_H

#include "base/json_in.h"
#include "collector/logs/logs.h"
#include "collector/logs/rules.h"
#include "collector/logs/stream.h"
#include "logstore/logstore.h"

enum { INTAKE_FAULTS = 8, INTAKE_STREAM_RATE = LOG_VERDICTS /* beside the logstore's verdicts */ };

/* Rows that were refused here, and a sentence about (the first of) them. */
struct intake_fault {
    struct str text;
    uint64_t rows;
};

struct intake {
    struct arena *a;
    const struct logs_rules *rules;
    struct log_batch b;
    struct str *levels; /* of each stream, by its labels */
    uint32_t *of;       /* the stream of each row, where they come in any order */
    struct map by_key;  /* canonical labels -> stream + 1 */
    struct buf key;
    uint32_t streams_cap, rows_cap, meta_cap, nmeta, stream;
    bool mixed;
    bool each;          /* what becomes of each row is asked for (intake_verdict) */
    uint32_t *place;    /* each: of the row that came as the n-th, once the batch is whole */
    size_t bytes_max;   /* of the arena */
    uint64_t bytes;     /* of lines and metadata */

    struct intake_fault faults[INTAKE_FAULTS];
    uint32_t nfaults;
    uint64_t refused[LOGS_REASONS];
};

/* body_bytes: how long the text is that the rows come from, to guess how many there are. */
void intake_init(struct intake *in, struct arena *a, const struct logs_rules *r, size_t body_bytes, bool mixed);
void intake_release(struct intake *in); /* what is not in the arena */
/* A new stream, whose rows follow. */
uint32_t intake_stream(struct intake *in, const struct stream *st);
/* Mixed: the stream of a label set (any order; the array has room for one more and may be used again, the texts must live on). */
int intake_find(struct intake *in, struct labels *ls, uint32_t *stream, enum logs_reason *reason, struct err *e);
void intake_row(struct intake *in, uint32_t stream, int64_t t_ns, struct str line);
/* Of the row begun last. An empty name or value is left out. The name is sanitised, the value cleaned. */
void intake_meta(struct intake *in, struct str name, struct str value);
/* Adds the level where it is not said. */
void intake_row_end(struct intake *in);
/* ERR_LIMIT when the rows take more memory than a request may. */
int intake_check(const struct intake *in, struct err *e);
/* n rows of a sentence; equal sentences are counted together. */
void intake_refuse(struct intake *in, enum logs_reason reason, uint64_t n, const char *text);
/* The batch is whole. */
void intake_finish(struct intake *in);
/* The sentences of all that was refused, here and by the logstore, as Loki joins them. Empty: nothing was. */
void intake_faults(const struct intake *in, struct buf *out);
/* Mixed, and each was set before the first row: what became of the row that came as the n-th; enum log_verdict, or above. */
unsigned intake_verdict(const struct intake *in, uint32_t n);
/* The sentence about it, where it was refused and one of the first. Else STR_NULL. */
struct str intake_sentence(const struct intake *in, uint32_t n);
/* Rows refused by both. */
uint64_t intake_nrefused(const struct intake *in);

/* JSON of senders: control characters inside of strings pass, as shippers happen to write them; nested up to 128. */
static inline void logs_json_init(struct json_in *j, struct arena *a, struct str text, struct err *e)
{
    json_in_init(j, a, text, 128, JSON_CONTROL_FINE, e);
}

#endif
