/* test_store.c - the store as a whole, driven by the toy signal against a plain model. Restarts at random moments. */
#include "tests/store/toy.h"

#include "store/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct model {
    uint64_t *value; /* by id; 0: not there */
    uint32_t *seen;
    uint64_t n;
    bool wrong;
};

static void see(void *arg, const struct toy_row *r)
{
    struct model *m = arg;

    if (r->id >= m->n || m->value[r->id] != r->value) {
        m->wrong = true;
        return;
    }
    m->seen[r->id]++;
}

/* Every row of the model is there exactly once, and nothing else is. */
static void check(struct toy *y, struct model *m, const char *when)
{
    int64_t n;

    memset(m->seen, 0, m->n * sizeof *m->seen);
    m->wrong = false;
    n = toy_each(y, see, m, NULL);
    assert_false(m->wrong);
    for (uint64_t i = 0; i < m->n; i++)
        if (m->seen[i] != (m->value[i] != 0)) {
            fprintf(stderr, "%s: row %llu is there %u times\n", when, (unsigned long long)i, m->seen[i]);
            fail();
        }
    (void)n;
}

static int64_t some_time(uint64_t *x, int64_t now)
{
    return now - (int64_t)(toy_rand(x) % 5) * TOY_DAY_MS - (int64_t)(toy_rand(x) % 3600000);
}

static void test_random(void **state)
{
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)clock_wall_ns() | 1, x = seed, next = 0;
    struct model m = {.n = 200000};
    char *dir = toy_dir("random");
    int64_t now = clock_wall_ms();
    struct store_opts o;
    struct toy y;
    struct err e;

    (void)state;
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    m.value = x_zalloc(m.n * sizeof *m.value);
    m.seen = x_zalloc(m.n * sizeof *m.seen);
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    for (int step = 0; step < (toy_long() ? 3000 : 400); step++) {
        uint64_t what = toy_rand(&x) % 100;

        if (what < 80) {
            struct toy_row v[64];
            uint32_t n = 1 + (uint32_t)(toy_rand(&x) % 64);

            for (uint32_t i = 0; i < n && next < m.n; i++, next++) {
                v[i] = (struct toy_row){some_time(&x, now), next, 1 + toy_rand(&x) % 20000, 0};
                m.value[next] = v[i].value;
            }
            if (next + 64 >= m.n)
                break;
            assert_int_equal(toy_ingest_wait(&y, v, n, &e), 0);
        } else if (what < 88)
            assert_int_equal(store_flush(y.store, NULL, &e), 0);
        else if (what < 93)
            upkeep_round(y.store, clock_wall_ms() + (int64_t)(toy_rand(&x) % 3) * TOY_DAY_MS);
        else if (what < 96)
            check(&y, &m, "running");
        else {
            toy_close(&y);
            assert_int_equal(toy_open(&y, &o, true, &e), 0);
        }
    }
    check(&y, &m, "at the end");
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, false, &e), 0);
    check(&y, &m, "after the last start");
    toy_close(&y);
    assert_int_equal(y.attached, 0);
    free(m.value);
    free(m.seen);
    toy_rmdir(dir);
}

static void test_second_process_is_told_the_pid(void **state)
{
    char *dir = toy_dir("lock"), want[32];
    struct store_opts o;
    struct store *s;
    struct toy y;
    struct err e;

    (void)state;
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    assert_int_equal(store_open(&o, &s, &e), ERR_BUSY);
    snprintf(want, sizeof want, "pid %ld", (long)getpid());
    assert_non_null(strstr(e.text, want));
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    toy_close(&y);
    toy_rmdir(dir);
}

/* --- many threads ------------------------------------------------------------------------------- */

enum { WRITERS = 3 };

struct crowd {
    struct toy y;
    _Atomic bool stop;
    _Atomic uint64_t acked[WRITERS]; /* batches, each writer's in order */
    char dir[300];
};

struct writer {
    struct crowd *c;
    uint32_t i;
};

/* Batch b of writer w: one row for each of three days. */
static void *write_rows(void *arg)
{
    struct writer *w = arg;
    struct err e;

    for (uint64_t b = 0; !w->c->stop; b++) {
        struct toy_row v[3];

        for (uint32_t d = 0; d < 3; d++)
            v[d] = (struct toy_row){(int64_t)d * TOY_DAY_MS, (b * 3 + d) * WRITERS + w->i, 1 + b % 3000, 0};
        if (toy_ingest_wait(&w->c->y, v, 3, &e) < 0)
            fail_msg("%s", e.text);
        atomic_store(&w->c->acked[w->i], b + 1);
    }
    return NULL;
}

struct tally {
    uint64_t n[WRITERS];
};

static void tally(void *arg, const struct toy_row *r)
{
    ((struct tally *)arg)->n[r->id % WRITERS]++;
}

static void *read_rows(void *arg)
{
    struct crowd *c = arg;

    while (!c->stop) {
        struct tally t = {{0}};
        uint64_t least[WRITERS];

        for (uint32_t i = 0; i < WRITERS; i++)
            least[i] = atomic_load(&c->acked[i]);
        toy_each(&c->y, tally, &t, NULL);
        for (uint32_t i = 0; i < WRITERS; i++)
            if (t.n[i] < least[i] * 3 || t.n[i] > (atomic_load(&c->acked[i]) + 1) * 3)
                fail_msg("writer %u: %llu rows where %llu batches were acknowledged", i, (unsigned long long)t.n[i],
                         (unsigned long long)least[i]);
    }
    return NULL;
}

static void *keep_house(void *arg)
{
    struct crowd *c = arg;
    struct err e;
    char to[340];

    for (int i = 0; !c->stop; i++) {
        assert_int_equal(store_flush(c->y.store, NULL, &e), 0);
        upkeep_round(c->y.store, clock_wall_ms());
        snprintf(to, sizeof to, "%s/backup-%d", c->dir, i);
        if (i % 5 == 4 && store_backup(c->y.store, to, false, &e) < 0)
            fail_msg("%s", e.text);
        store_flush_soon(c->y.store, "toy");
    }
    return NULL;
}

static void test_crowd(void **state)
{
    struct crowd *c = x_zalloc(sizeof *c);
    pthread_t t[WRITERS + 3];
    struct writer w[WRITERS];
    struct tally end = {{0}};
    struct store_opts o;
    struct err e;
    uint32_t n = 0;

    (void)state;
    snprintf(c->dir, sizeof c->dir, "%s", toy_dir("crowd"));
    toy_opts(&o, c->dir);
    assert_int_equal(toy_open(&c->y, &o, true, &e), 0);
    for (uint32_t i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){c, i};
        pthread_create(&t[n++], NULL, write_rows, &w[i]);
    }
    pthread_create(&t[n++], NULL, read_rows, c);
    pthread_create(&t[n++], NULL, read_rows, c);
    pthread_create(&t[n++], NULL, keep_house, c);
    usleep(toy_long() ? 20000000 : 2000000);
    c->stop = true;
    while (n > 0)
        pthread_join(t[--n], NULL);
    toy_close(&c->y);
    assert_int_equal(c->y.attached, 0);
    assert_int_equal(toy_open(&c->y, &o, false, &e), 0);
    toy_each(&c->y, tally, &end, NULL);
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(end.n[i], c->acked[i] * 3);
    toy_close(&c->y);
    toy_rmdir(c->dir);
    free(c);
}

/* --- limits of the house ------------------------------------------------------------------------ */

/* With 1 GiB of address space maps start small and grow, under readers, in flush and seal. */
static void small_world(const char *dir)
{
    struct store_opts o;
    struct tally n = {{0}};
    struct toy y;
    struct err e;

    setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)1 << 30, (rlim_t)1 << 30});
    toy_opts(&o, dir);
    if (toy_open(&y, &o, true, &e) < 0)
        fprintf(stderr, "%s\n", e.text), _exit(1);
    for (uint64_t b = 0; b < 20; b++) {
        for (uint64_t i = 0; i < 20; i++) {
            struct toy_row v[50];

            for (uint32_t k = 0; k < 50; k++)
                v[k] = (struct toy_row){5, (b * 20 + i) * 50 + k, 4999, 0};
            if (toy_ingest_wait(&y, v, 50, &e) < 0)
                fprintf(stderr, "%s\n", e.text), _exit(2);
        }
        if (store_flush(y.store, NULL, &e) < 0)
            fprintf(stderr, "%s\n", e.text), _exit(3);
    }
    upkeep_round(y.store, clock_wall_ms());
    toy_each(&y, tally, &n, NULL);
    if (n.n[0] + n.n[1] + n.n[2] != 20000)
        _exit(4);
    toy_close(&y);
    _exit(0);
}

static void test_little_address_space(void **state)
{
    char *dir = toy_dir("small");
    int status;
    pid_t pid;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* a sanitizer needs terabytes of it */
#endif
    pid = fork();
    if (pid == 0)
        small_world(dir);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    toy_rmdir(dir);
}

/* Somebody removes files of a running store's past: the day is gone, nothing hangs. */
static void test_files_taken_away(void **state)
{
    char *dir = toy_dir("gone"), path[400];
    struct toy_row v = {(int64_t)TOY_DAY_MS, 1, 1, 0};
    struct tally n = {{0}};
    struct store_opts o;
    struct toy y;
    struct err e;

    (void)state;
    toy_opts(&o, dir);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    assert_int_equal(toy_ingest_wait(&y, &v, 1, &e), 0);
    assert_int_equal(store_flush(y.store, NULL, &e), 0);
    toy_close(&y);
    assert_int_equal(toy_open(&y, &o, true, &e), 0);
    snprintf(path, sizeof path, "%s/toy/1970-01-02.mdb", dir);
    assert_int_equal(unlink(path), 0);
    toy_each(&y, tally, &n, NULL);
    assert_int_equal(n.n[1], 0);
    v.id = 2;
    assert_int_equal(toy_ingest_wait(&y, &v, 1, &e), 0);
    assert_int_equal(store_flush(y.store, NULL, &e), 0);
    toy_each(&y, tally, &n, NULL);
    assert_int_equal(n.n[2], 1);
    toy_close(&y);
    toy_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_little_address_space),
        cmocka_unit_test(test_files_taken_away),
        cmocka_unit_test(test_second_process_is_told_the_pid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
