/* form.h - percent-encoding, query strings and urlencoded forms. */
#ifndef NET_FORM_H
#define NET_FORM_H

#include "base/base.h"

struct param {
    struct str name, value;
};
struct params {
    struct param *v;
    uint32_t n;
};

/* Appends the pairs of a query string or form body ('&' between, '+' is a space) to *out; from a. ERR_LIMIT over max
 * pairs. */
int params_parse(struct arena *a, struct str text, uint32_t max, struct params *out, struct err *e);
/* First value, or STR_NULL (p NULL) when absent. */
struct str params_get(const struct params *ps, const char *name);
/* Percent-decoding of a path segment ('+' stays). From a. */
struct str url_decode(struct arena *a, struct str s);
void url_encode(struct buf *out, struct str s); /* everything but unreserved characters */

#endif
