/*
 * test_rollup_damage.c - aggregates of days that are damaged, killed on the way, or read while they are made.
 */
#include "base/crash.h"
#include "store/scrub.h"
#include "tests/tsdb/rollup_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes of every file of a resolution: whole pages, or one in each page (then pages still hang together). */
static void spoil(struct world *w, const char *signal, bool whole)
{
    struct store_day *days;
    uint32_t n = store_days(w->store, signal, &days);
    static char junk[4096];

    close_world(w);
    for (uint32_t i = 0; i < n; i++) {
        char path[200];
        time_t at = (time_t)days[i].day * 86400;
        struct tm tm;

        gmtime_r(&at, &tm);
        snprintf(path, sizeof path, "%s/%s/%04d-%02d-%02d.mdb", w->dir, signal, tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        assert_int_equal(chmod(path, 0640), 0);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (off_t page = 3; (uint64_t)page * 4096 < days[i].bytes; page++) {
            char b;

            if (whole) {
                assert_int_equal(pwrite(fd, junk, sizeof junk, page * 4096), sizeof junk);
                continue;
            }
            assert_int_equal(pread(fd, &b, 1, page * 4096 + 1000), 1);
            b = (char)~b;
            assert_int_equal(pwrite(fd, &b, 1, page * 4096 + 1000), 1);
        }
        close(fd);
        assert_int_equal(chmod(path, 0440), 0);
    }
    free(days);
    open_world(w, 30 * DAY_MS);
}

static void check_counts(struct world *w, const struct got *raw)
{
    struct got g;

    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_COUNT, ROLLUP_1H, &g);
    for (int k = 0; k < ALL; k++)
        assert_true(g.s[k].samples == raw->s[k].samples);
    got_release(&g);
}

/* What is damaged is done without, and made again; a copy has all of it. */
static void test_damaged(void **state)
{
    struct world *w = *state;
    char copy[160], cmd[200];
    struct got raw;
    struct err e = {0};

    fill_days(w);
    round_of_upkeep(w, w->to + DAY_MS);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    assert_int_equal(store_verify(w->store, no_line, NULL, &e), 0);
    for (int whole = 0; whole < 2; whole++) {
        spoil(w, ROLLUP_1H_SIGNAL, whole);
        spoil(w, ROLLUP_5M_SIGNAL, whole);
        check_counts(w, &raw);
        check_counts(w, &raw);
        scrub_pass(w->store); /* finds what no query met */
        round_of_upkeep(w, w->to + DAY_MS);
        check_all(w, &raw, true);
        assert_int_equal(store_verify(w->store, no_line, NULL, &e), 0);
    }
    snprintf(copy, sizeof copy, "%s.copy", w->dir);
    assert_int_equal(store_backup(w->store, copy, true, &e), 0);
    close_world(w);
    char dir[128];
    strcpy(dir, w->dir);
    assert_true(strlen(copy) < sizeof w->dir);
    strcpy(w->dir, copy);
    open_world(w, 30 * DAY_MS);
    check_all(w, &raw, true);
    close_world(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", copy);
    assert_int_equal(system(cmd), 0);
    strcpy(w->dir, dir);
    open_world(w, 30 * DAY_MS);
    got_release(&raw);
}

struct looking {
    struct world *w;
    double at_least; /* samples */
    _Atomic bool stop;
    uint32_t looks;
};

static void *look(void *arg)
{
    struct looking *l = arg;

    for (; !atomic_load(&l->stop); l->looks++) {
        struct got g;
        double n = 0;

        read_all(l->w, l->w->from + 1, l->w->to, TSDB_ROLLUP_COUNT, l->looks & 1 ? ROLLUP_1H : ROLLUP_5M, &g);
        for (int k = 0; k < ALL; k++)
            n += g.s[k].samples;
        assert_true(n >= l->at_least);
        got_release(&g);
    }
    return NULL;
}

/* Somebody reads while days are sealed, get late samples, and are sealed again: nothing is ever missing. */
static void test_beside(void **state)
{
    struct world *w = *state;
    struct looking l = {.w = w};
    struct got raw;
    pthread_t thread;

    fill_days(w);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    for (int k = 0; k < ALL; k++)
        l.at_least += raw.s[k].samples;
    got_release(&raw);
    assert_int_equal(pthread_create(&thread, NULL, look, &l), 0);
    for (int i = 0; i < 4; i++) {
        int64_t t = w->from + (i % 2) * DAY_MS + 1000003 + i;
        double v = i;

        round_of_upkeep(w, w->to + DAY_MS);
        put(w, i, &t, &v, 1);
    }
    atomic_store(&l.stop, true);
    pthread_join(thread, NULL);
    assert_true(l.looks > 0);
}

/* Killed at each point on the way: what is there afterwards is whole, and the rest is made. */
static void test_crash(void **state)
{
    struct world *w = *state;
    struct got raw;
    char cmd[160];

    fill_days(w);
    struct err e = {0};
    assert_int_equal(store_flush(w->store, NULL, &e), 0);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    close_world(w);
    for (unsigned n = 1, done = 0; !done && n < 400; n += 7) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            open_world(w, 30 * DAY_MS);
            char at[16];
            snprintf(at, sizeof at, "%u", n);
            setenv("TRIPOD_CRASH_AT", at, 1);
            crash_setup();
            upkeep_round(w->store, w->to + DAY_MS);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        done = WIFEXITED(status);
        open_world(w, 30 * DAY_MS);
        for (int64_t every = ROLLUP_5M; every <= ROLLUP_1H; every += ROLLUP_1H - ROLLUP_5M) {
            struct got g;

            read_all(w, w->from + 1, w->to, TSDB_ROLLUP_COUNT, every, &g);
            for (int k = 0; k < ALL; k++)
                assert_true(g.s[k].samples == raw.s[k].samples);
            got_release(&g);
        }
        close_world(w);
    }
    open_world(w, 30 * DAY_MS);
    round_of_upkeep(w, w->to + DAY_MS);
    check_all(w, &raw, true);
    snprintf(cmd, sizeof cmd, "test -z \"$(find %s -name '*.tmp')\"", w->dir);
    assert_int_equal(system(cmd), 0);
    got_release(&raw);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
