/*
 * test_chunk.c - chunks against what Prometheus 3.14 makes of the same samples (length and CRC32C of its bytes), and where
 * runs of histograms end.
 */
#include "query/api/chunk.c"
#include "query/api/chunk_hist.c"

#include "tests/query/promql/test_promql.h"

enum { N = 20, START = 42 };

static uint64_t seed;

static uint64_t rnd(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed >> 33;
}

static void assert_golden(const struct buf *b, size_t n, uint32_t crc)
{
    if (b->n != n || crc32c(0, b->p, b->n) != crc)
        fail_msg("%zu bytes with CRC %x, Prometheus has %zu with %x", b->n, crc32c(0, b->p, b->n), n, crc);
}

static double from_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* --- floats ------------------------------------------------------------------------------------------- */

static int64_t next_time(int64_t t)
{
    switch (rnd() % 5) {
    case 0:
        return t + 15000;
    case 1:
        return t + 15000 + (int64_t)(rnd() % 7);
    case 2:
        return t + 15000 + (int64_t)(rnd() % 100000);
    case 3:
        return t + (int64_t)(rnd() % 1000000) + 1;
    default:
        return t + (int64_t)(rnd() % 100) * 86400000 + 1;
    }
}

static double next_value(double v, int i)
{
    switch (rnd() % 4) {
    case 0:
        v += 1;
        break;
    case 1:
        v = (double)rnd() / 1000;
        break;
    case 2: {
        uint64_t high = rnd() << 33;

        v = from_bits(high ^ rnd() << 5 ^ UINT64_C(0x3ff0000000000000));
        break;
    }
    }
    return i == 50   ? from_bits(STALE_NAN_BITS)
           : i == 60 ? from_bits(UINT64_C(0x7ff8000000000001))
           : i == 70 ? -INFINITY
                     : v;
}

static void floats(void)
{
    int64_t t[CHUNK_SAMPLES], at = 1700000000123;
    double v[CHUNK_SAMPLES], x = 0;
    struct buf b = {0};

    for (int i = 0; i < CHUNK_SAMPLES; i++) {
        t[i] = at;
        v[i] = x;
        at = next_time(at);
        x = next_value(x, i);
    }
    chunk_put_floats(&b, t, v, CHUNK_SAMPLES);
    assert_golden(&b, 1465, 0x4a4d7440);
    buf_release(&b);
}

/* --- histograms ----------------------------------------------------------------------------------------- */

struct layout {
    struct histogram like;
    int32_t pos[8], neg[8];
    size_t n;
    uint32_t crc;
};

/* Counters that grow, in the layout given. */
static void make_hists(struct arena *a, const struct layout *l, int64_t *t, const struct histogram **h)
{
    double counts[16] = {0}, zero = 0;

    for (int64_t i = 0; i < N; i++) {
        struct histogram *x = arena_new(a, struct histogram);
        struct hist_bucket *pos = arena_array(a, struct hist_bucket, 8), *neg = arena_array(a, struct hist_bucket, 8);

        *x = l->like;
        for (uint32_t k = 0; k < x->npos; k++) {
            counts[k] += (double)(rnd() % 9);
            if (rnd() % 7 == 0)
                counts[k] += (double)(rnd() % 100000);
            pos[k] = (struct hist_bucket){l->pos[k], counts[k]};
            x->count += counts[k];
        }
        for (uint32_t k = 0; k < x->nneg; k++) {
            counts[8 + k] += (double)(rnd() % 9);
            neg[k] = (struct hist_bucket){l->neg[k], counts[8 + k]};
            x->count += counts[8 + k];
        }
        if (x->schema != HIST_CUSTOM)
            zero += (double)(rnd() % 3);
        x->count += x->zero_count = zero;
        x->sum = (double)rnd() / 8;
        x->pos = pos;
        x->neg = neg;
        h[i] = x;
        t[i] = 1700000000000 + i * 15000 + i * i;
    }
}

static void whole_histograms(void)
{
    static const double bounds[] = {0.005, 0.25, 1, 12.5};
    const struct layout layouts[] = {
        {{.schema = 3, .zero_threshold = 0x1p-128, .npos = 5, .nneg = 2}, {-3, -2, 3, 4, 5}, {1, 2}, 412, 0x600afa40},
        {{.schema = 0, .zero_threshold = 0.001, .npos = 4, .hint = HIST_GAUGE}, {0, 1, 2, 3}, {0}, 363, 0x1db4474a},
        {{.schema = HIST_CUSTOM, .npos = 4, .nbounds = 4, .bounds = bounds}, {0, 2, 3, 4}, {0}, 309, 0xfaffa73b},
    };

    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        const struct histogram *h[N];
        int64_t t[N];
        struct arena a = {0};
        struct buf b = {0};

        make_hists(&a, &layouts[i], t, h);
        assert_int_equal(chunk_hists_run(h, N), N);
        assert_int_equal(chunk_put_hists(&b, t, h, N), CHUNK_HISTOGRAM);
        assert_golden(&b, layouts[i].n, layouts[i].crc);
        buf_release(&b);
        arena_release(&a);
    }
}

static void float_histograms(void)
{
    const struct histogram *h[N];
    int64_t t[N];
    double counts[3] = {0}, zero = 0;
    struct arena a = {0};
    struct buf b = {0};

    for (int64_t i = 0; i < N; i++) {
        struct histogram *x = arena_new(&a, struct histogram);
        struct hist_bucket *pos = arena_array(&a, struct hist_bucket, 3);

        *x = (struct histogram){.schema = 1, .npos = 3, .pos = pos};
        for (uint32_t k = 0; k < 3; k++) {
            counts[k] += (double)(rnd() % 64) / 8;
            x->count += counts[k];
            pos[k] = (struct hist_bucket){k == 2 ? 309 : 7 + (int32_t)k, counts[k]};
        }
        x->zero_count = zero += 0.5;
        x->count += zero;
        x->sum = (double)rnd() / 8;
        h[i] = x;
        t[i] = 1700000000000 + i * 15000 + i * i;
    }
    assert_int_equal(chunk_put_hists(&b, t, h, N), CHUNK_FLOAT_HISTOGRAM);
    assert_golden(&b, 336, 0x1be36bb9);
    buf_release(&b);
    arena_release(&a);
}

/* One stream of random numbers feeds all, as in the program that made the figures. */
static void chunks_are_those_of_prometheus(void **state)
{
    (void)state;
    seed = START;
    floats();
    whole_histograms();
    float_histograms();
}

static void stale_markers_have_no_layout(void **state)
{
    const struct histogram stale = {.schema = 3, .sum = from_bits(STALE_NAN_BITS), .hint = HIST_GAUGE};
    const struct histogram fine = {.schema = 3, .count = 1, .zero_count = 1};
    const struct histogram *h[] = {&stale, &stale, &fine, &stale};
    const int64_t t[] = {1700000000000, 1700000015000};
    struct buf b = {0};

    (void)state;
    assert_int_equal(chunk_hists_run(h, 4), 2);
    assert_int_equal(chunk_hists_run(h + 2, 2), 1);
    assert_int_equal(chunk_put_hists(&b, t, h, 2), CHUNK_HISTOGRAM);
    assert_golden(&b, 24, 0x8389262d);
    buf_release(&b);
}

/* Buckets that come later: Prometheus writes what it has anew, we know all of them before. */
static void a_layout_that_grows(void **state)
{
    static const struct hist_bucket b1[] = {{1, 2}, {2, 3}}, b2[] = {{1, 3}, {2, 3}, {7, 1}},
                                    b3[] = {{1, 3}, {2, 4}, {7, 5}};
    const struct histogram h[] = {{.schema = 3, .count = 5, .sum = 8, .npos = 2, .pos = b1},
                                  {.schema = 3, .count = 7, .sum = 9, .npos = 3, .pos = b2},
                                  {.schema = 3, .count = 12, .sum = 10, .npos = 3, .pos = b3}};
    const struct histogram *all[] = {&h[0], &h[1], &h[2]};
    const int64_t t[] = {1100000, 1115000, 1130000};
    struct buf b = {0};

    (void)state;
    assert_int_equal(chunk_hists_run(all, 3), 3);
    assert_int_equal(chunk_put_hists(&b, t, all, 3), CHUNK_HISTOGRAM);
    assert_golden(&b, 35, 0x8ca3320c);
    buf_release(&b);
}

static void runs_end_where_a_reset_may_be(void **state)
{
    const struct hist_bucket one[] = {{4, 1}}, two[] = {{4, 1}, {9, 1}}, other[] = {{5, 2}};
    const struct histogram a = {.count = 1, .npos = 1, .pos = one}, b = {.count = 2, .npos = 2, .pos = two},
                           fewer = {.count = 2, .npos = 1, .pos = other},
                           gauge = {.count = 2, .npos = 1, .pos = other, .hint = HIST_GAUGE},
                           finer = {.schema = 1, .count = 3, .npos = 2, .pos = two},
                           told = {.count = 5, .npos = 2, .pos = two, .hint = HIST_RESET};
    const struct histogram *grows[] = {&a, &b, &b}, *vanishes[] = {&b, &fewer}, *kinds[] = {&gauge, &gauge, &fewer},
                           *schemas[] = {&b, &finer}, *hints[] = {&b, &told};

    (void)state;
    assert_int_equal(chunk_hists_run(grows, 3), 3);
    assert_int_equal(chunk_hists_run(vanishes, 2), 1);
    assert_int_equal(chunk_hists_run(kinds, 3), 2);
    assert_int_equal(chunk_hists_run(schemas, 2), 1);
    assert_int_equal(chunk_hists_run(hints, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_those_of_prometheus),
        cmocka_unit_test(a_layout_that_grows),
        cmocka_unit_test(stale_markers_have_no_layout),
        cmocka_unit_test(runs_end_where_a_reset_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
