/* test_match_record.c - one record at a time: tails and deletes. */
#include "query/logql/match_record.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct label api[] = {{{"app", 3}, {"api", 3}}, {{"host", 4}, {"h1", 2}}}, web[] = {{{"app", 3}, {"web", 3}}};
static const struct labels stream_api = {api, 2}, stream_web = {web, 1};

static void records(void **state)
{
    static const struct label meta[] = {{{"level", 5}, {"warn", 4}}};
    struct arena a = {0};
    struct logql_matched out;
    struct logql_match *m;
    struct logql_tree t;
    struct err e;

    (void)state;
    assert_int_equal(logql_parse(&a, STR("{app=\"api\"} |= \"x\" | logfmt | level=\"warn\" | line_format \"{{.v}}!\""), &t, &e), 0);
    assert_int_equal(logql_match_new(&t, &m, &e), 0);
    assert_false(logql_match_record(m, &stream_web, 1, STR("x v=1"), meta, 1, NULL));
    assert_false(logql_match_record(m, &stream_api, 1, STR("x v=1"), NULL, 0, NULL));
    assert_false(logql_match_record(m, &stream_api, 1, STR("y v=1"), meta, 1, NULL));
    assert_true(logql_match_record(m, &stream_api, 1, STR("x v=1"), meta, 1, &out));
    assert_true(str_eqz(out.line, "1!"));
    assert_int_equal(out.labels.n, 4);
    assert_true(str_eqz(labels_get(&out.labels, STR("level")), "warn"));
    assert_true(str_eqz(labels_get(&out.labels, STR("v")), "1"));
    logql_match_free(m);
    logql_release(&t);

    assert_int_equal(logql_parse(&a, STR("rate({app=\"api\"}[5m])"), &t, &e), 0);
    assert_int_equal(logql_match_new(&t, &m, &e), ERR_INVALID);
    assert_int_equal(logql_check(&t, &e), 0);
    logql_release(&t);
    assert_int_equal(logql_parse(&a, STR("{app=\"api\"} | line_format \"{{\""), &t, &e), 0);
    assert_int_equal(logql_match_new(&t, &m, &e), ERR_INVALID);
    assert_int_equal(logql_check(&t, &e), ERR_INVALID);
    logql_release(&t);
    arena_release(&a);
}

static void deletes(void **state)
{
    struct log_delete_filter f = logql_delete_filter();
    struct arena a = {0};
    struct matcher *m;
    void *filter;
    uint32_t n;
    struct err e;

    (void)state;
    assert_int_equal(f.compile(f.arg, STR("{app=\"api\", host=~\"h.\"}"), &a, &m, &n, &filter, &e), 0);
    assert_null(filter);
    assert_int_equal(n, 2);
    assert_true(matchers_match(m, n, &stream_api) && !matchers_match(m, n, &stream_web));
    matcher_release(&m[0]);
    matcher_release(&m[1]);

    assert_int_equal(f.compile(f.arg, STR("{app=\"api\"} |= \"secret\" | json | user=\"u1\""), &a, &m, &n, &filter, &e), 0);
    assert_true(f.matches(filter, &stream_api, 5, STR("{\"user\":\"u1\",\"secret\":1}"), NULL, 0));
    assert_false(f.matches(filter, &stream_api, 5, STR("{\"user\":\"u2\",\"secret\":1}"), NULL, 0));
    assert_false(f.matches(filter, &stream_web, 5, STR("{\"user\":\"u1\",\"secret\":1}"), NULL, 0));
    f.release(filter);
    matcher_release(&m[0]);

    assert_int_equal(f.compile(f.arg, STR("{app=\"api\"} | line_format \"x\""), &a, &m, &n, &filter, &e), ERR_INVALID);
    assert_int_equal(f.compile(f.arg, STR("{app=\"api\""), &a, &m, &n, &filter, &e), ERR_INVALID);
    assert_int_equal(f.compile(f.arg, STR("rate({app=\"api\"}[5m])"), &a, &m, &n, &filter, &e), ERR_INVALID);
    f.release(NULL);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(records), cmocka_unit_test(deletes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
