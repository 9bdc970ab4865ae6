/* codec_hist.h - columns of samples of which some are native histograms. Private to tsdb/; what floats get is codec.h. */
#ifndef TSDB_CODEC_HIST_H
#define TSDB_CODEC_HIST_H

#include "tsdb/codec.h"
#include "tsdb/hist.h"

/* Sample i is h[i], or v[i] where that is NULL. Layouts go to d. */
void hists_encode(struct column_out *o, struct hist_dict *d, const double *v, const struct histogram *const *h,
                  uint32_t n);
/*
 * The first `upto` of the n samples: h[i], from a, with bounds that are l's, or NULL and v[i]. ERR_CORRUPT without a
 * sentence. Where `in` is afterwards is undefined.
 */
int hists_decode(struct column_in *in, uint32_t n, uint32_t upto, const struct hist_layout *l, uint32_t nl,
                 struct arena *a, double *v, const struct histogram **h);
/* Moves behind a column without decoding it; checks that its bytes are there. */
int hists_skip(struct column_in *in, uint32_t n, const struct hist_layout *l, uint32_t nl);

#endif
