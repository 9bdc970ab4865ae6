/* test_params.c - times, durations, limits, escaped names, and the words when they are wrong. */
#include "query/api/params.c"

#include "tests/query/promql/test_promql.h"

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},
        {"1.5", 1500},
        {"1700000000.123", 1700000000123},
        {"-1", -1000},
        {"1e3", 1000000},
        {"1970-01-01T00:00:01.5Z", 1500},
        {"1970-01-01T01:00:01+01:00", 1000},
        {"1700000000000", 1700000000000000},
        {"1e300", API_TIME_MAX},
        {"-292273086-05-16T16:47:06Z", API_TIME_MIN},
    };
    struct err e;
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(api_parse_time(str_of(good[i].text), &ms, &e), 0);
        assert_int_equal(ms, good[i].ms);
    }
    assert_int_equal(api_parse_time(STR("x\"y"), &ms, &e), ERR_INVALID);
    assert_string_equal(e.text, "cannot parse \"x\\\"y\" to a valid timestamp");
    assert_int_equal(api_parse_time(STR(""), &ms, &e), ERR_INVALID);
    assert_string_equal(e.text, "cannot parse \"\" to a valid timestamp");
    assert_int_equal(api_parse_time(STR("NaN"), &ms, &e), ERR_INVALID);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"5m", 300000}, {"1h30m", 5400000}, {"15", 15000}, {"0.5", 500},
                {"-1", -1000},  {"0", 0},           {"0.001", 1},  {"4.18", 4180}};
    struct err e;
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(api_parse_duration(str_of(good[i].text), &ms, &e), 0);
        assert_int_equal(ms, good[i].ms);
    }
    assert_int_equal(api_parse_duration(STR("5 minutes"), &ms, &e), ERR_INVALID);
    assert_string_equal(e.text, "cannot parse \"5 minutes\" to a valid duration");
    assert_int_equal(api_parse_duration(STR("1e30"), &ms, &e), ERR_INVALID);
    assert_string_equal(e.text, "cannot parse \"1e30\" to a valid duration. It overflows int64");
}

static void escaped_names(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"U__service_2e_name", "service.name"},
        {"U__a__b", "a_b"},
        {"U__", ""},
        {"U___fc_x", "\u00fcx"},
        {"U__a_2e", "U__a_2e"},
        {"U__a_zz_", "U__a_zz_"},
        {"U__a_", "U__a_"},
        {"U__a_1234567_", "U__a_1234567_"},
        {"U__a_D800_", "U__a_D800_"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(str_eqz(api_unescape_name(&a, str_of(cases[i].in)), cases[i].out));
    arena_release(&a);
}

static void requests(void **state)
{
    struct param ps[] = {{STR("limit"), STR("5")},
                         {STR("start"), STR("bad")},
                         {STR("match[]"), STR("up")},
                         {STR("match[]"), STR("{a!=\"\"}")}};
    struct http_request r = {.params = {ps, 4}};
    struct match_set *sets;
    struct arena a = {0};
    uint32_t limit, n;
    int64_t ms = 7;
    struct err e;

    (void)state;
    assert_int_equal(api_limit_param(&r, &limit, &e), 0);
    assert_int_equal(limit, 5);
    assert_int_equal(api_time_param(&r, "end", &ms, &e), 0);
    assert_int_equal(ms, 7);
    assert_int_equal(api_time_param(&r, "start", &ms, &e), ERR_INVALID);
    assert_string_equal(
        e.text,
        "invalid parameter \"start\": invalid time value for 'start': cannot parse \"bad\" to a valid timestamp");
    assert_int_equal(api_match_sets(&r, &a, &sets, &n, &e), 0);
    assert_int_equal(n, 2);
    api_match_sets_release(sets, n);
    ps[3].value = STR("{a=\"\"}");
    assert_int_equal(api_match_sets(&r, &a, &sets, &n, &e), ERR_INVALID);
    assert_string_equal(e.text, "match[] must contain at least one non-empty matcher");
    ps[0].value = STR("-1");
    assert_int_equal(api_limit_param(&r, &limit, &e), ERR_INVALID);
    assert_string_equal(e.text, "invalid parameter \"limit\": limit must be non-negative");
    ps[0].value = STR("x");
    assert_int_equal(api_limit_param(&r, &limit, &e), ERR_INVALID);
    assert_string_equal(e.text, "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax");
    arena_release(&a);
}

/* On an I/O thread: few and quick ones, and regex_new is as before behind it. */
static void patterns_here(void **state)
{
    struct arena a = {0};
    struct regex *re = NULL;
    struct buf b = {0};
    struct err e;

    (void)state;
    assert_int_equal(api_regex_here(STR("a.*"), REGEX_ANCHORED, &re, &e), 0);
    regex_free(re);
    assert_int_equal(api_regex_here(STR("\\pL{1000}"), REGEX_ANCHORED, &re, &e), ERR_LIMIT);
    assert_int_equal(api_check_matchers(&a, STR("{a=~\"x.*\",b!~\"y|z\"}"), &e), 0);
    assert_int_equal(api_check_matchers(&a, STR("{a=~\"(\"}"), &e), ERR_INVALID);
    assert_int_equal(api_check_matchers(&a, STR("{a=~\".{900}.{900}\"}"), &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "a regular expression that takes long to compile"));
    for (int i = 0; i <= CHECKED_REGEXES_MAX; i++)
        buf_printf(&b, "%c%s=~\"x%d\"", i ? ',' : '{', "l", i);
    buf_putc(&b, '}');
    assert_int_equal(api_check_matchers(&a, buf_str(&b), &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "more than 16 regular expressions"));
    assert_int_equal(regex_new(STR(".{900}.{90}"), REGEX_ANCHORED, &re, &e), 0);
    regex_free(re);
    buf_release(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(durations),
        cmocka_unit_test(escaped_names),
        cmocka_unit_test(patterns_here),
        cmocka_unit_test(requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
