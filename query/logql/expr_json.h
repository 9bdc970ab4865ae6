/*
 * expr_json.h - what stands between the quotes of json x="a.b[0]" and logfmt x="key", and how keys become label names.
 */
#ifndef LOGQL_EXPR_JSON_H
#define LOGQL_EXPR_JSON_H

#include "query/logql/ast.h"

/* a.b["c d"][0]. From a; keys without escapes. The empty expression has no parts. ERR_INVALID: "syntax error: ...". */
int lq_json_path(struct arena *a, struct str expr, struct logql_path_part **parts, uint32_t *n, struct err *e);
/* A key, or one in quotes: at most one part. */
int lq_logfmt_path(struct arena *a, struct str expr, struct logql_path_part **parts, uint32_t *n, struct err *e);

#endif
