/* test_rollup.c - buckets against a plain model. */
#include "tsdb/rollup.c"

#include "tests/base/prop.h"

/* --- buckets --------------------------------------------------------------------------------------------- */

/* What the bucket that ends at `end` must be, looked up sample by sample. */
struct plain {
    uint32_t n;
    int64_t t_first, t_last, t_stale;
    double v[ROLLUP_STALE], abs;
};

static struct plain plain_bucket(const int64_t *t, const double *v, uint32_t n, int64_t end, int64_t every)
{
    struct plain p = {0};

    for (uint32_t i = 0; i < n; i++) {
        if (t[i] <= end - every || t[i] > end)
            continue;
        if (is_stale(v[i])) {
            p.t_stale = t[i];
            continue;
        }
        if (p.n && v[i] < p.v[ROLLUP_LAST])
            p.v[ROLLUP_RESETS] += p.v[ROLLUP_LAST];
        if (!p.n) {
            p.t_first = t[i];
            p.v[ROLLUP_FIRST] = v[i];
            p.v[ROLLUP_MIN] = p.v[ROLLUP_MAX] = v[i];
        }
        if (isnan(p.v[ROLLUP_MIN]) || v[i] < p.v[ROLLUP_MIN])
            p.v[ROLLUP_MIN] = v[i];
        if (isnan(p.v[ROLLUP_MAX]) || v[i] > p.v[ROLLUP_MAX])
            p.v[ROLLUP_MAX] = v[i];
        p.v[ROLLUP_LAST] = v[i];
        p.v[ROLLUP_SUM] += v[i];
        p.abs += isnan(v[i]) ? 0 : fabs(v[i]);
        p.v[ROLLUP_COUNT] = ++p.n;
        p.t_last = t[i];
        p.t_stale = 0;
    }
    return p;
}

static void check_same(double a, double b)
{
    if (f64_bits(a) != f64_bits(b) && !(isnan(a) && isnan(b)))
        fail_msg("%g, not %g", a, b);
}

static void check_buckets(const struct buckets *b, const int64_t *t, const double *v, uint32_t n)
{
    uint32_t at = 0, stale = 0;

    for (uint32_t i = 0; i < n;) {
        int64_t end = bucket_end(t[i], b->every);
        struct plain p = plain_bucket(t, v, n, end, b->every);

        assert_true(end >= t[i] && end - b->every < t[i] && end % b->every == 0);
        if (p.n) {
            assert_true(at < b->n);
            assert_int_equal(b->t_first[at], p.t_first);
            assert_int_equal(b->t_last[at], p.t_last);
            for (unsigned c = 0; c < ROLLUP_STALE; c++)
                if (c != ROLLUP_SUM && c != ROLLUP_RESETS)
                    check_same(b->v[c][at], p.v[c]);
            for (unsigned c = ROLLUP_SUM; c <= ROLLUP_RESETS; c += ROLLUP_RESETS - ROLLUP_SUM)
                if (isfinite(p.v[c]))
                    assert_true(fabs(b->v[c][at] - p.v[c]) <= p.abs * 1e-13);
                else
                    check_same(b->v[c][at], p.v[c]);
            at++;
        }
        if (p.t_stale) {
            while (stale < b->nstale && b->t_stale[stale] < p.t_stale)
                stale++; /* left over from where the buckets were cut: samples followed */
            assert_true(stale < b->nstale);
            assert_int_equal(b->t_stale[stale++], p.t_stale);
        }
        while (i < n && t[i] <= end)
            i++;
    }
    assert_int_equal(at, b->n);
}

static uint32_t random_samples(struct rng *r, int64_t *t, double *v, uint32_t max)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e300, -1e300, 0x1p-1074};
    int64_t now = (int64_t)rng_below(r, 1 << 30) - (1 << 29), step = 1 + rng_below(r, 400000);
    uint32_t n = 1 + rng_below(r, max - 1), kind = rng_below(r, 4);
    double counter = rng_below(r, 100);

    for (uint32_t i = 0; i < n; i++) {
        now += rng_below(r, 20) ? 1 + rng_below(r, (uint32_t)step) : 1 + rng_below(r, 20000000);
        if (!rng_below(r, 10))
            now = bucket_end(now, ROLLUP_5M);
        t[i] = now;
        counter = rng_below(r, 15) ? counter + rng_below(r, 1000) : rng_below(r, 50);
        v[i] = kind == 0 ? counter : kind == 1 ? (double)(int64_t)rng_next(r) * 0x1p-40 : counter * 0.1;
        if (kind == 3 && !rng_below(r, 8))
            v[i] = odd[rng_below(r, ARRAY_LEN(odd))];
        if (!rng_below(r, 12))
            v[i] = f64_from_bits(STALE_NAN_BITS);
    }
    return n;
}

static void test_buckets(void **state)
{
    enum { MAX = 400 };
    struct rng r = rng_new("buckets");
    int64_t t[MAX];
    double v[MAX];
    struct buckets b = {0}, whole = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint32_t n = random_samples(&r, t, v, MAX);
        struct bucket_run run;

        buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
        buckets_reset(&whole, ROLLUP_5M, ROLLUP_ALL);
        if (!buckets_add(&b, t, v, n))
            continue; /* a sum that overflows */
        check_buckets(&b, t, v, n);
        /* In two parts, wherever cut. */
        uint32_t cut = rng_below(&r, n + 1);
        buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
        assert_true(buckets_add(&whole, t, v, cut));
        if (!buckets_add(&b, t + cut, v + cut, n - cut))
            continue;
        run = buckets_run(&b);
        buckets_append(&whole, &run);
        check_buckets(&whole, t, v, n);
    }
    buckets_release(&b);
    buckets_release(&whole);
}

/* Hours made of five minutes are those made of samples. */
static void test_coarse(void **state)
{
    enum { MAX = 400 };
    struct rng r = rng_new("coarse");
    int64_t t[MAX];
    double v[MAX];
    struct buckets b = {0}, coarse = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint32_t n = random_samples(&r, t, v, MAX);
        struct bucket_run run;

        buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
        buckets_reset(&coarse, ROLLUP_1H, ROLLUP_ALL);
        if (!buckets_add(&b, t, v, n))
            continue;
        run = buckets_run(&b);
        buckets_append(&coarse, &run);
        bool huge = false;
        for (uint32_t i = 0; i < n; i++)
            huge |= fabs(v[i]) > 1e200;
        if (!huge)
            check_buckets(&coarse, t, v, n);
    }
    buckets_release(&b);
    buckets_release(&coarse);
}

/* A sum that overflows would make a mean of nothing. */
static void test_overflow(void **state)
{
    int64_t t[] = {1000, 2000, 3000};
    double v[] = {1.7e308, 1.7e308, 1}, inf[] = {INFINITY, 1, 2};
    struct buckets b = {0};

    (void)state;
    buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
    assert_false(buckets_add(&b, t, v, 3));
    buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
    assert_true(buckets_add(&b, t, inf, 3));
    buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
    assert_true(buckets_add(&b, t, v, 1));
    assert_false(buckets_add(&b, t + 1, v + 1, 1));
    buckets_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_coarse),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
