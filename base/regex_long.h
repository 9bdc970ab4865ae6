/*
 * regex_long.h - patterns that take long to compile. RE2 bounds the memory of a program, not the time it takes to make: some hundred
 * bytes of large repetitions or classes of letters can take over a second. A thread that has to look up meanwhile names
 * somebody who compiles for it.
 */
#ifndef BASE_REGEX_LONG_H
#define BASE_REGEX_LONG_H

#include "base/regex.h"

/*
 * Does what regex_compile does, wherever it likes; or returns <0 with a sentence when there is no time left to wait for it. out and e are
 * not touched after it has returned.
 */
typedef int regex_compile_fn(void *arg, struct str pattern, unsigned flags, struct regex **out, struct err *e);

/* From now on regex_new of this thread asks fn. NULL: it compiles here. */
void regex_compile_by(regex_compile_fn *fn, void *arg);
/* What regex_new does where nobody was named. */
int regex_compile(struct str pattern, unsigned flags, struct regex **out, struct err *e);
/* Whether compiling may take more than a few ms. Told from the text; doubtful ones are long. */
bool regex_is_long(struct str pattern);

#endif
