/*
 * query.h - front door of query/: languages over stores.
 *
 *   exec/exec.h          a running query: budget, deadline, cancellation, the list of what runs
 *   vector/vector.h      rows of values at steps; range functions, aggregation, matching: shared by the languages
 *   promql/ast.h, promql.h  parse, print, check, plan, evaluate
 *   api/api.h            the HTTP endpoints
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "query/api/api.h"
#include "query/exec/exec.h"
#include "query/promql/ast.h"
#include "query/promql/promql.h"

#endif
