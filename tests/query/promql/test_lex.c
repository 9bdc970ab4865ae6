/* test_lex.c - tokens, their worth, and where the lexer says it stopped. */
#include "query/promql/lex.c"
#include "query/promql/token.c"

#include "tests/query/promql/test_promql.h"

/* The types of all tokens of text, as one letter each: i identifier, n number, d duration, s string, o other, ! error.
 */
static void shape(const char *text, char *out)
{
    struct arena a = {0};
    struct lexer l;
    struct token t;

    pq_lex_init(&l, &a, str_of(text));
    do {
        t = pq_lex_next(&l);
        *out++ = t.type == T_IDENT          ? 'i'
                 : t.type == T_METRIC_IDENT ? 'm'
                 : t.type == T_NUMBER       ? 'n'
                 : t.type == T_DURATION     ? 'd'
                 : t.type == T_STRING       ? 's'
                 : t.type == T_ERROR        ? '!'
                 : t.type == T_EOF          ? '.'
                                            : 'o';
    } while (t.type != T_EOF && t.type != T_ERROR);
    *out = 0;
    arena_release(&a);
}

static void shapes(void **state)
{
    static const struct {
        const char *text, *shape;
    } cases[] = {
        {"", "."},
        {" # only a comment", "."},
        {"foo a:b :c", "imm."},
        {"1 .5 5. 1e3 0x1F 1_000 Inf NaN", "nnnnnnnn."},
        {"5m 1h30m 5ms", "ddd."},
        {"5mm", "!"},
        {"1__0", "!"},
        {"1..2", "!"},
        {"\"a\" 'b' `c\n`", "sss."},
        {"\"a", "!"},
        {"foo{bar=\"x\",on!~'y'}", "ioiosoioso."},
        {"sum by(a)", "oooio"
                      "."},
        {"a</b>/c<=d", "ioioioi."},
        {"a[5m:1m] @ 5", "iododoon."},
        {"a[step()+max_of(1,2)]", "ioooooo"
                                  "onono"
                                  "o."},
        {"a[x]", "io!"},
        {"a)", "i!"},
        {"(a", "oi!"},
        {"{{", "o!"},
        {"a #c\n+ b", "ioi."},
    };
    char got[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        shape(cases[i].text, got);
        assert_string_equal(got, cases[i].shape);
    }
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        double v;
        bool ok;
    } cases[] = {
        {"0755", 493, true},
        {"08", 8, true},
        {"0x_1F", 31, true},
        {"1_000.5", 1000.5, true},
        {"9223372036854775808", 0x1p63, true},
        {"1e999", 1, false},
        {"0x", 0, false},
        {".5", 0.5, true},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str why;
        double v;

        assert_int_equal(pq_number(&a, str_of(cases[i].text), &v, &why), cases[i].ok);
        if (cases[i].ok)
            assert_true(v == cases[i].v);
        else
            assert_true(str_find(why, STR("strconv.ParseFloat")) > 0);
    }
    arena_release(&a);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        double seconds;
        const char *why;
    } cases[] = {
        {"5m", 300, NULL},
        {"1h30m", 5400, NULL},
        {"4s180ms", 4.18, NULL},
        {"1y", 31536000, NULL},
        {"5m1h", 0, "not a valid duration string: \"5m1h\""},
        {"5m5m", 0, "not a valid duration string: \"5m5m\""},
        {"5hs", 0, "unknown unit \"hs\" in duration \"5hs\""},
        {"300y", 0, "duration out of range"},
        {"99999999999999999999s", 0, "not a valid duration string: \"99999999999999999999s\""},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str why = STR_NULL;
        double v;

        assert_int_equal(pq_duration(&a, str_of(cases[i].text), &v, &why), cases[i].why == NULL);
        if (cases[i].why)
            assert_true(str_eqz(why, cases[i].why));
        else
            assert_true(v == cases[i].seconds);
    }
    arena_release(&a);
}

static void strings(void **state)
{
    struct arena a = {0};
    struct buf b = {0};

    (void)state;
    assert_true(
        str_eq(pq_unquote(&a, STR("\"a\\n\\x41\\101\\u00fc\\U0001F600\\\"\"")), STR("a\nAA\u00fc\U0001F600\"")));
    assert_true(str_eq(pq_unquote(&a, STR("`a\\n`")), STR("a\\n")));
    assert_true(str_eq(pq_unquote(&a, STR("'\\xff'")), STR("\xff")));
    buf_put_quoted(&b, STR("a\"\\\n\x01\xff\u00fc\u2028"));
    assert_string_equal(buf_z(&b), "\"a\\\"\\\\\\n\\x01\\xff\u00fc\\u2028\"");
    buf_release(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
