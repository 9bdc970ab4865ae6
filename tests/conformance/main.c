/*
 * main.c - conformance MODE FILE...: runs upstream's test cases against our parsers and engines.
 *
 * Prints each failing case, then as the last line "N passed, N failed"; exits 0 only when nothing failed and something
 * ran.
 */
#include "tests/conformance/conformance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct mode {
    const char *name;
    int (*run)(struct str path, struct conf_report *r);
    const char *what;
};

static const struct mode modes[] = {
    {"promql-parser", conf_promql_parser, "parse, print, prettify, series notation (.jsonl)"},
    {"promql", conf_promql, "query scripts (.test)"},
    {"exposition", conf_exposition, "text formats of a scrape"},
    {"rules", conf_rules, "rule files"},
    {"logql", conf_logql, "parse, print, prettify, stages over lines (.jsonl), query scripts (.logqltest)"},
};

void conf_pass(struct conf_report *r)
{
    r->passed++;
}

void conf_fail(struct conf_report *r, const char *what, const char *fmt, ...)
{
    va_list ap;

    r->failed++;
    if (r->quiet)
        return;
    printf("FAIL %.*s: %s\n     ", STR_ARG(r->path), what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

int conf_read(struct str path, struct buf *out)
{
    char *z = x_strdup(path);
    FILE *f = fopen(z, "rb");
    size_t n;

    if (!f) {
        printf("FAIL %s: %s\n", z, strerror(errno));
        free(z);
        return -1;
    }
    do {
        n = fread(buf_reserve(out, 64 * 1024), 1, 64 * 1024, f);
        out->n += n;
    } while (n > 0);
    fclose(f);
    free(z);
    buf_z(out);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: conformance [-q] MODE FILE...\n  -q  only the last line\nmodes:\n");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        fprintf(stderr, "  %-14s %s%s\n", modes[i].name, modes[i].what, modes[i].run ? "" : " (not in this build)");
    return 2;
}

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}

int main(int argc, char **argv)
{
    struct conf_report r = {0};
    const struct mode *m;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++)
        r.quiet |= strcmp(argv[at], "-q") == 0;
    if (argc - at < 2 || !(m = mode_find(argv[at])) || !m->run)
        return usage();
    for (at++; at < argc; at++) {
        r.path = str_of(argv[at]);
        if (m->run(r.path, &r) < 0)
            r.failed++;
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)r.passed, (unsigned long long)r.failed);
    return r.failed || !r.passed ? 1 : 0;
}
