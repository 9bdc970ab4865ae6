/* test_regex_need.c - what is said of a pattern holds for every text: its need is in all that match, a part that matches is enough. */
#include "query/logql/regex_need.c"

#include "base/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;

static uint64_t below(uint64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % n;
}

static void said(void **state)
{
    static const struct {
        const char *pattern, *need;
        bool within;
    } cases[] = {
        {"[a-z]rror", "rror", true},     {"error|warn", "", true},      {"^error", "error", false},    {"error$", "error", false},
        {"\\Aa", "a", false},            {"a\\z", "a", false},          {"\\bfoo\\b", "foo", false},   {"x\\By", "x", false},
        {"[^a]bc", "bc", true},          {"\\[^a", "[", false},         {"[a^]b", "b", false},         {"a[$]b", "a", false},
        {"\\$5", "$5", true},            {"\\^x", "^x", true},          {"\\\\Ax", "\\Ax", true},      {"\\\\\\Ax", "\\", false},
        {"\\Qa$\\E", "", false},         {"(?i)error", "", true},       {"(?m)^a", "", false},         {"a.*bcd", "bcd", true},
        {"[[^]b]c", "b]c", true},          {"", "", true},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str p = str_of(cases[i].pattern), need = lq_regex_need(&a, p);

        if (!str_eqz(need, cases[i].need) && need.n)
            fail_msg("%s needs '%.*s'", cases[i].pattern, STR_ARG(need));
        if (lq_regex_within(p) != cases[i].within)
            fail_msg("%s: within", cases[i].pattern);
    }
    arena_release(&a);
}

static bool has_fold(struct str text, struct str fold)
{
    for (size_t i = 0; i + fold.n <= text.n; i++) {
        size_t k = 0;

        while (k < fold.n && (text.p[i + k] == fold.p[k] || (text.p[i + k] >= 'A' && text.p[i + k] <= 'Z' && text.p[i + k] + 0x20 == fold.p[k])))
            k++;
        if (k == fold.n)
            return true;
    }
    return false;
}

static void folds(void **state)
{
    static const struct {
        const char *pattern, *fold;
    } cases[] = {{"(?i)Error", "error"}, {"(?i)HikariPool", "aripool"}, {"(?i)a|b", ""}, {"error", ""}, {"(?i)x.*TIMEOUT", "timeout"}, {"(?i)(error)", ""}, {"(?i)disk", "di"}};
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (!str_eqz(lq_regex_fold(&a, str_of(cases[i].pattern)), cases[i].fold))
            fail_msg("%s", cases[i].pattern);
    arena_release(&a);
}

static void put_pattern(struct buf *b)
{
    static const char *const pieces[] = {"a",    "b",     "ab",   ".",     "[ab]", "[^a]",  "\\n", "(a|b)", "(?:ab)?", "a*",   "b+",  "^",    "$",   "\\A",
                                         "\\z",  "\\b",   "\\B",  "|",     "é",    "\\$",   "\\^", "x{2}",  "[$^]",    "(?i)", "(?m)", "(?s)", "\\Qa^\\E",
                                         "k",    "s",     "AB",   "\\\\", "[[^]a]", "\\[^", "(?-s)", "\\x00", "[\\]^]", "\\pL"};

    if (below(4) == 0)
        buf_putz(b, "(?i)");
    for (uint64_t n = 1 + below(6); n > 0; n--)
        buf_putz(b, pieces[below(ARRAY_LEN(pieces))]);
}

static void put_text(struct buf *b)
{
    static const struct str pieces[] = {{"a", 1}, {"b", 1}, {"ab", 2}, {"A", 1}, {"x", 1}, {"xx", 2}, {"\n", 1}, {"é", 2}, {"\xc3", 1},
                                        {"\xff", 1}, {"\0", 1}, {"$", 1}, {"^", 1}, {"\\", 1}, {" ", 1}, {"a^", 2}, {"[", 1}, {"\xa9", 1},
                                        {"k", 1}, {"S", 1}, {"\xe2\x84\xaa", 3}, {"\xc5\xbf", 2}, {"aB", 2}};

    for (uint64_t n = below(9); n > 0; n--) {
        struct str s = pieces[below(ARRAY_LEN(pieces))];

        buf_put(b, s.p, s.n);
    }
}

static void holds_for_random_texts(void **state)
{
    unsigned rounds = getenv("TRIPOD_LONG") ? 200000 : 8000, good = 0, parts = 0;
    struct buf pattern = {0}, text = {0};
    struct arena a = {0};

    (void)state;
    seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < rounds; i++) {
        struct regex *re;
        struct err e;

        buf_reset(&pattern);
        put_pattern(&pattern);
        if (regex_new(buf_str(&pattern), REGEX_DOTALL, &re, &e) < 0)
            continue;
        good++;
        struct str need = lq_regex_need(&a, buf_str(&pattern));
        struct str fold = lq_regex_fold(&a, buf_str(&pattern));
        bool within = lq_regex_within(buf_str(&pattern));
        for (unsigned k = 0; k < 20; k++) {
            buf_reset(&text);
            put_text(&text);
            struct str whole = buf_str(&text);
            size_t from = below(whole.n + 1);
            struct str part = str_n(whole.p + from, below(whole.n - from + 1));
            bool matches = regex_match(re, whole);

            if (matches && str_find(whole, need) < 0)
                fail_msg("%.*s needs '%.*s'", STR_ARG(buf_str(&pattern)), STR_ARG(need));
            if (matches && !has_fold(whole, fold))
                fail_msg("%.*s has '%.*s' in either case", STR_ARG(buf_str(&pattern)), STR_ARG(fold));
            if (!within || !utf8_valid(part) || !regex_match(re, part))
                continue;
            parts++;
            if (!matches)
                fail_msg("%.*s matches a part only: '%.*s'", STR_ARG(buf_str(&pattern)), STR_ARG(whole));
        }
        regex_free(re);
        arena_reset(&a);
    }
    assert_true(good > rounds / 4 && parts > rounds);
    buf_release(&pattern);
    buf_release(&text);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(said),
        cmocka_unit_test(folds),
        cmocka_unit_test(holds_for_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
