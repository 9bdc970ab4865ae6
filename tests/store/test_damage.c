/*
 * test_damage.c - bits flipped and files cut while the process is down, and pages that go bad while it runs: no wrong
 * answer, no crash loop, the other days are served, the warning names the file.
 */
#include "tests/store/toy.h"

#include "store/check.h"
#include "store/pages.h"
#include "store/suspect.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAYS = 3, ROWS = 400 };

static struct toy_row row_of(uint64_t id)
{
    return (struct toy_row){(int64_t)(id % DAYS) * TOY_DAY_MS + (int64_t)id, id, 1 + id * 37 % 9000, 0};
}

/* A store with DAYS days, flushed in several commits (so that the free list is not empty); day 0 sealed. */
static void make(const char *dir)
{
    struct store_opts o;
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    for (uint64_t id = 0; id < ROWS; id += 40) {
        struct toy_row v[40];

        for (uint32_t i = 0; i < 40; i++)
            v[i] = row_of(id + i);
        assert_int_equal(toy_ingest_wait(&y, v, 40, &e), 0);
        assert_int_equal(store_flush(y.store, NULL, &e), 0);
    }
    toy_close(&y);
}

struct seen {
    uint8_t count[ROWS];
    bool wrong;
};

static void see(void *arg, const struct toy_row *r)
{
    struct seen *s = arg;
    struct toy_row want = row_of(r->id);

    if (r->id == ROWS)
        return; /* written by look() */
    if (r->id >= ROWS || r->t != want.t || r->value != want.value)
        s->wrong = true;
    else
        s->count[r->id]++;
}

/* 0 all there; 1 rows missing, and said so; the exit code of the child otherwise. */
static int look(const char *dir, int32_t hurt, bool write_too, char *say, size_t say_bytes)
{
    struct seen s = {0};
    struct store_warning *w;
    struct arena a = {0};
    uint32_t damaged = 0, missing = 0, n;
    bool named = false;
    struct store_opts o;
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    if (toy_open(&y, &o, true, &e) < 0) {
        snprintf(say, say_bytes, "cannot start: %s", e.text);
        return 2;
    }
    toy_each(&y, see, &s, &damaged);
    if (write_too) {
        struct toy_row v = {hurt * (int64_t)TOY_DAY_MS + 5, ROWS, 1, 0};

        if (toy_ingest_wait(&y, &v, 1, &e) < 0 || store_flush(y.store, NULL, &e) < 0) {
            snprintf(say, say_bytes, "cannot write: %s", e.text);
            return 3;
        }
    }
    n = store_warnings(y.store, &a, &w);
    for (uint32_t i = 0; i < n; i++)
        named = named || memmem(w[i].text.p, w[i].text.n, ".mdb", 4);
    for (uint64_t id = 0; id < ROWS; id++) {
        if (s.count[id] > 1 || (s.count[id] == 0 && (int32_t)(id % DAYS) != hurt)) {
            snprintf(say, say_bytes, "row %llu of another day is there %u times", (unsigned long long)id, s.count[id]);
            return 4;
        }
        missing += s.count[id] == 0;
    }
    if (s.wrong || ((missing > 0 || damaged > 0) && !named)) {
        snprintf(say, say_bytes, s.wrong ? "a wrong row" : "%u rows missing and no warning names a file", missing);
        return 5;
    }
    arena_release(&a);
    toy_close(&y);
    return missing > 0 || damaged > 0;
}

/* In a child, so that dying is seen. Returns what look says, or 128 + signal. */
static int look_in_child(const char *dir, int32_t hurt, bool write_too)
{
    char say[1100] = "";
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int rc;

        log_setup(getenv("LOUD") ? LOG_INFO : LOG_ERROR + 1, LOG_LOGFMT);
        rc = look(dir, hurt, write_too, say, sizeof say);
        if (rc > 1)
            fprintf(stderr, "%s\n", say);
        _exit(rc);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void copy_dir(const char *from, const char *to)
{
    char cmd[1200];

    snprintf(cmd, sizeof cmd, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    if (system(cmd) != 0)
        abort();
}

static void day_path(const char *dir, int32_t day, char *out, size_t n)
{
    snprintf(out, n, "%s/toy/1970-01-%02d.mdb", dir, day + 1);
}

static void hurt_file(const char *path, uint64_t *x, bool cut, char *what, size_t n)
{
    int fd = open(path, O_RDWR);
    struct stat st;
    unsigned char b;
    uint64_t at;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    chmod(path, 0640);
    if (cut) {
        at = toy_rand(x) % (uint64_t)st.st_size;
        if (toy_rand(x) % 2)
            at = at / 4096 * 4096;
        assert_int_equal(ftruncate(fd, (off_t)at), 0);
        snprintf(what, n, "cut at %llu of %lld", (unsigned long long)at, (long long)st.st_size);
    } else {
        /* Half of them where it hurts: the first 40 pages have the metas, the tree and the free list among them. */
        at = toy_rand(x) % MIN(toy_rand(x) % 2 ? (uint64_t)st.st_size : 40 * 4096, (uint64_t)st.st_size);
        assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
        b ^= (unsigned char)(1u << toy_rand(x) % 8);
        assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
        snprintf(what, n, "bit flipped at %llu of %lld", (unsigned long long)at, (long long)st.st_size);
    }
    close(fd);
}

static void hurt_many(bool cut, int rounds)
{
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)clock_wall_ns() | 1, x = seed;
    char good[300], dir[310], path[400], what[100];
    int lost = 0;

    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    snprintf(good, sizeof good, "%s", toy_dir("good"));
    snprintf(dir, sizeof dir, "%s-hurt", good);
    make(good);
    for (int i = 0; i < rounds; i++) {
        int32_t day = (int32_t)(toy_rand(&x) % DAYS);
        int rc[3];

        copy_dir(good, dir);
        day_path(dir, day, path, sizeof path);
        hurt_file(path, &x, cut, what, sizeof what);
        for (int k = 0; k < 3; k++) /* a second and a third start: no crash loop, and the same answer */
            rc[k] = look_in_child(dir, day, k == 1);
        if (rc[0] > 1 || rc[1] > 1 || rc[2] > 1) {
            fprintf(stderr, "round %d, %s: %s: %d %d %d\n", i, path, what, rc[0], rc[1], rc[2]);
            fail();
        }
        lost += rc[0];
    }
    fprintf(stderr, "%d of %d cost rows, all said so\n", lost, rounds);
    toy_rmdir(good);
    toy_rmdir(dir);
}

static void test_bit_flips(void **state)
{
    (void)state;
    hurt_many(false, toy_long() ? 1000 : 60);
}

static void test_truncations(void **state)
{
    (void)state;
    hurt_many(true, toy_long() ? 200 : 15);
}

/* A bit goes over while the file is open and read: rows may be missing, the process may die, but no row is wrong. */
static int flip_while_open(const char *dir, uint64_t seed)
{
    struct seen s = {0};
    uint32_t damaged = 0;
    struct store_opts o;
    uint64_t x = seed;
    char path[400], what[100];
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    if (toy_open(&y, &o, true, &e) < 0)
        return 2;
    toy_each(&y, see, &s, NULL);
    day_path(dir, 1, path, sizeof path);
    hurt_file(path, &x, false, what, sizeof what);
    memset(&s, 0, sizeof s);
    toy_each(&y, see, &s, &damaged);
    if (s.wrong)
        return 3;
    for (uint64_t id = 0; id < ROWS; id++)
        if (s.count[id] > 1 || (s.count[id] == 0 && id % DAYS != 1))
            return 4;
    toy_close(&y);
    return 0;
}

static void test_flips_while_open(void **state)
{
    uint64_t x = (uint64_t)clock_wall_ns() | 1;
    char good[300], dir[310];
    int died = 0;

    (void)state;
    snprintf(good, sizeof good, "%s", toy_dir("good3"));
    snprintf(dir, sizeof dir, "%s-hurt", good);
    make(good);
    for (int i = 0; i < (toy_long() ? 300 : 30); i++) {
        uint64_t seed = toy_rand(&x) | 1;
        int status, rc;
        pid_t pid;

        copy_dir(good, dir);
        pid = fork();
        if (pid == 0) {
            log_setup(LOG_ERROR + 1, LOG_LOGFMT);
            signal(SIGSEGV, SIG_DFL);
            signal(SIGBUS, SIG_DFL);
            signal(SIGABRT, SIG_DFL);
            _exit(flip_while_open(dir, seed));
        }
        waitpid(pid, &status, 0);
        died += !WIFEXITED(status) || WEXITSTATUS(status) == 1;
        if (WIFEXITED(status) && WEXITSTATUS(status) > 1)
            fail_msg("seed %llu: %d", (unsigned long long)seed, WEXITSTATUS(status));
        rc = look_in_child(dir, 1, true); /* and the next start goes well */
        if (rc > 1)
            fail_msg("seed %llu: next start: %d", (unsigned long long)seed, rc);
    }
    fprintf(stderr, "%d died of it\n", died);
    toy_rmdir(good);
    toy_rmdir(dir);
}

/* The state and the journal: the start goes on, and what is on disk elsewhere is served. */
static void test_other_files(void **state)
{
    static const char *const files[] = {"state.mdb", "journal/000001.mdb"};
    uint64_t x = (uint64_t)clock_wall_ns() | 1;
    char good[300], dir[310], path[400], what[100];

    (void)state;
    snprintf(good, sizeof good, "%s", toy_dir("good2"));
    snprintf(dir, sizeof dir, "%s-hurt", good);
    make(good);
    for (int i = 0; i < (toy_long() ? 200 : 12); i++) {
        int rc;

        copy_dir(good, dir);
        snprintf(path, sizeof path, "%s/%s", dir, files[i % 2]);
        if (access(path, F_OK) < 0)
            continue;
        hurt_file(path, &x, i / 2 % 3 == 2, what, sizeof what);
        rc = look_in_child(dir, -1, true);
        if (rc != 0)
            fail_msg("%s: %s: %d", path, what, rc);
    }
    toy_rmdir(good);
    toy_rmdir(dir);
}

/* --- dying of a file ---------------------------------------------------------------------------- */

/* Touches a value of day 1 after its file was cut under the map. */
static void die_of_sigbus(const char *dir)
{
    struct partition_list l;
    struct store_opts o;
    struct str key, v;
    char path[400];
    struct txn *t;
    struct txn_iter it = {0};
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    if (toy_open(&y, &o, true, &e) < 0)
        _exit(1);
    store_partitions(y.store, "toy", TOY_DAY_MS, TOY_DAY_MS, &l);
    if (l.n != 1 || txn_read(l.v[0], &t, &e) < 0)
        _exit(2);
    day_path(dir, 1, path, sizeof path);
    if (truncate(path, 3 * 4096) < 0)
        _exit(3);
    while (txn_iter_next(t, &it, STR("r"), STR_NULL, &key, &v, &e) <= 0)
        continue;
    _exit(4);
}

static void test_sigbus_names_the_file(void **state)
{
    char dir[300], cmd[900];
    int status;
    pid_t pid;

    (void)state;
    snprintf(dir, sizeof dir, "%s", toy_dir("sigbus"));
    make(dir);
    pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL); /* not cmocka's */
        prctl(PR_SET_DUMPABLE, 0);
        die_of_sigbus(dir);
    }
    waitpid(pid, &status, 0);
    /* A sanitizer's handler, to which ours hands on, makes an exit of it. */
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) > 4 || WEXITSTATUS(status) == 1);
    snprintf(cmd, sizeof cmd, "grep -q 'toy/1970-01-02.mdb.*SIGBUS' '%s/suspect'", dir);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(look_in_child(dir, 1, true), 1);
    snprintf(cmd, sizeof cmd, "test -f '%s/quarantine/toy-1970-01-02.mdb'", dir);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(look_in_child(dir, 1, true), 1); /* still missing, still said */
    toy_rmdir(dir);
}

/* A good file that the process died of once is used again; twice, and it goes, whatever is read in it. */
static void test_second_crash_quarantines(void **state)
{
    char dir[300], path[400], line[900];

    (void)state;
    snprintf(dir, sizeof dir, "%s", toy_dir("twice"));
    make(dir);
    day_path(dir, 2, path, sizeof path);
    snprintf(line, sizeof line, "printf '%s\\tcrash\\tSIGBUS\\n' >> '%s/suspect'", path, dir);
    assert_int_equal(system(line), 0);
    assert_int_equal(look_in_child(dir, 2, false), 0);
    assert_int_equal(look_in_child(dir, 2, false), 0);
    assert_int_equal(system(line), 0);
    assert_int_equal(look_in_child(dir, 2, false), 1);
    snprintf(line, sizeof line, "test -f '%s/quarantine/toy-1970-01-03.mdb'", dir);
    assert_int_equal(system(line), 0);
    toy_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_flips_while_open),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_sigbus_names_the_file),
        cmocka_unit_test(test_second_crash_quarantines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
