/* test_watch.c - stretches without a check are told when they are long, in time of the thread's own. */
#include "query/exec/watch.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static void burn(int64_t ms)
{
    int64_t end = clock_thread_cpu_ns() + ms * 1000000;

    while (clock_thread_cpu_ns() < end)
        ;
}

static void test_told(void **state)
{
    uint64_t before = log_count(LOG_WARN);

    (void)state;
    setenv("TRIPOD_QUERY_GAPS", "20", 1);
    watch_begin("start");
    burn(2);
    watch_check("a");
    usleep(30000); /* waiting is no work */
    watch_check("b");
    assert_int_equal(log_count(LOG_WARN), before);
    burn(21);
    watch_check("c");
    assert_int_equal(log_count(LOG_WARN), before + 1);
    watch_leave("d");
    burn(21); /* not for a query */
    watch_check("e");
    burn(21);
    watch_leave("f");
    assert_int_equal(log_count(LOG_WARN), before + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_told)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
