/* unquote.h - Go's string and character literals. Private to base/template. */
#ifndef TEMPLATE_UNQUOTE_H
#define TEMPLATE_UNQUOTE_H

#include "base/base.h"

/* The bytes of "..." , `...` or '...', quotes included in s. False: an escape that Go does not know, or not one character. */
bool tmpl_unquote(struct arena *a, struct str s, struct str *out);

#endif
