/*
 * test_eval.c - properties of evaluation over random data: the answer does not depend on the number of threads, on
 * shared sample times, on whether a chain is fused or goes through vectors, nor on whether steps are asked for together
 * or one by one. And what stops a query.
 */
#include "query/promql/eval.c"

#include "tests/query/promql/fake_tsdb.c"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "query/vector/plain.h"
#include "query/vector/quantile.h"

enum { SERIES = 60, SAMPLES = 200, INTERVAL_MS = 15000 };

static struct world {
    struct query_engine *engine;
    struct script_db *db;
} world;

static void add_random_series(uint32_t k, const int64_t *shared)
{
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    struct arena a = {0};
    struct label ls[5] = {{STR("__name__"), k % 3 ? STR("c_total") : STR("g")},
                          {STR("i"), arena_printf(&a, "%u", k)},
                          {STR("job"), arena_printf(&a, "j%u", k % 4)},
                          {STR("le"), arena_printf(&a, "%g", k % 5 == 4 ? INFINITY : k % 5 * 0.5)},
                          {STR("zone"), k % 7 ? STR("z") : STR("")}};
    struct script_series s = {.labels = {ls, k % 7 ? 5 : 4}, .t = t, .v = v};
    double acc = 0;
    struct err e;

    for (uint32_t i = 0; i < SAMPLES; i++) {
        if (k % 6 == 5 && draw(5) == 0)
            continue;
        acc = draw(60) ? acc + (double)draw(100) : (double)draw(3);
        t[s.n] = shared[i] + (k % 6 == 5 ? (int64_t)draw(3000) : 0);
        v[s.n++] = draw(50) == 0 ? f64_from_bits(STALE_NAN_BITS) : k % 3 ? acc : (double)draw(2000) / 8 - 100;
    }
    assert_int_equal(script_db_add(world.db, &s, 1, &e), 0);
    arena_release(&a);
}

static int open_world(void **state)
{
    struct query_engine_opts o;
    int64_t shared[2][SAMPLES];

    (void)state;
    query_engine_opts_default(&o);
    o.threads = 4;
    world.engine = query_engine_new(&o);
    assert_int_equal(script_db_open(&world.db, NULL), 0);
    for (uint32_t i = 0; i < SAMPLES; i++)
        for (int k = 0; k < 2; k++)
            shared[k][i] = (int64_t)i * INTERVAL_MS + 1000 * k + (draw(20) ? 0 : (int64_t)draw(9));
    for (uint32_t k = 0; k < SERIES; k++)
        add_random_series(k, shared[k % 2]);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    script_db_close(world.db);
    query_engine_free(world.engine);
    return 0;
}

struct asked {
    struct query *q;
    struct promql_result r;
    struct err e;
    int code;
};

static bool fold;

static struct asked ask(const char *text, int64_t start, int64_t end, int64_t step, const struct query_limits *limits)
{
    struct promql_opts o = {.db = script_db_tsdb(world.db),
                            .start_ms = start,
                            .end_ms = end,
                            .step_ms = step,
                            .instant = step == 0,
                            .folded = fold,
                            .delayed_name_removal = true};
    struct asked x = {.q = query_begin(world.engine, "promql", str_of(text), limits)};

    x.code = promql_run(x.q, &o, &x.r, &x.e);
    return x;
}

static int by_series(const void *a, const void *b)
{
    return labels_cmp(&((const struct promql_series *)a)->labels, &((const struct promql_series *)b)->labels);
}

static void same_answer(const char *text, const char *what, struct asked *x, struct asked *y)
{
    if (x->code || y->code)
        fail_msg("%s (%s): %d %s, %d %s", text, what, x->code, x->e.text, y->code, y->e.text);
    if (x->r.nseries != y->r.nseries)
        fail_msg("%s (%s): %u and %u series", text, what, x->r.nseries, y->r.nseries);
    if (x->r.nseries)
        qsort(x->r.series, x->r.nseries, sizeof *x->r.series, by_series);
    if (y->r.nseries)
        qsort(y->r.series, y->r.nseries, sizeof *y->r.series, by_series);
    for (uint32_t i = 0; i < x->r.nseries; i++) {
        const struct promql_series *a = &x->r.series[i], *b = &y->r.series[i];

        if (!labels_eq(&a->labels, &b->labels) || a->npoints != b->npoints)
            fail_msg("%s (%s): series %u: %u and %u points", text, what, i, a->npoints, b->npoints);
        for (uint32_t k = 0; k < a->npoints; k++)
            if (a->points[k].t != b->points[k].t || !almost_equal(a->points[k].v, b->points[k].v, 1e-13))
                fail_msg("%s (%s): at %lld %.17g, at %lld %.17g", text, what, (long long)a->points[k].t, a->points[k].v,
                         (long long)b->points[k].t, b->points[k].v);
    }
    query_end(x->q);
    query_end(y->q);
}

static const char *const queries[] = {
    "c_total",
    "g",
    "-g",
    "g * 2 + 1",
    "g > 10",
    "10 < bool g",
    "clamp(g, -5, 5)",
    "round(g, 0.5)",
    "timestamp(g)",
    "rate(c_total[1m])",
    "increase(c_total[5m])",
    "delta(g[3m])",
    "irate(c_total[2m])",
    "deriv(g[4m])",
    "predict_linear(g[4m], 60)",
    "avg_over_time(g[10m])",
    "sum_over_time(g[2m] offset 1m)",
    "max_over_time(g[30m])",
    "quantile_over_time(0.3, g[5m])",
    "stddev_over_time(g[5m])",
    "changes(g[5m])",
    "resets(c_total[20m])",
    "increase(c_total[5m] anchored)",
    "rate(c_total[5m] smoothed)",
    "g smoothed",
    "sum(c_total)",
    "sum by (job) (rate(c_total[2m]))",
    "avg without (i, le) (g)",
    "count by (zone) ({__name__=~\".+\"})",
    "min by (job) (g)",
    "max by (job, zone) (g)",
    "stddev by (job) (g)",
    "stdvar(g)",
    "quantile by (job) (0.7, g)",
    "group by (le) (g)",
    "topk by (job) (2, g)",
    "bottomk(3, c_total)",
    "limitk by (job) (2, g)",
    "count_values(\"v\", count by (job) (g))",
    "limit_ratio(0.5, g)",
    "histogram_quantile(0.9, sum by (le) (rate(c_total[5m])))",
    "sum by (job) (c_total) / sum by (job) (g)",
    "g + on (i) g",
    "c_total * on (job) group_left sum by (job) (g)",
    "g and on (job) (g > 20)",
    "g unless on (i) (g > 20)",
    "c_total or g",
    "absent(g > 1000)",
    "absent_over_time(g[1m])",
    "sum_over_time(sum by (job) (rate(c_total[1m]))[5m:30s])",
    "max_over_time((g > 0)[3m:])",
    "g @ 600 + g",
    "scalar(sum(g)) + g",
    "vector(time())",
    "hour()",
    "label_replace(g, \"job\", \"x$1\", \"job\", \"j(.*)\")",
};

/* One part, and as many as the pool has threads; times shared or not. */
static void test_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        for (uint32_t parts = 2; parts <= 9; parts += 7) {
            struct asked x, y;

            fake_parts = 1;
            fake_share_times = true;
            x = ask(queries[i], 0, 2400000, 20000, NULL);
            fake_parts = parts;
            fake_share_times = parts == 2;
            y = ask(queries[i], 0, 2400000, 20000, NULL);
            same_answer(queries[i], "one part and more", &x, &y);
        }
    fake_parts = 0;
    fake_share_times = true;
}

/* Fused chains against the same through vectors: a label function in between changes nothing but the way. */
static void test_fusion(void **state)
{
    static const char *const chains[] = {"g",      "rate(c_total[2m])",   "g * 3", "-c_total",
                                         "abs(g)", "max_over_time(g[5m])"};
    static const char *const over[] = {"sum(%s)",
                                       "avg by (job) (%s)",
                                       "count without (le) (%s)",
                                       "max by (zone) (%s)",
                                       "stdvar by (job) (%s)",
                                       "quantile(0.4, %s)",
                                       "absent(%s)",
                                       "topk(3, %s)",
                                       "clamp_min(%s, 3)",
                                       "(%s) > 5"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chains); i++)
        for (size_t k = 0; k < ARRAY_LEN(over); k++) {
            struct arena a = {0};
            const char *inner = arena_printf(&a, "label_replace(%s, \"no\", \"\", \"no\", \"\")", chains[i]).p;
            char fused[512], unfused[512];
            struct asked x, y;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(fused, sizeof fused, over[k], chains[i]);
            snprintf(unfused, sizeof unfused, over[k], inner);
#pragma GCC diagnostic pop
            x = ask(fused, 60000, 2400000, 35000, NULL);
            y = ask(unfused, 60000, 2400000, 35000, NULL);
            same_answer(fused, "fused or not", &x, &y);
            arena_release(&a);
        }
}

/* All the fast ways at once against the obvious ones. */
static void test_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct asked x = ask(queries[i], 0, 2400000, 20000, NULL), y;

        vector_set_plain(true);
        y = ask(queries[i], 0, 2400000, 20000, NULL);
        vector_set_plain(false);
        same_answer(queries[i], "fast and plain", &x, &y);
    }
}

/* Points that are made late are the points. */
static void test_folded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct asked x = ask(queries[i], 0, 2400000, 20000, NULL), y;

        fold = true;
        y = ask(queries[i], 0, 2400000, 20000, NULL);
        fold = false;
        for (uint32_t k = 0; k < y.r.nseries; k++)
            promql_unfold(&y.r, &y.r.series[k], &y.q->arena);
        same_answer(queries[i], "folded or not", &x, &y);
    }
}

/* Every step of a range is what the instant query at that time says. */
static void test_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct asked all = ask(queries[i], 100000, 1900000, 90000, NULL);

        assert_int_equal(all.code, 0);
        for (int64_t t = 100000; t <= 1900000; t += 360000) {
            struct asked one = ask(queries[i], t, t, 0, NULL), same = all;
            struct promql_series *s = x_zalloc((all.r.nseries + 1) * sizeof *s);

            same.q = query_begin(world.engine, "promql", STR("x"), NULL);
            same.r.series = s;
            same.r.nseries = 0;
            for (uint32_t k = 0; k < all.r.nseries; k++)
                for (uint32_t p = 0; p < all.r.series[k].npoints; p++)
                    if (all.r.series[k].points[p].t == t)
                        s[same.r.nseries++] =
                            (struct promql_series){all.r.series[k].labels, &all.r.series[k].points[p], 1, NULL};
            same_answer(queries[i], "a step of a range", &one, &same);
            free(s);
        }
        query_end(all.q);
    }
}

/* --- what stops a query ----------------------------------------------------------------------- */

static void test_memory_limit(void **state)
{
    struct query_limits l = {.timeout_ms = 60000, .bytes_max = 100000};
    struct asked x = ask("rate(c_total[1m]) + rate(c_total[1m])", 0, 3000000, 1000, &l);

    (void)state;
    assert_int_equal(x.code, ERR_LIMIT);
    assert_non_null(strstr(x.e.text, "100000"));
    query_end(x.q);
}

static void test_sample_limit(void **state)
{
    struct query_limits l = {.timeout_ms = 60000, .samples_max = 50, .bytes_max = 1 << 28};
    struct asked x = ask("c_total", 0, 3000000, 1000, &l);

    (void)state;
    assert_int_equal(x.code, ERR_LIMIT);
    assert_non_null(strstr(x.e.text, "too many samples"));
    query_end(x.q);
}

static void test_series_limit(void **state)
{
    struct query_limits l = {.timeout_ms = 60000, .bytes_max = 1 << 28, .series_max = 10};
    struct asked x = ask("sum({__name__=~\".+\"})", 0, 0, 0, &l);

    (void)state;
    assert_int_equal(x.code, ERR_LIMIT);
    assert_non_null(strstr(x.e.text, "60"));
    query_end(x.q);
}

static bool gone(void *arg)
{
    (void)arg;
    return true;
}

static void test_canceled(void **state)
{
    struct promql_opts o = {.db = script_db_tsdb(world.db), .instant = true};
    struct query *q = query_begin(world.engine, "promql", STR("sum(c_total)"), NULL);
    struct promql_result r;
    struct err e = {0};

    (void)state;
    q->canceled = gone;
    assert_int_equal(promql_run(q, &o, &r, &e), ERR_CANCELED);
    query_end(q);
}

/* Nothing is kept but what lies in the query's arena. */
static void test_gives_memory_back(void **state)
{
    struct asked x = ask("sum by (job) (rate(c_total[5m])) / count by (job) (g)", 0, 3000000, 15000, NULL);
    uint64_t held;

    (void)state;
    assert_int_equal(x.code, 0);
    held = x.q->bytes;
    if (held > 256 * 1024)
        fail_msg("%llu bytes are still charged", (unsigned long long)held);
    query_end(x.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_fusion),
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_sample_limit), cmocka_unit_test(test_series_limit),
        cmocka_unit_test(test_canceled),     cmocka_unit_test(test_gives_memory_back),
    };

    rng_start();
    return cmocka_run_group_tests(tests, open_world, close_world);
}
