/* test_num_time.c - durations, sizes, RFC 3339. */
#include "base/num_time.c"
#include "tests/base/prop.h"

static void durations(void **state)
{
    static const struct {
        const char *in;
        int64_t ms;
        const char *out;
    } good[] = {{"0", 0, "0s"},
                {"0s", 0, "0s"},
                {"5m", 300000, "5m"},
                {"1h30m", 5400000, "1h30m"},
                {"90m", 5400000, "1h30m"},
                {"1d", 86400000, "1d"},
                {"90d", 7776000000, "90d"},
                {"7d", 604800000, "1w"},
                {"1w", 604800000, "1w"},
                {"1y", 31536000000, "1y"},
                {"1y1w", 32140800000, "372d"},
                {"1s500ms", 1500, "1s500ms"},
                {"1500ms", 1500, "1s500ms"},
                {"10d12h", 907200000, "10d12h"},
                {"292y", 292 * 31536000000, "292y"}};
    static const struct {
        const char *in, *words;
    } bad[] = {{"", "empty duration string"},
               {"1", "not a valid duration string: \"1\""},
               {"-5m", "not a valid duration string: \"-5m\""},
               {"5m1h", "not a valid duration string: \"5m1h\""},
               {"5m5m", "not a valid duration string: \"5m5m\""},
               {"1.5h", "unknown unit \".\" in duration \"1.5h\""},
               {"1x", "unknown unit \"x\" in duration \"1x\""},
               {"293y", "duration out of range"},
               {"292y292d", "duration out of range"},
               {"99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""}};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char out[NUM_MAX];
        int64_t ms = -1;

        assert_int_equal(duration_parse(str_of(good[i].in), &ms, NULL), 0);
        assert_int_equal(ms, good[i].ms);
        out[duration_fmt(ms, out)] = '\0';
        assert_string_equal(out, good[i].out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e;
        int64_t ms = -1;

        assert_int_equal(duration_parse(str_of(bad[i].in), &ms, &e), ERR_INVALID);
        assert_string_equal(e.text, bad[i].words);
        assert_int_equal(ms, -1);
    }
}

static void duration_round_trip(void **state)
{
    struct rng r = rng_new("durations");

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t ms = (int64_t)(rng_next(&r) >> (21 + rng_below(&r, 40))), back;
        char out[NUM_MAX];
        size_t n = duration_fmt(ms, out);

        assert_int_equal(duration_parse(str_n(out, n), &back, NULL), 0);
        assert_int_equal(back, ms);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *in;
        uint64_t bytes;
    } good[] = {{"100", 100},
                {"0", 0},
                {"512MB", UINT64_C(512) << 20},
                {"10KiB", 10240},
                {"1.5GB", UINT64_C(3) << 29},
                {"1K", 1024},
                {"2 MiB", 2 << 20},
                {"1GB512MB", UINT64_C(3) << 29},
                {"7B", 7},
                {"3TB", UINT64_C(3) << 40},
                {"1E", UINT64_C(1) << 60},
                {"9007199254740993", 9007199254740993}};
    static const char *const bad[] = {"", "MB", "-1MB", "1XB", "1MBB", "1..5K", "20000PB", "ten"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t bytes = 1;

        assert_int_equal(size_parse(str_of(good[i].in), &bytes, NULL), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t bytes;
        struct err e;

        if (size_parse(str_of(bad[i]), &bytes, &e) != ERR_INVALID)
            fail_msg("\"%s\" taken", bad[i]);
    }
}

static void times(void **state)
{
    static const struct {
        const char *in;
        int64_t ms;
    } good[] = {{"1700000000.123", 1700000000123},
                {"0", 0},
                {"-1.5", -1500},
                {"1e9", 1000000000000},
                {"1970-01-01T00:00:00Z", 0},
                {"2015-07-01T20:10:51.781Z", 1435781451781},
                {"2015-07-01T22:10:51.781999+02:00", 1435781451781},
                {"2024-02-29T23:59:59z", 1709251199000},
                {"1969-12-31T23:59:59.5Z", -500},
                {"-292273086-05-16T16:47:06Z", (INT64_MIN / 1000 + 62135596801) * 1000},
                {"+292277025-08-18T07:12:54.999999999Z", (INT64_MAX / 1000 - 62135596801) * 1000 + 999}};
    static const char *const bad[] = {"",
                                      "now",
                                      "NaN",
                                      "Inf",
                                      "1e30",
                                      "2015-07-01",
                                      "2015-07-01T20:10:51",
                                      "2015-13-01T00:00:00Z",
                                      "2023-02-29T00:00:00Z",
                                      "2015-07-01T24:00:00Z",
                                      "2015-07-01T20:10:51.Z",
                                      "2015-07-01 20:10:51Z",
                                      "2015-07-01T20:10:51+0200",
                                      "2015-07-01T20:10:51Zx"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = 7;

        if (time_parse(str_of(good[i].in), &ms, NULL) != 0)
            fail_msg("%s refused", good[i].in);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms;
        struct err e;

        if (time_parse(str_of(bad[i]), &ms, &e) != ERR_INVALID)
            fail_msg("\"%s\" taken", bad[i]);
    }
}

static void dates_like_gmtime(void **state)
{
    struct rng r = rng_new("dates");

    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t ms = (int64_t)(rng_next(&r) % (UINT64_C(253402300799999) + 62135596800000)) - 62135596800000, back;
        time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
        char out[NUM_MAX], want[64];
        struct tm tm;
        size_t n = time_fmt_rfc3339(ms, out);

        out[n] = '\0';
        gmtime_r(&s, &tm);
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms - (int64_t)s * 1000));
        assert_string_equal(out, want);
        assert_int_equal(time_parse(str_n(out, n), &back, NULL), 0);
        assert_int_equal(back, ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations), cmocka_unit_test(duration_round_trip), cmocka_unit_test(sizes),
        cmocka_unit_test(times),     cmocka_unit_test(dates_like_gmtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
