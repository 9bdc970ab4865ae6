/* test_ticker.c - a ticker sleeps as long as it is told, wakes early when it is told, and is gone when it was released. */
#include "store/ticker.c"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

enum { LONG_MS = 3600 * 1000 };

static struct ticker ticker;
static _Atomic int rounds;
static int64_t pause_ms;

static void *count(void *arg)
{
    (void)arg;
    while (ticker_pause(&ticker, pause_ms) == 0)
        atomic_fetch_add(&rounds, 1);
    return NULL;
}

static void start(int64_t ms)
{
    struct err e = {0};

    atomic_store(&rounds, 0);
    pause_ms = ms;
    ticker_init(&ticker);
    assert_int_equal(ticker_start(&ticker, "ticker", count, NULL, &e), 0);
}

static void await_rounds(int n)
{
    int64_t end_ms = clock_mono_ms() + 20000;

    while (atomic_load(&rounds) < n) {
        assert_true(clock_mono_ms() < end_ms);
        sched_yield();
    }
}

static void test_rounds(void **state)
{
    int64_t began_ms = clock_mono_ms();

    (void)state;
    start(20);
    await_rounds(5);
    assert_true(clock_mono_ms() - began_ms >= 5 * 20 - 5);
    ticker_release(&ticker);
}

/* A wake that comes before the pause ends the pause all the same: none is lost. */
static void test_wake(void **state)
{
    (void)state;
    start(LONG_MS);
    for (int i = 1; i <= 200; i++) {
        ticker_wake(&ticker);
        await_rounds(i);
    }
    assert_int_equal(atomic_load(&rounds), 200);
    ticker_release(&ticker);
}

static void test_release(void **state)
{
    int64_t began_ms = clock_mono_ms();

    (void)state;
    start(LONG_MS);
    ticker_release(&ticker);
    ticker_init(&ticker);
    ticker_release(&ticker); /* never started */
    assert_true(clock_mono_ms() - began_ms < 20000);
    assert_int_equal(atomic_load(&rounds), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
