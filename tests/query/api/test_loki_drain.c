/* Tests of the pattern miner: patterns match their lines, counts add up, memory stays bounded. */
#include "query/api/loki/drain.c"

#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* As |> understands a pattern: literals in order, the first and last where they stand if no hole is before or behind. */
static bool pattern_matches(struct str p, struct str line)
{
    bool hole = false;

    while (p.n) {
        ptrdiff_t at = str_find(p, STR("<_>"));
        struct str lit = at < 0 ? p : str_head(p, (size_t)at);
        bool last = at < 0;

        if (lit.n && last && hole)
            return str_ends(line, lit);
        if (lit.n) {
            ptrdiff_t found = str_find(line, lit);

            if (found < 0 || (!hole && found != 0))
                return false;
            line = str_from(line, (size_t)found + lit.n);
        }
        if (last)
            return line.n == 0 || hole;
        p = str_from(p, (size_t)at + 3);
        hole = true;
    }
    return line.n == 0 || hole;
}

static struct drain *fresh(uint32_t patterns_max)
{
    struct drain_opts o;

    drain_opts_default(&o);
    o.patterns_max = patterns_max;
    return drain_new(&o);
}

static void expect_one(const char *const *lines, size_t n, const char *want)
{
    struct drain *d = fresh(300);
    struct drain_pattern *v;
    struct arena a = {0};
    uint32_t np;

    for (size_t i = 0; i < n; i++)
        drain_add(d, str_of(lines[i]), STR(""), 0, 1);
    np = drain_patterns(d, &a, &v);
    assert_int_equal(np, 1);
    assert_string_equal(arena_dup(&a, v[0].text).p, want);
    assert_int_equal(v[0].total, n);
    for (size_t i = 0; i < n; i++)
        assert_true(pattern_matches(v[0].text, str_of(lines[i])));
    arena_release(&a);
    drain_free(d);
}

static void test_shapes(void **state)
{
    static const char *const requests[] = {"GET /api/users 200 12ms", "GET /api/users 500 3ms", "GET /api/users 404 118ms"};
    static const char *const names[] = {"user alice logged in from home", "user bob logged in from work"};
    static const char *const logfmt[] = {"level=info msg=\"sent mail\" to=a@x.de took=12ms", "level=info msg=\"sent mail\" to=b@y.de took=7ms"};
    static const char *const json[] = {"{\"ts\":1,\"msg\":\"order 17 shipped\",\"x\":\"a\"}", "{\"ts\":2,\"level\":\"info\",\"msg\":\"order 18 shipped\"}"};

    (void)state;
    expect_one(requests, 3, "GET /api/users <_> <_>");
    expect_one(names, 2, "user <_> logged in from <_>");
    expect_one(logfmt, 2, "level=info msg=\"sent mail\" to=<_> took=<_>");
    expect_one(json, 2, "<_>order <_> shipped<_>");
}

static void test_apart(void **state)
{
    struct drain *d = fresh(300);
    struct drain_pattern *v;
    struct arena a = {0};

    (void)state;
    drain_add(d, STR("connection refused by peer"), STR("error"), 3, 1);
    drain_add(d, STR("cache warmed up again"), STR("info"), 3, 1);
    drain_add(d, STR("cache warmed up again"), STR("info"), 5, 1);
    drain_add(d, STR("cache warmed up again"), STR("warn"), 5, 10);
    drain_add(d, STR(""), STR("info"), 5, 1);
    assert_int_equal(drain_patterns(d, &a, &v), 3);
    assert_string_equal(v[0].level.p ? arena_dup(&a, v[0].level).p : "", "warn");
    assert_int_equal(v[0].total, 10);
    assert_int_equal(v[1].ncounts, 2);
    assert_int_equal(v[1].counts[0].bucket, 3);
    assert_int_equal(v[1].counts[1].bucket, 5);
    assert_string_equal(arena_dup(&a, v[2].text).p, "connection refused by peer");
    arena_release(&a);
    drain_free(d);
}

/* Random lines of few words: every line matches a pattern that counts it, and the counts add up. */
static void test_random(void **state)
{
    static const char *const words[] = {"GET", "POST", "=", "\"", " ", "  ", "<_>", "<a>", "id", "17", "a1b2", "\t", "{", "}", "x", "\xff", "<", "user"};
    struct drain *d = fresh(100000);
    struct drain_pattern *v;
    struct arena a = {0};
    static char lines[2000][200];
    uint64_t total = 0;
    uint32_t n;
    int want = 0;

    (void)state;
    rng_start();
    for (int i = 0; i < 2000; i++) {
        unsigned len = (unsigned)(draw(8));

        lines[i][0] = '\0';
        for (unsigned w = 0; w < len; w++)
            strcat(lines[i], words[draw(ARRAY_LEN(words))]);
        drain_add(d, str_of(lines[i]), draw(2) ? STR("info") : STR(""), (int64_t)(draw(20)), 1);
        want += lines[i][0] != '\0';
    }
    n = drain_patterns(d, &a, &v);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t sum = 0;

        total += v[i].total;
        for (uint32_t k = 0; k < v[i].ncounts; k++) {
            sum += v[i].counts[k].n;
            assert_true(k == 0 || v[i].counts[k].bucket > v[i].counts[k - 1].bucket);
        }
        assert_int_equal(sum, v[i].total);
    }
    assert_int_equal(total, want);
    for (int i = 0; i < 2000; i++) {
        bool any = false;

        for (uint32_t k = 0; k < n && !any; k++)
            any = pattern_matches(v[k].text, str_of(lines[i]));
        if (!any && lines[i][0])
            fail_msg("no pattern matches \"%s\"", lines[i]);
    }
    arena_release(&a);
    drain_free(d);
}

/* Lines that are all different in shape do not fill the memory; long ones are cut. */
static void test_bounds(void **state)
{
    struct drain *d = fresh(50);
    struct drain_pattern *v;
    struct arena a = {0};
    struct buf b = {0};
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        buf_reset(&b);
        for (int k = 0; k < i % 300; k++)
            buf_printf(&b, "%c%c ", 'a' + i % 26, 'a' + (i / 26 + k) % 26);
        drain_add(d, buf_str(&b), STR(""), i, 1);
        most = MAX(most, drain_bytes(d));
    }
    assert_true(d->npatterns <= 50);
    assert_true(most < 2 << 20);
    buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        buf_putz(&b, "abcdefgh ");
    drain_add(d, buf_str(&b), STR(""), 0, 1);
    drain_patterns(d, &a, &v);
    arena_release(&a);
    buf_release(&b);
    drain_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_apart), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_bounds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
