/* test_background.c - a thread goes to the background, comes back, and is brought back when it starves. */
#include "query/exec/background.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * MS};

    nanosleep(&t, NULL);
}

static struct background *front(void **state)
{
    struct background *b = *state;

    if (!b->usable)
        skip();
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    return b;
}

static int setup(void **state)
{
    *state = x_zalloc(sizeof(struct background));
    background_init(*state);
    return 0;
}

static int teardown(void **state)
{
    background_leave(*state);
    background_release(*state);
    free(*state);
    return 0;
}

static void test_there_and_back(void **state)
{
    struct background *b = front(state);

    for (int i = 0; i < 100; i++) {
        background_enter(b, clock_mono_ns());
        background_enter(b, clock_mono_ns());
        /* Beside other tests the watcher may have had to bring us back in between. */
        assert_true(sched_getscheduler(0) == SCHED_IDLE || atomic_load(&b->pardon_until_ns));
        background_leave(b);
        background_leave(b);
        assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
        atomic_store(&b->pardon_until_ns, 0);
    }
}

static void *burn(void *stop)
{
    while (!atomic_load((_Atomic bool *)stop))
        ;
    return NULL;
}

static void stay_on_this_processor(cpu_set_t *before)
{
    cpu_set_t here;

    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    assert_int_equal(sched_getaffinity(0, sizeof *before, before), 0);
    assert_int_equal(sched_setaffinity(0, sizeof here, &here), 0);
}

static void test_starved(void **state)
{
    struct background *b = front(state);
    _Atomic bool stop = false;
    cpu_set_t before;
    pthread_t busy;
    int64_t began_ns;

    stay_on_this_processor(&before);
    assert_int_equal(pthread_create(&busy, NULL, burn, &stop), 0);
    began_ns = clock_mono_ns();
    background_enter(b, began_ns);
    while (sched_getscheduler(0) != SCHED_OTHER && clock_mono_ns() - began_ns < 60000 * (int64_t)MS)
        ;
    atomic_store(&stop, true);
    pthread_join(busy, NULL);
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    background_enter(b, clock_mono_ns()); /* learns of it */
    background_enter(b, clock_mono_ns()); /* and is let off */
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    assert_null(b->first);
    background_enter(b, clock_mono_ns() + (BACKGROUND_PARDON_MS + 1) * (int64_t)MS);
    assert_ptr_equal(b->first, &mine);
}

/* Who waits for something else is not brought back. (On a busy host one that has just woken up may be.) */
static void test_asleep(void **state)
{
    struct background *b = front(state);
    bool stayed = false;

    for (int i = 0; i < 20 && !stayed; i++) {
        background_enter(b, clock_mono_ns());
        sleep_ms(10 * BACKGROUND_STILL_MS);
        stayed = sched_getscheduler(0) == SCHED_IDLE;
        background_leave(b);
        atomic_store(&b->pardon_until_ns, 0);
    }
    assert_true(stayed);
}

static void *go_and_come(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        background_enter(arg, clock_mono_ns());
        if (i % 100 == 0)
            sleep_ms(1);
        background_leave(arg);
    }
    return sched_getscheduler(0) == SCHED_OTHER ? arg : NULL;
}

static void test_many(void **state)
{
    struct background *b = front(state);
    pthread_t threads[4];
    void *came;

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, go_and_come, b), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &came);
        assert_ptr_equal(came, b);
    }
    assert_null(b->first);
}

/* In a process of its own: exit status 0 if nobody is sent where nobody comes back from. */
static int without_rights(void)
{
    struct background b;
    int policy;

    if (setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0}) || setgroups(0, NULL) || setgid(65534) || setuid(65534))
        return 2;
    background_init(&b);
    background_enter(&b, clock_mono_ns());
    policy = sched_getscheduler(0);
    background_leave(&b);
    background_release(&b);
    return b.usable || policy != SCHED_OTHER;
}

static void test_without_rights(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    if (getuid() != 0)
        skip();
    pid = fork();
    if (pid == 0)
        _exit(without_rights());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rights),
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asleep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
