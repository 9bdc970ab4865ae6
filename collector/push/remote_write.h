/*
 * remote_write.h - a remote write message, 1.0 or 2.0, as a batch of rows. Private to push/.
 *
 *   rw1.c   prometheus.WriteRequest          rw2.c   io.prometheus.write.v2.Request          rw_rows.c   the rows
 */
#ifndef COLLECTOR_PUSH_REMOTE_WRITE_H
#define COLLECTOR_PUSH_REMOTE_WRITE_H

#include "collector/push/wire_hist.h"
#include "net/wire.h"
#include "tsdb/tsdb.h"

struct rw_message {
    struct tsdb_batch batch; /* batch.ctx is the message */
    struct arena *a;         /* of all rows */
    struct str body;         /* borrowed: labels, symbols and texts point into it */
    struct str *symbols;     /* 2.0 */
    uint32_t nsymbols;

    uint32_t nsamples, nexemplars;
    uint32_t nrefused;    /* samples of series that can not even be named (2.0: bad references, mixed kinds) */
    struct err refused;   /* the first one's sentence */

    uint32_t series_cap, samples_cap, exemplars_cap, metadata_cap;
    size_t arena_bytes_max; /* a body of few bytes can mean many rows: see rw_check_rows */
};

/* The body must live as long as the message. ERR_INVALID names the byte at which the message can not be read. */
int rw1_read(struct rw_message *m, struct arena *a, struct str body, struct err *e);
int rw2_read(struct rw_message *m, struct arena *a, struct str body, struct err *e);

/* --- rw_rows.c ------------------------------------------------------------------------------------ */

void rw_init(struct rw_message *m, struct arena *a, struct str body, size_t series_bytes);
struct tsdb_in *rw_add_series_slow(struct rw_message *m);
void rw_grow_samples(struct rw_message *m);
struct tsdb_exemplar *rw_add_exemplar(struct rw_message *m);
struct tsdb_metadata *rw_add_metadata(struct rw_message *m);
void rw_start_times(struct rw_message *m); /* makes batch.st, zeroed */
/*
 * Reads a Histogram message as the next sample. >0: it can be read but is none that may be stored, e says why.
 * ERR_INVALID: malformed. ERR_LIMIT as rw_check_rows.
 */
int rw_read_histogram(struct rw_message *m, enum wire_hist_kind kind, struct str bytes, struct err *e);
/* Takes back the samples and exemplars of a series that is refused. */
void rw_drop_rows(struct rw_message *m, const struct tsdb_in *in);
/* ERR_LIMIT when the rows read so far take more than ROWS_BYTES_MAX. To be asked after each series and each unusual row. */
int rw_check_rows(const struct rw_message *m, struct err *e);
int rw_malformed(const struct rw_message *m, const void *at, const char *what, struct err *e);
/*
 * The number of a sample or an exemplar and its times: a double in field `number`, milliseconds in the two after it. What
 * is not there is 0; other fields are skipped. ERR_INVALID: malformed.
 */
int rw_read_value(struct str bytes, uint32_t number, double *v, int64_t t[2]);
/* What every set must have, beyond what the tsdb checks: a name, and no name twice. */
int rw_check_labels(struct labels *ls, struct err *e);

/* The next series; its samples begin where those of all before end. */
static inline struct tsdb_in *rw_add_series(struct rw_message *m)
{
    struct tsdb_batch *b = &m->batch;
    struct tsdb_in *in;

    if (__builtin_expect(b->nseries == m->series_cap, 0))
        return rw_add_series_slow(m);
    in = &b->series[b->nseries++];
    *in = (struct tsdb_in){.first = m->nsamples, .exemplar_first = m->nexemplars};
    return in;
}

static inline void rw_add_sample(struct rw_message *m, int64_t t, double v)
{
    if (__builtin_expect(m->nsamples == m->samples_cap, 0))
        rw_grow_samples(m);
    m->batch.t[m->nsamples] = t;
    m->batch.v[m->nsamples++] = v;
}

/*
 * A sample as nearly every sender writes it: 12 10 | 09 f64 | 10 varint of six bytes, which is every ms from 1971-02 to
 * 2109. Returns the place behind, or NULL when the bytes are of another shape. Reads RW_SAMPLE_READ bytes at p.
 */
enum { RW_SAMPLE_READ = 20 };
static inline const uint8_t *rw_usual_sample(const uint8_t *p, int64_t *t, double *v)
{
    uint64_t x = get_u64le(p + 12);

    if (get_u16le(p) != 0x1012 || p[2] != 0x09 || p[11] != 0x10 ||
        (x & UINT64_C(0x808080808080)) != UINT64_C(0x008080808080))
        return NULL;
    memcpy(v, p + 3, 8);
    *t = (int64_t)((x & 0x7f) | (x >> 1 & UINT64_C(0x3f80)) | (x >> 2 & UINT64_C(0x1fc000)) |
                   (x >> 3 & UINT64_C(0xfe00000)) | (x >> 4 & UINT64_C(0x7f0000000)) |
                   (x >> 5 & UINT64_C(0x3f800000000)));
    return p + 18;
}

#endif
