/* test_regex.c - the cheap ways against RE2, facts against what really matches, Go's view of bad bytes, templates. */
#include "base/regex.c"
#include "base/clock.h"
#include "tests/base/prop.h"

static struct regex *make(const char *pattern, unsigned flags)
{
    struct regex *r = NULL;
    struct err e;

    if (regex_new(str_of(pattern), flags, &r, &e) < 0)
        fail_msg("%s: %s", pattern, e.text);
    return r;
}

static bool matches(const char *pattern, unsigned flags, const char *text)
{
    struct regex *r = make(pattern, flags);
    bool yes = regex_match(r, str_of(text));

    regex_free(r);
    return yes;
}

static void anchoring(void **state)
{
    (void)state;
    assert_true(matches("a|ab", REGEX_ANCHORED, "ab"));
    assert_false(matches("a", REGEX_ANCHORED, "xa"));
    assert_true(matches("a", 0, "xay"));
    assert_true(matches("a.b", REGEX_ANCHORED, "a\nb"));
    assert_false(matches("a.b", 0, "a\nb"));
    assert_true(matches("a.b", REGEX_DOTALL, "a\nb"));
    assert_true(matches("ABC", REGEX_ANCHORED | REGEX_NOCASE, "abc"));
    assert_true(matches("(?i)ABC", REGEX_ANCHORED, "abc"));
    assert_true(matches("^abc$", REGEX_ANCHORED, "abc"));
    assert_true(matches("", REGEX_ANCHORED, ""));
    assert_false(matches("", REGEX_ANCHORED, "x"));
    assert_true(matches("(?<year>\\d{4})-x", REGEX_ANCHORED, "2024-x"));
    assert_false(matches("a$|b", REGEX_ANCHORED, "a\n"));
}

static void refused(void **state)
{
    static const struct {
        const char *pattern, *words;
    } rows[] = {
        {"(abc", "error parsing regexp: missing closing ): `(abc`"},
        {"abc)", "error parsing regexp: unexpected ): `abc)`"},
        {"[a", "error parsing regexp: missing closing ]: `[a`"},
        {"a**", "error parsing regexp: invalid nested repetition operator: `**`"},
        {"*a", "error parsing regexp: missing argument to repetition operator: `*`"},
        {"a{2000}", "error parsing regexp: invalid repeat count: `{2000}`"},
        {"\\8", "error parsing regexp: invalid escape sequence: `\\8`"},
        {"\\C", "error parsing regexp: invalid escape sequence: `\\C`"},
        {"a\\", "error parsing regexp: trailing backslash at end of expression"},
        {"[b-a]", "error parsing regexp: invalid character class range: `b-a`"},
        {"(?=a)", NULL},
        {"\xff", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct regex *r = NULL;
        struct err e;

        if (regex_new(str_of(rows[i].pattern), REGEX_ANCHORED, &r, &e) != ERR_INVALID)
            fail_msg("%s taken", rows[i].pattern);
        assert_null(r);
        if (rows[i].words)
            assert_string_equal(e.text, rows[i].words);
    }
}

static void limits(void **state)
{
    size_t n = REGEX_BYTES_MAX + 1;
    char *big = malloc(n);
    struct regex *r = NULL;
    struct err e;

    (void)state;
    memset(big, 'a', n);
    assert_int_equal(regex_new(str_n(big, n), 0, &r, &e), ERR_LIMIT);
    assert_int_equal(regex_new(str_n(big, n - 1), 0, &r, &e), 0);
    regex_free(r);
    for (size_t i = 0; i < n - 1; i += 4)
        memcpy(big + i, "(a|b", 4); /* nests far too deep for a recursive reader */
    assert_true(regex_new(str_n(big, n - 1), REGEX_ANCHORED, &r, &e) < 0);
    free(big);
    assert_true(regex_new(STR("((((((((a{1,100}){1,100}){1,100}){1,100}){1,100}){1,100})))"), 0, &r, &e) < 0);
    r = make("((a?){20}){20}(a{20}){20}", REGEX_ANCHORED);
    assert_false(regex_match(r, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")));
    regex_free(r);
}

/* The time a program takes to make grows with its square where parts may be left out: 2 KB of this took over a minute. */
static void counted(void **state)
{
    struct regex *r = NULL;
    struct buf b = {0};
    struct err e;
    int64_t began_ns = clock_thread_cpu_ns();

    (void)state;
    for (int i = 0; i < 220; i++)
        buf_putz(&b, "a{1,1000}");
    assert_int_equal(regex_new(buf_str(&b), REGEX_ANCHORED, &r, &e), ERR_LIMIT);
    assert_string_equal(e.text, "error parsing regexp: expression too large");
    assert_true(clock_thread_cpu_ns() - began_ns < INT64_C(20000000000));
    buf_reset(&b);
    for (int i = 0; i < 9; i++)
        buf_putz(&b, ".{0,1000}x");
    buf_putz(&b, "[0-9]{2,3}");
    r = make(buf_z(&b), REGEX_ANCHORED);
    assert_true(regex_match(r, STR("xx--xxx some x text xx12x123")));
    assert_false(regex_match(r, STR("xx--xxx some x text xx12x1")));
    regex_free(r);
    buf_release(&b);
}

/* --- facts ------------------------------------------------------------------------------------------ */

static void set_is(const char *pattern, unsigned n, ...)
{
    struct regex *r = make(pattern, REGEX_ANCHORED);
    const struct regex_facts *f = regex_facts(r);
    va_list ap;

    va_start(ap, n);
    if (f->nset != n)
        fail_msg("%s: %u strings, not %u", pattern, f->nset, n);
    for (unsigned i = 0; i < n; i++) {
        const char *want = va_arg(ap, const char *);

        if (!str_eqz(f->set[i], want))
            fail_msg("%s: %.*s, not %s", pattern, STR_ARG(f->set[i]), want);
    }
    va_end(ap);
    regex_free(r);
}

static void prefix_is(const char *pattern, const char *prefix, bool then_any)
{
    struct regex *r = make(pattern, REGEX_ANCHORED);
    const struct regex_facts *f = regex_facts(r);

    if (!str_eqz(f->prefix, prefix) || f->prefix_then_any != then_any || f->nset)
        fail_msg("%s: prefix \"%.*s\", any %d, %u strings", pattern, STR_ARG(f->prefix), f->prefix_then_any, f->nset);
    regex_free(r);
}

static void facts(void **state)
{
    struct regex *r;

    (void)state;
    set_is("a|b|c", 3, "a", "b", "c");
    set_is("c|a|b|a", 3, "a", "b", "c");
    set_is("(?:a|b)c", 2, "ac", "bc");
    set_is("(a|b)c?", 4, "a", "ac", "b", "bc");
    set_is("foo", 1, "foo");
    set_is("", 1, "");
    set_is("|x", 2, "", "x");
    set_is("^foo$|^bar$", 2, "bar", "foo");
    set_is("a\\.b", 1, "a.b");
    set_is("[ab][0-2]", 6, "a0", "a1", "a2", "b0", "b1", "b2");
    set_is("h(o(s|g)t|en)", 3, "hen", "hogt", "host");
    set_is("x(?P<name>y|z)", 2, "xy", "xz");
    set_is("\xc3\xa9t\xc3\xa9", 1, "\xc3\xa9t\xc3\xa9");
    set_is("[\\]a]", 0);
    set_is("a{2}", 0);
    set_is("a{,2}", 1, "a{,2}");
    set_is("(?i)foo", 0);
    set_is("foo\xef\xbf\xbd", 0);
    prefix_is("foo.*", "foo", true);
    prefix_is("foo.+", "foo", false);
    prefix_is("foo(.*)", "foo", true);
    prefix_is("^foo.*$", "foo", true);
    prefix_is("foo\\d+", "foo", false);
    prefix_is("foo(bar.*|baz.+)", "fooba", false);
    prefix_is("foox*", "foo", false);
    prefix_is("(foo)+", "foo", false);
    prefix_is("foo.*bar", "foo", false);
    prefix_is("a.*|b.*", "", false);
    prefix_is(".*", "", true);
    r = make(".*", REGEX_ANCHORED);
    assert_true(regex_facts(r)->matches_any && regex_facts(r)->matches_empty);
    regex_free(r);
    r = make(".+", REGEX_ANCHORED);
    assert_true(!regex_facts(r)->matches_any && !regex_facts(r)->matches_empty);
    regex_free(r);
    r = make("(a|b)*", REGEX_ANCHORED);
    assert_true(regex_facts(r)->matches_empty);
    regex_free(r);
}

static void big_sets(void **state)
{
    struct buf b = {0};
    struct regex *r;

    (void)state;
    for (int i = 0; i < REGEX_SET_MAX; i++)
        buf_printf(&b, "%shost-%d:9100", i ? "|" : "", i);
    r = make(buf_z(&b), REGEX_ANCHORED);
    assert_int_equal(regex_facts(r)->nset, REGEX_SET_MAX);
    assert_true(str_eqz(regex_facts(r)->prefix, "host-"));
    assert_true(regex_match(r, STR("host-1023:9100")));
    assert_false(regex_match(r, STR("host-1024:9100")));
    regex_free(r);
    buf_putz(&b, "|more");
    r = make(buf_z(&b), REGEX_ANCHORED);
    assert_int_equal(regex_facts(r)->nset, 0);
    assert_true(regex_match(r, STR("more")));
    assert_true(regex_match(r, STR("host-77:9100")));
    regex_free(r);
    buf_release(&b);
}

/* A random pattern of the constructs the reader knows, and some it does not. */
static void put_pattern(struct rng *r, struct buf *b, int depth)
{
    static const char *const atoms[] = {
        "a",      "b",        "ab",  "\\.",  ".",    ".*",   ".+",     "[ab]",  "[^a]",        "[a-c]", "\\d",
        "x?",     "\xc3\xa9", "{",   "^",    "$",    "a{2}", "b*",     "c+?",   "[[:alpha:]]", "\\x61", "\\Qa.b\\E",
        "(?i:a)", "\\n",      ".*?", "[]a]", "[a-]", "\\b",  "a{1,2}", "[\\d]", "b??"};
    int parts = (int)rng_below(r, 4);

    for (int i = 0; i <= parts; i++) {
        uint32_t k = rng_below(r, 10);

        if (k == 0 && depth < 3) {
            buf_putz(b, rng_below(r, 2) ? "(" : "(?:");
            put_pattern(r, b, depth + 1);
            buf_putz(b, ")");
            if (rng_below(r, 3) == 0)
                buf_putc(b, "*+?"[rng_below(r, 3)]);
        } else if (k == 1) {
            buf_putc(b, '|');
        } else {
            buf_putz(b, atoms[rng_below(r, sizeof atoms / sizeof atoms[0])]);
        }
    }
}

static void put_text(struct rng *r, struct buf *b)
{
    static const char *const bits[] = {"a", "b", "c",  "ab",   ".",    "x", "\xc3\xa9",
                                       "1", "{", "\n", "\xff", "\xc3", "A", "\xef\xbf\xbd"};

    for (uint32_t n = rng_below(r, 6); n > 0; n--)
        buf_putz(b, bits[rng_below(r, sizeof bits / sizeof bits[0])]);
}

/* What RE2 says, without any of our short cuts. */
static bool oracle(const struct regex *r, struct str text)
{
    struct buf fixed = {0};
    bool yes;

    repair(text, &fixed);
    yes = re2_match(r->prog, fixed.n ? fixed.p : "", fixed.n, r->whole);
    buf_release(&fixed);
    return yes;
}

static void check_one(const struct regex *r, const char *pattern, struct str text)
{
    const struct regex_facts *f = regex_facts(r);
    bool yes = oracle(r, text), in = false;

    if (regex_match(r, text) != yes)
        fail_msg("/%s/ on \"%.*s\": RE2 says %d", pattern, STR_ARG(text), yes);
    if (!r->whole)
        return;
    for (uint32_t i = 0; i < f->nset; i++)
        in |= str_eq(f->set[i], text);
    if (f->nset && in != yes)
        fail_msg("/%s/ on \"%.*s\": set wrong", pattern, STR_ARG(text));
    if (yes && !str_starts(text, f->prefix))
        fail_msg("/%s/ on \"%.*s\": prefix wrong", pattern, STR_ARG(text));
    if (f->prefix_then_any && str_starts(text, f->prefix) != yes)
        fail_msg("/%s/ on \"%.*s\": prefix_then_any wrong", pattern, STR_ARG(text));
    if (f->matches_any && !yes)
        fail_msg("/%s/ on \"%.*s\": matches_any wrong", pattern, STR_ARG(text));
    if (text.n == 0 && f->matches_empty != yes)
        fail_msg("/%s/: matches_empty wrong", pattern);
}

static void facts_against_re2(void **state)
{
    struct rng rng = rng_new("facts");
    struct buf pattern = {0}, text = {0};
    unsigned known = 0, compiled = 0;

    (void)state;
    for (int i = 0; i < 30000; i++) {
        unsigned flags = rng_below(&rng, 4) ? REGEX_ANCHORED : rng_below(&rng, 2) ? REGEX_DOTALL : 0;
        struct regex *r = NULL;

        buf_reset(&pattern);
        put_pattern(&rng, &pattern, 0);
        if (regex_new(buf_str(&pattern), flags, &r, NULL) < 0)
            continue;
        compiled++;
        known += r->way != BY_RE2;
        check_one(r, buf_z(&pattern), STR(""));
        for (uint32_t k = 0; r->whole && k < r->facts.nset; k++)
            check_one(r, buf_z(&pattern), r->facts.set[k]);
        for (int k = 0; k < 30; k++) {
            buf_reset(&text);
            put_text(&rng, &text);
            check_one(r, buf_z(&pattern), buf_str(&text));
        }
        regex_free(r);
    }
    printf("%u patterns, %u answered without RE2\n", compiled, known);
    assert_true(compiled > 5000 && known > 500);
    buf_release(&pattern);
    buf_release(&text);
}

/* --- groups ----------------------------------------------------------------------------------------- */

static void groups(void **state)
{
    struct regex *r = make("(a+)(b)?(?P<rest>.*)", 0);
    struct str g[6], bad = STR("x\xff"
                               "aa\xfe"
                               "z");

    (void)state;
    assert_int_equal(regex_ngroups(r), 4);
    assert_true(str_eqz(regex_group_name(r, 3), "rest"));
    assert_true(str_eqz(regex_group_name(r, 1), ""));
    assert_true(regex_groups(r, STR("xxaac"), 0, g, 6));
    assert_true(str_eqz(g[0], "aac") && str_eqz(g[1], "aa") && !g[2].p && str_eqz(g[3], "c") && !g[4].p);
    assert_false(regex_groups(r, STR("aab"), 3, g, 4));
    assert_true(regex_groups(r, STR("aab"), 1, g, 4));
    assert_true(str_eqz(g[0], "ab"));
    assert_true(regex_groups(r, bad, 0, g, 4));
    assert_true(g[1].p == bad.p + 2 && g[1].n == 2);
    assert_true(g[3].p == bad.p + 4 && g[3].n == 2);
    regex_free(r);
    r = make("(x?)", REGEX_ANCHORED);
    assert_true(regex_groups(r, STR_NULL, 0, g, 2));
    assert_true(g[1].p && g[1].n == 0);
    regex_free(r);
}

static void templates(void **state)
{
    static const struct {
        const char *templ, *want;
    } rows[] = {{"$1", "one"},
                {"${1}x", "onex"},
                {"$1x", ""},
                {"$name-$2", "two-two"},
                {"$$1", "$1"},
                {"${name}", "two"},
                {"a$", "a$"},
                {"${1", "${1"},
                {"$9", ""},
                {"$0", "one two"},
                {"no dollars", "no dollars"},
                {"$(1)", "$(1)"},
                {"$1:$2", "one:two"},
                {"", ""},
                {"$1\xe2\x86\x92$2", "one\xe2\x86\x92two"}};
    struct regex *r = make("(\\w+) (?P<name>\\w+)", REGEX_ANCHORED);
    struct buf b = {0};
    struct str g[3];

    (void)state;
    assert_true(regex_groups(r, STR("one two"), 0, g, 3));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_reset(&b);
        regex_expand(r, str_of(rows[i].templ), g, 3, &b);
        assert_string_equal(buf_z(&b), rows[i].want);
    }
    regex_free(r);
    r = make("(?P<n>a)|(?P<n>b)", REGEX_ANCHORED); /* a name may stand twice: the one that took part */
    assert_true(regex_groups(r, STR("b"), 0, g, 3));
    buf_reset(&b);
    regex_expand(r, STR("<$n>"), g, 3, &b);
    assert_string_equal(buf_z(&b), "<b>");
    buf_release(&b);
    regex_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchoring), cmocka_unit_test(refused),   cmocka_unit_test(limits),
        cmocka_unit_test(counted),
        cmocka_unit_test(facts),     cmocka_unit_test(big_sets),  cmocka_unit_test(facts_against_re2),
        cmocka_unit_test(groups),    cmocka_unit_test(templates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
