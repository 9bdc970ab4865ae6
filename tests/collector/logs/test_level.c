/* detected_level: words, fields and the order in which they count. */
#include "collector/logs/level.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void lines(void **state)
{
    static const struct {
        const char *line, *level;
    } all[] = {
        {"", "unknown"},
        {"nothing here", "unknown"},
        {"ERROR: disk", "error"},
        {"an err in it", "error"},
        {"Warning, then an error", "warn"},
        {"mirror of terror", "unknown"},
        {"errors abound", "unknown"},
        {"my_error", "unknown"},
        {"2026-11-22 [info] started", "info"},
        {"critical-path", "critical"},
        {"x FATAL", "fatal"},
        {"a line that is longer than sixteen bytes and has a Trace at its end: trace", "trace"},
        {"a line that is longer than sixteen bytes. DEBUG", "debug"},
        {"level=warn msg=\"an error\"", "warn"},
        {"msg=\"level=error\" level=info", "info"},
        {"lvl=dbg x=1", "debug"},
        {"level=strange error", "error"},
        {"10.0.0.1 \"GET /?level=error HTTP/1.1\" 200", "error"},
        {"severity = error", "error"},
        {"a=b=c level=info error", "info"}, /* it breaks off before the level; the word comes first */
        {"{\"level\":\"error\",\"msg\":\"info\"}", "error"},
        {"{\"msg\":\"an error\",\"level\":\"info\"}", "info"},
        {"{\"a\":{\"level\":\"warn\"}}", "warn"},
        {"{\"a\":{\"b\":{\"level\":\"warn\"}},\"x\":\"debug\"}", "warn"}, /* too deep for a field; a word all the same */
        {"{\"a\":{\"b\":{\"level\":\"quux\"}}}", "unknown"},
        {"{\"a\":[{\"level\":\"debug\"}],\"severity\":\"INFORMATION\"}", "info"},
        {"{\"level\":30,\"msg\":\"x\"}", "unknown"},
        {"{\"level\":\"what\",\"msg\":\"fatal\"}", "fatal"},
        {" {\"lvl\" : \"WRN\" } ", "warn"},
        {"{\"level\":\"error\"", "error"},
        {"{\"level\" \"error\"}", "error"},
        {"{\"a\\\"level\":\"x\",\"SeverityText\":\"Trace\"}", "trace"},
        {"{}", "unknown"},
        {"{\"level\":\"error", "error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str got = level_of_line(str_of(all[i].line));

        if (!str_eqz(got, all[i].level))
            fail_msg("%s: %.*s, want %s", all[i].line, STR_ARG(got), all[i].level);
    }
}

static void words_and_fields(void **state)
{
    (void)state;
    assert_true(str_eqz(level_word(STR("INF")), "info"));
    assert_true(str_eqz(level_word(STR("Warning")), "warn"));
    assert_null(level_word(STR("notice")).p);
    assert_null(level_word(STR("")).p);
    assert_int_equal(level_field_rank(STR("level")), 0);
    assert_int_equal(level_field_rank(STR("SEVERITY_TEXT")), 13);
    assert_int_equal(level_field_rank(STR("levels")), -1);
    assert_true(str_eqz(level_of_severity(STR("1")), "trace"));
    assert_true(str_eqz(level_of_severity(STR("17")), "error"));
    assert_true(str_eqz(level_of_severity(STR("24")), "fatal"));
    assert_true(str_eqz(level_of_severity(STR("99")), "unknown"));
}

/* The same, one byte at a time. */
static struct str plain_words(struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        struct str found = check_at(line.p, line.p + i, line.p + line.n);

        if (found.p)
            return found;
    }
    return STR("unknown");
}

static void words_at_random(void **state)
{
    static const char *const parts[] = {"err", "or", "warn", "ing", "info", "debug", "trace", "fatal", "critical", " ", "_", "-", "x", "INFO", "E", "Warn", "\xff", "in", "de"};
    unsigned seed = (unsigned)clock_wall_ns();
    char text[400];

    (void)state;
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        char *tight;

        for (int k = rand() % 40; k > 0; k--) {
            const char *p = parts[(unsigned)rand() % ARRAY_LEN(parts)];

            memcpy(text + n, p, strlen(p));
            n += strlen(p);
        }
        tight = malloc(n ? n : 1);
        memcpy(tight, text, n);
        if (!str_eq(level_in_words(str_n(tight, n)), plain_words(str_n(tight, n))))
            fail_msg("seed %u: %.*s", seed, (int)n, text);
        free(tight);
    }
}

/* Any bytes: no read beyond, and one of the words. */
static void bytes_at_random(void **state)
{
    static const char letters[] = "{}[]\":,= \\levlinfor_01e";

    (void)state;
    for (int round = 0; round < 50000; round++) {
        size_t n = (size_t)rand() % 60;
        char *tight = malloc(n ? n : 1);
        struct str got;

        for (size_t i = 0; i < n; i++)
            tight[i] = letters[(unsigned)rand() % (sizeof letters - 1)];
        if (n > 2 && rand() % 2) {
            tight[0] = '{';
            tight[n - 1] = '}';
        }
        got = level_of_line(str_n(tight, n));
        assert_true(str_eqz(got, "unknown") || level_word(got).p);
        free(tight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(words_and_fields),
        cmocka_unit_test(words_at_random),
        cmocka_unit_test(bytes_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
