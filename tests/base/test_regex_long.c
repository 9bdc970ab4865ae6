/* test_regex_long.c - what is taken for long, what never is, and that regex_new asks who was named. */
#include "base/regex_long.c"
#include "tests/base/prop.h"

#include "base/base.h"

static bool is_long(const char *pattern)
{
    return regex_is_long(str_of(pattern));
}

static void usual_ones_are_quick(void **state)
{
    static const char *const all[] = {
        "", "a", ".*", ".+", "api-.*|web-[0-9]+|db", "(?i:error|warn)", "node_.*_total", "\\d+\\.\\d+\\.\\d+\\.\\d+", "[^:]+:[0-9]{2,5}", "(?P<a>[a-z]+)-(?P<b>\\w+)",
        "5..", "^/api/v[0-9]+/[a-f0-9]{8}$", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}", "a{,5}", "a{x}", "{", "}", "[]a]+", "[^]]", "x{0}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (is_long(all[i]))
            fail_msg("taken for long: %s", all[i]);
}

/* `piece` so often that the pattern has nbytes. */
static struct str repeated(struct buf *b, const char *before, const char *piece, size_t nbytes)
{
    buf_reset(b);
    buf_putz(b, before);
    while (b->n < nbytes)
        buf_putz(b, piece);
    return buf_str(b);
}

static void costly_ones_are_long(void **state)
{
    static const char *const all[] = {"\\pL{1000}", "(?:\\pL|\\pN){1000}", "((a{1,10}){1,10}){1,100}", ".{1,1000}x", "[^a]{0,300}", "(((x?){30}){30}){3}", "\\Q{\\E", "a{100}{100}", "(a|b{1000}){10}"};
    static const char *const pieces[] = {"|.*x.*", "\\pL", "\\PN|", "[\\pL]", "(?:a?){1,1000}", "[^a]{0,300}", "(", "((a))"};
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!is_long(all[i]))
            fail_msg("taken for quick: %s", all[i]);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        assert_true(regex_is_long(repeated(&b, "a", pieces[i], 60000)));
    buf_release(&b);
}

/* Any bytes have a cost, and what is quick compiles quickly: not a bound, which a loaded machine would break, but no seconds. */
static void random_patterns(void **state)
{
    static const char *const pieces[] = {"a", ".", "(", ")", "[", "]", "{2}", "{1,1000}", "{30", ",", "}", "\\pL", "\\", "*", "|", "[^x]", "(?:", "\\Q", "\\E", "^", "x?", "(?i)"};
    struct rng r = rng_new("random_patterns");
    struct buf b = {0};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct regex *re = NULL;
        int64_t began;

        buf_reset(&b);
        for (unsigned n = rng_below(&r, 60); n; n--)
            buf_putz(&b, pieces[rng_below(&r, ARRAY_LEN(pieces))]);
        if (regex_is_long(buf_str(&b)))
            continue;
        began = clock_thread_cpu_ns();
        if (regex_compile(buf_str(&b), REGEX_ANCHORED, &re, NULL) == 0)
            regex_free(re);
        if (clock_thread_cpu_ns() - began > INT64_C(500000000))
            fail_msg("taken for quick: %s", buf_z(&b));
    }
    buf_release(&b);
}

static int refuse(void *arg, struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    ++*(int *)arg;
    if (str_eqz(pattern, "no"))
        return err_set(e, ERR_TIMEOUT, "no time");
    return regex_compile(pattern, flags, out, e);
}

static void who_was_named_is_asked(void **state)
{
    struct regex *re = NULL;
    struct err e;
    int asked = 0;

    (void)state;
    regex_compile_by(refuse, &asked);
    assert_int_equal(regex_new(STR("no"), 0, &re, &e), ERR_TIMEOUT);
    assert_string_equal(e.text, "no time");
    assert_null(re);
    assert_int_equal(regex_new(STR("n."), REGEX_ANCHORED, &re, &e), 0);
    assert_true(regex_match(re, STR("no")));
    regex_free(re);
    assert_int_equal(asked, 2);
    regex_compile_by(NULL, NULL);
    assert_int_equal(regex_new(STR("no"), 0, &re, &e), 0);
    regex_free(re);
    assert_int_equal(asked, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_ones_are_quick),
        cmocka_unit_test(costly_ones_are_long),
        cmocka_unit_test(random_patterns),
        cmocka_unit_test(who_was_named_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
