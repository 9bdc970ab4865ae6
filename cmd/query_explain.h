/* query_explain.h - the tree of `tripod query --explain` for a terminal. Private to cmd/. */
#ifndef CMD_QUERY_EXPLAIN_H
#define CMD_QUERY_EXPLAIN_H

#include <cjson/cJSON.h>

/* data: of /api/v1/explain. One line a node, then the whole. */
void print_explain(const cJSON *data);

#endif
