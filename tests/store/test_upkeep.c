/* test_upkeep.c - retention, disk.max, sealing under readers, backup, fsck, scrub and the dumps. */
#include "tests/store/toy.h"

#include "store/dump.h"
#include "store/scrub.h"
#include "store/upkeep.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void fill(struct toy *y, int32_t day, uint32_t ndays, uint64_t first_id, uint32_t n)
{
    struct err e;

    for (uint32_t i = 0; i < n; i += 50) {
        struct toy_row v[50];

        for (uint32_t k = 0; k < 50; k++)
            v[k] = (struct toy_row){(int64_t)(day + (int32_t)(k % ndays)) * TOY_DAY_MS, first_id + i + k, 4000, 0};
        assert_int_equal(toy_ingest_wait(y, v, 50, &e), 0);
    }
    assert_int_equal(store_flush(y->store, NULL, &e), 0);
}

static void nothing(void *arg, const struct toy_row *r)
{
    (void)arg;
    (void)r;
}

static uint64_t ndays(struct toy *y)
{
    struct store_stats st;

    store_stats(y->store, &st);
    return st.partitions;
}

static void test_retention(void **state)
{
    char *dir = toy_dir("retention");
    int32_t today = day_of_ms(clock_wall_ms());
    struct partition_list l;
    struct store_opts o;
    struct txn *t;
    struct toy y;
    struct err e;

    (void)state;
    toy_opts(&o, dir);
    o.retention_ms = 3 * (int64_t)TOY_DAY_MS;
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, today - 9, 10, 0, 500);
    assert_int_equal(ndays(&y), 10);
    store_partitions(y.store, "toy", 0, INT64_MAX, &l);
    assert_int_equal(txn_read(l.v[0], &t, &e), 0);
    upkeep_round(y.store, clock_wall_ms());
    assert_int_equal(ndays(&y), 4);
    { /* who holds a dropped day can read it to the end */
        struct txn_iter it = {0};
        struct str key, v;
        int n = 0;

        while (txn_iter_next(t, &it, STR("r"), STR_NULL, &key, &v, &e) == 0)
            n++;
        txn_iter_end(&it);
        assert_int_equal(n, 50);
    }
    txn_end(t);
    partition_list_release(&l);
    assert_int_equal(toy_each(&y, nothing, NULL, NULL), 4 * 50);
    toy_close(&y);
    assert_int_equal(y.attached, 0);
    toy_rmdir(dir);
}

static void test_disk_max(void **state)
{
    char *dir = toy_dir("diskmax");
    struct store_opts o;
    struct store_stats st;
    struct toy y;
    struct err e;

    (void)state;
    toy_opts(&o, dir);
    o.disk_max_bytes = 2 << 20;
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, 1, 10, 0, 1000);
    upkeep_round(y.store, clock_wall_ms());
    store_stats(y.store, &st);
    assert_true(st.disk_bytes <= o.disk_max_bytes && st.partitions > 0 && st.partitions < 10);
    assert_int_equal(store_writable(y.store, &e), 0);
    fill(&y, 10, 1, 5000, 1000); /* the newest day alone is too big */
    upkeep_round(y.store, clock_wall_ms());
    assert_int_equal(ndays(&y), 1);
    assert_int_equal(store_writable(y.store, &e), ERR_FULL);
    assert_non_null(strstr(e.text, "disk.max"));
    fill(&y, 20, 1, 9000, 0);
    toy_close(&y);
    toy_rmdir(dir);
}

static void test_seal_under_readers_and_late_data(void **state)
{
    char *dir = toy_dir("seal"), path[400];
    struct partition_list before, after;
    struct store_opts o;
    struct txn *t;
    struct toy y;
    struct err e;
    struct stat st;

    (void)state;
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, 3, 1, 0, 200);
    store_partitions(y.store, "toy", 0, INT64_MAX, &before);
    assert_int_equal(txn_read(before.v[0], &t, &e), 0);
    upkeep_round(y.store, clock_wall_ms());
    store_partitions(y.store, "toy", 0, INT64_MAX, &after);
    assert_true(before.v[0] != after.v[0]);
    assert_true(partition_sealed(after.v[0]) && !partition_sealed(before.v[0]));
    assert_int_equal(partition_contained(before.v[0]), partition_contained(after.v[0]));
    assert_int_equal(txn_write(before.v[0], &(struct txn *){NULL}, &e), ERR_AGAIN);
    assert_int_equal(txn_write(after.v[0], &(struct txn *){NULL}, &e), ERR_UNSUPPORTED);
    txn_end(t);
    partition_list_release(&before);
    snprintf(path, sizeof path, "%s/toy/1970-01-04.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0222, 0);
    fill(&y, 3, 1, 1000, 50); /* late data opens it again */
    partition_list_release(&after);
    store_partitions(y.store, "toy", 0, INT64_MAX, &after);
    assert_false(partition_sealed(after.v[0]));
    partition_list_release(&after);
    assert_int_equal(toy_each(&y, nothing, NULL, NULL), 250);
    upkeep_round(y.store, clock_wall_ms());
    toy_close(&y);
    assert_int_equal(y.attached, 0);
    assert_int_equal(toy_open(&y, &o, false, &e), 0);
    assert_int_equal(toy_each(&y, nothing, NULL, NULL), 250);
    toy_close(&y);
    toy_rmdir(dir);
}

struct lines {
    uint32_t n, damaged;
};

static void on_line(void *arg, const char *line)
{
    struct lines *l = arg;

    l->n++;
    l->damaged += strstr(line, "DAMAGED") != NULL;
    if (getenv("LOUD"))
        fprintf(stderr, "%s\n", line);
}

static void test_backup_is_a_data_directory(void **state)
{
    char dir[300], to[400];
    struct store_opts o;
    struct lines l = {0};
    struct toy y, z;
    struct err e;
    uint64_t seq;

    (void)state;
    snprintf(dir, sizeof dir, "%s", toy_dir("backup"));
    snprintf(to, sizeof to, "%s/snapshots/one", dir);
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, 3, 2, 0, 200);
    upkeep_round(y.store, clock_wall_ms()); /* two sealed days */
    fill(&y, 5, 1, 1000, 100);
    {
        struct toy_row v = {5 * (int64_t)TOY_DAY_MS, 5000, 7, 0}; /* in the journal only */

        assert_int_equal(toy_ingest_wait(&y, &v, 1, &e), 0);
    }
    assert_int_equal(mkdir((snprintf(to, sizeof to, "%s/snapshots", dir), to), 0750), 0);
    snprintf(to, sizeof to, "%s/snapshots/one", dir);
    assert_int_equal(store_backup(y.store, to, false, &e), 0);
    assert_int_equal(store_backup(y.store, to, false, &e), ERR_EXISTS);
    fill(&y, 5, 1, 6000, 50); /* what comes later is not in it */
    fill(&y, 3, 1, 7000, 50); /* late data for a linked day does not reach the link */
    seq = journal_done_seq(store_journal(y.store));
    toy_close(&y);
    assert_int_equal(store_fsck(to, on_line, &l, &e), 0);
    toy_opts(&o, to);
    assert_int_equal(toy_open(&z, &o, true, &e), 0);
    assert_int_equal(toy_each(&z, nothing, NULL, NULL), 301);
    fill(&z, 5, 1, 9000, 50);
    assert_true(journal_done_seq(store_journal(z.store)) > 0 && seq > 0);
    toy_close(&z);
    assert_int_equal(toy_open(&z, &o, false, &e), 0);
    assert_int_equal(toy_each(&z, nothing, NULL, NULL), 351);
    toy_close(&z);
    toy_rmdir(dir);
}

static void flip(const char *path, off_t at)
{
    int fd;
    char b = 0;

    chmod(path, 0640);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &b, 1, at) == 1);
    b ^= 16;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void test_fsck_scrub_dump(void **state)
{
    char dir[300], path[420];
    struct store_opts o;
    struct lines l = {0};
    struct toy y;
    struct err e;
    off_t at;

    (void)state;
    snprintf(dir, sizeof dir, "%s", toy_dir("fsck"));
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, 3, 3, 0, 300);
    assert_int_equal(store_verify(y.store, on_line, &l, &e), 0);
    assert_int_equal(scrub_pass(y.store), 0);
    assert_int_equal(store_fsck(dir, on_line, &l, &e), ERR_BUSY);
    toy_close(&y);
    assert_int_equal(store_fsck(dir, on_line, &l, &e), 0);
    assert_true(l.n >= 3 + 1 + 5 && l.damaged == 0);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    l.n = 0;
    snprintf(path, sizeof path, "%s/toy/1970-01-05.mdb", dir);
    assert_int_equal(dump_file(path, true, on_line, &l, &e), 0);
    assert_true(l.n > 100);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    assert_int_equal(dump_file(path, true, on_line, &l, &e), 0);
    snprintf(path, sizeof path, "%s/journal/000001.mdb", dir);
    if (access(path, F_OK) == 0)
        assert_int_equal(dump_file(path, true, on_line, &l, &e), 0);
    /* Somewhere in the middle of a value that has pages of its own. */
    snprintf(path, sizeof path, "%s/toy/1970-01-05.mdb", dir);
    {
        struct stat st;
        int fd = open(path, O_RDONLY);
        unsigned char page[16];

        assert_int_equal(fstat(fd, &st), 0);
        for (at = 4096 * 8; at < st.st_size; at += 4096)
            if (pread(fd, page, 16, at) == 16 && page[10] == 4 && get_u64le(page) == (uint64_t)at / 4096)
                break;
        assert_true(at < st.st_size);
        close(fd);
    }
    flip(path, at + 100);
    assert_int_equal(scrub_pass(y.store), 1);
    assert_int_equal(store_verify(y.store, on_line, &l, &e), 1);
    {
        struct arena a = {0};
        struct store_warning *w;

        assert_int_equal(store_warnings(y.store, &a, &w), 1);
        assert_non_null(memmem(w[0].text.p, w[0].text.n, "1970-01-05.mdb", 14));
        arena_release(&a);
    }
    toy_close(&y);
    l.damaged = 0;
    assert_int_equal(store_fsck(dir, on_line, &l, &e), 1);
    assert_int_equal(l.damaged, 1);
    assert_int_equal(toy_open(&y, &o, false, &e), 0); /* one value is lost, the day is served */
    {
        uint32_t damaged = 0;

        assert_int_equal(toy_each(&y, nothing, NULL, &damaged), 299);
        assert_int_equal(damaged, 1);
    }
    toy_close(&y);
    toy_rmdir(dir);
}

/* Without state.mdb the journal's tail is replayed, and what partitions contain is skipped. */
static void test_state_lost(void **state)
{
    char dir[300], path[420];
    struct store_opts o;
    struct toy y;
    struct err e;

    (void)state;
    snprintf(dir, sizeof dir, "%s", toy_dir("state"));
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    fill(&y, 3, 3, 0, 300);
    toy_close(&y);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    unlink(path);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    assert_int_equal(toy_each(&y, nothing, NULL, NULL), 300);
    fill(&y, 3, 3, 1000, 50);
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, false, &e), 0);
    assert_int_equal(toy_each(&y, nothing, NULL, NULL), 350);
    toy_close(&y);
    toy_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_disk_max),
        cmocka_unit_test(test_seal_under_readers_and_late_data),
        cmocka_unit_test(test_backup_is_a_data_directory),
        cmocka_unit_test(test_fsck_scrub_dump),
        cmocka_unit_test(test_state_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
