/* test_expo.c - the three exposition formats: what they give, what they refuse and where they say it is. */
#include "collector/scrape/expo.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* The whole body as text: a line per entry. */
static struct str dump(enum expo_format f, struct str body, bool starts, struct err *e)
{
    struct expo_opts o = {.start_timestamps = starts};
    struct expo *x = expo_new(&arena, f, body, &o);
    struct expo_entry en;
    struct buf out = {0};
    struct labels ls;
    char num[NUM_MAX];
    struct str s;

    e->code = 0;
    while (expo_next(x, &en, e) == 0 && en.kind != EXPO_END) {
        switch (en.kind) {
        case EXPO_HELP:
            buf_printf(&out, "help %.*s [%.*s]\n", STR_ARG(en.family), STR_ARG(en.text));
            break;
        case EXPO_UNIT:
            buf_printf(&out, "unit %.*s [%.*s]\n", STR_ARG(en.family), STR_ARG(en.text));
            break;
        case EXPO_TYPE:
            buf_printf(&out, "type %.*s %u\n", STR_ARG(en.family), en.type);
            break;
        case EXPO_COMMENT:
            buf_printf(&out, "comment\n");
            break;
        default:
            if (expo_labels(x, &en, &arena, &ls, e) < 0)
                goto out;
            labels_print(&out, &ls);
            buf_putc(&out, ' ');
            buf_put(&out, num, num_fmt_g(en.v, num));
            if (en.has_t)
                buf_printf(&out, " @%lld", (long long)en.t);
            if (en.st)
                buf_printf(&out, " st=%lld", (long long)en.st);
            for (uint32_t i = 0; i < en.nexemplars; i++) {
                buf_putz(&out, " #");
                labels_print(&out, &en.exemplars[i].labels);
                buf_printf(&out, " %g", en.exemplars[i].v);
                if (en.exemplars[i].has_t)
                    buf_printf(&out, " @%lld", (long long)en.exemplars[i].t);
            }
            if (en.histogram.n)
                buf_printf(&out, " native(%zu)", en.histogram.n);
            buf_putc(&out, '\n');
        }
    }
out:
    s = arena_dup(&arena, buf_str(&out));
    buf_release(&out);
    return s;
}

static void gives(enum expo_format f, const char *body, const char *want)
{
    struct err e;
    struct str got = dump(f, str_of(body), false, &e);

    if (e.code)
        fail_msg("%s: %s", body, e.text);
    if (!str_eqz(got, want))
        fail_msg("%s\ngot:\n%swant:\n%s", body, got.p, want);
}

static void refuses(enum expo_format f, const char *body, const char *words)
{
    struct err e;

    dump(f, str_of(body), false, &e);
    if (!e.code)
        fail_msg("accepted: %s", body);
    if (!strstr(e.text, words))
        fail_msg("%s: \"%s\" does not contain \"%s\"", body, e.text, words);
}

static void test_text(void **state)
{
    (void)state;
    gives(EXPO_TEXT, "", "");
    gives(EXPO_TEXT, "\n\n# a comment\n#HELP x\n", "comment\ncomment\n");
    gives(EXPO_TEXT, "a 1\na{} 2 3\na{b=\"c\",} .5", "a 1\na 2 @3\na{b=\"c\"} 0.5\n");
    gives(EXPO_TEXT, "# HELP a x\\ny\\\\z\\\"\n# TYPE a untyped\n", "help a [x\ny\\z\\\"]\ntype a 0\n");
    gives(EXPO_TEXT, "a NaN\na +Inf\na -infinity\na nan\n", "a NaN\na +Inf\na -Inf\na NaN\n");
    gives(EXPO_TEXT, "a{b=\"\",c=\"x\\\"\\\\\\n\\q\"} 1\n", "a{c=\"x\\\"\\\\\\n\\\\q\"} 1\n");
    gives(EXPO_TEXT, "{\"a.b\",\"l n\"=\"v\"} 1\n", "{\"a.b\", \"l n\"=\"v\"} 1\n");
    gives(EXPO_TEXT, "  a\t{ x = \"1\" y=\"2\" } 1 \n", "a{x=\"1\", y=\"2\"} 1\n");
    gives(EXPO_TEXT, "a 1e-999\n", "a 0\n");
    gives(EXPO_TEXT, "a 123456789012345678\na 0.1234567890123456789\na -0\n",
          "a 1.2345678901234568e+17\na 0.12345678901234568\na -0\n");
}

static void test_le_and_quantile(void **state)
{
    (void)state;
    gives(EXPO_TEXT,
          "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1000000\"} 1\nh_bucket{le=\"+Inf\"} "
          "1\nh_bucket{le=\"x\",quantile=\"1\"} 1\n",
          "type h 3\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1e+06\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"x\", "
          "quantile=\"1\"} 1\n");
    gives(EXPO_TEXT,
          "# TYPE s summary\ns{quantile=\"0\"} 1\ns{quantile=\"-0\"} 1\n# TYPE g gauge\ng{quantile=\"1\"} 1\n",
          "type s 5\ns{quantile=\"0.0\"} 1\ns{quantile=\"0.0\"} 1\ntype g 2\ng{quantile=\"1\"} 1\n");
}

static void test_text_faults(void **state)
{
    (void)state;
    refuses(EXPO_TEXT, "a 1\nb\n", "line 2, column 2: expected value after metric, got \"\\n\"");
    refuses(EXPO_TEXT, "a 1\r\n", "line 1, column 3: not a number");
    refuses(EXPO_TEXT, "a 1 -1\n", "column 5: expected timestamp");
    refuses(EXPO_TEXT, "a 1 1.5\n", "expected next entry after timestamp");
    refuses(EXPO_TEXT, "a 1e999\n", "out of range");
    refuses(EXPO_TEXT, "a 1_0\n", "unsupported character");
    refuses(EXPO_TEXT, "a{,} 1\n", "expected label name");
    refuses(EXPO_TEXT, "a{b=\"c\" 1\n", "expected label name");
    refuses(EXPO_TEXT, "a{b=\"c\n", "expected label value");
    refuses(EXPO_TEXT, "a{b=\"1\",b=\"\"} 1\n", "not unique");
    refuses(EXPO_TEXT, "{b=\"1\"} 1\n", "no name");
    refuses(EXPO_TEXT, "{\"\"} 1\n", "no metric name");
    refuses(EXPO_TEXT, "a{\"b\"} 1\n", "has a name already");
    refuses(EXPO_TEXT, "a{b=\"\xff\"} 1\n", "not UTF-8");
    refuses(EXPO_TEXT, "{\"a\xff\"} 1\n", "not UTF-8");
    refuses(EXPO_TEXT, "# TYPE a thing\n", "line 1, column 10: invalid metric type");
    refuses(EXPO_TEXT, "# HELP a \xc3\n", "not UTF-8");
    refuses(EXPO_TEXT, "a 1 # {b=\"c\"} 1\n", "expected timestamp");
    refuses(EXPO_TEXT, "a 99999999999999999999\na 1 99999999999999999999\n", "line 2");
}

static void test_stale_bits_cannot_come_in(void **state)
{
    struct expo *x = expo_new(&arena, EXPO_TEXT, STR("a NaN\n"), NULL);
    struct expo_entry en;

    (void)state;
    assert_int_equal(expo_next(x, &en, NULL), 0);
    assert_true(f64_bits(en.v) == NORMAL_NAN_BITS);
}

static void test_openmetrics(void **state)
{
    struct err e;
    static const char body[] = "# TYPE a counter\na_total 1 1.5 # {t=\"x\",e=\"\"} 2 -3.25\na_created "
                               "10.5\na_total{b=\"1\"} 2\na_created{b=\"1\"} 11\n# EOF\n";

    (void)state;
    gives(EXPO_OPENMETRICS, "# EOF", "");
    gives(EXPO_OPENMETRICS, "# TYPE x_s stateset\n# UNIT x_s s\n# HELP x_s a\\\"b\nx_s{x_s=\"1\"} 1\n# EOF\n",
          "type x_s 7\nunit x_s [s]\nhelp x_s [a\"b]\nx_s{x_s=\"1\"} 1\n");
    gives(EXPO_OPENMETRICS, body,
          "type a 1\na_total 1 @1500 #{t=\"x\"} 2 @-3250\na_created 10.5\na_total{b=\"1\"} 2\na_created{b=\"1\"} 11\n");
    assert_string_equal(dump(EXPO_OPENMETRICS, str_of(body), true, &e).p,
                        "type a 1\na_total 1 @1500 st=10500 #{t=\"x\"} 2 @-3250\na_total{b=\"1\"} 2 st=11000\n");
    gives(EXPO_OPENMETRICS, "a 1 1e300\n# EOF\n", "a 1 @9223372036854775807\n");
    refuses(EXPO_OPENMETRICS, "a 1\n", "does not end with # EOF");
    refuses(EXPO_OPENMETRICS, "a  1\n# EOF\n", "expected value");
    refuses(EXPO_OPENMETRICS, "\n# EOF\n", "valid start token");
    refuses(EXPO_OPENMETRICS, "# UNIT a s\n# EOF\n", "not a suffix");
    refuses(EXPO_OPENMETRICS, "# TYPE a untyped\n# EOF\n", "invalid metric type");
    refuses(EXPO_OPENMETRICS, "a{b=\"1\" c=\"2\"} 1\n# EOF\n", "comma or brace");
    refuses(EXPO_OPENMETRICS, "a 1 NaN\n# EOF\n", "invalid timestamp");
    refuses(EXPO_OPENMETRICS, "a 1\n# EOF\nb 1\n", "unexpected data after # EOF");
}

static void test_many_created_lines(void **state)
{
    struct buf b = {0};
    struct err e;

    (void)state;
    buf_putz(&b, "# TYPE a counter\n");
    for (int i = 0; i < 50000; i++)
        buf_printf(&b, "a_total{i=\"%d\"} 1\n", i);
    for (int i = 0; i < 50000; i++)
        buf_printf(&b, "a_created{i=\"%d\"} %d\n", i, i + 1);
    buf_putz(&b, "# EOF\n");
    assert_non_null(strstr(dump(EXPO_OPENMETRICS, buf_str(&b), true, &e).p, "a_total{i=\"4321\"} 1 st=4322000\n"));
    buf_release(&b);
}

static struct str from_hex(const char *hex)
{
    struct buf b = {0};
    struct str s;
    unsigned byte;
    int n;

    while (sscanf(hex, " %2x%n", &byte, &n) == 1) {
        buf_putc(&b, (char)byte);
        hex += n;
    }
    s = arena_dup(&arena, buf_str(&b));
    buf_release(&b);
    return s;
}

static void test_protobuf(void **state)
{
    /* counter rq_total{code="200"} 42, created at 1700000000 */
    struct str counter = from_hex("35 0a 08 72715f746f74616c 12 05 526571732e 18 00 22 20 0a 0b 0a 04 636f6465 12 03 "
                                  "323030 1a 11 09 0000000000004540 1a 06 08 80e2cfaa06");
    /* histogram h: count 3, sum 2.5, bucket le 1 -> 2; a no-op span makes it native too */
    struct str hist =
        from_hex("23 0a 01 68 18 04 22 1c 3a 1a 08 03 11 0000000000000440 1a 0b 08 02 11 000000000000f03f 62 00");
    struct err e;

    (void)state;
    assert_string_equal(dump(EXPO_PROTOBUF, counter, true, &e).p,
                        "help rq_total [Reqs.]\ntype rq_total 1\nrq_total{code=\"200\"} 42 st=1700000000000\n");
    assert_int_equal(e.code, 0);
    assert_string_equal(
        dump(EXPO_PROTOBUF, hist, true, &e).p,
        "type h 3\nh 0 native(26)\nh_count 3\nh_sum 2.5\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 3\n");
    assert_int_equal(e.code, 0);
    for (size_t n = 1; n < counter.n; n++) {
        dump(EXPO_PROTOBUF, str_head(counter, n), true, &e);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void test_limit(void **state)
{
    struct expo_opts o = {.series_max = 1};
    struct expo *x = expo_new(&arena, EXPO_TEXT, STR("a 1\nb 1\n"), &o);
    struct expo_entry en;

    (void)state;
    assert_int_equal(expo_next(x, &en, NULL), 0);
    assert_int_equal(expo_next(x, &en, NULL), ERR_LIMIT);
}

static void test_format_of(void **state)
{
    enum expo_format f;

    (void)state;
    assert_true(expo_format_of(STR("text/plain; version=0.0.4; charset=utf-8"), &f) && f == EXPO_TEXT);
    assert_true(expo_format_of(STR("application/openmetrics-text;version=1.0.0"), &f) && f == EXPO_OPENMETRICS);
    assert_true(expo_format_of(STR("Application/vnd.google.protobuf"), &f) && f == EXPO_PROTOBUF);
    assert_false(expo_format_of(STR(""), &f));
    assert_false(expo_format_of(STR("text/html"), &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_le_and_quantile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_bits_cannot_come_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_openmetrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_created_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_protobuf, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test(test_format_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
