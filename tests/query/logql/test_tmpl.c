/* test_tmpl.c - the functions that line_format and label_format may call. */
#include "query/logql/tmpl_funcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>



/* What the text says into out, or the words of its failure. */
static void say(const char *text, struct tmpl_env *env, struct buf *out)
{
    struct tmpl_scope s = {.functions = lq_functions, .nfunctions = lq_nfunctions};
    struct arena a = {0};
    struct tmpl_run r = {.a = &a, .user = env};
    struct tmpl_value v = {0};
    struct tmpl t;
    struct err e;

    buf_reset(out);
    if (tmpl_parse(&a, "line", str_of(text), &s, &t, &e) < 0 || tmpl_run(&t, &r, v, NULL, 0, out, &e) < 0) {
        buf_reset(out);
        buf_putz(out, e.text);
    }
    buf_z(out);
    arena_release(&a);
}

static void check(const char *const (*cases)[2], size_t n)
{
    struct tmpl_env env = {.line = STR("the line"), .t_ns = INT64_C(1656353124120000000)};
    struct buf out = {0};

    for (size_t i = 0; i < n; i++) {
        say(cases[i][0], &env, &out);
        if (strcmp(out.p, cases[i][1]) != 0)
            fail_msg("%s\n     gives: %s\n  expected: %s", cases[i][0], out.p, cases[i][1]);
    }
    tmpl_env_release(&env);
    buf_release(&out);
}

static void test_text(void **state)
{
    static const char *const cases[][2] = {
        {"{{lower \"AbÉ\"}} {{upper \"abé\"}} {{title \"hello wide-world x\"}} {{ToLower \"A\"}} {{ToUpper \"a\"}}", "abé ABÉ Hello Wide-World X a A"},
        {"{{trunc 2 \"héllo\"}} {{trunc -2 \"héllo\"}} {{trunc 9 \"a\"}} [{{substr 1 3 \"héllo\"}}] [{{substr -1 2 \"héllo\"}}] [{{substr 3 -1 \"héllo\"}}]",
         "hé lo a [él] [hé] [lo]"},
        {"[{{trim \"  a \\n\"}}] {{trimAll \"$\" \"$5$\"}} {{trimPrefix \"a\" \"abc\"}} {{trimSuffix \"c\" \"abc\"}}", "[a] 5 bc ab"},
        {"{{Trim \"xxaxx\" \"x\"}} {{TrimLeft \"xxa\" \"x\"}} {{TrimRight \"axx\" \"x\"}} {{TrimPrefix \"abc\" \"a\"}} {{TrimSuffix \"abc\" \"c\"}} [{{TrimSpace \" a \"}}]",
         "a a a bc ab [a]"},
        {"{{replace \"a\" \"b\" \"aaa\"}} {{Replace \"aaa\" \"a\" \"b\" 2}} {{Replace \"aé\" \"\" \"-\" -1}} {{repeat 3 \"ab\"}}", "bbb bba -a-é- ababab"},
        {"{{indent 2 \"a\\nb\"}}|{{nindent 1 \"a\"}}|{{alignLeft 3 \"é\"}}|{{alignRight 3 \"é\"}}|{{alignRight 2 \"abc\"}}", "  a\n  b|\n a|é  |  é|bc"},
        {"{{contains \"a\" \"cat\"}} {{hasPrefix \"c\" \"cat\"}} {{hasSuffix \"x\" \"cat\"}} {{default \"d\" \"\"}} {{default \"d\" \"v\"}} {{default 5 0}}",
         "true true false d v 5"},
        {"{{urlencode \"a b&/ü~\"}} {{urldecode \"a+b%26%2F\"}} {{b64enc \"hello\"}} {{b64dec \"aGVsbG8=\"}} {{b64dec \"aGVsbG8\"}} {{b64dec \"a*\"}}",
         "a+b%26%2F%C3%BC~ a b&/ aGVsbG8= hello hello illegal base64 data at input byte 1"},
        {"{{urldecode \"%zz\"}}", "template: line:1:2: executing \"line\" at <urldecode>: error calling urldecode: invalid URL escape \"%zz\""},
        {"{{count \"a|b\" \"cabab\"}} {{count \"\" \"abc\"}} {{regexReplaceAll \"(a+)b\" \"aab ab\" \"<${1}>\"}} {{regexReplaceAllLiteral \"a\" \"cat\" \"$1\"}}",
         "4 4 <aa> <a> c$1t"},
        {"{{regexReplaceAll \"x*\" \"abc\" \"-\"}} {{regexReplaceAll \"b*\" \"abc\" \"-\"}}", "-a-b-c- -a-c-"},
        {"{{ __line__ | upper }} {{ __timestamp__ | unixEpochMillis }}", "THE LINE 1656353124120"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_numbers(void **state)
{
    static const char *const cases[][2] = {
        {"{{int \"12\"}} {{int \"2.5\"}} {{int \"2.00\"}} {{int 2.9}} {{int true}} {{int \"0x1f\"}} {{int \"x\"}} {{float64 \"2.50\"}} {{float64 3}}",
         "12 0 2 2 1 31 0 2.5 3"},
        {"{{add 1 \"2\" 3.9}} {{sub 5 7}} {{mul 2 3 4}} {{div 7 2}} {{mod -7 3}} {{max 1 9 4}} {{min \"3\" 2}}", "6 -2 24 3 -1 9 2"},
        {"{{addf 0.1 0.2}} {{subf 1.1 0.2 0.3}} {{mulf 0.1 3}} {{divf 1 3}} {{maxf 1.5 2}} {{minf \"1.5\" 2}}", "0.3 0.6 0.3 0.3333333333333333 2 1.5"},
        {"{{ceil 1.2}} {{floor -1.2}} {{round 3.14159 2}} {{round 2.5 0}} {{round \"123.5\" 0}} {{round 1.26 1 0.7}}", "2 -2 3.14 3 124 1.2"},
        {"{{div 1 0}}", "template: line:1:2: executing \"line\" at <div>: error calling div: runtime error: integer divide by zero"},
        {"{{bytes \"2KiB\"}} {{bytes \"1.5 MB\"}} {{duration \"1m30s\"}} {{duration_seconds \"-250ms\"}}", "2048 1.5e+06 90 -0.25"},
        {"{{with fromJson `{\"a\":[1,{\"b\":\"x\\u00e9\"}],\"n\":null,\"t\":true}`}}{{.a}} {{(index .a 1).b}} {{.n}} {{.t}} {{.z}}{{end}}", "[1 map[b:xé]] xé <no value> true <no value>"},
        {"{{fromJson \"{\"}}{{fromJson \"[1,]\"}}{{fromJson \"1 2\"}}{{range $k, $v := fromJson \"{\\\"b\\\":2,\\\"a\\\":1,\\\"b\\\":3}\"}}{{$k}}{{$v}}{{end}}",
         "<no value><no value><no value>a1b3"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_dates(void **state)
{
    static const char *const cases[][2] = {
        {"{{ __timestamp__ | date \"2006-01-02T15:04:05.00Z07:00\" }} {{ date \"2006\" 86400 }}", "2022-06-27T18:05:24.12Z 1970"},
        {"{{ toDate \"2006-01-02\" \"2021-11-02\" | unixEpoch }} {{ toDate \"2006\" \"x\" | unixEpoch }}", "1635811200 -62135596800"},
        {"{{ toDateInZone \"2006-01-02 15:04\" \"No/Zone\" \"2022-06-27 20:05\" | unixEpochNanos }}", "1656360300000000000"},
        {"{{ unixToTime \"19373\" }} {{ (unixToTime \"1656353124\").Year }} {{ unixToTime \"1656353124120\" | unixEpochMillis }}", "2023-01-16 00:00:00 +0000 UTC 2022 1656353124120"},
        {"{{ unixToTime \"12\" }}", "template: line:1:3: executing \"line\" at <unixToTime>: error calling unixToTime: unable to parse time '12': unsupported epoch timestamp length"},
        {"{{ now 1 }}", "template: line:1:3: executing \"line\" at <now>: wrong number of args for now: want 0 got 1"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

/* One parsed template, many threads: each has its own run. */
static void *run_many(void *arg)
{
    struct arena a = {0};
    struct tmpl_env env = {.line = STR("x")};
    struct buf out = {0};

    for (int i = 0; i < 200; i++) {
        struct tmpl_run r = {.a = &a, .user = &env};
        struct tmpl_value v = {0};

        buf_reset(&out);
        assert_int_equal(tmpl_run(arg, &r, v, NULL, 0, &out, NULL), 0);
        assert_string_equal(buf_z(&out), "É 3 18:05");
        arena_reset(&a);
    }
    tmpl_env_release(&env);
    buf_release(&out);
    arena_release(&a);
    return NULL;
}

static void test_threads(void **state)
{
    struct tmpl_scope s = {.functions = lq_functions, .nfunctions = lq_nfunctions};
    struct arena a = {0};
    struct tmpl t;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(tmpl_parse(&a, "t", STR("{{ upper \"é\" }} {{ $x := add 1 2 }}{{ $x }} {{ (toDateInZone \"15:04\" \"UTC\" \"18:05\").Format \"15:04\" }}"), &s, &t, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &t), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_numbers), cmocka_unit_test(test_dates), cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
