/*
 * test_crash.c - dying: at each crash point, and at random moments under full load. After each death the store opens at
 * once, every acknowledged row is there exactly once, and no row is there that nobody sent.
 *
 * The child writes the id of each acknowledged batch into a pipe; what the parent read from it was acknowledged.
 */
#include "tests/store/toy.h"

#include "store/inside.h"
#include "store/upkeep.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 20, BATCHES_MAX = 1 << 20 };

/* Row i of batch b, as child and parent both know it. */
static struct toy_row row_of(uint64_t b, uint32_t i)
{
    uint64_t x = (b * BATCH + i + 1) * 0x9e3779b97f4a7c15u, r = toy_rand(&x);

    return (struct toy_row){(int64_t)(r % 4) * TOY_DAY_MS + (int64_t)(r >> 8) % 1000, b * BATCH + i, 1 + r % 3000, 0};
}

struct sent {
    int fd;
    uint64_t batch;
};

static void on_acked(void *arg, int code)
{
    struct sent *s = arg;

    if (code == 0 && write(s->fd, &s->batch, sizeof s->batch) != sizeof s->batch)
        _exit(9);
    free(s);
}

static void send_batch(struct toy *y, uint64_t b, int fd)
{
    struct sent *s = x_zalloc(sizeof *s);
    struct toy_row v[BATCH];
    struct err e;
    int rc;

    for (uint32_t i = 0; i < BATCH; i++)
        v[i] = row_of(b, i);
    *s = (struct sent){fd, b};
    while ((rc = toy_ingest(y, v, BATCH, on_acked, s, &e)) == ERR_BUSY)
        usleep(1000);
    if (rc < 0) {
        fprintf(stderr, "ingest: %s\n", e.text);
        _exit(8);
    }
}

/* One life of the process: everything that can happen, `batches` of them (0: until killed). */
static void live(const char *dir, uint64_t first, uint64_t batches, int fd)
{
    struct store_opts o;
    struct toy y;
    struct err e;

    crash_setup();
    toy_opts(&o, dir);
    o.head_budget_bytes = 64 << 10;
    if (toy_open(&y, &o, true, &e) < 0) {
        fprintf(stderr, "open: %s\n", e.text);
        _exit(7);
    }
    for (uint64_t b = 0; batches == 0 || b < batches; b++) {
        send_batch(&y, first + b, fd);
        if (b % 16 == 15 && store_flush(y.store, NULL, &e) < 0)
            _exit(6);
        if (b % 32 == 31)
            upkeep_round(y.store, 100 * (int64_t)TOY_DAY_MS); /* seals what is live; the next flush unseals it */
    }
    toy_close(&y);
    _exit(0);
}

struct seen {
    uint8_t *count;
    uint64_t n;
    bool wrong;
};

static void see(void *arg, const struct toy_row *r)
{
    struct seen *s = arg;
    struct toy_row want = row_of(r->id / BATCH, (uint32_t)(r->id % BATCH));

    if (r->id >= s->n || r->t != want.t || r->value != want.value)
        s->wrong = true;
    else
        s->count[r->id]++;
}

/* What a fresh start finds. acked[b] set: batch b must be there. */
static void verify(const char *dir, const uint8_t *acked, uint64_t batches, const char *when)
{
    struct seen s = {x_zalloc(batches * BATCH), batches * BATCH, false};
    uint64_t lost = 0, twice = 0, torn = 0;
    int64_t start = clock_mono_ms(), ready;
    struct store_warning *w;
    struct arena a = {0};
    struct store_opts o;
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    if (toy_open(&y, &o, true, &e) < 0) {
        fprintf(stderr, "%s: cannot open: %s\n", when, e.text);
        fail();
    }
    ready = clock_mono_ms() - start;
    toy_each(&y, see, &s, NULL);
    for (uint64_t b = 0; b < batches; b++)
        for (uint32_t i = 0; i < BATCH; i++) {
            lost += acked[b] && s.count[b * BATCH + i] == 0;
            twice += s.count[b * BATCH + i] > 1;
            torn += s.count[b * BATCH + i] != s.count[b * BATCH];
        }
    if (lost || twice || torn || s.wrong || ready > 2000 || store_warnings(y.store, &a, &w) > 0) {
        fprintf(stderr, "%s: %llu acknowledged rows lost, %llu twice, %llu torn, wrong %d, ready after %lld ms\n", when,
                (unsigned long long)lost, (unsigned long long)twice, (unsigned long long)torn, s.wrong, (long long)ready);
        for (uint32_t i = 0, n = store_warnings(y.store, &a, &w); i < n; i++)
            fprintf(stderr, "  %.*s\n", STR_ARG(w[i].text));
        fail();
    }
    arena_release(&a);
    toy_close(&y);
    free(s.count);
}

/* Reads acknowledgements until the child is gone. kill_after_us > 0: kills it then. */
static int collect(pid_t pid, int fd, uint8_t *acked, int64_t kill_after_us)
{
    uint64_t b;
    int status;

    if (kill_after_us > 0) {
        usleep((useconds_t)kill_after_us);
        kill(pid, SIGKILL);
    }
    while (read(fd, &b, sizeof b) == sizeof b)
        acked[b] = 1;
    waitpid(pid, &status, 0);
    return status;
}

static int run_child(const char *dir, uint64_t first, uint64_t batches, uint8_t *acked, const char *crash_at, int64_t kill_after_us)
{
    int p[2], status;
    pid_t pid;

    if (pipe(p) < 0)
        abort();
    fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
    pid = fork();
    if (pid == 0) {
        close(p[0]);
        log_setup(LOG_ERROR, LOG_LOGFMT);
        if (crash_at)
            setenv("TRIPOD_CRASH_AT", crash_at, 1);
        live(dir, first, batches, p[1]);
    }
    close(p[1]);
    status = collect(pid, p[0], acked, kill_after_us);
    close(p[0]);
    return status;
}

/* Dies at the n-th crash point, for every n until a life ends by itself. */
static void test_every_crash_point(void **state)
{
    uint8_t *acked = x_zalloc(BATCHES_MAX);
    char *dir = toy_dir("crash"), at[32], when[64];
    unsigned n = 1, step = toy_long() ? 1 : 7;
    uint64_t first = 0;
    int status;

    (void)state;
    for (;; n += step) {
        snprintf(at, sizeof at, "%u", n);
        snprintf(when, sizeof when, "crash point visit %u", n);
        status = run_child(dir, first, 64, acked, at, 0);
        first += 64;
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
            fail_msg("%s: the child ended with %d", when, WEXITSTATUS(status));
        verify(dir, acked, first, when);
        if (WIFEXITED(status))
            break;
        if (first > 4096) { /* a fresh directory: what was checked often enough only costs time */
            dir = toy_dir("crash");
            memset(acked, 0, first);
            first = 0;
        }
    }
    fprintf(stderr, "died at %u visits\n", n / step);
    assert_true(n > 20);
    free(acked);
    toy_rmdir(dir);
}

static void test_random_kills(void **state)
{
    uint64_t seed = (uint64_t)clock_wall_ns() | 1, x = seed, first = 0;
    int kills = toy_long() ? 300 : 12;
    uint8_t *acked = x_zalloc(BATCHES_MAX);
    char *dir = toy_dir("kill"), when[64];

    (void)state;
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    for (int k = 0; k < kills; k++) {
        snprintf(when, sizeof when, "kill %d", k);
        run_child(dir, first, 0, acked, NULL, 20000 + (int64_t)(toy_rand(&x) % 300000));
        while (first < BATCHES_MAX && acked[first])
            first++;
        first += 70000; /* sent and not acknowledged: may be there or not, and are not sent again */
        first = first > BATCHES_MAX ? BATCHES_MAX : first;
        verify(dir, acked, first, when);
        if (k % 10 == 9) {
            dir = toy_dir("kill");
            memset(acked, 0, BATCHES_MAX);
            first = 0;
        }
    }
    free(acked);
    toy_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_crash_point),
        cmocka_unit_test(test_random_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
