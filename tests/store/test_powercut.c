/*
 * test_powercut.c - power goes at any moment, and unsynced writes are there or not, whole or torn. Every image opens, what was
 * acknowledged by then is there once, and nothing is called damaged.
 *
 * The process under the shim is this program itself, called with "workload DIR".
 */
#include "tests/store/toy.h"

#include "store/upkeep.h"
#include "tests/tools/powercut/replay.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { BATCH = 10, BATCHES = 240 };

static const char *self;

static struct toy_row row_of(uint64_t b, uint32_t i)
{
    uint64_t x = (b * BATCH + i + 1) * 0x9e3779b97f4a7c15u, r = toy_rand(&x);

    return (struct toy_row){(int64_t)(r % 3) * TOY_DAY_MS + (int64_t)(r >> 8) % 1000, b * BATCH + i, 1 + r % 6000, 0};
}

/* --- the process whose power goes --------------------------------------------------------------- */

static void (*mark)(const char *);

static void on_acked(void *arg, int code)
{
    char text[64];

    if (code < 0)
        _exit(3);
    snprintf(text, sizeof text, "ack %llu", (unsigned long long)(uintptr_t)arg);
    mark(text);
}

static int workload(const char *dir)
{
    struct store_opts o;
    struct toy y;
    struct err e;
    void *f = dlsym(RTLD_DEFAULT, "powercut_mark");

    if (!f)
        return 4;
    memcpy(&mark, &f, sizeof mark);
    log_setup(LOG_ERROR, LOG_LOGFMT);
    toy_opts(&o, dir);
    o.journal_file_bytes = 16 << 10;
    if (toy_open(&y, &o, true, &e) < 0)
        return 5;
    for (uint64_t b = 0; b < BATCHES; b++) {
        struct toy_row v[BATCH];

        for (uint32_t i = 0; i < BATCH; i++)
            v[i] = row_of(b, i);
        if (toy_ingest(&y, v, BATCH, on_acked, (void *)(uintptr_t)b, &e) < 0)
            return 6;
        if (b % 3 == 0)
            usleep(200); /* so that groups are of all sizes */
        if (b % 20 == 19 && store_flush(y.store, NULL, &e) < 0)
            return 7;
        if (b % 50 == 49)
            upkeep_round(y.store, 100 * (int64_t)TOY_DAY_MS);
        if (b % 80 == 79) {
            toy_close(&y);
            if (toy_open(&y, &o, true, &e) < 0)
                return 8;
        }
    }
    toy_close(&y);
    return 0;
}

/* --- the test ----------------------------------------------------------------------------------- */

static bool shim_path(char out[PATH_MAX])
{
    char *slash;

    if (getenv("B")) {
        snprintf(out, PATH_MAX, "%s/bin/powercut.so", getenv("B"));
        if (out[0] == '/' || realpath(out, (char[PATH_MAX]){0}))
            return access(out, R_OK) == 0;
    }
    snprintf(out, PATH_MAX, "%s", self);
    slash = strstr(out, "/tests/store/");
    if (!slash)
        return false;
    snprintf(slash, (size_t)(out + PATH_MAX - slash), "/bin/powercut.so");
    return access(out, R_OK) == 0;
}

static int run_workload(const char *dir, const char *log)
{
    char shim[PATH_MAX];
    int status;
    pid_t pid;

    if (!shim_path(shim))
        return -1;
    pid = fork();
    if (pid == 0) {
        setenv("LD_PRELOAD", shim, 1);
        setenv("POWERCUT_DIR", dir, 1);
        setenv("POWERCUT_LOG", log, 1);
        execl(self, self, "workload", dir, (char *)NULL);
        _exit(99);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

struct seen {
    uint8_t count[BATCH * BATCHES];
    bool wrong;
};

static void see(void *arg, const struct toy_row *r)
{
    struct seen *s = arg;
    struct toy_row want = row_of(r->id / BATCH, (uint32_t)(r->id % BATCH));

    if (r->id >= BATCH * BATCHES || r->t != want.t || r->value != want.value)
        s->wrong = true;
    else
        s->count[r->id]++;
}

static void check_image(const char *dir, const uint8_t *acked, const char *when)
{
    uint64_t lost = 0, twice = 0, torn = 0;
    struct seen s = {0};
    struct store_warning *w;
    struct arena a = {0};
    uint32_t damaged = 0, warnings;
    struct store_opts o;
    struct toy y;
    struct err e;

    toy_opts(&o, dir);
    if (toy_open(&y, &o, false, &e) < 0)
        fail_msg("%s: cannot open: %s", when, e.text);
    toy_each(&y, see, &s, &damaged);
    for (uint32_t b = 0; b < BATCHES; b++)
        for (uint32_t i = 0; i < BATCH; i++) {
            lost += acked[b] && s.count[b * BATCH + i] == 0;
            twice += s.count[b * BATCH + i] > 1;
            torn += s.count[b * BATCH + i] != s.count[b * BATCH];
        }
    warnings = store_warnings(y.store, &a, &w);
    for (uint32_t i = 0; i < warnings; i++)
        fprintf(stderr, "%s: %.*s\n", when, STR_ARG(w[i].text));
    if (lost || twice || torn || s.wrong || damaged || warnings)
        fail_msg("%s: %llu lost, %llu twice, %llu torn, wrong %d, damaged %u", when, (unsigned long long)lost,
                 (unsigned long long)twice, (unsigned long long)torn, s.wrong, damaged);
    arena_release(&a);
    toy_close(&y);
}

static void test_cuts(void **state)
{
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)clock_wall_ns() | 1, x = seed;
    static const char *const modes[] = {"all", "none", "some", "torn"};
    char base[300], dir[320], log[320], image[320], when[200];
    uint32_t images = toy_long() ? 2000 : 60;
    struct cut_log l = {0};
    struct stat st;
    int rc;

    (void)state;
    snprintf(base, sizeof base, "%s", toy_dir("powercut"));
    snprintf(dir, sizeof dir, "%s/data", base);
    snprintf(log, sizeof log, "%s/log", base);
    snprintf(image, sizeof image, "%s/image", base);
    assert_int_equal(mkdir(dir, 0750), 0);
    rc = run_workload(dir, log);
    if (rc != 0)
        fail_msg("the workload ended with %d", rc);
    assert_true(stat(dir, &st) == 0 && cut_log_read(log, dir, &l));
    fprintf(stderr, "seed %llu, %u records, %zu bytes\n", (unsigned long long)seed, l.n, l.nbytes);
    assert_true(l.n > 1000);
    for (uint32_t i = 0; i < images; i++) {
        uint32_t at = (uint32_t)(toy_rand(&x) % (l.n + 1));
        enum cut_mode mode = (enum cut_mode)(toy_rand(&x) % 8 < 2 ? toy_rand(&x) % 2 : 2 + toy_rand(&x) % 2);
        uint8_t acked[BATCHES] = {0};
        uint64_t s = toy_rand(&x);

        for (uint32_t k = 0; k < at; k++)
            if (l.v[k].r->op == OP_MARK)
                acked[strtoul(l.v[k].path.p + 4, NULL, 10)] = 1;
        toy_rmdir(image);
        assert_true(cut_image(&l, at, mode, s, st.st_ino, image));
        snprintf(when, sizeof when, "image %u: cut at record %u of %u, %s, seed %llu", i, at, l.n, modes[mode], (unsigned long long)s);
        check_image(image, acked, when);
    }
    cut_log_release(&l);
    toy_rmdir(base);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts)};
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    char shim[PATH_MAX];

    if (argc == 3 && strcmp(argv[1], "workload") == 0)
        return workload(argv[2]);
    self = n > 0 ? path : argv[0];
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf("the power-cut shim and a sanitizer's runtime both want to be first: run without one\n");
    return 77;
#endif
    if (!shim_path(shim)) {
        printf("bin/powercut.so is not built\n");
        return 77;
    }
    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
