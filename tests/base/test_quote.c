/* test_quote.c - what Go's strconv.Quote and QuoteRune write for the same text. */
#include "base/quote.c"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_text(void **state)
{
    static const struct {
        struct str in;
        const char *want;
    } t[] = {
        {{NULL, 0}, "\"\""},
        {STR("plain 'text'"), "\"plain 'text'\""},
        {STR("a\"\\b"), "\"a\\\"\\\\b\""},
        {STR("\a\b\t\n\v\f\r"), "\"\\a\\b\\t\\n\\v\\f\\r\""},
        {STR("\x01\x1f\x7f"), "\"\\x01\\x1f\\x7f\""},
        {STR("\xff"
             "a\xc3"),
         "\"\\xffa\\xc3\""},
        {STR("\u00fc\u65e5\U0001f600"), "\"\u00fc\u65e5\U0001f600\""},
        {STR("\u00a0\u00ad\u2028\ufeff"), "\"\\u00a0\\u00ad\\u2028\\ufeff\""},
        {STR("\ufffd"), "\"\ufffd\""}, /* itself, not a bad byte */
        {STR("\U000e0001"), "\"\\U000e0001\""},
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        buf_reset(&b);
        buf_put_quoted(&b, t[i].in);
        buf_putc(&b, '\0');
        assert_string_equal(b.p, t[i].want);
    }
    buf_release(&b);
}

static void test_rune(void **state)
{
    static const struct {
        uint32_t r;
        const char *want;
    } t[] = {{'a', "'a'"},        {'\'', "'\\''"},      {'"', "'\"'"},         {'\n', "'\\n'"},
             {0x85, "'\\u0085'"}, {0xd800, "'\ufffd'"}, {0x110000, "'\ufffd'"}};
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        buf_reset(&b);
        buf_put_quoted_rune(&b, t[i].r);
        buf_putc(&b, '\0');
        assert_string_equal(b.p, t[i].want);
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_rune),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
