/*
 * query.h - front door of query/: languages over stores.
 *
 *   exec/exec.h          a running query: budget, deadline, cancellation, the list of what runs
 *   vector/vector.h      rows of values at steps; range functions, aggregation, matching: shared by the languages
 *   promql/ast.h, promql.h  parse, print, check, plan, evaluate
 *   logql/logql.h        the same for logs
 *   api/api.h            the HTTP endpoints
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "query/api/api.h"
#include "query/exec/exec.h"
#include "query/logql/logql.h"
#include "query/promql/ast.h"
#include "query/promql/promql.h"

#endif
