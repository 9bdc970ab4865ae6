/* test_rollup_hist.c - stretches of histograms against a plain model. */
#include "tsdb/rollup_hist.c"

#include "tests/base/prop.h"
#include "tests/tsdb/random_hist.h"

enum { SAMPLES = 300 };

struct sampled {
    struct arena a;
    uint32_t n;
    int64_t t[SAMPLES];
    double v[SAMPLES];
    const struct histogram *h[SAMPLES];
};

static struct rng r;

static uint64_t draw(uint64_t below)
{
    return rng_below(&r, (uint32_t)below);
}

static bool stale_at(const struct sampled *s, uint32_t i)
{
    return s->h[i] ? hist_stale(s->h[i]) : is_stale(s->v[i]);
}

/* With hints as a store has them. */
static void random_samples(struct sampled *s)
{
    const struct histogram *before = NULL;
    int64_t now = (int64_t)draw(1 << 30), step = 1 + (int64_t)draw(100000);
    uint32_t floats = draw(3) ? 0 : 20;

    arena_reset(&s->a);
    s->n = 1 + (uint32_t)draw(SAMPLES - 1);
    for (uint32_t i = 0; i < s->n; i++) {
        struct histogram *h = NULL;

        now += 1 + (int64_t)draw((uint64_t)step);
        if (!draw(10) && bucket_end(now, ROLLUP_5M) > now)
            now = bucket_end(now, ROLLUP_5M);
        s->t[i] = now;
        s->v[i] = draw(20) ? (double)draw(1000) : f64_from_bits(STALE_NAN_BITS);
        if (!floats || draw(floats))
            before = h = random_hist(&s->a, draw, before);
        hist_hint_set(h, i ? s->h[i - 1] : NULL);
        s->h[i] = h;
    }
}

static bool near_enough(double a, double b)
{
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-12 * (fabs(a) + fabs(b));
}

static double bucket_at(const struct hist_bucket *b, uint32_t n, int32_t i)
{
    for (uint32_t k = 0; k < n; k++)
        if (b[k].i == i)
            return b[k].n;
    return 0;
}

static void check_cells(const struct hist_bucket *sum, uint32_t n, const struct sampled *s, uint32_t from, uint32_t to,
                        bool neg)
{
    double total = 0, all = 0;

    for (uint32_t k = 0; k < n; k++) {
        double want = 0;

        assert_true(k == 0 || sum[k].i > sum[k - 1].i);
        for (uint32_t i = from; i < to; i++)
            want += neg ? bucket_at(s->h[i]->neg, s->h[i]->nneg, sum[k].i)
                        : bucket_at(s->h[i]->pos, s->h[i]->npos, sum[k].i);
        assert_true(near_enough(sum[k].n, want));
        total += sum[k].n;
    }
    for (uint32_t i = from; i < to; i++)
        for (uint32_t k = 0; k < (neg ? s->h[i]->nneg : s->h[i]->npos); k++)
            all += (neg ? s->h[i]->neg : s->h[i]->pos)[k].n;
    assert_true(near_enough(total, all));
}

/* Stretch k is made of samples from..to-1, and could have no more but where samples were cut. */
static void check_stretch(const struct stretches *x, uint32_t k, const struct sampled *s, uint32_t from, uint32_t to,
                          uint32_t cut)
{
    const struct histogram *first = s->h[from];
    double count = 0, sum = 0, zero = 0;

    assert_int_equal(x->t_first[k], s->t[from]);
    assert_int_equal(x->t_last[k], s->t[to - 1]);
    assert_int_equal(bucket_end(s->t[from], x->every), bucket_end(s->t[to - 1], x->every));
    assert_true(hist_equal(x->first[k], first) && hist_equal(x->last[k], s->h[to - 1]));
    for (uint32_t i = from; i < to; i++) {
        assert_true(s->h[i] && !stale_at(s, i));
        assert_true(i == from || s->h[i]->hint == (first->hint == HIST_GAUGE ? HIST_GAUGE : HIST_NOT_RESET));
        count += s->h[i]->count;
        sum += s->h[i]->sum;
        zero += s->h[i]->zero_count;
    }
    assert_true(near_enough(x->sum[k]->count, count) && near_enough(x->sum[k]->zero_count, zero));
    assert_true(near_enough(x->sum[k]->sum, sum) && hist_same_bounds(x->sum[k], first));
    assert_true(x->sum[k]->schema == first->schema && x->sum[k]->zero_threshold == first->zero_threshold);
    check_cells(x->sum[k]->pos, x->sum[k]->npos, s, from, to, false);
    check_cells(x->sum[k]->neg, x->sum[k]->nneg, s, from, to, true);
    assert_int_equal(x->hint[k], x->first[k]->hint);
    if (from < cut || (k && s->t[cut] <= x->t_last[k - 1])) /* behind the cut it is found anew, across markers too */
        assert_int_equal(x->hint[k], settled(first->hint));
    if (to != cut && to < s->n && s->h[to] && !stale_at(s, to) &&
        bucket_end(s->t[to], x->every) == bucket_end(s->t[from], x->every) && same_places(s->h[to], first))
        assert_true(s->h[to]->hint != (first->hint == HIST_GAUGE ? HIST_GAUGE : HIST_NOT_RESET));
}

static void check_stretches(const struct stretches *x, const struct buckets *b, const struct sampled *s, uint32_t cut)
{
    uint32_t k = 0, stale = 0;
    double floats = 0, told = 0;

    for (uint32_t i = 0; i < s->n;) {
        bool last = i + 1 == s->n || s->t[i + 1] > bucket_end(s->t[i], x->every);

        if (stale_at(s, i) || !s->h[i]) {
            floats += !stale_at(s, i);
            while (stale_at(s, i) && last && stale < b->nstale && b->t_stale[stale] < s->t[i])
                stale++; /* left over from where samples were cut */
            if (stale_at(s, i) && last)
                assert_true(stale < b->nstale && b->t_stale[stale++] == s->t[i]);
            i++;
            continue;
        }
        assert_true(k < x->n && x->count[k] >= 1);
        check_stretch(x, k, s, i, i + (uint32_t)x->count[k], cut);
        i += (uint32_t)x->count[k++];
    }
    assert_int_equal(k, x->n);
    for (uint32_t i = 0; i < b->n; i++)
        told += b->v[ROLLUP_COUNT][i];
    assert_true(floats == told);
}

static void test_stretches(void **state)
{
    struct stretches x = {0}, more = {0};
    struct buckets b = {0}, rest = {0};
    struct sampled s = {0};
    uint32_t joined = 0;

    (void)state;
    r = rng_new("stretches");
    for (int round = 0; round < 1500; round++) {
        int64_t every = draw(2) ? ROLLUP_5M : ROLLUP_1H;
        uint32_t cut;

        random_samples(&s);
        stretches_reset(&x, every, ROLLUP_HISTS);
        buckets_reset(&b, every, ROLLUP_ALL);
        assert_true(stretches_add(&x, &b, s.t, s.v, s.h, s.n));
        check_stretches(&x, &b, &s, s.n);
        joined += s.n > x.n + b.n + s.n / 4;
        /* In two parts, wherever cut. */
        cut = (uint32_t)draw(s.n + 1);
        stretches_reset(&x, every, ROLLUP_HISTS);
        stretches_reset(&more, every, ROLLUP_HISTS);
        buckets_reset(&b, every, ROLLUP_ALL);
        buckets_reset(&rest, every, ROLLUP_ALL);
        assert_true(stretches_add(&x, &b, s.t, s.v, s.h, cut));
        if (draw(2)) {
            assert_true(stretches_add(&x, &b, s.t + cut, s.v + cut, s.h + cut, s.n - cut));
        } else {
            struct stretch_run run;
            struct bucket_run floats;

            assert_true(stretches_add(&more, &rest, s.t + cut, s.v + cut, s.h + cut, s.n - cut));
            run = stretches_run(&more);
            floats = buckets_run(&rest);
            stretches_append(&x, &run);
            buckets_append(&b, &floats);
        }
        check_stretches(&x, &b, &s, cut);
    }
    assert_true(joined > 100);
    stretches_release(&x);
    stretches_release(&more);
    buckets_release(&b);
    buckets_release(&rest);
    arena_release(&s.a);
}

static void test_delete(void **state)
{
    struct stretches x = {0};
    struct buckets b = {0};
    struct sampled s = {0};

    (void)state;
    r = rng_new("stretches deleted");
    for (int round = 0; round < 500; round++) {
        int64_t ranges[4];
        double kept = 0;

        random_samples(&s);
        for (int i = 0; i < 4; i += 2) {
            ranges[i] = s.t[draw(s.n)];
            ranges[i + 1] = ranges[i] + (int64_t)draw(1000000);
        }
        stretches_reset(&x, ROLLUP_5M, ROLLUP_HISTS);
        buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
        assert_true(stretches_add(&x, &b, s.t, s.v, s.h, s.n));
        stretches_delete(&x, ranges, 2);
        for (uint32_t k = 0; k < x.n; k++) {
            for (int i = 0; i < 4; i += 2)
                assert_true(ranges[i] > x.t_last[k] || ranges[i + 1] < x.t_first[k]);
            kept += x.count[k];
        }
        for (uint32_t k = 1; k < x.n; k++) /* nothing goes on from what is gone */
            assert_true(x.hint[k] != HIST_NOT_RESET || x.first[k]->count >= x.last[k - 1]->count);
        for (uint32_t i = 0; i < s.n; i++)
            kept -= s.h[i] && !stale_at(&s, i);
        assert_true(kept <= 0);
    }
    stretches_release(&x);
    buckets_release(&b);
    arena_release(&s.a);
}

/* Sums that would overflow begin anew. */
static void test_overflow(void **state)
{
    struct hist_bucket big = {1, 1.5e308};
    struct histogram h[3];
    const struct histogram *of[3];
    int64_t t[] = {1000, 2000, 3000};
    double v[3] = {0};
    struct stretches x = {0};
    struct buckets b = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        h[i] = (struct histogram){.count = 1.5e308, .sum = 1, .npos = 1, .pos = &big, .hint = HIST_GAUGE};
        of[i] = &h[i];
    }
    stretches_reset(&x, ROLLUP_5M, ROLLUP_HISTS);
    buckets_reset(&b, ROLLUP_5M, ROLLUP_ALL);
    assert_true(stretches_add(&x, &b, t, v, of, 3));
    assert_int_equal(x.n, 3);
    assert_true(isfinite(x.sum[0]->count) && isfinite(x.sum[0]->pos[0].n));
    stretches_release(&x);
    buckets_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stretches),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
