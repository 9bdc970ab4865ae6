/*
 * fuzz_logql.c - any bytes parse or are refused; what parses prints, and prettifies, to texts that parse and print the same.
 */
#include "query/logql/logql.h"

#include <stdlib.h>

/* Numbers that were folded to one that has no literal print as Go prints them. */
static bool has_no_literal(const struct buf *text)
{
    return str_find(buf_str(text), STR("NaN")) >= 0 || str_find(buf_str(text), STR("Inf")) >= 0;
}

static void prints_back(struct arena *a, const struct buf *text, const struct buf *want)
{
    struct logql_tree t;
    struct buf got = {0};
    struct err e;

    if (logql_parse(a, buf_str(text), &t, &e) < 0) {
        if (has_no_literal(text))
            return;
        abort();
    }
    logql_print(&got, t.root);
    if (!str_eq(buf_str(&got), buf_str(want)))
        abort();
    buf_release(&got);
    logql_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf line = {0}, lines = {0};
    struct logql_tree t;
    struct err e;

    if (logql_parse(&a, str_n(data, size), &t, &e) == 0) {
        logql_print(&line, t.root);
        prints_back(&a, &line, &line);
        logql_pretty(&lines, t.root, 20);
        prints_back(&a, &lines, &line);
        logql_check(&t, &e);
        logql_release(&t);
    }
    if (logql_parse_selector(&a, str_n(data, size), true, &t, &e) == 0)
        logql_release(&t);
    buf_release(&line);
    buf_release(&lines);
    arena_release(&a);
    return 0;
}
