/*
 * test_full.c - a 64 MB file system filled by somebody else: writes are refused with ERR_FULL, reads and state go on, and
 * within 5 s of space returning writes are accepted; nothing acknowledged is lost. Needs root to mount; else skipped.
 */
#include "tests/store/toy.h"

#include "store/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[300];

/* Fills what is free. */
static void foreign_fill(void)
{
    char path[400], block[65536] = {1};
    int fd;

    snprintf(path, sizeof path, "%s/foreign", dir);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    lseek(fd, 0, SEEK_END);
    for (size_t n = sizeof block; n >= 512; n /= 2)
        while (write(fd, block, n) == (ssize_t)n)
            continue;
    close(fd);
}

static void foreign_free(void)
{
    char path[400];

    snprintf(path, sizeof path, "%s/foreign", dir);
    unlink(path);
}

struct count {
    uint8_t *by_id;
    uint64_t n;
};

static void see(void *arg, const struct toy_row *r)
{
    struct count *c = arg;

    if (r->id < c->n)
        c->by_id[r->id]++;
}

static void test_full_and_again(void **state)
{
    struct count c = {x_zalloc(1 << 20), 1 << 20};
    uint8_t *acked = x_zalloc(c.n);
    uint64_t next = 0, refused = 0;
    struct store_opts o;
    struct toy y;
    struct err e;
    int64_t start;

    (void)state;
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    for (int cycle = 0; cycle < 3; cycle++) {
        bool healed = false;

        for (int i = 0; i < 30; i++, next++) {
            struct toy_row v = {(int64_t)(next % 3) * TOY_DAY_MS, next, 1 + next % 4999, 0};

            if (toy_ingest_wait(&y, &v, 1, &e) == 0)
                acked[next] = 1;
        }
        foreign_fill();
        for (int i = 0; i < 60; i++, next++) { /* the first ones may still find room; then the refusals come */
            struct toy_row v = {(int64_t)(next % 3) * TOY_DAY_MS, next, 1 + next % 4999, 0};
            int rc = toy_ingest_wait(&y, &v, 1, &e);

            assert_true(rc == 0 || rc == ERR_FULL || rc == ERR_IO);
            acked[next] = rc == 0;
            refused += rc != 0;
            if (i == 30)
                (void)store_flush(y.store, NULL, &e); /* may fail, must not hurt */
        }
        assert_int_equal(store_writable(y.store, &e), ERR_FULL);
        assert_non_null(strstr(e.text, "full"));
        memset(c.by_id, 0, c.n);
        toy_each(&y, see, &c, NULL); /* queries go on */
        for (uint64_t i = 0; i < next; i++)
            if (acked[i])
                assert_int_equal(c.by_id[i], 1);
        foreign_free();
        start = clock_mono_ms();
        while (!healed && clock_mono_ms() - start < 5000) {
            struct toy_row v = {0, next, 1, 0};

            healed = store_writable(y.store, &e) == 0 && toy_ingest_wait(&y, &v, 1, &e) == 0;
            if (healed)
                acked[next++] = 1;
            usleep(20000);
        }
        assert_true(healed);
        fprintf(stderr, "cycle %d: %llu refused so far, healed after %lld ms\n", cycle, (unsigned long long)refused,
                (long long)(clock_mono_ms() - start));
        assert_int_equal(store_flush(y.store, NULL, &e), 0);
    }
    assert_true(refused > 0);
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    memset(c.by_id, 0, c.n);
    toy_each(&y, see, &c, NULL);
    for (uint64_t i = 0; i < next; i++)
        if (c.by_id[i] > 1 || (acked[i] && c.by_id[i] == 0)) {
            fprintf(stderr, "row %llu, acknowledged %d, is there %u times\n", (unsigned long long)i, acked[i], c.by_id[i]);
            fail();
        }
    toy_close(&y);
    free(c.by_id);
    free(acked);
}

enum { MEETS = 200, MEETS_ROWS = 200 };
static const uint64_t meets_first = (uint64_t)1 << 32;

static void see_meets(void *arg, const struct toy_row *r)
{
    struct count *c = arg;

    if (r->id >= meets_first && r->id - meets_first < c->n)
        c->by_id[r->id - meets_first]++;
}

/* Without the watcher's warning: the commit itself meets the end of the disk. Rows may have been flushed or not. */
static void test_commit_meets_the_end(void **state)
{
    uint8_t by_id[MEETS * MEETS_ROWS] = {0};
    struct count c = {by_id, ARRAY_LEN(by_id)};
    bool answers[MEETS];
    uint64_t acked = 0, failed = 0;
    struct store_opts o;
    struct toy_row v[MEETS_ROWS];
    struct toy y;
    struct err e;

    (void)state;
    toy_opts(&o, dir);
    o.disk_reserve_bytes = 0;
    o.journal_budget_bytes = (uint64_t)1 << 40;
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    foreign_fill();
    foreign_free();
    foreign_fill();
    for (uint32_t i = 0; i < MEETS; i++) {
        int rc;

        for (uint32_t k = 0; k < MEETS_ROWS; k++)
            v[k] = (struct toy_row){0, meets_first + i * MEETS_ROWS + k, 1, 0};
        rc = toy_ingest_wait(&y, v, MEETS_ROWS, &e);
        answers[i] = rc == 0;
        acked += rc == 0;
        failed += rc != 0;
        if (failed == 20)
            foreign_free();
        if (failed > 0 && rc != 0)
            usleep(50000);
    }
    fprintf(stderr, "%llu acknowledged, %llu failed\n", (unsigned long long)acked, (unsigned long long)failed);
    assert_true(failed > 0 && acked > 0);
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, false, &e), 0);
    assert_true(toy_each(&y, see_meets, &c, NULL) > 0);
    for (uint32_t i = 0; i < c.n; i++)
        if (by_id[i] > 1 || (answers[i / MEETS_ROWS] && by_id[i] == 0))
            fail_msg("row %u, acknowledged %d, is there %u times", i, answers[i / MEETS_ROWS], by_id[i]);
    toy_close(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_again),
        cmocka_unit_test(test_commit_meets_the_end),
    };
    int rc;

    snprintf(dir, sizeof dir, "%s", toy_dir("full"));
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=64m") < 0) {
        printf("cannot mount a tmpfs (%s): the full-disk test needs root\n", strerror(errno));
        toy_rmdir(dir);
        return 77;
    }
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    umount2(dir, MNT_DETACH);
    toy_rmdir(dir);
    return rc;
}
