/*
 * conformance.h - the frame around the conformance modes: each reads case files and says what passed.
 *
 * A mode is one function in its own conf_*.c and one row of the table in main.c. It is called once per file:
 *
 *     int conf_promql(struct str path, struct conf_report *r)
 *     {
 *         struct buf text = {0};
 *         if (conf_read(path, &text) < 0)
 *             return -1;
 *         for each case:
 *             if (as expected) conf_pass(r); else conf_fail(r, "line 12: rate(x[5m])", "expected 1, got %g", v);
 *         buf_release(&text);
 *         return 0;
 *     }
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "base/base.h"

struct conf_report {
    struct str path; /* of the file being run */
    bool quiet;      /* only the last line */
    uint64_t passed, failed;
};

void conf_pass(struct conf_report *r);
/* Counts and prints one failing case: the file, what it is (line or query), and how it differs. */
void conf_fail(struct conf_report *r, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The bytes that s stands for, from a; what is no digit is passed over. */
struct str conf_base64(struct arena *a, struct str s);
/* The whole file, NUL-terminated behind the bytes (buf_z). <0 after printing why. */
int conf_read(struct str path, struct buf *out);

/* Modes: 0, or <0 when the file could not be read or is not a case file (counted as one failure). */
int conf_promql_parser(struct str path, struct conf_report *r);
int conf_promql(struct str path, struct conf_report *r) __attribute__((weak));
int conf_exposition(struct str path, struct conf_report *r) __attribute__((weak));
int conf_rules(struct str path, struct conf_report *r);
int conf_logql(struct str path, struct conf_report *r);

#endif
