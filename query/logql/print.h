/* print.h - pieces of the printer that the prettifier needs too. Private to logql/. */
#ifndef LOGQL_PRINT_H
#define LOGQL_PRINT_H

#include "query/logql/ast.h"

/* Stops soon after out->n has passed limit. */
void lq_print(struct buf *out, const struct logql_expr *n, size_t limit);
void lq_print_selector(struct buf *out, const struct logql_log *log); /* {a="b", c!="d"} */
void lq_print_stage(struct buf *out, const struct logql_stage *st);   /* | logfmt; negative line filters one by one */
void lq_print_filter(struct buf *out, const struct logql_label_filter *f);
void lq_print_names(struct buf *out, const struct str *v, uint32_t n, const char *sep);
void lq_print_grouping(struct buf *out, const struct logql_grouping *g); /* " by (a,b)", or nothing */
void lq_print_number(struct buf *out, double v);
/* == bool on (a) group_left (): what stands between the operands, without spaces around. */
void lq_print_operator(struct buf *out, const struct logql_expr *n, const char *sep, const char *before_names);

#endif
