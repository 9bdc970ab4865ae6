/* run.h - what the parts of a run share. Private to base/template. */
#ifndef TEMPLATE_RUN_H
#define TEMPLATE_RUN_H

#include "base/template/template.h"

/* All return 0 or ERR_EXEC, having said what is wrong at which node. */
__attribute__((format(printf, 3, 4))) int tmpl_fail_at(struct tmpl_run *r, const struct tmpl_node *n, const char *fmt, ...);
int tmpl_enter_level(struct tmpl_run *r);
int tmpl_eval(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *pipe, struct tmpl_value *out);

/* fn with what stands behind it in the command (args[0] is its own node) and, unless NULL, the value of the command before. */
int tmpl_call(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *node, struct tmpl_node *const *args,
              uint32_t n, const struct tmpl_value *final, struct tmpl_value *out);
/* An argument of no particular type. */
int tmpl_eval_arg(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n, struct tmpl_value *out);
/* Names behind a value, the last perhaps with arguments. */
int tmpl_eval_fields(struct tmpl_run *r, const struct tmpl_value *dot, struct tmpl_value from, const struct tmpl_node *node,
                     struct tmpl_node *const *args, uint32_t n, const struct tmpl_value *final, struct tmpl_value *out);

/* The methods of time.Time and time.Duration. >0: no such method. */
int tmpl_time_method(struct tmpl_run *r, const struct tmpl_value *self, struct str name, const struct tmpl_value *args, uint32_t n,
                     struct tmpl_value *out);

/* As Go shows a node in a message. */
void tmpl_node_text(const struct tmpl_node *n, struct buf *out);

#endif
