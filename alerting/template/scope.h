/* scope.h - the names that templates of alerting rules and of consoles may use, as Prometheus has them. */
#ifndef ALERTING_TEMPLATE_SCOPE_H
#define ALERTING_TEMPLATE_SCOPE_H

#include "base/template/template.h"

extern const struct tmpl_scope tmpl_scope_alert;

#endif
