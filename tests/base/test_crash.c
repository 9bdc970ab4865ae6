/* test_crash.c - dying at the n-th point, and only there. */
#include "base/crash.c"
#include "tests/base/prop.h"

#include <sys/wait.h>

/* Runs three rounds of a, b under TRIPOD_CRASH_AT=at; returns how many points passed, negative when not killed. */
static int run(const char *at)
{
    int passed[2], n = 0, status;
    pid_t pid;
    char c;

    assert_int_equal(pipe(passed), 0);
    pid = fork();
    if (pid == 0) {
        setenv("TRIPOD_CRASH_AT", at, 1);
        crash_setup();
        for (int i = 0; i < 6; i++) {
            if (i % 2)
                crash_point("b");
            else
                crash_point("a");
            if (write(passed[1], "x", 1) != 1)
                _exit(3);
        }
        _exit(crash_visits() == (crash_armed ? 6u : 0u) ? 0 : 4);
    }
    close(passed[1]);
    while (read(passed[0], &c, 1) == 1)
        n++;
    close(passed[0]);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return n;
    }
    assert_int_equal(WEXITSTATUS(status), at[0] == '?' ? 2 : 0);
    return -n;
}

static void points(void **state)
{
    (void)state;
    assert_int_equal(run(""), -6);
    assert_int_equal(run("0"), -6);
    for (int n = 1; n <= 6; n++) {
        char at[16];

        snprintf(at, sizeof at, "%d", n);
        assert_int_equal(run(at), n - 1);
    }
    assert_int_equal(run("7"), -6);
    assert_int_equal(run("b"), 1);
    assert_int_equal(run("a:3"), 4);
    assert_int_equal(run("c"), -6);
    assert_int_equal(run("?:x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(points)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
