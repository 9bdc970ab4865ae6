/* test_json.c - strings against cJSON, commas, numbers. */
#include "base/json.c"
#include "tests/base/prop.h"

#include <cjson/cJSON.h>

static void strings(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"", "\"\""},
                {"plain \xc3\xa9", "\"plain \xc3\xa9\""},
                {"a\"b\\c\n\r\t\x01\x7f", "\"a\\\"b\\\\c\\n\\r\\t\\u0001\x7f\""},
                {"<a&b>", "\"\\u003ca\\u0026b\\u003e\""},
                {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
                {"x\xffy", "\"x\\ufffdy\""},
                {"\xef\xbf\xbd", "\"\xef\xbf\xbd\""}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};

        json_put_string(&b, str_of(rows[i].in));
        assert_string_equal(buf_z(&b), rows[i].want);
        buf_release(&b);
    }
}

/* A str that was never set has no p: nothing may be computed from it. UBSan is the judge. */
static void unset_string(void **state)
{
    struct buf b = {0};

    (void)state;
    json_put_string(&b, (struct str){0});
    assert_string_equal(buf_z(&b), "\"\"");
    buf_release(&b);
}

static void random_strings(void **state)
{
    struct rng r = rng_new("json");
    struct buf b = {0}, in = {0};

    (void)state;
    for (int i = 0; i < 50000; i++) {
        cJSON *c;
        char rune[4];

        buf_reset(&b);
        buf_reset(&in);
        for (uint32_t n = rng_below(&r, 20); n; n--)
            buf_put(&in, rune, utf8_encode(1 + rng_below(&r, rng_below(&r, 2) ? 0x80 : 0x11000), rune));
        json_put_string(&b, buf_str(&in));
        c = cJSON_ParseWithLength(b.p, b.n);
        assert_true(c && cJSON_IsString(c));
        assert_string_equal(c->valuestring, buf_z(&in));
        cJSON_Delete(c);
    }
    buf_release(&b);
    buf_release(&in);
}

static void commas(void **state)
{
    struct buf b = {0};
    struct json j;

    (void)state;
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "a");
    json_arr(&j);
    json_end_arr(&j);
    json_key(&j, "b");
    json_arr(&j);
    json_i64(&j, -1);
    json_u64(&j, UINT64_MAX);
    json_f64(&j, 1.5);
    json_f64(&j, NAN);
    json_arr(&j);
    json_obj(&j);
    json_end_obj(&j);
    json_obj(&j);
    json_key_str(&j, STR("k\""));
    json_raw(&j, STR("{\"x\":1}"));
    json_end_obj(&j);
    json_end_arr(&j);
    json_bool(&j, true);
    json_null(&j);
    json_end_arr(&j);
    json_key(&j, "c");
    json_strz(&j, "d");
    json_end_obj(&j);
    assert_string_equal(
        buf_z(&b),
        "{\"a\":[],\"b\":[-1,18446744073709551615,1.5,null,[{},{\"k\\\"\":{\"x\":1}}],true,null],\"c\":\"d\"}");
    assert_int_equal(j.depth, 0);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(strings), cmocka_unit_test(unset_string), cmocka_unit_test(random_strings),
                                       cmocka_unit_test(commas)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
