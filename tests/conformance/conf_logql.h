/* conf_logql.h - between the files of the logql mode. */
#ifndef CONFORMANCE_LOGQL_H
#define CONFORMANCE_LOGQL_H

#include "tests/conformance/conformance.h"

#include <cjson/cJSON.h>

/* One line of a .jsonl file. */
struct logql_case {
    struct conf_report *r;
    struct arena arena;
    unsigned line;
    const cJSON *c;
};

const char *logql_case_text(const cJSON *c, const char *key); /* or NULL */
void logql_case_fail(struct logql_case *x, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* conf_logql_lines.c: a pipeline over one line */
void logql_case_sanitize(struct logql_case *x);
void logql_case_pattern(struct logql_case *x);
void logql_case_pipeline(struct logql_case *x);

/* conf_logql_script.c */
int conf_logql_script(struct str path, struct conf_report *r);

#endif
