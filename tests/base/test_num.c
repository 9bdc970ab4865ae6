/* test_num.c - shortest digits against printf and strtod, and the layouts against what Go prints. */
#include "base/num.c"
#include "tests/base/prop.h"

enum { ROUNDS = 500000 };

static void expect(size_t (*fmt)(double, char *), double v, const char *want)
{
    char out[NUM_MAX + 1];

    out[fmt(v, out)] = '\0';
    assert_string_equal(out, want);
}

static void layouts(void **state)
{
    char tiny[400];

    (void)state;
    expect(num_fmt_g, 1000000, "1e+06");
    expect(num_fmt_g, 100000, "100000");
    expect(num_fmt_g, 123456789, "1.23456789e+08");
    expect(num_fmt_g, 1.5, "1.5");
    expect(num_fmt_g, 0.0001, "0.0001");
    expect(num_fmt_g, 0.00001, "1e-05");
    expect(num_fmt_g, 1e21, "1e+21");
    expect(num_fmt_g, 1e100, "1e+100");
    expect(num_fmt_g, 0, "0");
    expect(num_fmt_g, -0.0, "-0");
    expect(num_fmt_g, NAN, "NaN");
    expect(num_fmt_g, INFINITY, "+Inf");
    expect(num_fmt_g, -INFINITY, "-Inf");
    expect(num_fmt_f, 1e21, "1000000000000000000000");
    expect(num_fmt_f, 1e-7, "0.0000001");
    expect(num_fmt_f, 123.456, "123.456");
    expect(num_fmt_f, -0.0, "-0");
    expect(num_fmt_f, 9007199254740993.0, "9007199254740992");
    expect(num_fmt_e, 1, "1e+00");
    expect(num_fmt_e, 0, "0e+00");
    expect(num_fmt_e, 1234.5, "1.2345e+03");
    expect(num_fmt_sample, 1e21, "1e+21");
    expect(num_fmt_sample, 1e20, "100000000000000000000");
    expect(num_fmt_sample, 0.000001, "0.000001");
    expect(num_fmt_sample, 0.00000099, "9.9e-07");
    expect(num_fmt_sample, 5e-324, "5e-324");
    expect(num_fmt_sample, 1.7976931348623157e308, "1.7976931348623157e+308");
    expect(num_fmt_sample, -2.5, "-2.5");
    expect(num_fmt_label, 1, "1.0");
    expect(num_fmt_label, -0.0, "0.0");
    expect(num_fmt_label, 0.5, "0.5");
    expect(num_fmt_label, 1e6, "1e+06");
    expect(num_fmt_label, INFINITY, "+Inf");
    expect(num_fmt_label, NAN, "NaN");
    snprintf(tiny, sizeof tiny, "%.324f", 5e-324);
    expect(num_fmt_f, 5e-324, tiny);
}

static void milliseconds(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {{1700000000123, "1700000000.123"},
                {5000, "5"},
                {-500, "-0.5"},
                {0, "0"},
                {1, "0.001"},
                {20, "0.02"},
                {-1234, "-1.234"},
                {INT64_MIN, "-9223372036854775.808"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[NUM_MAX];

        out[num_fmt_ms(rows[i].ms, out)] = '\0';
        assert_string_equal(out, rows[i].want);
    }
}

static void integers(void **state)
{
    struct rng r = rng_new("integers");

    (void)state;
    for (int i = 0; i < ROUNDS / 10; i++) {
        uint64_t v = rng_next(&r) >> rng_below(&r, 64);
        char out[NUM_MAX], want[32];

        out[num_fmt_u64(v, out)] = '\0';
        snprintf(want, sizeof want, "%llu", (unsigned long long)v);
        assert_string_equal(out, want);
        out[num_fmt_i64((int64_t)v, out)] = '\0';
        snprintf(want, sizeof want, "%lld", (long long)v);
        assert_string_equal(out, want);
    }
}

/* The significant digits of a text, without point, sign, exponent and zeros at the ends. */
static size_t significant(const char *text, size_t n, char *digits)
{
    size_t k = 0;

    for (size_t i = 0; i < n && text[i] != 'e'; i++)
        if (text[i] >= '0' && text[i] <= '9' && (k || text[i] != '0'))
            digits[k++] = text[i];
    while (k && digits[k - 1] == '0')
        k--;
    return k;
}

/* Every layout reads back as v and has the digits of 'e'. */
static void check_layouts(double v)
{
    static size_t (*const layouts_of[])(double, char *) = {num_fmt_f, num_fmt_g, num_fmt_sample};
    char e[NUM_MAX], de[NUM_MAX], out[NUM_MAX], d[NUM_MAX];
    size_t ne = significant(e, num_fmt_e(v, e), de);

    for (int i = 0; i < 3; i++) {
        size_t n = layouts_of[i](v, out);

        out[n] = '\0';
        if (f64_bits(strtod(out, NULL)) != f64_bits(v) || significant(out, n, d) != ne || memcmp(d, de, ne) != 0)
            fail_msg("%.17g printed as %s", v, out);
    }
}

/*
 * out reads back as v, printf with one digit fewer does not, and printf with as many digits agrees unless several
 * decimals of that length read back: then printf's is the closest, so it must be ours too.
 */
static void check_shortest(double v)
{
    char out[NUM_MAX], fewer[64], same[64];
    size_t n = num_fmt_e(v, out);
    int digits = 0;

    out[n] = '\0';
    if (f64_bits(strtod(out, NULL)) != f64_bits(v))
        fail_msg("%.17g printed as %s", v, out);
    for (const char *p = out; *p && *p != 'e'; p++)
        digits += *p >= '0' && *p <= '9';
    if (digits > 1) {
        snprintf(fewer, sizeof fewer, "%.*e", digits - 2, v);
        if (strtod(fewer, NULL) == v)
            fail_msg("%s is longer than %s", out, fewer);
    }
    snprintf(same, sizeof same, "%.*e", digits - 1, v);
    if (strtod(same, NULL) == v && strcmp(same, out) != 0)
        fail_msg("%s is not the closest: %s", out, same);
    check_layouts(v);
}

static void random_bits(void **state)
{
    struct rng r = rng_new("random bits");

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        double v = f64_from_bits(rng_next(&r));

        if (isfinite(v))
            check_shortest(v);
    }
}

static void random_decimals(void **state)
{
    struct rng r = rng_new("random decimals");

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        double v =
            (double)(rng_next(&r) >> rng_below(&r, 64)) / (double[]){1, 10, 100, 1e3, 1e4, 1e6, 1e9}[rng_below(&r, 7)];

        v = rng_below(&r, 4) ? v : -v;
        check_shortest(v);
        check_shortest(nextafter(v, INFINITY));
    }
}

static void edges(void **state)
{
    (void)state;
    for (int e = 0; e < 2047; e++) /* powers of two: the uneven gap */
        for (int d = -2; d <= 2; d++) {
            uint64_t bits = ((uint64_t)e << 52) + (uint64_t)(int64_t)d;

            if (bits < UINT64_C(0x7ff) << 52)
                check_shortest(f64_from_bits(bits));
        }
    for (int k = -323; k <= 308; k++) {
        char t[16];

        snprintf(t, sizeof t, "1e%d", k);
        check_shortest(strtod(t, NULL));
        check_shortest(nextafter(strtod(t, NULL), 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),     cmocka_unit_test(milliseconds),    cmocka_unit_test(integers),
        cmocka_unit_test(random_bits), cmocka_unit_test(random_decimals), cmocka_unit_test(edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
