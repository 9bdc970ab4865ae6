/*
 * test_aggregate.c - groups against plain loops; parts that are merged against one that saw all; AVX2 against plain
 * additions.
 */
#include "query/vector/aggregate.c"

#include "query/vector/add_rows.c"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 40, STEPS = 37 };

struct data {
    double v[ROWS][STEPS];
    uint8_t has[ROWS][STEPS];
};

static void make_data(struct data *d, bool hard)
{
    for (int i = 0; i < ROWS; i++)
        for (int s = 0; s < STEPS; s++) {
            d->has[i][s] = draw(5) != 0;
            d->v[i][s] = hard ? draw_value() : (double)draw(100000) / 7 - 5000;
        }
}

static void test_avx_is_plain(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        double s[2][STEPS] = {{0}}, c[2][STEPS] = {{0}};
        static struct data d;

        make_data(&d, round % 2);
        for (int i = 0; i < ROWS; i++) {
            add_plain(s[0], c[0], d.v[i], d.has[i], 0, STEPS);
            add_rows(s[1], c[1], d.v[i], d.has[i], STEPS);
        }
        for (int k = 0; k < STEPS; k++) {
            bool nan = isnan(s[0][k]) && isnan(s[1][k]);

            if (!nan && (f64_bits(s[0][k]) != f64_bits(s[1][k]) ||
                         (f64_bits(c[0][k]) != f64_bits(c[1][k]) && c[0][k] != c[1][k])))
                fail_msg("step %d: %a + %a, with AVX2 %a + %a", k, s[0][k], c[0][k], s[1][k], c[1][k]);
        }
    }
}

/* The rows of [from, to) in one group; the group's row. */
static struct aggr_group *fill(struct aggr *a, const struct data *d, int from, int to, struct pile *p)
{
    struct aggr_group *g = aggr_group_new(a, p, NULL);

    for (int i = from; i < to; i++) {
        struct row r = {.v = (double *)d->v[i], .has = (uint8_t *)d->has[i]};

        assert_int_equal(aggr_add(a, g, &r, p, NULL), 0);
    }
    return g;
}

static bool close_to(double a, double b)
{
    return almost_equal(a, b, 1e-13) || (isnan(a) && isnan(b));
}

static void test_parts_agree(void **state)
{
    static struct data d;

    (void)state;
    for (int round = 0; round < 300; round++)
        for (int op = AGGR_SUM; op <= AGGR_QUANTILE; op++) {
            double q[STEPS];
            struct aggr a = {.op = (enum aggr_op)op, .nsteps = STEPS, .quantile = q, .where = "test"};
            struct aggr_group *whole, *left, *right;
            struct pile p = {0};
            struct vec v;
            int cut = (int)draw(ROWS + 1);

            make_data(&d, round % 3 == 0 && op != AGGR_STDDEV && op != AGGR_STDVAR);
            for (int s = 0; s < STEPS; s++)
                q[s] = draw_unit();
            vec_init(&v, NULL, STEPS);
            whole = fill(&a, &d, 0, ROWS, &p);
            left = fill(&a, &d, 0, cut, &p);
            right = fill(&a, &d, cut, ROWS, &p);
            assert_int_equal(aggr_merge(&a, left, right, &p, NULL), 0);
            assert_int_equal(aggr_finish(&a, whole, &v, vec_add(&v, "test", NULL), NULL), 0);
            assert_int_equal(aggr_finish(&a, left, &v, vec_add(&v, "test", NULL), NULL), 0);
            for (int s = 0; s < STEPS; s++) {
                const struct row *x = &v.rows[0], *y = &v.rows[1];

                /* Where huge values meet, which sum overflows first depends on the order. */
                if (x->has[s] != y->has[s] || (x->has[s] && !close_to(x->v[s], y->v[s]) && round % 3 != 0))
                    fail_msg("op %d step %d cut at %d: %u %.17g, merged %u %.17g", op, s, cut, x->has[s], x->v[s],
                             y->has[s], y->v[s]);
            }
            vec_release(&v);
            pile_release(&p);
        }
}

static double plain(enum aggr_op op, const struct data *d, int s, double q, bool *is)
{
    double v[ROWS], sum = 0, mean, var = 0, min = INFINITY, max = -INFINITY;
    uint32_t n = 0;

    for (int i = 0; i < ROWS; i++)
        if (d->has[i][s])
            v[n++] = d->v[i][s];
    *is = n > 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += v[i];
        min = fmin(min, v[i]);
        max = fmax(max, v[i]);
    }
    mean = sum / n;
    for (uint32_t i = 0; i < n; i++)
        var += (v[i] - mean) * (v[i] - mean) / n;
    switch (op) {
    case AGGR_SUM:
        return sum;
    case AGGR_AVG:
        return mean;
    case AGGR_COUNT:
        return n;
    case AGGR_MIN:
        return min;
    case AGGR_MAX:
        return max;
    case AGGR_GROUP:
        return 1;
    case AGGR_STDDEV:
        return sqrt(var);
    case AGGR_STDVAR:
        return var;
    case AGGR_QUANTILE:
        return quantile_values(q, v, n);
    }
    return NAN;
}

static void test_values(void **state)
{
    static struct data d;

    (void)state;
    for (int round = 0; round < 200; round++)
        for (int op = AGGR_SUM; op <= AGGR_QUANTILE; op++) {
            double q[STEPS];
            struct aggr a = {.op = (enum aggr_op)op, .nsteps = STEPS, .quantile = q, .where = "test"};
            struct pile p = {0};
            struct vec v;

            make_data(&d, false);
            for (int s = 0; s < STEPS; s++)
                q[s] = draw_unit();
            vec_init(&v, NULL, STEPS);
            assert_int_equal(aggr_finish(&a, fill(&a, &d, 0, ROWS, &p), &v, vec_add(&v, "test", NULL), NULL), 0);
            for (int s = 0; s < STEPS; s++) {
                bool is;
                double want = plain(a.op, &d, s, q[s], &is);

                if (is != v.rows[0].has[s] || (is && !almost_equal(want, v.rows[0].v[s], 1e-9)))
                    fail_msg("op %d step %d: want %.17g, got %.17g", op, s, want, v.rows[0].v[s]);
            }
            vec_release(&v);
            pile_release(&p);
        }
}

/* Means of values whose sum would be infinite; infinities that cancel. */
static void test_means_of_huge_values(void **state)
{
    static const struct {
        double v[4], want;
    } cases[] = {
        {{1.7e308, 1.7e308, 1.7e308, 1.7e308}, 1.7e308},
        {{INFINITY, 1, 2, 3}, INFINITY},
        {{1, -INFINITY, 2, -INFINITY}, -INFINITY},
        {{1, INFINITY, 2, -INFINITY}, NAN},
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        struct aggr a = {.op = AGGR_AVG, .nsteps = 1, .where = "test"};
        struct pile p = {0};
        struct aggr_group *g = aggr_group_new(&a, &p, NULL), *h = aggr_group_new(&a, &p, NULL);
        struct vec v;

        vec_init(&v, NULL, 1);
        for (int i = 0; i < 4; i++) {
            double x = cases[k].v[i];
            uint8_t has = ROW_FLOAT;
            struct row r = {.v = &x, .has = &has};

            aggr_add(&a, i < 2 ? g : h, &r, &p, NULL);
        }
        aggr_merge(&a, g, h, &p, NULL);
        aggr_finish(&a, g, &v, vec_add(&v, "test", NULL), NULL);
        if (!close_to(v.rows[0].v[0], cases[k].want))
            fail_msg("case %zu: want %g, got %g", k, cases[k].want, v.rows[0].v[0]);
        vec_release(&v);
        pile_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_avx_is_plain),
        cmocka_unit_test(test_parts_agree),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_means_of_huge_values),
    };

    rng_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
