/* test_num_parse.c - every way to read a number against strtod, and what is refused. */
#include "base/num_parse.c"
#include "tests/base/prop.h"

enum { ROUNDS = 1000000 };

static void expect_bits(const char *text, double want)
{
    bool range;
    double v;

    if (!num_parse(str_of(text), &v, &range))
        fail_msg("%s refused", text);
    if (f64_bits(v) != f64_bits(want))
        fail_msg("%s read as %.17g, not %.17g", text, v, want);
}

static void like_strtod(const char *text)
{
    expect_bits(text, strtod(text, NULL));
}

static void random_bits(void **state)
{
    struct rng r = rng_new("random bits");
    char t[64];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        double v = f64_from_bits(rng_next(&r));

        if (!isfinite(v))
            continue;
        snprintf(t, sizeof t, "%.*g", 1 + (int)rng_below(&r, 25), v);
        like_strtod(t);
        snprintf(t, sizeof t, "%.17g", v);
        expect_bits(t, v);
    }
}

static void random_texts(void **state)
{
    struct rng r = rng_new("random texts");

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char t[80];
        int n = 0, digits = 1 + (int)rng_below(&r, 30), point = (int)rng_below(&r, 32);

        if (rng_below(&r, 4) == 0)
            t[n++] = '-';
        for (int k = 0; k < digits; k++) {
            if (k == point)
                t[n++] = '.';
            t[n++] = (char)('0' + rng_below(&r, 10));
        }
        t[n] = '\0';
        if (rng_below(&r, 2))
            snprintf(t + n, sizeof t - (size_t)n, "e%d", (int)rng_below(&r, 700) - 350);
        like_strtod(t);
    }
}

/* Exactly half-way between two doubles, and a hair beside. */
static void halfway(void **state)
{
    struct rng r = rng_new("halfway");

    (void)state;
    for (int i = 0; i < ROUNDS / 20; i++) {
        double v = ldexp((double)(rng_next(&r) >> 11 | UINT64_C(1) << 52), (int)rng_below(&r, 200) - 150);
        char t[900];
        int n = snprintf(t, sizeof t, "%.200f", v + 0.0);
        long double mid = (long double)v + ((long double)nextafter(v, INFINITY) - (long double)v) / 2;

        assert_true(n > 0);
        snprintf(t, sizeof t, "%.300Lf", mid);
        like_strtod(t);
        n = snprintf(t, sizeof t, "%.300Lf", mid);
        snprintf(t + n, sizeof t - (size_t)n, "1");
        like_strtod(t);
    }
}

static void words_and_edges(void **state)
{
    static const char *const same[] = {"0",
                                       "-0",
                                       "0.0",
                                       ".5",
                                       "5.",
                                       "+1",
                                       "1e5",
                                       "1E+5",
                                       "1e-5",
                                       "00012",
                                       "1e22",
                                       "1e23",
                                       "9007199254740993",
                                       "2.2250738585072011e-308",
                                       "4.9e-324",
                                       "2.4703282292062327e-324",
                                       "2.4703282292062328e-324",
                                       "1.7976931348623157e308",
                                       "0e999999999999",
                                       "1e-999999",
                                       "1.7976931348623158e308",
                                       "0.000000000000000000000000000000000000000001e42"};
    static const char *const refused[] = {"",        "-",  "+",  ".",     "e5",    "1e",   "1e+",  "0x10",
                                          "1_000",   " 1", "1 ", "1.2.3", "--1",   "+nan", "-nan", "infi",
                                          "infinit", "in", "na", "1f",    "1e5.0", "1,5",  "0b1"};
    bool range;
    double v;

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        like_strtod(same[i]);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (num_parse(str_of(refused[i]), &v, &range))
            fail_msg("\"%s\" taken for %g", refused[i], v);
    expect_bits("Inf", INFINITY);
    expect_bits("+infinity", INFINITY);
    expect_bits("-INF", -INFINITY);
    expect_bits("nAn", f64_from_bits(NORMAL_NAN_BITS));
    assert_true(num_parse(STR("1e400"), &v, &range));
    assert_true(range && v == INFINITY);
    assert_true(num_parse(STR("-1.7976931348623159e308"), &v, &range));
    assert_true(range && v == -INFINITY);
    assert_true(num_parse(STR("1e-400"), &v, &range));
    assert_true(!range && v == 0);
    assert_true(num_parse(STR("inf"), &v, &range));
    assert_false(range);
}

static void very_long(void **state)
{
    size_t n = 100000;
    char *t = malloc(n + 8);
    double v;

    (void)state;
    memset(t, '7', n);
    t[1] = '.';
    strcpy(t + n, "e5");
    assert_true(num_parse(str_of(t), &v, NULL));
    assert_true(v == strtod(t, NULL));
    memset(t, '0', n);
    strcpy(t + n, "1e5");
    assert_true(num_parse(str_of(t), &v, NULL));
    assert_true(v == 1e5);
    free(t);
}

/* The table, made again with 128 bits and one carry word at a time. */
static void table_is_right(void **state)
{
    (void)state;
    for (int k = 0; k <= POW10_EXACT_MAX; k++) { /* exact ones: 10 times the one before, shifted */
        struct pow10 g = pow10_table[k - POW10_MIN], h = pow10_table[k + 1 - POW10_MIN];
        unsigned __int128 a = (unsigned __int128)g.hi << 64 | g.lo, b = (unsigned __int128)h.hi << 64 | h.lo;
        int shift = pow10_log2(k + 1) - pow10_log2(k); /* 3 or 4 */

        assert_true(g.hi >> 63);
        if (k < POW10_EXACT_MAX)
            assert_true((a >> shift) * 10 + ((a & ((1u << shift) - 1)) * 10 >> shift) == b);
    }
    for (int k = POW10_MIN; k < POW10_MAX; k++) { /* neighbours: within one unit of 10 times the one before */
        struct pow10 g = pow10_table[k - POW10_MIN], h = pow10_table[k + 1 - POW10_MIN];
        unsigned __int128 a = (unsigned __int128)g.hi << 64 | g.lo, b = (unsigned __int128)h.hi << 64 | h.lo;
        int shift = pow10_log2(k + 1) - pow10_log2(k);
        unsigned __int128 want = (a >> shift) * 10 + ((a & ((1u << shift) - 1)) * 10 >> shift);

        assert_true(g.hi >> 63);
        assert_true(want - b + 2 <= 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bits),     cmocka_unit_test(random_texts), cmocka_unit_test(halfway),
        cmocka_unit_test(words_and_edges), cmocka_unit_test(very_long),    cmocka_unit_test(table_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
