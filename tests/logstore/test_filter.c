/* test_filter.c - the set behind a filter never says no to what is in it and seldom yes to what is not; what needles are denied. */
#include "logstore/filter.c"

#include "logstore/filter_fuse.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_fuse(void **state)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 10, 100, 1000, 5000, 40000};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct fuse_builder b = {0};
        struct buf bytes = {0};
        struct fuse f;
        uint32_t n = sizes[s], wrong = 0;

        fuse_builder_begin(&b, n);
        for (uint32_t i = 0; i < n; i++)
            fuse_builder_add(&b, mix(i + 1));
        assert_true(fuse_builder_end(&b, &bytes));
        assert_true(fuse_open(&f, buf_str(&bytes)));
        for (uint32_t i = 0; i < n; i++)
            assert_true(fuse_has(&f, mix(i + 1)));
        for (uint32_t i = 0; i < 100000; i++)
            wrong += fuse_has(&f, mix(i + 1000000000));
        assert_true(n == 0 ? wrong == 0 : wrong < 600); /* 1 in 256 */
        if (n >= 5000)
            assert_true(bytes.n * 8 < n * 11u);
        buf_release(&bytes);
        fuse_builder_release(&b);
    }
}

static struct buf made;

static void make(const char *const *texts)
{
    struct filter_out *f = filter_out_new();

    filter_out_begin(f);
    for (; *texts; texts++)
        filter_text(f, str_of(*texts));
    filter_meta(f, STR("trace_id"), STR("abc"));
    buf_reset(&made);
    filter_out_end(f, 1 << 20, &made);
    filter_out_free(f);
}

static bool may(const char *needle)
{
    struct str s = str_of(needle);
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &s, .nvalues = 1};

    return log_filter_may_match(buf_str(&made), &h, 1);
}

static bool may_field(const char *value)
{
    struct str s = str_of(value);
    struct log_hint h = {
        .kind = LOG_HINT_FIELD, .parser = LOG_PARSER_JSON, .name = {"x", 1}, .values = &s, .nvalues = 1};

    return log_filter_may_match(buf_str(&made), &h, 1);
}

static bool may_meta(const char *name, const char *value)
{
    struct str s = str_of(value);
    struct log_hint h = {.kind = LOG_HINT_META, .name = str_of(name), .values = &s, .nvalues = 1};

    return log_filter_may_match(buf_str(&made), &h, 1);
}

static void test_needles(void **state)
{
    static const char *const texts[] = {
        "connection to 10.20.30.40 refused, id=4bf92f3577b34da6a3ce929d0e0e4736 took 15. ms",
        "a very long word that goes on beyond sixty-four bytes: "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaWordTail end",
        "2026-11-22T20:33:41.123456789Z 12345678.5ms", NULL};

    (void)state;
    make(texts);
    assert_true(may("connection") && may("onnecti") && may("refused, id=") && may("ms") && may("") && may("15. "));
    assert_true(may("4bf92f3577b34da6a3ce929d0e0e4736") && may("id=4bf92f3577b34da6a3ce929d0e0e4736 ") &&
                may("577b34da6a3c"));
    assert_true(may("10.20.30.40") && may("0.20.30.4") && may("WordTail") && may("aaaaaaaaaaaaWordTa"));
    assert_true(may("T20:33:41.1234") && may("41.123456789Z") && may("12345678.5ms"));
    assert_false(may("disconnected"));
    assert_false(may("4bf92f3577b34da6a3ce929d0e0e4737"));
    assert_false(may("=4bf92f3577b34da6a3ce929d0e0e473 "));
    assert_true(may_field("10.20.30.40") && may_field("a\nb"));
    assert_false(may_field("10.20.30.4"));
    assert_true(may_meta("trace_id", "abc"));
    assert_false(may_meta("trace_id", "abd"));
    assert_false(may_meta("span_id", "abc"));
}

/* A value that JSON writes with escapes is never denied. */
static void test_escapes(void **state)
{
    static const char *const texts[] = {"msg\":\"a\\n12345678ab \\u003c87654321ba\\u003e", NULL};
    static const char *const hidden[] = {"\\u0041bcdefgh", NULL};

    (void)state;
    make(texts);
    assert_true(may_field("a\n12345678ab") && may_field("<87654321ba>"));
    assert_false(may_field("12345678ac"));
    make(hidden);
    assert_true(may_field("Abcdefgh") && may_field("anything"));
}

static int teardown(void **state)
{
    (void)state;
    buf_release(&made);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse),
        cmocka_unit_test(test_needles),
        cmocka_unit_test(test_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
