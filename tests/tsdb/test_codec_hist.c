/* test_codec_hist.c - columns of histograms: what comes back, how much of it, and how small it is. TEST_SEED=N repeats a run. */
#include "tsdb/codec_hist.c"

#include "tests/tsdb/random_hist.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { ROWS = 6, SAMPLES = 150 };

static uint64_t rng;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static struct column_in reading(const struct column_out *o)
{
    const uint8_t *c = (const uint8_t *)o->codes.p, *n = (const uint8_t *)o->nums.p, *b = (const uint8_t *)o->bits.p;

    return (struct column_in){c, c + o->codes.n, n, n + o->nums.n, b, b + o->bits.n};
}

static void expect_row(struct column_in in, const struct hist_layout *l, uint32_t nl, const double *v,
                       const struct histogram *const *h, uint32_t n, uint32_t upto)
{
    const struct histogram *got[SAMPLES];
    struct arena a = {0};
    double values[SAMPLES];

    assert_int_equal(hists_decode(&in, n, upto, l, nl, &a, values, got), 0);
    for (uint32_t i = 0; i < upto; i++) {
        assert_int_equal(got[i] != NULL, h[i] != NULL);
        if (!h[i]) {
            assert_int_equal(f64_bits(values[i]), f64_bits(v[i]));
        } else if (hist_stale(h[i])) {
            assert_true(hist_stale(got[i]));
        } else {
            assert_true(hist_equal(got[i], h[i]));
            assert_int_equal(f64_bits(hist_mark(got[i])), f64_bits(hist_mark(h[i])));
            assert_int_equal(got[i]->hint, hist_hint_after(h[i], i ? h[i - 1] : NULL));
        }
    }
    arena_release(&a);
}

static void random_rows(void)
{
    struct column_out o = {0};
    struct hist_dict d = {0};
    struct arena a = {0};
    const struct histogram *h[ROWS][SAMPLES];
    double v[ROWS][SAMPLES];
    struct column_in at[ROWS];
    struct hist_layout *l;
    uint32_t n[ROWS], nl;

    for (uint32_t r = 0; r < ROWS; r++) {
        n[r] = 1 + (uint32_t)draw(SAMPLES);
        for (uint32_t i = 0; i < n[r]; i++) {
            h[r][i] = draw(10) ? random_hist(&a, draw, i ? h[r][i - 1] : NULL) : NULL;
            v[r][i] = (double)draw(1000) / 8;
        }
        hists_encode(&o, &d, v[r], h[r], n[r]);
    }
    memset(buf_reserve(&o.bits, CODEC_SLACK), 0, CODEC_SLACK);
    assert_int_equal(hist_dict_read(buf_str(&d.bytes), &a, &l, &nl), 0);
    assert_int_equal(nl, d.n);
    struct column_in in = reading(&o);
    for (uint32_t r = 0; r < ROWS; r++) {
        at[r] = in;
        assert_int_equal(hists_skip(&in, n[r], l, nl), 0);
    }
    assert_true(in.code == in.code_end && in.num == in.num_end && in.bit == in.bit_end);
    for (uint32_t r = ROWS; r-- > 0;) {
        expect_row(at[r], l, nl, v[r], h[r], n[r], n[r]);
        expect_row(at[r], l, nl, v[r], h[r], n[r], (uint32_t)draw(n[r] + 1));
    }
    in = reading(&o);
    in.num_end -= 1 + draw((uint64_t)(in.num_end - in.num));
    int rc = 0;
    for (uint32_t r = 0; r < ROWS && rc == 0; r++)
        rc = hists_skip(&in, n[r], l, nl);
    assert_int_equal(rc, ERR_CORRUPT);
    arena_release(&a);
    column_out_release(&o);
    hist_dict_release(&d);
}

static void test_random(void **state)
{
    const char *env = getenv("TEST_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : (uint64_t)time(NULL);

    (void)state;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = seed * 0x9e3779b97f4a7c15u | 1;
    for (int i = 0; i < (getenv("TRIPOD_LONG") ? 3000 : 150); i++)
        random_rows();
}

/* Forty buckets that count a thousand requests a minute, most of them in a few: as a server has them. */
static void test_small(void **state)
{
    enum { BUCKETS = 40, N = 120 };
    struct column_out o = {0};
    struct hist_dict d = {0};
    struct arena a = {0};
    const struct histogram *h[N];
    double v[N] = {0}, n[BUCKETS] = {0};
    int64_t microseconds = 0;
    size_t bytes;

    (void)state;
    rng = 4711;
    for (uint32_t i = 0; i < N; i++) {
        struct histogram *x = arena_new(&a, struct histogram);
        struct hist_bucket *b = arena_alloc(&a, BUCKETS * sizeof *b);
        for (uint32_t k = 0; k < 250; k++) {
            uint64_t at = 0;
            for (int j = 0; j < 8; j++)
                at += draw(BUCKETS);
            n[at / 8]++;
            microseconds += (int64_t)draw(100000);
        }
        for (uint32_t k = 0; k < BUCKETS; k++) {
            b[k] = (struct hist_bucket){(int32_t)k - 20, n[k]};
            x->count += n[k];
        }
        x->schema = 3;
        x->zero_threshold = 0x1p-128;
        x->pos = b;
        x->npos = BUCKETS;
        x->sum = (double)microseconds / 1e6;
        h[i] = x;
    }
    hists_encode(&o, &d, v, h, N);
    bytes = o.codes.n + o.nums.n + o.bits.n + d.bytes.n;
    print_message("%.1f bytes a sample\n", (double)bytes / N);
    assert_true(bytes < 30 * N);
    assert_int_equal(d.n, 1);
    arena_release(&a);
    column_out_release(&o);
    hist_dict_release(&d);
}

static void test_checks(void **state)
{
    static const struct hist_bucket falling[] = {{2, 1}, {1, 1}}, negative[] = {{1, -1}}, high[] = {{2, 1}};
    static const double up[] = {1, 2}, down[] = {2, 1}, wide[] = {1, INFINITY};
    const struct {
        struct histogram h;
        bool ok;
    } cases[] = {
        {{.schema = 8, .npos = 1, .pos = high}, true},
        {{.schema = 9}, false},
        {{.schema = -5}, false},
        {{.npos = 2, .pos = falling}, false},
        {{.npos = 1, .pos = negative}, false},
        {{.nneg = 1, .neg = negative}, false},
        {{.count = -1}, false},
        {{.zero_count = -1}, false},
        {{.zero_threshold = NAN}, false},
        {{.nbounds = 2, .bounds = up}, false},
        {{.schema = HIST_CUSTOM, .nbounds = 2, .bounds = up, .npos = 1, .pos = high}, true},
        {{.schema = HIST_CUSTOM, .nbounds = 1, .bounds = up, .npos = 1, .pos = high}, false},
        {{.schema = HIST_CUSTOM, .nbounds = 2, .bounds = down}, false},
        {{.schema = HIST_CUSTOM, .nbounds = 2, .bounds = wide}, false},
        {{.schema = HIST_CUSTOM, .zero_count = 1}, false},
        {{.schema = HIST_CUSTOM, .zero_threshold = 1}, false},
        {{.schema = HIST_CUSTOM, .nneg = 1, .neg = high}, false},
        {{.schema = 77, .sum = f64_from_bits(STALE_NAN_BITS)}, true},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(hist_check(&cases[i].h, &e), cases[i].ok ? 0 : ERR_INVALID);
}

/* What a reset is, and what it is not. */
static void test_hints(void **state)
{
    static const struct hist_bucket two[] = {{1, 5}, {3, 5}}, more[] = {{1, 5}, {2, 1}, {3, 6}}, less[] = {{1, 4}, {3, 7}},
                                    gone[] = {{1, 12}}, hollow[] = {{1, 5}, {2, 0}, {3, 5}};
    struct histogram base = {.npos = 2, .pos = two, .count = 10}, x;

    (void)state;
    x = (struct histogram){.npos = 3, .pos = more, .count = 12};
    assert_int_equal(hist_hint_after(&x, &base), HIST_NOT_RESET);
    assert_int_equal(hist_hint_after(&x, NULL), HIST_UNKNOWN);
    assert_int_equal(hist_hint_after(&base, &x), HIST_UNKNOWN);
    x.schema = 1;
    assert_int_equal(hist_hint_after(&x, &base), HIST_UNKNOWN);
    x = (struct histogram){.npos = 2, .pos = less, .count = 11};
    assert_int_equal(hist_hint_after(&x, &base), HIST_UNKNOWN);
    x = (struct histogram){.npos = 1, .pos = gone, .count = 12};
    assert_int_equal(hist_hint_after(&x, &base), HIST_UNKNOWN);
    x = (struct histogram){.npos = 3, .pos = hollow, .count = 10};
    assert_int_equal(hist_hint_after(&base, &x), HIST_NOT_RESET);
    x = (struct histogram){.npos = 3, .pos = more, .count = 12, .hint = HIST_RESET};
    assert_int_equal(hist_hint_after(&x, &base), HIST_RESET);
    x.hint = HIST_GAUGE;
    assert_int_equal(hist_hint_after(&x, &base), HIST_GAUGE);
    base.hint = HIST_GAUGE;
    x.hint = HIST_UNKNOWN;
    assert_int_equal(hist_hint_after(&x, &base), HIST_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_hints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
