/* test_line_time.c - the times that lines of real programs begin with. */
#include "cmd/line_time.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1795352400) /* 2026-11-22T13:00:00Z */

static const struct {
    const char *line;
    int64_t s, ns;
} lines[] = {
    {"2026-11-22T13:00:00Z hello", T0, 0},
    {"2026-11-22T13:00:00.123456789Z hello", T0, 123456789},
    {"2026-11-22T15:00:00+02:00 x", T0, 0},
    {"2026-11-22T15:00:00+0200 x", T0, 0},
    {"2026-11-22 13:00:00,250 INFO main: x", T0 - 3600, 250000000}, /* no zone: the local one */
    {"2026-11-22 13:00:00.250 UTC [123] LOG: x", T0, 250000000},
    {"2026/11/22 13:00:00 [error] 1#1: x", T0 - 3600, 0},
    {"10.0.0.1 - - [22/Nov/2026:13:00:00 +0000] \"GET / HTTP/1.1\" 200 1", T0, 0},
    {"[Sun Nov 22 13:00:00 2026] [error] x", T0 - 3600, 0},
    {"Nov 22 13:00:00 host sshd[1]: x", T0 - 3600, 0},
    {"<34>Nov  2 13:00:00 host su: x", T0 - 20 * 86400 - 3600, 0},
    {"Dec 31 13:00:00 host cron: x", T0 - 326 * 86400 - 3600, 0}, /* not in the future: last year's */
    {"1795352400 x", T0, 0},
    {"1795352400.5 x", T0, 500000000},
    {"1795352400123 x", T0, 123000000},
    {"1795352400000000007 x", T0, 7},
    {"{\"level\":\"info\",\"time\":\"2026-11-22T13:00:00Z\",\"msg\":\"x\"}", T0, 0},
    {"{\"level\":30,\"time\":1795352400123,\"msg\":\"x\"}", T0, 123000000},
    {"{\"@timestamp\" : \"2026-11-22T13:00:00.001Z\"}", T0, 1000000},
    {"level=info ts=2026-11-22T13:00:00Z caller=main.go:1", T0, 0},
    {"time=\"2026-11-22T13:00:00Z\" level=info msg=x", T0, 0},
    {"2026-07-01 13:00:00 summer", 1782910800 - 7200, 0},
    {"valid until 2199-01-01T00:00:00Z, seen at 2026-11-22T13:00:00Z", T0, 0}, /* nothing was written in the future */
    {"{\"time\":\"2199-01-01T00:00:00Z\",\"ts\":1795352400}", T0, 0},
};
static const char *const none[] = {"", "hello", "\tat java.lang.Thread.run(Thread.java:1)", "12345", "{\"msg\":\"x\"}", "id 1795352400 of 3",
                                   "2026-13-45T13:00:00Z", "Foo 22 13:00:00", "{}", "{", "time=", "ts=\"", "valid until 2199-01-01T00:00:00Z"};

static void test_lines(void **state)
{
    struct line_time t;

    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    line_time_init(&t, NULL, (T0 + 60) * NS);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        int64_t ns = 0;

        if (!line_time(&t, str_of(lines[i].line), &ns) || ns != lines[i].s * NS + lines[i].ns)
            fail_msg("%s: %lld, not %lld", lines[i].line, (long long)ns, (long long)(lines[i].s * NS + lines[i].ns));
    }
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        int64_t ns = 0;

        if (line_time(&t, str_of(none[i]), &ns))
            fail_msg("%s: %lld, but there is none", none[i], (long long)ns);
    }
}

static void test_field(void **state)
{
    struct line_time t;
    int64_t ns;

    (void)state;
    line_time_init(&t, "when", T0 * NS);
    assert_true(line_time(&t, STR("{\"time\":\"2020-01-01T00:00:00Z\",\"when\":1795352400}"), &ns));
    assert_int_equal(ns, T0 * NS);
    assert_true(line_time(&t, STR("a=b when=1795352400"), &ns));
    assert_int_equal(ns, T0 * NS);
}

/* Any bytes: no read beyond the end (the copy is exact, for the sanitizers), and what is found lies in the line. */
static void test_random(void **state)
{
    static const char alphabet[] = "0123456789-:/ T.Z+{}\"=,[]NovDects";
    struct line_time t;

    (void)state;
    srand(1);
    line_time_init(&t, NULL, T0 * NS);
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)(rand() % 40), used;
        char *copy = x_alloc(n + !n);
        int64_t ns;

        for (size_t k = 0; k < n; k++)
            copy[k] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        line_time(&t, str_n(copy, n), &ns);
        if (line_time_at(&t, str_n(copy, n), &ns, &used))
            assert_true(used <= n);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_field), cmocka_unit_test(test_random)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
