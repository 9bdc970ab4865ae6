/*
 * test_foreign.c - logs(...) and spans(...) over a source of our own: what it is asked, what comes of its rows, and what is
 * said where there is none.
 */
#include "query/promql/fn_foreign.c"

#include "query/promql/print.h"
#include "tests/query/promql/fake_tsdb.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static struct query_engine *engine;
static struct script_db *db;
static struct {
    char text[256];
    int64_t start_ms, step_ms;
    uint32_t nsteps, calls;
} asked;

/* Texts that begin with "bad" are none. */
static int check(void *arg, struct str text, struct err *e)
{
    (void)arg;
    return str_starts(text, STR("bad")) ? err_set(e, ERR_INVALID, "no log query: %.*s", STR_ARG(text)) : 0;
}

/* Two series, {job="a"} = step number and {job="b"} = 10 at every other step; "fail" fails, "twice" says the same twice. */
static int run(void *arg, struct query *q, struct str text, const struct promql_foreign_call *c, struct err *e)
{
    struct label la = {STR("job"), STR("a")}, lb = {STR("job"), STR("b")};
    struct labels a = {&la, 1}, b = {&lb, 1};
    double *v = arena_array(&q->arena, double, c->nsteps), *w = arena_array(&q->arena, double, c->nsteps);
    uint8_t *all = arena_zalloc(&q->arena, c->nsteps), *half = arena_zalloc(&q->arena, c->nsteps);

    assert_ptr_equal(arg, &asked);
    snprintf(asked.text, sizeof asked.text, "%.*s", STR_ARG(text));
    asked.start_ms = c->start_ms;
    asked.step_ms = c->step_ms;
    asked.nsteps = c->nsteps;
    asked.calls++;
    if (str_eqz(text, "fail"))
        return err_set(e, ERR_EXEC, "the store is on fire");
    for (uint32_t i = 0; i < c->nsteps; i++) {
        v[i] = i;
        w[i] = 10;
        all[i] = 1;
        half[i] = i % 2 == 0;
    }
    if (c->row(c->arg, &a, v, all, e) < 0 || c->row(c->arg, str_eqz(text, "twice") ? &a : &b, w, half, e) < 0)
        return e->code;
    return 0;
}

static int open_world(void **state)
{
    const struct promql_foreign_source s = {check, run, &asked};
    struct query_engine_opts o;

    (void)state;
    query_engine_opts_default(&o);
    engine = query_engine_new(&o);
    promql_foreign_register(PROMQL_LOGS, &s);
    return script_db_open(&db, NULL);
}

static int close_world(void **state)
{
    (void)state;
    promql_foreign_register(PROMQL_LOGS, NULL);
    query_engine_free(engine);
    script_db_close(db);
    return 0;
}

/* The sum of all points over steps 0..n-1 of 1 s, or -1 and the error. */
static double answer(const char *text, uint32_t n, struct err *e)
{
    struct promql_opts o = {.db = script_db_tsdb(db), .end_ms = (int64_t)(n - 1) * 1000, .step_ms = 1000};
    struct query *q = query_begin(engine, "promql", str_of(text), NULL);
    struct promql_result r;
    double sum = 0;

    e->text[0] = 0;
    if (promql_run(q, &o, &r, e) < 0)
        sum = -1;
    for (uint32_t i = 0; sum >= 0 && i < r.nseries; i++)
        for (uint32_t k = 0; k < r.series[i].npoints; k++)
            sum += r.series[i].points[k].v;
    query_end(q);
    return sum;
}

static void test_rows(void **state)
{
    struct err e;

    (void)state;
    assert_true(answer("logs({a=\"b\"})", 4, &e) == 0 + 1 + 2 + 3 + 10 + 10);
    assert_string_equal(asked.text, "{a=\"b\"}");
    assert_int_equal(asked.nsteps, 4);
    assert_int_equal(asked.step_ms, 1000);
    assert_true(answer("sum(logs(x)) + 1", 4, &e) == 6 + 20 + 4);
    assert_true(answer("logs(x) - on (job) logs(\"y\") + 2", 4, &e) == 2 * (4 + 2));
}

static void test_where_it_may_stand(void **state)
{
    struct err e;

    (void)state;
    assert_true(answer("max_over_time(logs(x)[2s:1s])", 2, &e) >= 0);
    assert_int_equal(asked.start_ms, -1000);
    assert_true(answer("topk(1, logs(x)) and on () vector(1)", 3, &e) >= 0);
    assert_true(answer("label_replace(logs(x), \"j\", \"$1\", \"job\", \"(.*)\")", 3, &e) >= 0);
    asked.calls = 0;
    assert_true(answer("logs(x) * 2 + logs(x)", 100, &e) >= 0);
    assert_int_equal(asked.calls, 2); /* for all steps at once */
    answer("logs(x) offset 1m", 3, &e);
    assert_non_null(strstr(e.text, "parse error"));
}

/* Text between the brackets, as it is and as a string. */
static void test_text(void **state)
{
    static const char *const cases[][2] = {
        {"logs(sum by (a) (rate({x=\"(\"} |= `)` [5m])))", "sum by (a) (rate({x=\"(\"} |= `)` [5m]))"},
        {"logs( x # ) no\n + y )", "x # ) no\n + y"},
        {"logs(\"x \\\" )\")", "x \" )"},
        {"logs(`x`)", "x"},
        {"logs((\"x\"))", "(\"x\")"},
        {"(logs(a)) + (logs(b\\))", "b\\"},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a = {0};
        struct buf once = {0}, twice = {0};
        struct node *n;

        if (answer(cases[i][0], 1, &e) < 0)
            fail_msg("%s: %s", cases[i][0], e.text);
        assert_string_equal(asked.text, cases[i][1]);
        assert_int_equal(promql_parse(&a, str_of(cases[i][0]), &n, NULL, NULL, &e), 0);
        promql_print(&once, n);
        promql_release(n);
        assert_int_equal(promql_parse(&a, buf_str(&once), &n, NULL, NULL, &e), 0);
        promql_print(&twice, n);
        promql_release(n);
        assert_true(str_eq(buf_str(&once), buf_str(&twice)));
        buf_release(&once);
        buf_release(&twice);
        arena_release(&a);
    }
}

static void test_faults(void **state)
{
    struct err e;

    (void)state;
    answer("1 + logs(bad thing)", 1, &e);
    assert_string_equal(e.text, "1:10: parse error: no log query: bad thing");
    answer("logs(fail)", 1, &e);
    assert_string_equal(e.text, "logs(...): the store is on fire");
    answer("logs(twice)", 1, &e);
    assert_string_equal(e.text, "vector cannot contain metrics with the same labelset");
    answer("sum(spans({}))", 1, &e);
    assert_string_equal(e.text, "spans(...) asks a trace store, and this server has none");
    answer("logs()", 1, &e);
    assert_non_null(strstr(e.text, "expected 1 argument(s) in call to \"logs\", got 0"));
    answer("logs(a", 1, &e);
    assert_non_null(strstr(e.text, "parse error"));
    answer("logs(\"a\", 1)", 1, &e);
    assert_non_null(strstr(e.text, "parse error"));
    assert_true(answer("logs{} or spans", 1, &e) == 0); /* metrics of that name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_where_it_may_stand),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
