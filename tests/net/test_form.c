/* Percent-encoding and forms. */
#include "net/form.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static void test_params(void **state)
{
    struct params ps = {0};
    struct err e;

    (void)state;
    assert_int_equal(params_parse(&arena, STR("query=up%7Bjob%3D%22a%22%7D&time=1+2&empty=&bare&&x=a=b"), 10, &ps, &e),
                     0);
    assert_int_equal(params_parse(&arena, STR("query=second"), 10, &ps, &e), 0);
    assert_int_equal(ps.n, 6);
    assert_true(str_eqz(params_get(&ps, "query"), "up{job=\"a\"}"));
    assert_true(str_eqz(params_get(&ps, "time"), "1 2"));
    assert_true(params_get(&ps, "empty").p && params_get(&ps, "empty").n == 0);
    assert_true(params_get(&ps, "bare").p && params_get(&ps, "bare").n == 0);
    assert_true(str_eqz(params_get(&ps, "x"), "a=b"));
    assert_null(params_get(&ps, "nope").p);
    assert_true(str_eqz(ps.v[5].value, "second"));
}

static void test_errors(void **state)
{
    struct params ps = {0};
    struct err e;

    (void)state;
    assert_int_equal(params_parse(&arena, STR("a=%"), 10, &ps, &e), ERR_INVALID);
    assert_int_equal(params_parse(&arena, STR("a=%1"), 10, &ps, &e), ERR_INVALID);
    assert_int_equal(params_parse(&arena, STR("%g0=1"), 10, &ps, &e), ERR_INVALID);
    assert_int_equal(params_parse(&arena, STR("a&b&c"), 2, &ps, &e), ERR_LIMIT);
    assert_int_equal(params_parse(&arena, STR(""), 0, &ps, &e), 0);
}

static void test_url(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_true(str_eqz(url_decode(&arena, STR("a%2Fb+c%e4%bd%a0%zz%")), "a/b+c\xe4\xbd\xa0%zz%"));
    url_encode(&b, STR("a b/c~-_.\xff"));
    assert_true(str_eqz(buf_str(&b), "a%20b%2Fc~-_.%FF"));
    for (int i = 0; i < 256; i++) { /* there and back */
        char c = (char)i;

        buf_reset(&b);
        url_encode(&b, str_n(&c, 1));
        assert_true(str_eq(url_decode(&arena, buf_str(&b)), str_n(&c, 1)));
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_params), cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_url)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    arena_release(&arena);
    return rc;
}
