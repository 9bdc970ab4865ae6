/* fuzz_promql.c - any bytes parse or are refused; what parses prints to a text that parses and prints the same. */
#include "query/promql/ast.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf once = {0}, twice = {0};
    struct node *n = NULL, *m = NULL;
    struct err e;

    if (promql_parse(&a, str_n(data, size), &n, NULL, NULL, &e) == 0) {
        promql_print(&once, n);
        if (promql_parse(&a, buf_str(&once), &m, NULL, NULL, &e) < 0)
            abort();
        promql_print(&twice, m);
        if (!str_eq(buf_str(&once), buf_str(&twice)))
            abort();
        buf_reset(&twice);
        promql_pretty(&twice, n);
        promql_ast_json(&twice, n);
        promql_release(m);
    }
    promql_release(n);
    buf_release(&once);
    buf_release(&twice);
    arena_release(&a);
    return 0;
}
