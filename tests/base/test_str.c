/* test_str.c */
#include "base/str.c"
#include "tests/base/prop.h"

static void cutting(void **state)
{
    struct str s = STR("a,b,"), head;

    (void)state;
    assert_true(str_cut(&s, ',', &head) && str_eqz(head, "a") && str_eqz(s, "b,"));
    assert_true(str_cut(&s, ',', &head) && str_eqz(head, "b") && s.n == 0);
    assert_false(str_cut(&s, ',', &head));
    assert_true(head.n == 0 && s.n == 0);
    s = STR("x");
    assert_false(str_cut(&s, ',', &head));
    assert_true(str_eqz(head, "x") && s.n == 0);
    assert_true(str_eqz(str_trim(STR(" \t\r\n\v\fa b ")), "a b"));
    assert_int_equal(str_trim(STR("  ")).n, 0);
    assert_true(str_eq_nocase(STR("AbZ"), STR("aBz")) && !str_eq_nocase(STR("@"), STR("`")));
    assert_int_equal(str_find(STR("hello"), STR("lo")), 3);
    assert_int_equal(str_find(STR("hello"), STR("")), 0);
    assert_int_equal(str_find(STR("lo"), STR("hello")), -1);
    assert_int_equal(str_find(STR_NULL, STR("x")), -1);
}

static void whole_numbers(void **state)
{
    uint64_t u;
    int64_t i;

    (void)state;
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR(""), &u) || str_to_u64(STR("+1"), &u) || str_to_u64(STR("1 "), &u));
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_i64(STR("+9223372036854775807"), &i) && i == INT64_MAX);
    assert_false(str_to_i64(STR("9223372036854775808"), &i) || str_to_i64(STR("-9223372036854775809"), &i));
    assert_false(str_to_i64(STR("-"), &i) || str_to_i64(STR("--1"), &i));
}

static void every_rune(void **state)
{
    (void)state;
    for (uint32_t r = 0; r < 0x110100; r++) {
        bool odd = r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF);
        char out[4];
        size_t n = utf8_encode(r, out);
        uint32_t back;

        assert_int_equal(utf8_decode(str_n(out, n), &back), n);
        assert_int_equal(back, odd ? 0xFFFD : r);
        assert_true(utf8_valid(str_n(out, n)));
        for (size_t cut = 1; cut < n; cut++) {
            assert_false(utf8_valid(str_n(out, cut)));
            assert_int_equal(utf8_decode(str_n(out, cut), &back), 1);
            assert_int_equal(back, 0xFFFD);
        }
    }
}

/* Validity by the definition: decode, encode, compare. */
static bool slow_valid(struct str s)
{
    while (s.n) {
        uint32_t r;
        char out[4];
        size_t n = utf8_decode(s, &r);

        if (n == 1 && r == 0xFFFD)
            return false;
        if (utf8_encode(r, out) != n || memcmp(out, s.p, n) != 0)
            return false;
        s = str_from(s, n);
    }
    return true;
}

static void random_bytes(void **state)
{
    struct rng r = rng_new("bytes");
    static const unsigned char odd[] = {0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xA0,
                                        0x9F, 0xED, 0xEF, 0xF0, 0x90, 0x8F, 0xF4, 0xF5};
    char t[64];

    (void)state;
    for (int i = 0; i < 300000; i++) {
        size_t n = rng_below(&r, sizeof t), count = 0;
        uint32_t mode = rng_below(&r, 3), rune;

        for (size_t k = 0; k < n; k++)
            t[k] = (char)(mode == 0                        ? rng_next(&r)
                          : mode == 1 || rng_below(&r, 20) ? 'a' + rng_below(&r, 26)
                                                           : odd[rng_below(&r, sizeof odd)]);
        if (n > 2 && mode == 2)
            memcpy(t + rng_below(&r, (uint32_t)n - 1), "\xC3\xA9", 2);
        assert_int_equal(utf8_valid(str_n(t, n)), slow_valid(str_n(t, n)));
        for (size_t k = 0; k < n; count++)
            k += utf8_decode(str_n(t + k, n - k), &rune);
        assert_int_equal(utf8_count(str_n(t, n)), count);
    }
}

static void bad_forms(void **state)
{
    static const char *const bad[] = {"\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80\x80",
                                      "\x80",
                                      "\xC3",
                                      "\xE2\x82",
                                      "\xE2\x28\xA1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(utf8_valid(str_of(bad[i])));
    assert_int_equal(utf8_count(STR("\xE2\x82x")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting),      cmocka_unit_test(whole_numbers), cmocka_unit_test(every_rune),
        cmocka_unit_test(random_bytes), cmocka_unit_test(bad_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
