/* test_match.c - matchers over the head while nobody waits for the answer any more, and while the head changes. */
#include "tests/tsdb/head_series.h"
#include "tsdb/match.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int stop_at_once(void *asked, uint64_t samples, uint64_t bytes, struct err *e)
{
    assert_int_equal(samples + bytes, 0);
    ++*(uint32_t *)asked;
    return err_set(e, ERR_TIMEOUT, "enough");
}

/* A match over many values ends when nobody waits for it; what it finds otherwise is what it finds without being asked. */
static void test_stopped(void **state)
{
    uint32_t asked = 0, n, *refs;
    struct tsdb_limits limits = {.check = stop_at_once, .arg = &asked};
    struct matcher m;
    struct head h;
    struct err e;

    (void)state;
    head_init(&h);
    for (uint32_t k = 0; k < 3000; k++)
        add_series(&h, k);
    assert_int_equal(matcher_init(&m, MATCH_RE, STR("id"), STR(".*[0-9]9.*x?"), &e), 0);
    assert_int_equal(head_match(&h, &m, 1, &limits, &refs, &n, &e), ERR_TIMEOUT);
    assert_string_equal(e.text, "enough");
    assert_int_equal(asked, 1);
    assert_int_equal(pthread_rwlock_trywrlock(&h.index_lock), 0); /* let go */
    pthread_rwlock_unlock(&h.index_lock);
    assert_int_equal(head_match(&h, &m, 1, NULL, &refs, &n, &e), 0);
    assert_int_equal(n, 722);
    free(refs);
    pthread_rwlock_unlock(&h.index_lock);
    matcher_release(&m);
    head_release(&h);
}

struct meanwhile {
    struct head *h;
    uint32_t times;
};

/* While values are asked for: odd series go, new ones come. Some of them have pairs that went a moment ago. */
static int change_head(void *arg, uint64_t samples, uint64_t bytes, struct err *e)
{
    struct meanwhile *x = arg;

    (void)samples;
    (void)bytes;
    (void)e;
    assert_int_equal(pthread_rwlock_trywrlock(&x->h->index_lock), 0); /* nobody waits for the one who asks */
    pthread_rwlock_unlock(&x->h->index_lock);
    if (x->times++ % 16 == 0 && x->times < 64) {
        head_gc(x->h, is_odd, NULL);
        for (uint32_t k = 0; k < 250; k++) {
            add_series(x->h, 500 * (x->times / 16) + 2 * k + 1);
            add_series(x->h, 10000 * (x->times / 16 + 1) + k);
        }
    }
    return 0;
}

static uint32_t match_count(struct head *h, const struct matcher *m, const struct tsdb_limits *limits)
{
    uint32_t n, *refs;
    struct err e;

    assert_int_equal(head_match(h, m, 1, limits, &refs, &n, &e), 0);
    for (uint32_t i = 0; i < n; i++)
        assert_true(series_live(head_series(h, refs[i])) && (i == 0 || refs[i - 1] < refs[i]));
    pthread_rwlock_unlock(&h->index_lock);
    free(refs);
    return n;
}

/* What is found is what is there when the match returns, whatever changed while values were asked for. */
static void test_match_meanwhile(void **state)
{
    static const char *const patterns[] = {".*[0-9]9.*x?", ".*[1-4].*[05-9].*", ".*1.*"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns) * 2; i++) {
        struct matcher m;
        struct head h;
        struct epoch_reader reader;
        struct meanwhile x = {&h, 0};
        struct tsdb_limits limits = {.check = change_head, .arg = &x};
        struct err e;

        head_init(&h);
        for (uint32_t k = 0; k < 3000; k++)
            add_series(&h, k);
        assert_int_equal(matcher_init(&m, i % 2 ? MATCH_NRE : MATCH_RE, STR("id"), str_of(patterns[i / 2]), &e), 0);
        epoch_enter(&h.epoch, &reader);
        uint32_t n = match_count(&h, &m, &limits), times = x.times;
        assert_true(times > 32);
        judge_locked_ns = INT64_C(3600000000000);
        assert_int_equal(match_count(&h, &m, &limits), n);
        assert_int_equal(x.times, times); /* all at once, nobody asked */
        judge_locked_ns = 0;
        epoch_leave(&h.epoch, &reader);
        head_check(&h);
        matcher_release(&m);
        head_release(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_match_meanwhile),
    };

    judge_locked_ns = 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
