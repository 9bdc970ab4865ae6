/* test_print.c - a tree as one line, as many lines, as JSON. */
#include "query/promql/print.c"

#include "tests/query/promql/test_promql.h"

typedef void printer(struct buf *out, const struct node *n);

static void expect(printer *print, const char *query, const char *want)
{
    struct arena a = {0};
    struct buf got = {0};
    struct node *n = NULL;
    struct err e;

    if (promql_parse(&a, str_of(query), &n, NULL, NULL, &e) < 0)
        fail_msg("%s: %s", query, e.text);
    print(&got, n);
    assert_string_equal(buf_z(&got), want);
    promql_release(n);
    buf_release(&got);
    arena_release(&a);
}

static void one_line(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"foo{b='x',a!=`y`}", "foo{a!=\"y\",b=\"x\"}"},
        {"{'x.y'}", "{__name__=\"x.y\"}"},
        {"{__name__='foo'}", "{__name__=\"foo\"}"},
        {"{'',' ',a='x'}", "{__name__=\"\",__name__=\" \",a=\"x\"}"},
        {"SUM(foo) BY (a,'b c')", "sum by (a, \"b c\") (foo)"},
        {"sum without () (foo)", "sum without () (foo)"},
        {"a ATAN2 b", "a atan2 b"},
        {"a </ 5", "a </ 5"},
        {"90m + 5400", "1h30m + 5400"},
        {"-5m", "-5m"},
        {"1e21 + 0x10 + .5", "1000000000000000000000 + 16 + 0.5"},
        {"foo[90m:5m] @ 1.5 offset -1w", "foo[1h30m:5m] @ 1.500 offset -1w"},
        {"foo[step()-1] smoothed", "foo[step() - 1] smoothed"},
        {"a / ignoring() group_right b", "a / ignoring () group_right () b"},
        {"a + on(x) fill_left(-1) fill_right(2) b", "a + on (x) fill_left (-1) fill_right (2) b"},
        {"\"a\\x00\xc3\xbc\"", "\"a\\x00\xc3\xbc\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(promql_print, cases[i].in, cases[i].out);
}

static void narrow(struct buf *out, const struct node *n)
{
    promql_pretty_width(out, n, 12);
}

static void many_lines(void **state)
{
    (void)state;
    expect(promql_pretty, "sum(rate(foo[5m])) by (a) / 2", "sum by (a) (rate(foo[5m])) / 2");
    expect(narrow, "sum(rate(foo[5m])) by (a) / 2", "  sum by (a) (\n    rate(\n      foo[5m]\n    )\n  )\n/\n  2");
    expect(narrow, "topk(3, foo_foo_foo)", "topk(\n  3,\n  foo_foo_foo\n)");
    expect(narrow, "-(aaaaaaa + bbbbbbb)", "-(\n    aaaaaaa\n  +\n    bbbbbbb\n)");
    expect(narrow, "-aaaaaaa ^ bbbbbbb", "-aaaaaaa\n^\n  bbbbbbb");
    expect(narrow, "Inf ^ aaaaaaaaaaa", "  Inf\n^\n  aaaaaaaaaaa");
    expect(narrow, "-Inf ^ aaaaaaaaaaa", "-Inf\n^\n  aaaaaaaaaaa");
    expect(narrow, "max_over_time(a[5m:1m])", "max_over_time(\n  a[5m:1m]\n)");
}

static void as_json(void **state)
{
    (void)state;
    expect(promql_ast_json, "max(foo{a=~\"b\"} offset (5 + step()))",
           "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=~\",\"value\":\"b\"},"
           "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"foo\"}],\"name\":\"foo\",\"offset\":0,\"offsetExpr\":"
           "{\"lhs\":{\"duration\":false,\"type\":\"numberLiteral\",\"val\":\"5\"},\"op\":\"+\",\"rhs\":{\"lhs\":null,"
           "\"op\":\"step\","
           "\"rhs\":null,\"type\":\"durationExpr\",\"wrapped\":false},\"type\":\"durationExpr\",\"wrapped\":true},"
           "\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":null,\"type\":\"vectorSelector\"},\"grouping\":[],"
           "\"op\":\"max\","
           "\"param\":null,\"type\":\"aggregation\",\"without\":false}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
