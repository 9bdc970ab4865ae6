/*
 * promql_parse.c - promql_parse [-p|-j] [QUERY...]: how we read a query. Without arguments: one query a line from
 * stdin.
 *
 *   (none)  the query printed back on one line, or each error as [start,end) text
 *   -p      prettified    -j  the tree as JSON
 */
#include "query/promql/ast.h"

#include <stdio.h>
#include <stdlib.h>

static int show(char how, struct str query)
{
    struct arena a = {0};
    struct promql_parse_error *errors;
    struct node *n = NULL;
    struct buf out = {0};
    uint32_t nerrors;
    struct err e;
    int rc = promql_parse(&a, query, &n, &errors, &nerrors, &e);

    if (rc < 0) {
        printf("%s\n", e.text);
        for (uint32_t i = 0; i < nerrors && nerrors > 1; i++)
            printf("  [%u,%u) %.*s\n", errors[i].start, errors[i].end, STR_ARG(errors[i].msg));
    } else {
        if (how == 'j')
            promql_ast_json(&out, n);
        else if (how == 'p')
            promql_pretty(&out, n);
        else
            promql_print(&out, n);
        puts(buf_z(&out));
    }
    promql_release(n);
    buf_release(&out);
    arena_release(&a);
    return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    char how = 0, *line = NULL;
    int at = 1, rc = 0;
    size_t cap = 0;
    ssize_t n;

    if (at < argc && argv[at][0] == '-' && (argv[at][1] == 'j' || argv[at][1] == 'p') && !argv[at][2])
        how = argv[at++][1];
    if (at < argc) {
        for (; at < argc; at++)
            rc |= show(how, str_of(argv[at]));
        return rc;
    }
    while ((n = getline(&line, &cap, stdin)) >= 0)
        rc |= show(how, str_n(line, (size_t)(n && line[n - 1] == '\n' ? n - 1 : n)));
    free(line);
    return rc;
}
