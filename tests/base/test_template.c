/* test_template.c - what templates say of data: values, functions, loops, words of failures, and that hostile ones end. */
#include "base/template/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

static bool get_field(struct tmpl_run *r, const void *self, struct str name, uint32_t id, struct tmpl_value *out)
{
    (void)r;
    (void)self;
    (void)id;
    if (!str_eqz(name, "host"))
        return false;
    *out = tmpl_str(STR("alpha"));
    return true;
}

static int get_method(struct tmpl_run *r, const void *self, struct str name, const struct tmpl_value *args, uint32_t n,
                      struct tmpl_value *out)
{
    (void)self;
    if (!str_eqz(name, "Twice"))
        return 1;
    if (n != 1 || args[0].type != TMPL_T_INT)
        return err_set(r->e, ERR_EXEC, "no number");
    *out = tmpl_int(args[0].i * 2);
    return 0;
}

static const struct tmpl_class thing = {"thing", get_field, get_method, NULL};

static int fn_fails(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    (void)args;
    (void)n;
    (void)out;
    return err_set(r->e, ERR_EXEC, "as it should");
}

static int fn_upper(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    char *p = tmpl_alloc(r, args[0].s.n);

    (void)n;
    if (!p)
        return ERR_EXEC;
    for (size_t i = 0; i < args[0].s.n; i++)
        p[i] = (char)(args[0].s.p[i] >= 'a' && args[0].s.p[i] <= 'z' ? args[0].s.p[i] - 32 : args[0].s.p[i]);
    *out = tmpl_str(str_n(p, args[0].s.n));
    return 0;
}

static const struct tmpl_func functions[] = {{"fails", "", fn_fails}, {"up", "s", fn_upper}, {"known", "a", NULL}};
static const char *const variables[] = {"$v", NULL};
static const struct tmpl_scope scope = {.functions = functions, .nfunctions = 3, .variables = variables};

/* {n: 3, f: 2.5, s: "text", empty: "", list: [1 "b" [2]], m: {a: 1, b: nil}, thing, t, d} */
static struct tmpl_value data(void)
{
    static struct tmpl_value inner[1], list[3];
    static struct tmpl_entry m[2], top[9];

    inner[0] = tmpl_int(2);
    list[0] = tmpl_int(1);
    list[1] = tmpl_str(STR("b"));
    list[2] = (struct tmpl_value){TMPL_T_LIST, {.list = {inner, 1}}};
    m[0] = (struct tmpl_entry){STR("a"), tmpl_int(1)};
    m[1] = (struct tmpl_entry){STR("b"), {0}};
    top[0] = (struct tmpl_entry){STR("d"), {TMPL_T_DURATION, {.i = 5400500000000}}};
    top[1] = (struct tmpl_entry){STR("empty"), tmpl_str(STR(""))};
    top[2] = (struct tmpl_entry){STR("f"), tmpl_float(2.5)};
    top[3] = (struct tmpl_entry){STR("list"), {TMPL_T_LIST, {.list = {list, 3}}}};
    top[4] = (struct tmpl_entry){STR("m"), {TMPL_T_MAP, {.map = {m, 2}}}};
    top[5] = (struct tmpl_entry){STR("n"), tmpl_int(3)};
    top[6] = (struct tmpl_entry){STR("s"), tmpl_str(STR("text"))};
    top[7] = (struct tmpl_entry){STR("t"), tmpl_time(gotime_ns(1656353124120000000))};
    top[8] = (struct tmpl_entry){STR("thing"), tmpl_object(&thing, NULL)};
    return (struct tmpl_value){TMPL_T_MAP, {.map = {top, 9}}};
}

/* What the text says, or the words of its failure. Valid until the next call. */
static const char *say(const char *text)
{
    static struct buf out;
    static struct err e;
    struct arena a = {0};
    struct tmpl_run r = {.a = &a};
    struct tmpl_value v = tmpl_int(7);
    struct tmpl t;
    int code;

    buf_reset(&out);
    code = tmpl_parse(&a, "t", str_of(text), &scope, &t, &e);
    if (code == 0)
        code = tmpl_run(&t, &r, data(), &v, 1, &out, &e);
    arena_release(&a);
    if (code < 0)
        return e.text;
    return buf_z(&out);
}

static void check(const char *const (*cases)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = say(cases[i][0]);

        if (strcmp(got, cases[i][1]) != 0)
            fail_msg("%s\n     gives: %s\n  expected: %s", cases[i][0], got, cases[i][1]);
    }
}

static void test_values(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a{{.s}}b", "atextb"},
        {"{{.n}} {{.f}} {{true}} {{.nosuch}} {{.m.b}}", "3 2.5 true <no value> <no value>"},
        {"{{.list}} {{.m}} {{.d}} {{.t}}", "[1 b [2]] map[a:1 b:<nil>] 1h30m0.5s 2022-06-27 18:05:24.12 +0000 UTC"},
        {"{{.thing.host}} {{.thing.Twice 4}} {{4 | .thing.Twice}}", "alpha 8 8"},
        {"{{$v}} {{$.n}} {{$x := 5}}{{$x}}{{$x = 6}}{{$x}}{{$x := print $x 1}}{{$x}}", "7 3 566 1"},
        {"{{.s | up | printf \"%q\"}}", "\"TEXT\""},
        {"{{1000000.0}} {{1e21}} {{0x1F}} {{'a'}} {{1_000}} {{0b101}} {{017}} {{-3}} {{.5}} {{0x1p4}}", "1e+06 1e+21 31 97 1000 5 15 -3 0.5 16"},
        {"{{(index .list 2)}} {{index .list 2 0}} {{index .m \"a\"}} {{index .s 0}} {{slice .s 1 3}} {{slice .list 1}}", "[2] 2 1 116 ex [b [2]]"},
        {"{{len .s}} {{len .list}} {{len .m}}", "4 3 2"},
        {"{{.t.Unix}} {{.t.Format \"15:04\"}} {{.d.Seconds}} {{.t.Month}} {{(.t.Add .d).Unix}}", "1656353124 18:05 5400.5 June 1656358524"},
        {"{{html \"<a b='c'>&\"}} {{js \"'\\n\"}} {{urlquery \"a b&c\"}}", "&lt;a b=&#39;c&#39;&gt;&amp; \\'\\u000A a+b%26c"},
        {"{{print 1 2 \"a\" \"b\" 3}}|{{println \"a\" 1}}|{{print nil}}", "1 2ab3|a 1\n|<nil>"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_control(void **state)
{
    static const char *const cases[][2] = {
        {"{{if .empty}}a{{else if .n}}b{{else}}c{{end}}", "b"},
        {"{{if not .nosuch}}a{{end}}{{with .m}}{{.a}}{{end}}{{with .empty}}x{{else with .s}}{{.}}{{else}}z{{end}}", "a1text"},
        {"{{range .list}}<{{.}}>{{end}}{{range $k, $v := .m}}{{$k}}={{$v}};{{end}}", "<1><b><[2]>a=1;b=<no value>;"},
        {"{{range $i, $e := .list}}{{if eq $i 1}}{{continue}}{{end}}{{$i}}{{end}}{{range .list}}{{.}}{{break}}{{end}}", "021"},
        {"{{range .empty}}x{{else}}none{{end}}", "template: t:1:8: executing \"t\" at <.empty>: range can't iterate over "},
        {"{{range .nosuch}}x{{else}}none{{end}}{{range 3}}{{.}}{{end}}", "none012"},
        {"{{define \"x\"}}[{{.}}{{$}}]{{end}}{{template \"x\" .n}}{{template \"x\"}}", "[33][<no value><no value>]"},
        {"{{block \"b\" .s}}<{{.}}>{{end}}", "<text>"},
        {"{{$x := 1}}{{range .list}}{{$x = 2}}{{$y := 3}}{{end}}{{$x}}", "2"},
        {"{{and 1 0 (fails)}} {{or 0 .s (fails)}} {{and 1 2}} {{or 0 \"\"}} {{1 | and 2}}", "0 text 2  1"},
        {"{{eq 1 2 3 1}} {{ne .s \"x\"}} {{lt 1 2}} {{le 2.0 2.0}} {{gt \"b\" \"a\"}} {{ge 1 2}} {{eq .nosuch nil}}", "true true true true true false true"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_printf(void **state)
{
    static const char *const cases[][2] = {
        {"{{printf \"%s|%10s|%-10s|%.2s\" \"abc\" \"abc\" \"abc\" \"abc\"}}", "abc|       abc|abc       |ab"},
        {"{{printf \"%d|%5d|%-5d|%05d|%+d|% d|%x|%X|%o|%b|%c|%q|%U|%#x\" 42 42 42 42 42 42 42 42 42 42 65 65 65 255}}",
         "42|   42|42   |00042|+42| 42|2a|2A|52|101010|A|'A'|U+0041|0xff"},
        {"{{printf \"%f|%.2f|%8.2f|%e|%g|%G|%6.1f|%+.1f|%08.3f\" 3.14159 3.14159 3.14159 1234.5 0.00001 1e21 2.0 2.5 -3.14159}}",
         "3.141590|3.14|    3.14|1.234500e+03|1e-05|1E+21|   2.0|+2.5|-003.142"},
        {"{{printf \"%t|%v|%q|%x|% x|%T|%T\" true .list \"a\\nb\" \"hi\" \"hi\" 1 1.5}}", "true|[1 b [2]]|\"a\\nb\"|6869|68 69|int|float64"},
        {"{{printf \"%d\" \"x\"}} {{printf \"%s\" 1}} {{printf \"%d %d\" 1}} {{printf \"a\" 1 \"b\"}} {{printf \"%!\"}} {{printf \"%z\" 3}}",
         "%!d(string=x) %!s(int=1) 1 %!d(MISSING) a%!(EXTRA int=1, string=b) %!!(MISSING) %!z(int=3)"},
        {"{{printf \"%\"}} {{printf \"%5%\"}} {{printf \"%*d\" 5 1}} {{printf \"%[2]d %[1]d\" 1 2}} {{printf \"%s\" .nosuch}}", "%!(NOVERB) %     1 2 1 %!s(<nil>)"},
        {"{{printf \"%5t|%-7v|%v\" true nil .d}}", " true|<nil>  |1h30m0.5s"},
        {"{{printf \"%5.1f%%\" 99.55}}", " 99.5%"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_failures(void **state)
{
    static const char *const cases[][2] = {
        {"{{fails}}", "template: t:1:2: executing \"t\" at <fails>: error calling fails: as it should"},
        {"x\n {{.s | up 1}}", "template: t:2:8: executing \"t\" at <up>: wrong number of args for up: want 1 got 2"},
        {"{{up 1}}", "template: t:1:5: executing \"t\" at <1>: expected string; found 1"},
        {"{{up .n}}", "template: t:1:5: executing \"t\" at <.n>: wrong type for value; expected string; got int"},
        {"{{.s.x}}", "template: t:1:2: executing \"t\" at <.s.x>: can't evaluate field x in type string"},
        {"{{.thing.nosuch}}", "template: t:1:2: executing \"t\" at <.thing.nosuch>: can't evaluate field nosuch in type thing"},
        {"{{index .list 9}}", "template: t:1:2: executing \"t\" at <index>: error calling index: index out of range: 9"},
        {"{{lt 1 \"a\"}}", "template: t:1:2: executing \"t\" at <lt>: error calling lt: incompatible types for comparison"},
        {"{{template \"no\"}}", "template: t:1:2: executing \"t\" at <{{template \"no\"}}>: template \"no\" not defined"},
        {"{{known 1}}", "template: t:1:2: executing \"t\" at <known>: function \"known\" cannot be called here"},
        {"{{.n 1}}", "template: t:1:2: executing \"t\" at <.n>: n is not a method but has arguments"},
        {"{{3 4}}", "template: t:1:2: executing \"t\" at <3>: can't give argument to non-function 3"},
        {"{{.thing.Twice \"a\"}}", "template: t:1:2: executing \"t\" at <.thing.Twice>: error calling Twice: no number"},
        {"{{nil}}", "template: t:1:2: executing \"t\" at <nil>: nil is not a command"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static bool says(const char *text, const char *part)
{
    return strstr(say(text), part) != NULL;
}

static void test_hostile(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_true(says("{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "maximum template depth"));
    assert_true(says("{{range 9000000000000000000}}{{end}}", "steps"));
    assert_true(says("{{range 100000000}}{{printf \"%900000d\" 1}}{{end}}", "output"));
    assert_true(says("{{printf \"%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d%999999d"
                     "%999999d%999999d%999999d%999999d%999999d\" 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1}}", "more than"));
    assert_true(says("{{$x := printf \"%99999d\" 1}}{{range 100000}}{{$x = print $x $x}}{{end}}", "more than"));
    for (int i = 0; i < 240; i++)
        buf_putz(&b, "{{with 1}}");
    for (int i = 0; i < 240; i++)
        buf_putz(&b, "{{end}}");
    assert_string_equal(say(buf_z(&b)), "");
    buf_release(&b);
}

/* --- times ---------------------------------------------------------------------------------------------- */

static void check_time(const char *zone, int64_t sec, int32_t ns, const char *layout, const char *want)
{
    struct gotime t = {.sec = sec, .ns = ns};
    struct buf b = {0};

    if (zone_find(str_of(zone), &t.zone, NULL) < 0)
        skip();
    gotime_format(&t, str_of(layout), &b);
    assert_string_equal(buf_z(&b), want);
    buf_release(&b);
}

static void test_format_time(void **state)
{
    (void)state;
    check_time("", 1656353124, 120000000, "Monday, 02-Jan-06 15:04:05 MST", "Monday, 27-Jun-22 18:05:24 UTC");
    check_time("", 1656353124, 120000000, "2006-01-02T15:04:05.999999999Z07:00", "2022-06-27T18:05:24.12Z");
    check_time("", 1656353124, 120000000, "3:4:5.000PM _2 __2 002 Jan 1 January", "6:5:24.120PM 27 178 178 Jun 6 June");
    check_time("", -62135596800, 0, "2006-01-02 15:04:05", "0001-01-01 00:00:00");
    check_time("Europe/Berlin", 1656353124, 0, "15:04 -0700 MST -07:00:00 Z07", "20:05 +0200 CEST +02:00:00 +02");
    check_time("Europe/Berlin", 1641031200, 0, "15:04 MST", "11:00 CET");
    check_time("America/New_York", 4102444800, 0, "2006-01-02 15:04 MST", "2099-12-31 19:00 EST"); /* by the footer's rule */
    check_time("America/New_York", 4087540800, 0, "15:04 MST", "08:00 EDT");
    check_time("Australia/Sydney", 4102444800, 0, "15:04 MST", "11:00 AEDT");
    check_time("Asia/Kolkata", 0, 0, "15:04 -07:00", "05:30 +05:30");
}

static void check_parse(const char *layout, const char *text, const char *zone, int64_t sec, int32_t ns, const char *why)
{
    const struct zone *z;
    struct gotime t;
    struct err e = {0};

    if (zone_find(str_of(zone), &z, NULL) < 0)
        skip();
    if (gotime_parse(str_of(layout), str_of(text), z, &t, &e) < 0) {
        assert_string_equal(e.text, why ? why : "");
        return;
    }
    assert_null(why);
    assert_int_equal(t.sec, sec);
    assert_int_equal(t.ns, ns);
}

static void test_parse_time(void **state)
{
    struct err e;
    const struct zone *z;

    (void)state;
    check_parse("2006-01-02", "2021-11-02", "", 1635811200, 0, NULL);
    check_parse("2006-01-02T15:04:05.999999999Z", "2023-03-10T01:32:40.340485723Z", "", 1678411960, 340485723, NULL);
    check_parse("2006-01-02T15:04:05Z07:00", "2023-03-10T01:32:40.5+02:00", "", 1678404760, 500000000, NULL);
    check_parse("2006-01-02 15:04", "2022-06-27 20:05", "Europe/Berlin", 1656353100, 0, NULL);
    check_parse("Jan _2 3:04PM 2006", "Feb  3 4:05PM 2013", "", 1359907500, 0, NULL);
    check_parse("02/Jan/2006:15:04:05 -0700", "10/Oct/2000:13:55:36 -0700", "", 971211336, 0, NULL);
    check_parse("2006-01-02", "2021-02-30", "", 0, 0, "parsing time \"2021-02-30\": day out of range");
    check_parse("2006-01-02", "2021-13-01", "", 0, 0, "parsing time \"2021-13-01\": month out of range");
    check_parse("2006-01-02", "x", "", 0, 0, "parsing time \"x\" as \"2006-01-02\": cannot parse \"x\" as \"2006\"");
    check_parse("2006", "2021x", "", 0, 0, "parsing time \"2021x\": extra text: \"x\"");
    assert_int_equal(zone_find(STR("../../etc/passwd"), &z, &e), ERR_NOT_FOUND);
    assert_int_equal(zone_find(STR("No/Such"), &z, &e), ERR_NOT_FOUND);
    assert_string_equal(e.text, "unknown time zone No/Such");
}

/* The calendar there and back, over every day of some centuries. */
static void test_calendar(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 800000; day += 3) {
        struct gotime t = {.sec = day * 86400 + 12345};
        struct gotime_civil c;

        gotime_civil(&t, &c);
        assert_int_equal(gotime_date(c.year, c.month, c.day), day * 86400);
        assert_int_equal(gotime_date(c.year, 1, c.yearday), day * 86400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_control),    cmocka_unit_test(test_printf),
        cmocka_unit_test(test_failures),    cmocka_unit_test(test_hostile),    cmocka_unit_test(test_format_time),
        cmocka_unit_test(test_parse_time),  cmocka_unit_test(test_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
