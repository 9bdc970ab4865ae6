/* Tests of parameters as Loki reads them. */
#include "query/api/loki/params.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S NS_PER_S

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1700000000", 1700000000 * S},
        {"4000000000", 4000000000 * S},
        {"1700000000000000001", INT64_C(1700000000000000001)},
        {"17000000000", INT64_C(17000000000)}, /* eleven digits: ns */
        {"1700000000.5", 1700000000 * S + S / 2},
        {"1700000000.1234567", 1700000000 * S + 123000000},
        {"-5.25", -5 * S - S / 4},
        {"0", 0},
        {"-1", -S},
        {"2023-11-14T22:13:20Z", 1700000000 * S},
        {"2023-11-14T22:13:20.000000001Z", INT64_C(1700000000000000001)},
        {"2023-11-14T23:13:20.5+01:00", 1700000000 * S + S / 2},
        {"2023-11-14T22:13:20.123456789123Z", 1700000000 * S + 123456789},
        {"9223372036854775807", LOKI_TIME_MAX},
        {"9999999999", LOKI_TIME_MAX},
    };
    static const char *const bad[] = {"", "x", "1e300", "1700000000s", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z", "1.5.5", "NaN", "12345678901234567890123"};
    struct err e;
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(loki_parse_time(str_of(good[i].text), &ns, &e), 0);
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(loki_parse_time(str_of(bad[i]), &ns, &e), ERR_INVALID);
    loki_parse_time(STR("a\"b"), &ns, &e);
    assert_string_equal(e.text, "strconv.ParseInt: parsing \"a\\\"b\": invalid syntax");
}

static void test_durations(void **state)
{
    struct err e;
    int64_t ns;

    (void)state;
    assert_int_equal(loki_parse_duration(STR("15"), &ns, &e), 0);
    assert_int_equal(ns, 15 * S);
    assert_int_equal(loki_parse_duration(STR("0.25"), &ns, &e), 0);
    assert_int_equal(ns, S / 4);
    assert_int_equal(loki_parse_duration(STR("500ms"), &ns, &e), 0);
    assert_int_equal(ns, S / 2);
    assert_int_equal(loki_parse_duration(STR("1h30m"), &ns, &e), 0);
    assert_int_equal(ns, 5400 * S);
    assert_int_equal(loki_parse_duration(STR("1e300"), &ns, &e), ERR_INVALID);
    assert_int_equal(loki_parse_duration(STR("abc"), &ns, &e), ERR_INVALID);
    assert_string_equal(e.text, "cannot parse \"abc\" to a valid duration");
}

/* A request with this query string. */
static struct http_request ask(struct arena *a, const char *query)
{
    struct http_request r = {.arena = a};
    struct err e;

    assert_int_equal(params_parse(a, str_of(query), 100, &r.params, &e), 0);
    return r;
}

static void test_window(void **state)
{
    struct arena a = {0};
    struct http_request r;
    struct loki_window w;
    struct err e;
    int64_t step;

    (void)state;
    clock_fake(0, 1700000000 * S);
    r = ask(&a, "");
    assert_int_equal(loki_window_params(&r, 3600 * S, &w, &e), 0);
    assert_int_equal(w.end_ns, 1700000000 * S);
    assert_int_equal(w.start_ns, (1700000000 - 3600) * S);
    r = ask(&a, "since=10m&end=1699999000");
    assert_int_equal(loki_window_params(&r, 3600 * S, &w, &e), 0);
    assert_int_equal(w.start_ns, (1699999000 - 600) * S);
    r = ask(&a, "end=1700009000"); /* ahead: counted from now */
    assert_int_equal(loki_window_params(&r, 3600 * S, &w, &e), 0);
    assert_int_equal(w.start_ns, (1700000000 - 3600) * S);
    r = ask(&a, "start=10&end=5");
    assert_int_equal(loki_window_params(&r, 3600 * S, &w, &e), ERR_INVALID);
    assert_string_equal(e.text, "end timestamp must not be before or equal to start time");
    r = ask(&a, "start=foo");
    assert_int_equal(loki_window_params(&r, 3600 * S, &w, &e), ERR_INVALID);
    assert_string_equal(e.text, "could not parse 'start' parameter: strconv.ParseInt: parsing \"foo\": invalid syntax");
    w = (struct loki_window){0, 86400 * S};
    r = ask(&a, "");
    assert_int_equal(loki_step_param(&r, &w, &step, &e), 0);
    assert_int_equal(step, 345 * S);
    r = ask(&a, "step=1000ms");
    assert_int_equal(loki_step_param(&r, &w, &step, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "11,000 points"));
    r = ask(&a, "step=0");
    assert_int_equal(loki_step_param(&r, &w, &step, &e), ERR_INVALID);
    clock_fake_release();
    arena_release(&a);
}

static void test_counts(void **state)
{
    struct arena a = {0};
    struct http_request r = ask(&a, "limit=0");
    struct http_header flags[] = {{STR("x-loki-response-encoding-flags"), STR("other, Categorize-Labels")}};
    struct err e;
    uint32_t n;
    bool backward;

    (void)state;
    assert_int_equal(loki_count_param(&r, "limit", 100, &n, &e), ERR_INVALID);
    assert_string_equal(e.text, "limit must be a positive value");
    assert_int_equal(loki_count_param(&r, "other", 100, &n, &e), 0);
    assert_int_equal(n, 100);
    r = ask(&a, "limit=x&direction=FORWARD");
    assert_int_equal(loki_count_param(&r, "limit", 100, &n, &e), ERR_INVALID);
    assert_string_equal(e.text, "strconv.Atoi: parsing \"x\": invalid syntax");
    assert_int_equal(loki_direction_param(&r, &backward, &e), 0);
    assert_false(backward);
    r = ask(&a, "direction=up");
    assert_int_equal(loki_direction_param(&r, &backward, &e), ERR_INVALID);
    assert_string_equal(e.text, "invalid direction 'up'");
    assert_false(loki_wants_categories(&r));
    r.headers = flags;
    r.nheaders = 1;
    assert_true(loki_wants_categories(&r));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_durations), cmocka_unit_test(test_window),
                                       cmocka_unit_test(test_counts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
