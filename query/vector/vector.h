/*
 * vector.h - front door of vector/: rows of values at steps, and what the query languages compute with them.
 *
 *   row.h        rows, vectors of rows, label sets        pile.h       memory charged to a query
 *   window.h     where steps look in sample times         range.h      functions over windows
 *   elem.h       functions and operators of elements      aggregate.h  groups of rows
 *   quantile.h   quantiles of values and buckets          histogram.h  native histograms
 */
#ifndef VECTOR_VECTOR_H
#define VECTOR_VECTOR_H

#include "query/vector/aggregate.h"
#include "query/vector/elem.h"
#include "query/vector/histogram.h"
#include "query/vector/pile.h"
#include "query/vector/quantile.h"
#include "query/vector/range.h"
#include "query/vector/row.h"
#include "query/vector/window.h"

#endif
