/* test_range_windows.c - buckets against windows asked one by one; cells and samples against all values of a window. */
#include "query/logql/range_windows.c"

#include "query/logql/range_table.h"
#include "query/vector/quantile.h"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct query_engine *engine;

static bool sees(const struct lq_windows *w, uint32_t i, int64_t t)
{
    int64_t upto = w->first + (int64_t)i * w->step;

    return t > upto - w->range && t <= upto;
}

static void draw_windows(struct lq_windows *w, struct query *q)
{
    uint32_t n = 1 + (uint32_t)draw(40);
    int64_t step = 1 + (int64_t)draw(20), range = 1 + (int64_t)(draw(3) ? draw(60) : (uint64_t)step * (1 + draw(4)));
    struct err e;

    assert_int_equal(lq_windows_init(w, q, (int64_t)draw(100), n == 1 ? 0 : step, range, n, &e), 0);
    assert_true(w->nbuckets <= 2 * n);
}

/* A time's bucket is in exactly the windows that see it. */
static void buckets(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        struct query *q = query_begin(engine, "logql", STR("x"), NULL);
        struct lq_place place = {0};
        struct lq_windows w;

        draw_windows(&w, q);
        for (int64_t t = lq_windows_after(&w) - 3; t < lq_windows_last(&w) + 3; t += (int64_t)draw(3)) {
            uint32_t b = lq_windows_find(&w, &place, t), seen = 0;

            for (uint32_t i = 0; i < w.n; i++) {
                bool in = b != LQ_NO_BUCKET && b >= w.lo[i] && b < w.hi[i];

                assert_int_equal(in, sees(&w, i, t));
                seen += in;
            }
            assert_int_equal(seen > 0, b != LQ_NO_BUCKET);
        }
        query_end(q);
    }
}

/* --- cells against values ---------------------------------------------------------------------- */

static double naive(enum logql_range_op op, const struct lq_windows *w, const struct lq_sample *v, uint32_t n)
{
    double sum = 0, mean = 0, aux = 0, best = v[0].v, values[300], seconds = (double)w->range / 1e9;

    for (uint32_t i = 0; i < n; i++) {
        double delta = v[i].v - mean;

        sum += v[i].v;
        mean += delta / (i + 1);
        aux += delta * (v[i].v - mean);
        values[i] = v[i].v;
        if (isnan(best) || (op == RANGE_MIN ? v[i].v < best : v[i].v > best))
            best = v[i].v;
    }
    switch (op) {
    case RANGE_COUNT:
        return n;
    case RANGE_RATE:
        return sum / seconds;
    case RANGE_SUM:
        return sum;
    case RANGE_AVG:
        return sum / n;
    case RANGE_MIN:
    case RANGE_MAX:
        return best;
    case RANGE_STDVAR:
        return aux / n;
    case RANGE_STDDEV:
        return sqrt(aux / n);
    case RANGE_FIRST:
        return v[0].v;
    case RANGE_LAST:
        return v[n - 1].v;
    default:
        return quantile_values(0.3, values, n);
    }
}

static bool near(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-9 * fmax(1, fmax(fabs(a), fabs(b)));
}

/* Samples in two tables, merged, as two threads would have left them. */
static void fill(struct lq_table *t, const struct lq_windows *w, const struct lq_sample *v, uint32_t n, struct query *q)
{
    struct lq_table other;
    struct lq_place place = {0};
    struct err e;
    bool added;

    lq_table_init(&other, q, w, t->kind, "test");
    for (uint32_t i = 0; i < n; i++) {
        struct lq_table *into = draw(2) ? t : &other;
        uint32_t b = lq_windows_find(w, &place, v[i].t);
        struct lq_series *s;

        if (b == LQ_NO_BUCKET)
            continue;
        s = lq_table_find(into, hash128("x", 1), &added, &e);
        if (t->kind)
            lq_cell_add(t->kind, lq_table_cell(into, s, b, &e), v[i].t, v[i].v);
        else
            assert_int_equal(lq_table_sample(into, s, v[i], &e), 0);
    }
    assert_int_equal(lq_table_merge(t, &other, &e), 0);
    assert_true(t->n <= 1);
}

static void one_op(enum logql_range_op op)
{
    struct query *q = query_begin(engine, "logql", STR("x"), NULL);
    struct lq_sample v[300];
    struct lq_windows w;
    struct lq_scratch scratch = {0};
    struct query_pace pace = {q, "test", 0};
    struct err e;
    const struct lq_cell_kind *kind = lq_cell_kind_of(op, op != RANGE_COUNT);
    struct lq_table t;
    double row[64], *cells;
    uint8_t has[64];
    uint32_t n = (uint32_t)draw(300);
    int64_t at;

    draw_windows(&w, q);
    at = lq_windows_after(&w) - 2;
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct lq_sample){at += 1 + (int64_t)draw(3), draw(30) ? (double)draw(1000) / 8 : draw(2) ? NAN : INFINITY};
    lq_table_init(&t, q, &w, kind, "test");
    fill(&t, &w, v, n, q);
    memset(has, 0, sizeof has);
    cells = x_zalloc((w.nbuckets + (size_t)1) * 3 * sizeof *cells);
    if (t.n && kind) {
        lq_table_spread(&t, &t.series[0], cells);
        lq_cells_row(kind, op, &w, cells, row, has, &scratch);
    } else if (t.n) {
        assert_int_equal(lq_samples_row(op, 0.3, &w, t.series[0].samples, t.series[0].nsamples, row, has, &scratch, &pace, &e), 0);
    }
    for (uint32_t i = 0; i < w.n; i++) {
        struct lq_sample in[300];
        uint32_t nin = 0;

        for (uint32_t k = 0; k < n; k++)
            if (sees(&w, i, v[k].t))
                in[nin++] = v[k];
        assert_int_equal(has[i], nin > 0);
        if (nin)
            assert_true(near(row[i], naive(op, &w, in, nin)));
    }
    free(cells);
    lq_scratch_release(&scratch);
    lq_table_release(&t);
    query_end(q);
}

static void cells(void **state)
{
    static const enum logql_range_op ops[] = {RANGE_COUNT,  RANGE_RATE,   RANGE_SUM,   RANGE_AVG,  RANGE_MIN,     RANGE_MAX,
                                              RANGE_STDVAR, RANGE_STDDEV, RANGE_FIRST, RANGE_LAST, RANGE_QUANTILE};

    (void)state;
    for (int round = 0; round < 1000; round++)
        one_op(ops[draw(ARRAY_LEN(ops))]);
}

/* Many series: hashes are found again, budgets end it. */
static void tables(void **state)
{
    struct query_limits limits;
    struct lq_windows w;
    struct lq_table t;
    struct query *q;
    struct err e = {0};
    bool added;
    int code = 0;

    (void)state;
    query_limits_default(&limits);
    limits.bytes_max = 4 << 20;
    q = query_begin(engine, "logql", STR("x"), &limits);
    assert_int_equal(lq_windows_init(&w, q, 100, 10, 10, 50, &e), 0);
    lq_table_init(&t, q, &w, lq_cell_kind_of(RANGE_COUNT, false), "count_over_time");
    for (uint64_t i = 0; code == 0; i++) {
        uint64_t known = draw(i + 1);
        struct lq_series *s = lq_table_find(&t, hash128(&i, sizeof i), &added, &e);

        if (!s || !lq_table_cell(&t, s, (uint32_t)draw(w.nbuckets), &e)) {
            code = e.code;
            break;
        }
        assert_true(added);
        s = lq_table_find(&t, hash128(&known, sizeof known), &added, &e);
        assert_true(!added && s - t.series == (ptrdiff_t)known);
    }
    assert_int_equal(code, ERR_LIMIT);
    assert_non_null(strstr(e.text, "count_over_time"));
    assert_true(t.n > 1000);
    lq_table_release(&t);
    query_end(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(buckets), cmocka_unit_test(cells), cmocka_unit_test(tables)};
    struct query_engine_opts o;
    int code;

    rng_start();
    query_engine_opts_default(&o);
    o.threads = 1;
    engine = query_engine_new(&o);
    code = cmocka_run_group_tests(tests, NULL, NULL);
    query_engine_free(engine);
    return code;
}
