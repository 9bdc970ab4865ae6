/*
 * rollup_day.h - the aggregates of a day on disk: one partition for each resolution, of the signals "metrics.5m" and
 * "metrics.1h". Private to tsdb/.
 *
 * Such a partition is a day as day.h has it, whose samples are buckets: the same series under the same sids as in the
 * sealed day it was made of, and one slice for each column that has a row. Beside it stands
 *
 *   "R"   u32 "TPR2" | u32 resolution in ms | u64 content of the day it was made of | u32 columns (bits), in slice order
 *
 * ROLLUP_MIN is left out where it is ROLLUP_FIRST, ROLLUP_MAX where it is ROLLUP_LAST, ROLLUP_RESETS where it is zero. A
 * series with histograms has all columns of those, beside the ones of its floats if there are any; they stand there as gauges,
 * what is known of resets is told by ROLLUP_H_COUNT. A series that aggregates cannot tell has no row at all.
 *
 * "TPR1" is the same without histograms: series that have some have no row.
 */
#ifndef TSDB_ROLLUP_DAY_H
#define TSDB_ROLLUP_DAY_H

#include "tsdb/db.h"
#include "tsdb/rollup_hist.h"

#define ROLLUP_5M_SIGNAL "metrics.5m"
#define ROLLUP_1H_SIGNAL "metrics.1h"

struct rollup_about {
    int64_t every;
    uint64_t made_of; /* txn_content of the sealed day */
    unsigned columns;
    bool hists; /* series with histograms are told, too */
};
/* ERR_CORRUPT: not what a view of aggregates says. */
int rollup_about(struct day_view *v, struct rollup_about *out, struct err *e);

/* Makes the aggregates of a sealed day, for the resolutions asked for, in the place of those that there are. Durable. */
int rollup_make(struct tsdb *db, struct partition *sealed, bool five, bool hour, struct err *e);

/* signal_ops.tended of the samples: makes what is missing or was made of what has changed since. */
int rollup_tended(void *self, int64_t now_ms, struct err *e);
/* signal_ops.verify of aggregates. */
int rollup_verify(void *self, struct partition *p, void (*print)(void *arg, const char *line), void *arg,
                  struct err *e);

/* Registers the signals. The store must have the one of the samples already. */
void rollup_signals_add(struct tsdb *db);
void rollup_release(struct tsdb *db);

#endif
