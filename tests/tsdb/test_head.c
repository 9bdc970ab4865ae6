/* test_head.c - the parts of the head by themselves: values as bytes, postings, symbols, chunks and columns, gens,
 * removal. */
#include "tsdb/samples.c"

#include "tests/tsdb/head_series.h"
#include "tsdb/head_read.h"
#include "tsdb/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t rng = 88172645463325252u;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static double random_value(double last)
{
    switch (draw(10)) {
    case 0:
        return f64_from_bits(rng);
    case 1:
        return f64_from_bits(STALE_NAN_BITS);
    case 2:
        return (double)draw(100000) / 1000;
    case 3:
        return (double)(int64_t)(rng >> 9);
    case 4:
        return -0.0;
    case 5:
    case 6:
        return last + (double)draw(5000);
    default:
        return last;
    }
}

static void test_vals(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[4096], *p = bytes, st = 0, st_in = 0;
        double v[200], out[200], last = 0, in = 0;
        uint32_t n = 1 + (uint32_t)draw(200);
        for (uint32_t i = 0; i < n; i++) {
            v[i] = round % 4 == 0 ? (double)draw(1000) / vals_pow10[round % 10] : random_value(last);
            uint8_t *q = vals_put(p, last, &st, v[i]);
            assert_true(q - p <= VALS_MAX);
            assert_ptr_equal(vals_get(p, q, &in, &st_in), q);
            assert_int_equal(f64_bits(in), f64_bits(v[i]));
            for (const uint8_t *cut = p; cut < q; cut++) {
                double d = last;
                uint8_t s = 0;
                assert_true(vals_get(p, cut, &d, &s) <= cut);
            }
            p = q;
            last = v[i];
        }
        for (uint32_t m = 0; m <= n; m += 1 + n / 7) {
            vals_decode(bytes, (uint32_t)(p - bytes), 0, m, out);
            assert_memory_equal(out, v, m * sizeof *v);
        }
    }
}

static bool odd(void *arg, uint32_t ref)
{
    (void)arg;
    return ref & 1;
}

static void test_postings(void **state)
{
    struct postings ps = {0};
    uint32_t expect[5000], got[5000], n = 0, ref = 0;

    (void)state;
    for (; n < 5000; n++) {
        ref += 1 + (uint32_t)draw(draw(20) ? 3 : 3000000);
        expect[n] = ref;
        postings_add(&ps, ref);
    }
    assert_int_equal(postings_read(&ps, got), n);
    assert_memory_equal(got, expect, sizeof expect);
    postings_filter(&ps, odd, NULL);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!(expect[i] & 1))
            expect[kept++] = expect[i];
    postings_add(&ps, ref + 2);
    expect[kept++] = ref + 2;
    assert_int_equal(postings_read(&ps, got), kept);
    assert_memory_equal(got, expect, kept * sizeof *got);
    postings_release(&ps);
}

/* Series of one scrape share a column; a gap makes a new chunk, not a new column; late rows are merged in. */
static void test_columns(void **state)
{
    struct head h;
    struct head_reader r = {0};
    struct head_piece p, q;

    (void)state;
    head_init(&h);
    for (uint32_t k = 0; k < 10; k++)
        add_series(&h, k);
    for (int i = 0; i < 100; i++)
        for (uint32_t k = 0; k < 10; k++)
            if (k != 3 || i != 50)
                head_append(&h, head_series(&h, k), 1000 + i * 15, i * (int)k, 0);
    assert_int_equal(h.ncolumns, 1);
    assert_true(head_read(&r, head_series(&h, 1), 0, UINT32_MAX, 1000 + 15, 1000 + 98 * 15, &p));
    assert_int_equal(p.n, 98);
    assert_true(p.column != 0 && p.v[97] == 98);
    assert_true(head_read(&r, head_series(&h, 2), 0, UINT32_MAX, 1000 + 15, 1000 + 98 * 15, &q));
    assert_ptr_equal(p.t, q.t);
    assert_true(head_read(&r, head_series(&h, 3), 0, UINT32_MAX, INT64_MIN, INT64_MAX, &p));
    assert_int_equal(p.n, 99);
    assert_int_equal(h.ncolumns, 1);
    head_append(&h, head_series(&h, 3), 1000 + 50 * 15, 42, 0);
    head_append(&h, head_series(&h, 3), 1000 + 50 * 15, 43, 0); /* the first stays */
    assert_int_equal(head_lookup(head_series(&h, 3), 0, 1000 + 50 * 15, 42), HEAD_EQUAL);
    assert_true(head_read(&r, head_series(&h, 3), 0, UINT32_MAX, INT64_MIN, INT64_MAX, &p));
    assert_int_equal(p.n, 100);
    assert_true(p.v[50] == 42);
    head_reader_release(&r);
    head_check(&h);
    head_release(&h);
}

static void test_random_series(void **state)
{
    enum { N = 3000, SERIES = 5 };
    static double v[SERIES][N];
    static int64_t t[SERIES][N], st[SERIES][N];
    struct head h;
    struct head_reader r = {0};
    struct head_piece p;
    uint32_t n[SERIES] = {0};
    int64_t now = 0;

    (void)state;
    head_init(&h);
    for (uint32_t k = 0; k < SERIES; k++)
        add_series(&h, k);
    for (int i = 0; i < N; i++) {
        now += 1 + (int64_t)draw(3) * 1000;
        for (uint32_t k = 0; k < SERIES; k++) {
            if (draw(20) == 0)
                continue;
            t[k][n[k]] = now + (draw(30) ? 0 : 1);
            if (n[k] && t[k][n[k]] <= t[k][n[k] - 1])
                continue;
            v[k][n[k]] = random_value(n[k] ? v[k][n[k] - 1] : 0);
            st[k][n[k]] = k == 4 ? (int64_t)(draw(50) ? 7 : draw(9)) : 0;
            head_append(&h, head_series(&h, k), t[k][n[k]], v[k][n[k]], st[k][n[k]]);
            n[k]++;
        }
        if (draw(200) == 0) { /* frozen, written elsewhere, dropped: here only cut, so nothing may be missing */
            pthread_mutex_lock(&h.apply_mu);
            head_cut(&h, false);
            pthread_mutex_unlock(&h.apply_mu);
        }
    }
    for (int i = 0; i < 500; i++) {
        uint32_t k = (uint32_t)draw(SERIES), lo, hi;
        int64_t mint = (int64_t)draw((uint64_t)now), maxt = mint + (int64_t)draw((uint64_t)now), last_t, last_st;
        double last_v;
        const struct histogram *last_h;
        bool any = head_read(&r, head_series(&h, k), 0, UINT32_MAX, mint, maxt, &p);
        lo = times_lower(t[k], n[k], mint);
        hi = times_lower(t[k], n[k], maxt + 1);
        assert_int_equal(p.n, hi - lo);
        assert_int_equal(any, hi > lo);
        if (!any)
            continue;
        assert_memory_equal(p.t, t[k] + lo, sizeof *p.t * p.n);
        assert_memory_equal(p.v, v[k] + lo, sizeof *p.v * p.n);
        for (uint32_t j = 0; j < p.n; j++)
            assert_int_equal(p.st ? p.st[j] : 0, st[k][lo + j]);
        assert_true(head_read_newest(&r, head_series(&h, k), 0, mint, maxt, &last_t, &last_v, &last_st, &last_h));
        assert_int_equal(last_t, t[k][hi - 1]);
        assert_int_equal(f64_bits(last_v), f64_bits(v[k][hi - 1]));
    }
    head_reader_release(&r);
    head_release(&h);
}

/* A dropped gen is freed once no reader needs it; series go, their pairs are used again, their refs are not. */
static void test_drop_and_gc(void **state)
{
    struct head h;
    struct epoch_reader reader;
    struct gen *g;
    struct matcher m;
    struct err e;
    uint32_t n, *refs;

    (void)state;
    head_init(&h);
    for (uint32_t k = 0; k < 3000; k++)
        head_append(&h, head_series(&h, add_series(&h, k)), 1000, k, 0);
    epoch_enter(&h.epoch, &reader);
    g = head_cut(&h, false);
    assert_non_null(g);
    head_append(&h, head_series(&h, 7), 2000, 1, 0);
    head_drop(&h, g);
    head_reclaim(&h);
    assert_int_equal(h.gens->state, GEN_DROPPED);
    assert_non_null(atomic_load(&head_series(&h, 5)->chunk));
    epoch_leave(&h.epoch, &reader);
    head_reclaim(&h);
    assert_ptr_equal(h.gens, h.appender.open);
    assert_null(atomic_load(&head_series(&h, 5)->chunk));
    assert_non_null(atomic_load(&head_series(&h, 7)->chunk));
    assert_int_equal(head_gc(&h, is_odd, NULL), 1499); /* 7 has a sample */
    head_check(&h);
    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("job"), STR("a"), &e), 0);
    assert_int_equal(head_match(&h, &m, 1, NULL, &refs, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(refs[0], 7);
    pthread_rwlock_unlock(&h.index_lock);
    free(refs);
    matcher_release(&m);
    assert_int_equal(head_gc(&h, is_odd, NULL), 0);
    assert_int_equal(add_series(&h, 5), 3000);
    head_check(&h);
    head_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vals),          cmocka_unit_test(test_postings),    cmocka_unit_test(test_columns),
        cmocka_unit_test(test_random_series), cmocka_unit_test(test_drop_and_gc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
