/* read_series.h - one series as remote read sends it. Private to api/. */
#ifndef API_READ_SERIES_H
#define API_READ_SERIES_H

#include "base/base.h"

struct tsdb_samples;

/* own, and of external those whose names own does not have. The array is from a, strings are borrowed. */
struct labels read_merge_labels(struct arena *a, const struct labels *own, const struct labels *external);
/* A timeseries field of a QueryResult. s may have no samples. */
void read_put_series(struct buf *out, const struct labels *ls, const struct tsdb_samples *s);
/* Frames of ChunkedReadResponse, for query number `index`; none when there are no samples. */
void read_put_frames(struct buf *out, const struct labels *ls, const struct tsdb_samples *s, uint32_t index);

#endif
