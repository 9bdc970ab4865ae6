/* test_pool.c - every job and every index runs once; loops nest in a full pool without a standstill. */
#include "base/pool.c"
#include "tests/base/prop.h"

#include <unistd.h>

static _Atomic uint64_t ran;

static void count(void *arg)
{
    (void)arg;
    ran++;
}

static void jobs(void **state)
{
    struct pool *p = pool_new("test", 3, 0);

    (void)state;
    ran = 0;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(pool_run(p, count, NULL), 0);
    assert_int_equal(pool_threads(p), 3);
    pool_free(p); /* waiting jobs are run too */
    assert_int_equal(ran, 10000);
    pool_free(NULL);
}

static _Atomic bool gate;

static void wait_gate(void *arg)
{
    (void)arg;
    while (!gate)
        usleep(100);
    ran++;
}

static void full_queue(void **state)
{
    struct pool *p = pool_new("test", 1, 2);

    (void)state;
    ran = 0;
    gate = false;
    assert_int_equal(pool_run(p, wait_gate, NULL), 0);
    while (pool_waiting(p))
        usleep(100);
    assert_int_equal(pool_run(p, count, NULL), 0);
    assert_int_equal(pool_run(p, count, NULL), 0);
    assert_int_equal(pool_run(p, count, NULL), ERR_BUSY);
    assert_int_equal(pool_waiting(p), 2);
    gate = true;
    pool_free(p);
    assert_int_equal(ran, 3);
}

enum { N = 5000 };
static _Atomic uint8_t seen[N];

static void mark(void *arg, uint32_t i)
{
    (void)arg;
    seen[i]++;
}

static void loop_once_each(void **state)
{
    struct pool *p = pool_new("test", 4, 0);

    (void)state;
    for (int round = 0; round < 50; round++) {
        memset((void *)seen, 0, sizeof seen);
        pool_for(p, N, mark, NULL);
        for (int i = 0; i < N; i++)
            assert_int_equal(seen[i], 1);
    }
    memset((void *)seen, 0, sizeof seen);
    pool_for(NULL, 3, mark, NULL);
    pool_for(p, 0, mark, NULL);
    pool_for(p, 1, mark, NULL);
    assert_true(seen[0] == 2 && seen[1] == 1 && seen[2] == 1 && seen[3] == 0);
    pool_free(p);
}

struct nest {
    struct pool *pool;
    int depth;
};

static void nested(void *arg, uint32_t i)
{
    struct nest inner = *(struct nest *)arg;

    (void)i;
    ran++;
    if (inner.depth-- > 0)
        pool_for(inner.pool, 6, nested, &inner);
}

static void nested_job(void *arg)
{
    struct nest n = {arg, 3};

    pool_for(n.pool, 6, nested, &n);
}

/* Every thread of the pool is inside a loop inside a loop, and more jobs wait: a standstill would run into the alarm.
 */
static void nesting(void **state)
{
    struct pool *p = pool_new("test", 3, 0);

    (void)state;
    alarm(60);
    ran = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(pool_run(p, nested_job, p), 0);
    nested_job(p);
    pool_free(p);
    assert_int_equal(ran, 21 * (6 + 36 + 216 + 1296));
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs), cmocka_unit_test(full_queue),
                                       cmocka_unit_test(loop_once_each), cmocka_unit_test(nesting)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
