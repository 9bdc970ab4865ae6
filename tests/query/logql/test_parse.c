/* test_parse.c - words and places of errors, limits, what is printed and read again. */
#include "query/logql/parse.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *error_of(struct arena *a, const char *text)
{
    struct logql_tree t;
    struct err e = {0};

    if (logql_parse(a, str_of(text), &t, &e) == 0) {
        logql_release(&t);
        return "parses";
    }
    return arena_dup(a, str_of(e.text)).p;
}

static void errors(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "parse error at line 1, col 1: syntax error: unexpected $end"},
        {"{a=\"b\"", "parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,"},
        {"{a=\"b\",}", "parse error at line 1, col 8: syntax error: unexpected }, expecting IDENTIFIER"},
        {"{a=~\"(\"}", "parse error : error parsing regexp: missing closing ): `(`"},
        {"{a=\"b\"} | json | unwrap x", "parse error at line 1, col 18: syntax error: unexpected unwrap"},
        {"{a=\"b\"}\n  |= 5", "parse error at line 2, col 6: syntax error: unexpected NUMBER, expecting STRING or ip"},
        {"rate({a=\"b\"})", "parse error at line 1, col 13: syntax error: unexpected )"},
        {"rate({a=\"b\"}[5x])", "parse error at line 0, col 13: unknown unit \"x\" in duration \"5x\""},
        {"rate({a=\"b\"}[5m)", "parse error at line 0, col 13: missing closing ']' in duration"},
        {"sum_over_time({a=\"b\"} | unwrap x |= \"y\" [5m])", "parse error at line 0, col 34: syntax error: unexpected |="},
        {"{a=\"b\"} | label_format x=y,x=z", "parse error : multiple label name 'x' not allowed in a single format operation"},
        {"{a=\"b\"} | label_format __error__=y", "parse error : __error__ cannot be formatted"},
        {"{a=\"b\"} |> \"<x>\"", "parse error : invalid pattern: named captures are not allowed: found '<x>'"},
        {"{a=\"b\"} | regexp \"x\"", "parse error : at least one named capture must be supplied"},
        {"sum by (a) (rate({a=\"b\"}[5m])) by (b)", "parse error at line 1, col 32: syntax error: unexpected by"},
        {"'x'", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"},
        {"1 + \"x\xff\"", "parse error at line 1, col 5: invalid UTF-8 encoding"},
        {"\"a\\q\"", "parse error at line 1, col 1: invalid char escape"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(error_of(&a, cases[i].text), cases[i].error);
    arena_release(&a);
}

static void words(void **state)
{
    /* Functions are names where no bracket follows; keywords know no case. */
    static const char *const fine[] = {
        "{rate=\"x\", sum=\"y\", ip=\"z\"} | logfmt | count=\"1\" | bytes > 5KB | duration < 1m30s",
        "SUM BY (rate, sum) (RATE({a=\"b\"} | JSON [5m]))",
        "sum by(a)(rate({a=\"b\"}[5m])) / on(a) group_left () sum by(a)(rate({a=\"b\"}[5m]))",
        "sum(rate({a=\"b\"}[5m])) / on(a) group_left (sum(rate({a=\"b\"}[5m])))",
        "rate(({a=\"b\"} |= \"x\")[5m] offset -1d)",
        "rate(({a=\"b\"}[5m]))",
        "rate({a=\"b\"}[5m] |= \"x\")",
        "{a=\"b\"} # comment \"\n | json // another\n /* and one */ | x=\"y\"",
        "{a=\"b\"} | json offset=\"x.y\", bool=\"z\" | x > -1e3 , y == 0x1p3 or z != +1",
        "{a=\"b\"} | x=\"y\" y=\"z\" and (z=~\"a|b\" or w!~\"c\")",
        "-2 ^ 2",
        "vector(1) or sum(count_over_time({a=\"b\"}[1d12h]))",
        "quantile_over_time(.9, {a=\"b\"} | unwrap duration_seconds(x) | __error__=\"\" [5m]) by (a)",
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_string_equal(error_of(&a, fine[i]), "parses");
    arena_release(&a);
}

static void precedence(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"vector(1) + vector(2) * vector(3)", "(vector(1.000000) + (vector(2.000000) * vector(3.000000)))"},
        {"vector(1) - vector(2) - vector(3)", "((vector(1.000000) - vector(2.000000)) - vector(3.000000))"},
        {"vector(1) ^ vector(2) ^ vector(3)", "(vector(1.000000) ^ (vector(2.000000) ^ vector(3.000000)))"},
        {"vector(1) or vector(2) and vector(3) > bool vector(4) + 1", "(vector(1.000000) or (vector(2.000000) and (vector(3.000000) > bool (vector(4.000000) + 1))))"},
        {"2 * 3 + vector(1)", "(6 + vector(1.000000))"},
        {"{a=\"b\"} | a=\"1\" or b=\"2\" c=\"3\", d=\"4\"", "{a=\"b\"} | ( a=\"1\" or ( ( b=\"2\" , c=\"3\" ) , d=\"4\" ) )"},
        {"topk(3, rate({a=\"b\"} | json [5m] offset 90s)) by (x,y)", "topk by (x,y)(3,rate({a=\"b\"} | json[5m] offset 1m30s))"},
        {"{a=\"b\"} | x=0MB", "{a=\"b\"} | x==0B"},
        {"{a=\"b\"} | x==0B", "{a=\"b\"} | x==0B"},
        {"{a=\"b\"} | x>43008B | y>=1500B", "{a=\"b\"} | x>43008B | y>=1.5kB"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct logql_tree t;
        struct buf b = {0};
        struct err e;

        assert_int_equal(logql_parse(&a, str_of(cases[i].in), &t, &e), 0);
        logql_print(&b, t.root);
        assert_string_equal(buf_z(&b), cases[i].out);
        buf_release(&b);
        logql_release(&t);
    }
    arena_release(&a);
}

/* Brackets that the tree needs come back. */
static void pretty(void **state)
{
    struct arena a = {0};
    struct logql_tree t;
    struct buf b = {0};
    struct err e;

    (void)state;
    assert_int_equal(logql_parse(&a, STR("(sum(rate({a=\"b\"}[5m])) + vector(1)) * vector(2)"), &t, &e), 0);
    logql_pretty(&b, t.root, 20);
    assert_string_equal(buf_z(&b), "  (\n      sum(\n        rate({a=\"b\"}[5m])\n      )\n    +\n      vector(1.000000)\n  )\n*\n  vector(2.000000)");
    logql_release(&t);
    buf_release(&b);
    arena_release(&a);
}

static void repeat(struct buf *b, const char *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_putz(b, s);
}

static void limits(void **state)
{
    struct arena a = {0};
    struct buf b = {0};

    (void)state;
    repeat(&b, "(", 100000);
    assert_non_null(strstr(error_of(&a, buf_z(&b)), "nested deeper"));
    buf_reset(&b);
    repeat(&b, "1 ^ ", 30000);
    assert_non_null(strstr(error_of(&a, buf_z(&b)), "nested deeper"));
    buf_reset(&b);
    buf_putz(&b, "vector(1)");
    repeat(&b, "+vector(1)", 5000);
    assert_non_null(strstr(error_of(&a, buf_z(&b)), "more than"));
    buf_reset(&b);
    buf_putz(&b, "{a=\"b\"}|");
    repeat(&b, "(", 10000);
    assert_non_null(strstr(error_of(&a, buf_z(&b)), "nested deeper"));
    buf_reset(&b);
    repeat(&b, " ", LQ_TEXT_MAX + 1);
    assert_non_null(strstr(error_of(&a, buf_z(&b)), "input size too long"));
    buf_release(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors), cmocka_unit_test(words), cmocka_unit_test(precedence), cmocka_unit_test(pretty), cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
