/* test_parse.c - trees, errors and their places, limits; and that printing a tree and parsing it again gives the same
 * text. */
#include "query/promql/parse.c"

#include "query/promql/print.h"
#include "tests/query/promql/test_promql.h"

#include <stdlib.h>

/* The first error of a query, or "" when it parses. */
static void expect_text(const char *query, const char *error)
{
    struct arena a = {0};
    struct node *n = NULL;
    struct err e = {0};
    int rc = promql_parse(&a, str_of(query), &n, NULL, NULL, &e);

    assert_int_equal(rc, *error ? ERR_INVALID : 0);
    assert_string_equal(e.text, error);
    promql_release(n);
    arena_release(&a);
}

static void errors(void **state)
{
    static const struct {
        const char *query, *error;
    } cases[] = {
        {"", "unknown position: parse error: no expression found in input"},
        {"# nothing", "1:1: parse error: no expression found in input"},
        {"1 +\n+", "2:2: parse error: unexpected end of input"},
        {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
        {"sum(foo bar)", "1:9: parse error: unexpected identifier \"bar\" in aggregation"},
        {"sum by(a b)(x)", "1:10: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""},
        {"sum by(a:b)(x)", "1:8: parse error: unexpected metric identifier \"a:b\" in grouping opts, expected label"},
        {"foo{a=\"b\" c=\"d\"}",
         "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
        {"foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
        {"foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `(`"},
        {"foo[5m:1m", "1:10: parse error: unclosed left bracket"},
        {"foo[5m 5m]", "1:8: parse error: unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\""},
        {"foo[5m:5m 5m]", "1:11: parse error: unexpected duration \"5m\" in subquery selector, expected \"]\""},
        {"foo[1%0]", "1:6: parse error: modulo by zero"},
        {"foo offset -300y", "1:13: parse error: duration out of range"},
        {"foo @ x", "1:7: parse error: unexpected identifier \"x\" in @, expected timestamp"},
        {"foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
        {"1 @ 2", "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector "
                  "selector or a subquery"},
        {"a[5m] anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
        {"a[5m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"},
        {"info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"},
        {"a and fill(1) b", "1:1: parse error: filling in missing series not allowed for set operators"},
        {"rate(a[5m],)", "1:11: parse error: trailing commas not allowed in function call args"},
        {"label_join(foo)", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"},
        {"a / on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
        {"a + fill b", "1:10: parse error: unexpected identifier \"b\""},
        {"a == bool fill_left(1) fill_right(2) b", ""},
        {"a + fill", ""},
        {"sum by(and, on, sum, \"a.b\", start) (by)", ""},
        {"info(a, {})", ""},
        {"a @ start()[5m]", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_text(cases[i].query, cases[i].error);
}

static char *repeat(const char *head, const char *one, size_t n, const char *tail)
{
    struct buf b = {0};

    buf_putz(&b, head);
    for (size_t i = 0; i < n; i++)
        buf_putz(&b, one);
    buf_putz(&b, tail);
    buf_z(&b);
    return b.p;
}

static void expect_error(char *query, const char *words)
{
    struct arena a = {0};
    struct node *n = NULL;
    struct err e = {0};
    int rc = promql_parse(&a, str_of(query), &n, NULL, NULL, &e);

    if (words) {
        assert_int_equal(rc, ERR_INVALID);
        assert_non_null(strstr(e.text, words));
    } else {
        assert_int_equal(rc, 0);
    }
    promql_release(n);
    arena_release(&a);
    free(query);
}

/* Whatever is nested or long beyond reason is an error, never the end of the stack. */
static void limits(void **state)
{
    (void)state;
    expect_error(repeat("", "(", 100000, "1"), "nested deeper than");
    expect_error(repeat("", "-", 100000, "a"), "nested deeper than");
    expect_error(repeat("", "abs(", 100000, "1"), "nested deeper than");
    expect_error(repeat("", "sum(", 100000, "1"), "nested deeper than");
    expect_error(repeat("", "1^", 100000, "1"), "nested deeper than");
    expect_error(repeat("a[", "(", 100000, "1"), "nested deeper than");
    expect_error(repeat("a[", "-", 100000, "1"), "nested deeper than");
    expect_error(repeat("a[", "max_of(1,", 100000, "1"), "nested deeper than");
    expect_error(repeat("a[", "1^", 100000, "1]"), "nested deeper than");
    expect_error(repeat("a", "[5m:]", 100000, ""), "nested deeper than");
    expect_error(repeat("a", "+a", 100000, ""), "levels, more than the limit");
    expect_error(repeat("a[1", "+1", 100000, "]"), "nested deeper than");
    expect_error(repeat("a", "+a", 2000, ""), NULL);
    expect_error(repeat("", "(", 900, "1"), "unclosed left parenthesis");
    expect_error(repeat("a", " ", 2000000, ""), "longer than the limit");
    expect_error(repeat("foo{", "a=~\"b\",", 5000, "}"), NULL);
}

static void positions(void **state)
{
    static const char query[] = "sum by(x) (rate(foo{a=\"b\"}[5m] offset 1m)) / (bar @ 5)";
    struct arena a = {0};
    struct node *n = NULL, *sum, *rate, *matrix;
    struct err e;

    (void)state;
    assert_int_equal(
        promql_parse(&a, STR("sum by(x) (rate(foo{a=\"b\"}[5m] offset 1m)) / (bar @ 5)"), &n, NULL, NULL, &e), 0);
    sum = n->binary.l;
    rate = sum->agg.expr;
    matrix = rate->call.args[0];
    assert_true(n->start == 0 && n->end == sizeof query - 1);
    assert_true(sum->start == 0 && sum->end == 42);
    assert_true(rate->start == 11 && rate->end == 41);
    assert_true(matrix->start == 16 && matrix->end == 40);
    assert_true(matrix->matrix.selector->start == 16 && matrix->matrix.selector->end == 26);
    assert_true(n->binary.r->start == 45 && n->binary.r->child->start == 46 && n->binary.r->child->end == 53);
    promql_release(n);
    arena_release(&a);
}

static void matchers(void **state)
{
    struct arena a = {0};
    struct matcher *m;
    uint32_t n;
    struct err e;

    (void)state;
    assert_int_equal(promql_parse_matchers(&a, STR("up{job=~\"a|b\"}"), &m, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_true(m[0].op == MATCH_RE && str_eqz(m[1].value, "up"));
    for (uint32_t i = 0; i < n; i++)
        matcher_release(&m[i]);
    assert_int_equal(promql_parse_matchers(&a, STR("{job=~\".*\"}"), &m, &n, &e), ERR_INVALID);
    assert_string_equal(e.text, "match[] must contain at least one non-empty matcher");
    assert_int_equal(promql_parse_matchers(&a, STR("sum(up)"), &m, &n, &e), ERR_INVALID);
    assert_string_equal(e.text, "1:4: parse error: unexpected \"(\"");
    assert_int_equal(promql_parse_matchers(&a, STR(""), &m, &n, &e), ERR_INVALID);
    assert_int_equal(promql_parse_matchers(&a, STR("up{a=~\"b\", c=\"d"), &m, &n, &e), ERR_INVALID);
    arena_release(&a);
}

/* --- random text -------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* Words and signs strung together: mostly nonsense, now and then a query. */
static void random_query(struct buf *b)
{
    static const char *const words[] = {
        "foo",        "sum",      "by",       "(",       ")",          "(",           ")",
        "{",          "}",        "[5m]",     "[5m:1m]", "[step()*2]", "+",           "-",
        "*",          "^",        "==",       "bool",    "and",        "on",          "(a)",
        "group_left", "offset",   "5m",       "@",       "1.5",        "start()",     "\"a.b\"",
        "a=\"b\"",    ",",        "rate",     "abs(",    "topk(3,",    "fill(1)",     "1",
        "foo[1m]",    "anchored", "smoothed", "unless",  "</",         "max_of(1,2)", "offset -(5+step())",
        "{\"x y\"}",  "# c\n"};
    uint32_t n = 1 + rnd(9);

    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? " " : "", words[rnd(ARRAY_LEN(words))]);
}

/* What parses prints to a text that parses and prints the same; what does not has a place inside the text. */
static void print_and_back(void **state)
{
    unsigned parsed = 0;

    (void)state;
    seed = (uint64_t)clock_wall_ns();
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < 100000; i++) {
        struct promql_parse_error *errors_;
        struct arena a = {0};
        struct buf q = {0}, once = {0}, twice = {0};
        struct node *n = NULL, *m = NULL;
        uint32_t nerrors;
        struct err e;

        random_query(&q);
        if (promql_parse(&a, buf_str(&q), &n, &errors_, &nerrors, &e) == 0) {
            parsed++;
            promql_print(&once, n);
            if (promql_parse(&a, buf_str(&once), &m, NULL, NULL, &e) < 0)
                fail_msg("%s\nprints as %s\n%s", buf_z(&q), buf_z(&once), e.text);
            promql_print(&twice, m);
            if (!str_eq(buf_str(&once), buf_str(&twice)))
                fail_msg("%s\nprints as %s\nthen as %s", buf_z(&q), buf_z(&once), buf_z(&twice));
            promql_release(m);
        } else {
            for (uint32_t k = 0; k < nerrors; k++)
                assert_true(errors_[k].start <= errors_[k].end && errors_[k].end <= q.n && errors_[k].msg.n);
        }
        promql_release(n);
        buf_release(&q);
        buf_release(&once);
        buf_release(&twice);
        arena_release(&a);
    }
    assert_true(parsed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),   cmocka_unit_test(limits),         cmocka_unit_test(positions),
        cmocka_unit_test(matchers), cmocka_unit_test(print_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
