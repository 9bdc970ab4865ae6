/*
 * pattern_text.h - patterns as text: literals and captures, for the pattern stage and for |> and !>.
 */
#ifndef LOGQL_PATTERN_TEXT_H
#define LOGQL_PATTERN_TEXT_H

#include "base/base.h"

struct lq_pattern_part {
    bool capture;
    struct str text; /* the literal's bytes; of a capture its name, "_" of one without */
};

/* "a <b> c": neighbouring literals are one. Borrows text; the array is from a. */
uint32_t lq_pattern_split(struct arena *a, struct str text, struct lq_pattern_part **out);
/* What the pattern stage wants: a named capture, none twice, none beside another. ERR_INVALID says what is wrong. */
int lq_pattern_check(const struct lq_pattern_part *parts, uint32_t n, struct err *e);
/* What |> and !> want: no named captures, none beside another. */
int lq_pattern_check_filter(const struct lq_pattern_part *parts, uint32_t n, struct err *e);

#endif
