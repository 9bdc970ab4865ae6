/* builtin.h - the functions that every template has. Private to base/template. */
#ifndef TEMPLATE_BUILTIN_H
#define TEMPLATE_BUILTIN_H

#include "base/template/template.h"

/* NULL: none of that name. */
const struct tmpl_func *tmpl_builtin(struct str name);
/* These two look at an argument only when the ones before it ask for more, so they are no functions: fn is NULL. */
extern const struct tmpl_func tmpl_and, tmpl_or;

#endif
