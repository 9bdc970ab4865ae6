/*
 * test_histogram.c - native histograms against a plain model: a bag of buckets by bounds. Sums in any order, quantile
 * and fraction as inverses, cutting in two and adding up again.
 */
#include "query/vector/histogram.c"

#include "query/vector/quantile.h"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BUCKETS = 12 };

static struct histogram *random_exponential(struct arena *a, int32_t schema)
{
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b = arena_array(a, struct hist_bucket, 2 * BUCKETS);
    int32_t at = (int32_t)draw(10) - 5;

    h->schema = schema;
    h->pos = b;
    h->neg = b + BUCKETS;
    h->zero_threshold = draw(2) ? 0.001 : 0.25;
    h->zero_count = (double)draw(5);
    h->count = h->zero_count;
    for (uint32_t i = 0; i < 2 * BUCKETS; i++) {
        uint32_t *n = i < BUCKETS ? &h->npos : &h->nneg;

        if (i == BUCKETS)
            at = (int32_t)draw(10) - 5;
        at += 1 + (int32_t)draw(3);
        /* Nothing inside the zero bucket. */
        if (draw(3) == 0 || hist_bound(schema, at - 1) < h->zero_threshold)
            continue;
        b[(i < BUCKETS ? 0 : BUCKETS) + (*n)++] = (struct hist_bucket){at, (double)(1 + draw(20))};
        h->count += b[(i < BUCKETS ? 0 : BUCKETS) + *n - 1].n;
    }
    h->sum = (double)draw(1000) - 500;
    return h;
}

static struct histogram *random_custom(struct arena *a)
{
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b = arena_array(a, struct hist_bucket, BUCKETS + 1);
    double *bounds = arena_array(a, double, BUCKETS), at = (double)draw(6) - 5;

    h->schema = HIST_CUSTOM;
    h->pos = b;
    h->bounds = bounds;
    for (uint32_t i = 0; i < 1 + draw(BUCKETS - 1); i++)
        bounds[h->nbounds++] = at += (double)(1 + draw(3));
    for (uint32_t i = 0; i <= h->nbounds; i++)
        if (draw(4)) {
            b[h->npos++] = (struct hist_bucket){(int32_t)i, (double)(1 + draw(20))};
            h->count += b[h->npos - 1].n;
        }
    return h;
}

static double total(const struct histogram *h)
{
    double n = h->zero_count;

    for (uint32_t i = 0; i < h->npos; i++)
        n += h->pos[i].n;
    for (uint32_t i = 0; i < h->nneg; i++)
        n += h->neg[i].n;
    return n;
}

static void check_layout(const struct histogram *h)
{
    for (uint32_t i = 1; i < h->npos; i++)
        assert_true(h->pos[i - 1].i < h->pos[i].i);
    for (uint32_t i = 1; i < h->nneg; i++)
        assert_true(h->neg[i - 1].i < h->neg[i].i);
    if (hist_custom(h))
        assert_true(h->nneg == 0 && (h->npos == 0 || h->pos[h->npos - 1].i <= (int32_t)h->nbounds));
}

static struct histogram *random_histogram(struct arena *a, bool custom)
{
    return custom ? random_custom(a) : random_exponential(a, (int32_t)draw(7) - 2);
}

/* Adding loses no observation, in either order, and subtracting takes back what was added. */
static void test_sums(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        bool custom = draw(2);
        struct histogram *l = random_histogram(&a, custom), *r = random_histogram(&a, custom), *x, *y, *back;
        unsigned notes = 0;

        assert_int_equal(hist_add(&a, l, r, &x, &notes), 0);
        assert_int_equal(hist_add(&a, r, l, &y, &notes), 0);
        check_layout(x);
        assert_true(hist_equal(x, y));
        assert_true(almost_equal(total(x), total(l) + total(r), 1e-12));
        assert_int_equal(hist_sub(&a, x, r, &back, &notes), 0);
        assert_true(back->hint == HIST_GAUGE);
        assert_true(fabs(total(back) - total(l)) < 1e-9);
        arena_reset(&a);
    }
    arena_release(&a);
}

static void test_mixture_is_refused(void **state)
{
    struct arena a = {0};
    struct histogram *x;
    unsigned notes = 0;

    (void)state;
    assert_int_equal(hist_add(&a, random_custom(&a), random_exponential(&a, 0), &x, &notes), ERR_UNSUPPORTED);
    arena_release(&a);
}

/* Growing sums against adding two by two; parts merged against one. */
static void test_growing_sums(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 500; round++) {
        bool custom = draw(2), mean = draw(2);
        struct hist_sum *all = hist_sum_new(&a, mean), *half = hist_sum_new(&a, mean), *rest = hist_sum_new(&a, mean);
        struct histogram *plain = NULL, *got, *merged;
        uint32_t n = 2 + (uint32_t)draw(20);
        unsigned notes = 0;

        for (uint32_t i = 0; i < n; i++) {
            struct histogram *h = random_histogram(&a, custom);

            assert_int_equal(hist_sum_add(all, &a, h, &notes), 0);
            assert_int_equal(hist_sum_add(i < n / 2 ? half : rest, &a, h, &notes), 0);
            if (!plain)
                plain = h;
            else
                assert_int_equal(hist_add(&a, plain, h, &plain, &notes), 0);
        }
        if (mean)
            plain = hist_div(&a, plain, n);
        assert_int_equal(hist_sum_merge(half, &a, rest, &notes), 0);
        got = hist_sum_value(all, &a);
        merged = hist_sum_value(half, &a);
        check_layout(got);
        assert_true(almost_equal(total(got), total(plain), 1e-12) && almost_equal(got->count, plain->count, 1e-12));
        assert_true(got->schema == plain->schema && got->zero_threshold == plain->zero_threshold &&
                    got->nbounds == plain->nbounds);
        assert_true(almost_equal(total(merged), total(got), 1e-12) && almost_equal(merged->count, got->count, 1e-12));
        arena_reset(&a);
    }
    arena_release(&a);
}

/* Resolution is halved as often as asked; bounds stay bounds. */
static void test_reduce(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 1000; round++) {
        struct histogram *h = random_exponential(&a, 3), *c = hist_reduce(&a, h, 3 - (int32_t)draw(6));

        check_layout(c);
        assert_true(almost_equal(total(c), total(h), 1e-12));
        for (uint32_t i = 0; i < h->npos; i++) {
            uint32_t k = 0;

            while (hist_bound(c->schema, c->pos[k].i) < hist_bound(h->schema, h->pos[i].i))
                k++;
            assert_true(k < c->npos &&
                        hist_bound(c->schema, c->pos[k].i - 1) <= hist_bound(h->schema, h->pos[i].i - 1) * (1 + 1e-12));
        }
        arena_reset(&a);
    }
    arena_release(&a);
}

/* The share of observations below the q-quantile is q. */
static void test_quantile_and_fraction(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct histogram *h = random_histogram(&a, draw(2));
        double q = draw_unit(), at, share;
        unsigned notes = 0;

        if (h->count == 0)
            continue;
        at = hist_quantile(q, h, &notes);
        share = hist_fraction(-INFINITY, at, h, &notes);
        /* In buckets that reach to infinity the quantile is their bound, and says no more. */
        if (hist_custom(h) && (at <= h->bounds[0] || at >= h->bounds[h->nbounds - 1]))
            continue;
        if (fabs(share - q) > 1e-9)
            fail_msg("%g-quantile is %.17g, below that are %.17g", q, at, share);
        arena_reset(&a);
    }
    arena_release(&a);
}

/* What lies below x and what lies above it is all there is. */
static void test_trim(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct histogram *h = random_exponential(&a, (int32_t)draw(7) - 2);
        double x = (draw_unit() - 0.5) * 20;
        struct histogram *below = hist_trim(&a, h, x, true), *above = hist_trim(&a, h, x, false);
        unsigned notes = 0;

        check_layout(below);
        if (fabs(total(below) + total(above) - total(h)) > 1e-9)
            fail_msg("at %g: %.17g below, %.17g above of %.17g", x, total(below), total(above), total(h));
        if (h->count > 0)
            assert_true(fabs(total(below) - hist_fraction(-INFINITY, x, h, &notes) * h->count) < 1e-6);
        arena_reset(&a);
    }
    arena_release(&a);
}

/* A counter that only grows has no reset, one that lost an observation has. */
static void test_resets(void **state)
{
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        bool custom = draw(2);
        struct histogram *h = random_histogram(&a, custom), *more = random_histogram(&a, custom), *sum;
        unsigned notes = 0;

        more->hint = h->hint = HIST_UNKNOWN;
        assert_int_equal(hist_add(&a, h, more, &sum, &notes), 0);
        assert_false(hist_detect_reset(sum, h));
        if (h->npos && more->npos == 0 && h->pos[0].n > 0) {
            struct histogram *less = hist_dup(&a, h);

            ((struct hist_bucket *)less->pos)[0].n -= 1;
            assert_true(hist_detect_reset(less, h));
        }
        sum->hint = HIST_RESET;
        assert_true(hist_detect_reset(sum, h));
        arena_reset(&a);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_mixture_is_refused),
        cmocka_unit_test(test_growing_sums),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_quantile_and_fraction),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_resets),
    };

    rng_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
