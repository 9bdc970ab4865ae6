/* test_search_match.c - scores against those of Prometheus 3.14, and who fits. */
#include "query/api/search_match.c"

#include "tests/query/promql/test_promql.h"

static const struct {
    const char *term, *value;
    double sequence, near;
} golden[] = {
    {"htp", "http_requests_total", 0.5053421052631579, 0.775438596491228},
    {"reqtot", "http_requests_total", 0.3709736842105264, 0.5321637426900584},
    {"aab", "xaaxaab", 0.9355714285714286, 0.6507936507936508},
    {"été", "l'été_à_la_mer", 0.9474642857142858, 0.7380952380952381},
    {"e", "été", 0, 0},
    {"cpu", "node_cpu_seconds_total", 0.9384545454545455, 0.712121212121212},
    {"zz", "az", 0, 0.6666666666666666},
    {"total", "total", 1, 1},
    {"http_requests", "htpp_request", 0, 0.9367521367521368},
    {"mémoire", "memoire", 0, 0.9142857142857143},
    {"martha", "marhta", 0, 0.9611111111111111},
    {"a", "ab", 0.74925, 0.8500000000000001},
    {"dwayne", "duane", 0, 0.8400000000000001},
};

static void scores_are_those_of_prometheus(void **state)
{
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
        struct runes term = runes_of(&a, str_of(golden[i].term), false),
                     value = runes_of(&a, str_of(golden[i].value), false);
        double sequence = sequence_score(value, term), near = near_score(&a, term, value);

        if (sequence != golden[i].sequence || near != golden[i].near)
            fail_msg("%s in %s: %.17g %.17g, Prometheus %.17g %.17g", golden[i].term, golden[i].value, sequence, near,
                     golden[i].sequence, golden[i].near);
    }
    arena_release(&a);
}

static double fit(struct search *s, const char *value)
{
    struct arena scratch = {0};
    double score;
    bool fits = search_fits(s, &scratch, str_of(value), &score);

    arena_release(&scratch);
    return fits ? score : -1;
}

static void near(double got, double want)
{
    if (!(fabs(got - want) < 1e-12))
        fail_msg("%.17g, not %.17g", got, want);
}

static void terms_are_alternatives(void **state)
{
    struct arena a = {0};
    struct search s = {0};

    (void)state;
    near(fit(&s, "anything"), 1);
    search_add(&s, &a, STR(""));
    assert_int_equal(s.nterms, 0);
    search_add(&s, &a, STR("cpu"));
    near(fit(&s, "node_cpu_seconds_total"), 0.9384545454545455);
    near(fit(&s, "cpu_seconds"), 1);
    near(fit(&s, "node_CPU"), -1);
    near(fit(&s, "memory"), -1);
    search_add(&s, &a, STR("mem"));
    near(fit(&s, "memory"), 1);
    s.threshold = 0.95;
    near(fit(&s, "node_cpu_seconds_total"), -1);
    arena_release(&a);
}

static void case_folds_in_any_alphabet(void **state)
{
    struct arena a = {0};
    struct search s = {.fold = true};

    (void)state;
    search_add(&s, &a, STR("ÉTÉ"));
    near(fit(&s, "été_Total"), 1);
    arena_release(&a);
}

static void a_part_counts_by_its_place(void **state)
{
    struct arena a = {0};
    struct search s = {.jaro_winkler = true};

    (void)state;
    search_add(&s, &a, STR("total"));
    near(fit(&s, "total_things"), 1);
    near(fit(&s, "things_total"), 1 - 0.9);
    near(fit(&s, "a_total_b"), 1 - 0.9 * 2 / 4);
    near(fit(&s, "totla"), -1);
    s.threshold = 0.9;
    near(fit(&s, "totla"), 0.95333333333333337);
    near(fit(&s, "x"), -1);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_prometheus),
        cmocka_unit_test(terms_are_alternatives),
        cmocka_unit_test(case_folds_in_any_alphabet),
        cmocka_unit_test(a_part_counts_by_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
